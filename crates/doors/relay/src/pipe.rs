//! Moving bytes from socket to socket within the kernel (`splice(2)`), through a pipe. Linux only; elsewhere there is never a
//! pipe, and bytes are copied.
//!
//! A pipe is lent to a tunnel only while bytes are in it: one that says nothing has none, and thousands that do share a few.

#[cfg(target_os = "linux")]
pub(crate) use linux::Pipe;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Pipe;

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::RefCell;
    use std::io;
    use std::io::ErrorKind::{Interrupted, InvalidInput, PermissionDenied, Unsupported, WouldBlock};
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::{Context, Poll, ready};

    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// What a pipe is asked to hold, in bytes; the system may give less. So much is taken at once as well. What it counts are
    /// pieces, each as large as a page: those of a fast connection are larger, and a pipe then takes two fills.
    const SIZE: usize = 1024 * 1024;
    /// Pipes that a thread keeps for the next tunnel.
    const KEPT: usize = 4;
    /// Pipes of the process; while all are in use, other tunnels copy.
    const MOST: usize = 64;

    static MADE: AtomicUsize = AtomicUsize::new(0);
    /// Set when the system does not do this at all, as some sandboxes.
    static REFUSED: AtomicBool = AtomicBool::new(false);

    thread_local! {
        static IDLE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
    }

    /// A pipe with its two ends.
    #[derive(Debug)]
    pub(crate) struct Pipe {
        out: OwnedFd,
        into: OwnedFd,
        held: usize,
    }

    impl Pipe {
        /// An empty pipe; `None` when there are enough, or the system has none.
        pub(crate) fn take() -> Option<Self> {
            if let Some(pipe) = IDLE.with_borrow_mut(Vec::pop) {
                return Some(pipe);
            }
            if REFUSED.load(Ordering::Relaxed) || MADE.fetch_add(1, Ordering::Relaxed) >= MOST {
                MADE.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let Ok((out, into)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
                MADE.fetch_sub(1, Ordering::Relaxed);
                return None;
            };
            // Smaller ones work as well.
            let _ = fcntl_setpipe_size(&into, SIZE);
            Some(Self { out, into, held: 0 })
        }

        /// Whether nothing is in it.
        pub(crate) const fn is_empty(&self) -> bool {
            self.held == 0
        }

        /// Keeps it for the next tunnel of this thread, when it is empty.
        pub(crate) fn give_back(self) {
            if self.held == 0 {
                IDLE.with_borrow_mut(|idle| {
                    if idle.len() < KEPT {
                        idle.push(self);
                    }
                });
            }
        }

        /// Takes what has come on `from`; 0 is its end. Only for an empty pipe. `None` when the system does not do this.
        pub(crate) fn poll_fill(
            &mut self,
            from: &TcpStream,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<Option<usize>>> {
            loop {
                ready!(from.poll_read_ready(context))?;
                let filled = from.try_io(Interest::READABLE, || {
                    Ok(splice(from, None, &self.into, None, SIZE, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
                });
                match filled {
                    Ok(count) => {
                        self.held = count;
                        return Poll::Ready(Ok(Some(count)));
                    }
                    Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => {}
                    Err(error) => return Poll::Ready(not_refused(error)),
                }
            }
        }

        /// Takes what else is there, after a fill; 0 is the end of `from`. `None` when there is nothing now, or no room.
        ///
        /// These two cannot be told apart. So it does not go by what the poller knows of the socket, and does not tell it
        /// either: the poller would wait for bytes that have come already.
        pub(crate) fn fill_again(&mut self, from: &TcpStream) -> io::Result<Option<usize>> {
            match splice(from, None, &self.into, None, SIZE, SpliceFlags::NONBLOCK | SpliceFlags::MOVE) {
                Ok(count) => {
                    self.held += count;
                    Ok(Some(count))
                }
                Err(error) => {
                    let error = io::Error::from(error);
                    if matches!(error.kind(), WouldBlock | Interrupted) { Ok(None) } else { Err(error) }
                }
            }
        }

        /// Gives `to` what it takes of what is in the pipe.
        pub(crate) fn poll_empty(&mut self, to: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
            loop {
                ready!(to.poll_write_ready(context))?;
                let written = to.try_io(Interest::WRITABLE, || {
                    Ok(splice(&self.out, None, to, None, self.held, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
                });
                match written {
                    Ok(count) => {
                        self.held -= count.min(self.held);
                        return Poll::Ready(Ok(count));
                    }
                    Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    fn not_refused(error: io::Error) -> io::Result<Option<usize>> {
        if !matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) {
            return Err(error);
        }
        REFUSED.store(true, Ordering::Relaxed);
        Ok(None)
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            MADE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::task::{Context, Poll};

    use tokio::net::TcpStream;

    /// There is none.
    #[derive(Debug)]
    pub(crate) enum Pipe {}

    impl Pipe {
        pub(crate) const fn take() -> Option<Self> {
            None
        }

        pub(crate) const fn is_empty(&self) -> bool {
            match *self {}
        }

        pub(crate) const fn give_back(self) {
            match self {}
        }

        pub(crate) fn poll_fill(&mut self, _: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
            match *self {}
        }

        pub(crate) fn fill_again(&mut self, _: &TcpStream) -> io::Result<Option<usize>> {
            match *self {}
        }

        pub(crate) fn poll_empty(&mut self, _: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use smallvec::smallvec;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tradewind_core::UnixMillis;
    use tradewind_decide::rules::Meta;
    use tradewind_egress::Stream;
    use tradewind_ways::{Begun, Connections, Open};

    use crate::tunnel::{Ended, tunnel};

    fn open() -> Open {
        let (meta, since) = (Meta::default(), UnixMillis(0));
        let chain = smallvec!["DIRECT".into()];
        Arc::new(Connections::default()).enter(Begun {
            meta,
            remote: None,
            since,
            chain,
            rule: "Match",
            payload: "".into(),
        })
    }

    /// Two ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    /// Bytes that show when one is lost, doubled or out of place.
    fn pattern(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
    }

    /// Says `say` and ends, and hears all that the other side says; the first 2 MB of it in small pieces when `slow`.
    async fn talk(socket: TcpStream, say: &[u8], slow: bool) -> Vec<u8> {
        let (mut reader, mut writer) = socket.into_split();
        let mut heard = Vec::new();
        let listen = async {
            let mut piece = [0; 1000];
            for _ in 0..if slow { 2000 } else { 0 } {
                let count = reader.read(&mut piece).await.unwrap();
                heard.extend_from_slice(&piece[..count]);
            }
            reader.read_to_end(&mut heard).await.unwrap();
        };
        let speak = async {
            writer.write_all(say).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        tokio::join!(listen, speak);
        heard
    }

    #[tokio::test]
    async fn much_arrives_whole_both_ways() {
        let ((caller, near), (far, server)) = (pair().await, pair().await);
        let (up, down) = (pattern(24 << 20, 1), pattern(17 << 20, 2));
        let open = open();
        let (ended, came, sent) = tokio::join!(
            tunnel(near, b"early ".to_vec(), Stream::Plain(far), &open),
            talk(caller, &up, true),
            talk(server, &down, false)
        );
        assert_eq!(ended, Ended::Whole);
        assert!(came == down, "{} of {} bytes", came.len(), down.len());
        assert!(sent == [b"early ", &up[..]].concat(), "{} of {} bytes", sent.len(), up.len());
        let connection = open.connection();
        assert_eq!((connection.uploaded(), connection.downloaded()), (up.len() as u64 + 6, down.len() as u64));
    }

    #[tokio::test]
    async fn a_side_that_goes_in_the_midst_of_much_ends_the_tunnel() {
        let ((mut caller, near), (far, server)) = (pair().await, pair().await);
        let open = open();
        let much = pattern(64 << 20, 3);
        let leave = async {
            // More than buffers and pipes hold: it stops where the server reads nothing.
            let stuck = tokio::time::timeout(Duration::from_secs(2), caller.write_all(&much)).await;
            assert!(stuck.is_err(), "all of it was taken");
            drop(server);
        };
        let (ended, ()) = tokio::join!(tunnel(near, Vec::new(), Stream::Plain(far), &open), leave);
        assert_eq!(ended, Ended::WayBroke);
        assert!(open.connection().uploaded() > 0);
    }
}
