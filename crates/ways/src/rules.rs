//! The rules of the present document, alive: their lists, what they were used for, and which are switched off.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tradewind_core::UnixMillis;
use tradewind_decide::rules::{
    Geo, Lists as Compiled, Meta, Need, Process, Resolved, RuleCount, RuleCounters, RuleInfo, RuleList, RuleSet,
    Verdict,
};
use tradewind_egress::Resolver;
use tradewind_policy::ways::{self as policy, RuleFormat, RuleProvider, Vehicle};
use tradewind_runtime::Live;

use crate::logs::Level;
use crate::source::{Came, Source, Surroundings};
use crate::ways::Inner;

/// The rule that decided about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Its place in `rules`, from 0.
    pub index: usize,
    /// Its type, `DomainSuffix`.
    pub type_name: &'static str,
    /// Its payload.
    pub payload: Arc<str>,
    /// The proxy or group.
    pub target: Arc<str>,
}

/// Finds the process of a call; it may block.
pub type FindProcess = Arc<dyn Fn(&Meta) -> Option<FoundProcess> + Send + Sync>;

/// A process that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundProcess {
    /// Its executable's name.
    pub name: Arc<str>,
    /// Its executable's path.
    pub path: Arc<str>,
    /// Who runs it.
    pub uid: u32,
}

/// The rules of a document.
#[derive(Debug)]
pub struct LiveRules {
    set: Live<RuleSet>,
    refreshing: Mutex<()>,
    counters: RuleCounters,
    /// Lists from elsewhere, in the order of the document.
    pub lists: Lists,
}

impl LiveRules {
    /// Compiles rules with the lists that are there.
    ///
    /// # Errors
    /// When a rule needs data that is not there.
    pub(crate) fn new(spec: &policy::Ways, lists: Lists, geo: &Geo) -> Result<Self, String> {
        let set = RuleSet::new(&spec.rules, &lists.compiled(), geo).map_err(|error| error.to_string())?;
        let counters = RuleCounters::new(set.len());
        Ok(Self { set: Live::new(set), refreshing: Mutex::default(), counters, lists })
    }

    /// The first rule from `from` on that fits and is not switched off; `None` when none does. Finds out what rules need.
    pub(crate) async fn first_match(
        &self,
        meta: &mut Meta,
        from: usize,
        now: UnixMillis,
        resolver: &Resolver,
        find_process: &FindProcess,
    ) -> Option<Ruling> {
        loop {
            let set = self.set.get();
            let need = match set.first_match_from(meta, from) {
                Verdict::Match { index, target, rule } => {
                    self.counters.count(from, Some(index), now);
                    let RuleInfo { type_name, payload, .. } = rule;
                    return Some(Ruling { index, type_name, payload: payload.clone(), target: target.clone() });
                }
                Verdict::None => {
                    self.counters.count(from, None, now);
                    return None;
                }
                Verdict::Need(need) => need,
            };
            match need {
                Need::ResolvedIp => {
                    let host = meta.host.clone().unwrap_or_default();
                    let resolved = resolver.look_up(&host).await;
                    let first = resolved.ok().and_then(|addresses| addresses.first().copied());
                    meta.resolved = first.map_or(Resolved::Failed, Resolved::Ip);
                }
                Need::Process => {
                    // It reads many small files: not on a thread that serves others.
                    let (find, asked) = (find_process.clone(), meta.clone());
                    let found = tokio::task::spawn_blocking(move || find(&asked)).await.ok().flatten();
                    meta.process_asked = true;
                    meta.uid = found.as_ref().map(|found| found.uid);
                    meta.process = found.map(|found| Process { name: found.name, path: found.path });
                }
            }
        }
    }

    /// The rules with what they have met and whether they are switched off, in order.
    #[must_use]
    pub fn uses(&self) -> Vec<(RuleInfo, RuleCount, bool)> {
        let set = self.set.get();
        let counts = self.counters.counts();
        let rules = set.infos().cloned().zip(counts).enumerate();
        rules.map(|(index, (info, count))| (info, count, set.is_disabled(index))).collect()
    }

    /// Switches the rule at `index` off or on, until the next reload. False when there is none.
    pub fn switch(&self, index: usize, disabled: bool) -> bool {
        let _turn = self.refreshing.lock();
        let set = self.set.get();
        let others = (0..set.len()).filter(|place| *place != index && set.is_disabled(*place));
        let next = set.with_disabled(others.chain(disabled.then_some(index)));
        self.set.swap(next);
        index < set.len()
    }

    /// Takes lists that have changed into use.
    pub(crate) fn refresh(&self) {
        // One after the other: the later must not put the earlier's lists in place.
        let _turn = self.refreshing.lock();
        let next = self.set.get().with_lists(&self.lists.compiled());
        self.set.swap(next);
    }
}

/// Lists of rules, in the order of the document.
#[derive(Debug, Default)]
pub struct Lists {
    all: Vec<Arc<List>>,
    geo: Geo,
}

/// A list of rules from elsewhere.
#[derive(Debug)]
pub struct List {
    /// As the document has it.
    pub spec: RuleProvider,
    state: Mutex<ListState>,
}

#[derive(Clone, Debug, Default)]
struct ListState {
    compiled: Option<Arc<RuleList>>,
    updated: Option<UnixMillis>,
    failed: Option<String>,
}

impl Lists {
    /// Reads what is on disk or in the document; `before` has what an earlier document had already.
    pub(crate) fn load(
        spec: &policy::Ways,
        before: Option<&Self>,
        around: &Surroundings<'_>,
        geo: Geo,
        notes: &mut Vec<String>,
    ) -> Self {
        let all = spec.rule_providers.iter().map(|provider| {
            let known = before.and_then(|before| before.all.iter().find(|list| list.spec == *provider));
            known.cloned().unwrap_or_else(|| {
                let list = List { spec: provider.clone(), state: Mutex::default() };
                if let Err(error) = list.load(around, &geo) {
                    notes.push(format!("rule-provider `{}`: {error}", provider.name));
                }
                Arc::new(list)
            })
        });
        Self { all: all.collect(), geo }
    }

    /// The lists.
    #[must_use]
    pub fn all(&self) -> &[Arc<List>] {
        &self.all
    }

    fn compiled(&self) -> Compiled {
        let mut compiled = Compiled::default();
        for list in &self.all {
            if let Some(ready) = &list.state.lock().compiled {
                compiled.insert(list.spec.name.clone(), ready.clone());
            }
        }
        compiled
    }
}

impl List {
    /// How many rules it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.lock().compiled.as_ref().map_or(0, |list| list.count())
    }

    /// When it was last read or fetched with success.
    #[must_use]
    pub fn updated(&self) -> Option<UnixMillis> {
        self.state.lock().updated
    }

    /// Why the last update failed, if it did.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.state.lock().failed.clone()
    }

    const fn source(&self) -> Source<'_> {
        let ending = if matches!(self.spec.format, RuleFormat::Mrs) { "mrs" } else { "txt" };
        Source { vehicle: &self.spec.vehicle, shelf: "rules", ending }
    }

    fn load(&self, around: &Surroundings<'_>, geo: &Geo) -> Result<(), String> {
        if let Vehicle::InlineRules(lines) = &self.spec.vehicle {
            let lines = lines.iter().map(String::as_str);
            let list = RuleList::from_lines(self.spec.behavior, lines, geo).map_err(|error| error.to_string())?;
            self.take(list, around.now);
            return Ok(());
        }
        self.source().load(around, |came| self.read(&came, geo))
    }

    fn read(&self, came: &Came<'_>, geo: &Geo) -> Result<(), String> {
        let list = RuleList::parse(self.spec.behavior, self.spec.format, came.bytes, geo);
        self.take(list.map_err(|error| error.to_string())?, came.at);
        Ok(())
    }

    fn take(&self, list: RuleList, at: UnixMillis) {
        *self.state.lock() = ListState { compiled: Some(Arc::new(list)), updated: Some(at), failed: None };
    }

    /// Why it should be read or fetched now, as [`Source::reason`] says.
    pub(crate) fn reason(&self, base: &Path, folder: &Path, now: UnixMillis) -> Option<u64> {
        self.source().reason(self.updated(), base, folder, now)
    }

    async fn update(&self, around: &Surroundings<'_>, geo: &Geo) -> Result<(), String> {
        let updated = if self.source().is_fetched() {
            self.source().update(around, |came| self.read(&came, geo)).await
        } else {
            self.load(around, geo)
        };
        self.state.lock().failed = updated.as_ref().err().cloned();
        updated
    }
}

impl Inner {
    /// Brings one list of rules up to date.
    pub(crate) async fn update_rules(&self, list: &List) -> Result<(), String> {
        let rules = self.rules.get();
        let updated = list.update(&self.around(), &rules.lists.geo).await;
        // The rules may have been replaced meanwhile; lists are the same in both.
        self.rules.get().refresh();
        if let Err(error) = &updated {
            let at = self.needs.clock.wall();
            self.logs.tell(Level::Warning, at, || format!("[Provider] {}: {error}", list.spec.name));
        }
        updated
    }
}
