//! What callers do: ask in every wire format, whole or streamed, and stay or leave.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{EXACT, EXACT_MODELS, ROUGH, ROUGH_MODELS, TIGHT, Wire, bearer};
use crate::support::{Answer, find, now, post, send};

/// How long a caller stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    ToTheEnd,
    /// Leaves so long after asking, wherever the answer is by then.
    For(Duration),
    /// Leaves when so many events have come.
    UntilEvents(usize),
    /// Leaves in the middle of the question.
    WhileAsking,
    /// Has the gateway give up after so long.
    Patience(Duration),
}

/// One call.
#[derive(Debug)]
pub(super) struct Caller {
    number: u64,
    pub(super) key: &'static str,
    model: &'static str,
    wire: Wire,
    stream: bool,
    stay: Stay,
}

impl Caller {
    /// The caller of this number: always the same.
    pub(super) fn new(number: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(number);
        let wire = Wire::ALL[random.usize(..3)];
        let stream = random.bool();
        let exact = |key, random: &mut fastrand::Rng| Self {
            number,
            key,
            model: EXACT_MODELS[random.usize(..3)],
            wire,
            stream,
            stay: Stay::ToTheEnd,
        };
        match random.usize(..10) {
            choice @ 0..4 => exact(EXACT[choice % 2], &mut random),
            4 => exact(TIGHT, &mut random),
            choice => {
                let stay = match random.usize(..10) {
                    0..4 => Stay::ToTheEnd,
                    4 | 5 => Stay::For(Duration::from_millis(random.u64(..60))),
                    6 | 7 => Stay::UntilEvents(random.usize(1..14)),
                    8 => Stay::WhileAsking,
                    _ => Stay::Patience(Duration::from_millis(random.u64(10..60))),
                };
                Self { number, key: ROUGH[choice % 2], model: ROUGH_MODELS[random.usize(..3)], wire, stream, stay }
            }
        }
    }

    /// The trace that the gateway and the providers see.
    pub(super) fn trace(number: u64) -> String {
        format!("{:032x}", u128::from(number) + 1)
    }

    /// Makes the call; `None` for one who leaves.
    pub(super) async fn call(&self, address: SocketAddr) -> Option<Answer> {
        let patience = match self.stay {
            Stay::Patience(time) => format!("x-tradewind-timeout: {}ms\r\n", time.as_millis()),
            _ => String::new(),
        };
        let trace = Self::trace(self.number);
        let headers = format!("{}traceparent: 00-{trace}-00f067aa0ba902b7-00\r\n{patience}", bearer(self.key));
        let body = self.wire.question(self.model, self.stream).to_string();
        let mut request = post(self.wire.path(), &headers, &body);
        match self.stay {
            Stay::ToTheEnd | Stay::Patience(_) => return Some(send(address, &request).await),
            Stay::WhileAsking => request.truncate(request.len() - 100),
            Stay::For(_) | Stay::UntilEvents(_) => {}
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        match self.stay {
            // A client whose own time limit passes: it reads until then.
            Stay::For(limit) => drop(tokio::time::timeout(limit, stream.read_to_end(&mut Vec::new())).await),
            Stay::UntilEvents(count) => read_events(&mut stream, count).await,
            Stay::ToTheEnd | Stay::WhileAsking | Stay::Patience(_) => {}
        }
        None
    }

    /// Whether `answer` is a whole one with status 200.
    pub(super) fn is_answered(&self, answer: &Answer) -> bool {
        answer.status == 200 && (!self.stream || answer.text().contains(self.wire.end()))
    }
}

/// Reads until `count` events have come, or the end.
async fn read_events(stream: &mut TcpStream, count: usize) {
    let (began, mut bytes, mut seen, mut from) = (now(), Vec::new(), 0, 0);
    while seen < count {
        assert!(began.elapsed() < Duration::from_secs(30), "an answer does not go on");
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        while let Some(at) = find(&bytes[from..], b"\n\n") {
            seen += 1;
            from += at + 2;
        }
    }
}
