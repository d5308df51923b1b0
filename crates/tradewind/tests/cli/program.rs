//! Runs the binary in a folder and an environment of its own, and speaks plain HTTP to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// No step of a test may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that is the present directory, the home and the place of temporary files for what is run in it.
pub(crate) struct Place(TempDir);

/// What a command that came to its end has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary with `arguments`, and with nothing of the environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let temporary = self.path().join("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "NO_COLOR", "TERM"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn tradewind(&self, arguments: &[&str]) -> Ended {
        Program::start(self.command(arguments)).end()
    }

    /// The names of what lies in the folder for temporary files.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A running program.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// The lines of an output: those not read yet, and all so far.
struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(output: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Self { coming, seen: Vec::new() }
    }

    fn wait_for(&mut self, part: &str) -> String {
        loop {
            match self.coming.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line.clone()),
                Err(error) => panic!("no line with `{part}` ({error}); there was:\n{}", self.seen.join("\n")),
            }
            if let Some(line) = self.seen.last().filter(|line| line.contains(part)) {
                return line.clone();
            }
        }
    }

    /// Everything, when the program has ended.
    fn rest(mut self) -> String {
        loop {
            match self.coming.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("an output stays open"),
            }
        }
        self.seen.iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The next line on stderr that holds `part`.
    pub(crate) fn note(&mut self, part: &str) -> String {
        self.stderr.wait_for(part)
    }

    /// The next line on stdout that holds `part`.
    pub(crate) fn data(&mut self, part: &str) -> String {
        self.stdout.wait_for(part)
    }

    /// Where the gateway listens, once it does.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.note("listening on http://");
        line.rsplit('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let (stdout, stderr) = (take(&mut self.stdout).rest(), take(&mut self.stderr).rest());
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr }
    }
}

fn take(lines: &mut Lines) -> Lines {
    std::mem::replace(lines, Lines { coming: channel().1, seen: Vec::new() })
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer, chunks joined.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a request; the answer is read from the connection by [`read_answer`].
pub(crate) fn send(address: SocketAddr, path: &str, body: Option<&Value>) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let method = if body.is_empty() { "GET" } else { "POST" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

pub(crate) fn read_answer(connection: TcpStream) -> Answer {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the head ended early: {head}");
    }
    let mut body = Vec::new();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = u64::from_str_radix(size.trim(), 16).unwrap();
            std::io::copy(&mut reader.by_ref().take(size), &mut body).unwrap();
            std::io::copy(&mut reader.by_ref().take(2), &mut std::io::sink()).unwrap();
            if size == 0 {
                break;
            }
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: String::from_utf8(body).unwrap() }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    read_answer(send(address, path, None))
}

/// A chat call for `model`.
pub(crate) fn chat(address: SocketAddr, model: &str) -> Answer {
    read_answer(send(address, "/v1/chat/completions", Some(&question(model, false))))
}

pub(crate) fn question(model: &str, stream: bool) -> Value {
    serde_json::json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream})
}
