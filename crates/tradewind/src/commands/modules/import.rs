//! `tradewind modules import`

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use tradewind_door_modules::{Contents, GoSum, Imported, Patterns, import};

use super::athens::Athens;
use super::export::ask_through;
use super::gateway::Gateway;
use super::place::{Place, tree};
use super::progress::{Progress, Unit};
use super::wanted::text;
use crate::commands::counted;
use crate::commands::reach::Reach;
use crate::commands::whose::Whose;
use crate::say;

/// Take in the versions of a bundle, or of a folder in the layout of a module proxy
///
/// A folder may be a bundle that was unpacked, or the GOMODCACHE of a go command. Everything is checked as if it came
/// from an upstream: the rules of zips, and the checksum database, whose records a bundle brings along. What is refused
/// goes into quarantine; the command fails then, and keeps the rest.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Import {
    #[command(subcommand)]
    from: Option<From>,
    /// The bundle or the folder
    #[arg(required = true, value_name = "FILE|DIR")]
    place: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum From {
    Athens(Athens),
}

/// What has to vouch for what comes in, and where it goes.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Trust the lines of this go.sum
    #[arg(long, value_name = "FILE")]
    go_sum: Vec<PathBuf>,
    /// Modules that no checksum database is asked about, as in GOPRIVATE, beside those of the configuration
    #[arg(long, value_name = "PATTERN")]
    private: Vec<String>,
    /// Into the mount with this prefix
    #[arg(long, value_name = "PREFIX", default_value = "")]
    mount: String,
    /// Do not ask a gateway for records that are not in the bundle
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    reach: Reach,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match (self.from, self.place) {
            (Some(From::Athens(command)), _) => command.run(),
            (None, Some(place)) => self.how.run(Contents::open(&place)?),
            (None, None) => bail!("what is to be imported?\n  = hint: name a bundle or a folder"),
        }
    }
}

impl How {
    pub(super) fn run(self, contents: Contents) -> anyhow::Result<()> {
        let place = Place::find_or_make(self.whose)?;
        let mut trust = Place::trust(place.mount(&self.mount)?)?;
        for path in &self.go_sum {
            let sums = GoSum::parse(&text(path)?).map_err(|error| anyhow!("{}: {error}", path.display()))?;
            trust.go_sum.lines.extend(sums.lines);
        }
        let private = Patterns::parse(self.private.iter().map(String::as_str)).context("--private")?;
        trust.private = trust.private.iter().chain(private.iter()).cloned().collect();
        let gateway = if self.offline { None } else { Some(Gateway::new(&self.reach, &self.mount)?) };
        ask_through(&mut trust, gateway.as_ref());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut progress = Progress::of("importing", Unit::Bytes);
        let mut at = |done, whole| progress.at(done, whole);
        let tree = tree(&self.mount);
        let importing = import(&place.store, &tree, contents, &trust, place.now(), &mut at);
        let imported = runtime.block_on(importing)?;
        drop(progress);
        place.store.settle()?;
        told(&imported)
    }
}

fn told(imported: &Imported) -> anyhow::Result<()> {
    for (of, why) in &imported.refused {
        say::note(format!("refused {of}: {why}"));
    }
    let zips = imported.stored.iter().filter(|stored| stored.has_zip).count();
    let heads = imported.stored.len() - zips;
    let mut text = format!("{} imported", counted(zips, "version"));
    if heads > 0 {
        text += &format!(", and of {heads} more the go.mod alone");
    }
    if imported.present > 0 {
        text += &format!(", {} there already", imported.present);
    }
    say::note(text);
    if !imported.refused.is_empty() {
        bail!(
            "{} refused, now in quarantine\n  = hint: --go-sum FILE names hashes that you trust, --private PATTERN modules \
             that no checksum database has",
            counted(imported.refused.len(), "version")
        );
    }
    Ok(())
}
