//! Which changes of the configuration a running gateway cannot take over.

use tradewind_policy::Change;

/// Sections that are looked at once, at the start. Of `tls` that is only whether it is there: its files are read again
/// with the configuration.
const SECTIONS: [&str; 7] =
    ["listen", "data-dir", "journal", "store", "state.durability", "state.replicas", "state.encryption"];
/// Limits that are looked at once.
const LIMITS: [&str; 7] = [
    "limits.request-headers",
    "limits.header-time",
    "limits.concurrent-calls",
    "limits.connections",
    "limits.write-stall",
    "limits.drain",
    "limits.answer-headers",
];

/// What of `changes` takes effect at the next start only, each once, in the order of the changes.
pub(super) fn at_next_start(changes: &[Change]) -> Vec<&'static str> {
    let mut waiting = Vec::new();
    for change in changes {
        let path = change.path();
        let section = SECTIONS.into_iter().find(|section| is_within(path, section));
        let limit = LIMITS.into_iter().find(|limit| path == *limit);
        let what = match path {
            "tls" => Some("turning TLS on or off"),
            // A whole section that came or went may have any of them.
            "limits" => Some("the limits of connections, headers and stopping"),
            "state" => Some("the durability, replicas and encryption of state"),
            _ => section.or(limit),
        };
        if let Some(what) = what.filter(|what| !waiting.contains(what)) {
            waiting.push(what);
        }
    }
    waiting
}

fn is_within(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;
    use tradewind_policy::diff;

    fn waiting(from: &str, to: &str) -> Vec<&'static str> {
        let root = |text: &str| Document::parse(text).unwrap().root;
        at_next_start(&diff(&root(from), &root(to)))
    }

    #[test]
    fn what_a_running_gateway_takes_over_is_not_named() {
        let from = "listen: 127.0.0.1:1\ntls: {cert: a, key: b}\nlimits: {request-body: 1MiB, drain: 5s}\n";
        let nothing: [&str; 0] = [];
        assert_eq!(waiting(from, &from.replace("cert: a", "cert: c").replace("1MiB", "2MiB")), nothing);
        assert_eq!(waiting(from, &from.replace("drain: 5s", "drain: 6s")), ["limits.drain"]);
        assert_eq!(
            waiting(from, "listen: 127.0.0.1:2\nlimits: {request-body: 1MiB, drain: 5s}\n"),
            ["listen", "turning TLS on or off"]
        );
        assert_eq!(waiting("{}", "journal: {max-age: 1d}"), ["journal"]);
        assert_eq!(waiting("journal: {max-age: 1d}", "journal: {max-age: 2d}\nmodels: []"), ["journal"]);
        assert_eq!(waiting(from, "listen: 127.0.0.1:1\ntls: {cert: a, key: b}\n").len(), 1);
        assert_eq!(waiting("store: sqlite\nstate: {keep: 3}", "store: wal\nstate: {keep: 4}"), ["store"]);
        assert_eq!(waiting("state: {keep: 3}", "state: {keep: 3, durability: os}"), ["state.durability"]);
    }
}
