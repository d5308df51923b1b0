//! SQLite's way to the operating system (its VFS), with two differences: a transaction goes to the write-ahead log in few
//! writes ([`gather`]), and each page of a file has a sum ([`page`]).
//!
//! It is laid over SQLite's own, which opens every file: locks and shared memory are its alone. Connections with and without
//! it can have the same file open. Others read it as any file of SQLite's; what another program changes in a page is damage to
//! this one, because the page's sum is then another's.
//!
//! What an interface of C needs stands here, and nothing else but [`Schema`], which all files have in common:
//! <https://www.sqlite.org/c3ref/vfs.html>, <https://www.sqlite.org/c3ref/io_methods.html>.

#![expect(unsafe_code, reason = "SQLite calls us through pointers, and is called through them")]

mod database;
mod gather;
mod log;
mod own;
mod page;
mod schema;

use std::ffi::{CStr, c_int};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi::{
    self, SQLITE_CANTOPEN, SQLITE_FCNTL_RESERVE_BYTES, SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL, sqlite3_file,
    sqlite3_filename, sqlite3_vfs,
};
use rusqlite::{Connection, OpenFlags};

use self::database::Database;
use self::log::Log;
use self::own::{BEHIND, behind};
pub use self::schema::{ANEW, Refused, Schema};

/// What connections name that want it.
const NAME: &CStr = c"tradewind";

/// Opens a file with this VFS. A new file, and one that is made [`ANEW`], has a sum in each of its pages.
///
/// # Errors
/// Those of SQLite.
pub fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    succeeded(*REGISTERED.get_or_init(register))?;
    let connection = Connection::open_with_flags_and_vfs(path, flags, NAME)?;
    let mut reserved = c_int::from(page::RESERVED);
    // SAFETY: the connection is open, and this operation reads and writes one `int`.
    succeeded(unsafe {
        let database = c"main".as_ptr();
        ffi::sqlite3_file_control(connection.handle(), database, SQLITE_FCNTL_RESERVE_BYTES, (&raw mut reserved).cast())
    })?;
    Ok(connection)
}

fn succeeded(code: c_int) -> rusqlite::Result<()> {
    match code {
        SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// SQLite reads the first part; the rest is ours.
#[repr(C)]
struct Vfs {
    ours: sqlite3_vfs,
    own: *mut sqlite3_vfs,
}

fn register() -> c_int {
    // SAFETY: SQLite initializes itself for this call, and its VFS lives as long as the process.
    let own = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if own.is_null() {
        return SQLITE_CANTOPEN;
    }
    // SAFETY: see above. Its other methods take ours as well: they read fields alone that are copied with it.
    let mut ours = unsafe { *own };
    let Ok(behind) = c_int::try_from(BEHIND) else { return SQLITE_CANTOPEN };
    ours.szOsFile += behind;
    ours.pNext = ptr::null_mut();
    ours.zName = NAME.as_ptr();
    ours.xOpen = Some(open_file);
    let vfs: *mut Vfs = Box::leak(Box::new(Vfs { ours, own }));
    // SAFETY: it is never freed, and SQLite alone writes to it from here on.
    unsafe { ffi::sqlite3_vfs_register(vfs.cast(), 0) }
}

/// # Safety
/// As SQLite calls it: `vfs` is the one of [`register`], and `file` has room for what it said.
unsafe extern "C" fn open_file(
    vfs: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    opened: *mut c_int,
) -> c_int {
    // SAFETY: `vfs` is the first field of a `Vfs`, and `own` lives as long as the process.
    let (own, open) = unsafe {
        let own = (*vfs.cast::<Vfs>()).own;
        (own, (*own).xOpen)
    };
    let Some(open) = open else { return SQLITE_CANTOPEN };
    if flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB) == 0 {
        // SAFETY: as we were called; there is more room than it needs.
        return unsafe { open(own, name, file, flags, opened) };
    }
    // SAFETY: there is room for its file behind ours, which is written only where SQLite will close it.
    unsafe {
        (*file).pMethods = ptr::null();
        let code = open(own, name, behind(file), flags, opened);
        if code == SQLITE_OK {
            if flags & SQLITE_OPEN_WAL == 0 {
                ptr::write(file.cast(), Database::new());
            } else {
                ptr::write(file.cast(), Log::new());
            }
        }
        code
    }
}

#[cfg(test)]
mod tests;
