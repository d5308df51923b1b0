//! SQLite's own file behind one of ours.

use rusqlite::ffi::sqlite3_file;

use super::database::Database;
use super::log::Log;

/// Where SQLite's own file begins: behind ours, where any of its fields may lie.
pub(super) const BEHIND: usize =
    (if size_of::<Log>() > size_of::<Database>() { size_of::<Log>() } else { size_of::<Database>() })
        .next_multiple_of(16);

/// SQLite's own file.
///
/// # Safety
/// `file` is one that this VFS was given to open.
pub(super) unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite made it `BEHIND` bytes larger than its own file.
    unsafe { file.byte_add(BEHIND) }
}

/// Calls a method of SQLite's own file.
macro_rules! own {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: `open` has opened it, and `close` alone closes it.
        unsafe {
            let own = $crate::sqlite::own::behind($file);
            match (*(*own).pMethods).$method {
                Some(method) => method(own $(, $argument)*),
                None => rusqlite::ffi::SQLITE_IOERR,
            }
        }
    }};
}

/// A method of ours that is SQLite's own.
macro_rules! as_own {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) -> c_int {
            own!(file, $method $(, $argument)*)
        }
    )*};
}

pub(super) use {as_own, own};
