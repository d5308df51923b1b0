//! What an entry of `allow` may look like. Matching is `access`'s part.

use tradewind_core::nearest;

use crate::node::Shortened;

/// The doors that a pattern may begin with, built or not: a key can be ready before its door is.
pub const DOORS: &[&str] = &["models", "tools", "modules", "agents", "relay", "state", "control"];

/// What can be allowed at the control door.
const CONTROL: &[&str] = &["read", "write"];

/// The longest pattern, in bytes.
const LONGEST: usize = 256;

/// Why a text is no pattern, and what to write in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadPattern {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Checks an entry of `allow`: a door by its name, a slash, and a resource in which `*` stands for anything.
///
/// # Errors
/// When the door is not known or a pattern itself, the resource is missing or not one of its door, or the whole is too
/// long or has spaces.
pub fn check_pattern(pattern: &str) -> Result<(), BadPattern> {
    let bad = |message: String, hint: String| Err(BadPattern { message, hint });
    let shown = Shortened(pattern);
    if pattern.len() > LONGEST {
        return bad(format!("a pattern has at most {LONGEST} bytes"), "`*` stands for anything".to_owned());
    }
    if pattern.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return bad(format!("the pattern `{shown}` has spaces"), "one pattern for each entry of the list".to_owned());
    }
    let (door, resource) = pattern.split_once('/').unwrap_or((pattern, ""));
    if !DOORS.contains(&door) {
        let hint = match nearest(door, DOORS.iter().copied()) {
            Some(near) => format!("did you mean `{near}/{}`?", if resource.is_empty() { "*" } else { resource }),
            None => format!("write door/resource, such as models/*; the doors are {}", DOORS.join(", ")),
        };
        return bad(format!("the pattern `{shown}` does not begin with a door"), hint);
    }
    if resource.is_empty() {
        return bad(format!("the pattern `{shown}` names no resource"), format!("write {door}/* for all of them"));
    }
    if door == "control" && resource != "*" && !CONTROL.contains(&resource) {
        let near = nearest(resource, CONTROL.iter().copied());
        let hint = near.map_or_else(
            || "it is control/read, control/write or control/*".to_owned(),
            |near| format!("did you mean `control/{near}`?"),
        );
        return bad(format!("`{shown}` is nothing that the control door knows"), hint);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_their_door() {
        for pattern in
            ["models/*", "models/openai/gpt-5*", "modules/github.com/*", "state/a/*", "control/read", "control/*"]
        {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        for (pattern, message, hint) in [
            ("model/x", "the pattern `model/x` does not begin with a door", "did you mean `models/x`?"),
            (
                "*",
                "the pattern `*` does not begin with a door",
                "write door/resource, such as models/*; the doors are models, tools, modules, agents, relay, state, \
                 control",
            ),
            ("Models/x", "the pattern `Models/x` does not begin with a door", "did you mean `models/x`?"),
            ("models", "the pattern `models` names no resource", "write models/* for all of them"),
            ("models/", "the pattern `models/` names no resource", "write models/* for all of them"),
            ("models/a b", "the pattern `models/a b` has spaces", "one pattern for each entry of the list"),
            (
                "control/wirte",
                "`control/wirte` is nothing that the control door knows",
                "did you mean `control/write`?",
            ),
            (
                "control/r*",
                "`control/r*` is nothing that the control door knows",
                "it is control/read, control/write or control/*",
            ),
        ] {
            let bad = BadPattern { message: message.to_owned(), hint: hint.to_owned() };
            assert_eq!(check_pattern(pattern), Err(bad), "{pattern}");
        }
        assert!(check_pattern(&format!("models/{}", "a".repeat(250))).is_err());
    }
}
