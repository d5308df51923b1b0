//! Which operation a method and a path ask for.
//!
//! The table [`ROUTES`] is the only place that knows: requests are matched against it, and the OpenAPI document is made from
//! it, so that the two cannot disagree.
//!
//! A key has slashes of its own. They may be written plainly or as `%2F`; the words behind a key, `history` and its like,
//! count only when they are written plainly. A key that ends in such a word is written with its last slash as `%2F`, and one
//! that is nothing but the word `watch` with a letter escaped (`%77atch`). Refused: a prefix in front of the words, which
//! would have kept every key plain and made every path longer.

use std::borrow::Cow;

use http::Method;
use tradewind_core::Code;
use tradewind_door::Refusal;
use tradewind_store::{Key, Namespace};

use crate::failure::bad_name;

/// The path of the description of the API.
pub(crate) const OPENAPI: &str = "/api/v1/openapi.json";
const REDEEM: &str = "/api/v1/handoff/redeem";
const STATE: &str = "/api/v1/state";

/// The form of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Description,
    Redeem,
    Root,
    Namespace,
    Watch,
    Value,
    History,
    Diff,
    Fork,
    Pin,
    Prune,
    Restore,
    Handoff,
}

impl Place {
    /// As OpenAPI writes it.
    pub(crate) const fn template(self) -> &'static str {
        match self {
            Self::Description => OPENAPI,
            Self::Redeem => REDEEM,
            Self::Root => STATE,
            Self::Namespace => "/api/v1/state/{namespace}",
            Self::Watch => "/api/v1/state/{namespace}/watch",
            Self::Value => "/api/v1/state/{namespace}/{key}",
            Self::History => "/api/v1/state/{namespace}/{key}/history",
            Self::Diff => "/api/v1/state/{namespace}/{key}/diff",
            Self::Fork => "/api/v1/state/{namespace}/{key}/fork",
            Self::Pin => "/api/v1/state/{namespace}/{key}/pin",
            Self::Prune => "/api/v1/state/{namespace}/{key}/prune",
            Self::Restore => "/api/v1/state/{namespace}/{key}/restore",
            Self::Handoff => "/api/v1/state/{namespace}/{key}/handoff",
        }
    }

    /// What stands behind a key.
    fn behind_key(word: &str) -> Option<Self> {
        Some(match word {
            "history" => Self::History,
            "diff" => Self::Diff,
            "fork" => Self::Fork,
            "pin" => Self::Pin,
            "prune" => Self::Prune,
            "restore" => Self::Restore,
            "handoff" => Self::Handoff,
            _ => return None,
        })
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Describe,
    Namespaces,
    List,
    Watch,
    Get,
    Put,
    Patch,
    Delete,
    History,
    Diff,
    Fork,
    Pin,
    Unpin,
    Prune,
    Restore,
    Handoff,
    Redeem,
}

impl Operation {
    /// What it is called in records, metrics and the description of the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Namespaces => "namespaces",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Get => "get",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::History => "history",
            Self::Diff => "diff",
            Self::Fork => "fork",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Prune => "prune",
            Self::Restore => "restore",
            Self::Handoff => "handoff",
            Self::Redeem => "redeem",
        }
    }

    /// Whether it changes, or hands over, what is kept: such calls have a record.
    pub(crate) const fn changes(self) -> bool {
        !matches!(
            self,
            Self::Describe | Self::Namespaces | Self::List | Self::Watch | Self::Get | Self::History | Self::Diff
        )
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static Method,
    pub(crate) place: Place,
    pub(crate) operation: Operation,
}

const fn route(method: &'static Method, place: Place, operation: Operation) -> Route {
    Route { method, place, operation }
}

/// Everything that is served. `HEAD` goes with each `GET`.
pub(crate) const ROUTES: &[Route] = &[
    route(&Method::GET, Place::Value, Operation::Get),
    route(&Method::PUT, Place::Value, Operation::Put),
    route(&Method::PATCH, Place::Value, Operation::Patch),
    route(&Method::DELETE, Place::Value, Operation::Delete),
    route(&Method::GET, Place::Root, Operation::Namespaces),
    route(&Method::GET, Place::Namespace, Operation::List),
    route(&Method::GET, Place::Watch, Operation::Watch),
    route(&Method::GET, Place::History, Operation::History),
    route(&Method::GET, Place::Diff, Operation::Diff),
    route(&Method::POST, Place::Fork, Operation::Fork),
    route(&Method::PUT, Place::Pin, Operation::Pin),
    route(&Method::DELETE, Place::Pin, Operation::Unpin),
    route(&Method::POST, Place::Prune, Operation::Prune),
    route(&Method::POST, Place::Restore, Operation::Restore),
    route(&Method::POST, Place::Handoff, Operation::Handoff),
    route(&Method::POST, Place::Redeem, Operation::Redeem),
    route(&Method::GET, Place::Description, Operation::Describe),
];

/// Whether `path` is one of the door's.
pub(crate) fn serves(path: &str) -> bool {
    path.strip_prefix(STATE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || path == OPENAPI
        || path == REDEEM
}

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Nothing in particular.
    All,
    /// A namespace.
    Namespace(Namespace),
    /// A key.
    Key(Key),
}

/// Finds the operation, and what it is about.
///
/// # Errors
/// 404 for a path that is not served, 400 for a name that cannot be one, 405 with the methods that there are.
pub(crate) fn asked(method: &Method, path: &str) -> Result<(Operation, About), Refusal> {
    let (place, about) = located(path)?;
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    match ROUTES.iter().find(|route| route.place == place && route.method == wanted) {
        Some(route) => Ok((route.operation, about)),
        None => Err(Refusal::new(Code::MethodNotAllowed, format!("{} takes {}", place.template(), methods(place)))),
    }
}

/// The methods of a place, for `Allow`.
pub(crate) fn methods(place: Place) -> String {
    let methods: Vec<&str> =
        ROUTES.iter().filter(|route| route.place == place).map(|route| route.method.as_str()).collect();
    methods.join(", ")
}

/// The methods that the path of a request takes, when it is one of the door's.
pub(crate) fn allowed(path: &str) -> Option<String> {
    located(path).ok().map(|(place, _)| methods(place))
}

fn located(path: &str) -> Result<(Place, About), Refusal> {
    match path {
        OPENAPI => return Ok((Place::Description, About::All)),
        REDEEM => return Ok((Place::Redeem, About::All)),
        _ => {}
    }
    let rest = path.strip_prefix(STATE).unwrap_or_default();
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Ok((Place::Root, About::All));
    }
    let (namespace, name) = rest.split_once('/').unwrap_or((rest, ""));
    let namespace = Namespace::parse(&decoded(namespace)?).map_err(|error| bad_name("namespace", &error))?;
    let (place, name) = match name {
        "" => return Ok((Place::Namespace, About::Namespace(namespace))),
        "watch" => return Ok((Place::Watch, About::Namespace(namespace))),
        name => match name.rsplit_once('/').and_then(|(key, word)| Some((Place::behind_key(word)?, key))) {
            Some(behind) => behind,
            None => (Place::Value, name),
        },
    };
    let key = Key::new(namespace, &decoded(name)?).map_err(|error| bad_name("key", &error))?;
    Ok((place, About::Key(key)))
}

/// Undoes percent-encoding (RFC 3986 §2.1), strictly: what two readers could read differently is refused.
pub(crate) fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let byte = tail.get(..2).and_then(tradewind_core::from_hex::<1>);
        let [byte] = byte.ok_or_else(bad_escape)?;
        bytes.push(byte);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| bad_escape())
}

fn bad_escape() -> Refusal {
    Refusal::new(Code::StateName, "a percent sign in the path begins two hexadecimal digits, and the bytes are UTF-8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(method: Method, path: &str) -> (Operation, String) {
        let (operation, about) = asked(&method, path).unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message));
        let about = match about {
            About::All => String::new(),
            About::Namespace(namespace) => namespace.to_string(),
            About::Key(key) => key.to_string(),
        };
        (operation, about)
    }

    #[test]
    fn paths_are_read() {
        for (method, path, operation, about) in [
            (Method::GET, "/api/v1/state", Operation::Namespaces, ""),
            (Method::GET, "/api/v1/state/", Operation::Namespaces, ""),
            (Method::GET, "/api/v1/state/threads", Operation::List, "threads"),
            (Method::GET, "/api/v1/state/threads/", Operation::List, "threads"),
            (Method::GET, "/api/v1/state/threads/watch", Operation::Watch, "threads"),
            (Method::GET, "/api/v1/state/threads/%77atch", Operation::Get, "threads/watch"),
            (Method::GET, "/api/v1/state/threads/watch/x", Operation::Get, "threads/watch/x"),
            (Method::HEAD, "/api/v1/state/threads/a", Operation::Get, "threads/a"),
            (Method::PUT, "/api/v1/state/threads/a/b", Operation::Put, "threads/a/b"),
            (Method::PUT, "/api/v1/state/threads/a%2Fb", Operation::Put, "threads/a/b"),
            (Method::GET, "/api/v1/state/threads/history", Operation::Get, "threads/history"),
            (Method::GET, "/api/v1/state/threads/a/history", Operation::History, "threads/a"),
            (Method::GET, "/api/v1/state/threads/a%2Fhistory", Operation::Get, "threads/a/history"),
            (Method::GET, "/api/v1/state/threads/a/history/history", Operation::History, "threads/a/history"),
            (Method::PATCH, "/api/v1/state/threads/%C3%BCber", Operation::Patch, "threads/über"),
            (Method::POST, "/api/v1/state/threads/a/b/handoff", Operation::Handoff, "threads/a/b"),
            (Method::DELETE, "/api/v1/state/threads/a/pin", Operation::Unpin, "threads/a"),
            (Method::POST, "/api/v1/handoff/redeem", Operation::Redeem, ""),
            (Method::GET, "/api/v1/openapi.json", Operation::Describe, ""),
        ] {
            assert!(serves(path), "{path}");
            assert_eq!(found(method, path), (operation, about.to_owned()), "{path}");
        }
        for path in ["/api/v1/states", "/api/v1/stat", "/api/v1/handoff", "/api/v1/openapi.json/", "/v1/state/a/b"] {
            assert!(!serves(path), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for path in [
            "/api/v1/state/Threads/a",
            "/api/v1/state/_own/a",
            "/api/v1/state//a",
            "/api/v1/state/threads//a",
            "/api/v1/state/threads/a/",
            "/api/v1/state/threads/../keys",
            "/api/v1/state/threads/%2e%2e/keys",
            "/api/v1/state/threads/a%00",
            "/api/v1/state/threads/a%ff",
            "/api/v1/state/threads/a%2",
            "/api/v1/state/threads/a%zz",
        ] {
            let refusal = asked(&Method::GET, path).expect_err(path);
            assert_eq!((refusal.code, refusal.status), (Code::StateName, 400), "{path}");
        }
    }

    #[test]
    fn other_methods_are_refused_with_those_that_there_are() {
        for (method, path, others) in [
            (Method::POST, "/api/v1/state/threads/a", "GET, PUT, PATCH, DELETE"),
            (Method::PUT, "/api/v1/state/threads/a/history", "GET"),
            (Method::GET, "/api/v1/state/threads/a/pin", "PUT, DELETE"),
            (Method::GET, "/api/v1/handoff/redeem", "POST"),
            (Method::PUT, "/api/v1/state/threads/watch", "GET"),
        ] {
            let refusal = asked(&method, path).expect_err(path);
            assert_eq!(refusal.code, Code::MethodNotAllowed, "{path}");
            assert_eq!(allowed(path).as_deref(), Some(others), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "(/api/v1/state)?(/|%|[ -~]|[a-z0-9]|2F|%2F|\u{fc}){0,40}") {
            let _ = asked(&Method::GET, &path);
        }

        /// However a key is written, it is the same key.
        #[test]
        fn escaping_changes_nothing(name in "[a-z0-9ü ~!]{1,8}(/[a-z0-9]{1,5}){0,2}", escaped in any::<u64>()) {
            let mut path = "/api/v1/state/threads/".to_owned();
            for (number, byte) in name.bytes().enumerate() {
                if !byte.is_ascii_alphanumeric() || escaped >> (number % 64) & 1 == 1 || byte == b'/' {
                    path.push_str(&format!("%{byte:02X}"));
                } else {
                    path.push(char::from(byte));
                }
            }
            if path != "/api/v1/state/threads/watch" {
                prop_assert_eq!(found(Method::GET, &path), (Operation::Get, format!("threads/{name}")));
            }
        }
    }
}
