//! Who a call comes from, as far as rules may ask: role, tenant, region, device and tags, each with who said so.
//!
//! Plain words only: what may be believed is `access`'s matter, which makes these, and what follows from them is the
//! matter of the rules in `policy`. Nothing here is a secret: a context may stand in records.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// What kind of program calls. A closed list, so that a misspelt one in a rule is found; whatever else there is to tell
/// apart is a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// A phone or a tablet, browsers on it included.
    Mobile,
    /// A desktop application, or a browser that is not on a phone.
    Desktop,
    /// A service: whatever calls through a library without a person in front of it.
    Server,
    /// A build machine.
    Ci,
    /// A tool at a terminal.
    Cli,
}

impl Device {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Mobile, Self::Desktop, Self::Server, Self::Ci, Self::Cli];

    /// The word in the configuration, in headers and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Desktop => "desktop",
            Self::Server => "server",
            Self::Ci => "ci",
            Self::Cli => "cli",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.name() == name)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who said a part of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidBy {
    /// The caller's key.
    Key,
    /// A header with a signature.
    Signature,
    /// A header that anybody can write.
    Hint,
    /// The header `user-agent`, which anybody can write.
    UserAgent,
}

impl SaidBy {
    /// Whether only somebody who was trusted with a secret can have said it.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Key | Self::Signature)
    }

    /// The word in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Hint => "hint",
            Self::UserAgent => "user_agent",
        }
    }
}

/// A text of a context, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text.
    pub text: Arc<str>,
    /// Who said it.
    pub by: SaidBy,
}

/// What is said of a caller, but for the device. Made once for a key, and shared by its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// What calls.
    pub role: Option<Label>,
    /// Which team or customer calls; only a key says it.
    pub tenant: Option<Arc<str>>,
    /// Where it is, or where its data may go.
    pub region: Option<Label>,
    /// Whatever else there is to tell apart; no text twice.
    pub tags: Vec<Label>,
    /// The parts that a header said too, and otherwise: what the key says was taken.
    pub overruled: Vec<&'static str>,
}

/// Who a call comes from. Cheap to clone; the one of [`Context::default`] knows nothing, and holds no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    labels: Option<Arc<Labels>>,
    device: Option<(Device, SaidBy)>,
}

impl Context {
    /// A context of these parts.
    #[must_use]
    pub const fn new(labels: Option<Arc<Labels>>, device: Option<(Device, SaidBy)>) -> Self {
        Self { labels, device }
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.labels.is_none() && self.device.is_none()
    }

    /// The role, which is always proven.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.labels.as_ref()?.role.as_ref().map(|role| &*role.text)
    }

    /// The tenant, which is always proven.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.labels.as_ref()?.tenant.as_deref()
    }

    /// The region, and who said it.
    #[must_use]
    pub fn region(&self) -> Option<(&str, SaidBy)> {
        self.labels.as_ref()?.region.as_ref().map(|region| (&*region.text, region.by))
    }

    /// The device, and who said it.
    #[must_use]
    pub const fn device(&self) -> Option<(Device, SaidBy)> {
        self.device
    }

    /// The tags, which are always proven.
    #[must_use]
    pub fn tags(&self) -> &[Label] {
        self.labels.as_ref().map_or(&[], |labels| &labels.tags)
    }

    /// Whether this is one of the tags.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().iter().any(|own| *own.text == *tag)
    }

    /// The parts that a header said otherwise than the key.
    #[must_use]
    pub fn overruled(&self) -> &[&'static str] {
        self.labels.as_ref().map_or(&[], |labels| &labels.overruled)
    }
}

/// As it stands in records: what is known, and under `said_by` who said what.
impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(role) = self.role() {
            map.serialize_entry("role", role)?;
        }
        if let Some(tenant) = self.tenant() {
            map.serialize_entry("tenant", tenant)?;
        }
        if let Some((region, _)) = self.region() {
            map.serialize_entry("region", region)?;
        }
        if let Some((device, _)) = self.device {
            map.serialize_entry("device", &device)?;
        }
        if !self.tags().is_empty() {
            let tags: Vec<&str> = self.tags().iter().map(|tag| &*tag.text).collect();
            map.serialize_entry("tags", &tags)?;
        }
        if !self.is_empty() {
            map.serialize_entry("said_by", &Sources(self))?;
        }
        if !self.overruled().is_empty() {
            map.serialize_entry("overruled", self.overruled())?;
        }
        map.end()
    }
}

/// Who said what; the tenant is the key's.
struct Sources<'a>(&'a Context);

impl Serialize for Sources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let context = self.0;
        if let Some(role) = context.labels.as_ref().and_then(|labels| labels.role.as_ref()) {
            map.serialize_entry("role", &role.by)?;
        }
        if let Some((_, by)) = context.region() {
            map.serialize_entry("region", &by)?;
        }
        if let Some((_, by)) = context.device {
            map.serialize_entry("device", &by)?;
        }
        if !context.tags().is_empty() {
            let by: Vec<SaidBy> = context.tags().iter().map(|tag| tag.by).collect();
            map.serialize_entry("tags", &by)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_back_from_their_names() {
        for device in Device::ALL {
            assert_eq!(Device::from_name(device.name()), Some(device));
        }
        assert_eq!(Device::from_name("Mobile"), None);
    }

    #[test]
    fn a_context_that_knows_nothing_is_two_words_long() {
        assert_eq!(size_of::<Context>(), 16);
        let nothing = Context::default();
        assert!(nothing.is_empty() && nothing.tags().is_empty() && !nothing.has_tag(""));
        assert_eq!((nothing.role(), nothing.tenant(), nothing.region(), nothing.device()), (None, None, None, None));
    }
}
