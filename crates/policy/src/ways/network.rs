//! How networks are told apart: `networks`, a list of names with a match each. The grammar is in `decode`.

mod decode;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::decode::decode_networks;

/// A network with a name. The first whose match fits is the present one.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: Arc<str>,
    /// What has to be true of the context.
    pub matches: Match,
}

/// What has to be true: everything in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// What one interface has to fulfil, all of it the same one.
    pub interface: Block,
    /// `dns-suffix`: one of these is among those of the context. Lower case.
    pub dns_suffix: Vec<String>,
    /// `any`: one of these.
    pub any: Option<Vec<Match>>,
    /// `all`: all of these.
    pub all: Option<Vec<Match>>,
    /// `not`: not this.
    pub not: Option<Box<Match>>,
}

/// Keys that one interface has to fulfil; each a list of which one fits, empty for a key that is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// `name`.
    pub name: Vec<String>,
    /// `iface-type`, lower case.
    pub iface_type: Vec<String>,
    /// `ssid`.
    pub ssid: Vec<String>,
    /// `bssid`, as `aa:bb:cc:dd:ee:ff`.
    pub bssid: Vec<String>,
    /// `gateway-ip`: addresses (whole length) or ranges.
    pub gateway_ip: Vec<(IpAddr, u8)>,
    /// `gateway-mac`, as `bssid`.
    pub gateway_mac: Vec<String>,
    /// `subnets`: ranges that overlap one of the interface.
    pub subnets: Vec<(IpAddr, u8)>,
}
