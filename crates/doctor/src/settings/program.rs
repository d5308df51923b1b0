//! Other programs of this machine: finding them, and asking them something short.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Environment;
use crate::System;

/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The most that is read of what it says.
const MOST_BYTES: u64 = 1 << 20;

/// The program that a shell would run for `name`.
#[must_use]
pub(crate) fn find(name: &str, environment: &Environment, system: System) -> Option<PathBuf> {
    let separator = if system == System::Windows { ';' } else { ':' };
    let endings: Vec<String> = if system == System::Windows {
        let endings = environment.get("PATHEXT").unwrap_or(".COM;.EXE;.BAT;.CMD");
        endings.split(';').map(str::to_lowercase).collect()
    } else {
        vec![String::new()]
    };
    let folders = environment.get("PATH").unwrap_or_default().split(separator).filter(|folder| !folder.is_empty());
    let mut places =
        folders.flat_map(|folder| endings.iter().map(move |end| Path::new(folder).join(format!("{name}{end}"))));
    places.find(|place| is_program(place))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// What `program` prints; `None` when it fails, or has said nothing after ten seconds.
#[must_use]
pub(crate) fn output(program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).envs(variables.iter().copied());
    // Away from any go.mod, which could make a go command look for another toolchain.
    #[cfg(unix)]
    command.current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    // Read beside the waiting, so that a full pipe does not hold the program up.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.by_ref().take(MOST_BYTES).read_to_string(&mut text);
        read.is_ok().then_some(text)
    });
    for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
        match child.try_wait() {
            Ok(Some(status)) => return reader.join().ok().flatten().filter(|_| status.success()),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
