//! Where Windows takes the environment of a new process from. Tested with what `reg query` is documented to print, and never
//! tried on Windows.
//!
//! A key that has the variable is its origin only when it has this value: a shell may have set another since. Group policy
//! writes variables into the same two keys (its preferences know no other place), and those of its scripts into the
//! session's; a value that comes back after it was deleted is the policy's.

#[cfg(windows)]
use std::process::Command;

/// The keys that hold environment variables, by precedence: the session's, the user's, the machine's.
const KEYS: [&str; 3] = [
    r"HKCU\Volatile Environment",
    r"HKCU\Environment",
    r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment",
];

/// The key that the variable `name` has its value from; `query` gives what `reg query KEY /v NAME` prints.
#[must_use]
pub(super) fn key_of(name: &str, value: &str, query: impl Fn(&str, &str) -> Option<String>) -> Option<&'static str> {
    KEYS.into_iter().find(|key| {
        let found = query(key, name).and_then(|text| value_in(&text, name));
        found.is_some_and(|(kind, found)| {
            // Such a value names other variables, which only Windows puts in: whatever is around them has to be there.
            if kind == "REG_EXPAND_SZ" { fits(&found, value) } else { found == value }
        })
    })
}

/// Asks the registry.
#[cfg(windows)]
pub(super) fn query(key: &str, name: &str) -> Option<String> {
    let output = Command::new("reg").args(["query", key, "/v", name]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Type and value out of a line such as `    GOPROXY    REG_SZ    https://proxy.example.com`.
fn value_in(text: &str, name: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let line = line.trim_end_matches('\r').strip_prefix("    ")?;
        let (own, rest) = line.split_once("    ")?;
        let (kind, value) = rest.split_once("    ").unwrap_or((rest, ""));
        own.eq_ignore_ascii_case(name).then(|| (kind.to_owned(), value.to_owned()))
    })
}

/// Whether `value` is `pattern` with something in place of each `%NAME%`.
fn fits(pattern: &str, value: &str) -> bool {
    let mut rest = value;
    let parts: Vec<&str> = pattern.split('%').collect();
    // Every second part is the name of a variable; a lone `%` means itself.
    if parts.len().is_multiple_of(2) {
        return pattern == value;
    }
    let fixed: Vec<&str> = parts.iter().step_by(2).copied().collect();
    for (place, part) in fixed.iter().enumerate() {
        let found = match place {
            0 => rest.starts_with(part).then_some(0),
            _ if place + 1 == fixed.len() => rest.ends_with(part).then(|| rest.len() - part.len()),
            _ => rest.find(part),
        };
        let Some(found) = found else { return false };
        rest = &rest[found + part.len()..];
    }
    fixed.len() > 1 || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `reg query` prints of a key that has these values.
    fn printed(key: &str, values: &[(&str, &str, &str)]) -> String {
        let lines = values.iter().map(|(name, kind, value)| format!("    {name}    {kind}    {value}\r\n"));
        format!("\r\n{key}\r\n{}\r\n", lines.collect::<String>())
    }

    #[test]
    fn a_key_is_the_origin_of_the_value_that_it_has() {
        let query = |key: &str, name: &str| {
            let values: &[(&str, &str, &str)] = match key {
                r"HKCU\Environment" => &[("GOPROXY", "REG_SZ", "https://a.test,direct"), ("GOFLAGS", "REG_SZ", "")],
                k if k.starts_with("HKLM") => &[
                    ("GOPROXY", "REG_SZ", "https://b.test"),
                    ("GOMODCACHE", "REG_EXPAND_SZ", r"%SystemDrive%\go\%USERNAME%\mod"),
                ],
                _ => &[],
            };
            let values: Vec<_> = values.iter().filter(|(own, ..)| *own == name).copied().collect();
            (!values.is_empty()).then(|| printed(key, &values))
        };
        let key = |name: &str, value: &str| key_of(name, value, query);
        assert_eq!(key("GOPROXY", "https://a.test,direct"), Some(KEYS[1]));
        assert_eq!(key("GOPROXY", "https://b.test"), Some(KEYS[2]));
        // Set otherwise in this shell.
        assert_eq!(key("GOPROXY", "https://c.test"), None);
        assert_eq!(key("GOSUMDB", "off"), None);
        assert_eq!(key("GOMODCACHE", r"C:\go\me\mod"), Some(KEYS[2]));
        assert_eq!(key("GOMODCACHE", r"D:\go\cache"), None);
        assert_eq!(key("GOFLAGS", "-x"), None);
    }

    #[test]
    fn the_sessions_own_value_comes_first() {
        let everywhere = |key: &str, name: &str| Some(printed(key, &[(name, "REG_SZ", "http://proxy:1")]));
        assert_eq!(key_of("HTTPS_PROXY", "http://proxy:1", everywhere), Some(KEYS[0]));
    }

    #[test]
    fn names_of_variables_stand_for_anything() {
        for (pattern, value, expected) in [
            ("%A%", "x", true),
            ("a%A%b", "axxb", true),
            ("a%A%b", "ax", false),
            ("a%A%b%B%", "a1b2", true),
            ("100%", "100%", true),
            ("100%", "100", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(fits(pattern, value), expected, "{pattern} {value}");
        }
    }
}
