//! The load generator: what to send, how it is paced, what came of it.
//!
//! `client` reads answers off the wire, `drive` runs the callers, `compare` sets a target against a baseline. Callers are
//! tasks on one thread: generator, gateway and upstream share a few cores, and the generator should take little of them.

mod client;
mod compare;
mod drive;
mod report;

pub use compare::{Comparison, compare_load};
pub use drive::put_load;
pub use report::{LoadReport, Spread};

pub(crate) use client::now;
pub(crate) use report::Times;

use std::net::SocketAddr;
use std::time::Duration;

use tradewind_core::Dialect;

/// When the next call begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// So many callers, each with one call at a time.
    Closed {
        /// How many.
        callers: usize,
    },
    /// So many calls a second whatever becomes of them, over at most so many connections. A call that has to wait for
    /// a connection counts from when it should have begun, so that a stall is not hidden (no coordinated omission).
    Open {
        /// Calls a second.
        rate: f64,
        /// Most connections.
        connections: usize,
    },
}

/// What to put on a target.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where to; plain HTTP.
    pub target: SocketAddr,
    /// The path, `/v1/chat/completions`.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    pub body: Vec<u8>,
    /// Whether the answer is a stream that has to end with its terminal event.
    pub stream: bool,
    /// When the next call begins.
    pub arrivals: Arrivals,
    /// How long calls are begun and measured.
    pub lasting: Duration,
    /// How long calls are made before that, unmeasured.
    pub warm_up: Duration,
}

impl LoadOptions {
    /// Small chat calls to `target`, for a second after a warm-up of 200 ms.
    #[must_use]
    pub fn chat(target: SocketAddr, dialect: Dialect, model: &str, stream: bool, arrivals: Arrivals) -> Self {
        let model = serde_json::Value::from(model);
        let prompt = r#"[{"role":"user","content":"Which way does the wind blow in the harbour today?"}]"#;
        let (path, headers) = match dialect {
            Dialect::OpenAi => ("/v1/chat/completions", vec![]),
            Dialect::Anthropic => ("/v1/messages", vec![("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
        };
        let body = format!(r#"{{"model":{model},"messages":{prompt},"max_tokens":1024,"stream":{stream}}}"#);
        Self {
            target,
            path: path.to_owned(),
            headers,
            body: body.into_bytes(),
            stream,
            arrivals,
            lasting: Duration::from_secs(1),
            warm_up: Duration::from_millis(200),
        }
    }

    /// The bytes of one request.
    fn request(&self) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.path,
            self.target,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
