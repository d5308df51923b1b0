//! Requests on the wire, as the gateway gets them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The dialects, as the pages call them.
pub(crate) const DIALECTS: [&str; 2] = ["OpenAI", "Anthropic"];

/// Where calls of `dialect` go.
pub(crate) fn path(dialect: &str) -> &'static str {
    if dialect == "OpenAI" { "/v1/chat/completions" } else { "/v1/messages" }
}

/// A request on the wire, but for what every one has.
pub(crate) struct Ask {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn post(path: &str, headers: &str, body: &str) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\n{headers}content-length: {}\r\n", body.len());
        Self { head, body: body.to_owned() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1\r\n"), body: String::new() }
    }

    /// A call of `model`.
    pub(crate) fn call(dialect: &str, model: &str, headers: &str, stream: bool) -> Self {
        let body = format!(
            r#"{{"model": "{model}", "max_tokens": 100, "stream": {stream}, "messages": [{{"role": "user", "content": "hi"}}]}}"#
        );
        Self::post(path(dialect), headers, &body)
    }

    /// A call of `model` with more fields, which begin with a comma.
    pub(crate) fn call_with(dialect: &str, model: &str, headers: &str, fields: &str) -> Self {
        let body = format!(
            r#"{{"model": "{model}", "max_tokens": 100, "messages": [{{"role": "user", "content": "hi"}}]{fields}}}"#
        );
        Self::post(path(dialect), headers, &body)
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(&self, gateway: SocketAddr) -> String {
        let host = if self.head.to_lowercase().contains("\r\nhost:") { "" } else { "host: localhost\r\n" };
        let asking = async {
            let mut stream = TcpStream::connect(gateway).await.expect("the gateway listens");
            let request = format!("{}{host}connection: close\r\n\r\n{}", self.head, self.body);
            stream.write_all(request.as_bytes()).await.expect("the gateway reads");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("the gateway answers");
            String::from_utf8(answer).expect("answers are text")
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the gateway answers in time")
    }
}
