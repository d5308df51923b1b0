//! Certificates that go does not trust: unknown authorities (6), no roots (7), wrong files (8), other names (9), other times
//! (10).

use std::path::{Path, PathBuf};

use tradewind_core::UnixMillis;

use super::reach::replaced_entry;
use super::{Context, curl};
use crate::fixes::sudo;
use crate::probe::certificate::Certificate;
use crate::probe::roots::Roots;
use crate::probe::tls::{self, Distrust};
use crate::probe::trouble::Untrusted;
use crate::probe::{Trouble, Whose};
use crate::settings::{Way, find_program};
use crate::{Cause, Finding, Fix, System, Url, World, about, advice, install, set_process};

/// From this difference on, a clock is wrong: certificates are made for days.
const WRONG_CLOCK: u64 = 5 * 60 * 1000;
/// Where systems keep certificates that were brought along and may not be in the bundle yet, and what takes them in.
const BROUGHT_ALONG: [(&str, &str); 3] = [
    ("/usr/local/share/ca-certificates", "sudo update-ca-certificates"),
    ("/etc/pki/ca-trust/source/anchors", "sudo update-ca-trust"),
    ("/etc/ca-certificates/trust-source/anchors", "sudo update-ca-trust"),
];
/// The most files of such a folder that are tried.
const MOST_FILES: usize = 50;

/// What it is called that a chain is not trusted.
pub(super) async fn finding(context: Context<'_>, trouble: &Trouble, untrusted: &Untrusted) -> Finding {
    let url = match (&trouble.way, trouble.what.whose()) {
        (Way::Proxy(proxy), Whose::Proxy) => proxy,
        _ => &trouble.url,
    };
    let finding = match &untrusted.why {
        Distrust::UnknownIssuer => unknown(context, url, untrusted),
        Distrust::WrongName => wrong_name(context, trouble, url, untrusted).await,
        Distrust::Expired | Distrust::NotYetValid => clock(context, url, untrusted),
        Distrust::Other(words) => Finding::new(
            Cause::UnknownAuthority,
            check(url),
            Fix::by_hand("have the server's certificate corrected by whoever runs it"),
        )
        .titled("the server's certificate is not one that go takes")
        .seen(words.clone()),
    };
    chain(&untrusted.chain.iter().filter_map(|der| Certificate::parse(der)).collect::<Vec<_>>(), finding)
}

/// curl takes the roots that go takes, and says why it does not take the chain.
fn check(url: &Url) -> String {
    curl(url)
}

fn chain(certificates: &[Certificate], mut finding: Finding) -> Finding {
    for certificate in certificates.iter().take(5) {
        finding = finding.seen(format!("certificate shown: {}", certificate.told()));
    }
    finding
}

/// Whether `roots` would make the chain a trusted one.
fn trusted_by(context: Context<'_>, url: &Url, untrusted: &Untrusted, roots: &Roots) -> bool {
    tls::judge(&untrusted.chain, &url.host, roots, context.world.clock.wall()).is_ok()
}

fn unknown(context: Context<'_>, url: &Url, untrusted: &Untrusted) -> Finding {
    let (world, roots) = (context.world, context.roots);
    let set: Vec<(&'static str, &str)> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .filter_map(|name| Some((name, world.settings.environment.get(name)?)))
        .collect();
    // What the variables hide may have been right.
    if !set.is_empty() && world.system == System::Linux {
        let usual = Roots::usual();
        let would_do = trusted_by(context, url, untrusted, &usual);
        let broken = roots.certificates.is_empty() || !roots.wrong.is_empty();
        if would_do || (broken && roots.store.is_empty()) {
            let unset: Vec<String> = set.iter().map(|(name, _)| world.shell.unset(name)).collect();
            let fix = if would_do {
                Fix::in_shell(world.shell.all(&unset))
            } else {
                Fix::by_hand(format!("{}, or set it to a file of certificates in PEM", unset.join("; ")))
            };
            let given = set.iter().map(|(name, _)| {
                let flag = if *name == "SSL_CERT_FILE" { "--cacert" } else { "--capath" };
                format!("{flag} {} ", world.shell.value_of(name))
            });
            // curl by itself reads one of the two.
            let check = format!("curl -v -o /dev/null {}{}", given.collect::<String>(), url.bare());
            let mut finding = Finding::new(Cause::BadCertFile, check, fix);
            for (name, path) in &set {
                let why = roots.wrong.iter().find(|(wrong, ..)| wrong == name);
                let why = why.map_or_else(
                    || "it has no certificate that this chain ends at".to_owned(),
                    |(_, path, why)| format!("{}: {why}", path.display()),
                );
                finding = finding.seen(format!("{name} is {path}; {why}"));
            }
            if would_do {
                finding = finding.seen("with the system's own certificates the chain is trusted");
            }
            return finding;
        }
    }
    if roots.store.is_empty() {
        return Finding::new(Cause::NoRootCertificates, check(url), roots_installed(world))
            .seen("none of the files and folders that go reads certificates from has one");
    }
    let top = untrusted.chain.last().and_then(|der| Certificate::parse(der));
    let signer = top.as_ref().map_or("nobody", |top| if top.self_issued { &top.subject } else { &top.issuer });
    let read: Vec<String> = roots.read.iter().map(|path| path.display().to_string()).collect();
    let fix = at_hand(context, url, untrusted).unwrap_or_else(|| {
        Fix::by_hand(format!(
            "get the certificate of {signer} from whoever runs this network, as CA.crt; then: {}",
            advice(Cause::UnknownAuthority, world.system, world.shell)
        ))
    });
    Finding::new(Cause::UnknownAuthority, check(url), fix).seen(format!(
        "the chain of {} ends at {signer}, which is none of the {} roots in {}",
        url.host,
        roots.store.len(),
        read.join(", ")
    ))
}

/// Brings the package's certificates: makes them anew where the package is there, and installs it where it is not.
fn roots_installed(world: &World) -> Fix {
    let makes = find_program("update-ca-certificates", &world.settings.environment, world.system);
    if world.system == System::Linux && makes.is_some() {
        return Fix::command(format!("{}update-ca-certificates", sudo()));
    }
    let installed = install(world, "ca-certificates");
    if world.system == System::Linux && installed.is_automatic() {
        return installed;
    }
    Fix::by_hand(advice(Cause::NoRootCertificates, world.system, world.shell))
}

/// The missing authority, where this machine has it already.
fn at_hand(context: Context<'_>, url: &Url, untrusted: &Untrusted) -> Option<Fix> {
    let world = context.world;
    if world.system != System::Linux {
        return None;
    }
    for (folder, takes_in) in BROUGHT_ALONG {
        let files = Path::new(folder).read_dir().ok().into_iter().flatten().filter_map(Result::ok);
        let mut files = files.map(|entry| entry.path()).filter(|path| path.is_file()).take(MOST_FILES);
        if files.any(|path| trusted_by(context, url, untrusted, &Roots::of_file(&path))) {
            return Some(Fix::command(takes_in));
        }
    }
    let git = world.settings.git.get("http.sslcainfo");
    let named = [world.settings.environment.get("GIT_SSL_CAINFO"), git];
    let path: PathBuf = named
        .into_iter()
        .flatten()
        .map(tradewind_runtime::files::expand_home)
        .find(|path| trusted_by(context, url, untrusted, &Roots::of_file(path)))?;
    Some(set_process(world, "SSL_CERT_FILE", path.to_str()?))
}

async fn wrong_name(context: Context<'_>, trouble: &Trouble, url: &Url, untrusted: &Untrusted) -> Finding {
    let own = untrusted.chain.first().and_then(|der| Certificate::parse(der)).unwrap_or_default();
    let told = if url.address().is_some() && own.addresses.is_empty() {
        format!("the certificate has no addresses, and {} is asked for; it is valid for {}", url.host, own.valid_for())
    } else {
        format!("the certificate is valid for {}, not {}", own.valid_for(), url.host)
    };
    let fix = match right_name(context, trouble, &own).await {
        Some(fix) => fix,
        None => Fix::by_hand(about(Cause::WrongCertificateName).helps),
    };
    Finding::new(Cause::WrongCertificateName, check(url), fix).seen(told)
}

/// GOPROXY with a name that the certificate has, when that leads to the same server and is trusted there.
async fn right_name(context: Context<'_>, trouble: &Trouble, own: &Certificate) -> Option<Fix> {
    let asked = &trouble.first;
    let entry = context.world.settings.proxies().into_iter().map(|(url, _)| url).find(|url| url.host == asked.host)?;
    for name in own.names.iter().filter(|name| !name.starts_with('*')).take(3) {
        let url = Url { host: name.clone(), user: None, ..asked.clone() };
        if context.client().get(&url).await.is_ok_and(|answer| answer.response.status < 500) {
            let new = Url { host: name.clone(), ..entry.clone() };
            return replaced_entry(context.world, entry, Some(&new.to_string()));
        }
    }
    None
}

fn clock(context: Context<'_>, url: &Url, untrusted: &Untrusted) -> Finding {
    let now = context.world.clock.wall();
    let certificates: Vec<Certificate> = untrusted.chain.iter().filter_map(|der| Certificate::parse(der)).collect();
    let outside = |time: UnixMillis| certificates.iter().find(|one| time < one.from || time > one.until);
    let wrong_clock = untrusted.server_time.is_some_and(|time| time.0.abs_diff(now.0) > WRONG_CLOCK);
    let evidence = format!("by this machine's clock it is {}", now.rfc3339());
    if let (true, Some(time)) = (wrong_clock, untrusted.server_time) {
        let fix = match context.world.system {
            System::Linux | System::MacOs => advice(Cause::ClockSkew, context.world.system, context.world.shell),
            System::Windows => advice(Cause::ClockSkew, System::Windows, context.world.shell),
        };
        let mut finding = Finding::new(Cause::ClockSkew, format!("{}; date -u", check(url)), Fix::command(fix))
            .seen(evidence)
            .seen(format!("by that of {} it is {}", url.host, time.rfc3339()));
        if outside(time).is_none() {
            finding = finding.seen("then its certificate is valid");
        }
        return finding;
    }
    let title = match untrusted.why {
        Distrust::NotYetValid => "the server's certificate is not valid yet",
        _ => "the server's certificate has expired",
    };
    Finding::new(
        Cause::ClockSkew,
        check(url),
        Fix::by_hand(
            "have the certificate renewed by whoever runs the server; if this machine's clock is wrong, set it",
        ),
    )
    .titled(title)
    .seen(evidence)
}
