//! Ways out against proxies that do what a test says: well behaved, strange, hostile, silent.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails loudly, and makes its own tasks")]

mod chains;
mod connect;
mod datagrams;
mod dns;
mod reject;
mod routes;
mod shadowsocks;
mod socks;
mod support;
mod tls;
