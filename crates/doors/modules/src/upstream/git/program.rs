//! Runs `git`, without a terminal, for a bounded time.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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
    run_with(repository, arguments, Bytes::new()).await
}

/// [`run`] with something to read.
pub(super) async fn run_with(repository: &Path, arguments: &[&str], input: Bytes) -> Result<Vec<u8>, Failure> {
    let mut command = command(repository);
    command.args(arguments);
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    let broken = |error| Failure::internal(format!("git broke off: {error}"));
    let running = async {
        let mut child = command.spawn().map_err(|error| {
            Failure::upstream(FaultKind::Unauthorized, 502, format!("direct: git cannot be run: {error}"))
        })?;
        let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).expect("both are piped");
        let stdin = child.stdin.take();
        let asking = async {
            if let Some(mut stdin) = stdin {
                // One that reads no more says why.
                let _ = stdin.write_all(&input).await;
            }
            Ok(())
        };
        let complaint = async { last_of(stderr).await.map_err(broken) };
        // Too much of the one ends all: the process is killed when it is dropped.
        let ((), printed, said) = tokio::try_join!(asking, printed(stdout), complaint)?;
        let status = child.wait().await.map_err(broken)?;
        Ok::<_, Failure>((status, printed, said))
    };
    let Ok(ended) = tokio::time::timeout(FETCH, running).await else {
        let reason = format!("direct: git was not done after {}", format_duration(FETCH));
        return Err(Failure::upstream(FaultKind::HeadersTimeout, 504, reason));
    };
    let (status, printed, said) = ended?;
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let said = said.trim();
        let said = &said[said.ceil_char_boundary(said.len().saturating_sub(COMPLAINT))..];
        return Err(Failure::upstream(FaultKind::ServerError, 502, format!("direct: git {}: {said}", arguments[0])));
    }
    Ok(printed)
}

/// All of it, which is at most [`MOST_OUTPUT`]: repositories are made by strangers, and one of a kilobyte can name more files
/// than there is memory.
async fn printed(stdout: impl AsyncRead + Unpin) -> Result<Vec<u8>, Failure> {
    let mut printed = Vec::new();
    let read = stdout.take(MOST_OUTPUT as u64 + 1).read_to_end(&mut printed).await;
    read.map_err(|error| Failure::internal(format!("git broke off: {error}")))?;
    if printed.len() > MOST_OUTPUT {
        return Err(Failure::upstream(FaultKind::TooLarge, 502, "direct: git printed more than 64 MiB"));
    }
    Ok(printed)
}

/// The end of it, whatever its length: the last thing that git says is why it gives up.
async fn last_of(mut stderr: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut last = Vec::new();
    while stderr.read_buf(&mut last).await? > 0 {
        if last.len() > 16 * COMPLAINT {
            last.drain(..last.len() - 4 * COMPLAINT);
        }
    }
    Ok(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_git_says_takes_no_more_memory_than_it_may() {
        let endless = tokio::io::repeat(b'x');
        let failure = printed(endless).await.unwrap_err();
        assert!(failure.reason.contains("more than 64 MiB"), "{}", failure.reason);
        assert_eq!(printed(&b"abc"[..]).await.unwrap(), b"abc");
        let said = tokio::io::repeat(b'x').take(10 << 20).chain(&b"fatal: the end"[..]);
        let last = last_of(said).await.unwrap();
        assert!(last.ends_with(b"fatal: the end") && last.len() <= 16 * COMPLAINT, "{}", last.len());
    }
}
