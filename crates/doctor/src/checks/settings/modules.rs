//! Whether the go command looks at modules at all: GO111MODULE (68), and words in GOFLAGS that are no flags (67).

use crate::{Cause, Finding, Outcome, World, set_go, unset};

/// GO111MODULE.
pub(super) fn switched_on(world: &World) -> Outcome {
    let Some(setting) = world.settings.get("GO111MODULE") else { return Outcome::good() };
    match setting.value() {
        "on" | "auto" => Outcome::good(),
        "off" => {
            let finding = Finding::new(Cause::ModulesOff, "go env GO111MODULE", unset(world, "GO111MODULE"));
            Outcome::fatal(finding.seen(setting.told()))
        }
        _ => {
            let finding = Finding::new(Cause::ModulesOff, "go env GO111MODULE", unset(world, "GO111MODULE"));
            Outcome::fatal(finding.titled("GO111MODULE is neither on, off nor auto").seen(setting.told()))
        }
    }
}

/// GOFLAGS: a list of flags, each with a dash, values behind `=`.
pub(super) fn flags(world: &World) -> Outcome {
    let Some(setting) = world.settings.get("GOFLAGS") else { return Outcome::good() };
    let words: Vec<&str> = setting.value().split_whitespace().collect();
    let is_flag = |word: &&&str| {
        let name = word.trim_start_matches(['"', '\'']);
        let name = name.strip_prefix("--").or_else(|| name.strip_prefix('-'));
        name.is_some_and(|name| !name.is_empty() && !name.starts_with(['-', '=']))
    };
    // Between quotes words need not be flags; where there are any, go's own reading decides.
    if setting.value().contains(['"', '\'']) || words.iter().all(|word| is_flag(&word)) {
        return Outcome::good();
    }
    let kept: Vec<&str> = words.iter().filter(is_flag).copied().collect();
    let fix = if kept.is_empty() { unset(world, "GOFLAGS") } else { set_go(world, "GOFLAGS", &kept.join(" ")) };
    let wrong: Vec<String> = words.iter().filter(|word| !is_flag(word)).map(|word| format!("`{word}`")).collect();
    let finding = Finding::new(Cause::VendorMode, "go env GOFLAGS", fix)
        .titled("GOFLAGS has a word that is no flag")
        .seen(setting.told())
        .seen(format!("{} is not written like -name or -name=value", wrong.join(", ")));
    Outcome::fatal(finding)
}
