//! SQLite's way to the operating system (its VFS), with one difference: a transaction goes to the write-ahead log in few
//! writes. See [`gather`].
//!
//! It is laid over SQLite's own, which opens every file: the database, its locks and its shared memory are its alone. Only
//! the log of a connection that was opened with this VFS has other methods, which gather what is appended and leave all
//! else to SQLite's own methods. Connections with and without it can have the same database open.
//!
//! What an interface of C needs stands here, and nothing else but [`Schema`], which all files have in common: <https://www.sqlite.org/c3ref/vfs.html>,
//! <https://www.sqlite.org/c3ref/io_methods.html>.

#![expect(unsafe_code, reason = "SQLite calls us through pointers, and is called through them")]

mod gather;
mod schema;

use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::slice;
use std::sync::OnceLock;

use rusqlite::ffi::{
    self, SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_WAL, sqlite3_file, sqlite3_filename, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs,
};

use self::gather::{Code, Gathered};
pub use self::schema::{Refused, Schema};

/// What connections name that want it.
const NAME: &CStr = c"tradewind";
/// The most bytes that SQLite's own method is given at once. On Unix it writes the length modulo 128 KiB, goes on with the
/// rest, and takes a length that leaves nothing for a disk that is full.
const AT_ONCE: usize = 124 << 10;

/// The name of the VFS that writes each transaction to the log in few writes, for
/// [`Connection::open_with_flags_and_vfs`](rusqlite::Connection::open_with_flags_and_vfs).
///
/// # Errors
/// When SQLite has no VFS of its own or does not take this one, neither of which it does where it can open files.
pub fn vfs() -> rusqlite::Result<&'static CStr> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    match *REGISTERED.get_or_init(register) {
        SQLITE_OK => Ok(NAME),
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
    ours.xOpen = Some(open);
    let vfs: *mut Vfs = Box::leak(Box::new(Vfs { ours, own }));
    // SAFETY: it is never freed, and SQLite alone writes to it from here on.
    unsafe { ffi::sqlite3_vfs_register(vfs.cast(), 0) }
}

/// A log that is open. SQLite's own file lies [`BEHIND`] it.
#[repr(C)]
struct Log {
    /// What SQLite reads.
    head: sqlite3_file,
    gathered: Gathered,
}

/// Where SQLite's own file begins: behind a [`Log`], where any of its fields may lie.
const BEHIND: usize = size_of::<Log>().next_multiple_of(16);

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    // Of a database alone.
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// As SQLite calls it: `vfs` is the one of [`register`], and `file` has room for what it said.
unsafe extern "C" fn open(
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
    if flags & SQLITE_OPEN_WAL == 0 {
        // SAFETY: as we were called; there is more room than it needs.
        return unsafe { open(own, name, file, flags, opened) };
    }
    // SAFETY: there is room for its file behind ours. A `Log` is written only where SQLite will close it.
    unsafe {
        (*file).pMethods = ptr::null();
        let code = open(own, name, behind(file), flags, opened);
        if code == SQLITE_OK {
            let head = sqlite3_file { pMethods: &raw const METHODS };
            ptr::write(file.cast(), Log { head, gathered: Gathered::default() });
        }
        code
    }
}

/// SQLite's own file.
///
/// # Safety
/// `file` is one that [`open`] was given for a log.
unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite made it `BEHIND` bytes larger than its own file.
    unsafe { file.byte_add(BEHIND) }
}

/// Calls a method of SQLite's own file.
macro_rules! own {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: `open` has opened it, and `close` alone closes it.
        unsafe {
            let own = behind($file);
            match (*(*own).pMethods).$method {
                Some(method) => method(own $(, $argument)*),
                None => SQLITE_IOERR,
            }
        }
    }};
}

/// Hands bytes on to SQLite's own file.
///
/// # Safety
/// `file` is an open log.
unsafe fn put(file: *mut sqlite3_file, bytes: &[u8], at: i64) -> Result<(), Code> {
    let mut at = at;
    for part in bytes.chunks(AT_ONCE) {
        let code = own!(file, xWrite, part.as_ptr().cast(), part.len() as c_int, at);
        if code != SQLITE_OK {
            return Err(code);
        }
        at += part.len() as sqlite3_int64;
    }
    Ok(())
}

/// Hands on what was gathered, and then calls the same method of SQLite's own file.
macro_rules! then_own {
    ($file:ident, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: an open log, which one thread at a time uses; its own file is no part of `gathered`.
        match unsafe { (*$file.cast::<Log>()).gathered.hand_on(|bytes, at| put($file, bytes, at)) } {
            Ok(()) => own!($file, $method $(, $argument)*),
            Err(code) => code,
        }
    }};
}

/// # Safety
/// As SQLite calls it, with an open log and `amount` bytes; so are those below.
unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    let Ok(amount) = usize::try_from(amount) else { return SQLITE_IOERR };
    // SAFETY: SQLite gives as many bytes as it says; see `then_own` for the rest.
    let written = unsafe {
        let bytes = slice::from_raw_parts(bytes.cast(), amount);
        (*file.cast::<Log>()).gathered.write(bytes, at, |bytes, at| put(file, bytes, at))
    };
    written.err().unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    then_own!(file, xRead, into, amount, at)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    then_own!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    then_own!(file, xSync, flags)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    then_own!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    own!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    own!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, reserved: *mut c_int) -> c_int {
    own!(file, xCheckReservedLock, reserved)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    own!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    own!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    own!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // What is still here belongs to a transaction that has not ended, and counts for nothing.
    // SAFETY: an open log, which nobody uses from here on.
    unsafe { ptr::drop_in_place(&raw mut (*file.cast::<Log>()).gathered) };
    own!(file, xClose)
}

#[cfg(test)]
mod tests;
