//! Lines that go.sum lacks (59). Comes after everything that asks the network: the fix has to download.

use super::imports::imports;
use crate::settings::{Member, Project};
use crate::{Cause, Finding, Fix, Outcome, World};

/// Looks for modules that the project's files import packages of, and that no go.sum has.
pub(super) fn look(world: &World) -> Outcome {
    let settings = &world.settings;
    let Some(project) = &settings.project else { return Outcome::good() };
    // With -mod=mod lines are added, and a vendor folder is not checked against them.
    if matches!(settings.go_flag("mod"), Some("mod" | "vendor")) || project.vendor.is_some() {
        return Outcome::good();
    }
    for member in &project.modules {
        if let Some(finding) = lacking(project, member) {
            return Outcome::finding(finding);
        }
    }
    Outcome::good()
}

fn lacking(project: &Project, member: &Member) -> Option<Finding> {
    let folder = member.file.parent()?;
    let direct: Vec<_> = member.go_mod.requires.iter().collect();
    if direct.is_empty() {
        return None;
    }
    for (import, file) in imports(folder) {
        // The longest module path that the package is below.
        let below = |path: &str| import.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(require) =
            direct.iter().filter(|require| below(&require.path)).max_by_key(|require| require.path.len())
        else {
            continue;
        };
        let Some((path, version)) = member.go_mod.replaced(&require.path, &require.version) else { continue };
        let line = format!("{path} {version}");
        if project.has_sum(&line) {
            continue;
        }
        let sum = folder.join("go.sum");
        let what = if member.has_go_sum { format!("has no line for {line}") } else { "does not exist".to_owned() };
        return Some(
            Finding::new(Cause::GoSumEntryMissing, "go build ./...", Fix::command("go mod tidy"))
                .seen(format!("{} {what}", sum.display()))
                .seen(format!("{} imports {import}", file.display())),
        );
    }
    None
}
