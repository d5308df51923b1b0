//! The checksum database: reached as go reaches it, through the module proxies or directly (50, 51), and believed only as far
//! as it is proven (58).

use std::fmt;

use bytes::Bytes;
use tradewind_ledger::{Record, Tile, Tiles, TreeHead, Verifier, open_note, tiles_of_prefix, tiles_of_record};
use tradewind_runtime::files;

use super::answers::{self, Asked};
use super::{Context, curl};
use crate::probe::Trouble;
use crate::settings::{Gosumdb, Needed, Source, Then, escaped};
use crate::{Cause, Finding, Fix, Outcome, Url, about, set_go, unset};

/// The first line of its notes.
const ORIGIN: &str = "go.sum database tree";
/// The largest state that is read.
const MOST_STATE: u64 = 64 << 10;

/// A database, and where it is asked.
pub(super) struct Database<'a> {
    context: Context<'a>,
    verifier: &'a Verifier,
    pub(super) name: &'a str,
    /// What paths such as `lookup/…` are joined to.
    base: Url,
    /// The module proxy that passes it on; `None` when it is asked directly.
    through: Option<Url>,
}

/// The hashes that the database has for a module, `h1:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) zip: String,
    pub(super) go_mod: String,
}

/// Why a module's hashes are not known.
pub(super) enum NoSums {
    /// The database says that there is no such module; its words.
    NotThere(String),
    /// It fails, or contradicts itself.
    Failed(Box<Outcome>),
}

/// Misbehaviour, in words.
#[derive(Debug)]
struct Lie(String);

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> Database<'a> {
    /// Finds out where it is asked: at its own URL when GOSUMDB has one, else through the first module proxy that passes it
    /// on, else directly. `None` without a database.
    ///
    /// # Errors
    /// When go would stop at this.
    pub(super) async fn find(context: Context<'a>) -> Result<Option<Self>, Box<Outcome>> {
        let settings = &context.world.settings;
        let Ok(Gosumdb::Database { name, verifier, url }) = &settings.gosumdb else { return Ok(None) };
        let database = |base: Url, through: Option<Url>| Self { context, verifier, name: name.as_str(), base, through };
        if let Some(url) = url {
            return Ok(Some(database((**url).clone(), None)));
        }
        for entry in settings.goproxy.as_deref().unwrap_or_default() {
            let proxy = match &entry.source {
                Source::Proxy(proxy) => proxy,
                Source::Folder(_) => continue,
                Source::Direct | Source::Off => break,
            };
            let base = proxy.join(&format!("sumdb/{name}"));
            let goes_on = entry.then == Then::AfterAnyError;
            match context.client().get(&base.join("supported")).await {
                Ok(answer) => match answer.response.status {
                    200 => return Ok(Some(database(base, Some(proxy.clone())))),
                    404 | 410 => {}
                    _ if goes_on => {}
                    _ => {
                        let told = format!("GET {} is answered {}", answer.url.bare(), answer.response.line());
                        let finding = passed_on_badly(context, name, &base.join("supported")).await;
                        return Err(Box::new(Outcome::fatal(finding.seen(told).at(&proxy.host))));
                    }
                },
                Err(_) if goes_on => {}
                Err(trouble) => return Err(Box::new(context.failed(&format!("sumdb {name}"), &trouble, None).await)),
            }
        }
        let direct = Url::parse(&format!("https://{name}")).ok();
        Ok(direct.map(|base| database(base, None)))
    }

    /// Where it is asked, for a person.
    pub(super) fn place(&self) -> String {
        self.base.bare().to_string()
    }

    async fn get(&self, path: &str) -> Result<crate::probe::Answer, Trouble> {
        self.context.client().get(&self.base.join(path)).await
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// What is wrong when it does not.
    pub(super) async fn answers(&self) -> Result<(), Box<Outcome>> {
        match self.get("latest").await {
            Err(trouble) => Err(self.unreachable(&trouble).await),
            Ok(answer) if answer.response.status == 200 && !answer.response.is_page() => Ok(()),
            Ok(answer) => Err(self.refused(&answer).await),
        }
    }

    /// The proven hashes of a module.
    pub(super) async fn sums(&self, module: &Needed) -> Result<Sums, NoSums> {
        let answer = match self.lookup(module).await {
            Ok(answer) => answer,
            Err(trouble) => return Err(NoSums::Failed(self.unreachable(&trouble).await)),
        };
        match answer.response.status {
            200 if !answer.response.is_page() => {}
            404 | 410 => {
                let words = answer.response.words().unwrap_or_default();
                let told = format!("GET {} is answered {}", answer.url.bare(), answer.response.line());
                return Err(NoSums::NotThere(if words.is_empty() { told } else { format!("{told}: {words}") }));
            }
            _ => return Err(NoSums::Failed(self.refused(&answer).await)),
        }
        match self.proven(&answer.response.body, module).await {
            Ok(sums) => Ok(sums),
            Err(Lie(words)) => {
                let check = format!("curl -sS {}", answer.url.bare());
                let (fix, told) = match self.honest(module).await {
                    Some((fix, told)) => (fix, Some(told)),
                    None => (self.stop(), None),
                };
                let finding = Finding::new(Cause::SumdbMisbehaves, check, fix).seen(words).of_module(&module.path);
                let finding = told.into_iter().fold(finding, Finding::seen);
                Err(NoSums::Failed(Box::new(Outcome::fatal(finding))))
            }
        }
    }

    async fn lookup(&self, module: &Needed) -> Result<crate::probe::Answer, Trouble> {
        self.get(&format!("lookup/{}@{}", escaped(&module.path), escaped(&module.version))).await
    }

    /// What to do about a database that nobody shows otherwise.
    fn stop(&self) -> Fix {
        let helps = about(Cause::SumdbMisbehaves).helps;
        Fix::by_hand(self.state().map_or_else(
            || helps.to_owned(),
            |state| format!("{helps}; only when it is known why, delete {}", state.display()),
        ))
    }

    /// The same database at its own host, where a module proxy passes on another one: GOSUMDB with its URL, when what it says
    /// there is signed, proven, and continues what this machine has seen.
    async fn honest(&self, module: &Needed) -> Option<(Fix, String)> {
        let proxy = self.through.as_ref()?;
        let direct = Self { base: Url::parse(&format!("https://{}", self.name)).ok()?, through: None, ..*self };
        let answer = direct.lookup(module).await.ok().filter(|answer| answer.response.status == 200)?;
        direct.proven(&answer.response.body, module).await.ok()?;
        let world = self.context.world;
        let value = format!("{} {}", world.settings.text("GOSUMDB"), direct.base.bare());
        let told = format!(
            "{} shows what continues the tree that this machine has seen: it is {} that shows another one",
            direct.base.bare(),
            proxy.bare()
        );
        Some((set_go(world, "GOSUMDB", &value), told))
    }

    /// The file with the tree head that go has seen last.
    fn state(&self) -> Option<std::path::PathBuf> {
        let file = self.context.world.settings.sumdb_folder.as_ref()?.join(self.name).join("latest");
        file.is_file().then_some(file)
    }

    fn head(&self, note: &[u8]) -> Result<TreeHead, Lie> {
        let note = open_note(note, std::slice::from_ref(self.verifier)).map_err(|error| Lie(error.to_string()))?;
        TreeHead::parse(&note.text, ORIGIN).map_err(|error| Lie(error.to_string()))
    }

    async fn proven(&self, answer: &[u8], module: &Needed) -> Result<Sums, Lie> {
        let record = Record::parse(answer).map_err(|error| Lie(error.to_string()))?;
        let head = self.head(record.note)?;
        if let Some(state) = self.state() {
            let kept = files::read_bytes(&state, MOST_STATE).map_err(|error| Lie(error.to_string()))?;
            if !kept.is_empty() {
                let kept = self.head(&kept).map_err(|lie| Lie(format!("{}: {lie}", state.display())))?;
                self.is_continued(kept, head).await?;
            }
        }
        let tiles = self.tiles(head, tiles_of_record(Tile::HEIGHT, head.size, record.id)).await?;
        let hash = tiles.record_hash(record.id).map_err(|error| Lie(error.to_string()))?;
        if hash != record.hash() {
            return Err(Lie(format!("record {} is not in the tree that the answer names", record.id)));
        }
        let line = |version: &str| {
            let start = format!("{} {version} ", module.path);
            record.text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
        };
        let missing = || Lie("the record has no lines for this module".to_owned());
        let (zip, go_mod) = (line(&module.version), line(&format!("{}/go.mod", module.version)));
        Ok(Sums { zip: zip.ok_or_else(missing)?, go_mod: go_mod.ok_or_else(missing)? })
    }

    /// Whether the tree is the one that was seen before, grown; or that one is this one, grown.
    async fn is_continued(&self, kept: TreeHead, now: TreeHead) -> Result<(), Lie> {
        let (older, newer) = if kept.size <= now.size { (kept, now) } else { (now, kept) };
        let fork = || {
            Lie(format!(
                "this machine has seen a {kept}, and now there is a {now}: neither is the beginning of the other"
            ))
        };
        if older.size == newer.size {
            return if older.root == newer.root { Ok(()) } else { Err(fork()) };
        }
        if older.size == 0 {
            return Ok(());
        }
        let tiles = self.tiles(newer, tiles_of_prefix(Tile::HEIGHT, newer.size, older.size)).await;
        let tiles = tiles.map_err(|lie| Lie(format!("{}: {lie}", fork())))?;
        let root = tiles.prefix_root(older.size).map_err(|error| Lie(error.to_string()))?;
        if root == older.root { Ok(()) } else { Err(fork()) }
    }

    async fn tiles(&self, head: TreeHead, wanted: Vec<Tile>) -> Result<Tiles, Lie> {
        let fetched = wanted.into_iter().map(|tile| async move { Ok((tile, self.tile(tile).await?)) });
        let tiles: Vec<Result<(Tile, Bytes), Lie>> = futures_util::future::join_all(fetched).await;
        let tiles: Vec<(Tile, Bytes)> = tiles.into_iter().collect::<Result<_, _>>()?;
        Tiles::check(head, &tiles).map_err(|error| Lie(error.to_string()))
    }

    /// A tile; of one that is not full any more the beginning.
    async fn tile(&self, tile: Tile) -> Result<Bytes, Lie> {
        for path in [tile.path(), tile.full().path()] {
            if let Ok(answer) = self.get(&path).await
                && answer.response.status == 200
            {
                let mut bytes = answer.response.body;
                bytes.truncate(usize::try_from(tile.bytes()).unwrap_or(usize::MAX));
                return Ok(Bytes::from(bytes));
            }
        }
        Err(Lie(format!("it does not give {}", tile.path())))
    }

    /// It is not reached.
    async fn unreachable(&self, trouble: &Trouble) -> Box<Outcome> {
        let name = format!("checksum database {}", self.name);
        let mut outcome = self.context.failed(&name, trouble, None).await;
        for finding in &mut outcome.findings {
            if self.through.is_none() && is_not_reached(finding.cause) {
                let fix =
                    self.by_the_proxies().await.unwrap_or_else(|| Fix::by_hand(about(Cause::SumdbUnreachable).helps));
                let mut named = Finding::new(Cause::SumdbUnreachable, finding.check.clone(), fix);
                named.subject.clone_from(&finding.subject);
                named.evidence.append(&mut finding.evidence);
                *finding = named;
            }
        }
        outcome.blocks = outcome.findings.first().map(|finding| finding.title.clone());
        Box::new(outcome)
    }

    /// GOSUMDB without its URL, when a module proxy passes the database on.
    async fn by_the_proxies(&self) -> Option<Fix> {
        let world = self.context.world;
        let value = world.settings.text("GOSUMDB");
        let (key, _) =
            value.split_once(' ').or_else(|| (value == "sum.golang.google.cn").then_some(("sum.golang.org", "")))?;
        for (proxy, _) in world.settings.proxies() {
            let supported = proxy.join(&format!("sumdb/{}/supported", self.name));
            let answer = self.context.client().get(&supported).await;
            if answer.is_ok_and(|answer| answer.response.status == 200) {
                let hides = world.settings.get("GOSUMDB").and_then(crate::settings::Setting::hides);
                return Some(match hides {
                    Some((_, next)) if next == key => unset(world, "GOSUMDB"),
                    _ => set_go(world, "GOSUMDB", key),
                });
            }
        }
        None
    }

    /// It answers, and not with what was asked for.
    async fn refused(&self, answer: &crate::probe::Answer) -> Box<Outcome> {
        let told = format!("GET {} is answered {}", answer.url.bare(), answer.response.line());
        if let Some(proxy) = &self.through {
            let finding = passed_on_badly(self.context, self.name, &answer.url).await;
            return Box::new(Outcome::fatal(finding.seen(told).at(&proxy.host)));
        }
        if let Some(mut finding) = answers::wrong(self.context, &self.base, answer, Asked::List).await {
            if finding.cause == Cause::Other {
                finding = Finding::new(
                    Cause::SumdbUnreachable,
                    curl(&answer.url),
                    Fix::by_hand(about(Cause::SumdbUnreachable).helps),
                )
                .seen(told)
                .at(&answer.url.host);
            }
            let tried = self.context.tried(&finding, &answer.url, None).await;
            return Box::new(Outcome { tried, ..Outcome::fatal(finding) });
        }
        let finding = Finding::new(
            Cause::SumdbUnreachable,
            curl(&answer.url),
            Fix::by_hand(about(Cause::SumdbUnreachable).helps),
        );
        Box::new(Outcome::fatal(finding.seen(told).at(&answer.url.host)))
    }
}

fn is_not_reached(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::HostNotFound
            | Cause::SplitDns
            | Cause::ConnectionRefused
            | Cause::SilentDrop
            | Cause::SlowAnswer
            | Cause::ResetInHello
            | Cause::TruncatedTransfer
            | Cause::PathMtu
    )
}

/// A module proxy fails for the database. Where that can be asked directly, GOSUMDB with its URL goes around the proxy.
async fn passed_on_badly(context: Context<'_>, name: &str, asked: &Url) -> Finding {
    let world = context.world;
    let direct = Url::parse(&format!("https://{name}")).ok();
    let mut fix = None;
    if let Some(direct) = &direct {
        let answer = context.client().get(&direct.join("latest")).await;
        if answer.is_ok_and(|answer| answer.response.status == 200 && !answer.response.is_page()) {
            let key = world.settings.text("GOSUMDB");
            fix = Some(set_go(world, "GOSUMDB", &format!("{key} {}", direct.bare())));
        }
    }
    let fix = fix.unwrap_or_else(|| Fix::by_hand(about(Cause::SumdbProxyError).helps));
    Finding::new(Cause::SumdbProxyError, curl(asked), fix)
}
