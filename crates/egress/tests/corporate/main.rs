//! Logins at proxies of others, and scripts against a second opinion: squid, a verifying NTLM proxy, MIT's Kerberos, pacparser.
//! `make peers` installs them; without them these tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and starts its own processes"
)]

mod negotiate;
mod ntlm;
mod oracle;
#[path = "../processes/mod.rs"]
mod processes;
mod scripts;
#[expect(dead_code, reason = "what other tests need is there as well")]
#[path = "../ways/support/mod.rs"]
mod support;

/// Where our own programs for tests are.
fn rigs() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/rigs")
}
