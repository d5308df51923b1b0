//! Finds the cause of a pasted error text of the go command, without asking anybody.
//!
//! Texts tell symptoms; several causes share one ("no such host"). Which of them it is, is told by the settings of this
//! machine where they are given: the same suspects that a network check would ask about.

use std::net::{IpAddr, SocketAddr};

use crate::check::Outcome;
use crate::checks;
use crate::order::put_in_order;
use crate::settings::Way;
use crate::settings::redact::redacted;
use crate::{Cause, Finding, Fix, Report, System, Url, World, about, advice};

/// The most of a text that is looked at, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// Words that tell a cause: all of `words` have to be there, in lower case, and none of `without`.
struct Sign {
    cause: Cause,
    words: &'static [&'static str],
    without: &'static [&'static str],
}

const fn sign(cause: Cause, words: &'static [&'static str]) -> Sign {
    Sign { cause, words, without: &[] }
}

const fn sign_without(cause: Cause, words: &'static [&'static str], without: &'static [&'static str]) -> Sign {
    Sign { cause, words, without }
}

/// The signs, the more telling first.
const SIGNS: &[Sign] = &[
    // What go refuses before it asks anybody.
    sign(Cause::CredentialsOverHttp, &["refusing to pass credentials to insecure url"]),
    sign(Cause::ProxyCaseConflict, &["refusing to use http_proxy value in cgi environment"]),
    sign(Cause::GoproxyScheme, &["invalid proxy url scheme"]),
    sign(Cause::GoproxySyntax, &["invalid proxy url missing scheme"]),
    sign(Cause::GoproxySyntax, &["non-path elements"]),
    sign(Cause::GoproxySyntax, &["first path segment in url cannot contain colon"]),
    sign(Cause::GoproxySyntax, &["invalid port", "after host"]),
    sign(Cause::GoproxySyntax, &["invalid character", "in host name"]),
    sign(Cause::GoproxySyntax, &["invalid userinfo"]),
    sign(Cause::GoproxySyntax, &["missing protocol scheme"]),
    sign(Cause::GoproxySyntax, &["no host in request url"]),
    sign(Cause::GoproxySyntax, &["invalid control character in url"]),
    sign(Cause::GoproxyEmpty, &["goproxy list is not the empty string"]),
    sign(Cause::GoproxyOff, &["module lookup disabled by goproxy=off"]),
    sign(Cause::EnvOverridesFile, &["does not override conflicting os environment variable"]),
    sign(Cause::GovcsForbids, &["govcs disallows"]),
    sign(Cause::GovcsForbids, &["in govcs"]),
    sign(Cause::ModulesOff, &["go111module="]),
    sign(Cause::VendorMode, &["parsing $goflags"]),
    sign(Cause::VendorMode, &["inconsistent vendoring"]),
    sign(Cause::VendorMode, &["-mod=vendor"]),
    sign(Cause::VendorMode, &["vendor/modules.txt"]),
    // Toolchains and the checksum database.
    sign(Cause::ToolchainWithoutSumdb, &["checksum database disabled by gosumdb=off"]),
    sign(Cause::ToolchainMissing, &["toolchain not available"]),
    sign(Cause::ToolchainTooOld, &["requires go >="]),
    // Before 1.21 a go.mod had neither three numbers nor a toolchain.
    sign(Cause::OldGo, &["invalid go version", "must match format"]),
    sign(Cause::OldGo, &["unknown directive: toolchain"]),
    sign(Cause::ToolchainTooOld, &["invalid gotoolchain"]),
    sign(Cause::ToolchainTooOld, &["cannot find \"go1", "in path"]),
    sign(Cause::GosumdbMalformed, &["invalid gosumdb"]),
    sign(Cause::GosumdbMalformed, &["missing gosumdb"]),
    sign(Cause::GosumdbMalformed, &["invalid sumdb name"]),
    sign(Cause::SumdbMisbehaves, &["misbehavior detected"]),
    sign(Cause::SumdbMisbehaves, &["downloaded inconsistent tile"]),
    sign(Cause::SumdbMismatch, &["does not match the one reported by the checksum server"]),
    sign(Cause::GoSumMismatch, &["does not match an earlier download recorded in go.sum"]),
    sign_without(Cause::GoSumMismatch, &["checksum mismatch"], &["zip: checksum"]),
    sign(Cause::GoSumEntryMissing, &["missing go.sum entry"]),
    // The HTTP proxy.
    sign(Cause::HttpsToPlainProxy, &["proxyconnect tcp", "first record does not look like a tls handshake"]),
    sign(Cause::HttpsToPlainProxy, &["proxyconnect tcp", "server gave http response to https client"]),
    sign(Cause::UnknownAuthority, &["proxyconnect tcp", "unknown authority"]),
    sign(Cause::DeadHttpProxy, &["proxyconnect tcp"]),
    sign(Cause::ProxyAuthOnHttp, &["407 proxy authentication required"]),
    sign(Cause::ProxyAuthOnConnect, &["proxy authentication required"]),
    sign(Cause::PacAsProxy, &["unsupported method ('connect')"]),
    sign(Cause::PacAsProxy, &["\": method not allowed"]),
    sign(Cause::PacAsProxy, &["\": not implemented"]),
    // The checksum database, by the words of what it fails with.
    sign(Cause::SumdbProxyError, &["/sumdb/", "/supported"]),
    sign(Cause::PrivateModuleSumdb, &["verifying", "/lookup/", "410 gone"]),
    sign(Cause::PrivateModuleSumdb, &["verifying", "/lookup/", "404 not found"]),
    sign(Cause::SumdbProxyError, &["verifying", "/sumdb/"]),
    sign_without(
        Cause::SumdbUnreachable,
        &["verifying", "/lookup/"],
        &["x509", "proxy authentication", "403 forbidden"],
    ),
    // git.
    sign(Cause::NoGit, &["\"git\": executable file not found"]),
    sign(Cause::NoGit, &["git: command not found"]),
    sign(Cause::PrivateModulePublicProxy, &["404 not found", "terminal prompts disabled"]),
    sign(Cause::PrivateModulePublicProxy, &["410 gone", "terminal prompts disabled"]),
    sign(Cause::GitCannotAuthenticate, &["terminal prompts disabled"]),
    sign(Cause::GitCannotAuthenticate, &["permission denied (publickey"]),
    sign(Cause::GitCannotAuthenticate, &["could not read username"]),
    sign(Cause::GitCannotAuthenticate, &["authentication failed for"]),
    // The module cache.
    sign(Cause::CorruptCache, &["not a valid zip file"]),
    sign(Cause::CorruptCache, &["zip: checksum error"]),
    sign(Cause::CacheNotWritable, &["could not create module cache"]),
    sign(Cause::CacheNotWritable, &["no space left on device"]),
    sign(Cause::CacheNotWritable, &["module cache not found"]),
    sign(Cause::CacheNotWritable, &["read-only file system"]),
    sign(Cause::CacheNotWritable, &["disk quota exceeded"]),
    sign(Cause::CacheNotWritable, &["relative; must be absolute path"]),
    sign(Cause::CacheNotWritable, &["permission denied", "/mod/"]),
    sign(Cause::CacheNotWritable, &["not a directory", "mkdir"]),
    // Answers.
    sign(Cause::RedirectToHttp, &["redirected from secure url"]),
    sign(Cause::TooManyRedirects, &["stopped after 10 redirects"]),
    sign(Cause::HttpsToHttpPort, &["server gave http response to https client"]),
    sign(Cause::HttpsToHttpPort, &["first record does not look like a tls handshake"]),
    sign(Cause::HttpToHttpsPort, &["client sent an http request to an https server"]),
    sign(Cause::HttpToHttpsPort, &["malformed http response", "\\x15\\x03"]),
    sign(Cause::LoginPage, &["invalid character '<'"]),
    sign(Cause::LoginPage, &["invalid response from proxy"]),
    sign(Cause::WrongCertificateName, &["x509: certificate is valid for"]),
    sign(Cause::WrongCertificateName, &["doesn't contain any ip sans"]),
    sign(Cause::WrongCertificateName, &["is not valid for any names"]),
    sign(Cause::ClockSkew, &["certificate has expired or is not yet valid"]),
    sign(Cause::UnknownAuthority, &["certificate signed by unknown authority"]),
    sign(Cause::UnknownAuthority, &["certificate is not trusted"]),
    sign(Cause::UnknownAuthority, &["failed to verify certificate"]),
    sign(Cause::RateLimited, &["429 too many requests"]),
    sign(Cause::Gone, &["451 unavailable for legal reasons"]),
    sign(Cause::Unauthorized, &["401 unauthorized"]),
    sign(Cause::ForbiddenByPolicy, &["403 forbidden", "server response:"]),
    sign(Cause::Forbidden, &["403 forbidden"]),
    // What an HTTP proxy says to CONNECT is told without its number.
    sign(Cause::Forbidden, &["\": forbidden"]),
    sign(Cause::WrongCase, &["declares its path as"]),
    sign(Cause::Gone, &["410 gone"]),
    sign(Cause::NoSuchVersion, &["404 not found"]),
    sign(Cause::NoSuchVersion, &["unknown revision"]),
    sign(Cause::NoSuchVersion, &["no matching versions for query"]),
    sign(Cause::TruncatedTransfer, &["unexpected eof"]),
    // The network.
    sign(Cause::ResetInHello, &["connection reset by peer"]),
    sign(Cause::ResetInHello, &["forcibly closed by the remote host"]),
    sign(Cause::HostNotFound, &["no such host"]),
    sign(Cause::HostNotFound, &["server misbehaving"]),
    sign(Cause::HostNotFound, &["temporary failure in name resolution"]),
    sign(Cause::ConnectionRefused, &["connection refused"]),
    sign(Cause::ConnectionRefused, &["actively refused"]),
    sign(Cause::SilentDrop, &["i/o timeout"]),
    sign(Cause::SilentDrop, &["connection timed out"]),
    sign(Cause::SilentDrop, &["no route to host"]),
    sign(Cause::SilentDrop, &["network is unreachable"]),
    sign(Cause::PathMtu, &["tls handshake timeout"]),
    sign(Cause::SlowAnswer, &["deadline exceeded"]),
    sign(Cause::SlowAnswer, &["timeout awaiting response headers"]),
];

/// The report on `text`; without findings when nothing in it is known.
#[must_use]
pub fn explain(text: &str, world: &World) -> Report {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let lower = text.to_lowercase();
    let has = |word: &&str| lower.contains(*word);
    let Some(sign) = SIGNS.iter().find(|sign| sign.words.iter().all(has) && !sign.without.iter().any(has)) else {
        return Report::default();
    };
    let target = target(text);
    let cause = refined(sign.cause, &lower, text, world);
    let settled = checks::of_settings(world);
    // The settings of this machine show the very cause: then the fix for them is at hand.
    let shows = |finding: &&Finding| finding.cause == cause || looks_like(finding.cause).contains(&cause);
    if let Some(mut known) = settled.findings.iter().find(shows).cloned() {
        known.evidence.insert(0, said(text, sign));
        return put_in_order(Outcome::finding(known)).without(&world.settings.secrets());
    }
    let mut finding =
        Finding::new(cause, check(target.as_ref()), Fix::by_hand(advice(cause, world.system, world.shell)))
            .seen(said(text, sign))
            .seen(about(cause).means);
    if let Some(module) = module(text) {
        finding = finding.of_module(module);
    }
    if let (Some(url), false) = (&target, sign.cause == Cause::NoSuchVersion) {
        // go names the target also where the HTTP proxy in between is what fails.
        finding = match world.settings.http_proxy.way_to(url) {
            Way::Proxy(proxy) if sign.words.contains(&"proxyconnect tcp") => finding.at(&proxy.host),
            _ => finding.at(&url.host),
        };
    }
    let mut suspects = checks::suspects(world, target.as_slice());
    // Without a network nothing can be proven.
    suspects.retain(|suspect| !suspect.needs_proof && suspect.subject.is_some());
    suspects.extend(settled.suspects);
    let mut report = put_in_order(Outcome { findings: vec![finding], suspects, ..Outcome::default() });
    for finding in &mut report.findings {
        finding.evidence.push(about(finding.cause).means.to_owned());
    }
    report.without(&world.settings.secrets())
}

/// What a wrong setting, or a damaged file, looks like where go speaks only of what came of it.
const fn looks_like(cause: Cause) -> &'static [Cause] {
    match cause {
        Cause::ProxyPasswordCharacters => &[Cause::HostNotFound, Cause::ConnectionRefused, Cause::DeadHttpProxy],
        Cause::GoproxySyntax => &[Cause::HostNotFound],
        Cause::CorruptCache => &[Cause::GoSumMismatch],
        _ => &[],
    }
}

/// The cause, where the text or this machine's settings tell more than the sign.
fn refined(cause: Cause, lower: &str, text: &str, world: &World) -> Cause {
    let environment = &world.settings.environment;
    match cause {
        // A host without a dot after `proxyconnect` is most likely a piece of a password.
        Cause::DeadHttpProxy if lower.contains("no such host") => match looked_up(text) {
            Some(host) if !host.contains('.') => Cause::ProxyPasswordCharacters,
            _ => cause,
        },
        // No name of a host has these: they come from what was meant to separate entries.
        Cause::HostNotFound if looked_up(text).is_some_and(|host| !host.chars().all(is_of_host)) => {
            Cause::GoproxySyntax
        }
        Cause::ConnectionRefused | Cause::SilentDrop => {
            let host = target(text).map_or_else(String::new, |url| url.host);
            if dialed(text).is_some_and(|address| checks::cannot_be_at(&host, address)) {
                Cause::SplitDns
            } else {
                cause
            }
        }
        Cause::UnknownAuthority
            if world.system == System::Linux && checks::no_roots(world) && !names_certificates(world) =>
        {
            Cause::NoRootCertificates
        }
        Cause::UnknownAuthority => {
            let file = environment.get("SSL_CERT_FILE").is_some_and(|path| !std::path::Path::new(path).is_file());
            let folders = environment.get("SSL_CERT_DIR").is_some_and(|list| {
                environment.get("SSL_CERT_FILE").is_none()
                    && list.split(':').all(|path| !std::path::Path::new(path).is_dir())
            });
            if file || folders { Cause::BadCertFile } else { cause }
        }
        Cause::ResetInHello if lower.contains("\"http://") => Cause::HttpToHttpsPort,
        // Where GONOPROXY covers it, only the database is asked outside.
        Cause::PrivateModuleSumdb | Cause::GitCannotAuthenticate => {
            let path = module(text).unwrap_or_default();
            let goes_out = !world.settings.proxies().is_empty() && world.settings.no_proxy.covering(path).is_none();
            let asked = goes_out && checks::is_own(world, path);
            if asked { Cause::PrivateModulePublicProxy } else { cause }
        }
        Cause::NoSuchVersion => {
            let path = module(text).unwrap_or_default();
            let is_private = || checks::is_own(world, path) && world.settings.no_proxy.covering(path).is_none();
            match path {
                path if path.chars().any(|c| c.is_ascii_uppercase()) => Cause::WrongCase,
                "" => cause,
                _ if is_private() => Cause::PrivateModulePublicProxy,
                _ => cause,
            }
        }
        _ => cause,
    }
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn names_certificates(world: &World) -> bool {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| world.settings.environment.get(name).is_some())
}

/// The address that was called: `dial tcp 10.0.0.1:443: …`.
fn dialed(text: &str) -> Option<IpAddr> {
    let rest = text.split_once("dial tcp ")?.1;
    let address = rest.split_whitespace().next()?.trim_end_matches(':');
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}

/// The line of the text that has the sign.
fn said(text: &str, sign: &Sign) -> String {
    let has = |line: &&str| sign.words.iter().any(|word| line.to_lowercase().contains(word));
    let line = text.lines().find(has).unwrap_or_default().trim();
    let mut shown: String = redacted(line).chars().take(400).collect();
    if shown.len() < line.len() && shown.chars().count() == 400 {
        shown.push('…');
    }
    format!("the text says: {shown}")
}

/// The host that was looked up: `lookup proxy.example.com on 10.0.0.1:53`.
fn looked_up(text: &str) -> Option<&str> {
    let rest = text.split_once("lookup ")?.1;
    rest.split([' ', ':']).next().filter(|host| !host.is_empty())
}

/// The URL that was asked, or the host that was looked up.
fn target(text: &str) -> Option<Url> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')'));
    let mut urls = words.filter_map(|word| {
        let place = word.find("https://").or_else(|| word.find("http://"))?;
        Url::parse(word[place..].trim_end_matches([':', ',', '.'])).ok()
    });
    let url = urls.find(|url| !url.host.is_empty() && url.host != "go.dev" && url.host != "golang.org");
    url.or_else(|| Url::parse(&format!("https://{}", looked_up(text)?)).ok())
}

/// The module that the text is about: the first word that has a host and a version.
fn module(text: &str) -> Option<&str> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '(' | ')'));
    words.filter_map(|word| word.split_once('@')).find_map(|(path, version)| {
        let is_path = path.split('/').next().is_some_and(|host| host.contains('.')) && !path.contains(':');
        let is_version = version.starts_with('v') && version[1..].starts_with(|c: char| c.is_ascii_digit());
        (is_path && is_version).then_some(path)
    })
}

fn check(target: Option<&Url>) -> String {
    target.map_or_else(|| "go mod download".to_owned(), |url| format!("curl -v -o /dev/null {}", url.bare()))
}

#[cfg(test)]
mod tests;
