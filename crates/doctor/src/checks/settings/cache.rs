//! The module cache: whether it can be written (62), and whether its files are what was downloaded (60).

use std::path::{Path, PathBuf};

use tradewind_runtime::files;

use super::zip::{self, BadZip, Zip};
use crate::checks::targets::has_to_fetch;
use crate::settings::{Needed, Origin, escaped};
use crate::{Cause, Finding, Fix, FixKind, Outcome, Shell, World, set_go, unset};

/// The most bytes of zips that are hashed in one examination.
const MOST_HASHED: u64 = 256 << 20;
/// Less room than this is none.
#[cfg(unix)]
const LEAST_ROOM: u64 = 1 << 20;
/// The largest ziphash and go.mod.
const MOST_SMALL: u64 = 16 << 20;

/// Whether go can put modules where it wants to.
pub(super) fn writable(world: &World) -> Outcome {
    let Some(cache) = &world.settings.mod_cache else {
        let fix = Fix::by_hand("set HOME, GOPATH or GOMODCACHE");
        let finding = Finding::new(Cause::CacheNotWritable, "go env GOMODCACHE", fix)
            .titled("there is no place for the module cache")
            .seen("neither GOMODCACHE, GOPATH nor the home directory is set");
        return Outcome::fatal(finding);
    };
    if !cache.is_absolute() {
        let name = if world.settings.get("GOMODCACHE").is_some() { "GOMODCACHE" } else { "GOPATH" };
        let finding = Finding::new(Cause::CacheNotWritable, "go env GOMODCACHE", unset(world, name))
            .titled(format!("{name} is not an absolute path"))
            .seen(world.settings.get(name).map(crate::settings::Setting::told).unwrap_or_default());
        return Outcome::fatal(finding);
    }
    if !has_to_fetch(world) {
        return Outcome::good();
    }
    let mut folders = vec![cache.clone(), cache.join("cache").join("download")];
    folders.extend(world.settings.missing().iter().flat_map(|module| {
        let files = world.settings.cached(module, "zip").and_then(|file| file.parent().map(Path::to_owned));
        let unpacked = unpacked(cache, module).parent().map(Path::to_owned);
        [files, unpacked].into_iter().flatten()
    }));
    for folder in folders {
        let place = existing(&folder);
        if let Some(why) = obstacle(&place) {
            return Outcome::fatal(not_writable(world, cache, &place, &why));
        }
    }
    Outcome::good()
}

/// The nearest of `folder` and the folders above it that is there.
fn existing(folder: &Path) -> PathBuf {
    folder.ancestors().find(|place| place.symlink_metadata().is_ok()).unwrap_or(folder).to_owned()
}

/// Why nothing can be written into the folder at `place`.
#[derive(Debug)]
enum Obstacle {
    NoFolder,
    /// The file system, or a mount, is read-only.
    #[cfg_attr(not(unix), expect(dead_code, reason = "other systems are not asked"))]
    ReadOnly,
    #[cfg_attr(not(unix), expect(dead_code, reason = "other systems are not asked"))]
    Refused(String),
    #[cfg_attr(not(unix), expect(dead_code, reason = "other systems are not asked"))]
    Full(String),
}

#[cfg(unix)]
fn obstacle(place: &Path) -> Option<Obstacle> {
    use rustix::fs::{Access, access, statvfs};
    if !place.is_dir() {
        return Some(Obstacle::NoFolder);
    }
    if let Err(error) = access(place, Access::WRITE_OK | Access::EXEC_OK) {
        if error == rustix::io::Errno::ROFS {
            return Some(Obstacle::ReadOnly);
        }
        return Some(Obstacle::Refused(std::io::Error::from(error).to_string()));
    }
    let room = statvfs(place).ok()?;
    // Some file systems do not count their inodes.
    if room.f_bavail.saturating_mul(room.f_frsize) < LEAST_ROOM || (room.f_files > 0 && room.f_favail == 0) {
        return Some(Obstacle::Full(format!("{} KiB are free", room.f_bavail.saturating_mul(room.f_frsize) >> 10)));
    }
    None
}

#[cfg(not(unix))]
fn obstacle(place: &Path) -> Option<Obstacle> {
    (!place.is_dir()).then_some(Obstacle::NoFolder)
}

fn not_writable(world: &World, cache: &Path, place: &Path, why: &Obstacle) -> Finding {
    let shown = place.display();
    let quoted = world.shell.quoted(&place.display().to_string());
    let seen = match why {
        Obstacle::NoFolder => format!("{shown} is no folder"),
        Obstacle::ReadOnly => format!("{shown} is on a read-only file system"),
        Obstacle::Refused(error) => format!("{shown} cannot be written: {error}"),
        Obstacle::Full(room) => format!("the disk of {shown} is full: {room}"),
    };
    // A cache that was set elsewhere than usual is best put back; in the usual place the place itself has to be repaired.
    let home = world.settings.environment.get("HOME").map(|home| Path::new(home).join("go/pkg/mod"));
    let usual = home.filter(|usual| !cache.starts_with(usual) && obstacle(&existing(usual)).is_none());
    let set = ["GOMODCACHE", "GOPATH"].into_iter().find(|name| world.settings.get(name).is_some());
    let below_cache = place.starts_with(cache);
    let fix = match (why, usual, set) {
        (Obstacle::Refused(_), _, _) if below_cache && world.shell == Shell::Posix => {
            let owned = format!("chmod -R u+rwX {quoted}");
            if is_own(place) {
                Fix::command(owned)
            } else {
                Fix::command(format!("sudo chown -R \"$(id -u):$(id -g)\" {quoted} && {owned}"))
            }
        }
        (_, Some(_), Some(name)) if may_unset(world, name) => unset(world, name),
        (_, Some(usual), Some(_)) => set_go(world, "GOMODCACHE", &usual.display().to_string()),
        // A folder of this session's own stands in: private, and never one that others may have made before.
        _ if world.shell == Shell::Posix => Fix::in_shell("export GOMODCACHE=\"$(mktemp -d)\""),
        _ => Fix::by_hand("make room, or set GOMODCACHE to a folder that can be written"),
    };
    Finding::new(Cause::CacheNotWritable, "go mod download", fix)
        .seen(seen)
        .seen(format!("the module cache is {}", cache.display()))
}

/// Whether the folder belongs to the user of this process.
#[cfg(unix)]
fn is_own(place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| path.metadata().ok().map(|metadata| metadata.uid());
    owner(place).is_some() && owner(place) == owner(Path::new("/proc/self"))
}

#[cfg(not(unix))]
fn is_own(_: &Path) -> bool {
    false
}

/// Whether without `name` the cache is in its usual place.
fn may_unset(world: &World, name: &str) -> bool {
    let settings = &world.settings;
    let alone = !(settings.get("GOMODCACHE").is_some() && settings.get("GOPATH").is_some());
    let hides_nothing = settings.get(name).is_some_and(|setting| setting.hides().is_none());
    let from_user = settings.get(name).is_some_and(|setting| !matches!(setting.origin, Origin::GorootFile(_)));
    alone && hides_nothing && from_user
}

/// The folder that a module is unpacked into.
fn unpacked(cache: &Path, module: &Needed) -> PathBuf {
    cache.join(format!("{}@{}", escaped(&module.path), escaped(&module.version)))
}

/// Whether the files of the project's modules are whole.
pub(super) fn whole(world: &World) -> Outcome {
    let settings = &world.settings;
    let (Some(cache), Some(project)) = (&settings.mod_cache, &settings.project) else { return Outcome::good() };
    let mut outcome = Outcome::good();
    let (mut hashed, mut left_out) = (0_u64, 0_u64);
    for module in project.needed() {
        let Some(file) = settings.cached(&module, "zip") else { continue };
        let size = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        if hashed + size > MOST_HASHED {
            left_out += 1;
            continue;
        }
        hashed += size;
        if let Some((what, breaks)) = damage(world, cache, &module, &file) {
            let finding = Finding::new(Cause::CorruptCache, "go mod verify", delete(world, cache, &module))
                .seen(format!("{}@{}: {what}", module.path, module.version));
            outcome.findings.push(if breaks { finding } else { finding.warns() });
        }
    }
    if left_out > 0 {
        outcome = outcome.fact("zips of the module cache not hashed", left_out);
    }
    if outcome.findings.iter().any(|finding| finding.weight == crate::Weight::Breaks) {
        outcome.blocks = Some("files in the module cache are damaged".to_owned());
    }
    outcome
}

/// What is damaged of `module`, and whether go fails because of it.
fn damage(world: &World, cache: &Path, module: &Needed, file: &Path) -> Option<(String, bool)> {
    let settings = &world.settings;
    let is_unpacked = unpacked(cache, module).is_dir();
    let sums = |key: String| {
        let project = settings.project.as_ref();
        let lines = project.into_iter().flat_map(|project| &project.modules);
        let lines = lines.filter_map(|member| member.go_sum.get(&key)).flatten();
        lines.cloned().collect::<Vec<String>>()
    };
    let zip_sums = sums(format!("{} {}", module.path, module.version));
    let mut zip: Option<Zip> = None;
    if file.exists() {
        match zip::read(file) {
            Ok(read) => zip = Some(read),
            Err(BadZip::Unknown(_)) => {}
            Err(error) => return Some((format!("{}: {error}", file.display()), !is_unpacked)),
        }
        let kept = files::read_text(&file.with_extension("ziphash"), MOST_SMALL).ok();
        // `with_extension` would cut a version at its last dot.
        let kept =
            kept.or_else(|| files::read_text(&PathBuf::from(format!("{}hash", file.display())), MOST_SMALL).ok());
        if let (Some(zip), Some(kept)) = (&zip, kept.as_deref().map(str::trim))
            && zip.h1 != kept
        {
            let what = format!("{} has the hash {}, and {kept} was written beside it", file.display(), zip.h1);
            let recorded_wrong = !zip_sums.is_empty() && !zip_sums.iter().any(|sum| sum == kept);
            return Some((what, !is_unpacked || recorded_wrong));
        }
    }
    let mod_file = settings.cached(module, "mod")?;
    let text = files::read_bytes(&mod_file, MOST_SMALL).ok()?;
    let hash = zip::h1_of_mod(&text);
    let mod_sums = sums(format!("{} {}/go.mod", module.path, module.version));
    if mod_sums.is_empty() || mod_sums.contains(&hash) {
        return None;
    }
    // Is it the file, or go.sum? The zip, where it is the one that go.sum has, tells; without a zip the file is looked at
    // anew, which does no harm.
    let zip_is_right = zip.as_ref().is_none_or(|zip| zip_sums.is_empty() || zip_sums.contains(&zip.h1));
    let in_zip_is_right =
        zip.as_ref().and_then(|zip| zip.go_mod.as_ref()).is_none_or(|in_zip| mod_sums.contains(in_zip));
    (zip_is_right && in_zip_is_right)
        .then(|| (format!("{} has the hash {hash}, and go.sum has {}", mod_file.display(), mod_sums.join(", ")), true))
}

/// Takes that version, and nothing else, out of the cache.
pub(in crate::checks) fn delete(world: &World, cache: &Path, module: &Needed) -> Fix {
    let folder = unpacked(cache, module);
    let mut places: Vec<PathBuf> = Vec::new();
    for ending in ["zip", "ziphash", "mod", "info", "lock"] {
        places.extend(world.settings.cached(module, ending).filter(|file| file.exists()));
    }
    let quoted = |path: &Path| world.shell.quoted(&path.display().to_string());
    let list = |separator: &str| places.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(separator);
    let kind = FixKind::Command;
    let text = match world.shell {
        Shell::Posix | Shell::Fish if folder.is_dir() => {
            let folder = quoted(&folder);
            format!("chmod -R u+w {folder} && rm -rf {folder} && rm -f {}", list(" "))
        }
        Shell::Posix | Shell::Fish => format!("rm -f {}", list(" ")),
        Shell::PowerShell => {
            if folder.is_dir() {
                places.push(folder);
            }
            format!(
                "Remove-Item -Recurse -Force {}",
                places.iter().map(|path| quoted(path)).collect::<Vec<_>>().join(", ")
            )
        }
        Shell::Cmd => format!("del /f {}", list(" ")),
    };
    Fix { text, kind }
}
