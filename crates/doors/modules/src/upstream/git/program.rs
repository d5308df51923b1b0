//! Runs `git`, without a terminal, for a bounded time.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tradewind_core::{FaultKind, format_duration};
use tradewind_runtime::environment;

use crate::failure::Failure;

/// How long git may take to fetch a repository.
const FETCH: Duration = Duration::from_secs(600);
/// What git may print.
const MOST_OUTPUT: usize = 64 << 20;
/// What of git's complaints is passed on.
const COMPLAINT: usize = 400;

/// A command that asks nobody for anything, whatever the one who started the gateway was doing.
pub(super) fn command(repository: &Path) -> std::process::Command {
    let mut command = std::process::Command::new("git");
    command.arg("--git-dir").arg(repository);
    // No helper runs what a URL says, and no hook what a repository has.
    command.args(["-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"]);
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"]
    {
        command.env_remove(name);
    }
    command.env("GIT_TERMINAL_PROMPT", "0").env("GCM_INTERACTIVE", "never").env("LC_ALL", "C");
    if environment("GIT_SSH_COMMAND").is_none() && environment("GIT_SSH").is_none() {
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ControlMaster=no");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs git in a repository; what it prints. An exit status that is not 0 is a failure.
pub(super) async fn run(repository: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let mut command = command(repository);
    command.args(arguments);
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    let running = async {
        let child = command.spawn().map_err(|error| {
            Failure::upstream(FaultKind::Unauthorized, 502, format!("direct: git cannot be run: {error}"))
        })?;
        child.wait_with_output().await.map_err(|error| Failure::internal(format!("git broke off: {error}")))
    };
    let Ok(output) = tokio::time::timeout(FETCH, running).await else {
        let reason = format!("direct: git was not done after {}", format_duration(FETCH));
        return Err(Failure::upstream(FaultKind::HeadersTimeout, 504, reason));
    };
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let said = &said[said.ceil_char_boundary(said.len().saturating_sub(COMPLAINT))..];
        return Err(Failure::upstream(FaultKind::ServerError, 502, format!("direct: git {}: {said}", arguments[0])));
    }
    if output.stdout.len() > MOST_OUTPUT {
        return Err(Failure::upstream(FaultKind::TooLarge, 502, "direct: git printed more than 64 MiB"));
    }
    Ok(output.stdout)
}

/// [`run`] where a failure means that there is no such thing: one line of text, or nothing.
pub(super) async fn line(repository: &Path, arguments: &[&str]) -> Result<Option<String>, Failure> {
    match run(repository, arguments).await {
        Ok(printed) => Ok(Some(String::from_utf8_lossy(&printed).trim().to_owned()).filter(|line| !line.is_empty())),
        Err(failure) if matches!(failure.kind, crate::failure::FailureKind::Upstream(FaultKind::ServerError)) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}
