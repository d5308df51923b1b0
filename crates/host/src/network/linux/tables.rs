//! The kernel's tables of links, addresses, routes and neighbours (rtnetlink(7)).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::{Netlink, attribute, attributes, push_attribute, text, u16_at, u32_at};
use crate::network::{Mac, Range};

/// Asks the kernel to leave counters out of the list of links, `RTEXT_FILTER_SKIP_STATS`.
const WITHOUT_COUNTERS: u32 = 1 << 3;
/// `RTN_UNICAST`, and the main table.
const UNICAST: u8 = 1;
const MAIN_TABLE: u32 = 254;
/// `RTM_F_CLONED`: an entry of a cache, not a route.
const CLONED: u32 = 0x200;
/// `RTNH_F_DEAD` and `RTNH_F_LINKDOWN`: a way on that is not used now.
const DEAD: u8 = 0x1 | 0x10;
/// The states of a neighbour whose hardware address is known: reachable, stale, delay, probe, permanent.
const RESOLVED: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x80;

/// A link, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// `ARPHRD_…`.
    pub(super) hardware: u16,
    /// `wireguard`, `tun`, `veth`; empty for what is no software.
    pub(super) kind: String,
    /// Whether it is up and has a carrier.
    pub(super) is_running: bool,
}

/// Every link, in the order of the kernel.
pub(super) fn links(netlink: &mut Netlink) -> io::Result<Vec<Link>> {
    let mut request = vec![0; 16];
    push_attribute(&mut request, libc::IFLA_EXT_MASK, &WITHOUT_COUNTERS.to_ne_bytes());
    netlink.list(libc::RTM_GETLINK, &request, |links, entry| links.extend(link(entry)))
}

fn link(entry: &[u8]) -> Option<Link> {
    let (hardware, index, flags) = (u16_at(entry, 2)?, u32_at(entry, 4)?, u32_at(entry, 8)?);
    let rest = entry.get(16..)?;
    let info = attribute(rest, libc::IFLA_LINKINFO).unwrap_or_default();
    let wanted = (libc::IFF_UP | libc::IFF_RUNNING).cast_unsigned();
    Some(Link {
        index,
        name: text(attribute(rest, libc::IFLA_IFNAME)?),
        hardware,
        kind: attribute(info, libc::IFLA_INFO_KIND).map(text).unwrap_or_default(),
        is_running: flags & wanted == wanted,
    })
}

/// The addresses of each link, by its index.
pub(super) fn addresses(netlink: &mut Netlink) -> io::Result<HashMap<u32, Vec<Range>>> {
    let all = netlink.list(libc::RTM_GETADDR, &[0; 8], |list, entry| list.extend(own_address(entry)))?;
    let mut by_link: HashMap<u32, Vec<Range>> = HashMap::new();
    for (index, range) in all {
        by_link.entry(index).or_default().push(range);
    }
    Ok(by_link)
}

fn own_address(entry: &[u8]) -> Option<(u32, Range)> {
    let (length, index, rest) = (*entry.get(1)?, u32_at(entry, 4)?, entry.get(8..)?);
    // At the end of a line `IFA_ADDRESS` is the other end.
    let address = ip(attribute(rest, libc::IFA_LOCAL).or_else(|| attribute(rest, libc::IFA_ADDRESS))?)?;
    Some((index, Range { address, length }))
}

/// A way on that a default route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gateway {
    pub(super) link: u32,
    pub(super) address: IpAddr,
    /// Which of them is used: IPv4 first, which may lead by way of IPv6, then the lowest metric.
    pub(super) rank: (bool, u32),
}

/// The ways on of all default routes of the main table, each of several equal ones; those that lead straight to the link
/// have none.
pub(super) fn gateways(netlink: &mut Netlink) -> io::Result<Vec<Gateway>> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut request = [0; 12];
        request[0] = u8::try_from(family).expect("families are small numbers");
        request[4] = MAIN_TABLE.to_le_bytes()[0];
        let listed = netlink.list(libc::RTM_GETROUTE, &request, |list, entry| {
            if entry.first() == Some(&request[0]) {
                ways_on(list, entry);
            }
        });
        match listed {
            Ok(list) => all.extend(list),
            // A family that the kernel was built without, or a table in which nothing was ever put.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::ENOENT)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn ways_on(list: &mut Vec<Gateway>, entry: &[u8]) {
    let (Some(&[_, length, _, _, table, _, _, kind]), Some(flags)) = (entry.first_chunk(), u32_at(entry, 8)) else {
        return;
    };
    let rest = entry.get(12..).unwrap_or_default();
    let number = |kind: u16| attribute(rest, kind).and_then(|value| u32_at(value, 0));
    let table = number(libc::RTA_TABLE).unwrap_or_else(|| table.into());
    if length != 0 || kind != UNICAST || table != MAIN_TABLE || flags & CLONED != 0 {
        return;
    }
    let is_ipv6 = entry.first().copied().map(i32::from) == Some(libc::AF_INET6);
    let rank = (is_ipv6, number(libc::RTA_PRIORITY).unwrap_or(0));
    let mut add = |link: u32, attributes: &[u8]| {
        list.extend(way_on(attributes).map(|address| Gateway { link, address, rank }));
    };
    if let Some(link) = number(libc::RTA_OIF)
        && flags & u32::from(DEAD) == 0
    {
        add(link, rest);
    }
    let mut hops = attribute(rest, libc::RTA_MULTIPATH).unwrap_or_default();
    while let (Some(length), Some(&flags), Some(link)) = (u16_at(hops, 0), hops.get(2), u32_at(hops, 4)) {
        let Some(attributes) = hops.get(8..usize::from(length)) else { break };
        if flags & DEAD == 0 {
            add(link, attributes);
        }
        hops = hops.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Where a route leads: `RTA_GATEWAY`, or `RTA_VIA` for IPv4 by way of IPv6 (RFC 5549).
fn way_on(attributes: &[u8]) -> Option<IpAddr> {
    let via = || attribute(attributes, libc::RTA_VIA).and_then(|value| value.get(2..));
    ip(attribute(attributes, libc::RTA_GATEWAY).or_else(via)?)
}

/// The hardware addresses of neighbours that are known, by link and address.
pub(super) fn neighbours(netlink: &mut Netlink) -> io::Result<HashMap<(u32, IpAddr), Mac>> {
    let mut all = HashMap::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut request = [0; 12];
        request[0] = u8::try_from(family).expect("families are small numbers");
        match netlink.list(libc::RTM_GETNEIGH, &request, |list, entry| list.extend(neighbour(entry))) {
            Ok(list) => all.extend(list),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn neighbour(entry: &[u8]) -> Option<((u32, IpAddr), Mac)> {
    let (index, state, rest) = (u32_at(entry, 4)?, u16_at(entry, 8)?, entry.get(12..)?);
    if state & RESOLVED == 0 {
        return None;
    }
    let values = |kind: u16| attributes(rest).find(|(found, _)| *found == kind).map(|(_, value)| value);
    let mac = <[u8; 6]>::try_from(values(libc::NDA_LLADDR)?).ok()?;
    Some(((index, ip(values(libc::NDA_DST)?)?), Mac(mac)))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || bytes.try_into().ok().map(|octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets)));
    v4().or_else(|| bytes.try_into().ok().map(|octets: [u8; 16]| IpAddr::V6(Ipv6Addr::from(octets))))
}
