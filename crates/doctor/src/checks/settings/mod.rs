//! What settings and files alone tell.

mod auth;
pub(super) mod cache;
mod direct;
mod goproxy;
mod http_proxy;
mod imports;
mod modules;
mod old_go;
mod patterns;
mod sumdb;
mod sums;
pub(super) mod toolchain;
mod vendor;
pub(super) mod zip;

use serde_json::{Value, json};

pub(super) use self::http_proxy::{look as variables, script_as_proxy};
use super::{script, suspects};
use crate::{Cause, Check, Finding, Fix, Outcome, World};

/// The name of the check that every other one needs: whether go would look at modules at all.
pub(super) const MODULES: &str = "modules switched on";
/// The name of the check that everything that asks a module proxy needs.
pub(super) const GOPROXY: &str = "GOPROXY";
/// The name of the check that everything that goes through an HTTP proxy needs.
pub(super) const PROXY_VARIABLES: &str = "proxy variables";

/// Everything that settings and files tell, without asking anybody and without waiting.
pub(super) fn all_at_once(world: &World) -> Outcome {
    let looks: [fn(&World) -> Outcome; 14] = [
        modules::switched_on,
        modules::flags,
        toolchain::look,
        goproxy::look,
        auth::look,
        http_proxy::look,
        sumdb::look,
        patterns::look,
        cache::writable,
        cache::whole,
        vendor::look,
        direct::known,
        direct::others,
        sums::look,
    ];
    let mut all = Outcome::default();
    for outcome in looks.map(|look| look(world)) {
        all.findings.extend(outcome.findings);
        all.suspects.extend(outcome.suspects);
    }
    all
}

/// The checks that come before anybody is asked.
pub(super) fn before_the_network() -> Vec<Check> {
    vec![
        Check::of_settings("settings", &[], facts),
        Check::of_settings("go command", &[], go_command),
        Check::of_settings(MODULES, &[], modules::switched_on),
        Check::of_settings("GOFLAGS", &[], modules::flags),
        Check::of_settings("GOTOOLCHAIN", &[MODULES], toolchain::look),
        Check::of_settings(GOPROXY, &[MODULES], goproxy::look),
        Check::new(PROXY_VARIABLES, &[MODULES], |world| Box::pin(script::look(world))),
        Check::of_settings("GOAUTH", &[MODULES, GOPROXY], auth::look),
        Check::of_settings("GOSUMDB", &[MODULES], sumdb::look),
        Check::of_settings("private patterns", &[MODULES], patterns::look),
        Check::of_settings("module cache", &[MODULES], cache::writable),
        Check::of_settings("files in the module cache", &[MODULES], cache::whole),
        Check::of_settings("vendor folder", &[MODULES], vendor::look),
        Check::of_settings("git for direct downloads", &[MODULES, GOPROXY], direct::known),
        Check::of_settings("other ways out", &[MODULES], suspects::look),
    ]
}

/// The checks of what only matters when modules can be had at all.
pub(super) fn after_the_network() -> Vec<Check> {
    vec![
        Check::of_settings("git for modules of other hosts", &[MODULES, GOPROXY], direct::others),
        Check::of_settings("go.sum", &[MODULES], sums::look),
        Check::of_settings("version of go", &[], old_go::look),
    ]
}

/// Every setting that has a value, with where it came from.
fn facts(world: &World) -> Outcome {
    let settings = &world.settings;
    let mut outcome = settings.all().fold(Outcome::good(), |outcome, setting| {
        let mut fact = json!({"value": setting.shown(), "from": setting.origin.to_string()});
        if let Some((origin, _)) = setting.hides() {
            fact["hides"] = Value::from(origin.to_string());
        }
        outcome.fact(setting.name, fact)
    });
    for name in
        ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "no_proxy", "all_proxy"]
    {
        if let Some(value) = settings.environment.get(name) {
            let shown = crate::settings::redact::redacted(value);
            outcome = outcome.fact(name, json!({"value": shown, "from": "the environment of this process"}));
        }
    }
    if settings.environment.get("GONOSUMCHECK").is_some() {
        outcome = outcome.fact("GONOSUMCHECK", "the go command does not read it");
    }
    if !settings.git.shown().is_empty() {
        outcome = outcome.fact("git config", settings.git.shown());
    }
    if let Some(path) = settings.netrc.path.as_ref().filter(|_| !settings.netrc.logins.is_empty()) {
        let machines: Vec<&str> = settings.netrc.logins.iter().map(|login| login.machine.as_str()).collect();
        outcome = outcome.fact("netrc", json!({"file": path.display().to_string(), "machines": machines}));
    }
    outcome
}

fn go_command(world: &World) -> Outcome {
    match &world.settings.go {
        Some(go) => {
            let version = go.version_text.clone().unwrap_or_else(|| "unknown".to_owned());
            Outcome::good().fact("go", json!({"path": go.path.display().to_string(), "version": version}))
        }
        None => Outcome::finding(
            Finding::new(
                Cause::Other,
                "go version",
                Fix::by_hand("install Go, or add the folder of the go command to PATH"),
            )
            .titled("there is no go command in PATH"),
        ),
    }
}
