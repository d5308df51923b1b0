//! A login, in safe words.

use std::fmt;
use std::ptr;

use super::GssError;
use super::library::{Buffer, Handle, KERBEROS, Library, Number, Oid, OidSet, PRINCIPAL, SERVICE, SPNEGO, library};

/// `GSS_C_MUTUAL_FLAG` is not asked for: a proxy has nothing to prove, and some do not answer it.
const FLAGS: Number = 0;
/// `GSS_C_INITIATE`.
const INITIATE: i32 = 1;
/// `GSS_C_GSS_CODE` and `GSS_C_MECH_CODE`.
const GENERAL: i32 = 1;
const OF_MECHANISM: i32 = 2;
/// `GSS_S_CONTINUE_NEEDED`.
const CONTINUE: Number = 1;
/// The bits of a status that say that it is an error.
const ERRORS: Number = 0xffff_0000;
/// Lines of a message that are read.
const MOST_LINES: usize = 4;
/// The longest message.
const LONGEST_MESSAGE: usize = 400;

/// A login under way: tokens go back and forth until the service accepts. Each call blocks while the key centre is asked.
pub struct Context {
    library: &'static Library,
    context: Handle,
    target: Name,
}

// SAFETY: the library may be used from any thread, and a context by one thread after another (MIT and Heimdal both say so); a
// `Context` is changed through `&mut` alone and is not `Sync`.
unsafe impl Send for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.target.shown)
    }
}

impl Context {
    /// A login at `service` on `host`; the system's settings say whether the name is made canonical by DNS.
    ///
    /// # Errors
    /// Without a library, without a ticket, and for names that cannot be.
    pub fn for_service(service: &str, host: &str) -> Result<Self, GssError> {
        Self::new(&format!("{service}@{host}"), format!("{service}/{host}"), &SERVICE)
    }

    /// A login at the service of exactly this name: `HTTP/proxy.example.com`, with or without `@REALM`.
    ///
    /// # Errors
    /// As [`Self::for_service`].
    pub fn for_principal(name: &str) -> Result<Self, GssError> {
        Self::new(name, name.to_owned(), &PRINCIPAL)
    }

    fn new(name: &str, shown: String, kind: &'static Oid) -> Result<Self, GssError> {
        let library = library()?;
        if name.contains('\0') || name.len() > 1024 {
            return Err(GssError::Name(shown));
        }
        let target = Name::import(library, name, shown, kind)?;
        // Asked before, because negotiation of mechanisms hides why there is none.
        has_ticket(library)?;
        Ok(Self { library, context: ptr::null_mut(), target })
    }

    /// The next token for the service, after it has said `token`; empty at the beginning. `None` when there is nothing more to
    /// say.
    ///
    /// # Errors
    /// When the library has none to give.
    pub fn step(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, GssError> {
        let input = Buffer::over(token);
        let mut output = Buffer::EMPTY;
        let mut minor = 0;
        // SAFETY: all pointers are to values that live through the call, or null where RFC 2744 §5.19 lets them be; `context` is
        // null the first time, and afterwards what the library made of it; `target` is a name of the library's.
        let major = unsafe {
            (self.library.init_sec_context)(
                &raw mut minor,
                ptr::null_mut(),
                &raw mut self.context,
                self.target.handle,
                &raw const SPNEGO,
                FLAGS,
                0,
                ptr::null(),
                &raw const input,
                ptr::null_mut(),
                &raw mut output,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let said = take(self.library, &mut output);
        if major & ERRORS != 0 {
            let message = message(self.library, major, minor, &SPNEGO);
            return Err(GssError::Refused { service: self.target.shown.clone(), message });
        }
        if said.is_empty() && major & CONTINUE != 0 {
            let message = "the library waits for the service".to_owned();
            return Err(GssError::Refused { service: self.target.shown.clone(), message });
        }
        Ok((!said.is_empty()).then_some(said))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.context.is_null() {
            return;
        }
        let mut minor = 0;
        // SAFETY: a context that the library has made, given back once; no token is asked for.
        unsafe { (self.library.delete_sec_context)(&raw mut minor, &raw mut self.context, ptr::null_mut()) };
    }
}

/// A name of the library's.
struct Name {
    library: &'static Library,
    handle: Handle,
    shown: String,
}

impl Name {
    fn import(library: &'static Library, name: &str, shown: String, kind: &'static Oid) -> Result<Self, GssError> {
        let (text, mut handle, mut minor) = (Buffer::over(name.as_bytes()), ptr::null_mut(), 0);
        // SAFETY: the pointers are to values that live through the call; the library copies the text.
        let major =
            unsafe { (library.import_name)(&raw mut minor, &raw const text, ptr::from_ref(kind), &raw mut handle) };
        if major & ERRORS != 0 || handle.is_null() {
            return Err(GssError::Name(shown));
        }
        Ok(Self { library, handle, shown })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: a name that the library has made, given back once.
        unsafe { (self.library.release_name)(&raw mut minor, &raw mut self.handle) };
    }
}

/// Whether there is a ticket of Kerberos to begin with.
fn has_ticket(library: &'static Library) -> Result<(), GssError> {
    let wanted = OidSet { count: 1, elements: &raw const KERBEROS };
    let (mut credentials, mut minor) = (ptr::null_mut(), 0);
    // SAFETY: as above; no name means the default cache, and what is not asked for may be null (RFC 2744 §5.2).
    let major = unsafe {
        (library.acquire_cred)(
            &raw mut minor,
            ptr::null_mut(),
            0,
            &raw const wanted,
            INITIATE,
            &raw mut credentials,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if major & ERRORS != 0 {
        return Err(GssError::NoTicket(message(library, major, minor, &KERBEROS)));
    }
    // SAFETY: credentials that the library has made, given back once.
    unsafe { (library.release_cred)(&raw mut minor, &raw mut credentials) };
    Ok(())
}

/// What a status means, in the library's words: the mechanism's where it has any, the general ones otherwise.
fn message(library: &Library, major: Number, minor: Number, mechanism: &'static Oid) -> String {
    let of_mechanism = if minor == 0 { String::new() } else { status(library, minor, OF_MECHANISM, mechanism) };
    let general = || status(library, major, GENERAL, mechanism);
    let mut said = if of_mechanism.is_empty() { general() } else { of_mechanism };
    said.retain(|letter| !letter.is_control());
    if said.len() > LONGEST_MESSAGE {
        said.truncate(said.floor_char_boundary(LONGEST_MESSAGE));
    }
    said
}

fn status(library: &Library, code: Number, kind: i32, mechanism: &'static Oid) -> String {
    let mut lines = Vec::new();
    let mut more = 0;
    for _ in 0..MOST_LINES {
        let (mut text, mut minor) = (Buffer::EMPTY, 0);
        // SAFETY: the pointers are to values that live through the call; `more` is what the library made of it (RFC 2744 §5.11).
        let major = unsafe {
            (library.display_status)(&raw mut minor, code, kind, ptr::from_ref(mechanism), &raw mut more, &raw mut text)
        };
        let line = String::from_utf8_lossy(&take(library, &mut text)).trim().to_owned();
        if major & ERRORS != 0 {
            break;
        }
        if !line.is_empty() {
            lines.push(line);
        }
        if more == 0 {
            break;
        }
    }
    lines.join(": ")
}

/// Copies what the library has put into `buffer`, and gives it back.
fn take(library: &Library, buffer: &mut Buffer) -> Vec<u8> {
    let (length, value) = (buffer.length, buffer.value);
    if value.is_null() {
        return Vec::new();
    }
    // SAFETY: the library says that so many bytes are there, and they stay until they are given back below.
    let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length) }.to_vec();
    let mut minor = 0;
    // SAFETY: a buffer that the library has filled, given back once: the call empties it.
    unsafe { (library.release_buffer)(&raw mut minor, ptr::from_mut(buffer)) };
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gssapi::library::load;

    #[test]
    fn a_system_without_the_library_says_so() {
        let Err(GssError::NoLibrary(why)) = load(&[c"libno-such-thing.so.9"]) else {
            panic!("there is no such library")
        };
        assert!(why.contains("libno-such-thing.so.9"), "{why}");
        // One that is no GSSAPI.
        let Err(GssError::NoLibrary(why)) = load(&[c"libc.so.6"]) else { panic!("libc knows no Kerberos") };
        assert!(why.contains("gss_import_name"), "{why}");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert_eq!(Context::for_principal("HTTP/a\0b").unwrap_err(), GssError::Name("HTTP/a\0b".to_owned()));
        let long = "x".repeat(2000);
        assert!(matches!(Context::for_service("HTTP", &long), Err(GssError::Name(_))));
    }
}
