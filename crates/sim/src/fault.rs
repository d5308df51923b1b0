//! The faults by name: what they are, which row of the fault table they belong to, what argument they take.
//!
//! Only names and arguments. How a fault is produced is in `inject` (content, framing, script), `tls`, `http2` and
//! `network` (connection level).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tradewind_core::{nearest, parse_duration};

/// What a simulated provider has to be for a fault to be possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it can be chosen for each call, by header, by model name, or as the standing fault.
    Nothing,
    /// It is a matter of the address: only as the fault that the sim is started with.
    Listener,
    /// It is a matter of the TLS handshake: only as the standing fault of a sim with TLS.
    Tls,
    /// It is a matter of the HTTP/2 connection: only as the standing fault of a sim with TLS and HTTP/2.
    Http2,
}

/// In which kind of answer a fault can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenIn {
    /// Whole answers and streams.
    Both,
    /// Streams; a whole answer comes as if there were no fault.
    Streams,
}

/// What may stand after the colon of `NAME:ARGUMENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A duration, `250ms`.
    Duration,
    /// A duration, an event count after `@`, or both: `5s`, `@3`, `5s@3`.
    DurationAfter,
    /// How many events of content come first.
    Count,
    /// A number of bytes, or bytes a second.
    Bytes,
    /// A factor of at least 1.
    Factor,
    /// Any text without line breaks.
    Text,
    /// Another fault, with its own argument.
    Fault,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $row:literal, $needs:ident, $seen:ident, $takes:ident;)*) => {
        /// A fault that the simulator produces. The number in front is its row in the table of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SimFault {
            $($(#[doc = $doc])* $variant,)*
        }

        impl SimFault {
            /// Every fault, by row.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the command line, in headers and in model names.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its row in the table of faults.
            #[must_use]
            pub const fn row(self) -> u8 {
                match self { $(Self::$variant => $row,)* }
            }

            /// What the sim has to be for it.
            #[must_use]
            pub const fn needs(self) -> Needs {
                match self { $(Self::$variant => Needs::$needs,)* }
            }

            /// In which answers it can be seen.
            #[must_use]
            pub const fn seen_in(self) -> SeenIn {
                match self { $(Self::$variant => SeenIn::$seen,)* }
            }

            /// What argument it takes; every argument may be left out.
            #[must_use]
            pub const fn takes(self) -> Takes {
                match self { $(Self::$variant => Takes::$takes,)* }
            }

            /// What it is, in one line.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)*).trim_ascii(),)* }
            }
        }
    };
}

faults! {
    // name, row, what the sim needs, where it is seen, its argument
    /// 1: the host name does not resolve
    Dns = "dns", 1, Listener, Both, Nothing;
    /// 2: nobody listens on the port
    ConnectRefused = "connect-refused", 2, Listener, Both, Nothing;
    /// 3: the accept queue is full, so that a connection attempt is never answered
    ConnectBlackHole = "connect-black-hole", 3, Listener, Both, Nothing;
    /// 4: the certificate has expired
    TlsExpired = "tls-expired", 4, Tls, Both, Nothing;
    /// 4: the certificate is for another host
    TlsWrongHost = "tls-wrong-host", 4, Tls, Both, Nothing;
    /// 4: the certificate is signed by an authority that nobody trusts
    TlsUntrusted = "tls-untrusted", 4, Tls, Both, Nothing;
    /// 4: the certificate is signed by itself
    TlsSelfSigned = "tls-self-signed", 4, Tls, Both, Nothing;
    /// 5: the connection is accepted and the TLS handshake never answered
    TlsHang = "tls-hang", 5, Tls, Both, Nothing;
    /// 6: RST instead of a response
    ResetBeforeResponse = "reset-before-response", 6, Nothing, Both, Nothing;
    /// 6: FIN instead of a response
    CloseBeforeResponse = "close-before-response", 6, Nothing, Both, Nothing;
    /// 7: RST while the request's body is still being sent (by a model name: once it has been sent)
    ResetDuringUpload = "reset-during-upload", 7, Nothing, Both, Nothing;
    /// 7: FIN while the request's body is still being sent (by a model name: once it has been sent)
    CloseDuringUpload = "close-during-upload", 7, Nothing, Both, Nothing;
    /// 8: a kept connection is closed as soon as its next request arrives; the first request on each is answered
    StaleKeepAlive = "stale-keep-alive", 8, Nothing, Both, Nothing;
    /// 8: the answer promises keep-alive and the connection is closed right behind it
    CloseAfterResponse = "close-after-response", 8, Nothing, Both, Nothing;
    /// 9: the request is read and no response head ever comes
    NoHeaders = "no-headers", 9, Nothing, Both, Nothing;
    /// 9: the whole response, its head included, after the given time (2s)
    SlowHeaders = "slow-headers", 9, Nothing, Both, Duration;
    /// 10: 200 with its head, then nothing
    HangAfterHeaders = "hang-after-headers", 10, Nothing, Both, Nothing;
    /// 11: the head at once, the first token after the given time (2s)
    SlowFirstToken = "slow-first-token", 11, Nothing, Both, Duration;
    /// 12: after so many events of content (2; half of a whole answer) nothing, for the given time or for ever
    Stall = "stall", 12, Nothing, Both, DurationAfter;
    /// 13: one byte of the body per interval (1s)
    Drip = "drip", 13, Nothing, Both, Duration;
    /// 14: so many bytes of the body a second (2000)
    BandwidthCap = "bandwidth-cap", 14, Nothing, Both, Bytes;
    /// 15: after so many events of content (2; half of a whole answer) a clean end of the chunked body
    MidStreamCut = "mid-stream-cut", 15, Nothing, Both, Count;
    /// 15: the same, in a body that is delimited by the end of the connection
    MidStreamClose = "mid-stream-close", 15, Nothing, Both, Count;
    /// 15: the same, with RST
    MidStreamReset = "mid-stream-reset", 15, Nothing, Both, Count;
    /// 15: all content and the finish reason, but no terminal event
    NoTerminal = "no-terminal", 15, Nothing, Streams, Nothing;
    /// 16: the connection ends inside a chunk, after so many events of content (2)
    ChunkedTruncated = "chunked-truncated", 16, Nothing, Both, Count;
    /// 16: a chunk size that is no number, after so many events of content (2)
    ChunkedBadSize = "chunked-bad-size", 16, Nothing, Both, Count;
    /// 17: Content-Length promises 100 bytes more than come before the connection ends
    ContentLengthLong = "content-length-long", 17, Nothing, Both, Nothing;
    /// 17: Content-Length promises less than comes; the rest looks like another response
    ContentLengthShort = "content-length-short", 17, Nothing, Both, Nothing;
    /// 17: two Content-Length headers that differ
    ContentLengthConflict = "content-length-conflict", 17, Nothing, Both, Nothing;
    /// 18: one event whose data is not JSON, after so many events of content (2)
    MalformedEvent = "malformed-event", 18, Nothing, Streams, Count;
    /// 19: every byte in a TCP segment of its own, the head included
    SplitEveryByte = "split-every-byte", 19, Nothing, Both, Nothing;
    /// 19: segments of 1 to 16 bytes, by seed
    SplitRandom = "split-random", 19, Nothing, Both, Nothing;
    /// 20: lines end in CRLF
    SseCrlf = "sse-crlf", 20, Nothing, Streams, Nothing;
    /// 20: lines end in CR
    SseCr = "sse-cr", 20, Nothing, Streams, Nothing;
    /// 20: lines end in CRLF, CR and LF by turns
    SseMixedLineEnds = "sse-mixed-line-ends", 20, Nothing, Streams, Nothing;
    /// 20: comment lines, `retry:` fields and unknown fields between the events
    SseComments = "sse-comments", 20, Nothing, Streams, Nothing;
    /// 20: the data of each event over several `data:` lines, some without the space
    SseMultiLineData = "sse-multi-line-data", 20, Nothing, Streams, Nothing;
    /// 20: a byte order mark in front of the stream
    SseBom = "sse-bom", 20, Nothing, Streams, Nothing;
    /// 20: the terminal event lacks its blank line, so that by the SSE rules it never happened
    SseNoFinalBlankLine = "sse-no-final-blank-line", 20, Nothing, Streams, Nothing;
    /// 21: an error event as the first event after 200
    ErrorEventFirst = "error-event-first", 21, Nothing, Streams, Nothing;
    /// 21: an error event after so many events of content (2)
    ErrorEventLater = "error-event-later", 21, Nothing, Streams, Count;
    /// 22: every opening and closing event twice
    DuplicateEvents = "duplicate-events", 22, Nothing, Streams, Nothing;
    /// 22: the finish comes before the last content
    OutOfOrderEvents = "out-of-order-events", 22, Nothing, Streams, Nothing;
    /// 22: more content after the terminal event
    EventsAfterTerminal = "events-after-terminal", 22, Nothing, Streams, Nothing;
    /// 23: 200 with the HTML of a captive portal
    Html200 = "html-200", 23, Nothing, Both, Nothing;
    /// 23: a whole JSON answer although a stream was asked for
    JsonForStream = "json-for-stream", 23, Nothing, Streams, Nothing;
    /// 24: 200 with an empty body
    EmptyBody = "empty-body", 24, Nothing, Both, Nothing;
    /// 24: 200 with a well-formed answer that holds no choice and no content
    EmptyChoices = "empty-choices", 24, Nothing, Both, Nothing;
    /// 25: the JSON ends in the middle, the framing is right (streams: the JSON of the first content event)
    TruncatedJson = "truncated-json", 25, Nothing, Both, Nothing;
    /// 26: required fields are missing
    MissingFields = "missing-fields", 26, Nothing, Both, Nothing;
    /// 26: fields that nobody knows, and nulls in optional places
    UnknownFields = "unknown-fields", 26, Nothing, Both, Nothing;
    /// 27: one chunk of so many bytes (64 MiB) of blanks before the answer
    HugeChunk = "huge-chunk", 27, Nothing, Both, Bytes;
    /// 27: one event (whole answer: one string) of so many bytes (32 MiB)
    HugeEvent = "huge-event", 27, Nothing, Both, Bytes;
    /// 27: a body of so many bytes (128 MiB) in many parts
    HugeBody = "huge-body", 27, Nothing, Both, Bytes;
    /// 27: response headers of so many bytes (1 MiB)
    HugeHeaders = "huge-headers", 27, Nothing, Both, Bytes;
    /// 28: a gzip body that decodes to so many bytes (256 MiB)
    GzipBomb = "gzip-bomb", 28, Nothing, Both, Bytes;
    /// 28: gzip by its header, not by its bytes
    BadGzip = "bad-gzip", 28, Nothing, Both, Nothing;
    /// 28: a right gzip body, though nobody asked for it
    GzipUnasked = "gzip-unasked", 28, Nothing, Both, Nothing;
    /// 28: a content encoding that nobody knows
    UnknownEncoding = "unknown-encoding", 28, Nothing, Both, Nothing;
    /// 29: 429 with Retry-After in seconds (1)
    RateLimitSeconds = "rate-limit-seconds", 29, Nothing, Both, Duration;
    /// 29: 429 with Retry-After as an HTTP date that far ahead (2s)
    RateLimitDate = "rate-limit-date", 29, Nothing, Both, Duration;
    /// 29: 429 with the vendor's own reset headers, that far ahead (1s)
    RateLimitVendor = "rate-limit-vendor", 29, Nothing, Both, Duration;
    /// 30: 429 that says nothing about when
    RateLimitBare = "rate-limit-bare", 30, Nothing, Both, Nothing;
    /// 31: 429 with Retry-After of the given text (1000000000)
    RetryAfter = "retry-after", 31, Nothing, Both, Text;
    /// 31: 429 with a negative Retry-After
    RetryAfterNegative = "retry-after-negative", 31, Nothing, Both, Nothing;
    /// 31: 429 with a Retry-After that is no time at all
    RetryAfterGarbage = "retry-after-garbage", 31, Nothing, Both, Nothing;
    /// 32: 500
    Error500 = "error-500", 32, Nothing, Both, Nothing;
    /// 32: 502 with a proxy's HTML page
    Error502 = "error-502", 32, Nothing, Both, Nothing;
    /// 32: 503
    Error503 = "error-503", 32, Nothing, Both, Nothing;
    /// 32: 504
    Error504 = "error-504", 32, Nothing, Both, Nothing;
    /// 32: 529, overloaded
    Error529 = "error-529", 32, Nothing, Both, Nothing;
    /// 33: 401
    Error401 = "error-401", 33, Nothing, Both, Nothing;
    /// 33: 403
    Error403 = "error-403", 33, Nothing, Both, Nothing;
    /// 34: 400
    Error400 = "error-400", 34, Nothing, Both, Nothing;
    /// 34: 404, no such model
    Error404 = "error-404", 34, Nothing, Both, Nothing;
    /// 34: 413
    Error413 = "error-413", 34, Nothing, Both, Nothing;
    /// 34: 422
    Error422 = "error-422", 34, Nothing, Both, Nothing;
    /// 34: the prompt is longer than the model's context
    ContextTooLong = "context-too-long", 34, Nothing, Both, Nothing;
    /// 35: 307 to the given address (the sim itself under another host name, where a visit is counted)
    Redirect = "redirect", 35, Nothing, Both, Text;
    /// 36: 100 Continue, unasked, before the answer
    Interim100 = "interim-100", 36, Nothing, Both, Nothing;
    /// 36: 103 Early Hints before the answer
    Interim103 = "interim-103", 36, Nothing, Both, Nothing;
    /// 36: an HTTP/1.0 answer, delimited by the end of the connection
    Http10 = "http-1-0", 36, Nothing, Both, Nothing;
    /// 36: trailers behind the chunked body
    Trailers = "trailers", 36, Nothing, Both, Nothing;
    /// 37: HTTP/2: GOAWAY in answer to the first request, which was not looked at
    H2GoAway = "h2-goaway", 37, Http2, Both, Nothing;
    /// 37: HTTP/2: RST_STREAM with REFUSED_STREAM
    H2RefusedStream = "h2-refused-stream", 37, Http2, Both, Nothing;
    /// 37: HTTP/2: RST_STREAM with INTERNAL_ERROR
    H2InternalError = "h2-internal-error", 37, Http2, Both, Nothing;
    /// 37: HTTP/2: a receive window of 0 that never grows, and no answer
    H2Stall = "h2-stall", 37, Http2, Both, Nothing;
    /// 38: every other call fails with the given fault (error-500)
    Flapping = "flapping", 38, Nothing, Both, Fault;
    /// 39: slower by the given factor (10), and one call in twenty fails with 500
    Gray = "gray", 39, Nothing, Both, Factor;
    /// 41: 503 at once, before the body is read
    FastFail = "fast-fail", 41, Nothing, Both, Nothing;
    /// 46: a tool call whose arguments come one character an event
    ToolArgumentsSplit = "tool-arguments-split", 46, Nothing, Both, Nothing;
    /// 46: a tool call whose arguments do not add up to JSON
    ToolArgumentsInvalid = "tool-arguments-invalid", 46, Nothing, Both, Nothing;
    /// 49: no usage
    UsageMissing = "usage-missing", 49, Nothing, Both, Nothing;
    /// 49: negative token counts
    UsageNegative = "usage-negative", 49, Nothing, Both, Nothing;
    /// 49: token counts of 2^64 - 1, whose sum overflows
    UsageOverflow = "usage-overflow", 49, Nothing, Both, Nothing;
    /// 49: token counts that are text
    UsageWrongType = "usage-wrong-type", 49, Nothing, Both, Nothing;
}

impl SimFault {
    /// This fault with its default argument.
    #[must_use]
    pub fn injection(self) -> Injection {
        Injection { fault: self, argument: None }
    }

    /// This fault with `argument`.
    ///
    /// # Errors
    /// When it takes no argument, or `argument` is not of the kind that it takes.
    pub fn with(self, argument: &str) -> Result<Injection, ParseFaultError> {
        let refused = || ParseFaultError::Argument { fault: self, argument: argument.chars().take(60).collect() };
        let fits = match self.takes() {
            Takes::Nothing => false,
            Takes::Duration => parse_duration(argument).is_ok(),
            Takes::DurationAfter => {
                let (time, count) = argument.split_once('@').unwrap_or((argument, "0"));
                (time.is_empty() || parse_duration(time).is_ok()) && count.parse::<usize>().is_ok()
            }
            Takes::Count => argument.parse::<usize>().is_ok(),
            Takes::Bytes => argument.parse::<u64>().is_ok_and(|bytes| (1..=1 << 32).contains(&bytes)),
            Takes::Factor => argument.parse::<f64>().is_ok_and(|factor| (1.0..=1e6).contains(&factor)),
            Takes::Text => !argument.contains(['\r', '\n']),
            Takes::Fault => argument.parse::<Injection>().is_ok(),
        };
        if !fits {
            return Err(refused());
        }
        Ok(Injection { fault: self, argument: Some(argument.to_owned()) })
    }
}

impl fmt::Display for SimFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SimFault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|fault| fault.name() == text).ok_or_else(|| ParseFaultError::Unknown {
            name: text.chars().take(60).collect(),
            nearest: nearest(text, Self::ALL.iter().map(|fault| fault.name())).unwrap_or("").to_owned(),
        })
    }
}

/// Why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFaultError {
    /// No fault has this name.
    #[error("no fault is called `{name}`; the nearest is `{nearest}`")]
    Unknown {
        /// The text, at most 60 characters of it.
        name: String,
        /// The nearest name, or nothing.
        nearest: String,
    },
    /// The argument does not fit.
    #[error("`{argument}` is no argument for `{fault}`")]
    Argument {
        /// The fault.
        fault: SimFault,
        /// The argument, at most 60 characters of it.
        argument: String,
    },
}

/// A fault together with its argument, as in `stall:5s@3`. The argument has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    fault: SimFault,
    argument: Option<String>,
}

impl Injection {
    /// Which fault.
    #[must_use]
    pub fn fault(&self) -> SimFault {
        self.fault
    }

    /// Its argument as it was written.
    #[must_use]
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// The time of its argument, where there is one.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let text = self.argument.as_deref()?;
        parse_duration(text.split_once('@').map_or(text, |(time, _)| time)).ok()
    }

    /// The number of its argument, or `default`. For [`Takes::DurationAfter`] the one behind the `@`.
    pub(crate) fn number(&self, default: u64) -> u64 {
        let number = |text: &str| text.split_once('@').map_or(text, |(_, count)| count).parse().ok();
        self.argument.as_deref().and_then(number).unwrap_or(default)
    }
}

impl From<SimFault> for Injection {
    fn from(fault: SimFault) -> Self {
        fault.injection()
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}:{argument}", self.fault),
            None => write!(f, "{}", self.fault),
        }
    }
}

impl FromStr for Injection {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((name, argument)) => name.parse::<SimFault>()?.with(argument),
            None => Ok(text.parse::<SimFault>()?.injection()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back_and_names_its_row() {
        for fault in SimFault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
            assert!(fault.about().starts_with(&format!("{}: ", fault.row())), "{fault}: {}", fault.about());
        }
        assert!(SimFault::ALL.windows(2).all(|pair| pair[0].row() <= pair[1].row()));
    }

    #[test]
    fn arguments_are_checked() {
        for good in ["stall:5s", "stall:5s@3", "stall:@3", "stall", "retry-after:soon", "flapping:stall:1s", "gray:3.5"]
        {
            assert_eq!(good.parse::<Injection>().unwrap().to_string(), good);
        }
        for bad in ["stall:soon", "error-500:1", "drip:-1s", "flapping:nothing", "gray:0.1", "huge-body:0"] {
            assert!(bad.parse::<Injection>().is_err(), "{bad}");
        }
        let stall: Injection = "stall:5s@3".parse().unwrap();
        assert_eq!((stall.duration(), stall.number(2)), (Some(Duration::from_secs(5)), 3));
        let bare: Injection = "stall:5s".parse().unwrap();
        assert_eq!((bare.duration(), bare.number(2)), (Some(Duration::from_secs(5)), 2));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = "mid-steam-cut".parse::<SimFault>().unwrap_err();
        assert_eq!(error.to_string(), "no fault is called `mid-steam-cut`; the nearest is `mid-stream-cut`");
    }
}
