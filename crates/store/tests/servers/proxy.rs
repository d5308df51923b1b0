//! A network that can be broken: a port that passes bytes on to another, as long as it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// They arrive.
    All,
    /// What is asked arrives, and no answer comes back.
    Questions,
    /// None arrive, and nobody is told: cables pulled.
    Nothing,
    /// Connections break, and none can be made.
    Refuse,
}

/// The way to a server. Runs on a thread of its own, so that tests can be busy.
pub(crate) struct Proxy {
    port: u16,
    pass: watch::Sender<Pass>,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        let (pass, passing) = watch::channel(Pass::All);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                serve(listener, (Ipv4Addr::LOCALHOST, target).into(), passing).await;
            });
        });
        Self { port: told.recv_timeout(Duration::from_secs(10)).unwrap(), pass }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pass(&self, pass: Pass) {
        self.pass.send_replace(pass);
    }
}

/// Until the proxy is dropped.
async fn serve(listener: TcpListener, target: SocketAddr, mut passing: watch::Receiver<Pass>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            changed = passing.changed() => match changed {
                Ok(()) if *passing.borrow_and_update() == Pass::Refuse => {
                    connections.abort_all();
                    continue;
                }
                Ok(()) => continue,
                Err(_) => return,
            },
            accepted = listener.accept() => accepted,
        };
        let Ok((ours, _)) = accepted else { continue };
        if *passing.borrow() == Pass::Refuse {
            continue;
        }
        let passing = passing.clone();
        connections.spawn(async move {
            let mut reached = passing.clone();
            // Who connects while nothing arrives waits.
            if reached.wait_for(|pass| matches!(pass, Pass::All | Pass::Questions)).await.is_err() {
                return;
            }
            let Ok(theirs) = TcpStream::connect(target).await else { return };
            let _ = (ours.set_nodelay(true), theirs.set_nodelay(true));
            let (our_end, our_start) = ours.into_split();
            let (their_end, their_start) = theirs.into_split();
            let there = copy(our_end, their_start, passing.clone(), |pass| matches!(pass, Pass::All | Pass::Questions));
            let back = copy(their_end, our_start, passing, |pass| pass == Pass::All);
            // As soon as one of them is at its end, so is the connection.
            tokio::select! { () = there => (), () = back => () }
        });
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut passing: watch::Receiver<Pass>,
    passes: fn(Pass) -> bool,
) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        if passing.wait_for(|pass| passes(*pass)).await.is_err() || to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}
