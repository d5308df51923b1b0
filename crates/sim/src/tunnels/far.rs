//! The far end: a server that does what the first byte of a connection asks for.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::{PIECE, Wish};

/// A server for tunnels to lead to.
#[derive(Debug)]
pub struct FarEnd {
    listener: std::net::TcpListener,
}

impl FarEnd {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has none.
    pub fn open() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves on this thread until the process ends or the future is dropped.
    ///
    /// # Errors
    /// When accepting fails.
    pub async fn serve(self) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let zeros: Rc<[u8]> = Rc::from(vec![0; PIECE]);
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                loop {
                    let (stream, _) = listener.accept().await?;
                    let zeros = zeros.clone();
                    // A connection that breaks is the caller's failure to report.
                    tokio::task::spawn_local(async move { drop(answer(stream, &zeros).await) });
                }
            })
            .await
    }
}

async fn answer(mut stream: TcpStream, zeros: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match Wish::of(stream.read_u8().await?) {
        Some(Wish::Once) => stream.write_all(&[0]).await,
        Some(Wish::Echo) => {
            // Small, since thousands of these are held open.
            let mut buffer = [0; 64];
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Ok(()),
                    count => stream.write_all(&buffer[..count]).await?,
                }
            }
        }
        Some(Wish::Send) => {
            let mut left = stream.read_u64().await?;
            while left > 0 {
                let now = left.min(zeros.len() as u64);
                stream.write_all(&zeros[..now as usize]).await?;
                left -= now;
            }
            Ok(())
        }
        Some(Wish::Take) => {
            let mut left = stream.read_u64().await?;
            let mut buffer = vec![0; PIECE];
            while left > 0 {
                match stream.read(&mut buffer).await? {
                    0 => return Ok(()),
                    count => left = left.saturating_sub(count as u64),
                }
            }
            stream.write_all(&[0]).await
        }
        None => Ok(()),
    }
}
