//! Lists that are fetched while the gateway runs: proxies, and lines of rules. Bounded, and as forgiving as a list of
//! somebody else's needs: an entry that cannot be read is left out and said, the others are used.

use std::fmt::Write as _;

use super::proxies;
use super::reader::Reader;
use crate::node::{Node, Value};
use crate::problem::Problems;
use crate::ways::{Proxy, ProxyAuth, ProxyKind};
use crate::yaml::parse_yaml;

/// The most proxies of one list.
pub const MOST_PROXIES: usize = 10_000;
/// The most lines of one list of rules.
pub const MOST_LINES: usize = 500_000;
/// How many problems of a list are said.
const MOST_SAID: usize = 5;

/// Why a list cannot be used at all. Shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is not YAML, or over a limit.
    #[error("{0}")]
    Unreadable(String),
    /// The key is missing that holds the list.
    #[error("file must have a `{0}` field")]
    NoList(&'static str),
    /// There is nothing in it.
    #[error("file doesn't have any {0}")]
    Empty(&'static str),
    /// More than anybody needs.
    #[error("there are {count} {what}, the most is {most}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Proxies of a list, and what there is to say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyList {
    /// The proxies, in the order of the list, each name once.
    pub proxies: Vec<Proxy>,
    /// What has no effect, and what was left out: without any secret.
    pub notes: Vec<String>,
}

/// Reads a map with the list `proxies`: what a subscription in mihomo's format is. Nothing in it is replaced from the
/// environment.
///
/// # Errors
/// When it is no such map, larger than [`crate::MOST_BYTES`] or one of the other limits of a document, has more than
/// [`MOST_PROXIES`] proxies, or none that can be read.
pub fn parse_proxies(yaml: &str) -> Result<ProxyList, ListError> {
    let node = read(yaml)?;
    let items = list(&node, "proxies", "proxy")?;
    if items.len() > MOST_PROXIES {
        return Err(ListError::TooMany { what: "proxies", count: items.len(), most: MOST_PROXIES });
    }
    let mut problems = Problems::new();
    let mut reader = Reader::new(&mut problems);
    let mut proxies: Vec<Proxy> = Vec::with_capacity(items.len());
    let mut names = std::collections::HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(proxy) = proxies::proxy(&mut reader, item, &format!("proxies[{index}]"), index) else { continue };
        if let Some(why) = not_from_elsewhere(&proxy) {
            reader.say(item.place, "", why, Some(&proxy.name));
        } else if names.insert(proxy.name.clone()) {
            proxies.push(proxy);
        } else {
            let message = "proxies with a name that is there already are left out";
            reader.say(item.place, "", message, Some(&proxy.name));
        }
    }
    let mut notes = reader.finish();
    let said = problems.list();
    notes.extend(said.iter().take(MOST_SAID).map(|problem| format!("line {}: {}", problem.line, problem.message)));
    if problems.len() > MOST_SAID {
        notes.push(format!("and {} more", problems.len() - MOST_SAID));
    }
    if proxies.is_empty() {
        let reason = said.first().map_or_else(String::new, |problem| problem.message.clone());
        return Err(if reason.is_empty() { ListError::Empty("proxy") } else { ListError::Unreadable(reason) });
    }
    Ok(ProxyList { proxies, notes })
}

/// Why a proxy may stand in the document alone: whoever writes a list must not come by the tickets of the user who reads
/// it, or have a script run.
fn not_from_elsewhere(proxy: &Proxy) -> Option<&'static str> {
    match &proxy.kind {
        ProxyKind::Pac(_) => Some("proxies of type `pac` in a list from elsewhere are left out"),
        ProxyKind::Http(http) if http.auth.contains(&ProxyAuth::Negotiate) || http.spn.is_some() => Some(
            "proxies with `auth: negotiate` in a list from elsewhere are left out: they would get this user's tickets",
        ),
        _ => None,
    }
}

/// Reads a map with the list `payload`: what a provider of rules in the format `yaml` is.
///
/// # Errors
/// When it is no such map, over a limit of a document, or has more than [`MOST_LINES`] lines.
pub fn parse_payload(yaml: &str) -> Result<Vec<String>, ListError> {
    let node = read(yaml)?;
    let items = list(&node, "payload", "rule")?;
    if items.len() > MOST_LINES {
        return Err(ListError::TooMany { what: "rules", count: items.len(), most: MOST_LINES });
    }
    let mut problems = Problems::new();
    let mut reader = Reader::new(&mut problems);
    let lines = items.iter().enumerate().filter_map(|(index, item)| reader.text_of(item, &format!("payload[{index}]")));
    let lines: Vec<String> = lines.map(|line| line.as_ref().to_owned()).collect();
    if let Some(problem) = problems.list().first() {
        return Err(ListError::Unreadable(format!("line {}: {}", problem.line, problem.message)));
    }
    Ok(lines)
}

fn read(yaml: &str) -> Result<Node, ListError> {
    let mut problems = Problems::new();
    let node = parse_yaml(yaml, &mut problems);
    match (node, problems.list().first()) {
        (Some(node), None) => Ok(node),
        (_, problem) => {
            let mut message = "this is not a list".to_owned();
            if let Some(problem) = problem {
                message.clone_from(&problem.message);
                if problem.line > 0 {
                    let _ = write!(message, " (line {}, column {})", problem.line, problem.column);
                }
            }
            Err(ListError::Unreadable(message))
        }
    }
}

fn list<'n>(node: &'n Node, key: &'static str, what: &'static str) -> Result<&'n [Node], ListError> {
    match node.get(key).map(|node| &node.value) {
        Some(Value::List(items)) if items.is_empty() => Err(ListError::Empty(what)),
        Some(Value::List(items)) => Ok(items),
        Some(Value::Null) => Err(ListError::Empty(what)),
        _ => Err(ListError::NoList(key)),
    }
}
