//! The sections `limits` and `journal`: every bound that holds for the whole gateway, with what happens at it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, TimeSpan};

/// Bounds that hold for every call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Limits {
    /// The largest request body; a larger one gets 413.
    pub request_body: ByteSize,
    /// The largest head of a request, all headers together; a larger one gets 431.
    pub request_headers: ByteSize,
    /// How long a connection may be without a whole request head: its first, or the next one after an answer; after that
    /// it is closed. Longer than clients keep idle connections, so that none is closed under a request.
    pub header_time: TimeSpan,
    /// How long a request body may pause; after that it gets 408.
    pub body_idle: TimeSpan,
    /// The largest whole answer of a provider; a larger one counts as its fault.
    pub answer_body: ByteSize,
    /// The largest head of a provider's answer; a larger one counts as its fault.
    pub answer_headers: ByteSize,
    /// The largest single event of a provider's stream; a larger one ends the stream as the provider's fault.
    pub event: ByteSize,
    /// How many calls may be under way at once; one more gets 503.
    pub concurrent_calls: u32,
    /// How many client connections may be open at once; one more gets 503 and is closed.
    pub connections: u32,
    /// How long a client may take nothing of an answer that waits for it; after that its connection is closed.
    pub write_stall: TimeSpan,
    /// How long calls under way may go on after the gateway was asked to stop; after that they are ended.
    pub drain: TimeSpan,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body: ByteSize::mib(32),
            request_headers: ByteSize::kib(32),
            header_time: TimeSpan::from_secs(75),
            body_idle: TimeSpan::from_secs(15),
            answer_body: ByteSize::mib(64),
            answer_headers: ByteSize::kib(64),
            event: ByteSize::mib(8),
            concurrent_calls: 10_000,
            connections: 20_000,
            write_stall: TimeSpan::from_secs(30),
            drain: TimeSpan::from_secs(30),
        }
    }
}

impl Limits {
    /// The keys whose value is zero although nothing could work then.
    pub(crate) fn zeros(&self) -> Vec<&'static str> {
        let zero = TimeSpan::default();
        [
            ("request-body", self.request_body.0 == 0),
            ("request-headers", self.request_headers.0 == 0),
            ("header-time", self.header_time == zero),
            ("body-idle", self.body_idle == zero),
            ("answer-body", self.answer_body.0 == 0),
            ("answer-headers", self.answer_headers.0 == 0),
            ("event", self.event.0 == 0),
            ("concurrent-calls", self.concurrent_calls == 0),
            ("connections", self.connections == 0),
            ("write-stall", self.write_stall == zero),
        ]
        .into_iter()
        .filter_map(|(key, is_zero)| is_zero.then_some(key))
        .collect()
    }
}

/// How much of the decision journal is kept. What is older or over the size is dropped, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Journal {
    /// How long records are kept.
    pub max_age: TimeSpan,
    /// How large the journal's file may become.
    pub max_size: ByteSize,
}

impl Default for Journal {
    fn default() -> Self {
        Self { max_age: TimeSpan::from_secs(30 * 86_400), max_size: ByteSize::mib(256) }
    }
}
