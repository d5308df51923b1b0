//! The database itself: each page gets its sum when it is written, and is compared with it when it is read.
//!
//! A page that is not what was written is damage (`SQLITE_CORRUPT`) to whoever reads it, and not, as a harmed index could be,
//! a row that is not there. All but the reading and writing of pages is SQLite's own.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::slice;

use rusqlite::ffi::{SQLITE_CORRUPT, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use super::own::{as_own, own};
use super::page::{self, Header, Sealed};

/// A database that is open. SQLite's own file lies behind it.
#[repr(C)]
pub(super) struct Database {
    /// What SQLite reads.
    head: sqlite3_file,
    /// Whether there is room for sums in its pages, as far as its first page was seen.
    has_sums: bool,
    /// What a page is put together in.
    scratch: Vec<u8>,
}

impl Database {
    pub(super) fn new() -> Self {
        Self { head: sqlite3_file { pMethods: &raw const METHODS }, has_sums: false, scratch: Vec::new() }
    }

    /// What is to be written in the place of what SQLite writes at this place, if anything else.
    fn written(&mut self, bytes: &[u8], at: i64) -> Option<&[u8]> {
        self.look(bytes, at);
        let number = page::number(bytes.len(), at).filter(|_| self.has_sums)?;
        page::seal(bytes, number, &mut self.scratch);
        Some(&self.scratch)
    }

    /// Whether what was read at this place is what was written there.
    fn is_as_written(&mut self, bytes: &mut [u8], at: i64) -> bool {
        self.look(bytes, at);
        let Some(number) = page::number(bytes.len(), at).filter(|number| self.has_sums || *number == 1) else {
            return true;
        };
        match page::unseal(bytes, number, &mut self.scratch) {
            Sealed::Not => true,
            // A first page with a sum that says there are none; without them something else lies in their place.
            Sealed::Well => self.has_sums,
            Sealed::Ill => !self.has_sums,
        }
    }

    fn look(&mut self, bytes: &[u8], at: i64) {
        match page::header(bytes, at) {
            Header::None => {}
            Header::HasSums => self.has_sums = true,
            Header::HasNoSums => self.has_sums = false,
        }
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // Without the methods of version 3, which show the file as memory past `read`.
    iVersion: 2,
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
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

as_own! {
    truncate = xTruncate(size: sqlite3_int64);
    sync = xSync(flags: c_int);
    file_size = xFileSize(size: *mut sqlite3_int64);
    lock = xLock(level: c_int);
    unlock = xUnlock(level: c_int);
    check_reserved_lock = xCheckReservedLock(reserved: *mut c_int);
    file_control = xFileControl(operation: c_int, argument: *mut c_void);
    sector_size = xSectorSize();
    device_characteristics = xDeviceCharacteristics();
    shm_map = xShmMap(region: c_int, size: c_int, extend: c_int, mapped: *mut *mut c_void);
    shm_lock = xShmLock(offset: c_int, many: c_int, flags: c_int);
    shm_unmap = xShmUnmap(delete: c_int);
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: as `own!` has it, of a method that gives nothing back.
    unsafe {
        let own = super::own::behind(file);
        if let Some(barrier) = (*(*own).pMethods).xShmBarrier {
            barrier(own);
        }
    }
}

/// # Safety
/// As SQLite calls it, with an open database and `amount` bytes; so are those below.
unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    let code = own!(file, xRead, into, amount, at);
    // What lies beyond the end is zeros, and SQLite's own code for it.
    let (SQLITE_OK, Ok(amount)) = (code, usize::try_from(amount)) else { return code };
    // SAFETY: SQLite has room for as many bytes as it says, and one thread at a time uses the file.
    let as_written = unsafe {
        let bytes = slice::from_raw_parts_mut(into.cast(), amount);
        (*file.cast::<Database>()).is_as_written(bytes, at)
    };
    if as_written { SQLITE_OK } else { SQLITE_CORRUPT }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, amount: c_int, at: sqlite3_int64) -> c_int {
    let long = usize::try_from(amount).unwrap_or_default();
    // SAFETY: SQLite gives as many bytes as it says; see `read` for the rest. What comes back lives until the next call.
    let instead = unsafe {
        let bytes = slice::from_raw_parts(bytes.cast(), long);
        (*file.cast::<Database>()).written(bytes, at).map(<[u8]>::as_ptr)
    };
    own!(file, xWrite, instead.map_or(bytes, <*const u8>::cast), amount, at)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: an open database, which nobody uses from here on.
    unsafe { ptr::drop_in_place(&raw mut (*file.cast::<Database>()).scratch) };
    own!(file, xClose)
}

#[cfg(test)]
mod tests;
