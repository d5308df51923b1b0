//! Why there is no answer: what becomes of it on the wire, in the record, and in the eyes of the next upstream.
//!
//! The go command shows the body of an error to its user: the first 8 lines or 648 bytes, up to the first empty line, when
//! it is plain text. So the reason is written for that reader, and kept within it.

use std::sync::Arc;

use tradewind_core::{Code, FaultKind};

use crate::store::StoreError;

/// The most that the go command shows.
const MOST_LINES: usize = 8;
const MOST_BYTES: usize = 640;

/// Why there is no answer. Cheap to clone: everybody who waited gets it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The HTTP status that the caller gets.
    pub(crate) status: u16,
    /// For whoever runs the go command; one line or a few.
    pub(crate) reason: Arc<str>,
    /// What the record says in place of the reason: what is for the administrator alone.
    pub(crate) inside: Option<Arc<str>>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// There is no such module or version: the next upstream is asked, and the go command goes on to its next proxy.
    Missing,
    /// The rules leave it out.
    LeftOut,
    /// What came is not what it has to be.
    Unverified,
    /// It is no request of the protocol.
    Path,
    /// The caller's key may not have it.
    NotAllowed,
    /// An upstream could not be reached, or failed.
    Upstream(FaultKind),
    /// It could not be stored or read.
    Storage,
    /// The gateway is stopping, or failed itself.
    Internal,
}

impl FailureKind {
    /// The public code.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Missing => Code::ModuleMissing,
            Self::LeftOut => Code::ModuleLeftOut,
            Self::Unverified => Code::ModuleUnverified,
            Self::Path => Code::ModulePath,
            Self::NotAllowed => Code::NotAllowed,
            Self::Upstream(fault) => match fault {
                FaultKind::NotFound
                | FaultKind::ServerError
                | FaultKind::Rejected
                | FaultKind::Unauthorized
                | FaultKind::RateLimited
                | FaultKind::Redirect => Code::ModuleUpstream,
                other => other.code(),
            },
            Self::Storage => Code::ModuleStorage,
            Self::Internal => Code::Internal,
        }
    }

    /// What the record says went wrong.
    pub(crate) const fn fault(self) -> FaultKind {
        match self {
            Self::Missing => FaultKind::NotFound,
            Self::LeftOut => FaultKind::LeftOut,
            Self::Unverified => FaultKind::Unverified,
            Self::Path => FaultKind::Rejected,
            Self::NotAllowed => FaultKind::KeyLimit,
            Self::Upstream(fault) => fault,
            Self::Storage => FaultKind::Storage,
            Self::Internal => FaultKind::Internal,
        }
    }

    /// Whether it was refused, rather than that something went wrong.
    pub(crate) const fn is_refusal(self) -> bool {
        matches!(self, Self::Missing | Self::LeftOut | Self::Path | Self::NotAllowed)
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, status: u16, reason: impl AsRef<str>) -> Self {
        Self { kind, status, reason: presentable(reason.as_ref()).into(), inside: None }
    }

    /// 404.
    pub(crate) fn missing(reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Missing, 404, reason)
    }

    /// 403: the rules leave it out.
    pub(crate) fn left_out(reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::LeftOut, 403, reason)
    }

    /// 403: what came is not what it has to be.
    pub(crate) fn unverified(reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Unverified, 403, reason)
    }

    /// 502, or what is more telling: an upstream failed.
    pub(crate) fn upstream(fault: FaultKind, status: u16, reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Upstream(fault), status, reason)
    }

    /// 500: a defect.
    pub(crate) fn internal(reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Internal, 500, reason)
    }

    /// Whether there is no such thing, as far as whoever said so knows.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self.kind, FailureKind::Missing)
    }

    /// Whether what is stored may be given in place of what upstream did not: it failed, or could not be reached.
    pub(crate) const fn is_upstreams(&self) -> bool {
        matches!(self.kind, FailureKind::Upstream(_))
    }
}

impl From<StoreError> for Failure {
    /// A full disk is 507 (RFC 4918 §11.5) to the administrator, and 500 to the caller, who has nothing to do with it.
    fn from(error: StoreError) -> Self {
        let inside = match &error {
            StoreError::Full { source, .. } => Some(format!("507 Insufficient Storage: {error}: {source}")),
            StoreError::Io { source, .. } => Some(format!("{error}: {source}")),
            StoreError::TooLarge { .. } | StoreError::Gone => None,
        };
        let failure = match error {
            StoreError::TooLarge { .. } => Self::unverified(format!("the zip is not acceptable: {error}")),
            // Where the files lie is nobody's business but the administrator's, who finds it in the record.
            StoreError::Full { .. } => Self::new(FailureKind::Storage, 500, "the disk of the module proxy is full"),
            StoreError::Gone => Self::new(FailureKind::Storage, 500, error.to_string()),
            StoreError::Io { source, .. } => {
                Self::new(FailureKind::Storage, 500, format!("the store of the module proxy cannot be used: {source}"))
            }
        };
        Self { inside: inside.map(Arc::from), ..failure }
    }
}

/// What the go command shows of a text: lines that are not empty, without control characters, up to its bounds.
pub(crate) fn presentable(text: &str) -> String {
    let mut shown = String::new();
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    for line in lines.take(MOST_LINES) {
        if !shown.is_empty() {
            shown.push('\n');
        }
        for character in line.chars().filter(|character| !character.is_control() || *character == '\t') {
            if shown.len() + character.len_utf8() > MOST_BYTES {
                shown.push('…');
                return shown;
            }
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_what_the_go_command_shows() {
        assert_eq!(presentable("not found:\r\n\n\n  a\u{7}b\tc\n"), "not found:\n  ab\tc");
        assert_eq!(presentable(&"x\n".repeat(20)).lines().count(), MOST_LINES);
        let long = presentable(&"é".repeat(1000));
        assert!(long.len() <= MOST_BYTES + '…'.len_utf8() && long.ends_with('…'), "{}", long.len());
        assert_eq!(presentable(""), "");
    }

    #[test]
    fn a_full_disk_is_said_without_its_path() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failure = Failure::from(StoreError::Full { path: "/secret/place".into(), source });
        assert_eq!((failure.status, failure.kind), (500, FailureKind::Storage));
        assert!(!failure.reason.contains("secret"), "{failure}");
        let inside = failure.inside.unwrap();
        assert!(inside.starts_with("507 Insufficient Storage: the disk is full: /secret/place cannot be"), "{inside}");
    }
}
