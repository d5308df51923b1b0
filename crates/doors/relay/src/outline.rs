//! What a port understands of what a caller says before its bytes are passed on, for fuzzing.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::detect::{Spoken, of_byte};
use crate::http::{First, HEAD, first};
use crate::socks5::SocksError;
use crate::user::Users;
use crate::{socks4, socks5};

/// What was made of a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetingOutline {
    /// What is asked for, and by whom, once that is known: `socks5 Connect a.test:443 ann`.
    pub asked: Option<String>,
    /// Whether the caller is refused, whatever it says next.
    pub refused: bool,
    /// What it was told.
    pub told: Vec<u8>,
    /// How many bytes what is asked for has: what follows belongs to the tunnel.
    pub used: usize,
}

/// A caller that says these pieces, one at each read, and then nothing more.
struct Caller<'a> {
    pieces: &'a [&'a [u8]],
    /// Of the first piece.
    read: usize,
    used: usize,
    told: Vec<u8>,
}

impl AsyncRead for Caller<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while let [piece, rest @ ..] = self.pieces {
            let left = &piece[self.read..];
            if left.is_empty() {
                (self.pieces, self.read) = (rest, 0);
                continue;
            }
            let count = left.len().min(into.remaining());
            into.put_slice(&left[..count]);
            self.read += count;
            self.used += count;
            break;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Caller<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.told.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Has a port understand these pieces; `with_password` when it knows the user `ann` with the password `secret` and nobody else.
pub fn outline_greeting(pieces: &[&[u8]], with_password: bool) -> GreetingOutline {
    let users = if with_password { Users::of(&[("ann", "secret")]) } else { Users::default() };
    let from = Ipv4Addr::LOCALHOST;
    let mut caller = Caller { pieces, read: 0, used: 0, told: Vec::new() };
    let first_byte = pieces.iter().find_map(|piece| piece.first());
    let asked = match first_byte.map(|byte| of_byte(*byte)) {
        // Nothing was said, so that nothing is refused.
        None => Err(false),
        Some(None) => Err(true),
        Some(Some(Spoken::Socks5)) => now(socks5::accept(&mut caller, &users, (from, 1).into()))
            .map(|asked| format!("socks5 {:?} {} {:?}", asked.command, asked.to, asked.who.name))
            .map_err(is_refusal),
        Some(Some(Spoken::Socks4)) => now(socks4::accept(&mut caller, users.needed(from.into())))
            .map(|to| format!("socks4 {to}"))
            .map_err(is_refusal),
        Some(Some(Spoken::Http)) => {
            let whole = pieces.concat();
            match first(&whole, &users, from.into()) {
                First::Connect { to, who, head } => {
                    caller.used = head;
                    Ok(format!("connect {to} {:?}", who.map(|who| who.name)))
                }
                First::Other => Ok("a request".to_owned()),
                First::Bad(_) => Err(true),
                First::Partial => Err(whole.len() >= HEAD),
            }
        }
    };
    let refused = asked == Err(true);
    let used = if asked.is_ok() { caller.used } else { 0 };
    GreetingOutline { asked: asked.ok(), refused, told: caller.told, used }
}

/// Whether it is the caller's fault, and not its silence.
fn is_refusal(error: SocksError) -> bool {
    !matches!(error, SocksError::Io(_))
}

/// What comes of a future that never waits: the caller above always has an answer.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing is waited for"),
    }
}
