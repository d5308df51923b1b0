//! A short name for what a context says, by which two of them are known to be the same.
//!
//! Only for deciding what may be skipped; it is never answered. FNV-1a of 64 bits over records `key=length:value` in a
//! fixed order, the length in bytes. The time to live is no part of it, nor is the order of the interfaces.

use std::fmt::{self, Write as _};

use smallvec::SmallVec;

use super::context::{Context, Interface, MOST_INTERFACES};

/// FNV-1a, 64 bits (draft-eastlake-fnv).
struct Fnv(u64);

impl Fnv {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    /// The record of a value that consists of `parts`.
    fn record<'a>(&mut self, key: fmt::Arguments<'_>, parts: impl Iterator<Item = &'a str> + Clone) {
        let length: usize = parts.clone().map(str::len).sum();
        write!(self, "{key}={length}:").expect("a hash takes what is written to it");
        for part in parts {
            self.push(part);
        }
        self.push("\n");
    }

    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// The texts with a comma between them, as parts.
fn joined<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> impl Iterator<Item = &'a str> + Clone {
    texts.enumerate().flat_map(|(index, text)| [if index == 0 { "" } else { "," }, text])
}

fn add_interface(hash: &mut Fnv, index: usize, interface: &Interface) {
    let mut one = |key: &str, value: &str| {
        hash.record(format_args!("iface.{index}.{key}"), std::iter::once(value));
    };
    one("name", &interface.name);
    one("iface_type", interface.iface_type.unwrap_or_default());
    one("ssid", interface.ssid.as_deref().unwrap_or_default());
    one("bssid", interface.bssid.as_deref().unwrap_or_default());
    one("gateway_ip", &interface.gateway_ip.map(|address| address.to_string()).unwrap_or_default());
    one("gateway_mac", interface.gateway_mac.as_deref().unwrap_or_default());
    hash.record(format_args!("iface.{index}.subnets"), joined(interface.subnets.iter().map(super::Subnet::text)));
    let metered = match interface.metered {
        None => "null",
        Some(true) => "true",
        Some(false) => "false",
    };
    hash.record(format_args!("iface.{index}.metered"), std::iter::once(metered));
}

impl Context {
    /// The fingerprint; [16 hexadecimal digits](Fingerprint) when written.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Fnv(Fnv::OFFSET);
        let mut sorted: SmallVec<[&Interface; MOST_INTERFACES]> = self.interfaces.iter().collect();
        sorted.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for (index, interface) in sorted.into_iter().enumerate() {
            add_interface(&mut hash, index, interface);
        }
        hash.record(format_args!("dns_suffix"), joined(self.dns_suffix.iter().map(String::as_str)));
        hash.record(format_args!("version"), std::iter::once("1"));
        Fingerprint(hash.0)
    }
}

/// The fingerprint of a context.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> String {
        Context::parse(body.as_bytes()).expect(body).fingerprint().to_string()
    }

    /// The values that the contract pins.
    #[test]
    fn known_contexts_have_known_fingerprints() {
        assert_eq!(Context::default().fingerprint().to_string(), "e124fe9cbeefe00a");
        assert_eq!(of(r#"{"version":1,"interfaces":[]}"#), "e124fe9cbeefe00a");
        assert_eq!(of(r#"{"version":1,"interfaces":[{"name":"en0"}]}"#), "209db35aa391d1ab");
        let rich = r#"{"version":1,"interfaces":[{"name":"wlan0","iface_type":"wifi","ssid":"office",
            "bssid":"aa:bb:cc:dd:ee:00","gateway_ip":"10.0.0.1","gateway_mac":"11:22:33:44:55:66",
            "subnets":["10.0.0.0/24"],"metered":false}],"dns_suffix":["corp.example.com"]}"#;
        assert_eq!(of(rich), "44642fb47eb57a92");
        let two = r#"{"version":1,"interfaces":[{"name":"en0","iface_type":"ethernet"},
            {"name":"wg0","iface_type":"vpn","metered":true}]}"#;
        assert_eq!(of(two), "f8c3ef1ec380d486");
    }

    /// The records as the contract writes them, hashed here once more.
    #[test]
    fn records_are_written_in_their_order() {
        let body = r#"{"version":1,"interfaces":[{"name":"wg0","iface_type":"vpn","metered":true},
            {"name":"en0","ssid":"B\u00fcro","subnets":["10.0.0.0/8","192.168.1.7/24"]}],"dns_suffix":["lan","corp.example"]}"#;
        let records = "iface.0.name=3:en0\niface.0.iface_type=0:\niface.0.ssid=5:B\u{fc}ro\niface.0.bssid=0:\n\
            iface.0.gateway_ip=0:\niface.0.gateway_mac=0:\niface.0.subnets=25:10.0.0.0/8,192.168.1.0/24\niface.0.metered=4:null\n\
            iface.1.name=3:wg0\niface.1.iface_type=3:vpn\niface.1.ssid=0:\niface.1.bssid=0:\niface.1.gateway_ip=0:\n\
            iface.1.gateway_mac=0:\niface.1.subnets=0:\niface.1.metered=4:true\ndns_suffix=16:corp.example,lan\nversion=1:1\n";
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
        let hash = records.bytes().fold(14_695_981_039_346_656_037, step);
        assert_eq!(of(body), format!("{hash:016x}"));
    }

    #[test]
    fn what_means_the_same_has_the_same_fingerprint() {
        let one = r#"{"version":1,"interfaces":[{"name":"a","subnets":["10.1.2.3/8","::1/64"]},{"name":"b","bssid":"AA-BB-CC-DD-EE-FF"}],
            "dns_suffix":["B.example","a.example"]}"#;
        let other = r#"{"version":1,"interfaces":[{"name":"b","bssid":"aabbccddeeff","ssid":""},{"name":"a","subnets":["::/64","10.0.0.0/8","10.0.0.0/8"]}],
            "dns_suffix":["a.example","","b.example"],"ttl":60}"#;
        assert_eq!(of(one), of(other));
    }

    #[test]
    fn every_field_counts() {
        let fields = [
            r#""name":"b""#,
            r#""name":"a","iface_type":"wifi""#,
            r#""name":"a","ssid":"s""#,
            r#""name":"a","bssid":"aabbccddeeff""#,
            r#""name":"a","gateway_ip":"10.0.0.1""#,
            r#""name":"a","gateway_ip":"10.0.0.1","gateway_mac":"aabbccddeeff""#,
            r#""name":"a","subnets":["10.0.0.0/8"]"#,
            r#""name":"a","subnets":["10.0.0.0/8","11.0.0.0/8"]"#,
            r#""name":"a","metered":true"#,
            r#""name":"a","metered":false"#,
            r#""name":"a""#,
        ];
        let mut seen: Vec<String> =
            fields.iter().map(|field| of(&format!(r#"{{"version":1,"interfaces":[{{{field}}}]}}"#))).collect();
        seen.push(of(r#"{"version":1,"interfaces":[{"name":"a"}],"dns_suffix":["a"]}"#));
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
