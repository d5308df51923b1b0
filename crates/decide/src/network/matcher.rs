//! Whether a match fits a context.
//!
//! `block = (no keys of interfaces, or there is one interface that fulfils all of them) and domains and every
//! combinator`. What an interface does not say never fulfils a key, so that `not` over it is true, also where there is
//! no interface at all.

use std::net::IpAddr;

use tradewind_policy::ways::address::same_prefix;
use tradewind_policy::ways::{Block, Match, Network};

use super::context::{Context, Interface};

/// The present network: the first whose match fits.
#[must_use]
pub fn matched<'a>(networks: &'a [Network], context: &Context) -> Option<&'a Network> {
    networks.iter().find(|network| fits(&network.matches, context))
}

fn fits(wanted: &Match, context: &Context) -> bool {
    let any = |list: &[Match]| list.iter().any(|wanted| fits(wanted, context));
    let all = |list: &[Match]| list.iter().all(|wanted| fits(wanted, context));
    (is_empty(&wanted.interface) || context.interfaces.iter().any(|one| fulfils(&wanted.interface, one)))
        && (wanted.dns_suffix.is_empty() || shares_domain(&wanted.dns_suffix, context))
        && wanted.any.as_deref().is_none_or(any)
        && wanted.all.as_deref().is_none_or(all)
        && wanted.not.as_deref().is_none_or(|wanted| !fits(wanted, context))
}

/// Whether the block asks nothing of interfaces.
pub(super) fn is_empty(block: &Block) -> bool {
    let Block { name, iface_type, ssid, bssid, gateway_ip, gateway_mac, subnets } = block;
    [name, iface_type, ssid, bssid, gateway_mac].into_iter().all(Vec::is_empty)
        && gateway_ip.is_empty()
        && subnets.is_empty()
}

fn fulfils(block: &Block, interface: &Interface) -> bool {
    let Block { name, iface_type, ssid, bssid, gateway_ip, gateway_mac, subnets } = block;
    one_of(name, Some(&interface.name))
        && one_of(iface_type, interface.iface_type)
        && one_of(ssid, interface.ssid.as_deref())
        && one_of(bssid, interface.bssid.as_deref())
        && (gateway_ip.is_empty() || interface.gateway_ip.is_some_and(|address| in_one(gateway_ip, address)))
        && one_of(gateway_mac, interface.gateway_mac.as_deref())
        && (subnets.is_empty() || touch(subnets, interface))
}

/// Whether a text is one of those wanted; nothing wanted is fulfilled by anything.
pub(super) fn one_of(wanted: &[String], said: Option<&str>) -> bool {
    wanted.is_empty() || said.is_some_and(|said| wanted.iter().any(|wanted| wanted == said))
}

/// Whether an address lies in one of the ranges.
pub(super) fn in_one(wanted: &[(IpAddr, u8)], address: IpAddr) -> bool {
    wanted.iter().any(|(wanted, length)| same_prefix(*wanted, address, *length))
}

/// Whether a range of the interface overlaps one of those wanted.
pub(super) fn touch(wanted: &[(IpAddr, u8)], interface: &Interface) -> bool {
    wanted.iter().any(|wanted| interface.subnets.iter().any(|own| own.overlaps(*wanted)))
}

/// Whether one of the domains is there, as a whole.
pub(super) fn shares_domain(wanted: &[String], context: &Context) -> bool {
    wanted.iter().any(|wanted| context.dns_suffix.binary_search(wanted).is_ok())
}
