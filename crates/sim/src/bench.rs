//! The fast upstream for benchmarks: answers that were made beforehand, one thread with its own runtime per worker, no
//! record and no faults. What it answers does not depend on the prompt.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::SimOptions;
use crate::answer::Composed;
use crate::ask::{Ask, Endpoint};
use crate::request::parse_chunked;
use crate::script::{Part, Reply, Step};
use crate::{openai, sse};

/// How long an idle worker's queue of new connections may grow; beyond it the acceptor waits.
const QUEUED_CONNECTIONS: usize = 1024;

/// A running fast upstream. Stops when it is dropped.
#[derive(Debug)]
pub struct BenchServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl BenchServer {
    /// Starts on 127.0.0.1 with `threads` workers. Of `options`, the name, the port, the number of tokens and the tempo
    /// count: first-token time (its median) and tokens per second.
    ///
    /// # Errors
    /// When the port is taken or a thread cannot be started.
    pub fn start(options: &SimOptions, threads: usize) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let answers = Arc::new(Answers::new(options));
        let (stop, stopped) = oneshot::channel();
        let mut handles = Vec::new();
        let mut workers = Vec::new();
        for number in 0..threads.max(1) {
            let (sender, connections) = mpsc::channel(QUEUED_CONNECTIONS);
            workers.push(sender);
            let answers = Arc::clone(&answers);
            handles.push(thread(&format!("sim-bench-{number}"), work(connections, answers))?);
        }
        handles.push(thread("sim-bench-accept", accept(listener, workers, stopped))?);
        Ok(Self { address, stop: Some(stop), threads: handles })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        // The acceptor drops the workers' queues, and a worker ends with its queue.
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

/// A thread with a runtime of its own.
fn thread(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work))
}

async fn accept(
    listener: std::net::TcpListener,
    workers: Vec<mpsc::Sender<std::net::TcpStream>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    for worker in workers.iter().cycle() {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // The worker's own reactor has to watch it, not this one.
                let Ok(stream) = stream.into_std() else { continue };
                if worker.send(stream).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn work(mut connections: mpsc::Receiver<std::net::TcpStream>, answers: Arc<Answers>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            next = connections.recv() => {
                let Some(stream) = next else { return };
                if let Ok(stream) = TcpStream::from_std(stream) {
                    drop(stream.set_nodelay(true));
                    tasks.spawn(serve(stream, Arc::clone(&answers)));
                }
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// What was made beforehand.
struct Answers {
    first_token: Duration,
    chat: Bytes,
    chat_stream: Vec<Step>,
    messages: Bytes,
    messages_stream: Vec<Step>,
    embeddings: Bytes,
    count: Bytes,
    models: Bytes,
    other: Bytes,
}

impl Answers {
    fn new(options: &SimOptions) -> Self {
        let ask = |endpoint: Endpoint| {
            let body = br#"{"model": "bench", "max_tokens": 100000, "messages": [], "input": "bench", "prompt": ""}"#;
            Ask::read(endpoint, body).expect("the body written here is right").0
        };
        let composed = |ask: &Ask| Composed::new(ask, &options.name, options.seed, options.answer_tokens, None);
        let interval = options.token_interval();
        let whole = |endpoint: Endpoint| {
            let ask = ask(endpoint);
            rendered(Reply::json(200, &composed(&ask).whole(&ask)))
        };
        let stream = |endpoint: Endpoint| {
            let ask = Ask { include_usage: true, ..ask(endpoint) };
            let events = composed(&ask).events(&ask);
            let mut parts = Vec::new();
            for part in sse::encode(&events, None) {
                if part.is_content() && !interval.is_zero() {
                    parts.push(Part::Wait(interval));
                }
                parts.push(part);
            }
            let mut reply = Reply::stream(parts);
            // Without a tempo, the whole stream is one write.
            reply.together = true;
            reply.script()
        };
        let embeddings = openai::embeddings(&ask(Endpoint::Embeddings), options.seed);
        let json = |text: &str| rendered(Reply::whole(200, "application/json", text.to_owned()));
        Self {
            first_token: options.first_token.median(),
            chat: whole(Endpoint::ChatCompletions),
            chat_stream: stream(Endpoint::ChatCompletions),
            messages: whole(Endpoint::Messages),
            messages_stream: stream(Endpoint::Messages),
            embeddings: rendered(Reply::json(200, &embeddings)),
            count: json("{\"input_tokens\":1}"),
            models: rendered(Reply::json(200, &openai::models(&["bench".to_owned()], &options.name))),
            other: json("{}"),
        }
    }

    /// Which answer a request gets.
    fn choose(&self, path: &str, body: &[u8]) -> Answer<'_> {
        match path {
            "/v1/messages/count_tokens" => Answer::Whole(&self.count),
            "/v1/messages" if asks_for_stream(body) => Answer::Stream(&self.messages_stream),
            "/v1/messages" => Answer::Whole(&self.messages),
            "/v1/chat/completions" if asks_for_stream(body) => Answer::Stream(&self.chat_stream),
            "/v1/chat/completions" => Answer::Whole(&self.chat),
            "/v1/embeddings" => Answer::Whole(&self.embeddings),
            "/v1/models" => Answer::Whole(&self.models),
            _ => Answer::Whole(&self.other),
        }
    }
}

enum Answer<'a> {
    Whole(&'a Bytes),
    Stream(&'a [Step]),
}

fn rendered(reply: Reply) -> Bytes {
    match reply.script().as_slice() {
        [Step::Send(bytes)] => bytes.clone(),
        steps => unreachable!("a whole reply is one write, not {steps:?}"),
    }
}

/// Whether the body holds `"stream": true`. The first occurrence decides; the load generator and clients write it at
/// the top level.
fn asks_for_stream(body: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(body, b"\"stream\"") else { return false };
    let rest = body[at + 8..].trim_ascii_start();
    rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
}

/// One request in the buffer: what to answer, and how many bytes it takes. `None` while it is not complete.
fn next<'a>(buffer: &[u8], answers: &'a Answers) -> Result<Option<(Answer<'a>, usize)>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(head) = request.parse(buffer).map_err(drop)? else { return Ok(None) };
    let mut length = 0_usize;
    let mut chunked = false;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).map_err(drop)?;
            length = text.trim().parse().map_err(drop)?;
        }
        chunked |= header.name.eq_ignore_ascii_case("transfer-encoding");
    }
    let path = request.path.unwrap_or_default();
    if chunked {
        let Some((body, used)) = parse_chunked(&buffer[head..]).map_err(drop)? else { return Ok(None) };
        return Ok(Some((answers.choose(path, &body), head + used)));
    }
    let Some(body) = buffer.get(head..head.saturating_add(length)) else { return Ok(None) };
    Ok(Some((answers.choose(path, body), head + length)))
}

async fn serve(mut stream: TcpStream, answers: Arc<Answers>) {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        loop {
            let (answer, used) = match next(&buffer, &answers) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(()) => return,
            };
            if !answers.first_token.is_zero() {
                tokio::time::sleep(answers.first_token).await;
            }
            if reply(&mut stream, &answer).await.is_err() {
                return;
            }
            if used == buffer.len() {
                buffer.clear();
            } else {
                buffer.drain(..used);
            }
        }
        buffer.reserve(4096);
    }
}

async fn reply(stream: &mut TcpStream, answer: &Answer<'_>) -> io::Result<()> {
    match answer {
        Answer::Whole(bytes) => stream.write_all(bytes).await,
        Answer::Stream(steps) => {
            for step in *steps {
                match step {
                    Step::Send(bytes) => stream.write_all(bytes).await?,
                    Step::Wait(time) => tokio::time::sleep(*time).await,
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_off_the_buffer_one_by_one() {
        let answers = Answers::new(&SimOptions::default());
        let one = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 16\r\n\r\n{\"stream\" : true";
        let mut two = one.to_vec();
        two.extend_from_slice(b"GET /v1/models HTTP/1.1\r\n\r\n");
        let (answer, used) = next(&two, &answers).unwrap().unwrap();
        assert!(matches!(answer, Answer::Stream(_)));
        assert_eq!(used, one.len());
        let (answer, used) = next(&two[used..], &answers).unwrap().unwrap();
        assert!(matches!(answer, Answer::Whole(bytes) if bytes.ends_with(b"\"object\":\"list\"}")));
        assert_eq!(used, two.len() - one.len());
        assert!(next(&one[..one.len() - 1], &answers).unwrap().is_none());
    }

    #[test]
    fn a_stream_is_asked_for_by_its_field() {
        assert!(asks_for_stream(b"{\"stream\":true}"));
        assert!(asks_for_stream(b"{\"stream\" :\n true, \"x\": 1}"));
        assert!(!asks_for_stream(b"{\"stream\":false}"));
        assert!(!asks_for_stream(b"{\"stream_options\":{}}"));
    }
}
