//! What a store over a server does when the server's disk is full.

use bytes::Bytes;
use tradewind_store::suite::{commit, key, record};
use tradewind_store::{Body, Committed, Hash, Key, Record, Store, StoreError};

use super::faults::until_done;

/// Bytes of a value: so many that a disk of some megabytes is full after some hundred, and such that nobody makes them fewer.
const LENGTH: usize = 24_000;

/// What happened until the disk was full.
pub(crate) struct Filled {
    written: Vec<(Key, Record)>,
    /// The first that was not acknowledged, and what was said of it.
    first: (Key, Record),
    pub(crate) refused: StoreError,
}

/// A value of its own for each number.
fn value(number: usize) -> (Key, Record) {
    let mut seed = Hash::of(&number.to_le_bytes()).0;
    let mut noise = Vec::with_capacity(LENGTH + 32);
    while noise.len() < LENGTH {
        noise.extend_from_slice(&seed);
        seed = Hash::of(&seed).0;
    }
    let mut whole = record(&noise);
    whole.body = Body::Whole(Bytes::from(noise));
    (key("full", &format!("value/{number}")), whole)
}

/// Writes values until one is not acknowledged.
pub(crate) async fn fill(store: &dyn Store) -> Filled {
    let mut written = Vec::new();
    loop {
        let first = value(written.len());
        match store.commit(commit(&first.0, &first.1)).await {
            Ok(Committed::Done(_)) => written.push(first),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => {
                assert!(written.len() > 50, "it is large enough for some: {refused}");
                return Filled { written, first, refused };
            }
        }
        assert!(written.len() < 10_000, "it is never full");
    }
}

impl Filled {
    /// What was not acknowledged, once more.
    pub(crate) async fn again(&self, store: &dyn Store) -> StoreError {
        store.commit(commit(&self.first.0, &self.first.1)).await.expect_err("the disk is full")
    }

    /// What was refused is not there.
    pub(crate) async fn is_not_there(&self, store: &dyn Store) {
        assert_eq!(store.head(&self.first.0).await, Ok(None));
    }

    /// All that was acknowledged is there, whole.
    pub(crate) async fn all_is_there(&self, store: &dyn Store) {
        for (key, record) in &self.written {
            let head = store.head(key).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(head.as_deref(), Some(record), "{key}");
        }
    }

    /// There is room: what was not acknowledged is written at last, and what comes after it.
    pub(crate) async fn goes_on(&mut self, store: &dyn Store) {
        let mut next = self.first.clone();
        for number in 0..20 {
            until_done(store, &next.0, &next.1).await;
            self.written.push(next);
            next = value(1_000_000 + number);
        }
        self.all_is_there(store).await;
    }
}
