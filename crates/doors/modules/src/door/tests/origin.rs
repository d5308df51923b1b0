//! An upstream that answers as it is told, counts what it was asked, and can be made to fail.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::rig::PATIENCE;
use crate::hash::H1;
use crate::name::ModuleVersion;
use crate::sumdb::Source as _;
use crate::sumdb::tests::Server;
use crate::upstream::Packer;
use crate::zip::ZipLimits;

/// The checksum database of these tests, as Go's own tests have it.
pub(super) const NAME: &str = "localhost.localdev/sumdb";
pub(super) const KEY: &str = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6";

/// What is answered to one path.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// Breaks off behind so many bytes of the body, once.
    pub(super) cut: Option<usize>,
    /// Goes on behind so many bytes only when the gate is opened.
    pub(super) gate: Option<usize>,
}

impl Said {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None, gate: None }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
}

pub(super) struct Origin {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    sumdb: Mutex<Option<Arc<Server>>>,
    said: Mutex<HashMap<String, Said>>,
    asked: watch::Sender<Vec<Asked>>,
    gate: watch::Sender<bool>,
}

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            sumdb: Mutex::default(),
            said: Mutex::default(),
            asked: watch::Sender::default(),
            gate: watch::Sender::new(false),
        });
        let serving = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, &state).await; // the door may hang up
                });
            }
        });
        Self { address, state, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers `path` so.
    pub(super) fn say(&self, path: &str, said: Said) {
        self.state.said.lock().insert(path.to_owned(), said);
    }

    /// Has all three files of a version, and the version in a list.
    pub(super) fn has(&self, of: &str, files: &[(&str, &str)]) -> Bytes {
        let of = ModuleVersion::parse(of).unwrap();
        let (module, version) = (of.path.escaped(), of.version.escaped());
        let info = format!(r#"{{"Version":"{}","Time":"2024-05-06T07:08:09Z"}}"#, of.version);
        let zip = zip_of(&of, files);
        let go_mod =
            files.iter().find(|(name, _)| *name == "go.mod").map_or_else(String::new, |(_, text)| (*text).into());
        self.say(&format!("/{module}/@v/{version}.info"), Said::new(200, info));
        self.say(&format!("/{module}/@v/{version}.mod"), Said::new(200, go_mod));
        self.say(&format!("/{module}/@v/{version}.zip"), Said::new(200, zip.clone()));
        self.say(&format!("/{module}/@v/list"), Said::new(200, format!("{}\n", of.version)));
        zip
    }

    /// Passes requests on to a checksum database.
    pub(super) fn passes_on(&self, sumdb: &Arc<Server>) {
        *self.state.sumdb.lock() = Some(Arc::clone(sumdb));
        self.say(&format!("/sumdb/{NAME}/supported"), Said::new(200, ""));
    }

    /// Goes on with what waits at a gate.
    pub(super) fn open_gate(&self) {
        self.state.gate.send_replace(true);
    }

    /// How often a path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        count_of(&self.state.asked.borrow(), path)
    }

    /// Waits until a path has been asked for so often.
    pub(super) async fn until(&self, path: &str, count: usize) {
        let mut asked = self.state.asked.subscribe();
        let reached = asked.wait_for(|asked| count_of(asked, path) >= count);
        let _ = tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{path} is not asked for"));
    }

    /// Waits until so many paths that end so have been asked for.
    pub(super) async fn until_asked(&self, ending: &str, count: usize) {
        let mut asked = self.state.asked.subscribe();
        let reached =
            asked.wait_for(|asked| asked.iter().filter(|asked| asked.path.ends_with(ending)).count() >= count);
        let _ = tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{ending} is not asked for"));
    }

    /// All that was asked.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.asked.borrow().clone()
    }

    /// Answers nobody any more.
    pub(super) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn count_of(asked: &[Asked], path: &str) -> usize {
    asked.iter().filter(|asked| asked.path == path).count()
}

/// The lines of a go.sum about a module with these files.
pub(super) fn lines_of(of: &str, zip: &Bytes, go_mod: &str) -> String {
    let of = ModuleVersion::parse(of).unwrap();
    let facts = crate::zip::check_zip_in(std::io::Cursor::new(zip.clone()), &of, &ZipLimits::default()).unwrap();
    let go_mod = H1::of_mod(go_mod.as_bytes());
    format!("{} {} {}\n{} {}/go.mod {go_mod}\n", of.path, of.version, facts.h1, of.path, of.version)
}

/// A module's zip.
pub(super) fn zip_of(of: &ModuleVersion, files: &[(&str, &str)]) -> Bytes {
    let mut packer = Packer::new(tempfile::tempfile().unwrap());
    for (name, content) in files {
        packer.add(&format!("{of}/{name}"), &mut content.as_bytes()).unwrap();
    }
    let (mut file, _) = packer.finish().unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes.into()
}

async fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: HashMap<String, String> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        state.asked.send_modify(|asked| asked.push(Asked { path: path.clone(), headers: headers.clone() }));
        let sumdb = state.sumdb.lock().clone();
        let mut found = state.said.lock().get(&path).cloned();
        if let (None, Some(sumdb), Some(asked)) = (&found, sumdb, path.strip_prefix(&format!("/sumdb/{NAME}"))) {
            let answer = sumdb.get(&tradewind_core::percent_decoded(asked)).await;
            found = answer.ok().map(|bytes| Said::new(200, bytes));
        }
        let mut said = found.unwrap_or_else(|| {
            Said::new(404, "not found: nobody has it\n").with("content-type", "text/plain; charset=utf-8")
        });
        let range: Option<usize> =
            headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let mut body = said.body.clone();
        if let Some(from) = range.filter(|from| *from < body.len()) {
            said.status = 206;
            said = said.with("content-range", &format!("bytes {from}-{}/{}", body.len() - 1, body.len()));
            body = body.slice(from..);
        }
        let mut head = format!("HTTP/1.1 {} Said\r\ncontent-length: {}\r\n", said.status, body.len());
        for (name, value) in &said.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let socket = stream.get_mut();
        socket.write_all(format!("{head}\r\n").as_bytes()).await?;
        if let Some(cut) = said.cut {
            if let Some(said) = state.said.lock().get_mut(&path) {
                said.cut = None;
            }
            socket.write_all(&body[..cut]).await?;
            // The end of what was written, and not a reset that might overtake it.
            return socket.shutdown().await;
        }
        let before = said.gate.unwrap_or(body.len()).min(body.len());
        socket.write_all(&body[..before]).await?;
        if said.gate.is_some() {
            socket.flush().await?;
            let _ = state.gate.subscribe().wait_for(|open| *open).await;
            socket.write_all(&body[before..]).await?;
        }
        socket.flush().await?;
    }
}
