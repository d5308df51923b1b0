//! HTTPS_PROXY and HTTP_PROXY as values: passwords that were not encoded (27), scripts (28), CGI (34).

use crate::checks::targets::targets;
use crate::settings::{ProxySetting, Way, Why};
use crate::{Cause, Finding, Fix, Outcome, Shell, Url, World};

/// Looks at the variables that some target goes by.
pub(in crate::checks) fn look(world: &World) -> Outcome {
    let settings = &world.settings.http_proxy;
    let targets = targets(world);
    for (setting, scheme) in [(&settings.https, "https"), (&settings.http, "http")] {
        let Some(setting) = setting else { continue };
        let concerned = targets.iter().find(|url| url.scheme == scheme && settings.spared(url).is_none());
        let Some(target) = concerned else { continue };
        if let Some(finding) = unencoded(world, setting, target) {
            return Outcome::fatal(finding.seen(format!("{} is to be reached through it", target.host)));
        }
        if let Some(finding) = script(setting) {
            return Outcome::fatal(finding.seen(format!("{} is to be reached through it", target.host)));
        }
        if settings.way_to(target) == Way::Refused {
            return Outcome::fatal(cgi(world, target));
        }
        if settings.way_to(target) == Way::Direct(Why::NotUrl) {
            let finding = Finding::new(
                Cause::ProxyPasswordCharacters,
                check(world, setting, target),
                Fix::by_hand(format!("correct the URL in {}", setting.name)),
            )
            .titled(format!("{} is no URL, so go takes no proxy", setting.name))
            .seen(format!(
                "{}: {}",
                setting.name,
                setting.url.as_ref().err().map_or("", |error| error.kind())
            ));
            return Outcome::fatal(finding);
        }
    }
    Outcome::good()
}

/// Asks through the proxy of the variable, as it is: curl itself does not read HTTP_PROXY.
fn check(world: &World, setting: &ProxySetting, target: &Url) -> String {
    let value = world.shell.value_of(setting.name);
    format!("curl -v -o /dev/null -x {value} {}", target.bare())
}

/// The characters between scheme and the last `@` that have to be encoded there, in order, each once.
fn wrong_characters(value: &str) -> Vec<char> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let Some(at) = rest.rfind('@') else { return Vec::new() };
    let user = &rest[..at];
    // A slash before an `@` is a password's only when a password begins before it: http://host/path@x has none.
    if !user.contains(':') && user.contains(['/', '?']) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (place, letter) in user.char_indices() {
        let is_escape =
            || user.as_bytes().get(place + 1..place + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let fine =
            letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(letter) || (letter == '%' && is_escape());
        if !fine && !wrong.contains(&letter) {
            wrong.push(letter);
        }
    }
    wrong
}

fn unencoded(world: &World, setting: &ProxySetting, target: &Url) -> Option<Finding> {
    let value = world.settings.environment.get(setting.name)?;
    let wrong = wrong_characters(value);
    if wrong.is_empty() {
        return None;
    }
    let fix = match world.shell {
        Shell::Posix => Fix::in_shell(encoding_command(setting.name, value.contains("://"), &wrong)),
        _ => Fix::by_hand(format!(
            "percent-encode {} in the user and password of {}",
            wrong
                .iter()
                .map(|c| format!("{c:?} as {}", crate::url::encoded(&c.to_string())))
                .collect::<Vec<_>>()
                .join(", "),
            setting.name
        )),
    };
    let characters: Vec<String> = wrong.iter().map(|letter| format!("{letter:?}")).collect();
    let mut finding = Finding::new(Cause::ProxyPasswordCharacters, check(world, setting, target), fix).seen(format!(
        "{} is {}, with {} before the @",
        setting.name,
        setting.shown,
        characters.join(" and ")
    ));
    if let Ok(url) = &setting.url {
        // What go takes for the host may be a part of the password: said without it.
        let intended = value.rsplit('@').next().unwrap_or_default().split(['/', ':', '?', '#']).next();
        if intended != Some(url.host.as_str()) {
            finding = finding.seen(format!("go does not take {} for its host", intended.unwrap_or_default()));
        }
    }
    Some(finding)
}

/// A command of a POSIX shell that encodes `wrong` between the scheme and the last `@` of the variable, reading the value
/// where it is, so that no password stands in it.
fn encoding_command(name: &str, has_scheme: bool, wrong: &[char]) -> String {
    // The variable is taken apart by the shell; only user and password go through sed. `%` comes first, and only where it is
    // no escape already.
    let mut script = String::new();
    if wrong.contains(&'%') {
        script.push_str("s/%([^0-9A-Fa-f]|$)/%25\\1/g;s/%([0-9A-Fa-f])([^0-9A-Fa-f]|$)/%25\\1\\2/g;");
    }
    for letter in wrong.iter().filter(|letter| **letter != '%') {
        let pattern = match letter {
            '/' => "\\/".to_owned(),
            '\\' | '[' | ']' | '^' | '|' | '{' | '}' | '?' => {
                format!("[{}]", if *letter == '\\' { "\\\\".to_owned() } else { letter.to_string() })
            }
            '\'' => "'\\''".to_owned(),
            letter => letter.to_string(),
        };
        let pattern = if *letter == '^' { "\\^".to_owned() } else { pattern };
        script.push_str(&format!("s/{pattern}/{}/g;", crate::url::encoded(&letter.to_string())));
    }
    let (scheme, rest) = if has_scheme {
        (format!("${{{name}%%://*}}"), format!("${{{name}#*://}}"))
    } else {
        ("http".to_owned(), format!("${name}"))
    };
    format!(
        "export {name}=\"{scheme}://$(printf %s \"{rest}\" | sed -E 's/@[^@]*$//' | sed -E '{script}')@${{{name}##*@}}\""
    )
}

/// Whether the value is the URL of a proxy script, as far as its name tells.
fn is_script(url: &Url) -> bool {
    let path = url.path.to_ascii_lowercase();
    path.ends_with(".pac") || path.ends_with("/wpad.dat") || url.scheme.starts_with("pac+")
}

/// The variable that has a proxy script for its value, and the script's URL.
pub(in crate::checks) fn script_as_proxy(world: &World) -> Option<(&'static str, Url)> {
    let settings = &world.settings.http_proxy;
    let both = [&settings.https, &settings.http].into_iter().flatten();
    both.filter_map(|setting| Some((setting.name, setting.url.clone().ok()?))).find(|(_, url)| is_script(url))
}

fn script(setting: &ProxySetting) -> Option<Finding> {
    let url = setting.url.as_ref().ok().filter(|url| is_script(url))?;
    let place = url.bare();
    let check = format!("curl -sS {place} | grep FindProxyForURL");
    let fix = Fix::by_hand(format!("set {} to the proxy that {place} returns", setting.name));
    Some(Finding::new(Cause::PacAsProxy, check, fix).seen(format!("{} is {place}, a proxy script", setting.name)))
}

fn cgi(world: &World, target: &Url) -> Finding {
    Finding::new(Cause::ProxyCaseConflict, "go mod download", Fix::in_shell(world.shell.unset("REQUEST_METHOD")))
        .titled("HTTP_PROXY is refused where REQUEST_METHOD is set")
        .seen(format!(
            "REQUEST_METHOD is set, as for CGI programs, and {} is to be reached through HTTP_PROXY",
            target.host
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_to_be_encoded_is_wrong() {
        for (value, wrong) in [
            ("http://me:pa@ss@proxy:1", ""),
            ("http://me:pa%40ss@proxy:1", ""),
            ("http://me:p#a/s?s@proxy:1", "#/?"),
            ("http://CORP\\me:pass@proxy:1", "\\"),
            ("http://me:50%@proxy:1", "%"),
            ("http://me:a b@proxy:1", " "),
            ("me:p#ss@proxy:1", "#"),
            ("http://proxy:1", ""),
        ] {
            assert_eq!(wrong_characters(value).into_iter().collect::<String>(), wrong, "{value}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_command_encodes_and_shows_nothing() {
        for (value, expected) in [
            ("http://me:p#a/s?s@proxy:1", "http://me:p%23a%2Fs%3Fs@proxy:1"),
            ("http://CORP\\me:pa@ss#@proxy:1/", "http://CORP%5Cme:pa@ss%23@proxy:1/"),
            ("http://me:50%a%41%@proxy:1", "http://me:50%25a%41%25@proxy:1"),
            ("me:p#ss@proxy:1", "http://me:p%23ss@proxy:1"),
            ("http://me:a b^c|d[e]f{g}h\"i@proxy:1", "http://me:a%20b%5Ec%7Cd%5Be%5Df%7Bg%7Dh%22i@proxy:1"),
        ] {
            let command = encoding_command("TEST_PROXY", value.contains("://"), &wrong_characters(value));
            assert!(!command.contains("me"), "{command}");
            let script = format!("{command} && printf %s \"$TEST_PROXY\"");
            let output =
                std::process::Command::new("sh").args(["-c", &script]).env("TEST_PROXY", value).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{command}");
        }
    }
}
