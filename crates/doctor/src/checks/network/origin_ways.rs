//! Other ways to a repository than the one that git is not let in by (47): as go starts it, with one setting more. What works
//! is the fix.

use std::path::Path;
use std::process::Stdio;

use tradewind_runtime::files;

use super::Context;
use crate::Fix;

/// The largest file of logins that is read.
const MOST_BYTES: u64 = 1 << 20;

/// A setting of git with its value.
struct Way {
    name: String,
    value: String,
    told: String,
}

/// What git says of `url` as go would ask it, with these settings besides its own; `None` when it is let in.
pub(super) async fn git_error(context: Context<'_>, url: &str, settings: &[(&str, &str)]) -> Option<String> {
    let git = context.world.settings.git.path.as_ref()?;
    let mut command = tokio::process::Command::new(git);
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.args(["ls-remote", "-q", "--", url, "HEAD"]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.env("GIT_TERMINAL_PROMPT", "0").env("GCM_INTERACTIVE", "never").env("LC_ALL", "C");
    if context.world.settings.environment.get("GIT_SSH_COMMAND").is_none() {
        command.env("GIT_SSH_COMMAND", "ssh -o ControlMaster=no -o BatchMode=yes");
    }
    let output = tokio::time::timeout(context.world.limits.body, command.output()).await;
    match output {
        Err(_) => Some("no answer".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Ok(Ok(output)) if output.status.success() => None,
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let telling = lines.iter().find(|line| line.starts_with("fatal:") || line.contains("denied"));
            let line = telling.or_else(|| lines.last()).copied().unwrap_or("it fails without a word");
            Some(crate::settings::redact::redacted(line))
        }
    }
}

/// The setting with which git is let in at `url`, and how that is known.
pub(super) async fn let_in(context: Context<'_>, url: &str) -> Option<(Fix, String)> {
    let (host, _) = url.strip_prefix("https://")?.split_once('/')?;
    let stored = Way {
        name: "credential.helper".to_owned(),
        value: "store".to_owned(),
        told: format!("~/.git-credentials has a login for {host}, which no helper of git reads"),
    };
    let by_key = Way {
        name: format!("url.git@{host}:.insteadOf"),
        value: format!("https://{host}/"),
        told: format!("git is let in by ssh, as git@{host}"),
    };
    let ways = [has_stored(context, host).then_some(stored), Some(by_key)];
    for way in ways.into_iter().flatten() {
        if git_error(context, url, &[(&way.name, &way.value)]).await.is_none() {
            let quoted = |text: &str| context.world.shell.quoted(text);
            let fix = format!("git config --global --add {} {}", quoted(&way.name), quoted(&way.value));
            return Some((Fix::command(fix), way.told));
        }
    }
    None
}

/// Whether the file of `credential.helper=store` has a login for `host`.
fn has_stored(context: Context<'_>, host: &str) -> bool {
    let Some(home) = context.world.settings.environment.get("HOME") else { return false };
    let text = files::read_text(&Path::new(home).join(".git-credentials"), MOST_BYTES).unwrap_or_default();
    let is_of_host = |line: &str| line.rsplit_once('@').is_some_and(|(_, rest)| rest.split('/').next() == Some(host));
    text.lines().any(is_of_host)
}
