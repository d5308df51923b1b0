//! Errors of sockets, TLS and hyper, put into the words of `core::FaultKind`.

use std::error::Error;
use std::io;

use tradewind_core::{Fault, FaultKind};

use crate::http1::Broken;

/// Where in the exchange an error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Request sent or being sent, no response head yet.
    Head,
    /// Inside the response body; whether its length had been announced.
    Body { announced: bool },
}

/// An error of hyper (HTTP/2) at `stage`, on the way to `origin`.
pub(crate) fn hyper_fault(error: &hyper::Error, stage: Stage, origin: &str) -> Fault {
    let (kind, what): (FaultKind, &str) = match stage {
        _ if error.is_parse_too_large() => (FaultKind::TooLarge, "the response headers are over the limit"),
        _ if error.is_parse() || error.is_parse_status() => (FaultKind::Protocol, "the response is not HTTP"),
        Stage::Head if is_h2_refusal(error) => {
            let detail = format!("{origin} did not look at the request ({})", innermost(error));
            return Fault::new(FaultKind::H2Refused, detail).before_sending();
        }
        Stage::Head if error.is_canceled() => {
            return Fault::new(
                FaultKind::Reset,
                format!("the connection to {origin} was closed before the request was sent"),
            )
            .before_sending();
        }
        Stage::Head => (FaultKind::Reset, "the connection was closed before a response"),
        Stage::Body { announced: true } => (FaultKind::LengthMismatch, "the body is shorter than its announced length"),
        Stage::Body { announced: false } => (FaultKind::Cut, "the connection broke off inside the body"),
    };
    Fault::new(kind, format!("{origin}: {what} ({})", innermost(error)))
}

/// What broke an HTTP/1.1 connection at `stage`, on the way to `origin`.
pub(crate) fn http1_fault(broken: Broken, stage: Stage, origin: &str) -> Fault {
    match (broken, stage) {
        (Broken::HeadTooLarge, _) => {
            Fault::new(FaultKind::TooLarge, format!("{origin}: the response headers are over the limit"))
        }
        (Broken::NotHttp(what), _) => Fault::new(FaultKind::Protocol, format!("{origin}: {what}")),
        (Broken::BadChunk, _) => {
            Fault::new(FaultKind::Cut, format!("{origin}: the framing of the chunked body is broken"))
        }
        (Broken::Closed { cause, written }, stage) => {
            let cause = cause.map_or_else(|| "the server closed it".to_owned(), |error| error.to_string());
            let (kind, what) = match stage {
                Stage::Head if !written => {
                    let detail = format!("the connection to {origin} was closed before the request was sent ({cause})");
                    return Fault::new(FaultKind::Reset, detail).before_sending();
                }
                Stage::Head => (FaultKind::Reset, "the connection was closed before a response"),
                Stage::Body { announced: true } => {
                    (FaultKind::LengthMismatch, "the body is shorter than its announced length")
                }
                Stage::Body { announced: false } => (FaultKind::Cut, "the connection broke off inside the body"),
            };
            Fault::new(kind, format!("{origin}: {what} ({cause})"))
        }
    }
}

/// The error at the bottom of the chain: the one that says what really happened.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An error of connecting a socket.
pub(crate) fn connect_fault(error: &io::Error, address: &str) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => FaultKind::ConnectRefused,
        io::ErrorKind::TimedOut => FaultKind::ConnectTimeout,
        _ => FaultKind::Reset,
    };
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        _ => error.to_string(),
    };
    Fault::new(kind, format!("cannot connect to {address}: {what}")).before_sending()
}

/// An error of a TLS handshake: rustls' own refusals are `tls`, a socket that broke is `reset`.
pub(crate) fn tls_fault(error: &io::Error, origin: &str) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(refusal) => Fault::new(FaultKind::Tls, format!("TLS with {origin} failed: {refusal}")),
        None => Fault::new(FaultKind::Reset, format!("{origin} broke off the TLS handshake: {error}")),
    }
    .before_sending()
}

/// Whether `error` is the server's word that it has not looked at the request: REFUSED_STREAM, or a GOAWAY whose last
/// stream came before it (RFC 9113 §8.7). The h2 crate gives a stream the GOAWAY as its error only in that case: one that
/// the server had begun, and that the end of the connection cut off, has an I/O error.
fn is_h2_refusal(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else { return false };
    error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}
