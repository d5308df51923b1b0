//! What macOS and Windows have in common: interfaces as `netdev` lists them, which knows the calls of both.
//!
//! Compiled for both, never run.

use std::io;
use std::net::IpAddr;

use super::rules::{is_told, keep};
use super::{Interface, Kind, Mac, Note, Range, Sample, SampleError};

/// A wireless network as its interface sees it: name and access point.
pub(super) type Wireless = (Option<String>, Option<Mac>);

/// Samples the interfaces that run. `kind` says what one is; `wireless` what is known of its network, or why it is not.
pub(super) fn sample(
    name: impl Fn(&netdev::Interface) -> String,
    kind: impl Fn(&netdev::Interface) -> Kind,
    wireless: impl Fn(&netdev::Interface) -> Result<Wireless, String>,
    dns_suffix: Vec<String>,
) -> Result<Sample, SampleError> {
    let seen = netdev::get_interfaces();
    if seen.is_empty() {
        // There is always a loopback: the list could not be had.
        return Err(SampleError::new("list the interfaces", io::Error::other("the system lists none")));
    }
    let (mut interfaces, mut notes) = (Vec::new(), Vec::new());
    for one in seen.iter().filter(|one| one.is_up() && one.is_oper_up()) {
        let mut interface = Interface::new(name(one), kind(one));
        if !is_told(&interface.name) {
            continue;
        }
        let v4 = one.ipv4.iter().map(|net| Range { address: net.addr().into(), length: net.prefix_len() });
        let v6 = one.ipv6.iter().filter(|net| !net.addr().is_unicast_link_local());
        interface.subnets =
            v4.chain(v6.map(|net| Range { address: net.addr().into(), length: net.prefix_len() })).collect();
        // Both systems keep tunnels of their own up that lead nowhere, with link-local addresses alone.
        if interface.iface_type == Kind::Vpn && interface.subnets.is_empty() {
            continue;
        }
        if let Some(gateway) = &one.gateway {
            let v4 = gateway.ipv4.first().copied().map(IpAddr::V4);
            interface.gateway_ip = v4.or_else(|| gateway.ipv6.first().copied().map(IpAddr::V6));
            let mac = Mac(gateway.mac_addr.octets());
            interface.gateway_mac = Some(mac).filter(|mac| mac.0 != [0; 6] && interface.gateway_ip.is_some());
        }
        if interface.iface_type == Kind::Wifi {
            let (known, why) = match wireless(one) {
                Ok(known) => (known, "the system does not say it".to_owned()),
                Err(why) => ((None, None), why),
            };
            (interface.ssid, interface.bssid) = known;
            let missing = [("ssid", "SSID", interface.ssid.is_none()), ("bssid", "BSSID", interface.bssid.is_none())];
            for (field, what, _) in missing.into_iter().filter(|(_, _, is_missing)| *is_missing) {
                let why = format!("the {what} could not be read, because {why}");
                notes.push(Note { interface: interface.name.clone(), field, why });
            }
        }
        interfaces.push(interface);
    }
    Ok(Sample { interfaces: keep(interfaces), dns_suffix, notes })
}
