//! The shape of a context in JSON, before anything is checked.
//!
//! By hand, not derived: unknown keys are passed over, null is as good as absent everywhere, of a key that stands twice
//! the last one counts, and a list is no object, which derived code would take for one. What cannot be of the type of its
//! key is an error of shape. Text is borrowed from the body where it has no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::context::MOST_INTERFACES;

/// The body.
#[derive(Debug, Default)]
pub(super) struct RawContext<'a> {
    pub(super) version: Option<i64>,
    pub(super) interfaces: Option<RawInterfaces<'a>>,
    pub(super) dns_suffix: Option<Texts<'a>>,
    pub(super) ttl: Option<i64>,
}

/// The list `interfaces`: all of it is read, and what is over the limit only counted, so that a large body takes little
/// memory. Null is an interface without anything.
#[derive(Debug, Default)]
pub(super) struct RawInterfaces<'a> {
    pub(super) first: Vec<RawInterface<'a>>,
    pub(super) count: usize,
}

/// One of `interfaces`.
#[derive(Debug, Default)]
pub(super) struct RawInterface<'a> {
    pub(super) name: Option<Text<'a>>,
    pub(super) iface_type: Option<Text<'a>>,
    pub(super) ssid: Option<Text<'a>>,
    pub(super) bssid: Option<Text<'a>>,
    pub(super) gateway_ip: Option<Text<'a>>,
    pub(super) gateway_mac: Option<Text<'a>>,
    pub(super) subnets: Option<Texts<'a>>,
    pub(super) metered: Option<bool>,
}

/// Text, borrowed where it can be.
#[derive(Debug)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A list of texts, each of which may be null.
pub(super) type Texts<'a> = Vec<Option<Text<'a>>>;

/// Something that is read from the entries of an object.
trait Fields<'de>: Default {
    /// What it is, for messages.
    const WHAT: &'static str;

    /// Reads the value of `key`, which has to be read in any case.
    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'de> Fields<'de> for RawContext<'de> {
    const WHAT: &'static str = "an object with `version` and `interfaces`";

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "version" => self.version = map.next_value()?,
            "interfaces" => self.interfaces = map.next_value()?,
            "dns_suffix" => self.dns_suffix = map.next_value()?,
            "ttl" => self.ttl = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for RawInterface<'de> {
    const WHAT: &'static str = "an interface, as an object";

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = map.next_value()?,
            "iface_type" => self.iface_type = map.next_value()?,
            "ssid" => self.ssid = map.next_value()?,
            "bssid" => self.bssid = map.next_value()?,
            "gateway_ip" => self.gateway_ip = map.next_value()?,
            "gateway_mac" => self.gateway_mac = map.next_value()?,
            "subnets" => self.subnets = map.next_value()?,
            "metered" => self.metered = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Reads an object, and nothing else, into its fields.
struct ObjectVisitor<T>(T);

impl<'de, T: Fields<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            self.0.read(&key.0, &mut map)?;
        }
        Ok(self.0)
    }
}

impl<'de> Deserialize<'de> for RawContext<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(Self::default()))
    }
}

impl<'de> Deserialize<'de> for RawInterface<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(Self::default()))
    }
}

impl<'de> Deserialize<'de> for RawInterfaces<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InterfacesVisitor)
    }
}

struct InterfacesVisitor;

impl<'de> Visitor<'de> for InterfacesVisitor {
    type Value = RawInterfaces<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of interfaces")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawInterfaces<'de>, A::Error> {
        let mut interfaces = RawInterfaces::default();
        while let Some(interface) = list.next_element::<Option<RawInterface<'de>>>()? {
            interfaces.count += 1;
            if interfaces.count <= MOST_INTERFACES {
                interfaces.first.push(interface.unwrap_or_default());
            }
        }
        Ok(interfaces)
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
