//! Programs of others, as long as a test runs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_egress::Stream;

use crate::support::PATIENCE;

/// A process that ends with the test.
pub(crate) struct Peer {
    child: Child,
    log: PathBuf,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), self.log().as_bytes());
        }
        // Asked to stop, so that squid takes its shared memory with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Starts `command`, whose output goes to a file `name` of `folder`.
    pub(crate) fn start(folder: &Path, name: &str, command: &mut Command) -> Self {
        let path = folder.join(name);
        let log = std::fs::File::create(&path).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make peers`"));
        Self { child, log: path }
    }

    /// What it has said up to now.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has said something in which `find` finds what it looks for.
    pub(crate) fn said<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        self.until(|log| find(log))
    }

    /// Waits until it listens on `port`.
    pub(crate) fn listens(&mut self, port: u16) {
        self.until(|_| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    }

    fn until<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(found) = find(&self.log()) {
                return found;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it is not ready: {}", self.log());
    }
}

/// A folder that programs which run as another user can read.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A program of Debian's.
pub(crate) fn debian(name: &str) -> Command {
    let places = ["/usr/sbin", "/usr/bin", "/usr/lib/squid"].map(|folder| PathBuf::from(folder).join(name));
    let found = places.into_iter().find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed; run `make peers`")))
}

/// The Python of the folder of peers, for the script `name` of `tests/rigs`.
pub(crate) fn rig(name: &str) -> Command {
    let folder = std::env::var_os("TRADEWIND_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
        cache.join("tradewind/peers")
    });
    let python = folder.join("python/bin/python");
    assert!(python.exists(), "{} is not there; run `make peers`", python.display());
    let mut command = Command::new(python);
    command.arg("-u").arg(rigs().join(name));
    command
}

pub(crate) fn rigs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/rigs")
}

/// Runs `command` to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Sends `request` and reads the whole answer, which has a length.
pub(crate) async fn exchange(stream: &mut Stream, request: &str) -> String {
    let exchange = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        loop {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "it was closed");
            let text = String::from_utf8_lossy(&answer).to_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}
