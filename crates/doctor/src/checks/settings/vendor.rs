//! The vendor folder, and -mod=vendor (67).

use std::collections::BTreeSet;

use crate::settings::Project;
use crate::{Cause, Finding, Fix, Outcome, World, set_go, unset};

/// Looks whether go would use the vendor folder, and whether that agrees with go.mod.
pub(super) fn look(world: &World) -> Outcome {
    let settings = &world.settings;
    let Some(project) = &settings.project else { return Outcome::good() };
    let wanted = settings.is_vendored() || settings.go_flag("mod") == Some("vendor");
    let needs = project.modules.iter().any(|member| !member.go_mod.requires.is_empty());
    if !wanted || !needs {
        return Outcome::good();
    }
    let place = project.folder.join("vendor");
    let Some(listed) = &project.vendor else {
        let told = settings.get("GOFLAGS").map(crate::settings::Setting::told).unwrap_or_default();
        let finding = Finding::new(Cause::VendorMode, "go list -deps ./...", without_flag(world))
            .titled("-mod=vendor is set, and there is no vendor folder")
            .seen(told)
            .seen(format!("{} has no modules.txt", place.display()));
        return Outcome::finding(finding);
    };
    // A workspace picks one version of what its modules require in several: only go itself can compare.
    if project.work.is_some() {
        return Outcome::good();
    }
    let differences = differences(project, listed);
    let Some(first) = differences.first() else { return Outcome::good() };
    let more = if differences.len() > 1 { format!(", and {} more", differences.len() - 1) } else { String::new() };
    let finding = Finding::new(Cause::VendorMode, "go list -deps ./...", Fix::command("go mod vendor"))
        .titled("the vendor folder does not agree with go.mod")
        .seen(format!("{}: {first}{more}", place.join("modules.txt").display()));
    Outcome::finding(finding)
}

/// GOFLAGS without its -mod.
fn without_flag(world: &World) -> Fix {
    let words = world.settings.text("GOFLAGS").split_whitespace();
    let kept: Vec<&str> = words.filter(|word| !word.trim_start_matches('-').starts_with("mod=")).collect();
    if kept.is_empty() { unset(world, "GOFLAGS") } else { set_go(world, "GOFLAGS", &kept.join(" ")) }
}

/// What go.mod requires and modules.txt does not mark as explicit, and the other way round.
fn differences(project: &Project, listed: &str) -> Vec<String> {
    let mut explicit = BTreeSet::new();
    let mut last = String::new();
    for line in listed.lines() {
        if let Some(marks) = line.strip_prefix("## ") {
            if marks.split(';').any(|mark| mark.trim() == "explicit") && !last.is_empty() {
                explicit.insert(last.clone());
            }
        } else if let Some(module) = line.strip_prefix("# ") {
            let mut words = module.split_whitespace();
            last = match (words.next(), words.next()) {
                // `# path => ./folder` is a replacement of all versions, which no go.mod requires.
                (Some(path), Some(version)) if version != "=>" => format!("{path}@{version}"),
                _ => String::new(),
            };
        }
    }
    let requires = project.modules.iter().flat_map(|member| &member.go_mod.requires);
    let required: BTreeSet<String> = requires.map(|require| format!("{}@{}", require.path, require.version)).collect();
    let missing =
        required.difference(&explicit).map(|module| format!("{module} is required in go.mod and not marked there"));
    let too_many =
        explicit.difference(&required).map(|module| format!("{module} is marked there and not required in go.mod"));
    missing.chain(too_many).collect()
}
