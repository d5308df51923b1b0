//! Where else the module proxy may be that fails where GOPROXY has it: under a host that is spelled a little otherwise (1), at
//! the usual port (3, 4), under the path that its kind of server keeps for Go (14), where it redirects to by http (15), or
//! without the HTTP proxy in between (17, 61); another version of what it refuses to give (18, 66); and the GOPROXY that the
//! present one hides.
//!
//! Each is asked for what go would ask for, and offered only when it gives that. A module that could be private is never
//! asked for at a public module proxy that the settings in force do not name.

use super::absent::{by_number, is_own, versions};
use super::entries::{self, Came, file_of, list_of};
use super::reach::replaced_entry;
use super::{Context, bare};
use crate::checks::suspects::PUBLIC_PROXIES;
use crate::probe::{Trouble, What};
use crate::settings::{Gosumdb, Needed, Origin, Source, Way, goproxy};
use crate::{Cause, Finding, Fix, Instead, Outcome, Subject, Url, World, set_process, unset};

/// The module proxy that everybody has by default: a host that is nearly its name was meant to be it.
const DEFAULT_HOST: &str = "proxy.golang.org";
/// How many letters a host may have otherwise.
const MOST_LETTERS: usize = 2;

/// What repairs `finding` about the entry `entry`, with how that is known.
pub(super) async fn found(
    context: Context<'_>,
    entry: &Url,
    module: Option<&Needed>,
    finding: &Finding,
) -> Option<(Fix, String)> {
    // Behind a redirect it is another server that fails.
    if finding.subject != Some(Subject::Host(entry.host.to_ascii_lowercase())) {
        return None;
    }
    if let (Cause::Gone | Cause::ForbiddenByPolicy, Some(module)) = (finding.cause, module) {
        return newer_version(context, entry, module).await;
    }
    if let Some(found) = around_the_proxy(context, entry, module, finding).await {
        return Some(found);
    }
    let places = match finding.cause {
        Cause::HostNotFound => other_hosts(context.world, entry),
        Cause::ConnectionRefused | Cause::SilentDrop => usual_ports(entry),
        Cause::LoginPage => layouts(entry),
        Cause::RedirectToHttp => redirected(context, entry, module).await.into_iter().collect(),
        _ => Vec::new(),
    };
    for place in places {
        let is_public = PUBLIC_PROXIES.contains(&place.host.as_str()) && place.host != entry.host;
        if is_public && !module.is_none_or(|module| may_be_told(context.world, module)) {
            continue;
        }
        // Whoever may be there is not told who asks.
        let asked = Url { user: None, ..place.clone() };
        if gives(context, &asked, module).await {
            let fix = replaced_entry(context.world, entry, Some(&place.to_string()))?;
            return Some((fix, format!("{} gives what is asked for", asked.bare())));
        }
    }
    None
}

/// The value of GOPROXY that the present one hides, where that is the one of GOROOT: what go would take without it. The file of
/// `go env -w` is another matter (cause 40).
pub(super) async fn hidden(
    context: Context<'_>,
    entry: &Url,
    module: Option<&Needed>,
    finding: &Finding,
) -> Option<(Fix, String)> {
    let is_out_of_reach = matches!(
        finding.cause,
        Cause::HostNotFound
            | Cause::SplitDns
            | Cause::ConnectionRefused
            | Cause::SilentDrop
            | Cause::SlowAnswer
            | Cause::ResetInHello
            | Cause::LoginPage
            | Cause::TooManyRedirects
            | Cause::TruncatedTransfer
    );
    let setting = context.world.settings.get("GOPROXY")?;
    let (Origin::GorootFile(_), value) = setting.hides()? else { return None };
    let next = goproxy::parse(value).ok()?.into_iter().next()?;
    let Source::Proxy(next) = next.source else { return None };
    let is_public = PUBLIC_PROXIES.contains(&next.host.as_str());
    if !is_out_of_reach || next.host == entry.host || (is_public && !may_be_told(context.world, module?)) {
        return None;
    }
    let told = format!("{}, which GOROOT/go.env has and this value hides, gives what is asked for", next.bare());
    gives(context, &next, module).await.then(|| (unset(context.world, "GOPROXY"), told))
}

/// Whether the path of `module` is told to the checksum database anyway, and is not the project's own.
pub(super) fn may_be_told(world: &World, module: &Needed) -> bool {
    let settings = &world.settings;
    let is_looked_up = matches!(settings.gosumdb, Ok(Gosumdb::Database { .. }));
    is_looked_up && settings.no_sumdb.covering(&module.path).is_none() && !is_own(world, &module.path)
}

/// Whether `proxy` has the files of `module`; for `None`, whether it has any list.
async fn gives(context: Context<'_>, proxy: &Url, module: Option<&Needed>) -> bool {
    match module {
        Some(_) => matches!(entries::ask(context, proxy, module, &mut Outcome::default()).await, Came::All(_)),
        None => {
            let answer = context.client().get(&list_of(context.world, proxy)).await;
            answer.is_ok_and(|answer| answer.response.status == 200 && !answer.response.is_page())
        }
    }
}

/// Hosts that this machine knows, and that are spelled nearly as the entry's.
fn other_hosts(world: &World, entry: &Url) -> Vec<Url> {
    let settings = &world.settings;
    let mut hosts = vec![DEFAULT_HOST.to_owned()];
    hosts.extend(settings.netrc.logins.iter().map(|login| login.machine.clone()));
    if let Some((_, value)) = settings.get("GOPROXY").and_then(crate::settings::Setting::hides) {
        let entries = goproxy::parse(value).unwrap_or_default().into_iter();
        hosts.extend(entries.filter_map(|entry| match entry.source {
            Source::Proxy(url) => Some(url.host),
            _ => None,
        }));
    }
    let host = entry.host.to_ascii_lowercase();
    hosts.retain(|known| *known != host && differing_letters(known, &host) <= MOST_LETTERS);
    hosts.into_iter().map(|host| Url { host, ..entry.clone() }).collect()
}

/// How many letters have to be put in, left out or replaced to make one text out of the other.
fn differing_letters(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut before = row[0];
        row[0] = place + 1;
        for (index, own) in other.iter().enumerate() {
            let replaced = before + usize::from(*own != letter);
            before = row[index + 1];
            row[index + 1] = replaced.min(before + 1).min(row[index] + 1);
        }
    }
    row[other.len()]
}

/// The same host at the port of its scheme, and by https where http was meant for its port. Never the other way round.
fn usual_ports(entry: &Url) -> Vec<Url> {
    let secure = Url { scheme: "https".to_owned(), port: None, ..entry.clone() };
    match (entry.scheme.as_str(), entry.port) {
        ("https", None | Some(443)) => Vec::new(),
        ("https", Some(_)) => vec![secure],
        (_, None | Some(80)) => vec![secure],
        // A login must not get out without encryption.
        (_, Some(_)) if entry.user.is_some() => vec![secure],
        (_, Some(_)) => vec![Url { port: None, ..entry.clone() }, secure],
    }
}

/// Where servers that show pages to people have what they show there for Go: Artifactory, Nexus, Tradewind.
fn layouts(entry: &Url) -> Vec<Url> {
    let parts: Vec<&str> = entry.path.split('/').filter(|part| !part.is_empty()).collect();
    let shown = entry.fragment.as_deref().unwrap_or_default();
    let artifactory = |name: &str| Some(format!("/artifactory/api/go/{name}"));
    let path = match parts[..] {
        // The page of a repository, as the browser's line has it.
        ["ui", "repos", "tree", _, name, ..] | ["ui", "native", name, ..] => artifactory(name),
        ["artifactory", "webapp", ..] => shown.split_once("/tree/General/").and_then(|(_, rest)| {
            let name = rest.split('/').next().filter(|name| !name.is_empty())?;
            artifactory(name)
        }),
        // The same repository as a plain one.
        ["artifactory", name, ..] if name != "api" => artifactory(name),
        [.., "service", "rest", "repository", "browse", name] => {
            let before = parts[..parts.len() - 5].iter().map(|part| format!("/{part}")).collect::<String>();
            Some(format!("{before}/repository/{name}"))
        }
        _ if shown.contains("browse:") => shown.split_once("browse:").and_then(|(_, rest)| {
            let name = rest.split([':', '/']).next().filter(|name| !name.is_empty())?;
            Some(format!("{}/repository/{name}", entry.path.trim_end_matches('/')))
        }),
        [] => Some("/go".to_owned()),
        _ => None,
    };
    path.map(|path| Url { path, query: None, fragment: None, ..entry.clone() }).into_iter().collect()
}

/// Where the entry's server says by http that it is now, by https.
async fn redirected(context: Context<'_>, entry: &Url, module: Option<&Needed>) -> Option<Url> {
    let asked = match module {
        Some(module) => file_of(entry, module, "mod"),
        None => list_of(context.world, entry),
    };
    let Err(Trouble { what: What::InsecureRedirect(to), .. }) = context.client().get(&asked).await else {
        return None;
    };
    let rest = asked.path.strip_prefix(entry.path.trim_end_matches('/'))?;
    let path = to.path.strip_suffix(rest)?.to_owned();
    let port = to.port.filter(|port| *port != 80);
    // The login is the one of the host that was asked.
    let user = if to.host == entry.host { entry.user.clone() } else { None };
    let place = Url { scheme: "https".to_owned(), user, port, path, query: None, fragment: None, ..to };
    (place != *entry).then_some(place)
}

/// NO_PROXY with the entry's host, where the HTTP proxy keeps back or changes what comes whole without it.
async fn around_the_proxy(
    context: Context<'_>,
    entry: &Url,
    module: Option<&Needed>,
    finding: &Finding,
) -> Option<(Fix, String)> {
    let is_between = matches!(
        finding.cause,
        Cause::Forbidden
            | Cause::TruncatedTransfer
            | Cause::LoginPage
            | Cause::RedirectToHttp
            | Cause::ResetInHello
            | Cause::SlowAnswer
    );
    let Way::Proxy(proxy) = context.world.settings.http_proxy.way_to(entry) else { return None };
    if !is_between || !gives(Context { instead: Some(&Instead::NoProxy), ..context }, entry, module).await {
        return None;
    }
    let fix = without_proxy(context.world, &entry.host);
    Some((fix, format!("without the HTTP proxy {}, {} gives what is asked for", bare(&proxy), entry.bare())))
}

/// NO_PROXY with one host more.
pub(super) fn without_proxy(world: &World, host: &str) -> Fix {
    let (name, list) = world.settings.http_proxy.no_proxy.clone().unwrap_or(("NO_PROXY", String::new()));
    let list = if list.is_empty() { host.to_owned() } else { format!("{list},{host}") };
    set_process(world, name, &list)
}

/// The next newer version of a module that the proxy gives: by the rule of imports, one that does as the old one did.
async fn newer_version(context: Context<'_>, entry: &Url, module: &Needed) -> Option<(Fix, String)> {
    let known = versions(context, std::slice::from_ref(entry), &module.path).await?;
    let is_newer = |version: &&String| !version.contains('-') && by_number(version, &module.version).is_gt();
    let mut newer: Vec<&String> = known.iter().filter(is_newer).collect();
    newer.sort_by(|a, b| by_number(a, b));
    for version in newer.into_iter().take(context.world.limits.most_tried) {
        let other = Needed { version: version.clone(), ..module.clone() };
        if gives(context, entry, Some(&other)).await {
            let new = context.world.shell.quoted(&format!("{}@{version}", module.path));
            let told = format!("{version} is the next newer version, and {} gives that", entry.bare());
            return Some((Fix::command(format!("go mod edit -require={new}")), told));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn shown(urls: &[Url]) -> Vec<String> {
        urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, expected) in [
            ("proxy.golang.org", "proxy.golang.org", 0),
            ("proxy.golang.org", "proxy.golang.rog", 2),
            ("proxy.golang.org", "proxi.golang.org", 1),
            ("proxy.golang.org", "prox.golang.org", 1),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(differing_letters(one, other), expected, "{one} {other}");
            assert_eq!(differing_letters(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn ports_are_the_usual_ones_and_logins_stay_secret() {
        for (entry, expected) in [
            ("https://a.test:8443/x", vec!["https://a.test/x"]),
            ("https://a.test", vec![]),
            ("http://a.test", vec!["https://a.test"]),
            ("http://a.test:8080", vec!["http://a.test", "https://a.test"]),
            ("http://me@a.test:8080", vec!["https://me@a.test"]),
        ] {
            assert_eq!(shown(&usual_ports(&url(entry))), expected, "{entry}");
        }
    }

    #[test]
    fn pages_of_servers_lead_to_what_go_asks() {
        for (entry, expected) in [
            ("https://a.test/ui/repos/tree/General/go-all", Some("https://a.test/artifactory/api/go/go-all")),
            ("https://a.test/ui/native/go-all/", Some("https://a.test/artifactory/api/go/go-all")),
            ("https://a.test/artifactory/go-all", Some("https://a.test/artifactory/api/go/go-all")),
            (
                "https://a.test/artifactory/webapp/#/artifacts/browse/tree/General/go-all/x",
                Some("https://a.test/artifactory/api/go/go-all"),
            ),
            ("https://a.test/artifactory/api/go/go-all", None),
            ("https://a.test/#browse/browse:go-proxy", Some("https://a.test/repository/go-proxy")),
            ("https://a.test/nexus/#browse/browse:go-proxy:x", Some("https://a.test/nexus/repository/go-proxy")),
            ("https://a.test/service/rest/repository/browse/go-proxy/", Some("https://a.test/repository/go-proxy")),
            ("https://a.test", Some("https://a.test/go")),
            ("https://a.test/repository/go-proxy", None),
        ] {
            let found = shown(&layouts(&url(entry)));
            assert_eq!(found.first().map(String::as_str), expected, "{entry}");
        }
    }
}
