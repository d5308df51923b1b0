//! Servers of others that keep state, as long as a test runs, and a network between them and us that can be broken.
//! `make peers` installs them.

pub(crate) mod faults;
mod proxy;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use proxy::{Pass, Proxy};

/// However slow the machine is: nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What starts a server in a folder and on a port.
type Start = Box<dyn Fn(&Path, u16) -> Command + Send>;

/// A server on a port and a folder of its own, which outlive its process.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    command: Start,
    child: Option<Child>,
}

impl Server {
    /// Starts what `command` makes for a folder and a port.
    pub(crate) fn start(command: impl Fn(&Path, u16) -> Command + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, command: Box::new(command), child: None };
        server.start_again();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it on the same port and folder, and waits until it listens.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = (self.command)(self.folder.path(), self.port);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make peers`"));
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{command:?}: {ended:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = Some(child);
    }

    /// Ends it without a chance to write anything more.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.child.take().expect("it runs").wait().unwrap();
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap().success());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let end = log.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
            let _ = writeln!(std::io::stderr(), "the server said:\n{}", &log[end..]);
        }
    }
}

/// A certificate for `localhost` that vouches for itself, in PEM.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    key: String,
}

impl Certificate {
    /// Writes it and its key into a folder.
    pub(crate) fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (file, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&file, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (file, key)
    }
}

pub(crate) fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}
