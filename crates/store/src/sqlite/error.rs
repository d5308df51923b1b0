//! Errors of SQLite in the words of the store.

use rusqlite::ffi::ErrorCode;

use crate::error::StoreError;
use crate::sqlite::FILE_NAME;

/// What an error means for a call that wrote nothing that could still count.
pub(super) fn of(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::TooBig) => StoreError::Full(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::damaged(format!("{FILE_NAME}, or a page of it: {text}"))
        }
        None => StoreError::damaged(format!("a row is not what was written: {text}")),
        Some(_) => StoreError::Unavailable(text),
    }
}

/// What an error of `COMMIT` means. When the disk was full the last page of the transaction, which alone makes it count,
/// was not written; after any other error it may have been, and would be found when the file is opened again.
pub(super) fn of_commit(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        _ => StoreError::Unknown(error.to_string()),
    }
}
