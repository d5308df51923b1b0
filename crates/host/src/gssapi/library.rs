//! The library itself: found at run time, its functions and their C types (RFC 2744).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use super::GssError;

/// A status, or a set of flags.
pub(super) type Number = u32;
/// A name, credentials, or a context of the library's.
pub(super) type Handle = *mut c_void;

/// Bytes of ours or of the library's.
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) length: usize,
    pub(super) value: *mut c_void,
}

impl Buffer {
    pub(super) const EMPTY: Self = Self { length: 0, value: std::ptr::null_mut() };

    /// Over bytes that the library only reads.
    pub(super) const fn over(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }
}

/// The name of a mechanism, or of a kind of name.
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
pub(super) struct Oid {
    length: Number,
    elements: *const c_void,
}

// SAFETY: it points to bytes that are never written and live as long as the process.
unsafe impl Sync for Oid {}

impl Oid {
    const fn new(bytes: &'static [u8]) -> Self {
        Self { length: bytes.len() as Number, elements: bytes.as_ptr().cast() }
    }
}

/// A set of [`Oid`]s.
#[cfg_attr(not(all(target_os = "macos", target_arch = "x86_64")), repr(C))]
#[cfg_attr(all(target_os = "macos", target_arch = "x86_64"), repr(C, packed(2)))]
pub(super) struct OidSet {
    pub(super) count: usize,
    pub(super) elements: *const Oid,
}

/// 1.3.6.1.5.5.2, RFC 4178.
pub(super) static SPNEGO: Oid = Oid::new(&[0x2b, 6, 1, 5, 5, 2]);
/// 1.2.840.113554.1.2.2, RFC 4121.
pub(super) static KERBEROS: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2]);
/// 1.2.840.113554.1.2.1.4: `service@host`.
pub(super) static SERVICE: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 1, 4]);
/// 1.2.840.113554.1.2.2.1: a principal of Kerberos, as it stands.
pub(super) static PRINCIPAL: Oid = Oid::new(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1]);

/// The functions, as RFC 2744 has them.
pub(super) struct Library {
    pub(super) import_name: unsafe extern "C" fn(*mut Number, *const Buffer, *const Oid, *mut Handle) -> Number,
    pub(super) release_name: unsafe extern "C" fn(*mut Number, *mut Handle) -> Number,
    pub(super) acquire_cred: unsafe extern "C" fn(
        *mut Number,
        Handle,
        Number,
        *const OidSet,
        c_int,
        *mut Handle,
        *mut *mut OidSet,
        *mut Number,
    ) -> Number,
    pub(super) release_cred: unsafe extern "C" fn(*mut Number, *mut Handle) -> Number,
    pub(super) init_sec_context: unsafe extern "C" fn(
        *mut Number,
        Handle,
        *mut Handle,
        Handle,
        *const Oid,
        Number,
        Number,
        *const c_void,
        *const Buffer,
        *mut *const Oid,
        *mut Buffer,
        *mut Number,
        *mut Number,
    ) -> Number,
    pub(super) delete_sec_context: unsafe extern "C" fn(*mut Number, *mut Handle, *mut Buffer) -> Number,
    pub(super) release_buffer: unsafe extern "C" fn(*mut Number, *mut Buffer) -> Number,
    pub(super) display_status:
        unsafe extern "C" fn(*mut Number, Number, c_int, *const Oid, *mut Number, *mut Buffer) -> Number,
}

/// Where it may be, the usual one first.
#[cfg(target_os = "macos")]
const PLACES: [&CStr; 1] = [c"/System/Library/Frameworks/GSS.framework/GSS"];
/// Where it may be, the usual one first: MIT's, then Heimdal's.
#[cfg(not(target_os = "macos"))]
const PLACES: [&CStr; 2] = [c"libgssapi_krb5.so.2", c"libgssapi.so.3"];

/// The library of this system. One that was not there is looked for again the next time.
pub(super) fn library() -> Result<&'static Library, GssError> {
    static LOADED: OnceLock<Library> = OnceLock::new();
    if let Some(library) = LOADED.get() {
        return Ok(library);
    }
    let loaded = load(&PLACES)?;
    Ok(LOADED.get_or_init(|| loaded))
}

/// Loads the first of `places` that is there. It stays loaded until the process ends.
pub(super) fn load(places: &[&CStr]) -> Result<Library, GssError> {
    let mut why = String::new();
    for place in places {
        // SAFETY: the name ends with a zero; RTLD_LOCAL keeps the library's symbols from those of others. What it runs while it
        // is loaded is the system's own Kerberos library.
        let handle = unsafe { libc::dlopen(place.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if !handle.is_null() {
            return functions(handle);
        }
        why = last_error();
    }
    Err(GssError::NoLibrary(why))
}

fn functions(handle: *mut c_void) -> Result<Library, GssError> {
    /// The function `name` of the type `F`.
    ///
    /// # Safety
    /// `F` is a pointer to a function of the type that the library has under this name.
    unsafe fn function<F: Copy>(handle: *mut c_void, name: &CStr) -> Result<F, GssError> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: `handle` is of a library that stays loaded; the name ends with a zero.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        if found.is_null() {
            return Err(GssError::NoLibrary(last_error()));
        }
        // SAFETY: a pointer that is not null, of the size of `F`, which the caller vouches for.
        Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&found) })
    }
    // SAFETY: the types of the fields are those of RFC 2744, appendix A, which both libraries follow.
    unsafe {
        Ok(Library {
            import_name: function(handle, c"gss_import_name")?,
            release_name: function(handle, c"gss_release_name")?,
            acquire_cred: function(handle, c"gss_acquire_cred")?,
            release_cred: function(handle, c"gss_release_cred")?,
            init_sec_context: function(handle, c"gss_init_sec_context")?,
            delete_sec_context: function(handle, c"gss_delete_sec_context")?,
            release_buffer: function(handle, c"gss_release_buffer")?,
            display_status: function(handle, c"gss_display_status")?,
        })
    }
}

/// What the loader says about its last failure.
fn last_error() -> String {
    // SAFETY: no conditions; what it gives is null, or text that ends with a zero and stays until the next call on this thread.
    let said: *const c_char = unsafe { libc::dlerror() };
    if said.is_null() {
        return "not found".to_owned();
    }
    // SAFETY: as above; it is copied at once.
    unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned()
}
