//! Compares what the gateway has booked with what the providers have charged, call by call and target by target.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tradewind_core::{TargetId, Usd};
use tradewind_sim::Charges;

use super::callers::Caller;
use super::world::{READER, World, bearer, target};

/// What was booked, and what was charged for the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    pub(super) uses: u64,
    pub(super) booked: Usd,
    pub(super) charged: Usd,
}

impl Pair {
    fn add(&mut self, booked: Usd, charged: Usd) {
        self.uses += 1;
        self.booked += booked;
        self.charged += charged;
    }

    /// How much more was booked than charged, as a share of what was charged.
    pub(super) fn excess(&self) -> f64 {
        self.booked.dollars() / self.charged.dollars() - 1.0
    }
}

/// The sums of all calls so far.
#[derive(Default)]
pub(super) struct Books {
    /// By key: the sum of the records' costs.
    pub(super) recorded: BTreeMap<String, Usd>,
    /// By key: what providers charged for it.
    pub(super) charged: BTreeMap<String, Usd>,
    /// Uses of a target whose provider has told its counts.
    pub(super) reported: Pair,
    /// Uses that were estimated, by what became of the attempt.
    pub(super) estimated: BTreeMap<String, Pair>,
    /// Records by outcome.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// The last request of each provider that was looked at.
    seen: HashMap<String, u64>,
}

/// What one call used of one target.
#[derive(Default)]
struct Use {
    booked: Usd,
    input: u64,
    estimated: bool,
    /// Whether the beginning of an answer was passed on.
    began: bool,
    /// What became of the attempts.
    end: String,
    charges: Option<Charges>,
}

/// A record's amount. Exact: no sum here comes near the 9007 dollars up to which a picodollar is.
fn usd(amount: &Value) -> Usd {
    Usd::from_pico((amount.as_f64().unwrap_or(0.0) * 1e12).round() as u64)
}

pub(super) async fn fetch(world: &World, path: &str) -> Value {
    let answer = world.bench.get_with(path, &bearer(READER)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

impl Books {
    /// Takes in the calls of these numbers, which are all over; at most 1000.
    pub(super) async fn take_in(&mut self, world: &World, calls: std::ops::Range<u64>) {
        let keys: HashMap<String, &str> =
            calls.map(|number| (Caller::trace(number), Caller::new(number).key)).collect();
        let mut uses = self.recorded_uses(world, &keys).await;
        self.add_charges(world, &keys, &mut uses);
        for ((trace, id), used) in uses {
            self.compare(&trace, &id, &used);
        }
    }

    /// What the records of these calls say, by trace and target.
    async fn recorded_uses(&mut self, world: &World, keys: &HashMap<String, &str>) -> BTreeMap<(String, String), Use> {
        let mut uses: BTreeMap<(String, String), Use> = BTreeMap::new();
        let mut traces = Vec::new();
        let read = fetch(world, "/api/v1/decisions?limit=1000").await;
        for record in read["decisions"].as_array().unwrap() {
            let trace = record["trace_id"].as_str().unwrap().to_owned();
            let Some(key) = keys.get(&trace) else { continue };
            assert_eq!(record["key"], *key, "{record}");
            traces.push(trace.clone());
            *self.outcomes.entry(record["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
            *self.recorded.entry((*key).to_owned()).or_default() += usd(&record["cost_usd"]);
            let attempts = record["attempts"].as_array().unwrap();
            let (mut sum, mut reported) = (Usd::default(), Usd::default());
            for attempt in attempts {
                // With one attempt the usage is the call's own.
                let source = if attempts.len() == 1 { record } else { attempt };
                let used = uses.entry((trace.clone(), attempt["target"].as_str().unwrap().to_owned())).or_default();
                let estimated = source["usage"]["estimated"] == true;
                used.booked += usd(&source["cost_usd"]);
                used.input += source["usage"]["input"].as_u64().unwrap_or(0);
                used.estimated |= estimated;
                used.began |= !attempt["first_byte_ms"].is_null();
                used.end =
                    format!("{} {}", attempt["outcome"].as_str().unwrap(), attempt["fault"].as_str().unwrap_or(""));
                sum += usd(&source["cost_usd"]);
                if !estimated {
                    reported += usd(&source["cost_usd"]);
                }
            }
            assert_eq!(usd(&record["cost_usd"]), sum, "the attempts are not the call: {record}");
            assert!(usd(&record["cost_usd"]) >= reported, "{record}");
        }
        let count = traces.len();
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), count, "a call has two records");
        uses
    }

    /// Adds what the providers have charged since the last time.
    fn add_charges(&mut self, world: &World, keys: &HashMap<String, &str>, uses: &mut BTreeMap<(String, String), Use>) {
        for sim in &world.sims {
            let seen = self.seen.entry(sim.name().to_owned()).or_default();
            let requests = sim.requests();
            assert!(requests.first().is_none_or(|first| first.number <= *seen + 1), "requests were forgotten");
            let before = std::mem::replace(seen, requests.last().map_or(*seen, |last| last.number));
            for request in requests.into_iter().filter(|request| request.number > before) {
                let Some(model) = &request.model else { continue }; // broken off before its body was read
                let id = TargetId::new(&format!("{}/{model}", sim.name())).to_string();
                let trace = request.header("traceparent").unwrap()[3..35].to_owned();
                let key = keys[&trace];
                let used = uses.get_mut(&(trace, id.clone())).unwrap_or_else(|| panic!("nobody recorded {request:?}"));
                let sum = used.charges.get_or_insert_default();
                sum.input += request.charged.input;
                sum.cached += request.charged.cached;
                sum.cache_creation += request.charged.cache_creation;
                sum.output += request.charged.output;
                sum.reasoning += request.charged.reasoning;
                *self.charged.entry(key.to_owned()).or_default() += target(&id).cost(&request.charged);
            }
        }
    }

    /// Compares one use; one whose provider has told its counts has to be right to the picodollar.
    fn compare(&mut self, trace: &str, id: &str, used: &Use) {
        let charges = used.charges.unwrap_or_default();
        let charged = target(id).cost(&charges);
        if !used.estimated {
            let (booked, end) = (used.booked, &used.end);
            assert_eq!(booked, charged, "{trace} at {id} ({end}): booked {booked}, charged {charged} for {charges:?}");
            self.reported.add(used.booked, charged);
            return;
        }
        // What a messages stream tells in its beginning is not estimated anew.
        let tells_input = id.starts_with("claude/") && used.began && used.end.starts_with("client_gone");
        assert!(!tells_input || used.input >= charges.input, "{trace} at {id}: {} of {charges:?}", used.input);
        self.estimated.entry(used.end.clone()).or_default().add(used.booked, charged);
    }

    /// All estimates together.
    pub(super) fn all_estimated(&self) -> Pair {
        self.estimated.values().fold(Pair::default(), |sum, pair| Pair {
            uses: sum.uses + pair.uses,
            booked: sum.booked + pair.booked,
            charged: sum.charged + pair.charged,
        })
    }
}

/// By key: what the spend book says.
pub(super) async fn spent(world: &World) -> BTreeMap<String, Usd> {
    let read = fetch(world, "/api/v1/spend?by=key").await;
    let rows = read["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["key"].as_str().unwrap().to_owned(), usd(&row["usd"]))).collect()
}

/// By key: what its budget has come to, and what is held back.
pub(super) async fn budgets(world: &World) -> BTreeMap<String, (Usd, Usd)> {
    let read = fetch(world, "/api/v1/keys").await;
    let keys = read["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| (key["name"].as_str().unwrap().to_owned(), (usd(&key["spent"]), usd(&key["reserved"]))))
        .collect()
}
