//! State over the oracle: what the suite for all engines does not see.

mod conversation;
mod copies;
mod damage;
mod faulty;
mod limits;
mod model;
mod races;
mod sealed;
mod times;

use std::sync::Arc;

use bytes::Bytes;

use super::{At, Condition, New, State, Terms};
use crate::error::StateError;
use crate::name::{Key, Rev};
use crate::settings::{NamespaceSettings, OnConflict, Settings};
use crate::store::Store;
use crate::suite::{FakeClock, Memory, key};

/// State over `store`, with a clock to set. The namespace `merging` merges, `brief` keeps two revisions.
fn over(store: Arc<dyn Store>) -> (State, Arc<FakeClock>) {
    let clock = FakeClock::new();
    let mut settings = Settings::default();
    let merging = NamespaceSettings { on_conflict: OnConflict::Merge, ..NamespaceSettings::default() };
    settings.namespaces.insert(key("merging", "x").namespace, merging);
    let brief = NamespaceSettings { keep: Some(2), max_value: Some(200_000), ..NamespaceSettings::default() };
    settings.namespaces.insert(key("brief", "x").namespace, brief);
    (State::new(store, settings, clock.clone(), None), clock)
}

fn fresh() -> (State, Arc<FakeClock>, Arc<Memory>) {
    let memory = Arc::new(Memory::new());
    let (state, clock) = over(memory.clone());
    (state, clock, memory)
}

fn new(content: impl Into<Bytes>) -> New {
    let content_type = Arc::from("text/plain");
    New { content: content.into(), content_type, schema: None, terms: Terms::default() }
}

fn json(content: &str) -> New {
    New { content_type: Arc::from("application/json"), ..new(content.to_owned()) }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut noise = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut noise);
    noise
}

fn rev(number: u64) -> Rev {
    Rev::new(number).unwrap()
}

/// The number of the head that a lost write is told of; 0 is none.
fn lost(error: &StateError) -> Option<u64> {
    match error {
        StateError::Lost { head } => Some(head.as_ref().map_or(0, |head| head.rev.get())),
        _ => None,
    }
}

async fn content(state: &State, key: &Key) -> Bytes {
    state.get(key, At::Head).await.unwrap().content
}

fn run(test: impl Future<Output = ()>) {
    crate::suite::run(test);
}
