//! Negotiate (RFC 4559) with Kerberos, from the ticket cache of this user. The cache is looked at anew for each login, so that a
//! ticket that appears later is used. NTLM inside Negotiate is not built: it is a scheme of its own.

use tokio::sync::Semaphore;
use tradewind_host::gssapi::Context;

/// Logins whose library call may be under way at once: it blocks, for as long as the key centre does not answer.
static CALLS: Semaphore = Semaphore::const_new(8);

/// A login under way.
pub(crate) struct Negotiation(Context);

impl Negotiation {
    /// Begins a login at the proxy `server`, whose service is called `spn` where that is not `HTTP/server`. The token is for the
    /// proxy.
    ///
    /// # Errors
    /// Why there is none, in words: no library, no ticket, nobody of that name in the realm.
    pub(crate) async fn begin(server: &str, spn: Option<&str>) -> Result<(Self, Vec<u8>), String> {
        let (server, spn) = (server.to_owned(), spn.map(str::to_owned));
        let begun = blocking(move || {
            let mut context = match &spn {
                Some(spn) => Context::for_principal(spn)?,
                None => Context::for_service("HTTP", &server)?,
            };
            let token = context.step(&[])?;
            Ok((context, token))
        });
        let (context, token) = begun.await?;
        Ok((Self(context), token.ok_or("there is nothing to say to the proxy")?))
    }

    /// Goes on with what the proxy answered.
    pub(crate) async fn go_on(self, token: Vec<u8>) -> Result<(Self, Vec<u8>), String> {
        let Self(mut context) = self;
        let stepped = blocking(move || {
            let token = context.step(&token)?;
            Ok((context, token))
        });
        let (context, token) = stepped.await?;
        Ok((Self(context), token.ok_or("the ticket is not accepted")?))
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, tradewind_host::gssapi::GssError> + Send + 'static,
) -> Result<T, String> {
    let permit = CALLS.acquire().await.map_err(|_| "the gateway is stopping")?;
    // The permit lasts as long as the call does, also when nobody waits for it any more.
    let called = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        call()
    });
    match called.await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the call of the system's library broke off".to_owned()),
    }
}
