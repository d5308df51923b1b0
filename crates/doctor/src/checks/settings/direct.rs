//! Modules that are fetched from their origin: whether there is a git (46), and whether GOVCS lets it be used (49).

use crate::checks::download;
use crate::checks::targets::direct_modules;
use crate::settings::{Needed, Patterns, Source, covers, goproxy};
use crate::{Cause, Finding, Fix, Outcome, World, install, unset};

/// Modules that go fetches by git without asking their host: what it says of one does not depend on the network.
pub(super) fn known(world: &World) -> Outcome {
    let modules = direct_modules(world, false);
    look(world, modules.into_iter().filter(|module| is_known(&module.path)).collect())
}

/// Modules whose host is asked first what they are fetched by; almost all say git. Comes after the network, since go
/// complains of a host that it does not reach before it looks for git.
pub(super) fn others(world: &World) -> Outcome {
    let modules = direct_modules(world, false);
    look(world, modules.into_iter().filter(|module| !is_known(&module.path)).collect())
}

/// Hosts that go knows, and paths that name git themselves.
fn is_known(module: &str) -> bool {
    let host = module.split('/').next().unwrap_or_default();
    matches!(host, "github.com" | "bitbucket.org") || module.split('/').any(|part| part.ends_with(".git"))
}

fn look(world: &World, modules: Vec<Needed>) -> Outcome {
    let Some(module) = modules.first() else { return Outcome::good() };
    if world.settings.git.path.is_none() {
        let fix = if world.settings.no_proxy.covering(&module.path).is_some() {
            install(world, "git")
        } else {
            ask_a_proxy(world)
        };
        let finding = Finding::new(Cause::NoGit, download(world, module), fix)
            .seen(format!("{}@{} is fetched from its origin: {}", module.path, module.version, why(world, module)))
            .seen("there is no git in PATH");
        return Outcome::fatal(finding);
    }
    let forbidden = modules.iter().find(|module| !allows(world.settings.text("GOVCS"), &world.settings, &module.path));
    if let Some(module) = forbidden {
        let told = world.settings.get("GOVCS").map(crate::settings::Setting::told).unwrap_or_default();
        let finding = Finding::new(Cause::GovcsForbids, "go env GOVCS", unset(world, "GOVCS"))
            .seen(told)
            .seen(format!("{}@{} is fetched from its origin: {}", module.path, module.version, why(world, module)));
        return Outcome::fatal(finding);
    }
    Outcome::good()
}

/// Has a module proxy asked in place of the origin: the one that is set behind the present value, else the usual one.
fn ask_a_proxy(world: &World) -> Fix {
    let hidden = world.settings.get("GOPROXY").and_then(|setting| setting.hides());
    let has_proxy = hidden.is_some_and(|(_, value)| {
        let entries = goproxy::parse(value);
        entries.is_ok_and(|entries| matches!(entries.first().map(|entry| &entry.source), Some(Source::Proxy(_))))
    });
    if has_proxy { unset(world, "GOPROXY") } else { install(world, "git") }
}

fn why(world: &World, module: &Needed) -> String {
    match world.settings.no_proxy.covering(&module.path) {
        Some(pattern) => {
            let name = if world.settings.text("GONOPROXY").is_empty() { "GOPRIVATE" } else { "GONOPROXY" };
            format!("{name} has {pattern}")
        }
        None => "GOPROXY begins with direct".to_owned(),
    }
}

/// Whether GOVCS allows git for `module`; the first entry that covers it decides, and behind them go's own default.
fn allows(govcs: &str, settings: &crate::settings::Settings, module: &str) -> bool {
    let is_private = Patterns::parse(settings.text("GOPRIVATE")).covering(module).is_some();
    for entry in govcs.split(',') {
        if govcs.is_empty() {
            break;
        }
        // An entry that is none makes go refuse the whole list.
        let Some((pattern, list)) = entry.trim().split_once(':') else { return false };
        let covered = match pattern.trim() {
            "public" => !is_private,
            "private" => is_private,
            pattern => covers(pattern, module),
        };
        if covered {
            return list.split('|').map(str::trim).any(|system| matches!(system, "git" | "all"));
        }
    }
    true
}
