//! `/proxies` and `/group`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tradewind_door::Response;
use tradewind_ways::{Group, Member, SelectError, WaySet, Ways};

use super::answer::{Wrong, done, object, text, under};
use super::view::ProxyView;

/// All proxies and groups of the document by name; those of lists are with their lists.
pub(crate) fn list(set: &WaySet) -> Response {
    let nodes = set.nodes.iter().map(|node| (node.name().clone(), ProxyView::node(node)));
    let groups =
        set.groups.iter().map(|group| (group.name().clone(), ProxyView::of(set, &Member::Group(group.clone()))));
    let proxies: BTreeMap<Arc<str>, ProxyView> = nodes.chain(groups).collect();
    under("proxies", &proxies)
}

/// The groups, in the order of the document. mihomo's order is another one after each start.
pub(crate) fn groups(set: &WaySet) -> Response {
    let groups = set.groups.iter().map(|group| ProxyView::of(set, &Member::Group(group.clone())));
    under("proxies", &groups.collect::<Vec<_>>())
}

/// The proxy or group of this name.
pub(crate) fn find(set: &WaySet, name: &str) -> Result<Member, Wrong> {
    set.get(name).cloned().ok_or(Wrong::Unknown)
}

/// The group of this name.
pub(crate) fn find_group(set: &WaySet, name: &str) -> Result<Arc<Group>, Wrong> {
    set.group(name).cloned().ok_or(Wrong::Unknown)
}

/// Selects the member that `body` names.
pub(crate) fn select(ways: &Ways, group: &str, body: &[u8]) -> Result<Response, Wrong> {
    let body = object(body)?;
    let member = text(&body, "name")?;
    match ways.select(group, member) {
        Ok(()) => Ok(done()),
        Err(SelectError::Unknown(_)) => Err(Wrong::Unknown),
        Err(SelectError::NotSelectable(_)) => Err(Wrong::said(400, "Must be a Selector")),
        Err(SelectError::NoMember(..)) => Err(Wrong::said(400, "Selector update error: proxy not exist")),
    }
}

/// Lets a group that picks by itself do so again.
pub(crate) fn unfix(ways: &Ways, group: &str) -> Result<Response, Wrong> {
    match ways.unfix(group) {
        Ok(()) => Ok(done()),
        Err(SelectError::Unknown(_)) => Err(Wrong::Unknown),
        Err(_) => Err(Wrong::Body),
    }
}
