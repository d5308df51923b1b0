//! Patterns for private modules that do not say what was meant (45).

use crate::settings::{covers, is_well_formed};
use crate::{Cause, Finding, Outcome, Subject, Suspect, World, set_go};

/// What a private module looks like that is asked for outside.
const ASKED_OUTSIDE: &[Cause] = &[
    Cause::PrivateModulePublicProxy,
    Cause::PrivateModuleSumdb,
    Cause::NoSuchVersion,
    Cause::SumdbUnreachable,
    Cause::SumdbMismatch,
    Cause::Gone,
    Cause::GitCannotAuthenticate,
];

/// Looks for patterns that would cover a module of the project if they were written otherwise.
pub(super) fn look(world: &World) -> Outcome {
    let settings = &world.settings;
    let missing = settings.missing();
    let mut outcome = Outcome::good();
    for name in ["GOPRIVATE", "GONOPROXY", "GONOSUMDB"] {
        let Some(setting) = settings.get(name) else { continue };
        let parts: Vec<&str> = setting.value().split(',').collect();
        for (place, pattern) in parts.iter().enumerate() {
            for module in &missing {
                if parts.iter().any(|pattern| covers(pattern, &module.path)) {
                    continue;
                }
                let Some(meant) = meant(pattern, &module.path) else { continue };
                let mut corrected = parts.clone();
                corrected[place] = &meant;
                let fix = set_go(world, name, &corrected.join(","));
                let check = format!("GOPROXY=off go list -m {}@{}", module.path, module.version);
                let finding = Finding::new(Cause::PatternDoesNotMatch, check, fix)
                    .seen(setting.told())
                    .seen(format!("`{pattern}` does not cover {}; `{meant}` does", module.path));
                outcome.suspects.push(Suspect {
                    finding,
                    explains: ASKED_OUTSIDE,
                    subject: Some(Subject::Module(module.path.clone())),
                    instead: None,
                    needs_proof: false,
                });
            }
        }
    }
    outcome
}

/// A pattern like `pattern` that covers `module`: without what no pattern has, or nearer to the module's path.
fn meant(pattern: &str, module: &str) -> Option<String> {
    let plain = pattern.trim().trim_matches(['"', '\'']);
    let plain = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    let plain = plain.trim_end_matches("/...").trim_end_matches("/**").trim_end_matches("**").trim_end_matches('/');
    let host = module.split('/').next().unwrap_or_default();
    let pattern_host = plain.split('/').next().unwrap_or_default();
    let bare_host = pattern_host.trim_start_matches("*.").trim_start_matches('.');
    let below = !bare_host.is_empty() && host.ends_with(&format!(".{bare_host}"));
    let mut candidates = vec![plain.to_owned()];
    if pattern_host.starts_with('.') {
        candidates.push(format!("*{plain}"));
    }
    if below {
        candidates.push(format!("*.{bare_host}"));
    }
    // More elements than the module has, where they are only stars.
    let mut shorter = plain;
    while let Some((front, last)) = shorter.rsplit_once('/')
        && last.chars().all(|c| c == '*')
    {
        candidates.push(front.to_owned());
        shorter = front;
    }
    if bare_host == host && !shorter.contains('/') {
        candidates.push(host.to_owned());
    }
    // `*.corp` for hosts like git.corp.example.com: its own words stand in the middle of the name.
    let inside = format!(".{bare_host}.");
    if bare_host.len() > 2
        && !bare_host.contains('*')
        && let Some(place) = format!(".{host}").find(&inside)
    {
        let from = place + 1;
        let rest = &format!(".{host}")[from..];
        candidates.push(if from > 1 { format!("*.{rest}") } else { rest.to_owned() });
    }
    // A letter in another case.
    candidates.push(plain.to_ascii_lowercase());
    let fits = |candidate: &String| *candidate != pattern && is_well_formed(candidate) && covers(candidate, module);
    candidates.into_iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_covers_the_module() {
        for (pattern, module, expected) in [
            ("https://git.example.com/team", "git.example.com/team/x", Some("git.example.com/team")),
            (" git.example.com", "git.example.com/x", Some("git.example.com")),
            ("git.example.com/...", "git.example.com/x", Some("git.example.com")),
            ("git.example.com/**", "git.example.com/x", Some("git.example.com")),
            ("example.com", "git.example.com/x", Some("*.example.com")),
            (".example.com", "git.example.com/x", Some("*.example.com")),
            ("*.example.com", "example.com/x", Some("example.com")),
            ("*.corp", "git.corp.example.com/x", Some("*.corp.example.com")),
            ("git.example.com/*/*/*", "git.example.com/x", Some("git.example.com/*")),
            ("Git.example.com", "git.example.com/x", Some("git.example.com")),
            ("github.com/corp", "github.com/other/x", None),
            ("other.example.org", "git.example.com/x", None),
            ("*", "git.example.com/x", None),
            ("", "git.example.com/x", None),
        ] {
            assert_eq!(meant(pattern, module).as_deref(), expected, "{pattern} {module}");
        }
    }
}
