//! Settings that would be the root cause if something could not be reached: each is right on many machines, so none is a
//! finding by itself.

use super::profiles;
use super::targets::{direct_modules, origin_of, targets};
use crate::settings::{Desktop, Origin, Source, Way, Why, goproxy};
use crate::{Cause, Finding, Fix, Instead, Outcome, Subject, Suspect, Url, World, install, set_go, set_process, unset};

/// What a direct connection that goes wrong for want of a proxy looks like.
const NOT_REACHED: &[Cause] = &[
    Cause::HostNotFound,
    Cause::SplitDns,
    Cause::ConnectionRefused,
    Cause::SilentDrop,
    Cause::SlowAnswer,
    Cause::ResetInHello,
    Cause::PathMtu,
    Cause::SumdbUnreachable,
];
/// What a wrong proxy, or a wrong server, looks like.
const WRONG_SERVER: &[Cause] = &[
    Cause::HostNotFound,
    Cause::SplitDns,
    Cause::ConnectionRefused,
    Cause::SilentDrop,
    Cause::SlowAnswer,
    Cause::UnknownAuthority,
    Cause::WrongCertificateName,
    Cause::ResetInHello,
    Cause::HttpsToHttpPort,
    Cause::HttpToHttpsPort,
    Cause::LoginPage,
    Cause::Forbidden,
    Cause::Unauthorized,
    Cause::ProxyAuthOnConnect,
    Cause::ProxyAuthOnHttp,
    Cause::HttpsToPlainProxy,
    Cause::DeadHttpProxy,
];
/// What a module looks like that cannot be had from its origin.
const NOT_HAD: &[Cause] = &[
    Cause::HostNotFound,
    Cause::ConnectionRefused,
    Cause::SilentDrop,
    Cause::ResetInHello,
    Cause::Forbidden,
    Cause::LoginPage,
    Cause::NoGit,
    Cause::GitCannotAuthenticate,
    Cause::NoSuchVersion,
];
/// Module proxies that anybody may ask: they have no private modules.
pub(super) const PUBLIC_PROXIES: [&str; 4] = ["proxy.golang.org", "goproxy.io", "goproxy.cn", "mirrors.aliyun.com"];

/// The check that brings them in.
pub(super) fn look(world: &World) -> Outcome {
    Outcome { suspects: suspects(world, &targets(world)), ..Outcome::default() }
}

/// The other ways to try when `subject` is not reached.
#[must_use]
pub(crate) fn instead_of(world: &World, subject: &Subject) -> Vec<Instead> {
    let concerned = suspects(world, &targets(world))
        .into_iter()
        .filter(|suspect| suspect.subject.as_ref().is_none_or(|own| own == subject));
    let mut ways = Vec::new();
    for way in concerned.filter_map(|suspect| suspect.instead) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

/// All of them for these targets, the most likely first.
pub(crate) fn suspects(world: &World, targets: &[Url]) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for target in targets {
        match world.settings.http_proxy.way_to(target) {
            Way::Direct(Why::NoProxy(entry)) => suspects.extend(no_proxy(world, target, &entry)),
            Way::Direct(Why::Loopback) => suspects.extend(loopback(world, target)),
            Way::Direct(Why::NotSet) => suspects.extend(no_proxy_set(world, target)),
            Way::Direct(Why::NotUrl) | Way::Refused => {}
            Way::Proxy(proxy) => {
                suspects.extend(case_conflict(world, target, &proxy));
                suspects.extend(git_knows_another(world, target, Some(&proxy)));
            }
        }
    }
    suspects.extend(overridden(world));
    suspects.extend(other_goproxy(world));
    suspects.extend(private_modules(world));
    suspects.extend(no_git(world));
    suspects
}

fn host(url: &Url) -> Option<Subject> {
    Some(Subject::Host(url.host.to_ascii_lowercase()))
}

fn curl(target: &Url, through: Option<&str>) -> String {
    let target = target.bare();
    through.map_or_else(
        || format!("curl -sS -o /dev/null -w '%{{http_code}}\\n' {target}"),
        |proxy| format!("curl -sS -o /dev/null -w '%{{http_code}}\\n' --noproxy '' -x {proxy} {target}"),
    )
}

/// A proxy's URL without its login: for commands that only show something.
fn bare(url: &Url) -> String {
    Url { path: String::new(), ..url.bare() }.to_string()
}

/// A proxy as a word of a command: as it is in the variable `from`, where that has a login.
fn word(world: &World, url: &Url, from: &str) -> String {
    if url.user.is_some() { world.shell.value_of(from) } else { bare(url) }
}

/// `NAME=value` out of another variable, in a way that shows no password: the shell reads it where it is.
fn copied(world: &World, name: &'static str, from: &str, url: &Url) -> Fix {
    use crate::Shell;
    if url.user.is_none() {
        return set_process(world, name, &url.to_string());
    }
    Fix::in_shell(match world.shell {
        Shell::Posix => format!("export {name}=\"${from}\""),
        Shell::Fish => format!("set -gx {name} ${from}"),
        Shell::PowerShell => format!("$env:{name} = $env:{from}"),
        Shell::Cmd => format!("set \"{name}=%{from}%\""),
    })
}

fn proxy_variable(target: &Url) -> &'static str {
    if target.scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" }
}

fn no_proxy(world: &World, target: &Url, entry: &str) -> Option<Suspect> {
    let settings = &world.settings.http_proxy;
    let setting = if target.scheme == "https" { &settings.https } else { &settings.http };
    let setting = setting.as_ref()?;
    let proxy = setting.url.as_ref().ok()?;
    let check = curl(target, Some(&word(world, proxy, setting.name)));
    let (name, list) = settings.no_proxy.as_ref()?;
    let rest: Vec<&str> = list.split(',').map(str::trim).filter(|part| !part.eq_ignore_ascii_case(entry)).collect();
    let fix = match rest.iter().any(|part| !part.is_empty()) {
        true => set_process(world, name, &rest.join(",")),
        // The other spelling would count then.
        false if world.settings.environment.get("no_proxy").is_some() && *name == "NO_PROXY" => {
            Fix::in_shell(world.shell.all(&[world.shell.unset(name), world.shell.unset("no_proxy")]))
        }
        false => Fix::in_shell(world.shell.unset(name)),
    };
    let finding = Finding::new(Cause::NoProxySwallows, check, fix).seen(format!(
        "{name} has the entry {entry}, which covers {}: go does not ask {} for it",
        target.host,
        bare(proxy)
    ));
    let instead = Some(Instead::HttpProxy(proxy.clone()));
    Some(Suspect { finding, explains: NOT_REACHED, subject: host(target), instead, needs_proof: false })
}

fn loopback(world: &World, target: &Url) -> Option<Suspect> {
    let settings = &world.settings.http_proxy;
    let setting = if target.scheme == "https" { &settings.https } else { &settings.http };
    let setting = setting.as_ref()?;
    let proxy = setting.url.as_ref().ok()?;
    let check = curl(target, Some(&word(world, proxy, setting.name)));
    let own_name = machine_name()?;
    let goproxy = world.settings.get("GOPROXY")?;
    let value = goproxy.value().replace(&format!("//{}", target.host), &format!("//{own_name}"));
    let fix = if goproxy.value() == goproxy.shown() {
        set_go(world, "GOPROXY", &value)
    } else {
        Fix::by_hand(format!("write {own_name} in place of {} in GOPROXY", target.host))
    };
    let finding = Finding::new(Cause::LocalhostNeverProxied, check, fix).seen(format!(
        "{} is this machine for go, which asks no proxy for it; {} would reach it",
        target.host,
        bare(proxy)
    ));
    let instead = Some(Instead::HttpProxy(proxy.clone()));
    Some(Suspect { finding, explains: NOT_REACHED, subject: host(target), instead, needs_proof: true })
}

fn machine_name() -> Option<String> {
    let name = tradewind_runtime::files::read_text("/proc/sys/kernel/hostname".as_ref(), 256).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "localhost")
}

/// No proxy is set for the target's scheme: who else knows one?
fn no_proxy_set(world: &World, target: &Url) -> Vec<Suspect> {
    let settings = &world.settings;
    // Loopback is reached directly whatever is set.
    if settings.http_proxy.spared(target).is_some() {
        return Vec::new();
    }
    let name = proxy_variable(target);
    let mut suspects = Vec::new();
    let mut add = |cause: Cause, url: Option<Url>, from: &str, fix: Fix, evidence: String| {
        let check = curl(target, url.as_ref().map(|url| word(world, url, from)).as_deref());
        let instead = url.map(Instead::HttpProxy);
        let finding = Finding::new(cause, check, fix).seen(evidence);
        suspects.push(Suspect { finding, explains: NOT_REACHED, subject: host(target), instead, needs_proof: false });
    };
    let proxies = &settings.http_proxy;
    let other = if target.scheme == "https" { &proxies.http } else { &proxies.https };
    if let Some(other) = other
        && let Ok(url) = &other.url
    {
        let fix = copied(world, name, other.name, url);
        let seen = format!("{} is set and {name} is not; {} is {}", other.name, target.host, target.scheme);
        add(Cause::OnlyHttpProxy, Some(url.clone()), other.name, fix, seen);
    }
    if let Some((spelled, value)) = settings.environment.first(&["ALL_PROXY", "all_proxy"])
        && let Ok(url) = Url::parse(value)
        && !url.host.is_empty()
    {
        let fix = copied(world, name, spelled, &url);
        add(Cause::OnlyAllProxy, Some(url), spelled, fix, format!("{spelled} is set and {name} is not"));
    }
    for spelled in [name, if name == "HTTPS_PROXY" { "https_proxy" } else { "http_proxy" }] {
        if let Some(line) = profiles::setting_of(world, spelled)
            && let Ok(url) = Url::parse(&line.value)
            && !url.host.is_empty()
        {
            let place = format!("{}:{}", line.file.display(), line.number);
            let fix = if url.user.is_some() {
                Fix::by_hand(format!("set {name} where this program is started to the value in {place}"))
            } else {
                set_process(world, name, &url.to_string())
            };
            let sudo = settings.environment.get("SUDO_USER").map_or("", |_| "; sudo has left it out");
            add(
                Cause::OtherEnvironment,
                Some(url),
                name,
                fix,
                format!("{place} sets {spelled} for shells, and this process has none{sudo}"),
            );
            break;
        }
    }
    match &settings.desktop {
        Some(Desktop::Proxy { address, shown_by }) => {
            if let Ok(url) = Url::parse(&format!("http://{address}")) {
                let fix = set_process(world, name, &format!("http://{address}"));
                let seen = format!("the system's settings name the proxy {address} ({shown_by}), the environment none");
                add(Cause::ProxyOnlyInSystem, Some(url), name, fix, seen);
            }
        }
        Some(Desktop::Script { url, shown_by }) => {
            let fix = Fix::by_hand(format!(
                "open {url}, and set {name} to the proxy that it returns; or let Tradewind evaluate it (`type: pac`)"
            ));
            let seen =
                format!("the system's settings name the proxy script {url} ({shown_by}), the environment no proxy");
            add(Cause::ProxyOnlyInSystem, None, name, fix, seen);
        }
        None => {}
    }
    suspects.extend(git_knows_another(world, target, None));
    suspects
}

/// The two spellings name different proxies, and go takes the one in capitals.
fn case_conflict(world: &World, target: &Url, proxy: &Url) -> Option<Suspect> {
    let upper = proxy_variable(target);
    let lower = if upper == "HTTPS_PROXY" { "https_proxy" } else { "http_proxy" };
    let environment = &world.settings.environment;
    let (one, other) = (environment.get(upper)?, environment.get(lower)?);
    if one == other {
        return None;
    }
    let url = Url::parse(other).ok().filter(|url| !url.host.is_empty())?;
    let finding = Finding::new(
        Cause::ProxyCaseConflict,
        curl(target, Some(&word(world, &url, lower))),
        copied(world, upper, lower, &url),
    )
    .seen(format!("{upper} is {}, {lower} is {}: go takes {upper}, curl takes {lower}", bare(proxy), bare(&url)));
    let instead = Some(Instead::HttpProxy(url));
    Some(Suspect { finding, explains: WRONG_SERVER, subject: host(proxy), instead, needs_proof: false })
}

/// git goes through another proxy than go.
fn git_knows_another(world: &World, target: &Url, goes_through: Option<&Url>) -> Option<Suspect> {
    let (setting, value) = world.settings.git.proxy_for(&target.host)?;
    let url = Url::parse(value).ok().filter(|url| !url.host.is_empty())?;
    let same =
        goes_through.is_some_and(|proxy| proxy.host == url.host && proxy.port_or_default() == url.port_or_default());
    if same {
        return None;
    }
    let name = proxy_variable(target);
    let check = curl(target, Some(&bare(&url)));
    let seen = |go: &str| format!("git's {setting} is {}, go goes {go}", bare(&url));
    let (finding, subject, explains) = match goes_through {
        None => {
            let fix = if url.user.is_some() {
                Fix::in_shell(format!("export {name}=\"$(git config --get {setting})\""))
            } else {
                set_process(world, name, &url.to_string())
            };
            (Finding::new(Cause::GitOtherProxy, check, fix).seen(seen("directly")), host(target), NOT_REACHED)
        }
        Some(proxy) => {
            let fix = Fix::command(format!("git config --global --unset-all {}", world.shell.quoted(setting)));
            let finding =
                Finding::new(Cause::GitOtherProxy, check, fix).seen(seen(&format!("through {}", bare(proxy))));
            (finding, None, &[Cause::GitCannotAuthenticate] as &[Cause])
        }
    };
    let instead = goes_through.is_none().then(|| Instead::HttpProxy(url.clone()));
    Some(Suspect { finding, explains, subject, instead, needs_proof: false })
}

/// The environment hides the GOPROXY that `go env -w` has set, and leads elsewhere.
fn overridden(world: &World) -> Vec<Suspect> {
    let Some(setting) = world.settings.get("GOPROXY") else { return Vec::new() };
    let (Origin::Process(_) | Origin::Registry(_), Some(other)) = (&setting.origin, setting.in_env_file()) else {
        return Vec::new();
    };
    let Ok(entries) = goproxy::parse(other) else { return Vec::new() };
    if other == setting.value() {
        return Vec::new();
    }
    let there: Vec<&Url> = entries
        .iter()
        .filter_map(|entry| if let Source::Proxy(url) = &entry.source { Some(url) } else { None })
        .collect();
    let here = world.settings.proxies();
    let elsewhere =
        here.iter().filter(|(url, _)| there.iter().all(|other| other.host_and_port() != url.host_and_port()));
    let suspects = elsewhere.map(|(url, _)| {
        let finding =
            Finding::new(Cause::EnvOverridesFile, "go env -changed GOPROXY", unset(world, "GOPROXY")).seen(format!(
                "GOPROXY is {} in {}, which hides {} in the go env file",
                setting.shown(),
                setting.origin,
                crate::settings::redact::redacted(other)
            ));
        let instead = there.first().map(|url| Instead::ModuleProxy((*url).clone()));
        Suspect { finding, explains: WRONG_SERVER, subject: host(url), instead, needs_proof: false }
    });
    suspects.collect()
}

/// The user's shells have a GOPROXY, this process has another.
fn other_goproxy(world: &World) -> Vec<Suspect> {
    let Some(line) = profiles::setting_of(world, "GOPROXY") else { return Vec::new() };
    if world.settings.environment.get("GOPROXY").is_some() {
        return Vec::new();
    }
    let Ok(entries) = goproxy::parse(&line.value) else { return Vec::new() };
    let there = entries.iter().find_map(|entry| if let Source::Proxy(url) = &entry.source { Some(url) } else { None });
    let Some(there) = there.filter(|url| url.user.is_none()) else { return Vec::new() };
    let here = world.settings.proxies();
    let elsewhere = here.iter().filter(|(url, _)| url.host_and_port() != there.host_and_port());
    let suspects = elsewhere.map(|(url, _)| {
        let fix = set_process(world, "GOPROXY", &line.value);
        let finding = Finding::new(Cause::OtherEnvironment, "go env GOPROXY", fix).seen(format!(
            "{}:{} sets GOPROXY for shells, and this process does not have it",
            line.file.display(),
            line.number
        ));
        let instead = Some(Instead::ModuleProxy(there.clone()));
        Suspect { finding, explains: WRONG_SERVER, subject: host(url), instead, needs_proof: false }
    });
    suspects.collect()
}

/// Modules that GOPRIVATE keeps from the module proxy, which may be the one that has them.
fn private_modules(world: &World) -> Vec<Suspect> {
    let settings = &world.settings;
    let Some((proxy, _)) = settings.proxies().into_iter().next() else { return Vec::new() };
    let is_public = PUBLIC_PROXIES.contains(&proxy.host.as_str());
    let mut suspects = Vec::new();
    for module in direct_modules(world, false) {
        let Some(pattern) = settings.no_proxy.covering(&module.path) else { continue };
        let name = if settings.text("GONOPROXY").is_empty() { "GOPRIVATE" } else { "GONOPROXY" };
        let check = format!("curl -sS {}", proxy.bare().join(&format!("{}.info", module.escaped())));
        let finding = Finding::new(Cause::PrivateBypassesProxy, check, set_go(world, "GONOPROXY", "none")).seen(
            format!("{name} has {pattern}, which covers {}: go does not ask {} for it", module.path, bare(proxy)),
        );
        let origin = origin_of(&module.path).and_then(|url| host(&url));
        for subject in [Some(Subject::Module(module.path.clone())), origin].into_iter().flatten() {
            suspects.push(Suspect {
                finding: finding.clone(),
                explains: NOT_HAD,
                subject: Some(subject),
                instead: Some(Instead::ModuleProxy(proxy.clone())),
                needs_proof: is_public,
            });
        }
    }
    suspects
}

/// What no proxy has is fetched by git, which is not there.
fn no_git(world: &World) -> Option<Suspect> {
    let entries = world.settings.goproxy.as_deref().unwrap_or_default();
    let ends_direct = matches!(entries.last().map(|entry| &entry.source), Some(Source::Direct));
    if world.settings.git.path.is_some() || !ends_direct || entries.len() < 2 {
        return None;
    }
    let finding = Finding::new(Cause::NoGit, "go mod download", install(world, "git"))
        .seen("no module proxy has it, GOPROXY ends with direct, and there is no git in PATH");
    Some(Suspect { finding, explains: &[Cause::NoSuchVersion], subject: None, instead: None, needs_proof: false })
}
