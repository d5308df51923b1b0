//! What only asking tells: the way out as the go command would travel it, entry by entry of GOPROXY.
//!
//! Each check stops at the first piece that does not work and says what it left out. Whatever fails is tried again along
//! the other ways that the settings hint at (another proxy, none), so that a setting is blamed only when it is to blame.

mod absent;
mod answers;
mod elsewhere;
mod entries;
mod hosts_file;
mod origin;
mod origin_ways;
mod proxy;
mod reach;
mod sumdb;
mod sums;
mod tls;

#[cfg(test)]
mod elsewhere_tests;
#[cfg(test)]
mod sums_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use serde_json::json;

pub(crate) use absent::is_own;
pub(crate) use reach::cannot_be_at;

use super::instead_of;
use super::settings::{GOPROXY, MODULES, PROXY_VARIABLES};
use crate::probe::roots::Roots;
use crate::probe::{Client, Trouble, What};
use crate::settings::{Needed, Way};
use crate::{Check, Finding, Instead, NotRun, Outcome, Subject, Tried, Url, World};

/// The name of the check that asks the entries of GOPROXY.
const PROXIES: &str = "module proxies";
/// The name of the check of modules that no proxy has or is asked for.
const ORIGINS: &str = "modules from their origin";

/// What checks after the first one go on with.
#[derive(Debug, Default)]
struct Found {
    /// Modules that go would fetch from their origin: no proxy is asked for them, or none has them.
    at_origin: Mutex<Vec<entries::Left>>,
    /// Those of them that are there.
    reached_at_origin: Mutex<Vec<entries::Left>>,
    /// What was downloaded.
    downloads: Mutex<Vec<entries::Download>>,
}

/// What every network check looks with.
#[derive(Clone, Copy)]
struct Context<'a> {
    world: &'a World,
    roots: &'a Roots,
    /// Another way than the settings', where one is tried.
    instead: Option<&'a Instead>,
}

/// The checks, in the order in which a root cause comes before its consequences.
pub(super) fn checks(world: &World) -> Vec<Check> {
    let roots = Arc::new(Roots::of(&world.settings.environment));
    let found = Arc::new(Found::default());
    let check = |name: &'static str, needs: &[&'static str], run: Looking| {
        let (roots, found) = (roots.clone(), found.clone());
        Check::new(name, needs, move |world| {
            let (roots, found) = (roots.clone(), found.clone());
            Box::pin(async move { run(Context { world, roots: &roots, instead: None }, &found).await })
        })
    };
    vec![
        check(PROXIES, &[MODULES, GOPROXY, PROXY_VARIABLES], |context, found| Box::pin(entries::look(context, found))),
        check(ORIGINS, &[MODULES, GOPROXY, PROXY_VARIABLES, PROXIES], |context, found| {
            Box::pin(origin::look(context, found))
        }),
        check("checksums", &["GOSUMDB", PROXIES, ORIGINS], |context, found| Box::pin(sums::look(context, found))),
    ]
}

/// A check with what it looks with.
type Looking = for<'a> fn(Context<'a>, &'a Found) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl<'a> Context<'a> {
    fn client(&self) -> Client<'a> {
        Client { instead: self.instead, ..Client::new(self.world, self.roots) }
    }

    /// What `trouble` is called in the catalogue.
    async fn diagnosed(&self, trouble: &Trouble) -> Finding {
        let mut finding = match &trouble.what {
            What::ConnectRefused(_) | What::ConnectBroken(_) | What::ProxyRefused => {
                proxy::finding(*self, trouble).await
            }
            What::NoHost(whose, _) | What::NoConnection(whose, _) | What::NoTls(whose, ..)
                if *whose == crate::probe::Whose::Proxy =>
            {
                proxy::finding(*self, trouble).await
            }
            What::Distrusted(_, untrusted) => tls::finding(*self, trouble, untrusted).await,
            What::InsecureRedirect(_) | What::TooManyRedirects(_) | What::BadRedirect(_) => {
                answers::redirect(*self, trouble)
            }
            _ => reach::finding(*self, trouble).await,
        };
        if finding.subject.is_none() {
            finding = finding.at(trouble.host());
        }
        if trouble.url != trouble.first {
            finding = finding.seen(format!("{} redirects there", trouble.first.bare()));
        }
        if let Way::Proxy(proxy) = &trouble.way {
            let name = variable(self.world, &trouble.url);
            finding = finding.seen(format!("go asks for it through {} ({name})", bare(proxy)));
        }
        finding
    }

    /// What came of a failure: the finding, what the other ways do, and which pieces were left out.
    async fn failed(&self, name: &str, trouble: &Trouble, module: Option<&Needed>) -> Outcome {
        let finding = self.diagnosed(trouble).await;
        let tried = self.tried(&finding, &trouble.first, module).await;
        let because = finding.title.clone();
        let left = trouble.left_out().into_iter();
        let not_run = left.map(|piece| NotRun { check: format!("{piece} of {name}"), because: because.clone() });
        Outcome { not_run: not_run.collect(), findings: vec![finding], tried, ..Outcome::default() }
    }

    /// The other ways for what `finding` is about. `module` is what a module proxy is asked for, when it is about one.
    async fn tried(&self, finding: &Finding, url: &Url, module: Option<&Needed>) -> Vec<Tried> {
        let Some(subject) = &finding.subject else { return Vec::new() };
        let mut tried = Vec::new();
        for instead in instead_of(self.world, subject) {
            // The proxy itself fails: another proxy is tried for what was asked.
            let target = match &instead {
                Instead::ModuleProxy(proxy) => match module {
                    Some(module) => entries::file_of(proxy, module, "mod"),
                    None => proxy.join(&url.path),
                },
                Instead::HttpProxy(_) | Instead::NoProxy => url.clone(),
            };
            let answer = self.client().instead(&instead).get(&target).await;
            let reached = answer.is_ok_and(|answer| {
                let status = answer.response.status;
                let is_module = matches!(subject, Subject::Module(_)) || module.is_some();
                if is_module { status == 200 && !answer.response.is_page() } else { status < 500 && status != 407 }
            });
            tried.push(Tried { subject: subject.clone(), instead, reached });
        }
        tried
    }
}

/// A command that shows what is at `url`.
fn curl(url: &Url) -> String {
    format!("curl -v -o /dev/null {}", url.bare())
}

/// A URL without login and path.
fn bare(url: &Url) -> String {
    Url { path: String::new(), ..url.bare() }.to_string()
}

/// The variable that names the HTTP proxy for `url`.
fn variable(world: &World, url: &Url) -> &'static str {
    let proxies = &world.settings.http_proxy;
    let (setting, usual) =
        if url.scheme == "https" { (&proxies.https, "HTTPS_PROXY") } else { (&proxies.http, "HTTP_PROXY") };
    setting.as_ref().map_or(usual, |setting| setting.name)
}

/// What was seen of a connection, as a fact.
fn seen(answer: &crate::probe::Answer) -> serde_json::Value {
    let attempts: Vec<String> = answer.attempts.iter().map(ToString::to_string).collect();
    let mut fact = json!({"answer": answer.response.line(), "addresses": attempts});
    if let Way::Proxy(proxy) = &answer.way {
        fact["through"] = bare(proxy).into();
    }
    let chain = answer.chain.iter().filter_map(|der| crate::probe::certificate::Certificate::parse(der));
    let chain: Vec<String> = chain.map(|certificate| certificate.told()).collect();
    if !chain.is_empty() {
        fact["certificates"] = chain.into();
    }
    fact
}

/// Whether go finds no root certificates at all.
pub(crate) fn no_roots(world: &World) -> bool {
    Roots::of(&world.settings.environment).store.is_empty()
}
