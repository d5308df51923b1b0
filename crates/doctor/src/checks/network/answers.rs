//! Answers that are not what go asked for: pages (14), redirects (15, 16), refusals (17 to 19), broken transfers (61), limits
//! (65), removals (66).

use super::proxy::{is_direct, login_of_answer};
use super::reach::{https_port, replaced_entry};
use super::{Context, bare, curl};
use crate::probe::client::takes_netrc;
use crate::probe::{Answer, Ended, NoAnswer, Trouble, What, challenge};
use crate::{Cause, Finding, Fix, Shell, Url, World, about, unset};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A list of versions, or anything of which only matters that it is no page.
    List,
    /// JSON about a version.
    Info,
    /// A go.mod.
    GoMod,
    /// A zip.
    Zip,
}

/// What is wrong with an answer; `None` when go takes it, and for 404 and 410, after which it asks the next.
pub(super) async fn wrong(context: Context<'_>, entry: &Url, answer: &Answer, asked: Asked) -> Option<Finding> {
    let response = &answer.response;
    let told = format!("GET {} is answered {}", answer.url.bare(), response.line());
    let finding = match response.status {
        200 => body(context, answer, asked)?,
        404 | 410 => return None,
        400 if entry.scheme == "http" && is_direct(&answer.way) => {
            let what = What::NoAnswer(NoAnswer::Closed);
            let trouble = Trouble { first: entry.clone(), url: answer.url.clone(), way: answer.way.clone(), what };
            match https_port(context, &trouble).await {
                Some(finding) => finding,
                None => other(answer),
            }
        }
        401 => unauthorized(context, entry, answer),
        403 => forbidden(context, entry, answer).await,
        407 => login_of_answer(context, answer).await,
        429 => limited(context.world, answer),
        451 => gone(answer),
        _ => other(answer),
    };
    let finding = if finding.subject.is_none() { finding.at(&answer.url.host) } else { finding };
    let finding = finding.seen(told);
    Some(
        match response.words().or_else(|| response.gist()).filter(|words| !words.is_empty() && response.status != 200) {
            Some(words) => finding.seen(format!("it says: {words}")),
            None => finding,
        },
    )
}

fn by_hand(cause: Cause) -> Fix {
    Fix::by_hand(about(cause).helps)
}

fn other(answer: &Answer) -> Finding {
    Finding::new(
        Cause::Other,
        curl(&answer.url),
        Fix::by_hand(format!("ask whoever runs {} what is wrong there", bare(&answer.url))),
    )
    .titled(format!("the module proxy {} fails", bare(&answer.url)))
}

/// An answer of 200.
fn body(context: Context<'_>, answer: &Answer, asked: Asked) -> Option<Finding> {
    let response = &answer.response;
    let length = response.body.len();
    match response.ended {
        Ended::Short(expected) => {
            let told = match expected {
                Some(expected) => format!("{length} of {expected} bytes came, then the connection ended"),
                None => format!("{length} bytes came, then the connection ended before the end of the answer"),
            };
            return Some(
                Finding::new(Cause::TruncatedTransfer, curl(&answer.url), by_hand(Cause::TruncatedTransfer)).seen(told),
            );
        }
        Ended::Stalled if length == 0 || asked != Asked::Zip => {
            let limit = tradewind_core::format_duration(context.world.limits.body);
            return Some(
                Finding::new(
                    Cause::SlowAnswer,
                    format!("curl -v -m 20 -o /dev/null {}", answer.url.bare()),
                    by_hand(Cause::SlowAnswer),
                )
                .seen(format!("{length} bytes came, and no end within {limit}")),
            );
        }
        Ended::Whole | Ended::Enough | Ended::Stalled => {}
    }
    let strange = match asked {
        Asked::List | Asked::GoMod => response.is_page(),
        Asked::Info => serde_json::from_slice::<serde_json::Value>(&response.body)
            .ok()
            .is_none_or(|info| info.get("Version").is_none_or(|version| !version.is_string())),
        Asked::Zip => !response.body.starts_with(b"PK"),
    };
    if !strange {
        return None;
    }
    let mut finding = Finding::new(
        Cause::LoginPage,
        format!("curl -sS {} | head -c 300", answer.url.bare()),
        by_hand(Cause::LoginPage),
    );
    if !response.is_page() {
        finding = finding.titled("what answers is no module proxy");
    }
    if let Some(gist) = response.gist() {
        finding = finding.seen(format!("in place of what was asked for comes: {gist}"));
    }
    Some(finding)
}

async fn forbidden(context: Context<'_>, entry: &Url, answer: &Answer) -> Finding {
    let moved = answer.url.host != entry.host;
    // Another module of the same proxy tells whether it is the module or the host.
    let probe = entry.join("golang.org/toolchain/@v/list");
    let reason = answer.response.words();
    if reason.is_some() && !moved {
        let others = context.client().get(&probe).await;
        if others.is_ok_and(|other| other.response.status != 403) {
            return Finding::new(
                Cause::ForbiddenByPolicy,
                format!("curl -sS {}", answer.url.bare()),
                by_hand(Cause::ForbiddenByPolicy),
            );
        }
    }
    let host = &answer.url.host;
    let mut finding = Finding::new(
        Cause::Forbidden,
        curl(&answer.url),
        Fix::by_hand(format!("have {host} allowed, or set GOPROXY to a module proxy inside this network")),
    );
    if moved {
        finding = finding.seen(format!("{} redirects to {host} for this, which has to be allowed as well", entry.host));
    }
    for name in ["server", "via", "x-squid-error", "x-blocked-by", "cf-ray", "x-iinfo"] {
        if let Some(value) = answer.response.header(name) {
            finding = finding.seen(format!("{name}: {}", value.chars().take(120).collect::<String>()));
        }
    }
    finding
}

fn unauthorized(context: Context<'_>, entry: &Url, answer: &Answer) -> Finding {
    let world = context.world;
    let host = &answer.url.host;
    let netrc = &world.settings.netrc;
    let file = netrc.path.as_ref().map_or_else(|| "~/.netrc".to_owned(), |path| path.display().to_string());
    let offered = challenge::challenges(answer.response.all("www-authenticate"));
    let login = netrc.login_for(&format!("{host}{}", answer.url.path));
    let goauth = world.settings.text("GOAUTH");
    let (evidence, fix) = if entry.scheme == "http" {
        let secure = Url { scheme: "https".to_owned(), ..entry.clone() };
        let fix =
            replaced_entry(world, entry, Some(&secure.to_string())).filter(|_| login.is_some() && entry.port.is_none());
        let told = format!("go sends logins over https alone, and GOPROXY has {}", bare(entry));
        (
            told,
            fix.unwrap_or_else(|| {
                Fix::by_hand(format!("write https:// for {host} in GOPROXY, with the port of its TLS"))
            }),
        )
    } else if login.is_some() && !takes_netrc(world) {
        let told = format!("{file} has a login for {host}, and GOAUTH={goauth} keeps go from reading it");
        (told, unset(world, "GOAUTH"))
    } else if let Some(user) = &entry.user {
        (
            format!("GOPROXY has a login (user {}), and the server does not take it", user.name),
            Fix::by_hand("correct user and password in GOPROXY, percent-encoded"),
        )
    } else if let Some(login) = login {
        (
            format!("{file} has a login for {host} (user {}), and the server does not take it", login.login),
            Fix::by_hand(format!("correct the login of {host} in {file}")),
        )
    } else if let Some(why) = &netrc.unreadable {
        (format!("{file} cannot be read: {why}"), Fix::command(readable(world, &file)))
    } else {
        let told = if takes_netrc(world) {
            format!("{file} has no login for {host}")
        } else {
            format!("the login that GOAUTH={} gives was not tried", crate::settings::redact::redacted(goauth))
        };
        (told, Fix::by_hand(format!("put this line into {file}: machine {host} login USER password PASSWORD")))
    };
    let mut finding = Finding::new(Cause::Unauthorized, curl(&answer.url), fix).seen(evidence);
    if !offered.is_empty() {
        finding = finding.seen(format!("the server asks for: {}", challenge::told(&offered)));
    }
    finding
}

fn readable(world: &World, file: &str) -> String {
    let file = world.shell.quoted(file);
    match world.shell {
        Shell::Posix | Shell::Fish => format!("chmod u+r {file}"),
        Shell::PowerShell | Shell::Cmd => format!("icacls {file} /grant %USERNAME%:R"),
    }
}

fn limited(world: &World, answer: &Answer) -> Finding {
    let seconds: Option<u64> = answer.response.header("retry-after").and_then(|value| value.trim().parse().ok());
    let fix = match (seconds, world.shell) {
        (Some(seconds @ 0..=120), Shell::Posix | Shell::Fish) => Fix::command(format!("sleep {}", seconds + 1)),
        (Some(seconds), _) => {
            Fix::by_hand(format!("wait {seconds} seconds, or use a module proxy with a cache in between"))
        }
        (None, _) => by_hand(Cause::RateLimited),
    };
    let finding = Finding::new(Cause::RateLimited, curl(&answer.url), fix);
    match seconds {
        Some(seconds) => finding.seen(format!("it may be asked again after {seconds} s (Retry-After)")),
        None => finding,
    }
}

fn gone(answer: &Answer) -> Finding {
    Finding::new(Cause::Gone, format!("curl -sS {}", answer.url.bare()), by_hand(Cause::Gone))
}

/// A redirect that go does not follow.
pub(super) fn redirect(context: Context<'_>, trouble: &Trouble) -> Finding {
    let _ = context;
    match &trouble.what {
        What::InsecureRedirect(to) => Finding::new(
            Cause::RedirectToHttp,
            curl(&trouble.first),
            by_hand(Cause::RedirectToHttp),
        )
        .seen(format!("{} redirects to {}", trouble.url.bare(), to.bare())),
        What::TooManyRedirects(hops) => {
            let last: Vec<String> = hops.iter().rev().take(3).rev().map(|url| url.bare().to_string()).collect();
            Finding::new(
                Cause::TooManyRedirects,
                format!("curl -sSL -o /dev/null {}", trouble.first.bare()),
                by_hand(Cause::TooManyRedirects),
            )
            .seen(format!("{} leads on and on: … {}", trouble.first.bare(), last.join(" → ")))
        }
        What::BadRedirect(location) => {
            Finding::new(Cause::Other, curl(&trouble.url), Fix::by_hand("have the server's redirect corrected"))
                .titled("the server redirects to what is no URL")
                .seen(format!("Location: {location}"))
        }
        _ => Finding::new(Cause::Other, curl(&trouble.url), Fix::by_hand("look at the evidence")),
    }
}
