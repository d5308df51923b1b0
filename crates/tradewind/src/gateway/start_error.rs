//! Why a gateway cannot start, in words for whoever starts it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tradewind_access::Conflict;
use tradewind_core::Code;
use tradewind_door::TlsError;
use tradewind_door_models::LinkError;
use tradewind_door_modules::UpstreamError;
use tradewind_telemetry::JournalError;
use tradewind_ways::WaysError;

use crate::caller_keys::CallerKeysError;
use crate::state::StateOpenError;

/// Why a gateway cannot start.
#[derive(Debug)]
pub enum StartError {
    /// An address, and the key of the document that names it.
    Listen(&'static str, SocketAddr, io::Error),
    /// The threads that serve calls.
    Threads(io::Error),
    /// The data directory.
    DataDir(PathBuf, io::Error),
    /// The journal.
    Journal(PathBuf, JournalError),
    /// The secret that response ids are sealed with.
    Seal(PathBuf, io::Error),
    /// The certificate.
    Tls(TlsError),
    /// The callers' keys.
    Keys(KeysError),
    /// Spans or logs.
    Telemetry(String),
    /// Prometheus.
    Prometheus(String),
    /// A provider.
    Provider(LinkError),
    /// The ways out.
    Ways(WaysError),
    /// The modules door.
    Modules(UpstreamError),
    /// What keeps state.
    State(StateOpenError),
}

/// Why the callers' keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Those of the document.
    #[error("error[{code}]: {0}", code = Code::ConfigBadValue)]
    Document(Conflict),
    /// The created ones.
    #[error(transparent)]
    Created(CallerKeysError),
    /// What they have spent.
    #[error(
        "error[{code}]: what the keys have spent cannot be read: {0}\n  = hint: look at the journal in the data directory",
        code = Code::DataDir
    )]
    Spent(JournalError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(key, address, error) => {
                write!(
                    f,
                    "error[{}]: cannot listen on {address} ({key}): {error}\n  = hint: stop what listens there, or set \
                     another `{key}`",
                    Code::CannotListen
                )?;
                if *key == "listen" { write!(f, ", such as 127.0.0.1:0 for any free port") } else { Ok(()) }
            }
            Self::Threads(error) => write!(
                f,
                "error[{}]: cannot start the threads that serve calls: {error}\n  = hint: look at the limits of this user \
                 for processes and open files (`ulimit -u`, `ulimit -n`)",
                Code::Internal
            ),
            Self::DataDir(path, error) => write!(
                f,
                "error[{}]: cannot use the data directory {}: {error}\n  = hint: set `data-dir` to a directory that \
                 you may write to",
                Code::DataDir,
                path.display()
            ),
            Self::Journal(path, error) => write!(
                f,
                "error[{}]: cannot open the decision journal in {}: {error}\n  = hint: another gateway may be running \
                 with it; give this one another `data-dir`",
                Code::DataDir,
                path.display()
            ),
            Self::Seal(path, error) => write!(
                f,
                "error[{}]: cannot use {}: {error}\n  = hint: the gateway has to be able to read and write it",
                Code::DataDir,
                path.display()
            ),
            Self::Tls(error) => write!(
                f,
                "error[{}]: tls: {error}\n  = hint: `tls: {{cert: FILE, key: FILE}}` takes PEM files",
                Code::ConfigBadValue
            ),
            Self::Keys(error) => error.fmt(f),
            Self::Telemetry(error) => write!(f, "error[{}]: {error}", Code::ConfigBadValue),
            Self::Prometheus(error) => write!(f, "error[{}]: prometheus.url: {error}", Code::ConfigBadValue),
            Self::Modules(error @ UpstreamError::Store(_)) => write!(
                f,
                "error[{}]: {error}\n  = hint: `data-dir` has to be a directory that you may write to",
                Code::DataDir
            ),
            Self::Modules(error) => write!(f, "error[{}]: {error}", Code::ConfigBadValue),
            Self::Ways(error) => write!(f, "error[{}]: {error}", Code::ConfigBadValue),
            Self::State(error) => error.fmt(f),
            Self::Provider(error) => write!(f, "error[{}]: {error}", Code::ConfigBadValue),
        }
    }
}

impl std::error::Error for StartError {}
