//! `tradewind modules why`

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};
use tradewind_door_modules::{Checked, Manifest, ModuleVersion, Refused, Trace};

use super::place::Place;
use super::{minute, size};
use crate::commands::whose::Whose;
use crate::say;

/// How much of a piece of evidence is shown; --json has all of it.
const SHOWN: usize = 4000;

/// Tell what is known of a version: how it was checked, or why it was refused
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Which one
    #[arg(value_name = "MODULE@VERSION")]
    of: ModuleVersion,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl Why {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let place = Place::find(self.whose)?;
        let traces = place.store.why(&self.of)?;
        if self.json {
            let list: Vec<Value> = traces.iter().map(as_json).collect();
            say::data(serde_json::to_string_pretty(&list)?);
            return Ok(());
        }
        if traces.is_empty() {
            let ModuleVersion { path, version } = &self.of;
            bail!(
                "{} is neither kept nor in quarantine\n  = hint: the gateway itself says why it does not give it: \
                 curl http://127.0.0.1:7080/go/{}/@v/{}.info",
                self.of,
                path.escaped(),
                version.escaped()
            );
        }
        for trace in &traces {
            say::data(told(trace).trim_end());
        }
        Ok(())
    }
}

pub(super) fn told(trace: &Trace) -> String {
    let mut text = String::new();
    if let Some(kept) = &trace.kept {
        text += &told_kept(trace.tree.name(), kept);
    }
    if let Some(refused) = &trace.refused {
        text += &told_refused(trace.tree.name(), refused);
    }
    text
}

fn told_kept(tree: &str, kept: &Manifest) -> String {
    let licences = if kept.licences.is_empty() { "none found".to_owned() } else { kept.licences.join(", ") };
    format!(
        "{} is kept (tree {tree})\n  checked    {}\n  fetched    {} from {}\n  made       {}\n  zip        {}, {}\n  \
         go.mod     {}\n  licences   {licences}\n",
        kept.of,
        checked(&kept.checked),
        minute(kept.fetched),
        kept.upstream,
        kept.time.map_or_else(|| "not said".to_owned(), minute),
        size(kept.zip.size),
        kept.h1,
        kept.mod_h1,
    )
}

fn told_refused(tree: &str, refused: &Refused) -> String {
    let mut text = format!("{} was refused on {} (tree {tree})\n", refused.of, minute(refused.at));
    for line in refused.reason.lines() {
        text += &format!("  {line}\n");
    }
    if !refused.upstream.is_empty() {
        text += &format!("  from       {}\n", refused.upstream);
    }
    if let Some(zip) = &refused.zip {
        text += &format!("  zip        {}, SHA-256 {}, in quarantine\n", size(zip.size), zip.sha256);
    }
    for piece in &refused.evidence {
        let end = piece.text.floor_char_boundary(SHOWN);
        text += &format!("  evidence   {}\n", piece.name);
        for line in piece.text[..end].lines() {
            text += &format!("    {line}\n");
        }
        if end < piece.text.len() {
            text += "    … (--json has all of it)\n";
        }
    }
    text
}

pub(super) fn checked(checked: &Checked) -> String {
    match checked {
        Checked::Sumdb(name) => format!("against the checksum database {name}"),
        Checked::GoSum => "against a go.sum".to_owned(),
        Checked::Private => "not against a database: it is private".to_owned(),
        Checked::Unreached => "not: no checksum database could be asked, or none knows it".to_owned(),
        Checked::Off => "not: verification is off".to_owned(),
    }
}

fn as_json(trace: &Trace) -> Value {
    let kept = trace.kept.as_ref().map(|kept| {
        json!({
            "checked": kept.checked,
            "fetched": kept.fetched.rfc3339(),
            "upstream": kept.upstream,
            "time": kept.time.map(|time| time.rfc3339()),
            "zip": kept.zip,
            "h1": kept.h1.to_string(),
            "mod_h1": kept.mod_h1.to_string(),
            "licences": kept.licences,
        })
    });
    let refused = trace.refused.as_ref().map(|refused| {
        json!({
            "reason": refused.reason,
            "at": refused.at.rfc3339(),
            "upstream": refused.upstream,
            "zip": refused.zip,
            "evidence": refused.evidence,
        })
    });
    json!({ "tree": trace.tree.name(), "kept": kept, "refused": refused })
}
