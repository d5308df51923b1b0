//! Runs the fixes that any process of the user can run. What they print goes to standard error: standard output is the report's.

use std::process::{Command, Stdio};

use tradewind_doctor::{FixKind, Report};

use crate::say;

/// Runs each fix that is a command of its own, telling it before; tells those that have to be pasted. Returns how many were
/// run.
pub(super) fn run(report: &Report) -> usize {
    let mut ran = 0;
    for finding in &report.findings {
        match finding.fix.kind {
            FixKind::Command => {
                say::note(format_args!("{}\n  running: {}", finding.title, finding.fix.text));
                ran += 1;
                match shell(&finding.fix.text).stdout(Stdio::from(std::io::stderr())).status() {
                    Ok(status) if status.success() => say::note("  done"),
                    Ok(status) => say::note(format_args!("  it failed: {status}")),
                    Err(error) => say::note(format_args!("  it cannot be run: {error}")),
                }
            }
            FixKind::InShell => {
                say::note(format_args!(
                    "{}\n  paste this in the shell that runs go: {}",
                    finding.title, finding.fix.text
                ));
            }
            FixKind::ByHand => {}
        }
    }
    ran
}

#[cfg(not(windows))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("powershell");
    shell.args(["-NoProfile", "-Command", command]);
    shell
}
