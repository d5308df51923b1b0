//! The log: what is appended is gathered, all else is SQLite's own. See [`gather`](super::gather).

use std::ffi::{c_int, c_void};
use std::ptr;
use std::slice;

use rusqlite::ffi::{SQLITE_IOERR, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use super::gather::{Code, Gathered};
use super::own::{as_own, own};

/// The most bytes that SQLite's own method is given at once. On Unix it writes the length modulo 128 KiB, goes on with the
/// rest, and takes a length that leaves nothing for a disk that is full.
const AT_ONCE: usize = 124 << 10;

/// A log that is open. SQLite's own file lies behind it.
#[repr(C)]
pub(super) struct Log {
    /// What SQLite reads.
    head: sqlite3_file,
    gathered: Gathered,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { head: sqlite3_file { pMethods: &raw const METHODS }, gathered: Gathered::default() }
    }
}

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

as_own! {
    lock = xLock(level: c_int);
    unlock = xUnlock(level: c_int);
    check_reserved_lock = xCheckReservedLock(reserved: *mut c_int);
    file_control = xFileControl(operation: c_int, argument: *mut c_void);
    sector_size = xSectorSize();
    device_characteristics = xDeviceCharacteristics();
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

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // What is still here belongs to a transaction that has not ended, and counts for nothing.
    // SAFETY: an open log, which nobody uses from here on.
    unsafe { ptr::drop_in_place(&raw mut (*file.cast::<Log>()).gathered) };
    own!(file, xClose)
}
