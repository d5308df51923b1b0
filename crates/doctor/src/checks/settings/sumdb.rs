//! GOSUMDB as a value (52).

use crate::settings::{BadGosumdb, Project, Setting};
use crate::{Cause, Finding, Outcome, World, set_go, unset};

/// Looks at the value.
pub(super) fn look(world: &World) -> Outcome {
    let Err(bad) = &world.settings.gosumdb else { return Outcome::good() };
    let setting = world.settings.get("GOSUMDB");
    let fix = match setting {
        Some(setting) if setting.hides().is_some() => unset(world, "GOSUMDB"),
        // Nothing stands behind it: GOROOT has no go.env.
        _ => set_go(world, "GOSUMDB", "sum.golang.org"),
    };
    let told = setting.map_or_else(|| "GOSUMDB has no value".to_owned(), Setting::told);
    let mut finding =
        Finding::new(Cause::GosumdbMalformed, "go env GOSUMDB", fix).seen(told).seen(format!("go: {bad}"));
    if *bad == BadGosumdb::Missing {
        finding = finding.titled("GOSUMDB has no value, and GOROOT no go.env with the default");
    }
    if !is_asked(world) {
        // Everything that is needed is in go.sum: it will break with the next module.
        finding = finding.warns();
    }
    Outcome { blocks: Some("GOSUMDB names no checksum database".to_owned()), ..Outcome::finding(finding) }
}

/// Whether some module has to be looked up: one that go.sum lacks and no pattern exempts.
fn is_asked(world: &World) -> bool {
    let settings = &world.settings;
    let Some(project) = &settings.project else { return true };
    let lacks = |project: &Project, path: &str, version: &str| {
        !project.has_sum(&format!("{path} {version}")) || !project.has_sum(&format!("{path} {version}/go.mod"))
    };
    let mut needed = project.needed().into_iter();
    needed.any(|module| {
        settings.no_sumdb.covering(&module.path).is_none() && lacks(project, &module.path, &module.version)
    })
}
