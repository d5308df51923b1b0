//! Linux: netlink for links, addresses, routes, neighbours, radios and changes; `resolv.conf` for domains.

mod changes;
mod netlink;
mod tables;
mod wifi;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netlink_sys::protocols::NETLINK_ROUTE;

use self::changes::LinuxChanges;
use self::netlink::Netlink;
use self::tables::{Gateway, Link};
use self::wifi::Radio;
use super::domains;
use super::rules::{is_told, keep};
use super::{Changes, Interface, Kind, Note, Range, Sample, SampleError, Sampler};

const CLASSES: &str = "/sys/class/net";

/// `ARPHRD_…` of linux/if_arp.h.
mod hardware {
    pub(super) const ETHERNET: u16 = 1;
    pub(super) const PPP: u16 = 512;
    pub(super) const RAW_IP: u16 = 519;
    pub(super) const LOOPBACK: u16 = 772;
    pub(super) const NONE: u16 = 0xfffe;
}

/// The sampler of Linux. Sees the network namespace of the thread that asks.
pub(super) struct LinuxSampler;

impl LinuxSampler {
    pub(super) const fn new() -> Self {
        Self
    }
}

impl Sampler for LinuxSampler {
    fn sample(&self) -> Result<Sample, SampleError> {
        let mut netlink = Netlink::open(NETLINK_ROUTE).map_err(|error| SampleError::new("ask the kernel", error))?;
        let links = tables::links(&mut netlink).map_err(|error| SampleError::new("list the interfaces", error))?;
        let seen = Seen {
            addresses: tables::addresses(&mut netlink)
                .map_err(|error| SampleError::new("list the addresses", error))?,
            gateways: tables::gateways(&mut netlink).map_err(|error| SampleError::new("list the routes", error))?,
            neighbours: tables::neighbours(&mut netlink)
                .map_err(|error| SampleError::new("list the neighbours", error))?,
            radios: wifi::radios(),
            classes: Path::new(CLASSES),
        };
        let dns_suffix = domains::present()?;
        let (interfaces, notes) = describe(links, &seen);
        Ok(Sample { interfaces, dns_suffix, notes })
    }

    fn changes(&self) -> Result<Box<dyn Changes>, SampleError> {
        let changes = LinuxChanges::begin().map_err(|error| SampleError::new("listen for changes", error))?;
        Ok(Box::new(changes))
    }
}

/// What else was seen beside the links.
struct Seen<'a> {
    addresses: HashMap<u32, Vec<Range>>,
    gateways: Vec<Gateway>,
    neighbours: HashMap<(u32, IpAddr), super::Mac>,
    radios: io::Result<HashMap<u32, Radio>>,
    /// The folder of sysfs that shows which links are radios, in case nl80211 does not say it.
    classes: &'a Path,
}

/// Whether sysfs shows a link to be a radio.
fn has_radio(classes: &Path, name: &str) -> bool {
    // A name of a link has no slash, save for one that was made to lead elsewhere.
    !name.contains('/') && ["wireless", "phy80211"].iter().any(|mark| classes.join(name).join(mark).exists())
}

fn describe(links: Vec<Link>, seen: &Seen<'_>) -> (Vec<Interface>, Vec<Note>) {
    let (mut interfaces, mut notes) = (Vec::new(), Vec::new());
    for link in links.into_iter().filter(|link| is_told(&link.name)) {
        let radio = seen.radios.as_ref().ok().and_then(|radios| radios.get(&link.index));
        let kind = if radio.is_some() || has_radio(seen.classes, &link.name) { Kind::Wifi } else { kind(&link) };
        let mut interface = Interface::new(&*link.name, kind);
        if kind == Kind::Wifi {
            notes.extend(fill_wireless(&mut interface, &link, radio, seen.radios.as_ref().err()));
        }
        if !link.is_running {
            continue;
        }
        let mut subnets = seen.addresses.get(&link.index).cloned().unwrap_or_default();
        subnets.retain(|range| !matches!(range.address, IpAddr::V6(address) if address.is_unicast_link_local()));
        interface.subnets = subnets;
        let own = seen.gateways.iter().filter(|gateway| gateway.link == link.index);
        interface.gateway_ip = own.min_by_key(|gateway| gateway.rank).map(|gateway| gateway.address);
        interface.gateway_mac =
            interface.gateway_ip.and_then(|address| seen.neighbours.get(&(link.index, address)).copied());
        if interface.gateway_ip.is_some() && interface.gateway_mac.is_none() {
            let why = "the gateway's hardware address is not known, because nothing has been sent to it yet".to_owned();
            notes.push(Note { interface: link.name.clone(), field: "gateway_mac", why });
        }
        interfaces.push(interface);
    }
    (keep(interfaces), notes)
}

/// What a radio says of its network, and why not.
fn fill_wireless(
    interface: &mut Interface,
    link: &Link,
    radio: Option<&Radio>,
    error: Option<&io::Error>,
) -> Vec<Note> {
    let ssid = radio.and_then(|radio| radio.ssid.as_deref());
    interface.ssid = ssid.and_then(|ssid| str::from_utf8(ssid).ok()).map(str::to_owned);
    interface.bssid = radio.and_then(|radio| radio.bssid);
    let why = if let Some(error) = error {
        format!("the kernel does not answer by nl80211: {error}")
    } else if !link.is_running {
        "the interface is not connected".to_owned()
    } else if radio.is_some_and(|radio| !radio.is_station) {
        "the interface is no client of a wireless network".to_owned()
    } else {
        "the driver does not say it".to_owned()
    };
    let mut notes = Vec::new();
    let mut note = |field, what: &str, why: &str| {
        let why = format!("the {what} could not be read, because {why}");
        notes.push(Note { interface: link.name.clone(), field, why });
    };
    if interface.ssid.is_none() {
        note("ssid", "SSID", if ssid.is_some() { "the name is no UTF-8" } else { &why });
    }
    if interface.bssid.is_none() {
        note("bssid", "BSSID", &why);
    }
    notes
}

/// What a link is, by what it says of itself.
fn kind(link: &Link) -> Kind {
    match (&*link.kind, link.hardware) {
        (_, hardware::LOOPBACK) => Kind::Loopback,
        ("wwan" | "rmnet", _) => Kind::Wwan,
        // systemd names modems so; some of them look like Ethernet.
        ("", hardware::ETHERNET | hardware::RAW_IP | hardware::NONE) if link.name.starts_with("ww") => Kind::Wwan,
        ("wireguard" | "ovpn" | "xfrm" | "vti" | "vti6" | "gre" | "ip6gre" | "ipip" | "ip6tnl" | "sit", _) => Kind::Vpn,
        // With Ethernet headers it is a virtual machine's more often than a tunnel.
        ("tun", hardware::NONE) | (_, hardware::PPP) => Kind::Vpn,
        (
            "" | "veth" | "vlan" | "bond" | "team" | "bridge" | "macvlan" | "ipvlan" | "netkit" | "dsa",
            hardware::ETHERNET,
        ) => Kind::Ethernet,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests;
