//! What a host says of its interfaces, checked and in canonical form.
//!
//! The body of a `PUT /network/context`. The order in which mistakes are looked for is part of the contract, since only
//! the first is told: shape, number of interfaces, version, time to live; then everything that has to be parsed, of all
//! interfaces; then what the rest of their fields may be; then names that stand twice; then domains.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use tradewind_policy::ways::address::{self, IFACE_TYPES};

use super::context_json::{RawContext, RawInterface, RawInterfaces, Text, Texts};

/// The largest body, in bytes.
pub const MOST_BYTES: usize = 10 * 1024 * 1024;
/// The most interfaces.
pub const MOST_INTERFACES: usize = 32;
/// The longest time to live, in seconds: ten years.
pub const LONGEST_TTL: u32 = 315_360_000;
/// The longest name of an interface, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest reason of a parser that is told, in characters.
const MOST_REASON: usize = 80;
/// The longest SSID, in bytes (IEEE 802.11, 9.4.2.2).
const LONGEST_SSID: usize = 32;

/// What a host says of its interfaces. Serialises to the normalised copy that `GET /network/context` shows: without what
/// is empty, and without the time to live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// At most [`MOST_INTERFACES`], in the order of the body; no name twice.
    pub interfaces: Vec<Interface>,
    /// Domains in which names are looked up, in lower case, sorted, none twice.
    pub dns_suffix: Vec<String>,
    /// For how long it is good, in seconds, 1 to [`LONGEST_TTL`]; `None` for until it is replaced.
    pub ttl: Option<u32>,
}

/// One interface. A field that is `None` or empty was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name, 1 to 255 bytes.
    pub name: String,
    /// One of [`IFACE_TYPES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iface_type: Option<&'static str>,
    /// The name of the wireless network, at most 32 bytes, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// The access point, as `aa:bb:cc:dd:ee:ff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bssid: Option<String>,
    /// The way on from here; never with a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<IpAddr>,
    /// The hardware address of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_mac: Option<String>,
    /// The ranges of its own addresses, sorted as text, none twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Whether traffic is paid for by volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
}

/// A range of addresses, with the text that it is sorted and shown by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    text: String,
    address: IpAddr,
    length: u8,
}

impl Subnet {
    /// The range of `length` bits around `address`.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(address::bits(address));
        let address = address::masked(address, length);
        Self { text: format!("{address}/{length}"), address, length }
    }

    /// As it is shown: `10.0.0.0/24`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether an address lies in both.
    #[must_use]
    pub fn overlaps(&self, (address, length): (IpAddr, u8)) -> bool {
        address::same_prefix(self.address, address, self.length.min(length))
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let length = if self.dns_suffix.is_empty() { 2 } else { 3 };
        let mut context = serializer.serialize_struct("Context", length)?;
        context.serialize_field("version", &1)?;
        context.serialize_field("interfaces", &self.interfaces)?;
        if !self.dns_suffix.is_empty() {
            context.serialize_field("dns_suffix", &self.dns_suffix)?;
        }
        context.end()
    }
}

/// What is wrong with a body, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextCode {
    /// Too large, not JSON, or not of the shape.
    MalformedBody,
    /// Another version than 1.
    InvalidVersion,
    /// A time to live out of bounds.
    InvalidTtl,
    /// More than [`MOST_INTERFACES`].
    TooManyInterfaces,
    /// Two interfaces of one name.
    DuplicateIfaceName,
    /// A field that cannot be what it says.
    InvalidField,
    /// The hardware address of a gateway whose address is not there.
    InvalidGatewayCombo,
    /// A defect of ours, or nothing that could take a context.
    InternalError,
}

impl ContextCode {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InternalError => 503,
            _ => 400,
        }
    }

    /// The code as answered.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedBody => "malformed_body",
            Self::InvalidVersion => "invalid_version",
            Self::InvalidTtl => "invalid_ttl",
            Self::TooManyInterfaces => "too_many_interfaces",
            Self::DuplicateIfaceName => "duplicate_iface_name",
            Self::InvalidField => "invalid_field",
            Self::InvalidGatewayCombo => "invalid_gateway_combo",
            Self::InternalError => "internal_error",
        }
    }
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContextError {
    /// Which kind of mistake.
    pub code: ContextCode,
    /// In words, the code not repeated.
    pub message: String,
}

impl ContextError {
    pub(super) fn new(code: ContextCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A mistake of one field, in the contract's words.
    fn of_field(code: ContextCode, path: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::new(code, format!("field: {path}, reason: {why}"))
    }

    fn invalid(path: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::of_field(ContextCode::InvalidField, path, why)
    }
}

impl Context {
    /// Reads and checks a body.
    ///
    /// # Errors
    /// The first mistake, in the order of the contract. Indices in its message are those of the body.
    pub fn parse(body: &[u8]) -> Result<Self, ContextError> {
        let (version, listed, raw) = shape(body)?;
        if listed.count > MOST_INTERFACES {
            let message = format!("there are {} interfaces, the most is {MOST_INTERFACES}", listed.count);
            return Err(ContextError::new(ContextCode::TooManyInterfaces, message));
        }
        if version != 1 {
            return Err(ContextError::new(
                ContextCode::InvalidVersion,
                format!("version {version} is not known, only 1"),
            ));
        }
        let ttl = raw.ttl.map(parse_ttl).transpose()?;
        let mut interfaces = Vec::with_capacity(listed.first.len());
        for (index, interface) in listed.first.iter().enumerate() {
            interfaces.push(parse_addresses(index, interface)?);
        }
        for ((index, raw), interface) in listed.first.iter().enumerate().zip(&mut interfaces) {
            fill(index, raw, interface)?;
        }
        for (index, interface) in interfaces.iter().enumerate() {
            if let Some(first) = interfaces[..index].iter().position(|other| other.name == interface.name) {
                let message = format!("interfaces[{index}] has the name of interfaces[{first}]");
                return Err(ContextError::new(ContextCode::DuplicateIfaceName, message));
            }
        }
        Ok(Self { interfaces, dns_suffix: parse_suffixes(&raw.dns_suffix.unwrap_or_default())?, ttl })
    }
}

/// The body as JSON, and what it has to have.
fn shape(body: &[u8]) -> Result<(i64, RawInterfaces<'_>, RawContext<'_>), ContextError> {
    let malformed = |message: String| ContextError::new(ContextCode::MalformedBody, message);
    if body.len() > MOST_BYTES {
        return Err(malformed(format!("the body is over {MOST_BYTES} bytes")));
    }
    let mut raw: RawContext<'_> = serde_json::from_slice(body).map_err(|error| malformed(shortened(&error)))?;
    let version = raw.version.ok_or_else(|| malformed("`version` is missing".to_owned()))?;
    let interfaces = raw.interfaces.take().ok_or_else(|| malformed("`interfaces` is missing".to_owned()))?;
    Ok((version, interfaces, raw))
}

/// The reason without the text of the body that it may repeat at any length.
fn shortened(error: &serde_json::Error) -> String {
    let reason = error.to_string();
    match reason.char_indices().nth(MOST_REASON) {
        Some((end, _)) => format!("{}… at line {} column {}", &reason[..end], error.line(), error.column()),
        None => reason,
    }
}

fn parse_ttl(seconds: i64) -> Result<u32, ContextError> {
    u32::try_from(seconds).ok().filter(|seconds| (1..=LONGEST_TTL).contains(seconds)).ok_or_else(|| {
        ContextError::new(ContextCode::InvalidTtl, format!("ttl is {seconds}, it has to be 1 to {LONGEST_TTL} seconds"))
    })
}

/// A field that says something: what is empty is as if it were not there.
fn said<'a>(field: Option<&'a Text<'_>>) -> Option<&'a str> {
    field.map(|text| &*text.0).filter(|text| !text.is_empty())
}

/// The fields of an interface that are parsed, in the order in which they are looked at.
fn parse_addresses(index: usize, raw: &RawInterface<'_>) -> Result<Interface, ContextError> {
    let place =
        |field: &'static str| move |why| ContextError::invalid(format_args!("interfaces[{index}].{field}"), why);
    let mac = |field: &'static str, text: Option<&str>| text.map(address::parse_mac).transpose().map_err(place(field));
    let bssid = mac("bssid", said(raw.bssid.as_ref()))?;
    let gateway_mac = mac("gateway_mac", said(raw.gateway_mac.as_ref()))?;
    let gateway_ip = said(raw.gateway_ip.as_ref()).map(address::parse_ip).transpose().map_err(place("gateway_ip"))?;
    let mut subnets = Vec::new();
    for (number, text) in raw.subnets.iter().flatten().enumerate() {
        let Some(text) = said(text.as_ref()) else { continue };
        let (address, length) = address::parse_prefix(text)
            .map_err(|why| ContextError::invalid(format_args!("interfaces[{index}].subnets[{number}]"), why))?;
        subnets.push(Subnet::new(address, length));
    }
    subnets.sort_unstable();
    subnets.dedup();
    Ok(Interface { bssid, gateway_mac, gateway_ip, subnets, metered: raw.metered, ..Interface::default() })
}

/// The fields that only have to be legal.
fn fill(index: usize, raw: &RawInterface<'_>, interface: &mut Interface) -> Result<(), ContextError> {
    let refuse =
        |field: &'static str, why: String| Err(ContextError::invalid(format_args!("interfaces[{index}].{field}"), why));
    let name = said(raw.name.as_ref()).unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST_NAME {
        return refuse("name", format!("has {} bytes, it has to be 1 to {LONGEST_NAME}", name.len()));
    }
    let ssid = said(raw.ssid.as_ref());
    if let Some(ssid) = ssid.filter(|ssid| ssid.len() > LONGEST_SSID) {
        return refuse("ssid", format!("has {} bytes, the most is {LONGEST_SSID}", ssid.len()));
    }
    if let Some(given) = said(raw.iface_type.as_ref()) {
        let lower = address::lower(given);
        let Some(known) = IFACE_TYPES.into_iter().find(|known| *known == lower) else {
            return refuse("iface_type", format!("not one of {}", IFACE_TYPES.join(", ")));
        };
        interface.iface_type = Some(known);
    }
    if interface.gateway_mac.is_some() && interface.gateway_ip.is_none() {
        let path = format_args!("interfaces[{index}]");
        let why = "gateway_mac without gateway_ip";
        return Err(ContextError::of_field(ContextCode::InvalidGatewayCombo, path, why));
    }
    interface.name = name.to_owned();
    interface.ssid = ssid.map(str::to_owned);
    Ok(())
}

fn parse_suffixes(raw: &Texts<'_>) -> Result<Vec<String>, ContextError> {
    let mut suffixes = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        let Some(text) = said(text.as_ref()) else { continue };
        if text.contains(|letter: char| letter == ',' || letter.is_whitespace() || letter.is_control()) {
            let why = "a domain has no comma, no white space and no control characters";
            return Err(ContextError::invalid(format_args!("dns_suffix[{index}]"), why));
        }
        suffixes.push(address::lower(text));
    }
    suffixes.sort_unstable();
    suffixes.dedup();
    Ok(suffixes)
}
