//! What this machine's network looks like: interfaces, gateways, wireless networks, domains, and when any of it changes.
//!
//! [`Sampler`] is the one face; [`system`] has the one of this operating system, [`Recorded`] plays back samples for tests.
//! A sample is what a host pushes as its network context ([`Sample::body`]). What cannot be found out although it might be
//! there is a [`Note`]. When the operating system does not answer there is no sample at all: an empty list would look
//! like a machine without a network, and switch everything away.
//!
//! Linux alone is tested; the others have been compiled, and never run. Waiting until things have settled, and pushing, is the caller's.

#[cfg(unix)]
mod domains;
#[cfg(any(target_os = "macos", windows))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod recorded;
mod rules;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use serde::Serialize;

pub use self::recorded::Recorded;
pub use self::rules::MOST_INTERFACES;

/// Looks at the network.
pub trait Sampler: Send + Sync {
    /// What it looks like now. Takes a few milliseconds, in which the thread waits for the operating system; never more
    /// than a few seconds.
    ///
    /// # Errors
    /// When the operating system does not answer; what was known before is then the best there is.
    fn sample(&self) -> Result<Sample, SampleError>;

    /// Begins to listen for changes. To be called in a tokio runtime, and before the first sample, so that no change
    /// falls between.
    ///
    /// # Errors
    /// When the operating system tells nobody.
    fn changes(&self) -> Result<Box<dyn Changes>, SampleError>;
}

/// The changes of a network, one after the other; many of them may be one event to a person.
pub trait Changes: Send {
    /// Waits for the next change. May be dropped and called again.
    ///
    /// # Errors
    /// When nothing more will be told; [`Sampler::changes`] begins anew.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Change, SampleError>> + Send + '_>>;
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// An interface came, went, or went up or down.
    Link,
    /// An address came or went.
    Address,
    /// A route came or went.
    Route,
    /// Something; the operating system does not say what, or changes were lost.
    Any,
}

/// The sampler of this operating system.
///
/// # Errors
/// When there is none.
pub fn system() -> Result<Box<dyn Sampler>, SampleError> {
    #[cfg(target_os = "linux")]
    return Ok(Box::new(linux::LinuxSampler::new()));
    #[cfg(target_os = "macos")]
    return Ok(Box::new(macos::MacSampler));
    #[cfg(windows)]
    return Ok(Box::new(windows::WindowsSampler));
    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    Err(SampleError::new("look at the network", io::ErrorKind::Unsupported.into()))
}

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
#[error("could not {what}: {source}")]
pub struct SampleError {
    what: &'static str,
    source: io::Error,
}

impl SampleError {
    /// `what` could not be done: `list the interfaces`.
    #[must_use]
    pub const fn new(what: &'static str, source: io::Error) -> Self {
        Self { what, source }
    }
}

/// What a network looks like at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The interfaces that are up, at most [`MOST_INTERFACES`], those of containers and virtual machines left out.
    pub interfaces: Vec<Interface>,
    /// Domains in which names are looked up.
    pub dns_suffix: Vec<String>,
    /// What could not be found out.
    pub notes: Vec<Note>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What it is.
    pub iface_type: Kind,
    /// The name of the wireless network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// The access point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bssid: Option<Mac>,
    /// Where its default route leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<IpAddr>,
    /// The hardware address of that, where it is known already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_mac: Option<Mac>,
    /// The ranges of its addresses, link-local ones of IPv6 left out, which are the same everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Range>,
    /// Whether traffic is paid for by volume, where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
}

impl Interface {
    /// One of which nothing else is known.
    #[must_use]
    pub fn new(name: impl Into<String>, iface_type: Kind) -> Self {
        Self {
            name: name.into(),
            iface_type,
            ssid: None,
            bssid: None,
            gateway_ip: None,
            gateway_mac: None,
            subnets: Vec::new(),
            metered: None,
        }
    }
}

/// Kinds of interface, in the order in which they are kept when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A cable, or what looks like one.
    Ethernet,
    /// A radio, IEEE 802.11.
    Wifi,
    /// A modem.
    Wwan,
    /// A tunnel.
    Vpn,
    /// None of these.
    Other,
    /// The machine itself.
    Loopback,
}

/// A hardware address, written `aa:bb:cc:dd:ee:ff`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address and how many of its bits are the network's, written `10.0.0.17/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// The address.
    pub address: IpAddr,
    /// The bits.
    pub length: u8,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that could not be found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The interface.
    pub interface: String,
    /// The key of the network context that is missing: `ssid`.
    pub field: &'static str,
    /// Why: `the SSID could not be read, because …`.
    pub why: String,
}

impl Sample {
    /// The body of a `PUT /network/context` that says this, good for `ttl` seconds or until it is replaced.
    #[must_use]
    pub fn body(&self, ttl: Option<u32>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            version: u8,
            interfaces: &'a [Interface],
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            dns_suffix: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            ttl: Option<u32>,
        }
        let body = Body { version: 1, interfaces: &self.interfaces, dns_suffix: &self.dns_suffix, ttl };
        serde_json::to_vec(&body).expect("texts, numbers and lists can be written as JSON")
    }
}
