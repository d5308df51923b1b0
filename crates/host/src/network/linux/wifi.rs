//! Which wireless networks the radios are in, by nl80211 (Linux `include/uapi/linux/nl80211.h`).
//!
//! No daemon is asked, so it does not matter which one drives the radios. A name that is no UTF-8 is not told: a network
//! context has no way to say it.

use std::collections::HashMap;
use std::io;

use netlink_sys::protocols::NETLINK_GENERIC;

use super::netlink::{Netlink, attribute, attributes, push_attribute, u16_at, u32_at};
use crate::network::Mac;

/// The controller of generic netlink, and its request for a family by name.
const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_INTERFACE: u8 = 5;
const GET_SCAN: u8 = 32;
const IFINDEX: u16 = 3;
const IFTYPE: u16 = 5;
const BSS: u16 = 47;
const SSID: u16 = 52;
/// A radio that uses a network, and does not make one.
const STATION: u32 = 2;

const BSS_BSSID: u16 = 1;
const BSS_ELEMENTS: u16 = 6;
const BSS_STATUS: u16 = 9;
const BSS_BEACON_ELEMENTS: u16 = 11;
const ASSOCIATED: u32 = 1;

/// The generic header before attributes, `struct genlmsghdr`.
const HEADER: usize = 4;

/// What is known of one radio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Radio {
    /// The name of the network, in bytes.
    pub(super) ssid: Option<Vec<u8>>,
    /// The access point.
    pub(super) bssid: Option<Mac>,
    /// Whether it uses a network, and does not make one.
    pub(super) is_station: bool,
}

/// The radios of this network namespace, by the index of their link. Empty on a machine without any; an error when the
/// kernel does not answer, or has no nl80211.
pub(super) fn radios() -> io::Result<HashMap<u32, Radio>> {
    let mut netlink = Netlink::open(NETLINK_GENERIC)?;
    let mut family = None;
    netlink.ask(CONTROLLER, &request(GET_FAMILY, &[(FAMILY_NAME, b"nl80211\0")]), |reply| {
        family = reply.get(HEADER..).and_then(|rest| attribute(rest, FAMILY_ID)).and_then(|value| u16_at(value, 0));
    })?;
    let family = family.ok_or(io::ErrorKind::NotFound)?;
    let listed = netlink.list(family, &request(GET_INTERFACE, &[]), |list, reply| list.extend(radio(reply)))?;
    let mut radios: HashMap<u32, Radio> = listed.into_iter().collect();
    for (index, radio) in radios.iter_mut().filter(|(_, radio)| radio.is_station) {
        let scan = request(GET_SCAN, &[(IFINDEX, &index.to_ne_bytes())]);
        // Some drivers have no list of what they hear; what the interface said still counts.
        let heard = netlink.list(family, &scan, |list, reply| list.extend(associated(reply)));
        if let Some((bssid, ssid)) = heard.unwrap_or_default().pop() {
            radio.bssid = Some(bssid);
            radio.ssid = radio.ssid.take().or(ssid);
        }
    }
    Ok(radios)
}

fn request(command: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut request = vec![command, 1, 0, 0];
    for (kind, value) in attributes {
        push_attribute(&mut request, *kind, value);
    }
    request
}

/// One entry of the list of interfaces.
fn radio(reply: &[u8]) -> Option<(u32, Radio)> {
    let rest = reply.get(HEADER..)?;
    let number = |kind: u16| attribute(rest, kind).and_then(|value| u32_at(value, 0));
    let ssid = attribute(rest, SSID).filter(|ssid| !ssid.is_empty()).map(<[u8]>::to_vec);
    Some((number(IFINDEX)?, Radio { ssid, bssid: None, is_station: number(IFTYPE) == Some(STATION) }))
}

/// One entry of the list of what was heard, when it is the access point that the radio is associated with.
fn associated(reply: &[u8]) -> Option<(Mac, Option<Vec<u8>>)> {
    let bss = attribute(reply.get(HEADER..)?, BSS)?;
    let status = attribute(bss, BSS_STATUS).and_then(|value| u32_at(value, 0));
    let bssid = attribute(bss, BSS_BSSID)?.try_into().ok().filter(|_| status == Some(ASSOCIATED))?;
    let elements = attributes(bss).filter(|(kind, _)| matches!(*kind, BSS_ELEMENTS | BSS_BEACON_ELEMENTS));
    Some((Mac(bssid), elements.filter_map(|(_, elements)| name_in(elements)).next()))
}

/// The name among the elements of a beacon: element 0 (IEEE 802.11, 9.4.2.2). A hidden network has an empty one, or zeros.
fn name_in(mut elements: &[u8]) -> Option<Vec<u8>> {
    while let [id, length, rest @ ..] = elements {
        let value = rest.get(..usize::from(*length))?;
        if *id == 0 {
            return Some(value.to_vec()).filter(|name| name.iter().any(|byte| *byte != 0));
        }
        elements = &rest[value.len()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        request(0, attributes)
    }

    fn nested(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        reply(attributes).split_off(HEADER)
    }

    #[test]
    fn a_radio_says_its_network() {
        let station =
            reply(&[(4, b"wlan0\0"), (IFINDEX, &7_u32.to_ne_bytes()), (IFTYPE, &2_u32.to_ne_bytes()), (SSID, b"corp")]);
        assert_eq!(radio(&station), Some((7, Radio { ssid: Some(b"corp".to_vec()), bssid: None, is_station: true })));
        let access_point = reply(&[(IFINDEX, &8_u32.to_ne_bytes()), (IFTYPE, &3_u32.to_ne_bytes())]);
        assert_eq!(radio(&access_point), Some((8, Radio::default())));
        assert_eq!(radio(&reply(&[(IFTYPE, &2_u32.to_ne_bytes())])), None);
        assert_eq!(radio(&[]), None);
    }

    #[test]
    fn only_the_access_point_that_is_used_counts() {
        let heard = |status: Option<u32>, elements: &[u8]| {
            let status = status.map(u32::to_ne_bytes);
            let mut attributes: Vec<(u16, &[u8])> = vec![(BSS_BSSID, &[1, 2, 3, 4, 5, 6]), (BSS_ELEMENTS, elements)];
            attributes.extend(status.as_ref().map(|status| (BSS_STATUS, &status[..])));
            associated(&reply(&[(IFINDEX, &[7, 0, 0, 0]), (BSS, &nested(&attributes))]))
        };
        let elements = b"\x01\x02\x82\x84\x00\x04corp\x03\x01\x06";
        let mac = Mac([1, 2, 3, 4, 5, 6]);
        assert_eq!(heard(Some(ASSOCIATED), elements), Some((mac, Some(b"corp".to_vec()))));
        assert_eq!(heard(Some(0), elements), None, "authenticated only");
        assert_eq!(heard(None, elements), None);
        for hidden in [&b"\x00\x00"[..], b"\x00\x04\0\0\0\0", b"\x00\x09cut", b"\x01", b""] {
            assert_eq!(heard(Some(ASSOCIATED), hidden), Some((mac, None)));
        }
    }
}
