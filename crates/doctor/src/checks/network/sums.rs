//! What was downloaded, against go.sum (56) and against the checksum database (57); private modules that are looked up there
//! (42, 43).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Cursor;

use tradewind_runtime::files;

use super::entries::{Download, Left, TOOLCHAIN, add, file_of};
use super::sumdb::{Database, NoSums, Sums};
use super::{Context, Found, absent};
use crate::checks::settings::{cache, zip};
use crate::settings::{Needed, Source};
use crate::{Cause, Finding, Fix, Outcome, Shell, Url, World, about, set_go};

/// The largest zip of another entry that is read for comparing, in bytes.
const MOST_ZIP: usize = 32 << 20;

/// The largest file with a hash that is read, in bytes.
const MOST_HASH: u64 = 4096;

/// The hashes of what came.
struct Hashes {
    go_mod: Option<String>,
    zip: Option<String>,
}

impl Hashes {
    fn of(download: &Download) -> Self {
        Self {
            go_mod: (!download.go_mod.is_empty()).then(|| zip::h1_of_mod(&download.go_mod)),
            zip: download.zip.as_ref().and_then(|bytes| Some(zip::read_from(&mut Cursor::new(bytes)).ok()?.h1)),
        }
    }

    /// Which file differs from these, with both hashes.
    fn differs(&self, sums: &Sums) -> Option<(&'static str, String, String)> {
        let pair = |name, own: &Option<String>, other: &String| {
            own.as_ref().filter(|own| *own != other).map(|own| (name, own.clone(), other.clone()))
        };
        pair("go.mod", &self.go_mod, &sums.go_mod).or_else(|| pair("zip", &self.zip, &sums.zip))
    }
}

/// Looks at every module that came, and at those that come from their origin.
pub(super) async fn look(context: Context<'_>, found: &Found) -> Outcome {
    let downloads = found.downloads.lock().expect("nothing panics while it holds this lock").clone();
    let at_origin = found.reached_at_origin.lock().expect("nothing panics while it holds this lock").clone();
    let settings = &context.world.settings;
    let mut all = Outcome::default();
    let checked = |path: &str| settings.no_sumdb.covering(path).is_none();
    let unknown = |module: &Needed| {
        let lines =
            [format!("{} {}", module.path, module.version), format!("{} {}/go.mod", module.path, module.version)];
        let has = |line: &String| settings.project.as_ref().is_some_and(|project| project.has_sum(line));
        // A toolchain is looked up whatever go.sum has.
        module.path == TOOLCHAIN || !lines.iter().all(has)
    };
    let copies = downloads.iter().map(Copy::of_download).chain(in_cache(context.world));
    let mismatches: Vec<Copy<'_>> =
        copies.filter(|copy| of_go_sum(context.world, &copy.module, &copy.hashes).is_some()).collect();
    let to_look_up: Vec<&Needed> = downloads
        .iter()
        .map(|download| &download.module)
        .chain(at_origin.iter().map(|left| &left.module))
        .filter(|module| checked(&module.path) && unknown(module))
        .collect();
    let nothing_known = settings.project.is_none();
    if mismatches.is_empty() && to_look_up.is_empty() && !nothing_known {
        return all;
    }
    let database = match Database::find(context).await {
        Ok(database) => database,
        Err(failed) => {
            // Without need nobody stops at it.
            if !to_look_up.is_empty() || nothing_known {
                add(&mut all, *failed);
            }
            None
        }
    };
    if let (Some(database), true) = (&database, nothing_known && to_look_up.is_empty()) {
        if let Err(failed) = database.answers().await {
            add(&mut all, *failed);
        } else {
            all.facts.insert("checksum database".to_owned(), database.place().into());
        }
    }
    for copy in mismatches {
        let database = database.as_ref().filter(|_| checked(&copy.module.path));
        all.findings.push(go_sum_finding(context, database, &copy).await);
    }
    let Some(database) = database else { return all };
    for module in to_look_up {
        let download = downloads.iter().find(|download| download.module == *module);
        match database.sums(module).await {
            Ok(sums) => {
                all.facts.insert("checksum database".to_owned(), database.place().into());
                if let Some(download) = download
                    && let Some((file, own, theirs)) = Hashes::of(download).differs(&sums)
                {
                    all.findings.push(sumdb_finding(context, &database, download, &sums, (file, &own, &theirs)).await);
                }
            }
            Err(NoSums::NotThere(words)) => {
                let left = at_origin.iter().find(|left| left.module == *module);
                all.findings.push(not_there(context.world, module, left).seen(words));
            }
            // What fails for one fails for all.
            Err(NoSums::Failed(outcome)) => {
                add(&mut all, *outcome);
                return all;
            }
        }
    }
    all
}

/// The line of go.sum that what came differs from: which file, what came, what go.sum has.
fn of_go_sum(world: &World, module: &Needed, hashes: &Hashes) -> Option<(&'static str, String, String)> {
    let project = world.settings.project.as_ref()?;
    let none = BTreeSet::new();
    let (zip_key, mod_key) =
        (format!("{} {}", module.path, module.version), format!("{} {}/go.mod", module.path, module.version));
    for member in &project.modules {
        let lines = |key: &str| member.go_sum.get(key).unwrap_or(&none);
        for (file, own, known) in [("go.mod", &hashes.go_mod, lines(&mod_key)), ("zip", &hashes.zip, lines(&zip_key))] {
            if let (Some(own), Some(first)) = (own, known.iter().find(|hash| hash.starts_with("h1:")))
                && !known.contains(own)
            {
                return Some((file, own.clone(), first.clone()));
            }
        }
    }
    None
}

/// A copy of a module: one that was downloaded now, or one in the module cache.
struct Copy<'a> {
    module: Needed,
    hashes: Hashes,
    /// Where it is from; `None` for the module cache.
    download: Option<&'a Download>,
}

impl<'a> Copy<'a> {
    fn of_download(download: &'a Download) -> Self {
        Self { module: download.module.clone(), hashes: Hashes::of(download), download: Some(download) }
    }

    fn place(&self) -> String {
        self.download.map_or_else(|| "the module cache".to_owned(), |download| download.from.bare().to_string())
    }
}

/// The zips in the module cache that are what was written beside them when they came: what is damaged is told elsewhere.
fn in_cache(world: &World) -> Vec<Copy<'static>> {
    let settings = &world.settings;
    let missing = settings.missing();
    let needed = settings.project.as_ref().map(crate::settings::Project::needed).unwrap_or_default();
    let here = needed.into_iter().filter(|module| !missing.contains(module));
    let copies = here.filter_map(|module| {
        let kept = files::read_text(&settings.cached(&module, "ziphash")?, MOST_HASH).ok()?;
        let hashes = Hashes { go_mod: None, zip: Some(kept.trim().to_owned()) };
        // Hashing every zip would take long: only of those that differ it matters.
        of_go_sum(world, &module, &hashes)?;
        let zip = zip::read_from(&mut File::open(settings.cached(&module, "zip")?).ok()?).ok()?;
        (Some(&zip.h1) == hashes.zip.as_ref()).then_some(Copy { hashes, download: None, module })
    });
    copies.collect()
}

async fn go_sum_finding(context: Context<'_>, database: Option<&Database<'_>>, copy: &Copy<'_>) -> Finding {
    let world = context.world;
    let module = &copy.module;
    let (file, own, known) = of_go_sum(world, module, &copy.hashes).expect("only mismatches come here");
    let check = crate::checks::download(world, module);
    let told = format!("{} has a {file} with {own}, and go.sum has {known}", copy.place());
    let sums = match database {
        Some(database) => database.sums(module).await.ok(),
        None => None,
    };
    if let Some(sums) = &sums
        && copy.hashes.differs(sums).is_none()
    {
        return Finding::new(Cause::GoSumMismatch, check, forget(world, module))
            .seen(told)
            .seen("the checksum database has that, too: go.sum was made with another copy")
            .of_module(&module.path);
    }
    let fix = match (copy.download, &sums, &world.settings.mod_cache) {
        (Some(download), ..) => other_entry(context, download, |other| of_go_sum(world, module, other).is_none()).await,
        (None, Some(_), Some(cache)) => Some(cache::delete(world, cache, module)),
        (None, ..) => None,
    };
    let evidence = match (&sums, &fix, copy.download) {
        (Some(_), _, Some(_)) => "the checksum database has what go.sum has: the module proxy gives a changed copy",
        (Some(_), _, None) => "the checksum database has what go.sum has: the copy is a changed one",
        (None, Some(_), _) => "another entry of GOPROXY has what go.sum has",
        (None, None, _) => "the checksum database was not asked, or does not tell",
    };
    let fix = fix.unwrap_or_else(|| Fix::by_hand(about(Cause::GoSumMismatch).helps));
    Finding::new(Cause::GoSumMismatch, check, fix).seen(told).seen(evidence).of_module(&module.path)
}

/// Takes the lines of a module out of go.sum, and has it checked anew.
pub(super) fn forget(world: &World, module: &Needed) -> Fix {
    let pattern = format!("{} {}", module.path, module.version);
    let by_hand = || Fix::by_hand(format!("delete the lines of {pattern} from go.sum; they are made anew"));
    let Some(project) = &world.settings.project else { return by_hand() };
    let files: Vec<String> = project
        .modules
        .iter()
        .filter(|member| {
            member.go_sum.contains_key(&pattern) || member.go_sum.contains_key(&format!("{pattern}/go.mod"))
        })
        .map(|member| world.shell.quoted(&member.file.with_file_name("go.sum").display().to_string()))
        .collect();
    let escaped = pattern.replace('\\', "\\\\").replace('.', "\\.").replace('/', "\\/").replace('+', "[+]");
    match world.shell {
        Shell::Posix | Shell::Fish => Fix::command(world.shell.all(&[
            format!(
                "sed -i.bak -E {} {}",
                world.shell.quoted(&format!("/^{escaped}(\\/go\\.mod)? /d")),
                files.join(" ")
            ),
            format!("go mod download {}", world.shell.quoted(&format!("{}@{}", module.path, module.version))),
        ])),
        Shell::PowerShell | Shell::Cmd => by_hand(),
    }
}

/// GOPROXY with another of its entries in front, when that one has what is `wanted`.
async fn other_entry(context: Context<'_>, download: &Download, wanted: impl Fn(&Hashes) -> bool) -> Option<Fix> {
    let world = context.world;
    let setting = world.settings.get("GOPROXY").filter(|setting| setting.shown() == setting.value())?;
    for entry in world.settings.goproxy.as_deref().unwrap_or_default() {
        let Source::Proxy(proxy) = &entry.source else { continue };
        if *proxy == download.from {
            continue;
        }
        let client = context.client().reading(MOST_ZIP);
        let module = &download.module;
        let body = async |ending: &str| -> Option<Vec<u8>> {
            let answer = client.get(&file_of(proxy, module, ending)).await.ok()?;
            (answer.response.status == 200).then_some(answer.response.body)
        };
        let (Some(go_mod), Some(zip)) = (body("mod").await, body("zip").await) else { continue };
        let other = Download { module: module.clone(), from: proxy.clone(), go_mod, zip: Some(zip) };
        if wanted(&Hashes::of(&other)) {
            let rest = without(setting.value(), proxy);
            return Some(set_go(world, "GOPROXY", &format!("{proxy},{rest}")));
        }
    }
    None
}

fn without(list: &str, proxy: &Url) -> String {
    let rest: Vec<&str> = list
        .split_inclusive([',', '|'])
        .filter(|part| {
            let entry = crate::settings::goproxy::parse(part.trim_end_matches([',', '|'])).ok();
            !entry.is_some_and(|entries| entries.iter().any(|entry| entry.source == Source::Proxy(proxy.clone())))
        })
        .collect();
    rest.concat().trim_end_matches([',', '|']).to_owned()
}

async fn sumdb_finding(
    context: Context<'_>,
    database: &Database<'_>,
    download: &Download,
    sums: &Sums,
    (file, own, theirs): (&str, &str, &str),
) -> Finding {
    let module = &download.module;
    let fix = other_entry(context, download, |other| other.differs(sums).is_none()).await;
    let fix = fix.unwrap_or_else(|| {
        Fix::by_hand(format!(
            "have {}@{} dropped from the cache of {}, so that it is fetched anew, or use another module proxy",
            module.path,
            module.version,
            download.from.bare()
        ))
    });
    let check = format!("curl -sS {}/lookup/{}@{}", database.place(), module.path, module.version);
    Finding::new(Cause::SumdbMismatch, check, fix)
        .seen(format!("{} gives a {file} with {own}, and {} has {theirs}", download.from.bare(), database.name))
        .of_module(&module.path)
}

/// The database does not know a module that go can get.
fn not_there(world: &World, module: &Needed, left: Option<&Left>) -> Finding {
    let settings = &world.settings;
    let check = crate::checks::download(world, module);
    // Proxies were asked for it and did not have it.
    if left.is_some_and(|left| !left.said.is_empty()) {
        return absent::private(world, module, check);
    }
    let owner = absent::owner(&module.path);
    let told = settings.no_proxy.covering(&module.path).map_or_else(
        || format!("GONOSUMDB does not cover {}", module.path),
        |pattern| format!("GONOPROXY has {pattern}, which covers {}, and GONOSUMDB has nothing that does", module.path),
    );
    let pattern = settings.no_proxy.covering(&module.path).map_or(owner, str::to_owned);
    let is_private = settings.no_proxy.covering(&module.path).is_some() || absent::is_own(world, &module.path);
    let fix = if is_private {
        let set = settings.text("GONOSUMDB");
        let set = if set.is_empty() { settings.text("GOPRIVATE") } else { set };
        let value = if set.is_empty() { pattern } else { format!("{set},{pattern}") };
        set_go(world, "GONOSUMDB", &value)
    } else {
        // A public module that the database cannot see any more has to stay checked.
        Fix::by_hand(format!("if {} is private, name it in GOPRIVATE; if it is public, ask its author", module.path))
    };
    Finding::new(Cause::PrivateModuleSumdb, check, fix).seen(told).of_module(&module.path)
}
