//! Modules that come from their origin: the repository is found as go finds it, and git is asked whether it is let in (47).

use super::entries::{Left, add};
use super::origin_ways::{git_error, let_in};
use super::{Context, Found, absent, curl};
use crate::checks::download;
use crate::probe::Answer;
use crate::settings::covers;
use crate::{Cause, Finding, Fix, Outcome, Url, about};

/// Looks at each.
pub(super) async fn look(context: Context<'_>, found: &Found) -> Outcome {
    let left = found.at_origin.lock().expect("nothing panics while it holds this lock").clone();
    let looked = futures_util::future::join_all(left.iter().map(|left| of_one(context, left))).await;
    let mut all = Outcome::default();
    for (left, outcome) in left.into_iter().zip(looked) {
        if outcome.findings.is_empty() {
            found.reached_at_origin.lock().expect("nothing panics while it holds this lock").push(left);
        }
        add(&mut all, outcome);
    }
    all
}

/// Where the repository of a module is.
enum Place {
    /// Here.
    At(String),
    /// Nobody says.
    Unknown(Finding),
    /// The host that could say is not reached.
    NotReached(Box<Outcome>),
}

async fn of_one(context: Context<'_>, left: &Left) -> Outcome {
    let module = &left.module;
    let place = repository(context, left).await;
    let mut outcome = match place {
        Place::NotReached(outcome) => *outcome,
        Place::Unknown(finding) => Outcome::finding(finding),
        Place::At(url) => match git_error(context, &url, &[]).await {
            None => return Outcome::good().fact(format!("origin of {}", module.path), url),
            Some(words) => {
                let letters = absent_elsewhere(context, left).await;
                Outcome::finding(match letters {
                    Some(finding) => finding,
                    None => git_finding(context, left, &url, &words).await,
                })
            }
        },
    };
    for said in &left.said {
        if let Some(finding) = outcome.findings.first_mut() {
            finding.evidence.push(said.clone());
        }
    }
    if let Some(finding) = outcome.findings.first() {
        let origin = Url::parse(&format!("https://{}", module.path)).ok();
        if let Some(origin) = origin {
            // What is not reached was tried another way already.
            if outcome.tried.is_empty() {
                outcome.tried = context.tried(finding, &origin, Some(module)).await;
            }
        }
    }
    outcome
}

/// What the module proxies tell better than git: another version, other letters.
async fn absent_elsewhere(context: Context<'_>, left: &Left) -> Option<Finding> {
    if left.said.is_empty() {
        return None;
    }
    let finding = absent::finding(context, &Left { said: Vec::new(), ..left.clone() }).await;
    (finding.cause == Cause::WrongCase || (finding.cause == Cause::NoSuchVersion && finding.fix.is_automatic()))
        .then_some(finding)
}

/// The repository, as go works it out: known hosts by their shape, `.git` in the path, else what the host itself says.
async fn repository(context: Context<'_>, left: &Left) -> Place {
    let path = &left.module.path;
    let elements: Vec<&str> = path.split('/').collect();
    if matches!(elements[0], "github.com" | "bitbucket.org") {
        let repository = elements.iter().take(3).copied().collect::<Vec<_>>().join("/");
        return Place::At(format!("https://{repository}"));
    }
    if let Some(place) = elements.iter().position(|element| element.ends_with(".git")) {
        return Place::At(format!("https://{}", elements[..=place].join("/")));
    }
    let Ok(mut url) = Url::parse(&format!("https://{path}")) else {
        return Place::Unknown(nobody_says(left, "it is no URL"));
    };
    url.query = Some("go-get=1".to_owned());
    // The local git may know better where the host's repositories are.
    match context.client().get(&url).await {
        Err(trouble) => {
            let mut outcome = context.failed(&format!("origin of {path}"), &trouble, Some(&left.module)).await;
            outcome.blocks = None;
            Place::NotReached(Box::new(outcome))
        }
        Ok(answer) => match import_of(&answer, path) {
            Some(url) => Place::At(url),
            None => {
                let words = format!(
                    "GET {}?go-get=1 is answered {} without a go-import for it",
                    url.bare(),
                    answer.response.line()
                );
                let mut finding = nobody_says(left, &words);
                if let Some(proxied) = absent_elsewhere(context, left).await {
                    finding = proxied;
                }
                Place::Unknown(finding)
            }
        },
    }
}

fn nobody_says(left: &Left, words: &str) -> Finding {
    let module = &left.module;
    let check = format!("curl -sS 'https://{}?go-get=1' | grep go-import", module.path);
    Finding::new(Cause::NoSuchVersion, check, Fix::by_hand(about(Cause::NoSuchVersion).helps))
        .seen(words)
        .of_module(&module.path)
}

/// The repository in `<meta name="go-import" content="PREFIX git URL">`.
fn import_of(answer: &Answer, path: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.response.body).into_owned();
    let tags =
        text.split("<meta").skip(1).filter(|tag| tag.split('>').next().unwrap_or_default().contains("go-import"));
    let contents = tags.filter_map(|tag| {
        let tag = tag.split('>').next()?;
        let content = &tag[tag.find("content=")? + 8..];
        let quote = content.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        content[1..].split(quote).next().map(str::to_owned)
    });
    let mut fitting = contents.filter_map(|content| {
        let words: Vec<&str> = content.split_whitespace().collect();
        let fits = |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        match words[..] {
            [prefix, "git", url] if fits(prefix) || covers(prefix, path) => Some(url.to_owned()),
            _ => None,
        }
    });
    fitting.next()
}

async fn git_finding(context: Context<'_>, left: &Left, url: &str, words: &str) -> Finding {
    let lower = words.to_ascii_lowercase();
    let check = download(context.world, &left.module);
    let has = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    let path = &left.module.path;
    let told = format!("git: {words}");
    let not_let_in = has(&[
        "terminal prompts disabled",
        "could not read username",
        "authentication failed",
        "permission denied",
        "publickey",
        "403",
        "401",
    ]);
    if not_let_in || has(&["proxy", "host key verification"]) {
        let host = path.split('/').next().unwrap_or_default();
        // Proxies are asked for it first, and are told of it: GOPRIVATE has to name it, whatever git needs besides.
        if !left.said.is_empty() && absent::is_own(context.world, path) {
            let finding = absent::private(context.world, &left.module, check);
            let set = finding.fix.text.clone();
            let fix = Fix::by_hand(format!("{set}; and store a login for https://{host} in git's credential helper"));
            return Finding { fix, ..finding }.seen(told);
        }
        if let Some((fix, seen)) = let_in(context, url).await {
            return Finding::new(Cause::GitCannotAuthenticate, check, fix).seen(told).seen(seen).of_module(path);
        }
        let fix = Fix::by_hand(format!(
            "store a login for https://{host} in git's credential helper, or with a key of SSH there: git config --global \
             url.\"git@{host}:\".insteadOf https://{host}/"
        ));
        return Finding::new(Cause::GitCannotAuthenticate, check, fix).seen(told).of_module(path);
    }
    if let Ok(origin) = Url::parse(url) {
        let cause = if has(&["could not resolve"]) {
            Some(Cause::HostNotFound)
        } else if has(&["connection refused", "failed to connect", "couldn't connect"]) {
            Some(Cause::ConnectionRefused)
        } else if has(&["timed out", "no answer"]) {
            Some(Cause::SilentDrop)
        } else if has(&["certificate", "ssl"]) {
            Some(Cause::UnknownAuthority)
        } else {
            None
        };
        if let Some(cause) = cause {
            return Finding::new(cause, curl(&origin), Fix::by_hand(about(cause).helps)).seen(told).at(&origin.host);
        }
    }
    if !left.said.is_empty() && absent::is_own(context.world, path) {
        return absent::private(context.world, &left.module, check).seen(told);
    }
    Finding::new(Cause::NoSuchVersion, check, Fix::by_hand(about(Cause::NoSuchVersion).helps))
        .seen(told)
        .of_module(path)
}
