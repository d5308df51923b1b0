//! What agents keep their state with, over the engine: a keeper, upcasters, a hand-off, and the steps of a machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::records::{FakeClock, key};
use crate::agent::{AgentError, Keeper, Machine, Retry, Snapshot, StatefulAgent, TransitionError, Upcasters};
use crate::error::StateError;
use crate::meta::Schema;
use crate::name::{Epoch, Key, Rev};
use crate::settings::Settings;
use crate::state::{At, Condition, New, State, Terms};
use crate::store::Store;

/// An agent that counts, in the second version of its schema; the first was the bare number.
#[derive(Debug, Default, PartialEq)]
struct Counter(u64);

fn schema(version: u32) -> Schema {
    Schema::new("counter", version).expect("a schema")
}

impl StatefulAgent for Counter {
    fn take_snapshot(&self) -> Result<Snapshot, AgentError> {
        Snapshot::json(schema(2), &json!({"count": self.0}))
    }

    fn restore_from(&mut self, snapshot: &Snapshot) -> Result<(), AgentError> {
        let kept: Value = snapshot.read_json()?;
        self.0 = kept["count"].as_u64().expect("a count");
        Ok(())
    }
}

fn upcasters() -> Arc<Upcasters> {
    let upcasters = Upcasters::new("counter", 1).expect("a name");
    Arc::new(upcasters.then_json(|count| Ok(json!({ "count": count }))))
}

/// One gateway of several on the store.
fn gateway(store: &Arc<dyn Store>) -> Arc<State> {
    Arc::new(State::new(store.clone(), Settings::default(), FakeClock::new(), None))
}

fn new(content: &'static str, schema: Option<Schema>) -> New {
    let content_type = Arc::from("application/json");
    New { content: Bytes::from_static(content.as_bytes()), content_type, schema, terms: Terms::default() }
}

/// An agent's old state is brought up to date and saved; its twin is told that it comes late; another device takes the key
/// over at another gateway, and the old holder is fenced.
pub async fn an_agent_goes_on_elsewhere(store: Arc<dyn Store>) {
    let (laptop, phone) = (gateway(&store), gateway(&store));
    let key = key("agents", "counter");
    laptop.put(&key, Condition::Absent, new("41", Some(schema(1)))).await.expect("an old state");
    let keeper = || Keeper::new(laptop.clone(), key.clone(), upcasters(), Some(Arc::from("laptop")));
    let (mut holder, mut twin) = (keeper(), keeper());
    let mut agent = Counter::default();
    for one in [&mut holder, &mut twin] {
        one.load(&mut agent).await.expect("the old state");
        assert_eq!(agent, Counter(41));
    }
    let saved = holder.save(&Counter(42)).await.expect("a snapshot");
    assert_eq!((saved.rev.get(), saved.schema), (2, Some(schema(2))));
    let late = twin.save(&Counter(43)).await;
    assert!(matches!(late, Err(AgentError::State(StateError::Lost { head: Some(_) }))), "{late:?}");

    let handed = holder.hand_off(Duration::from_secs(30)).await.expect("a token");
    let taken = Keeper::take_over(phone.clone(), &handed.token, upcasters(), None, &mut agent).await;
    let mut taken = taken.expect("the key");
    assert_eq!((agent, taken.held()), (Counter(42), Rev::new(3).zip(Epoch::new(1))));
    let fenced = holder.save(&Counter(44)).await;
    assert!(matches!(fenced, Err(AgentError::State(StateError::Fenced { epoch })) if epoch.get() == 1), "{fenced:?}");
    taken.save(&Counter(45)).await.expect("the new holder's");
    assert_eq!(&laptop.get(&key, At::Head).await.expect("a value").content[..], br#"{"count":45}"#);
}

/// Of eight who take the same step at two gateways, while others write beside it, one succeeds each time.
pub async fn of_many_who_take_a_step_one_succeeds(store: Arc<dyn Store>) {
    const STEPS: u64 = 10;
    let gateways = [gateway(&store), gateway(&store)];
    let job = key("agents", "job");
    let first = gateways[0].put(&job, Condition::Absent, new(r#"{"at":"0","notes":[]}"#, None)).await;
    let mut rev = first.expect("a machine").rev;
    for number in 0..STEPS {
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let (state, job) = (gateways[task % 2].clone(), job.clone());
            tasks.spawn(async move { step(&state, &job, number, rev, task as u64).await });
        }
        let note = note(&gateways[1], &job, number);
        let (outcomes, ()) = futures_util::future::join(tasks.join_all(), note).await;
        let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let told = |outcome: &_| matches!(outcome, Ok(_) | Err(TransitionError::Elsewhere { .. }));
        assert!(outcomes.iter().all(told), "{outcomes:?}");
        rev = *won[0];
    }
    let there = gateways[0].get(&job, At::Head).await.expect("a value");
    let there: Value = serde_json::from_slice(&there.content).expect("JSON");
    assert_eq!(there, json!({"at": STEPS.to_string(), "notes": (0..STEPS).collect::<Vec<_>>()}));
}

/// Takes the step from `number` to the next one.
async fn step(state: &State, job: &Key, number: u64, rev: Rev, seed: u64) -> Result<Rev, TransitionError> {
    // More tries than writes can come between.
    let retry = Retry { attempts: 20, ..Retry::default() };
    let machine = Machine::new(state, job, "/at", retry, Terms::default());
    let mut random = fastrand::Rng::with_seed(seed);
    let (from, to) = (number.to_string(), (number + 1).to_string());
    machine.transition(&from, &to, rev, &mut random, tokio::time::sleep).await.map(|meta| meta.rev)
}

/// Writes a note beside the machine, on whatever is there.
async fn note(state: &State, job: &Key, number: u64) {
    let patch = json!([{"op": "add", "path": "/notes/-", "value": number}]).to_string();
    loop {
        let head = state.meta(job, At::Head).await.expect("a head");
        match state.patch(job, head.rev, patch.as_bytes(), Terms::default()).await {
            Ok(_) => return,
            Err(StateError::Lost { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
