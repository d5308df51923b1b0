//! Servers of others that keep state, as long as a test runs, and a network between them and us that can be broken.
//! `make peers` installs them.

pub(crate) mod faults;
pub(crate) mod full;
mod proxy;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::iter;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tempfile::TempDir;

pub(crate) use proxy::{Pass, Proxy};

/// However slow the machine is: nothing here takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What Redis and NATS say when they take connections.
const READY: [&str; 2] = ["Ready to accept connections", "Server is ready"];

/// What starts a server in a folder and on a port.
type Start = Box<dyn Fn(&Path, u16) -> Command + Send>;

/// A server on a port and a folder of its own, which outlive its process.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    command: Start,
    child: Option<Child>,
    /// What it has said, in all its lives.
    said: Arc<Said>,
}

/// What a server has said, for whoever waits for more of it.
#[derive(Default)]
struct Said {
    heard: Mutex<Heard>,
    more: Condvar,
}

#[derive(Default)]
struct Heard {
    text: String,
    /// It has ended.
    is_over: bool,
}

impl Server {
    /// Starts what `command` makes for a folder and a port.
    pub(crate) fn start(command: impl Fn(&Path, u16) -> Command + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Self { folder, port: free_port(), command: Box::new(command), child: None, said: Arc::default() };
        server.start_again();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it on the same port and folder, and waits until it says that it takes connections.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = (self.command)(self.folder.path(), self.port);
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run `make peers`"));
        self.child = Some(child);
        let program = format!("{command:?}");
        // Our own ends of the pipe, so that it ends with the server.
        drop(command);
        // Of this life alone; what was said before stays to be read.
        let text = std::mem::take(&mut self.said.heard.lock().unwrap().text);
        self.said = Arc::new(Said { heard: Mutex::new(Heard { text, is_over: false }), more: Condvar::new() });
        let said = Arc::clone(&self.said);
        let listening = || drop(std::thread::spawn(move || listen(reader, &said)));
        assert!(self.says(&READY, listening), "{program} is not ready");
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

    /// Makes it do something, and waits until it says one of these words about it; `false` when it ends without.
    pub(crate) fn says(&self, words: &[&str], about: impl FnOnce()) -> bool {
        let before = self.said.heard.lock().unwrap().text.len();
        about();
        let has_said = |heard: &Heard| words.iter().any(|words| heard.text[before..].contains(words));
        let waits = |heard: &mut Heard| !has_said(heard) && !heard.is_over;
        let heard = self.said.heard.lock().unwrap();
        let (heard, _) = self.said.more.wait_timeout_while(heard, PATIENCE, waits).unwrap();
        has_said(&heard)
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &process]).status().unwrap().success());
    }
}

/// Keeps what a server says, to its end.
fn listen(reader: PipeReader, said: &Said) {
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        let text = &mut said.heard.lock().unwrap().text;
        text.push_str(&line);
        text.push('\n');
        said.more.notify_all();
    }
    said.heard.lock().unwrap().is_over = true;
    said.more.notify_all();
}

/// Below those that systems give to connections, so that none takes it before the server listens, or between two of its lives.
pub(crate) fn free_port() -> u16 {
    let random = || RandomState::new().hash_one(());
    let port = || u16::try_from(12_000 + random() % 20_000).unwrap();
    iter::repeat_with(port).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let said = self.said.heard.lock().map(|heard| heard.text.clone()).unwrap_or_default();
            let end = said.char_indices().rev().nth(4_000).map_or(0, |(at, _)| at);
            let _ = writeln!(std::io::stderr(), "the server said:\n{}", &said[end..]);
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
