//! Why a network fits or does not: the same questions as the matcher asks, with the answer to each.
//!
//! Nothing is left out for having been decided already, so that somebody who wonders sees every part. What an interface
//! does not say is told apart from what it says otherwise, with the reason of whoever sampled it, where there is one.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use tradewind_policy::ways::{Block, Match, Network};

use super::context::{Context, Interface, Subnet};
use super::matcher::{in_one, is_empty, one_of, shares_domain, touch};

/// Something that whoever sampled the interfaces could not find out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The interface.
    pub interface: String,
    /// The key of the context: `ssid`.
    pub field: String,
    /// Why: `the SSID could not be read, because …`.
    pub why: String,
}

/// Which network this is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The first that fits.
    pub matched_network: Option<String>,
    /// Every network, in the order of the file; those behind the first that fits are looked at too.
    pub networks: Vec<NetworkTrace>,
    /// What could not be found out.
    pub notes: Vec<Note>,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkTrace {
    /// Its name.
    pub name: String,
    /// Whether it fits.
    pub matched: bool,
    /// Its match, part by part.
    pub parts: Trace,
}

/// A block of a match: it fits when every part that is there does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Whether all of it fits.
    pub matched: bool,
    /// The keys of interfaces, for each interface; one of them has to fulfil all. Absent when the block has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<InterfaceTrace>>,
    /// `dns-suffix`.
    #[serde(rename = "dns-suffix", skip_serializing_if = "Option::is_none")]
    pub dns_suffix: Option<KeyTrace>,
    /// `any`: one of these has to fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Self>>,
    /// `all`: all of these have to fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Self>>,
    /// `not`: this must not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Self>>,
}

/// One interface under the keys of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterfaceTrace {
    /// Its name.
    pub name: String,
    /// Whether it fulfils all keys.
    pub matched: bool,
    /// The keys of the block.
    pub keys: Vec<KeyTrace>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyTrace {
    /// The key as in the file: `gateway-ip`.
    pub key: &'static str,
    /// Whether one of those wanted was found.
    pub matched: bool,
    /// What the file wants, one of these.
    pub wanted: Vec<String>,
    /// What the context says; empty when it says nothing.
    pub found: Vec<String>,
    /// Why the context says nothing, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl KeyTrace {
    /// Whether the context says nothing about this.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.found.is_empty()
    }
}

/// Says of every network whether it fits, and why. `notes` are what whoever sampled the context could not find out.
#[must_use]
pub fn explain(networks: &[Network], context: &Context, notes: &[Note]) -> Explanation {
    let traced: Vec<NetworkTrace> = networks
        .iter()
        .map(|network| {
            let parts = trace(&network.matches, context, notes);
            NetworkTrace { name: network.name.to_string(), matched: parts.matched, parts }
        })
        .collect();
    let first = traced.iter().find(|network| network.matched);
    Explanation { matched_network: first.map(|network| network.name.clone()), networks: traced, notes: notes.to_vec() }
}

fn trace(wanted: &Match, context: &Context, notes: &[Note]) -> Trace {
    let list = |list: &[Match]| list.iter().map(|wanted| trace(wanted, context, notes)).collect::<Vec<_>>();
    let of_interface = |interface| trace_interface(&wanted.interface, interface, notes);
    let mut traced = Trace {
        matched: false,
        interfaces: (!is_empty(&wanted.interface)).then(|| context.interfaces.iter().map(of_interface).collect()),
        dns_suffix: (!wanted.dns_suffix.is_empty()).then(|| KeyTrace {
            key: "dns-suffix",
            matched: shares_domain(&wanted.dns_suffix, context),
            wanted: wanted.dns_suffix.clone(),
            found: context.dns_suffix.clone(),
            why: None,
        }),
        any: wanted.any.as_deref().map(list),
        all: wanted.all.as_deref().map(list),
        not: wanted.not.as_deref().map(|wanted| Box::new(trace(wanted, context, notes))),
    };
    traced.matched = traced.interfaces.as_deref().is_none_or(|all| all.iter().any(|one| one.matched))
        && traced.dns_suffix.as_ref().is_none_or(|key| key.matched)
        && traced.any.as_deref().is_none_or(|any| any.iter().any(|one| one.matched))
        && traced.all.as_deref().is_none_or(|all| all.iter().all(|one| one.matched))
        && traced.not.as_deref().is_none_or(|not| !not.matched);
    traced
}

fn trace_interface(block: &Block, interface: &Interface, notes: &[Note]) -> InterfaceTrace {
    let mut keys = Vec::new();
    // `field` is the key of the context that goes with `key` of the file.
    let mut add = |key: &'static str, field: &str, wanted: Vec<String>, found: Vec<String>, matched: bool| {
        if wanted.is_empty() {
            return;
        }
        let is_about = |note: &&Note| found.is_empty() && note.interface == interface.name && note.field == field;
        let why = notes.iter().find(is_about).map(|note| note.why.clone());
        keys.push(KeyTrace { key, matched, wanted, found, why });
    };
    let texts = [
        ("name", "name", &block.name, Some(&*interface.name)),
        ("iface-type", "iface_type", &block.iface_type, interface.iface_type),
        ("ssid", "ssid", &block.ssid, interface.ssid.as_deref()),
        ("bssid", "bssid", &block.bssid, interface.bssid.as_deref()),
        ("gateway-mac", "gateway_mac", &block.gateway_mac, interface.gateway_mac.as_deref()),
    ];
    for (key, field, wanted, said) in texts {
        add(key, field, wanted.clone(), said.map(str::to_owned).into_iter().collect(), one_of(wanted, said));
    }
    let gateway = interface.gateway_ip;
    let is_inside = gateway.is_some_and(|address| in_one(&block.gateway_ip, address));
    let found = gateway.map(|address| address.to_string()).into_iter().collect();
    add("gateway-ip", "gateway_ip", ranges(&block.gateway_ip), found, is_inside);
    let found = interface.subnets.iter().map(|subnet| subnet.text().to_owned()).collect();
    add("subnets", "subnets", ranges(&block.subnets), found, touch(&block.subnets, interface));
    InterfaceTrace { name: interface.name.clone(), matched: keys.iter().all(|key| key.matched), keys }
}

fn ranges(ranges: &[(IpAddr, u8)]) -> Vec<String> {
    ranges.iter().map(|(address, length)| Subnet::new(*address, *length).text().to_owned()).collect()
}

/// For people: a line a part, those inside another one indented.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for network in &self.networks {
            writeln!(f, "{}: {}", network.name, verdict(network.matched))?;
            network.parts.write(f, 1)?;
        }
        for note in &self.notes {
            writeln!(f, "{}: {}", note.interface, note.why)?;
        }
        Ok(())
    }
}

const fn verdict(matched: bool) -> &'static str {
    if matched { "fits" } else { "does not fit" }
}

impl Trace {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        for interface in self.interfaces.iter().flatten() {
            writeln!(f, "{:indent$}interface {}: {}", "", interface.name, verdict(interface.matched))?;
            for key in &interface.keys {
                writeln!(f, "{:indent$}  {key}", "")?;
            }
        }
        if self.interfaces.as_ref().is_some_and(Vec::is_empty) {
            writeln!(f, "{:indent$}no interface at all: does not fit", "")?;
        }
        if let Some(key) = &self.dns_suffix {
            writeln!(f, "{:indent$}{key}", "")?;
        }
        for (word, list) in [("any", &self.any), ("all", &self.all)] {
            for (index, part) in list.iter().flatten().enumerate() {
                writeln!(f, "{:indent$}{word}[{index}]: {}", "", verdict(part.matched))?;
                part.write(f, depth + 1)?;
            }
        }
        if let Some(part) = &self.not {
            writeln!(f, "{:indent$}not: {}", "", verdict(!part.matched))?;
            part.write(f, depth + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, wanted {}", self.key, verdict(self.matched), self.wanted.join(" or "))?;
        if !self.is_missing() {
            return write!(f, ", found {}", self.found.join(", "));
        }
        match &self.why {
            Some(why) => write!(f, ", not known: {why}"),
            None => write!(f, ", the context does not say it"),
        }
    }
}
