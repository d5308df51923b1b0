//! What can go wrong with one attempt, whose fault it is, and what may be done about it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Code, Usage};

/// Who has to change something for this not to happen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// Whoever sent the call.
    Caller,
    /// Whatever should have answered.
    Target,
    /// The way to the target.
    Network,
    /// Tradewind, or how it is configured.
    Gateway,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $blame:ident, $code:ident, $fall_back:literal, $counts:literal;)*) => {
        /// The kinds of fault of an attempt. The names are stable: they stand in records and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FaultKind {
            $($(#[$doc])* $variant,)*
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in records.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// The public code that a client sees when nothing else could answer.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)* }
            }

            /// Whether another target may be tried as long as the caller has seen no byte of an answer.
            #[must_use]
            pub const fn may_fall_back(self) -> bool {
                match self { $(Self::$variant => $fall_back,)* }
            }

            /// Whether it speaks against the target's health: counts to its breaker, error rate and latency.
            #[must_use]
            pub const fn counts_against_target(self) -> bool {
                match self { $(Self::$variant => $counts,)* }
            }

            /// The kind of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

faults! {
    // name, whose fault, public code, may fall back, counts against the target
    /// The provider's host name does not resolve.
    Dns = "dns", Network, Unreachable, true, true;
    /// Nobody listens.
    ConnectRefused = "connect_refused", Network, Unreachable, true, true;
    /// No answer to the connection attempt.
    ConnectTimeout = "connect_timeout", Network, Unreachable, true, true;
    /// Certificate or handshake not acceptable. Never retried on the same target, never downgraded.
    Tls = "tls", Target, Tls, true, true;
    /// The TLS handshake hangs.
    TlsTimeout = "tls_timeout", Network, Unreachable, true, true;
    /// The connection was reset or closed before a response.
    Reset = "reset", Network, Unreachable, true, true;
    /// HTTP/2: the server says that it has not touched the request.
    H2Refused = "h2_refused", Target, Unreachable, true, true;
    /// A proxy on the way does not resolve, does not listen, does not answer or has no acceptable certificate.
    ProxyUnreachable = "proxy_unreachable", Network, ProxyUnreachable, true, true;
    /// A proxy on the way said that it cannot or will not connect, broke off, or said something that is no answer.
    ProxyFailed = "proxy_failed", Network, ProxyFailed, true, true;
    /// 407, or its like in SOCKS: a proxy on the way wants a login that the gateway does not have.
    ProxyLogin = "proxy_login", Gateway, ProxyLogin, true, false;
    /// The way out is of a type that is not built. Never replaced by a direct connection.
    WayNotBuilt = "way_not_built", Gateway, WayNotBuilt, true, false;
    /// The way out lets nothing through, or not this: `REJECT`, datagrams through an HTTP proxy.
    WayRejected = "way_rejected", Gateway, WayRejected, true, false;
    /// The way out has no end: a name that nothing has, a chain that leads back to itself.
    WayBroken = "way_broken", Gateway, WayBroken, true, false;
    /// The script that picks the proxy (PAC) cannot be had, or does not answer.
    WayScript = "way_script", Network, WayScript, true, true;
    /// What came back is not HTTP.
    Protocol = "protocol", Target, BadAnswer, true, true;
    /// No response head in time.
    HeadersTimeout = "headers_timeout", Target, TooSlow, true, true;
    /// A response head, then nothing, until the first-token limit.
    FirstTokenTimeout = "first_token_timeout", Target, TooSlow, true, true;
    /// The stream stalled after it had begun.
    IdleTimeout = "idle_timeout", Target, StreamStalled, false, true;
    /// The model's `total` passed.
    TotalTimeout = "total_timeout", Target, Deadline, false, true;
    /// The caller's own deadline passed.
    Deadline = "deadline", Caller, Deadline, false, false;
    /// The stream or body broke off: no terminal event, a cut chunked body.
    Cut = "cut", Target, StreamCut, true, true;
    /// `Content-Length` and body disagree.
    LengthMismatch = "length_mismatch", Target, BadAnswer, true, true;
    /// One event of the stream is not what the dialect says.
    BadEvent = "bad_event", Target, StreamError, true, true;
    /// The provider sent an error event inside a stream that began with 200.
    ErrorEvent = "error_event", Target, StreamError, true, true;
    /// HTML where JSON was due, JSON where a stream was due.
    WrongContentType = "wrong_content_type", Target, BadAnswer, true, true;
    /// 200 with no answer in it.
    EmptyAnswer = "empty_answer", Target, BadAnswer, true, true;
    /// The body is not JSON.
    BadJson = "bad_json", Target, BadAnswer, true, true;
    /// JSON without the fields that the dialect requires.
    BadShape = "bad_shape", Target, BadAnswer, true, true;
    /// Tool-call arguments that do not add up to JSON.
    BadToolCall = "bad_tool_call", Target, BadAnswer, true, true;
    /// Body, event or headers over the limit.
    TooLarge = "too_large", Target, AnswerTooLarge, true, true;
    /// Compressed in a way that was not asked for and cannot be undone.
    BadEncoding = "bad_encoding", Target, BadAnswer, true, true;
    /// 429. Cools that key and model; not a sign of ill health.
    RateLimited = "rate_limited", Target, RateLimited, true, false;
    /// 5xx.
    ServerError = "server_error", Target, ProviderFailed, true, true;
    /// 401 or 403: the key that the gateway holds is not accepted.
    Unauthorized = "unauthorized", Gateway, KeyRefused, true, false;
    /// 404: this target does not know the model or the path. Another one may.
    NotFound = "not_found", Gateway, ProviderFailed, true, true;
    /// Another 4xx: the request itself is refused; another target would refuse it too.
    Rejected = "rejected", Caller, Rejected, false, false;
    /// 3xx: never followed.
    Redirect = "redirect", Target, Redirected, true, true;
    /// The target has no such path, or does not let this key use it; other paths may well work.
    NoSuchPath = "no_such_path", Caller, Inexpressible, true, false;
    /// A good answer that cannot be said in the caller's dialect.
    Untranslatable = "untranslatable", Gateway, BadAnswer, true, false;
    /// A whole answer that a quality gate of the model holds back. Another target may do better; says nothing about health.
    Quality = "quality", Target, NotFitToGive, true, false;
    /// The caller's key was revoked while its stream was running.
    KeyRevoked = "key_revoked", Caller, KeyRevoked, false, false;
    /// The caller's key may not use this, or has used up what it may.
    KeyLimit = "key_limit", Caller, NotAllowed, false, false;
    /// Its permits and its queue are used up.
    Busy = "busy", Gateway, AllBusy, true, false;
    /// The caller went away.
    ClientGone = "client_gone", Caller, Deadline, false, false;
    /// The caller stopped reading.
    ClientStalled = "client_stalled", Caller, Deadline, false, false;
    /// Another attempt of the same call was faster.
    LostHedge = "lost_hedge", Gateway, Internal, false, false;
    /// A file of a module is not what the checksum database, the rules of zips or an earlier answer say.
    Unverified = "unverified", Target, ModuleUnverified, true, false;
    /// The rules of the document leave a module or version out.
    LeftOut = "left_out", Gateway, ModuleLeftOut, false, false;
    /// Something could not be stored: the disk is full, or broken.
    Storage = "storage", Gateway, ModuleStorage, false, false;
    /// The gateway is stopping and the drain time is over.
    Draining = "draining", Gateway, Draining, false, false;
    /// A defect of the gateway.
    Internal = "internal", Gateway, Internal, false, false;
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One fault of one attempt, with what is known about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// What happened, for a person: names hosts and limits, never the text of prompts or answers.
    pub detail: Cow<'static, str>,
    /// The status that the target answered with, if it did.
    pub status: Option<u16>,
    /// How long the target asked to be left alone, already capped.
    pub retry_after: Option<Duration>,
    /// What the target says that it used, where its answer was read and no good all the same.
    pub usage: Option<Usage>,
    /// Whether the request certainly never reached the target, so that sending it again has no effect twice.
    pub never_sent: bool,
}

impl Fault {
    /// A fault of `kind`, explained by `detail`.
    pub fn new(kind: FaultKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), status: None, retry_after: None, usage: None, never_sent: false }
    }

    /// The same fault, with the certainty that nothing was sent.
    #[must_use]
    pub fn before_sending(mut self) -> Self {
        self.never_sent = true;
        self
    }

    /// The same fault, with what the target says that it used.
    #[must_use]
    pub fn with_usage(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage.or(self.usage);
        self
    }

    /// The same fault, with the target's status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_name(kind.name()), Some(*kind));
        }
    }

    #[test]
    fn what_the_caller_did_never_counts_against_the_target() {
        for kind in FaultKind::ALL.iter().filter(|kind| kind.blame() == Blame::Caller) {
            assert!(!kind.counts_against_target(), "{kind}");
        }
    }
}
