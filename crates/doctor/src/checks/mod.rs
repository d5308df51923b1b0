//! The checks, in the order in which a root cause comes before its consequences.

mod network;
mod profiles;
mod script;
mod settings;
mod suspects;
mod targets;

pub(crate) use network::{cannot_be_at, is_own, no_roots};
pub(crate) use suspects::{instead_of, suspects};

use crate::settings::Needed;
use crate::{Check, Outcome, World};

/// Everything that the go command depends on: settings and files first, then the way out, then what only matters when
/// modules can be had at all.
#[must_use]
pub fn go_checks(world: &World) -> Vec<Check> {
    let mut checks = settings::before_the_network();
    checks.extend(network::checks(world));
    checks.extend(settings::after_the_network());
    checks
}

/// The command with which go fetches `module`, and says why it cannot.
fn download(world: &World, module: &Needed) -> String {
    format!("go mod download {}", world.shell.quoted(&format!("{}@{}", module.path, module.version)))
}

/// Everything that settings and files tell, without asking anybody.
pub(crate) fn of_settings(world: &World) -> Outcome {
    settings::all_at_once(world)
}

/// The checks that ask nobody: of settings and files alone.
#[must_use]
pub fn settings_checks() -> Vec<Check> {
    let mut checks = settings::before_the_network();
    checks.extend(settings::after_the_network());
    checks
}
