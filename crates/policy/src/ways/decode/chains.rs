//! Ways that lead into each other without end: groups that are members of each other, and `dialer-proxy` chains that
//! come back to where they began or are longer than any connection is made through.

use std::collections::HashMap;

use super::groups::PlacedGroup;
use super::names::PlacedProxy;
use super::providers::PlacedProvider;
use super::reader::Reader;
use crate::node::Place;

/// How many proxies one connection may lead through.
pub const LONGEST_CHAIN: usize = 8;
/// How many groups may stand in each other.
pub const DEEPEST_GROUPS: usize = 32;
/// How many names of a loop are shown.
const SHOWN: usize = 8;

/// Refuses groups that are members of each other. Returns whether there was none.
pub(super) fn group_loops(reader: &mut Reader<'_>, groups: &[PlacedGroup]) -> bool {
    let by_name: HashMap<&str, usize> =
        groups.iter().enumerate().map(|(index, placed)| (&*placed.group.name, index)).collect();
    let below: Vec<Vec<usize>> = groups
        .iter()
        .map(|placed| placed.group.members.proxies.iter().filter_map(|name| by_name.get(&**name).copied()).collect())
        .collect();
    let walked = depths(&below);
    let in_loop: Vec<usize> = (0..groups.len()).filter(|index| walked[*index] == Depth::Endless).collect();
    if let Some(first) = in_loop.first() {
        let names: Vec<String> =
            in_loop.iter().take(SHOWN).map(|index| reader.shown(&groups[*index].group.name)).collect();
        let more = if in_loop.len() > SHOWN { " …" } else { "" };
        let message =
            format!("loop is detected in ProxyGroup, please check following ProxyGroups: [{}{more}]", names.join(" "));
        let placed = &groups[*first];
        reader.refuse(
            placed.name_place,
            placed.path.clone(),
            message,
            "a group cannot be a member of itself, however far down",
        );
        return false;
    }
    for (placed, depth) in groups.iter().zip(&walked) {
        // Only the first that is too deep: those above it would say the same.
        if *depth == Depth::Steps(DEEPEST_GROUPS + 1) {
            let message = format!("more than {DEEPEST_GROUPS} groups stand in each other");
            reader.refuse(placed.name_place, placed.path.clone(), message, "");
        }
    }
    true
}

/// Refuses chains of `dialer-proxy` that are endless or longer than [`LONGEST_CHAIN`], through members that groups name
/// themselves. What comes in by `include-all` or from a list elsewhere is bounded when a connection is made.
pub(super) fn dialer_chains(
    reader: &mut Reader<'_>,
    proxies: &[PlacedProxy<'_>],
    groups: &[PlacedGroup],
    providers: &[PlacedProvider],
) {
    // Places in one table: proxies, then groups, then providers.
    let mut by_name: HashMap<&str, usize> = HashMap::with_capacity(proxies.len() + groups.len());
    for (index, placed) in proxies.iter().enumerate() {
        by_name.entry(&placed.proxy.name).or_insert(index);
    }
    for (index, placed) in groups.iter().enumerate() {
        by_name.entry(&placed.group.name).or_insert(proxies.len() + index);
    }
    let first_provider = proxies.len() + groups.len();
    let provider_of: HashMap<&str, usize> =
        providers.iter().enumerate().map(|(index, placed)| (&*placed.provider.name, first_provider + index)).collect();
    let find = |name: &str| by_name.get(name).copied();
    let mut below: Vec<Vec<usize>> = Vec::with_capacity(first_provider + providers.len());
    below.extend(proxies.iter().map(|placed| placed.proxy.dialer.as_deref().and_then(find).into_iter().collect()));
    below.extend(groups.iter().map(|placed| {
        let members = &placed.group.members;
        let used = members.providers.iter().filter_map(|name| provider_of.get(&**name).copied());
        members.proxies.iter().filter_map(|name| find(name)).chain(used).collect()
    }));
    below.extend(providers.iter().map(|placed| {
        let inline = placed.inline_dialers.iter().map(|(_, dialer, ..)| &**dialer);
        placed.provider.dialer.as_deref().into_iter().chain(inline).filter_map(find).collect()
    }));
    let steps: Vec<usize> =
        (0..below.len()).map(|at| usize::from(at < proxies.len() || at >= first_provider)).collect();
    for (at, depth) in weighted_depths(&below, &steps).into_iter().enumerate() {
        if let Some(placed) = proxies.get(at) {
            if let Some(node) = placed.node.get("dialer-proxy").filter(|_| placed.proxy.dialer.is_some()) {
                let name = format!("proxy [{}]", reader.shown(&placed.proxy.name));
                refuse(reader, depth, node.place, format!("{}.dialer-proxy", placed.path), &name);
            }
        } else if let Some(index) = at.checked_sub(first_provider) {
            let placed = &providers[index];
            let inline = placed.inline_dialers.first().map(|(_, _, place, path)| (*place, path.clone()));
            let own = placed.provider.dialer.is_some().then(|| placed.dialer.clone());
            if let Some((place, path)) = own.or(inline) {
                let name = format!("provider [{}]", reader.shown(&placed.provider.name));
                refuse(reader, depth, place, path, &name);
            }
        }
    }
}

fn refuse(reader: &mut Reader<'_>, depth: Depth, place: Place, path: String, whose: &str) {
    match depth {
        Depth::Endless => {
            let message = format!("{whose} has circular dialer-proxy dependency");
            reader.refuse(place, path, message, "lead it through a proxy or group that does not come back to it");
        }
        // Only the first that is too long: those that lead to it would say the same.
        Depth::Steps(steps) if steps == LONGEST_CHAIN + 1 => {
            let message = format!("{whose} begins a dialer-proxy chain of more than {LONGEST_CHAIN} proxies");
            reader.refuse(place, path, message, "");
        }
        Depth::Steps(_) => {}
    }
}

/// How far it goes down from somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// So many, itself included.
    Steps(usize),
    /// It comes back to itself.
    Endless,
}

fn depths(below: &[Vec<usize>]) -> Vec<Depth> {
    weighted_depths(below, &vec![1; below.len()])
}

/// The depth of each node of a graph, in which a node counts `steps`. [`Depth::Endless`] for the nodes of a loop, not
/// for those that only lead to one.
fn weighted_depths(below: &[Vec<usize>], steps: &[usize]) -> Vec<Depth> {
    let endless = loops(below);
    let mut found: Vec<Option<usize>> = vec![None; below.len()];
    for start in 0..below.len() {
        if endless[start] || found[start].is_some() {
            continue;
        }
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.last_mut() {
            let node = *node;
            if let Some(child) = below[node].get(*next).copied() {
                *next += 1;
                if !endless[child] && found[child].is_none() {
                    way.push((child, 0));
                }
                continue;
            }
            let deepest = below[node].iter().filter_map(|child| found[*child]).max().unwrap_or(0);
            found[node] = Some(deepest + steps[node]);
            way.pop();
        }
    }
    found.into_iter().map(|steps| steps.map_or(Depth::Endless, Depth::Steps)).collect()
}

/// Which nodes lie on a loop: the strongly connected components of more than one node, and nodes that lead to
/// themselves (Tarjan 1972, without recursion).
fn loops(below: &[Vec<usize>]) -> Vec<bool> {
    const NEW: usize = usize::MAX;
    let mut number = vec![NEW; below.len()];
    let mut low = vec![0; below.len()];
    let mut is_open = vec![false; below.len()];
    let mut is_loop = vec![false; below.len()];
    let (mut open, mut counter) = (Vec::new(), 0);
    for start in 0..below.len() {
        if number[start] != NEW {
            continue;
        }
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.last_mut() {
            let node = *node;
            if *next == 0 {
                (number[node], low[node]) = (counter, counter);
                counter += 1;
                open.push(node);
                is_open[node] = true;
            }
            if let Some(child) = below[node].get(*next).copied() {
                *next += 1;
                if number[child] == NEW {
                    way.push((child, 0));
                } else if is_open[child] {
                    low[node] = low[node].min(number[child]);
                }
                continue;
            }
            way.pop();
            if let Some((parent, _)) = way.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == number[node] {
                let begin = open.iter().rposition(|one| *one == node).expect("a node is open until its component ends");
                let component = open.split_off(begin);
                let is_one = component.len() > 1 || below[node].contains(&node);
                for one in component {
                    is_open[one] = false;
                    is_loop[one] = is_one;
                }
            }
        }
    }
    is_loop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_depths_of_graphs() {
        use Depth::{Endless, Steps};
        for (below, expected) in [
            (vec![], vec![]),
            (vec![vec![]], vec![Steps(1)]),
            (vec![vec![0]], vec![Endless]),
            (vec![vec![1], vec![0]], vec![Endless, Endless]),
            (vec![vec![1, 2], vec![2], vec![]], vec![Steps(3), Steps(2), Steps(1)]),
            // A node that leads to a loop is none itself.
            (vec![vec![1], vec![2], vec![1], vec![]], vec![Steps(1), Endless, Endless, Steps(1)]),
            (vec![vec![1, 1], vec![2, 0], vec![]], vec![Endless, Endless, Steps(1)]),
        ] {
            assert_eq!(depths(&below), expected, "{below:?}");
        }
    }

    #[test]
    fn long_ways_need_no_stack() {
        let below: Vec<Vec<usize>> = (0..200_000).map(|at| if at == 199_999 { vec![] } else { vec![at + 1] }).collect();
        assert_eq!(depths(&below)[0], Depth::Steps(200_000));
        let round: Vec<Vec<usize>> = (0..200_000).map(|at| vec![(at + 1) % 200_000]).collect();
        assert_eq!(depths(&round)[7], Depth::Endless);
    }
}
