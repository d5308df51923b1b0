//! The loads: opening tunnels, bytes through them, round trips over one, and many that say nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::caller::{TunnelError, open};
use super::{PIECE, Path, Wish};
use crate::load::{Spread, Times, now};

/// Tunnels that are opened at once when many are to be held.
const AT_ONCE: usize = 64;

/// What came of opening tunnels, one after the other by each caller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opens {
    /// Tunnels that were opened, used for one byte each way, and seen to end.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// The others by what went wrong.
    pub failures: BTreeMap<String, u64>,
    /// Good ones a second.
    pub per_second: f64,
    /// From connecting to the proxy until its yes.
    pub open_ms: Option<Spread>,
    /// From connecting to the proxy to the end of the tunnel.
    pub total_ms: Option<Spread>,
}

/// What came of sending many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Flow {
    /// Bytes of all tunnels.
    pub bytes: u64,
    /// From the first byte to the last of all tunnels, which are open before.
    pub seconds: f64,
    /// MiB a second.
    pub mib_per_second: f64,
}

/// What came of round trips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pings {
    /// One byte to the far end and back.
    pub round_trip_ms: Option<Spread>,
}

/// Sixteen or however many callers, each with one tunnel at a time: open it, send a byte, read one back, read the end.
///
/// The far end closes first, so that no port of the generator or of the proxy's way out has to rest before it is used again.
pub async fn opens(path: &Path, callers: usize, lasting: Duration) -> Opens {
    let mut tasks = JoinSet::new();
    let end = now() + lasting;
    for _ in 0..callers {
        let path = path.clone();
        tasks.spawn(async move {
            let (mut opened, mut whole, mut failures) = (Times::new(), Times::new(), BTreeMap::<String, u64>::new());
            while now() < end {
                let start = now();
                let outcome = async {
                    let mut stream = open(&path).await?;
                    opened.record(now().duration_since(start));
                    once(&mut stream).await
                };
                match outcome.await {
                    Ok(()) => whole.record(now().duration_since(start)),
                    Err(error) => *failures.entry(error.to_string()).or_default() += 1,
                }
            }
            (opened, whole, failures)
        });
    }
    let (mut opened, mut whole, mut failures) = (Times::new(), Times::new(), BTreeMap::<String, u64>::new());
    for (one_opened, one_whole, one_failures) in tasks.join_all().await {
        opened.merge(&one_opened);
        whole.merge(&one_whole);
        for (kind, count) in one_failures {
            *failures.entry(kind).or_default() += count;
        }
    }
    let total_ms = whole.spread();
    let ok = total_ms.map_or(0, |spread| spread.count);
    Opens {
        ok,
        failed: failures.values().sum(),
        failures,
        per_second: ok as f64 / lasting.as_secs_f64(),
        open_ms: opened.spread(),
        total_ms,
    }
}

/// One byte there and back, and the end.
async fn once(stream: &mut TcpStream) -> Result<(), TunnelError> {
    stream.write_all(&[Wish::Once as u8]).await?;
    stream.read_u8().await?;
    match stream.read(&mut [0]).await? {
        0 => Ok(()),
        _ => Err(TunnelError::Refused("more than was asked for".to_owned())),
    }
}

/// `bytes` through each of so many tunnels at once, from the far end or `up` to it.
///
/// # Errors
/// When a tunnel does not open or breaks.
pub async fn flow(path: &Path, tunnels: usize, bytes: u64, up: bool) -> Result<Flow, TunnelError> {
    let mut streams = Vec::with_capacity(tunnels);
    for _ in 0..tunnels {
        streams.push(open(path).await?);
    }
    let start = now();
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(async move { if up { send(stream, bytes).await } else { take(stream, bytes).await } });
    }
    for ended in tasks.join_all().await {
        ended?;
    }
    let (bytes, seconds) = (bytes * tunnels as u64, now().duration_since(start).as_secs_f64());
    Ok(Flow { bytes, seconds, mib_per_second: bytes as f64 / seconds / f64::from(1 << 20) })
}

async fn ask(stream: &mut TcpStream, wish: Wish, bytes: u64) -> Result<(), TunnelError> {
    let mut head = vec![wish as u8];
    head.extend(bytes.to_be_bytes());
    Ok(stream.write_all(&head).await?)
}

async fn take(mut stream: TcpStream, bytes: u64) -> Result<(), TunnelError> {
    ask(&mut stream, Wish::Send, bytes).await?;
    let mut buffer = vec![0; PIECE];
    let mut left = bytes;
    loop {
        match stream.read(&mut buffer).await? as u64 {
            0 if left == 0 => return Ok(()),
            count if (1..=left).contains(&count) => left -= count,
            count => return Err(TunnelError::Refused(format!("{count} bytes more, where {left} were left"))),
        }
    }
}

async fn send(mut stream: TcpStream, bytes: u64) -> Result<(), TunnelError> {
    ask(&mut stream, Wish::Take, bytes).await?;
    let piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PIECE as u64);
        stream.write_all(&piece[..now as usize]).await?;
        left -= now;
    }
    // The far end says when it has all.
    stream.read_u8().await?;
    Ok(())
}

/// One byte there and back over one tunnel, again and again.
///
/// # Errors
/// When the tunnel does not open or breaks.
pub async fn pings(path: &Path, lasting: Duration) -> Result<Pings, TunnelError> {
    let mut stream = open(path).await?;
    stream.write_all(&[Wish::Echo as u8]).await?;
    let (mut times, end) = (Times::new(), now() + lasting);
    loop {
        let start = now();
        if start >= end {
            return Ok(Pings { round_trip_ms: times.spread() });
        }
        echo(&mut stream).await?;
        times.record(now().duration_since(start));
    }
}

async fn echo(stream: &mut TcpStream) -> Result<(), TunnelError> {
    stream.write_all(&[7]).await?;
    match stream.read_u8().await? {
        7 => Ok(()),
        byte => Err(TunnelError::Refused(format!("the byte {byte} comes back"))),
    }
}

/// Opens so many tunnels and proves each with a byte there and back. They are closed when they are dropped.
///
/// # Errors
/// When one does not open or breaks.
pub async fn hold(path: &Path, tunnels: usize) -> Result<Vec<TcpStream>, TunnelError> {
    let mut held = Vec::with_capacity(tunnels);
    while held.len() < tunnels {
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE.min(tunnels - held.len()) {
            let path = path.clone();
            tasks.spawn(async move {
                let mut stream = open(&path).await?;
                stream.write_all(&[Wish::Echo as u8]).await?;
                echo(&mut stream).await?;
                Ok::<_, TunnelError>(stream)
            });
        }
        for opened in tasks.join_all().await {
            held.push(opened?);
        }
    }
    Ok(held)
}
