//! The section `keys`: who may call, what each caller may use, and how much of it.
//!
//! A key of the document and a key made by `tradewind key create` have the same [`KeyTerms`]; what may stand in them is
//! checked here for both. Enforcing them is `access`'s part.

mod allow;
mod checks;

use std::borrow::Cow;
use std::fmt;

use ring::digest::{SHA256, digest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Unexpected};
use serde::{Deserialize, Serialize, Serializer};
use tradewind_core::{Device, Secret, Usd, from_hex, to_hex};

pub use self::allow::{BadPattern, DOORS, check_pattern};
pub(crate) use self::checks::decode_keys;
pub use self::checks::{BadTerm, LONGEST_SECRET, MOST_KEYS, MOST_TAGS, SHORTEST_SECRET, check_key_name, check_label};
use crate::context::DeviceWord;
use crate::spanned::Spanned;
use crate::units::{Amount, Timestamp};

/// A caller's key.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CallerKey {
    /// The name, which stands in records and metrics: 1 to 64 letters, digits, dots, hyphens and underscores.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// The secret that callers send, as a rule `"${VARIABLE}"`: at least 16 characters.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub secret: Option<Secret<String>>,
    /// The SHA-256 of the secret in 64 hexadecimal digits, in place of the secret itself.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    pub secret_sha256: Option<KeyHash>,
    /// Which team or customer calls with it; stands in records.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What calls with it, such as `machine` or `developer`; rules of `route` may ask for it.
    #[serde(default)]
    pub role: Option<String>,
    /// Where it calls from, or where its data may go, such as `eu`; rules of `route` may ask for it.
    #[serde(default)]
    pub region: Option<String>,
    /// What kind of program calls with it; without it the `user-agent` of a call says so, as far as it does.
    #[serde(default)]
    #[schemars(with = "Option<DeviceWord>")]
    pub device: Option<Device>,
    /// Whatever else rules of `route` may ask for, such as `batch`; up to 16.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What it may use, as patterns `door/resource` in which `*` stands for anything: `models/assistant`,
    /// `models/openai/*`, `control/read`. Without it everything but `control`.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// What it may spend.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Whether targets without a price may answer although there is a budget.
    #[serde(default)]
    pub unpriced: Unpriced,
    /// Requests within any 60 seconds.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub rpm: Option<u64>,
    /// Tokens of requests and answers within any 60 seconds.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub tpm: Option<u64>,
    /// When it ends, such as `2027-01-31T00:00:00Z`.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

impl CallerKey {
    /// The hash of its secret, given or computed.
    #[must_use]
    pub fn hash(&self) -> Option<KeyHash> {
        self.secret_sha256.or_else(|| self.secret.as_ref().map(|secret| KeyHash::of(secret.expose().as_bytes())))
    }

    /// What it may do.
    #[must_use]
    pub fn terms(&self) -> KeyTerms {
        KeyTerms {
            tenant: self.tenant.clone(),
            role: self.role.clone(),
            region: self.region.clone(),
            device: self.device,
            tags: self.tags.clone(),
            allow: self.allow.clone(),
            budget: self.budget,
            unpriced: self.unpriced,
            rpm: self.rpm,
            tpm: self.tpm,
            expires: self.expires,
        }
    }
}

/// What a key may do, wherever the key comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyTerms {
    /// Which team or customer calls with it.
    pub tenant: Option<String>,
    /// What calls with it.
    pub role: Option<String>,
    /// Where it calls from, or where its data may go.
    pub region: Option<String>,
    /// What kind of program calls with it.
    pub device: Option<Device>,
    /// Whatever else rules may ask for.
    pub tags: Vec<String>,
    /// What it may use, as patterns; without them everything but `control`.
    pub allow: Option<Vec<String>>,
    /// What it may spend.
    pub budget: Option<Budget>,
    /// Whether targets without a price may answer although there is a budget.
    pub unpriced: Unpriced,
    /// Requests within any 60 seconds.
    pub rpm: Option<u64>,
    /// Tokens within any 60 seconds.
    pub tpm: Option<u64>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// An amount of money for a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// US dollars: more than nothing, at most a million.
    pub usd: Amount,
    /// For how long; then it begins anew.
    pub per: Period,
}

impl Budget {
    /// The amount.
    #[must_use]
    pub fn amount(&self) -> Usd {
        // At most 10¹⁸ picodollars, which a u64 holds.
        Usd::from_pico((self.usd.0 * 1e12).round() as u64)
    }
}

/// What a budget is for. Days begin at midnight in UTC, weeks on Monday, months on their first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// A calendar day.
    Day,
    /// A week after ISO 8601, from Monday on.
    Week,
    /// A calendar month.
    Month,
    /// All time: the life of the key or model.
    Total,
}

impl Period {
    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// Whether targets without a price may answer a key that has a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unpriced {
    /// They are not eligible: what they cost cannot be counted.
    #[default]
    Refuse,
    /// They are, and cost nothing.
    Allow,
}

/// The SHA-256 of a caller's secret. Written as 64 hexadecimal digits, and never shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        from_hex(text.as_bytes()).map(Self)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Never the text itself: somebody may have put the secret here.
        Self::parse(&text).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Other("other text"), &"the 64 hexadecimal digits of a SHA-256")
        })
    }
}

impl JsonSchema for KeyHash {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "KeyHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9a-fA-F]{64}$|\$\{" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_everybody_else_and_are_not_shown() {
        // FIPS 180-4, the example of one block.
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = KeyHash::of(b"abc");
        assert_eq!(KeyHash::parse(text), Some(hash));
        assert_eq!(KeyHash::parse(&text.to_uppercase()), Some(hash));
        assert_eq!(serde_json::to_value(hash).unwrap(), text);
        assert_eq!(format!("{hash:?}"), "[secret]");
        let multibyte = "é".repeat(32);
        for wrong in ["", "ba78", &text[1..], &text.replace('b', "g"), &multibyte] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_largest_budget_is_exact() {
        let budget = Budget { usd: Amount(Amount::LARGEST), per: Period::Day };
        assert_eq!(budget.amount().pico(), 1_000_000_000_000_000_000);
        let cents = Budget { usd: Amount(0.07), per: Period::Day };
        assert_eq!(cents.amount().pico(), 70_000_000_000);
    }
}
