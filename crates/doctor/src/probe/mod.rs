//! Looks at the way out piece by piece: names, connections, HTTP proxies, TLS, answers.
//!
//! A client would say that something failed; a probe says what was seen on the way: which addresses there are and which of
//! them take a connection, what a proxy asks for, which certificates came and who signed them, which bytes came where an
//! answer was expected. Everything is bounded in time and bytes by [`crate::Limits`], and asks only hosts that the settings
//! name or that those redirect to. Certificates are judged after the handshake and by Go's rules, so that a chain can be
//! told that is not trusted; no login is sent over one.

pub(crate) mod certificate;
pub(crate) mod challenge;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod dns;
pub(crate) mod http;
#[cfg(test)]
mod http_tests;
pub(crate) mod lookup;
pub(crate) mod noting;
pub(crate) mod roots;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod trouble;

pub(crate) use client::{Answer, Client};
pub(crate) use http::{Ended, NoAnswer};
pub(crate) use trouble::{Trouble, What, Whose};
