//! Why the journal cannot do what it was asked.

use std::io;
use std::path::PathBuf;

use tradewind_host::sqlite::Refused;

/// Why the journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder cannot be made or written to.
    #[error("cannot use {path} for the decision journal")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// There is none in this folder.
    #[error("there is no decision journal in {path}")]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes to the journal of this folder.
    #[error("another process keeps its decision journal in {path}")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the journal's thread")]
    Thread(#[source] io::Error),
    /// The file cannot be moved out of the way.
    #[error("cannot move {path} aside")]
    MoveAside {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("the decision journal's file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A block of records is not what was written.
    #[error("a block of the decision journal is damaged")]
    Damaged,
    /// What is there is not a journal of ours that this version can read.
    #[error("{0}")]
    Foreign(&'static str),
}

impl From<Refused> for JournalError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Foreign => Self::Foreign("the journal's file is a database of another program"),
            Refused::Newer { .. } => Self::Foreign("the journal was written by a newer version"),
            Refused::Sqlite(error) => Self::Sqlite(error),
        }
    }
}

impl JournalError {
    /// Whether the file itself is bad, so that only a new one helps.
    pub(crate) fn is_bad_file(&self) -> bool {
        match self {
            Self::Foreign(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }

    /// The whole chain in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !line.ends_with(&cause_text) {
                line.push_str(": ");
                line.push_str(&cause_text);
            }
            source = cause.source();
        }
        line
    }
}
