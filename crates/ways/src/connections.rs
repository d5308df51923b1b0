//! The connections that are open through the relay: what dashboards list, count and close.
//!
//! Each has one small allocation here, entered when it begins and taken out when its [`Open`] is dropped; the counters
//! are plain additions without a lock.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tradewind_core::UnixMillis;
use tradewind_decide::rules::Meta;

/// The table has as many parts, so that workers seldom wait for each other.
const PARTS: usize = 16;

/// All open connections.
#[derive(Debug, Default)]
pub struct Connections {
    parts: [Mutex<FxHashMap<u64, Arc<Connection>>>; PARTS],
    next: AtomicU64,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number, from 1.
    pub number: u64,
    /// Its random name: a UUID of version 4, RFC 9562.
    pub id: u128,
    /// Where it comes from and goes to.
    pub meta: Meta,
    /// Where it really goes, once known.
    pub remote: Option<IpAddr>,
    /// When it began.
    pub since: UnixMillis,
    /// The way that it takes: the proxy first, the outermost group last.
    pub chain: SmallVec<[Arc<str>; 4]>,
    /// The type of the rule that decided; empty when no rule was asked.
    pub rule: &'static str,
    /// The payload of that rule.
    pub payload: Arc<str>,
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    closed: AtomicBool,
    bell: Notify,
}

impl Connection {
    /// Bytes from the caller.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// Bytes to the caller.
    pub fn downloaded(&self) -> u64 {
        self.downloaded.load(Ordering::Relaxed)
    }

    /// Asks whoever serves it to end it.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Whether somebody has asked to end it.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits until somebody asks to end it.
    pub async fn closed(&self) {
        loop {
            let rung = self.bell.notified();
            if self.is_closed() {
                return;
            }
            rung.await;
        }
    }
}

/// 122 random bits, with version and variant.
fn random_uuid() -> u128 {
    (fastrand::u128(..) & !(0xf << 76) & !(0xc << 60)) | (0x4 << 76) | (0x8 << 60)
}

/// What a new connection is entered with.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where it comes from and goes to.
    pub meta: Meta,
    /// Where it really goes, when known.
    pub remote: Option<IpAddr>,
    /// When.
    pub since: UnixMillis,
    /// The way.
    pub chain: SmallVec<[Arc<str>; 4]>,
    /// The type of the rule.
    pub rule: &'static str,
    /// Its payload.
    pub payload: Arc<str>,
}

impl Connections {
    /// Enters a connection.
    pub fn enter(self: &Arc<Self>, begun: Begun) -> Open {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let Begun { meta, remote, since, chain, rule, payload } = begun;
        let connection = Arc::new(Connection {
            number,
            id: random_uuid(),
            meta,
            remote,
            since,
            chain,
            rule,
            payload,
            uploaded: AtomicU64::new(0),
            downloaded: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            bell: Notify::new(),
        });
        self.part(number).lock().insert(number, connection.clone());
        Open { connection, table: self.clone() }
    }

    fn part(&self, number: u64) -> &Mutex<FxHashMap<u64, Arc<Connection>>> {
        &self.parts[number as usize % PARTS]
    }

    /// Those that are open now, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Connection>> {
        let mut all: Vec<_> =
            self.parts.iter().flat_map(|part| part.lock().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_unstable_by_key(|connection| connection.number);
        all
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }

    /// Asks to end the one of this name. False when there is none.
    pub fn close(&self, id: u128) -> bool {
        let found = self.list().into_iter().find(|connection| connection.id == id);
        found.inspect(|connection| connection.close()).is_some()
    }

    /// Asks to end all.
    pub fn close_all(&self) {
        self.list().iter().for_each(|connection| connection.close());
    }

    /// Bytes from callers and to callers, of all connections that ever were.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.uploaded.load(Ordering::Relaxed), self.downloaded.load(Ordering::Relaxed))
    }
}

/// A connection's entry in the table; taken out when dropped.
#[derive(Debug)]
pub struct Open {
    connection: Arc<Connection>,
    table: Arc<Connections>,
}

impl Open {
    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Counts bytes from the caller.
    pub fn upload(&self, bytes: u64) {
        self.connection.uploaded.fetch_add(bytes, Ordering::Relaxed);
        self.table.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes to the caller.
    pub fn download(&self, bytes: u64) {
        self.connection.downloaded.fetch_add(bytes, Ordering::Relaxed);
        self.table.downloaded.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.table.part(self.connection.number).lock().remove(&self.connection.number);
    }
}
