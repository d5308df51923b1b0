//! GOAUTH as a value: what makes go stop before it asks anybody by https (19).

use std::path::Path;

use crate::settings::Setting;
use crate::{Cause, Finding, Outcome, World, unset};

/// Looks at the list of commands.
pub(super) fn look(world: &World) -> Outcome {
    let Some(setting) = world.settings.get("GOAUTH") else { return Outcome::good() };
    // Only https is logged in to.
    if !world.settings.proxies().iter().any(|(url, _)| url.scheme == "https") {
        return Outcome::good();
    }
    let commands: Vec<Vec<&str>> =
        setting.value().split(';').map(|command| command.split_whitespace().collect()).collect();
    let Some(wrong) = commands.iter().find_map(|command| wrong(command, commands.len())) else {
        return Outcome::good();
    };
    let finding = Finding::new(Cause::Unauthorized, "go env GOAUTH", unset(world, "GOAUTH"))
        .titled("GOAUTH is not a list of ways to log in")
        .seen(shown(setting))
        .seen(wrong);
    Outcome::fatal(finding)
}

/// Where it is set; a command may hold a secret.
fn shown(setting: &Setting) -> String {
    format!("GOAUTH, from {}", setting.origin)
}

fn wrong(command: &[&str], of: usize) -> Option<String> {
    match command {
        [] => Some("it has an empty command".to_owned()),
        ["off"] if of > 1 => Some("off stands beside others".to_owned()),
        ["git", folder] if !Path::new(folder).is_absolute() => {
            Some("the folder behind git is not an absolute path".to_owned())
        }
        ["git", folder] if !Path::new(folder).is_dir() => Some(format!("{folder} is no folder")),
        ["git", ..] if command.len() != 2 => Some("git takes one folder".to_owned()),
        _ => None,
    }
}
