//! What serde cannot say about `providers`: unique names, keys that fit, headers that may be sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tradewind_core::{Code, Dialect, nearest};

use super::{Auth, NOT_BUILT, Provider};
use crate::node::Shortened;
use crate::problem::{Problem, Problems};
use crate::root::Root;
use crate::spanned::Spanned;
use crate::ways::{BUILT_IN, GLOBAL, SYSTEM, Ways};

/// The longest name of a provider, in characters.
const LONGEST_NAME: usize = 64;

/// Headers that the gateway sets itself, or that concern one connection only (RFC 9110, section 7.6.1).
const OWN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "expect",
];

/// Whether each `via` names a way that is there.
pub(crate) fn check_ways(providers: &[Provider], ways: &Ways, root: &Root, problems: &mut Problems) {
    for via in providers.iter().filter_map(|provider| provider.via.as_ref()) {
        check_via(via, ways, root, problems);
    }
}

/// Refuses a `via` that names no way out of this document.
pub fn check_via(via: &Spanned<Arc<str>>, ways: &Ways, root: &Root, problems: &mut Problems) {
    // Names as written, also of entries that could not be read: those have their own problem already.
    let known: HashSet<&str> = root.names("proxies").chain(root.names("proxy-groups")).collect();
    let name: &str = &via.value;
    if name == SYSTEM && known.contains(name) {
        let message = "`system` is both the system's proxy settings and a proxy or group of this document";
        problems.push(via.problem(Code::ConfigBadValue, message).with_hint("give that proxy or group another name"));
    }
    if name == SYSTEM || known.contains(name) || ways.has(name) {
        return;
    }
    let problem = via.problem(Code::ConfigUnknownName, format!("proxy [{}] not found", Shortened(&via.shown())));
    let mut names: Vec<&str> = known.iter().copied().chain(BUILT_IN).chain([GLOBAL, SYSTEM]).collect();
    names.sort_unstable();
    problems.push(problem.with_hint(match nearest(name, names) {
        Some(near) => format!("did you mean `{}`?", Shortened(near)),
        None => "name a proxy or group, DIRECT, or system".to_owned(),
    }));
}

pub(crate) fn decode_providers(root: &Root, problems: &mut Problems) -> Vec<Provider> {
    let Some(node) = root.section("providers") else { return Vec::new() };
    let providers: Vec<Provider> = crate::decode::decode_list(node, "providers", NOT_BUILT, problems);
    let mut names: HashMap<&str, u32> = HashMap::with_capacity(providers.len());
    for provider in &providers {
        let name = &provider.name;
        if let Some(line) = names.insert(name.as_str(), name.place.line) {
            let message = format!("a provider named `{}` is there already", name.shown());
            let hint = format!("give it another name; the first is on line {line}");
            problems.push(name.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
        check(provider, root, problems);
    }
    providers
}

fn check(provider: &Provider, root: &Root, problems: &mut Problems) {
    let path = provider.name.path.strip_suffix(".name").unwrap_or(&provider.name.path);
    check_header_names(provider, path, root, problems);
    let mut refuse = |key: &str, message: String, hint: &str| {
        let problem: Problem = root.problem(Code::ConfigBadValue, &format!("{path}.{key}"), message);
        problems.push(if hint.is_empty() { problem } else { problem.with_hint(hint) });
    };
    check_name(provider, &mut refuse);
    check_base_url(provider, &mut refuse);
    // A key that could not be read has its problem already.
    let has_key = ["api-key", "api-keys"].iter().any(|key| root.node().find(&format!("{path}.{key}")).is_some());
    check_keys(provider, has_key, &mut refuse);
    for (name, value) in &provider.headers {
        if http::HeaderValue::from_str(value.expose()).is_err() {
            let message = format!("the value of the header `{name}` cannot be sent");
            refuse(&format!("headers.{name}"), message, "no line breaks or control characters");
        }
    }
    for (operation, path) in &provider.path {
        let key = serde_json::to_value(operation).ok().and_then(|name| name.as_str().map(str::to_owned));
        let key = format!("path.{}", key.unwrap_or_default());
        let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !path.starts_with('/') || !is_visible || path.contains('#') {
            refuse(&key, "a path begins with / and has no spaces".to_owned(), "it is put behind base-url");
        } else if path.contains('?') {
            refuse(&key, "a path has no query".to_owned(), "use the key `query`");
        } else if path.replacen("{model}", "", 1).contains(['{', '}']) {
            refuse(&key, "only {model}, once, is replaced in a path".to_owned(), "");
        }
    }
}

/// The names of headers: the problem is with the key, and the value is not shown.
fn check_header_names(provider: &Provider, path: &str, root: &Root, problems: &mut Problems) {
    let path = format!("{path}.headers");
    for name in provider.headers.keys() {
        let lower = name.to_ascii_lowercase();
        let (message, hint) = if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            (format!("`{}` is not the name of a header", Shortened(name)), "letters, digits and hyphens")
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            (format!("the header `{name}` is set by the gateway"), "remove it")
        } else if provider.auth().header() == Some(lower.as_str()) {
            let hint = "remove it, or write `auth: none` and no key";
            (format!("the header `{name}` carries the provider's key already"), hint)
        } else {
            continue;
        };
        problems.push(root.problem_with_key(Code::ConfigBadValue, &path, name, message).with_hint(hint));
    }
}

fn check_name(provider: &Provider, refuse: &mut impl FnMut(&str, String, &str)) {
    let name = provider.name.as_str();
    if name.is_empty() {
        refuse("name", "the name is empty".to_owned(), "");
    } else if name.contains('/') {
        refuse("name", "a provider's name has no slash".to_owned(), "`provider/model` is split at the first slash");
    } else if name.chars().any(|character| character.is_whitespace() || character.is_control()) {
        refuse("name", "a provider's name has no spaces".to_owned(), "");
    } else if name.chars().count() > LONGEST_NAME {
        refuse("name", format!("a provider's name has at most {LONGEST_NAME} characters"), "");
    }
}

/// The two mistakes that everybody makes: too much `/v1`, or too little.
fn check_base_url(provider: &Provider, refuse: &mut impl FnMut(&str, String, &str)) {
    let (url, dialect) = (&provider.base_url, provider.dialect);
    if dialect == Dialect::Anthropic && url.path().ends_with("/v1") && provider.path.is_empty() {
        let message = "the paths of this dialect begin with /v1 themselves".to_owned();
        refuse("base-url", message, &format!("write {}", url.as_str().trim_end_matches("/v1")));
    }
    if dialect == Dialect::OpenAi && url.host() == "api.openai.com" && url.path().is_empty() {
        refuse("base-url", "the /v1 is missing".to_owned(), &format!("write {url}/v1"));
    }
}

fn check_keys(provider: &Provider, has_key: bool, refuse: &mut impl FnMut(&str, String, &str)) {
    if provider.api_key.is_some() && !provider.api_keys.is_empty() {
        refuse("api-keys", "there is both an api-key and api-keys".to_owned(), "keep one of them");
    }
    let fits = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let hint = "is the variable that it comes from set, and without spaces and line breaks?";
    if provider.api_key.as_ref().is_some_and(|key| !fits(key.expose())) {
        refuse("api-key", "the key is empty or has characters that cannot be sent".to_owned(), hint);
    }
    for (index, key) in provider.api_keys.iter().enumerate() {
        if !fits(key.expose()) {
            let message = "the key is empty or has characters that cannot be sent".to_owned();
            refuse(&format!("api-keys[{index}]"), message, hint);
        }
    }
    match (provider.auth, has_key) {
        (Some(Auth::None), true) => refuse("auth", "there is a key, but `auth: none`".to_owned(), "remove one of them"),
        (Some(auth), false) if auth != Auth::None => {
            refuse("auth", "this needs an api-key".to_owned(), "add api-key: \"${VARIABLE}\"");
        }
        _ => {}
    }
}
