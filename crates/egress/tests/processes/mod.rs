//! Programs of others, as long as a test runs. `make peers` installs them.
//!
//! A program is ready when it says so: its output is read as it comes, and whoever waits for a line is woken by it. Its port is not
//! tried instead, which would mean trying again and again, and says less: mihomo listens before it passes anything on. What it has
//! said so far is not to be had without a line to wait for, since the last line of a program may still be on its way to us.

mod squid;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tradewind_egress::Stream;

pub(crate) use squid::squid;

use crate::support::PATIENCE;

/// A program that is asked to stop and has not is ended after this. squid takes a second of its own.
const GRACE: Duration = Duration::from_secs(5);

/// A process that ends with the test.
pub(crate) struct Peer {
    child: Child,
    program: String,
    said: Arc<Said>,
}

/// What a process has said, and who is to be told of more.
#[derive(Default)]
struct Said {
    output: Mutex<Output>,
    more: Condvar,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// Nobody can say anything any more: the process has ended, and those that it started.
    has_ended: bool,
}

impl Output {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked to stop, so that squid takes its shared memory with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let mut output = self.said.output.lock();
        self.said.more.wait_while_for(&mut output, |output| !output.has_ended, GRACE);
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{} said:\n{}", self.program, output.text());
        }
        drop(output);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Starts `command`, and listens to what it says on either output.
    pub(crate) fn start(command: &mut Command) -> Self {
        let program = command.get_program().display().to_string();
        // One pipe for both, so that their lines come in the order in which they were said.
        let (mut reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; run `make peers`"));
        // Closes our copies of the pipe's end, so that the process's are the last.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let said = Arc::new(Said::default());
        let listener = said.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let read = reader.read(&mut chunk).unwrap_or(0);
                let mut output = listener.output.lock();
                output.bytes.extend_from_slice(&chunk[..read]);
                output.has_ended = read == 0;
                listener.more.notify_all();
                if output.has_ended {
                    return;
                }
            }
        });
        Self { child, program, said }
    }

    /// Waits until it has said `words`, and gives all that it has said by then.
    #[track_caller]
    pub(crate) fn until(&self, words: &str) -> String {
        self.said(words, |log| log.contains(words).then(|| log.to_owned()))
    }

    /// Waits until it has said something in which `find` finds what it looks for, which is called `what`.
    #[track_caller]
    pub(crate) fn said<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut found = None;
        let mut output = self.said.output.lock();
        let waits = |output: &mut Output| {
            found = find(&output.text());
            found.is_none() && !output.has_ended
        };
        self.said.more.wait_while_for(&mut output, waits, PATIENCE);
        let how = if output.has_ended { "has ended without" } else { "runs, without" };
        drop(output);
        // What it said instead is shown when it is dropped.
        let Some(found) = found else { panic!("{} {how} having said: {what}", self.program) };
        found
    }
}

/// A folder that programs which run as another user can read: squid's helpers, when root starts it.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A program of Debian's.
pub(crate) fn debian(name: &str) -> Command {
    let places = ["/usr/sbin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
    let found = places.into_iter().find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| panic!("{name} is not installed; run `make peers`")))
}

/// A program of the folder of peers.
pub(crate) fn installed(name: &str) -> Command {
    let folder = std::env::var_os("TRADEWIND_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
        cache.join("tradewind/peers")
    });
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; run `make peers`", path.display());
    Command::new(path)
}

/// Runs `command` to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Sends `request` and reads the whole answer, which has a length, in small letters.
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
