//! GOTOOLCHAIN and what go.mod asks for (53, 55).

use super::old_go;
use crate::settings::{GoVersion, Gosumdb, Origin, Source};
use crate::{Cause, Finding, Fix, Outcome, World, set_go, unset};

/// The least that needs the toolchain of the project.
const CHECK: &str = "go list -m";
/// What GOTOOLCHAIN says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Policy {
    /// This version alone: `local`, or a name.
    Fixed(Option<GoVersion>),
    /// At least this version, another one from `PATH` or downloaded.
    Auto(Option<GoVersion>),
    /// At least this version, another one from `PATH` alone.
    Path(Option<GoVersion>),
}

/// Reads GOTOOLCHAIN; `None` when go would refuse it. An empty one keeps go from switching.
fn policy(value: &str) -> Option<Policy> {
    match value {
        "" => return Some(Policy::Fixed(None)),
        "auto" => return Some(Policy::Auto(None)),
        "path" => return Some(Policy::Path(None)),
        _ => {}
    }
    let (least, mode) = value.split_once('+').map_or((value, None), |(least, mode)| (least, Some(mode)));
    let least = match least {
        "local" => None,
        name => Some(GoVersion::parse(name).filter(|_| name.starts_with("go") || name.contains("-go"))?),
    };
    match mode {
        None => Some(Policy::Fixed(least)),
        Some("auto") => Some(Policy::Auto(least)),
        Some("path") => Some(Policy::Path(least)),
        Some(_) => None,
    }
}

/// Whether the toolchain that the project needs can be run, and if it has to be downloaded, whether it could be checked.
pub(super) fn look(world: &World) -> Outcome {
    let settings = &world.settings;
    let setting = settings.get("GOTOOLCHAIN");
    let told =
        setting.map_or_else(|| "GOTOOLCHAIN has no value, which is local".to_owned(), crate::settings::Setting::told);
    let Some(policy) = policy(settings.text("GOTOOLCHAIN")) else {
        let finding = Finding::new(Cause::ToolchainTooOld, CHECK, unset(world, "GOTOOLCHAIN"));
        return Outcome::fatal(finding.titled("GOTOOLCHAIN is neither local, auto, path nor a version").seen(told));
    };
    let Some(local) = settings.go.as_ref().and_then(|go| go.version.clone()) else { return Outcome::good() };
    if let Some(finding) = old_go::cannot_read(world, &local) {
        return Outcome::fatal(finding);
    }
    // Go 1.20 and older never switch, and try what a newer go.mod asks for.
    if local.language() < (1, 21) {
        return Outcome::good();
    }
    let wanted = Wanted::of(world);
    let least = match &policy {
        Policy::Fixed(least) | Policy::Auto(least) | Policy::Path(least) => {
            least.clone().unwrap_or_else(|| local.clone())
        }
    };
    let run = match &policy {
        Policy::Fixed(_) => least,
        Policy::Auto(_) | Policy::Path(_) => wanted.highest(least),
    };
    if let Some((needs, who)) = &wanted.go
        && matches!(policy, Policy::Fixed(_))
        && *needs > run
    {
        return Outcome::fatal(too_old(world, needs, who, &run).seen(told));
    }
    if run == local {
        return Outcome::good();
    }
    let fact = |outcome: Outcome| outcome.fact("toolchain needed", format!("go{}", name_of(&run)));
    if is_in_path(world, &run) || is_cached(world, &run) {
        return fact(Outcome::good());
    }
    let reason = wanted.reason(&run).unwrap_or_else(|| told.clone());
    if matches!(policy, Policy::Path(_)) {
        let by_hand = format!("install go{}, or: {}", name_of(&run), set_go(world, "GOTOOLCHAIN", "auto").text);
        let finding = Finding::new(Cause::ToolchainTooOld, CHECK, Fix::by_hand(by_hand))
            .titled(format!("go{} is not in PATH, and GOTOOLCHAIN forbids downloading it", name_of(&run)));
        return Outcome::fatal(finding.seen(told).seen(reason));
    }
    let only_folder = matches!(settings.goproxy.as_deref(), Ok([entry]) if matches!(entry.source, Source::Folder(_)));
    if matches!(settings.gosumdb, Ok(Gosumdb::Off)) && !only_folder {
        let local_is_enough = wanted.go.as_ref().is_none_or(|(needs, _)| *needs <= local);
        let fix = if local_is_enough { set_go(world, "GOTOOLCHAIN", "local") } else { unset_sumdb(world) };
        let gosumdb = settings.get("GOSUMDB").map(crate::settings::Setting::told).unwrap_or_default();
        let finding = Finding::new(Cause::ToolchainWithoutSumdb, CHECK, fix)
            .seen(format!("go{} is needed and not here: {reason}", name_of(&run)))
            .seen(gosumdb);
        return fact(Outcome::fatal(finding));
    }
    fact(Outcome::good())
}

/// The toolchain that go would download before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checks) struct Download {
    /// Its version with its third number, without `go`.
    pub(in crate::checks) name: String,
    /// Whether the local one is new enough for every `go` line.
    pub(in crate::checks) local_is_enough: bool,
    /// Who asks for it.
    pub(in crate::checks) reason: String,
}

/// See [`Download`]; `None` when none has to be downloaded, or none may be.
pub(in crate::checks) fn to_download(world: &World) -> Option<Download> {
    let settings = &world.settings;
    let local = settings.go.as_ref()?.version.clone()?;
    let wanted = Wanted::of(world);
    let run = match policy(settings.text("GOTOOLCHAIN"))? {
        Policy::Fixed(least) => least.unwrap_or_else(|| local.clone()),
        Policy::Auto(least) => wanted.highest(least.unwrap_or_else(|| local.clone())),
        Policy::Path(_) => return None,
    };
    if run == local || local.language() < (1, 21) || is_in_path(world, &run) || is_cached(world, &run) {
        return None;
    }
    let told = || settings.get("GOTOOLCHAIN").map(crate::settings::Setting::told).unwrap_or_default();
    Some(Download {
        name: name_of(&run),
        local_is_enough: wanted.go.as_ref().is_none_or(|(needs, _)| *needs <= local),
        reason: wanted.reason(&run).unwrap_or_else(told),
    })
}

fn unset_sumdb(world: &World) -> Fix {
    match world.settings.get("GOSUMDB") {
        Some(setting) if matches!(setting.origin, Origin::GorootFile(_)) => set_go(world, "GOSUMDB", "sum.golang.org"),
        _ => unset(world, "GOSUMDB"),
    }
}

fn too_old(world: &World, needs: &GoVersion, who: &str, run: &GoVersion) -> Finding {
    let setting = world.settings.get("GOTOOLCHAIN");
    let fix = match setting.map(|setting| &setting.origin) {
        // The packager's own default keeps it local.
        Some(Origin::GorootFile(_) | Origin::Default) | None => set_go(world, "GOTOOLCHAIN", "auto"),
        Some(_) => match setting.and_then(crate::settings::Setting::hides) {
            Some((_, "auto")) => unset(world, "GOTOOLCHAIN"),
            _ => set_go(world, "GOTOOLCHAIN", "auto"),
        },
    };
    Finding::new(Cause::ToolchainTooOld, CHECK, fix)
        .seen(format!("{who} asks for go {needs}, and go {run} is what may run"))
}

/// What the project asks for.
#[derive(Debug, Default)]
struct Wanted {
    /// The highest `go` line, and whose it is.
    go: Option<(GoVersion, String)>,
    /// The `toolchain` line.
    toolchain: Option<GoVersion>,
    /// `toolchain default`: never another one than the least.
    fixed: bool,
}

impl Wanted {
    fn of(world: &World) -> Self {
        let Some(project) = &world.settings.project else { return Self::default() };
        let mut wanted = Self::default();
        let mut ask = |text: Option<&str>, who: String| {
            if let Some(version) = text.and_then(GoVersion::parse)
                && wanted.go.as_ref().is_none_or(|(known, _)| *known < version)
            {
                wanted.go = Some((version, who));
            }
        };
        ask(
            project.go.as_ref().map(ToString::to_string).as_deref(),
            project.folder.join(if project.work.is_some() { "go.work" } else { "go.mod" }).display().to_string(),
        );
        for member in &project.modules {
            ask(member.go_mod.go.as_deref(), member.file.display().to_string());
        }
        match project.toolchain.as_deref() {
            Some("default") => wanted.fixed = true,
            Some(name) => wanted.toolchain = GoVersion::parse(name),
            None => {}
        }
        wanted
    }

    /// The version that go would switch to, at least `least`.
    fn highest(&self, least: GoVersion) -> GoVersion {
        if self.fixed {
            return least;
        }
        let mut highest = least;
        for version in [self.toolchain.as_ref(), self.go.as_ref().map(|(version, _)| version)].into_iter().flatten() {
            if *version > highest {
                highest = version.clone();
            }
        }
        highest
    }

    fn reason(&self, run: &GoVersion) -> Option<String> {
        match &self.go {
            Some((version, who)) if version == run => Some(format!("{who} asks for go {version}")),
            _ => self
                .toolchain
                .as_ref()
                .filter(|version| *version == run)
                .map(|version| format!("go.mod asks for toolchain go{version}")),
        }
    }
}

/// The toolchain's name without `go`: the first release of a language has a third number since 1.21.
fn name_of(version: &GoVersion) -> String {
    if version.is_language() && version.language() >= (1, 21) { format!("{version}.0") } else { version.to_string() }
}

fn is_in_path(world: &World, version: &GoVersion) -> bool {
    let name = format!("go{}", name_of(version));
    crate::settings::find_program(&name, &world.settings.environment, world.system).is_some()
}

fn is_cached(world: &World, version: &GoVersion) -> bool {
    let Some(cache) = &world.settings.mod_cache else { return false };
    let start = format!("toolchain@v0.0.1-go{}.", name_of(version));
    let Ok(folder) = cache.join("golang.org").read_dir() else { return false };
    let mut names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.any(|name| name.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_go_reads_them() {
        let version = |text: &str| GoVersion::parse(text);
        assert_eq!(policy("local"), Some(Policy::Fixed(None)));
        assert_eq!(policy("auto"), Some(Policy::Auto(None)));
        assert_eq!(policy("go1.25.3"), Some(Policy::Fixed(version("1.25.3"))));
        assert_eq!(policy("go1.25.3+path"), Some(Policy::Path(version("1.25.3"))));
        assert_eq!(policy("local+auto"), Some(Policy::Auto(None)));
        for value in ["bash", "1.25", "go1.25+later", "latest"] {
            assert_eq!(policy(value), None, "{value}");
        }
    }
}
