//! The list in GOPROXY: its syntax (35), schemes (36), emptiness (37), `off` (38), and passwords over http (20).

use super::toolchain::to_download;
use crate::checks::targets::has_to_fetch;
use crate::settings::{BadGoproxy, Origin, Setting, Source, Then, goproxy};
use crate::{Cause, Finding, Fix, Outcome, Shell, Url, World, set_go, unset};

/// What go falls back to where nothing is set.
const DEFAULT: &str = "https://proxy.golang.org,direct";
const CHECK: &str = "go env GOPROXY";

/// Looks at the list.
pub(super) fn look(world: &World) -> Outcome {
    let settings = &world.settings;
    let setting = settings.get("GOPROXY");
    let told = setting.map_or_else(|| "GOPROXY has no value".to_owned(), Setting::told);
    match &settings.goproxy {
        Err(BadGoproxy::Empty) => Outcome::fatal(empty(world, setting, told)),
        Err(bad @ BadGoproxy::Scheme(_)) => {
            let fix = corrected(world, setting);
            Outcome::fatal(Finding::new(Cause::GoproxyScheme, CHECK, fix).seen(told).seen(format!("go: {bad}")))
        }
        Err(bad) => {
            let fix = corrected(world, setting);
            Outcome::fatal(Finding::new(Cause::GoproxySyntax, CHECK, fix).seen(told).seen(format!("go: {bad}")))
        }
        Ok(entries) => {
            for (place, entry) in entries.iter().enumerate() {
                let reached = place == 0 || entries[place - 1].then == Then::AfterAnyError;
                match &entry.source {
                    Source::Off if place == 0 && (has_to_fetch(world) || to_download(world).is_some()) => {
                        return Outcome::fatal(off(world, told));
                    }
                    Source::Proxy(url) if !is_host(url) => {
                        let what = format!("go takes `{}` for a host", url.host.escape_debug());
                        let fix = corrected(world, setting);
                        return Outcome::fatal(Finding::new(Cause::GoproxySyntax, CHECK, fix).seen(told).seen(what));
                    }
                    Source::Proxy(url) if url.scheme == "http" && url.user.is_some() => {
                        let finding = credentials(world, setting, url).seen(told);
                        let weight = if reached { finding } else { finding.warns() };
                        return Outcome::finding(weight);
                    }
                    _ => {}
                }
            }
            Outcome::good()
        }
    }
}

/// A host as networks have them: what else go lets pass is a typing mistake, such as `;` or a full-width comma.
fn is_host(url: &Url) -> bool {
    !url.host.is_empty()
        && url.host.chars().all(|c| c.is_alphanumeric() || ".-_:%".contains(c))
        // `https//host` has the host `https`.
        && !matches!(url.host.as_str(), "http" | "https")
}

fn empty(world: &World, setting: Option<&Setting>, told: String) -> Finding {
    let no_file = !world.settings.has_goroot_file;
    let fix = match setting.map(|setting| &setting.origin) {
        None if world.settings.text("GOSUMDB").is_empty() && world.settings.env_file.is_some() => {
            Fix::command(format!("go env -w GOPROXY={DEFAULT} GOSUMDB=sum.golang.org"))
        }
        Some(Origin::GorootFile(_)) | None => set_go(world, "GOPROXY", DEFAULT),
        Some(_) if no_file && setting.and_then(Setting::hides).is_none() => set_go(world, "GOPROXY", DEFAULT),
        Some(_) => unset(world, "GOPROXY"),
    };
    let finding = Finding::new(Cause::GoproxyEmpty, CHECK, fix).seen(told);
    if setting.is_none() && no_file {
        let root = world.settings.go.as_ref().and_then(|go| go.root.as_ref());
        let place = root.map_or_else(|| "GOROOT".to_owned(), |root| root.display().to_string());
        return finding.seen(format!("{place} has no go.env, where the default stands"));
    }
    finding
}

fn off(world: &World, told: String) -> Finding {
    let setting = world.settings.get("GOPROXY");
    let next = setting.and_then(Setting::hides).map(|(_, value)| value);
    let next_is_good = next.is_some_and(|value| {
        let entries = goproxy::parse(value);
        entries.is_ok_and(|entries| entries.first().is_some_and(|entry| entry.source != Source::Off))
    });
    let fix = if next_is_good { unset(world, "GOPROXY") } else { set_go(world, "GOPROXY", DEFAULT) };
    let mut finding = Finding::new(Cause::GoproxyOff, CHECK, fix).seen(told);
    if let Some(toolchain) = to_download(world) {
        finding = finding.seen(format!("the toolchain go{} is not here: {}", toolchain.name, toolchain.reason));
    }
    if let Some(missing) = world.settings.missing().first() {
        finding = finding.seen(format!("{}@{} is not in the module cache", missing.path, missing.version));
    }
    finding
}

fn credentials(world: &World, setting: Option<&Setting>, url: &Url) -> Finding {
    let finding = |fix| {
        Finding::new(Cause::CredentialsOverHttp, "go mod download", fix)
            .seen("go: refusing to pass credentials to insecure URL")
    };
    // The password is read where it is, so that it does not stand in the fix.
    let script = "sed -E 's#http://([^/@,|]*@)#https://\\1#g'";
    finding(match (setting.map(|setting| &setting.origin), world.shell) {
        (Some(Origin::Process(name)), Shell::Posix) => {
            Fix::in_shell(format!("export {name}=\"$(printf %s \"${name}\" | {script})\""))
        }
        (Some(Origin::EnvFile(_)), Shell::Posix) => {
            Fix::command(format!("go env -w GOPROXY=\"$(go env GOPROXY | {script})\""))
        }
        _ => Fix::by_hand(format!("write https:// in place of http:// before the user of {} in GOPROXY", url.host)),
    })
}

/// The list as it was most likely meant; the default where that cannot be told.
fn corrected(world: &World, setting: Option<&Setting>) -> Fix {
    let meant = setting.and_then(|setting| meant(setting.value()));
    match (meant, setting) {
        // A login would stand in the fix.
        (Some(meant), Some(setting)) if setting.shown() == setting.value() => set_go(world, "GOPROXY", &meant),
        (Some(_), Some(_)) => Fix::by_hand("correct the marked entry of GOPROXY; user and password stay as they are"),
        _ if setting.is_some_and(|setting| setting.hides().is_some()) => unset(world, "GOPROXY"),
        _ => set_go(world, "GOPROXY", DEFAULT),
    }
}

/// `list` without quotes, with the separators and slashes that go knows, and with schemes that it speaks; `None` when that
/// is no list either.
fn meant(list: &str) -> Option<String> {
    let quotes = ['"', '\'', '`', '“', '”', '‘', '’'];
    let text: String = list.chars().filter(|c| !quotes.contains(c) && !c.is_control()).collect();
    let text =
        text.replace(['；', ';', '，', '、'], ",").replace(['｜', '¦'], "|").replace('：', ":").replace('\\', "/");
    let mut out = String::new();
    for part in text.split_inclusive([',', '|']) {
        let (entry, separator) = match part.strip_suffix([',', '|']) {
            Some(entry) => (entry, &part[entry.len()..]),
            None => (part, ""),
        };
        // Entries that only a space separates.
        let words: Vec<String> = entry.split_whitespace().map(meant_entry).collect();
        out.push_str(&words.join(","));
        out.push_str(separator);
    }
    let out = out.trim_matches([',', '|']).to_owned();
    let entries = goproxy::parse(&out).ok()?;
    let usable = |source: &Source| match source {
        Source::Proxy(url) => is_host(url),
        Source::Folder(_) | Source::Direct | Source::Off => true,
    };
    entries.iter().all(|entry| usable(&entry.source)).then_some(out)
}

fn meant_entry(entry: &str) -> String {
    let lower = entry.to_ascii_lowercase();
    if lower == "direct" || lower == "off" {
        return lower;
    }
    if entry.starts_with('/') && !entry.starts_with("//") {
        return format!("file://{entry}");
    }
    let (scheme, rest) = match entry.split_once(':') {
        // `host:port`, or a drive of Windows.
        Some((scheme, rest)) if !rest.starts_with('/') || scheme.contains('.') => {
            ("", if scheme.len() == 1 { rest } else { entry })
        }
        Some((scheme, rest)) => (scheme, rest),
        None => match entry.split_once("//") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("", entry),
        },
    };
    let rest = rest.trim_start_matches('/');
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let is_local = host == "localhost" || host.starts_with("127.");
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "file" => return format!("file:///{rest}"),
        known @ ("http" | "https") => known.to_owned(),
        // One letter too few or wrong: the nearer of the two, and of equals the safer one.
        "" if is_local => "http".to_owned(),
        "" => "https".to_owned(),
        other => match tradewind_core::nearest(other, ["https", "http"]) {
            Some(near) => near.to_owned(),
            None if is_local => "http".to_owned(),
            None => "https".to_owned(),
        },
    };
    format!("{scheme}://{rest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        for (list, expected) in [
            ("'https://a.example.com,direct'", "https://a.example.com,direct"),
            ("“https://a.example.com”，direct", "https://a.example.com,direct"),
            ("https://a.example.com;direct", "https://a.example.com,direct"),
            ("https://a.example.com direct", "https://a.example.com,direct"),
            ("http://127.0.0.1:18090\\proxy", "http://127.0.0.1:18090/proxy"),
            ("https:/a.example.com", "https://a.example.com"),
            ("https//a.example.com,direct", "https://a.example.com,direct"),
            ("htps://a.example.com|direct", "https://a.example.com|direct"),
            ("htp://a.example.com", "http://a.example.com"),
            ("ftp://a.example.com", "https://a.example.com"),
            ("socks5://a.example.com", "https://a.example.com"),
            ("a.example.com:8080", "https://a.example.com:8080"),
            ("/srv/go", "file:///srv/go"),
            ("https://a.example.com,Direct", "https://a.example.com,direct"),
            ("https：//a.example.com", "https://a.example.com"),
        ] {
            assert_eq!(meant(list).as_deref(), Some(expected), "{list}");
        }
        for list in ["", ",", "   ", "https://"] {
            assert_eq!(meant(list), None, "{list}");
        }
    }

    proptest! {
        #[test]
        fn what_was_meant_is_a_list(list in "[a-z:/.,|\\\\;'\" %#@0-9，：]{0,40}") {
            if let Some(meant) = meant(&list) {
                prop_assert!(goproxy::parse(&meant).is_ok());
            }
        }
    }
}
