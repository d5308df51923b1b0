//! What the kernel tells when links, addresses and routes change. It tells nothing of domains.

use std::future::Future;
use std::io;
use std::pin::Pin;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::netlink::{messages, receive};
use crate::network::{Change, Changes, SampleError};

/// `RTNLGRP_LINK`, and addresses and routes of both families.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];

/// Listens to the kernel.
pub(super) struct LinuxChanges {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl LinuxChanges {
    /// Begins to listen, in the network namespace of this thread.
    pub(super) fn begin() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self { socket: registered(socket)?, buffer: Vec::new() })
    }

    async fn receive(&mut self) -> io::Result<Change> {
        loop {
            let mut ready = self.socket.readable_mut().await?;
            match ready.try_io(|socket| receive(socket.get_ref(), &mut self.buffer)) {
                Ok(Ok(())) => {}
                // More has changed than the kernel could keep for us: nobody knows what, so all of it.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Change::Any),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => continue,
            }
            if let Some(change) = messages(&self.buffer).find_map(|message| change(message.kind)) {
                return Ok(change);
            }
        }
    }
}

#[expect(unsafe_code, reason = "tokio takes no owned file descriptor of a foreign type otherwise")]
fn registered(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, always gives out the same one, and closes it only when it is dropped, which
    // the `AsyncFd` that owns it does last.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    Ok(registered?)
}

const fn change(kind: u16) -> Option<Change> {
    match kind {
        libc::RTM_NEWLINK | libc::RTM_DELLINK => Some(Change::Link),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => Some(Change::Address),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => Some(Change::Route),
        _ => None,
    }
}

impl Changes for LinuxChanges {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Change, SampleError>> + Send + '_>> {
        Box::pin(async { self.receive().await.map_err(|error| SampleError::new("listen for changes", error)) })
    }
}
