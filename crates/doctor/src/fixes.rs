//! Fixes for settings: the command that changes a value where it comes from, in the user's own shell.

use crate::settings::{Origin, find_program};
use crate::{Fix, System, World};

/// The package managers of Linux, and how each installs without asking.
const MANAGERS: [(&str, &[&str]); 6] = [
    ("apt-get", &["apt-get update", "apt-get install -y"]),
    ("apk", &["apk add"]),
    ("dnf", &["dnf install -y"]),
    ("yum", &["yum install -y"]),
    ("zypper", &["zypper -n install"]),
    ("pacman", &["pacman -S --noconfirm"]),
];

/// Gives the go setting `name` the value `value`: by `go env -w`, unless the environment of the process would hide that.
#[must_use]
pub fn set_go(world: &World, name: &str, value: &str) -> Fix {
    let settings = &world.settings;
    let hidden =
        matches!(settings.get(name).map(|setting| &setting.origin), Some(Origin::Process(_) | Origin::Registry(_)));
    if hidden || settings.env_file.is_none() {
        return set_process(world, name, value);
    }
    Fix::command(format!("go env -w {}", world.shell.quoted(&format!("{name}={value}"))))
}

/// Takes away the value of the go setting `name`, so that the next in precedence counts.
#[must_use]
pub fn unset(world: &World, name: &str) -> Fix {
    match world.settings.get(name).map(|setting| &setting.origin) {
        Some(Origin::EnvFile(_)) => Fix::command(format!("go env -u {name}")),
        Some(Origin::Process(spelled)) => Fix::in_shell(world.shell.unset(spelled)),
        Some(Origin::Registry(key)) => {
            Fix::command(format!("reg delete \"{key}\" /v {name} /f")).then_in_shell(world, &world.shell.unset(name))
        }
        _ => Fix::in_shell(world.shell.unset(name)),
    }
}

/// Gives the variable `name` of the environment, which go reads there alone, the value `value`.
#[must_use]
pub fn set_process(world: &World, name: &str, value: &str) -> Fix {
    Fix::in_shell(world.shell.set(name, value))
}

/// Installs `package` with the package manager that is there; says so where there is none.
#[must_use]
pub fn install(world: &World, package: &str) -> Fix {
    let is_there = |name: &str| find_program(name, &world.settings.environment, world.system).is_some();
    if world.system == System::MacOs && is_there("brew") {
        return Fix::command(format!("brew install {package}"));
    }
    let Some((_, steps)) = MANAGERS.iter().find(|(name, _)| world.system == System::Linux && is_there(name)) else {
        return Fix::by_hand(format!("install {package}"));
    };
    let sudo = sudo();
    let (last, first) = steps.split_last().expect("each manager has a step");
    let mut commands: Vec<String> = first.iter().map(|step| format!("{sudo}{step}")).collect();
    commands.push(format!("{sudo}{last} {package}"));
    Fix::command(world.shell.all(&commands))
}

/// What stands before a command that only root may run.
#[must_use]
pub(crate) fn sudo() -> &'static str {
    if is_root() { "" } else { "sudo " }
}

/// Whether this process may do everything, as in most containers.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::path::Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

impl Fix {
    /// This fix and then `command` in the shell in which go is run.
    #[must_use]
    pub fn then_in_shell(self, world: &World, command: &str) -> Self {
        Self::in_shell(world.shell.all(&[self.text, command.to_owned()]))
    }
}
