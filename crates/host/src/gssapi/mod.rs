//! Kerberos logins from the ticket cache of this user, through the system's own GSSAPI library (RFC 2743, RFC 2744).
//!
//! The library is loaded when it is first needed: neither a build nor a machine without Kerberos needs it. Which cache, which
//! realm and which key centre is the library's to know (`KRB5CCNAME`, `krb5.conf`). Linux with MIT's library is tested; macOS has
//! been compiled, and never run; Windows has another interface (SSPI), which is not built.

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[expect(unsafe_code, reason = "functions of a C library, found at run time")]
mod library;
#[cfg(any(target_os = "linux", target_os = "macos"))]
#[expect(unsafe_code, reason = "calls into a C library")]
mod unix;

#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use self::unix::Context;

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GssError {
    /// No library that can do it.
    #[error("this system has no Kerberos library that can be loaded: {0}")]
    NoLibrary(String),
    /// A name that cannot be the name of a service.
    #[error("`{0}` cannot be the name of a service")]
    Name(String),
    /// There is no ticket that could be used.
    #[error("there is no Kerberos ticket, which `kinit` gets for the user who runs this: {0}")]
    NoTicket(String),
    /// The library said no: the realm does not know the service, the key centre cannot be reached, a clock is wrong.
    #[error("no Kerberos ticket for {service}: {message}")]
    Refused {
        /// For which service.
        service: String,
        /// What the library says.
        message: String,
    },
}

/// A login under way. There is none on this system.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[derive(Debug)]
pub struct Context(std::convert::Infallible);

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl Context {
    fn none() -> GssError {
        GssError::NoLibrary("not built for this system".to_owned())
    }

    /// A login at `service` on `host`.
    ///
    /// # Errors
    /// Always [`GssError::NoLibrary`].
    pub fn for_service(_service: &str, _host: &str) -> Result<Self, GssError> {
        Err(Self::none())
    }

    /// A login at the service of exactly this name.
    ///
    /// # Errors
    /// Always [`GssError::NoLibrary`].
    pub fn for_principal(_name: &str) -> Result<Self, GssError> {
        Err(Self::none())
    }

    /// The next token for the service.
    ///
    /// # Errors
    /// Never: there is no such value.
    pub fn step(&mut self, _token: &[u8]) -> Result<Option<Vec<u8>>, GssError> {
        match self.0 {}
    }
}
