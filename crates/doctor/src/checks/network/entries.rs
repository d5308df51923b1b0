//! The entries of GOPROXY, asked one after the other as go asks them, for what it would need first.

use futures_util::future::join_all;
use serde_json::Value;

use super::answers::{self, Asked};
use super::reach::replaced_entry;
use super::{Context, Found, absent, elsewhere, seen};
use crate::checks::settings::toolchain;
use crate::probe::{Answer, Ended};
use crate::settings::{Entry, Needed, Source, Then, escaped};
use crate::{Cause, Finding, Fix, NotRun, Outcome, Url, Weight, World, set_go};

/// The largest zip that is read whole, in bytes: more is only begun.
const MOST_ZIP: usize = 32 << 20;

/// The module that newer versions of go are downloaded as.
pub(super) const TOOLCHAIN: &str = "golang.org/toolchain";
/// What is read of a toolchain, in bytes: enough to know that it is there.
const MOST_OF_TOOLCHAIN: usize = 4 << 10;

/// A module that is fetched from its origin, or would be.
#[derive(Clone, Debug)]
pub(super) struct Left {
    /// Which.
    pub(super) module: Needed,
    /// What the module proxies said about it; empty when none is asked.
    pub(super) said: Vec<String>,
}

/// A module whose files came.
#[derive(Clone, Debug)]
pub(super) struct Download {
    /// Which.
    pub(super) module: Needed,
    /// From which entry.
    pub(super) from: Url,
    /// Its go.mod.
    pub(super) go_mod: Vec<u8>,
    /// Its zip, when that came whole.
    pub(super) zip: Option<Vec<u8>>,
}

/// Where the files of `module` are at `proxy`, by their ending.
pub(super) fn file_of(proxy: &Url, module: &Needed, ending: &str) -> Url {
    proxy.join(&format!("{}.{ending}", module.escaped()))
}

/// What is asked for where nothing is missing: a list of versions that exists anywhere.
pub(super) fn list_of(world: &World, proxy: &Url) -> Url {
    let needed = world.settings.project.as_ref().map(crate::settings::Project::needed).unwrap_or_default();
    let covered = |module: &&Needed| world.settings.no_proxy.covering(&module.path).is_none();
    let module = needed.iter().filter(covered).find(|module| module.direct);
    let path = module.map_or("golang.org/toolchain", |module| module.path.as_str());
    proxy.join(&format!("{}/@v/list", escaped(path)))
}

/// What came of one entry.
pub(super) enum Came {
    /// Everything that was asked for.
    All(Option<Box<Download>>),
    /// It has not got it.
    Nothing(String),
    /// It does not work: what the check says of that.
    Broken(Box<Outcome>),
}

/// Asks the entries.
pub(super) async fn look(context: Context<'_>, found: &Found) -> Outcome {
    let world = context.world;
    let settings = &world.settings;
    let entries = settings.goproxy.as_deref().unwrap_or_default();
    let (private, wanted): (Vec<Needed>, Vec<Needed>) =
        settings.missing().into_iter().partition(|module| settings.no_proxy.covering(&module.path).is_some());
    let left = private.into_iter().map(|module| Left { module, said: Vec::new() });
    found.at_origin.lock().expect("nothing panics while it holds this lock").extend(left.take(world.limits.most_tried));
    // Another version of go comes before everything.
    let toolchain = toolchain::to_download(world).map(|download| Needed {
        path: TOOLCHAIN.to_owned(),
        version: format!("v0.0.1-go{}.{}", download.name, platform()),
        direct: true,
    });
    // With a module cache that has everything, nobody is asked: what is wrong breaks only what comes next.
    let idle = settings.project.is_some() && wanted.is_empty() && toolchain.is_none();
    let wanted = toolchain.into_iter().chain(wanted);
    let mut modules = wanted.take(world.limits.most_tried).map(Some).collect::<Vec<_>>();
    if modules.is_empty() {
        modules.push(None);
    }
    let mut rest = modules.split_off(1);
    // The first module finds what is wrong with an entry; only when it came through are the others worth asking for.
    let mut all = walk(context, entries, modules[0].as_ref(), found).await;
    if all.blocks.is_none() {
        rest.truncate(world.limits.most_tried);
        for outcome in join_all(rest.iter().map(|module| walk(context, entries, module.as_ref(), found))).await {
            add(&mut all, outcome);
        }
    }
    // Entries that go did not get to: it asks them for what the others do not have.
    let rest = unasked(context, entries, &all.facts).await;
    add(&mut all, rest);
    if idle {
        for finding in &mut all.findings {
            finding.weight = Weight::Warns;
        }
        all.blocks = None;
    }
    all
}

pub(super) fn add(all: &mut Outcome, other: Outcome) {
    all.findings.extend(other.findings);
    all.suspects.extend(other.suspects);
    all.tried.extend(other.tried);
    all.not_run.extend(other.not_run.into_iter().filter(|one| !all.not_run.contains(one)).collect::<Vec<_>>());
    all.facts.extend(other.facts);
    all.blocks = all.blocks.take().or(other.blocks);
}

fn fact_of(url: &Url) -> String {
    format!("module proxy {}", url.bare())
}

/// Goes through the entries for one module; for `None` each is only asked for a list.
async fn walk(context: Context<'_>, entries: &[Entry], module: Option<&Needed>, found: &Found) -> Outcome {
    let mut all = Outcome::default();
    let mut said = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let came = match &entry.source {
            Source::Proxy(url) => ask(context, url, module, &mut all).await,
            Source::Folder(url) => in_folder(url, module),
            Source::Direct | Source::Off => break,
        };
        match came {
            Came::All(download) => {
                if let Some(download) = download {
                    found.downloads.lock().expect("nothing panics while it holds this lock").push(*download);
                }
                return all;
            }
            Came::Nothing(words) => said.push(words),
            Came::Broken(outcome) => {
                let goes_on = entry.then == Then::AfterAnyError && place + 1 < entries.len();
                let outcome = judged(context, entries, place, module, *outcome, goes_on).await;
                let stops = outcome.findings.iter().any(|finding| finding.weight == Weight::Breaks);
                add(&mut all, outcome);
                if stops || !goes_on {
                    return all;
                }
            }
        }
    }
    let Some(module) = module else { return all };
    if module.path == TOOLCHAIN {
        all.findings.extend(no_toolchain(context, entries, module, &said).await);
        return all;
    }
    let left = Left { module: module.clone(), said };
    if matches!(entries.last().map(|entry| &entry.source), Some(Source::Direct)) {
        found.at_origin.lock().expect("nothing panics while it holds this lock").push(left);
    } else {
        let finding = absent::finding(context, &left).await;
        all.tried.extend(match entries.iter().find_map(proxy_of) {
            Some(url) => context.tried(&finding, &file_of(url, module, "mod"), Some(module)).await,
            None => Vec::new(),
        });
        all.findings.push(finding);
    }
    all
}

/// This system and processor, as Go names them.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    };
    format!("{system}-{processor}")
}

/// The toolchain is at no module proxy (54); `None` when `direct` has it.
async fn no_toolchain(context: Context<'_>, entries: &[Entry], module: &Needed, said: &[String]) -> Option<Finding> {
    let world = context.world;
    if matches!(entries.last().map(|entry| &entry.source), Some(Source::Direct)) {
        let origin = Url::parse("https://golang.org/toolchain?go-get=1").expect("it is a URL");
        if context.client().get(&origin).await.is_ok_and(|answer| answer.response.status == 200) {
            return None;
        }
    }
    let wanted = toolchain::to_download(world)?;
    let fix = if wanted.local_is_enough {
        set_go(world, "GOTOOLCHAIN", "local")
    } else {
        Fix::by_hand(format!("install Go {}, or use a module proxy that has toolchains", wanted.name))
    };
    let check = match entries.iter().find_map(proxy_of) {
        Some(proxy) => format!("curl -I {}", file_of(proxy, module, "zip").bare()),
        None => "go version".to_owned(),
    };
    let finding = Finding::new(Cause::ToolchainMissing, check, fix).seen(wanted.reason);
    Some(said.iter().fold(finding, |finding, said| finding.seen(said.clone())))
}

fn proxy_of(entry: &Entry) -> Option<&Url> {
    match &entry.source {
        Source::Proxy(url) => Some(url),
        _ => None,
    }
}

/// Weighs what is wrong with the entry at `place`: what go does next, and what the entries behind it would have said.
async fn judged(
    context: Context<'_>,
    entries: &[Entry],
    place: usize,
    module: Option<&Needed>,
    mut outcome: Outcome,
    goes_on: bool,
) -> Outcome {
    let world = context.world;
    let hangs = outcome.findings.iter().any(|finding| matches!(finding.cause, Cause::SlowAnswer | Cause::PathMtu));
    if goes_on && !hangs {
        for finding in &mut outcome.findings {
            finding.weight = Weight::Warns;
        }
        outcome.not_run.clear();
        outcome.blocks = None;
        return outcome;
    }
    let Some(first) = outcome.findings.first() else { return outcome };
    // A setting, or something that one command repairs, comes before the order of the list.
    let is_repaired = first.fix.is_automatic() || outcome.tried.iter().any(|tried| tried.reached);
    if is_repaired {
        return outcome;
    }
    let (Some(Source::Proxy(url)), Some(setting)) =
        (entries.get(place).map(|entry| &entry.source), world.settings.get("GOPROXY"))
    else {
        return outcome;
    };
    if let Some(repaired) = elsewhere::found(context, url, module, first).await {
        return with_fix(outcome, repaired);
    }
    let Some(healthy) = next_healthy(context, &entries[place + 1..], module).await else {
        return match elsewhere::hidden(context, url, module, first).await {
            Some(repaired) => with_fix(outcome, repaired),
            None => outcome,
        };
    };
    if hangs {
        // No separator helps against an entry that never answers.
        let told = format!("{healthy}, the next entry, has what is asked for");
        return match replaced_entry(world, url, None) {
            Some(fix) => with_fix(outcome, (fix, told)),
            None => outcome,
        };
    }
    if setting.shown() != setting.value() {
        return outcome;
    }
    let fix = set_go(world, "GOPROXY", &with_pipe(setting.value(), place));
    let finding = Finding::new(Cause::CommaNotPipe, "go env GOPROXY", fix)
        .seen(setting.told())
        .seen(format!("{} fails: {}", url.bare(), first.title))
        .seen(format!("{healthy}, behind the comma, has what is asked for, and is not asked"));
    outcome.findings.insert(0, finding);
    outcome
}

/// The outcome with another fix for what it found first, and what that is known by.
fn with_fix(mut outcome: Outcome, (fix, told): (Fix, String)) -> Outcome {
    outcome.findings[0].fix = fix;
    outcome.findings[0].evidence.push(told);
    outcome
}

/// The list with `|` behind its entry number `place`, empty ones not counted.
fn with_pipe(list: &str, place: usize) -> String {
    let mut out = String::new();
    let mut number = 0;
    for part in list.split_inclusive([',', '|']) {
        let entry = part.trim_end_matches([',', '|']);
        let is_empty = entry.trim().is_empty();
        if !is_empty && number == place && part.ends_with(',') {
            out.push_str(&format!("{entry}|"));
        } else {
            out.push_str(part);
        }
        number += usize::from(!is_empty);
    }
    out
}

/// The next entry that has what is asked for.
async fn next_healthy(context: Context<'_>, entries: &[Entry], module: Option<&Needed>) -> Option<String> {
    for entry in entries {
        match &entry.source {
            Source::Proxy(url) => {
                if matches!(ask(context, url, module, &mut Outcome::default()).await, Came::All(_)) {
                    return Some(url.bare().to_string());
                }
            }
            Source::Folder(url) => {
                if matches!(in_folder(url, module), Came::All(_)) {
                    return Some(url.to_string());
                }
            }
            Source::Direct | Source::Off => return None,
        }
    }
    None
}

fn in_folder(url: &Url, module: Option<&Needed>) -> Came {
    let Some(module) = module else { return Came::All(None) };
    let path = tradewind_core::percent_decoded(&url.path);
    let file = std::path::Path::new(&path).join(format!("{}.zip", module.escaped()));
    if file.is_file() { Came::All(None) } else { Came::Nothing(format!("{} is not there", file.display())) }
}

/// Asks one entry for the files of a module as `go mod download` does, or for a list.
pub(super) async fn ask(context: Context<'_>, proxy: &Url, module: Option<&Needed>, all: &mut Outcome) -> Came {
    let Some(module) = module else {
        return match one(context, proxy, &list_of(context.world, proxy), Asked::List, all).await {
            Ok(_) => Came::All(None),
            Err(came) => came,
        };
    };
    let mut go_mod = Vec::new();
    // Of a toolchain go asks for nothing else.
    let all_files = [("mod", Asked::GoMod), ("info", Asked::Info), ("zip", Asked::Zip)];
    let files = if module.path == TOOLCHAIN { &all_files[2..] } else { &all_files[..] };
    for &(ending, asked) in files {
        let answer = match one(context, proxy, &file_of(proxy, module, ending), asked, all).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Came::All(None),
            Err(came) => return came,
        };
        match asked {
            Asked::GoMod => {
                if let Some(finding) = other_path(context.world, module, proxy, &answer) {
                    return Came::Broken(Box::new(Outcome::fatal(finding)));
                }
                go_mod = answer.response.body;
            }
            Asked::Zip => {
                let whole = answer.response.ended == Ended::Whole;
                let zip = whole.then_some(answer.response.body);
                return Came::All(Some(Box::new(Download {
                    module: module.clone(),
                    from: proxy.clone(),
                    go_mod,
                    zip,
                })));
            }
            Asked::Info | Asked::List => {}
        }
    }
    Came::All(None)
}

/// The go.mod says that it is another module's: the same path in other letters.
fn other_path(world: &World, module: &Needed, proxy: &Url, answer: &Answer) -> Option<Finding> {
    let text = String::from_utf8_lossy(&answer.response.body).into_owned();
    let path = text.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim().trim_matches('"');
    let differs = path != module.path && path.eq_ignore_ascii_case(&module.path);
    differs.then(|| {
        let check = format!("curl -sS {}", file_of(proxy, module, "mod").bare());
        absent::wrong_case(world, module, path, check).seen("its go.mod declares its path as that")
    })
}

/// Asks for one file. `None` when it is not there where only a list was asked for.
async fn one(
    context: Context<'_>,
    proxy: &Url,
    url: &Url,
    asked: Asked,
    all: &mut Outcome,
) -> Result<Option<Answer>, Came> {
    let most = match asked {
        Asked::Zip if url.path.contains(TOOLCHAIN) => MOST_OF_TOOLCHAIN,
        Asked::Zip => MOST_ZIP,
        _ => context.world.limits.most_bytes,
    };
    let answer = match context.client().reading(most).get(url).await {
        Ok(answer) => answer,
        Err(trouble) => {
            let name = fact_of(proxy);
            let mut outcome = context.failed(&name, &trouble, None).await;
            let because = outcome.findings.first().map_or_else(String::new, |finding| finding.title.clone());
            outcome.not_run.push(NotRun { check: format!("protocol of {name}"), because: because.clone() });
            outcome.blocks = Some(because);
            outcome.facts.insert(name, Value::from("not reached"));
            return Err(Came::Broken(Box::new(outcome)));
        }
    };
    all.facts.entry(fact_of(proxy)).or_insert_with(|| seen(&answer));
    if let Some(finding) = answers::wrong(context, proxy, &answer, asked).await {
        let tried = context.tried(&finding, url, None).await;
        return Err(Came::Broken(Box::new(Outcome { tried, ..Outcome::fatal(finding) })));
    }
    match (answer.response.status, asked) {
        (404 | 410, Asked::List) => Ok(None),
        (404 | 410, _) => Err(Came::Nothing(format!("GET {} is answered {}", url.bare(), answer.response.line()))),
        _ => Ok(Some(answer)),
    }
}

/// Looks at the entries that nobody was asked of yet: what is wrong there only warns.
async fn unasked(
    context: Context<'_>,
    entries: &[Entry],
    facts: &std::collections::BTreeMap<String, Value>,
) -> Outcome {
    let urls: Vec<&Url> =
        entries.iter().filter_map(proxy_of).filter(|url| !facts.contains_key(&fact_of(url))).collect();
    let looked = urls.iter().map(|url| async move {
        let mut outcome = Outcome::default();
        if let Came::Broken(broken) = ask(context, url, None, &mut outcome).await {
            add(&mut outcome, *broken);
            for finding in &mut outcome.findings {
                finding.weight = Weight::Warns;
            }
        }
        Outcome { blocks: None, not_run: Vec::new(), ..outcome }
    });
    let mut all = Outcome::default();
    for outcome in join_all(looked).await {
        add(&mut all, outcome);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_stands_behind_the_entry_that_fails() {
        assert_eq!(with_pipe("https://a,https://b,direct", 0), "https://a|https://b,direct");
        assert_eq!(with_pipe(",https://a , https://b,direct", 1), ",https://a , https://b|direct");
        assert_eq!(with_pipe("https://a|https://b", 0), "https://a|https://b");
    }
}
