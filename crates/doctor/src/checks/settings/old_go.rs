//! Versions of Go with known holes (70), and the newer one that may be on the same machine.

use std::path::{Path, PathBuf};

use crate::settings::{GoTool, GoVersion};
use crate::{Cause, Finding, Fix, Outcome, Shell, System, World};

/// Versions from which on the checks of downloads are whole, the oldest first: in later languages all are.
const WHOLE: [(u32, u32, u32); 3] = [(1, 25, 13), (1, 26, 6), (1, 27, 0)];
/// The first language whose go.mod has three numbers and a `toolchain`.
const THREE_NUMBERS: (u32, u32) = (1, 21);
/// Where Go is put by its own archive, and by distributions that have several versions.
const PLACES: [&str; 2] = ["/usr/local/go/bin", "/usr/lib/go/bin"];
/// The most other go commands that are looked at.
const MOST: usize = 20;

/// Whether the go command is one with known holes.
pub(super) fn look(world: &World) -> Outcome {
    let Some(go) = &world.settings.go else { return Outcome::good() };
    let Some(version) = &go.version else { return Outcome::good() };
    if is_whole(version) { Outcome::good() } else { Outcome::finding(finding(world, go, version).warns()) }
}

/// A go command from before 1.21 and a go.mod that it cannot read: it fails before anything else.
pub(super) fn cannot_read(world: &World, version: &GoVersion) -> Option<Finding> {
    let (go, project) = (world.settings.go.as_ref()?, world.settings.project.as_ref()?);
    if version.language() >= THREE_NUMBERS {
        return None;
    }
    let told = project.modules.iter().find_map(|member| {
        let line = member.go_mod.go.as_deref().filter(|line| line.split('.').count() != 2);
        line.map(|line| format!("{} has `go {line}`, which Go reads since 1.21", member.file.display()))
    });
    let told = told.or_else(|| {
        let name = project.toolchain.as_deref()?;
        Some(format!("go.mod has `toolchain {name}`, which Go reads since 1.21"))
    })?;
    Some(finding(world, go, version).seen(told))
}

fn finding(world: &World, go: &GoTool, version: &GoVersion) -> Finding {
    let told = format!("{} is go {version}", go.path.display());
    match newer_here(world) {
        Some((folder, newer)) => Finding::new(Cause::OldGo, "go version", first_in_path(world.shell, &folder))
            .seen(told)
            .seen(format!("{} has go {newer}, and comes later in PATH or is not in it", folder.display())),
        None => {
            let fix = Fix::by_hand(format!("install Go {} or newer", newest_fixed(version)));
            Finding::new(Cause::OldGo, "go version", fix).seen(told)
        }
    }
}

/// The first folder with a go command without the holes, and its version.
fn newer_here(world: &World) -> Option<(PathBuf, GoVersion)> {
    let environment = &world.settings.environment;
    let (separator, program) = if world.system == System::Windows { (';', "go.exe") } else { (':', "go") };
    let path = environment.get("PATH").unwrap_or_default().split(separator).filter(|folder| !folder.is_empty());
    let mut folders: Vec<PathBuf> = path.map(PathBuf::from).collect();
    folders.extend(PLACES.map(PathBuf::from));
    // `go install golang.org/dl/go1.27.3@latest` puts them here.
    if let Some(home) = environment.get("HOME") {
        folders.extend(folders_in(&Path::new(home).join("sdk")));
    }
    let programs = folders.into_iter().filter(|folder| folder.join(program).is_file()).take(MOST);
    programs.into_iter().find_map(|folder| {
        // A script that leads to another go command is not started for this.
        let root = folder.parent().filter(|root| root.join("pkg").join("tool").is_dir())?;
        let version = GoTool::at(folder.join(program), Some(root.to_owned())).version?;
        is_whole(&version).then_some((folder, version))
    })
}

fn folders_in(sdk: &Path) -> Vec<PathBuf> {
    let entries = sdk.read_dir().ok().into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders
}

fn first_in_path(shell: Shell, folder: &Path) -> Fix {
    let folder = shell.quoted(&folder.display().to_string());
    Fix::in_shell(match shell {
        Shell::Posix => format!("export PATH={folder}:\"$PATH\""),
        Shell::Fish => format!("set -gx PATH {folder} $PATH"),
        Shell::PowerShell => format!("$env:PATH = {folder} + ';' + $env:PATH"),
        Shell::Cmd => format!("set \"PATH={};%PATH%\"", folder.trim_matches('"')),
    })
}

fn is_whole(version: &GoVersion) -> bool {
    let language = version.language();
    match WHOLE.iter().find(|(major, minor, _)| (*major, *minor) == language) {
        Some((_, _, patch)) => version.patch() >= *patch,
        None => language > (WHOLE[2].0, WHOLE[2].1),
    }
}

/// The nearest version without the holes: of the same language where there is one.
fn newest_fixed(version: &GoVersion) -> String {
    let (major, minor, patch) =
        WHOLE.iter().find(|(major, minor, _)| (*major, *minor) == version.language()).unwrap_or(&WHOLE[2]);
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_known_by_version() {
        for (version, whole) in [
            ("1.19", false),
            ("1.24.9", false),
            ("1.25.12", false),
            ("1.25.13", true),
            ("1.26.5", false),
            ("1.26.6", true),
            ("1.27.0", true),
            ("1.27.3", true),
            ("1.28rc1", true),
        ] {
            assert_eq!(is_whole(&GoVersion::parse(version).unwrap()), whole, "{version}");
        }
        assert_eq!(newest_fixed(&GoVersion::parse("1.26.1").unwrap()), "1.26.6");
        assert_eq!(newest_fixed(&GoVersion::parse("1.19").unwrap()), "1.27.0");
    }

    #[test]
    fn a_folder_comes_first_in_each_shell() {
        let of = |shell, folder: &str| first_in_path(shell, Path::new(folder)).text;
        assert_eq!(of(Shell::Posix, "/usr/local/go/bin"), "export PATH=/usr/local/go/bin:\"$PATH\"");
        assert_eq!(of(Shell::Fish, "/a b"), "set -gx PATH '/a b' $PATH");
        assert_eq!(of(Shell::PowerShell, r"C:\Go\bin"), r"$env:PATH = 'C:\Go\bin' + ';' + $env:PATH");
        assert_eq!(of(Shell::Cmd, r"C:\Go\bin"), "set \"PATH=C:\\Go\\bin;%PATH%\"");
    }
}
