//! The rules of the present document, alive: their lists, what they were used for, and which are switched off.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Moment, UnixMillis};
use tradewind_decide::rules::{
    Geo, Lists as Compiled, Meta, Need, Process, Resolved, RuleCount, RuleCounters, RuleInfo, RuleList, RuleSet,
    Verdict,
};
use tradewind_egress::Resolver;
use tradewind_policy::ways::{self as policy, RuleFormat, RuleProvider, Vehicle};
use tradewind_runtime::{Live, files};

use crate::fetch::{Fetched, Fetcher};
use crate::provider::LARGEST_LIST;
use crate::ways::{FindProcess, Inner};

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
        base: &Path,
        folder: &Path,
        geo: Geo,
        now: UnixMillis,
        notes: &mut Vec<String>,
    ) -> Self {
        let all = spec.rule_providers.iter().map(|provider| {
            let known = before.and_then(|before| before.all.iter().find(|list| list.spec == *provider));
            known.cloned().unwrap_or_else(|| {
                let list = List { spec: provider.clone(), state: Mutex::default() };
                if let Err(error) = list.load(base, folder, &geo, now) {
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

    fn file(&self, base: &Path, folder: &Path) -> Option<PathBuf> {
        match &self.spec.vehicle {
            Vehicle::File { path } | Vehicle::Http { path: Some(path), .. } => {
                Some(base.join(files::expand_home(path)))
            }
            Vehicle::Http { url, .. } => {
                let ending = if self.spec.format == RuleFormat::Mrs { "mrs" } else { "txt" };
                Some(folder.join("rules").join(format!("{:016x}.{ending}", crate::pick::key_of(&[url.as_bytes()]))))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => None,
        }
    }

    fn load(&self, base: &Path, folder: &Path, geo: &Geo, now: UnixMillis) -> Result<(), String> {
        if let Vehicle::InlineRules(lines) = &self.spec.vehicle {
            let lines = lines.iter().map(String::as_str);
            let list = RuleList::from_lines(self.spec.behavior, lines, geo).map_err(|error| error.to_string())?;
            self.take(list, now);
            return Ok(());
        }
        let Some(path) = self.file(base, folder) else { return Ok(()) };
        let is_fetched = matches!(self.spec.vehicle, Vehicle::Http { .. });
        match files::read_bytes(&path, LARGEST_LIST) {
            Ok(bytes) => {
                let at = if is_fetched { files::modified(&path).unwrap_or(now) } else { now };
                self.read(&bytes, geo, at).map_err(|error| format!("{}: {error}", path.display()))
            }
            Err(error) if is_fetched && error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }

    fn read(&self, bytes: &[u8], geo: &Geo, at: UnixMillis) -> Result<(), String> {
        let list =
            RuleList::parse(self.spec.behavior, self.spec.format, bytes, geo).map_err(|error| error.to_string())?;
        self.take(list, at);
        Ok(())
    }

    fn take(&self, list: RuleList, at: UnixMillis) {
        *self.state.lock() = ListState { compiled: Some(Arc::new(list)), updated: Some(at), failed: None };
    }

    fn is_stale(&self, base: &Path, folder: &Path, now: UnixMillis) -> bool {
        let updated = self.updated();
        match &self.spec.vehicle {
            Vehicle::Http { interval, .. } => match updated {
                None => true,
                Some(at) => !interval.is_zero() && Duration::from_millis(now.0.saturating_sub(at.0)) >= *interval,
            },
            Vehicle::File { .. } => {
                let changed = self.file(base, folder).and_then(|path| files::modified(&path));
                changed.is_some_and(|changed| updated.is_none_or(|updated| changed > updated))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => false,
        }
    }

    async fn update(
        &self,
        fetcher: &Fetcher,
        base: &Path,
        folder: &Path,
        geo: &Geo,
        now: UnixMillis,
    ) -> Result<(), String> {
        let Vehicle::Http { url, via, headers, size_limit, .. } = &self.spec.vehicle else {
            return self.load(base, folder, geo, now);
        };
        let limit = if *size_limit == 0 { LARGEST_LIST } else { (*size_limit).min(LARGEST_LIST) };
        let Fetched { body, .. } = fetcher.get(url, via.as_ref(), headers, limit).await?;
        self.read(&body, geo, now).map_err(|error| format!("{url}: {error}"))?;
        if let Some(path) = self.file(base, folder) {
            let kept = path
                .parent()
                .map_or(Ok(()), files::make_private_dir)
                .and_then(|()| files::replace_private_bytes(&path, &body));
            kept.map_err(|error| format!("fetched and in use, but {} cannot be written: {error}", path.display()))?;
        }
        Ok(())
    }
}

impl Inner {
    /// Brings one list of rules up to date.
    pub(crate) async fn update_rules(&self, list: &List) -> Result<(), String> {
        let rules = self.rules.get();
        let (base, folder) = (&self.needs.base, &self.needs.folder);
        let updated = list.update(&self.fetcher, base, folder, &rules.lists.geo, self.needs.clock.wall()).await;
        list.state.lock().failed = updated.as_ref().err().cloned();
        // The rules may have been replaced meanwhile; lists are the same in both.
        self.rules.get().refresh();
        updated
    }

    /// Brings the lists up to date whose time has come. `due` says whether a list may be asked now, and is told how it went.
    pub(crate) async fn update_rule_lists(&self, due: &mut (dyn FnMut(&str, Moment, Option<bool>) -> bool + Send)) {
        let rules = self.rules.get();
        for list in rules.lists.all() {
            let stale = list.is_stale(&self.needs.base, &self.needs.folder, self.needs.clock.wall());
            if stale && due(&list.spec.name, self.needs.clock.now(), None) {
                let failed = self.update_rules(list).await.is_err();
                due(&list.spec.name, self.needs.clock.now(), Some(failed));
            }
        }
    }
}
