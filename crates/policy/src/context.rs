//! The section `context`: what is believed of what callers say about themselves in headers.
//!
//! Here it is only read and checked. Believing, or refusing, is `access`'s part.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tradewind_core::{Code, Device, Secret};

use crate::problem::Problems;
use crate::root::Root;
use crate::units::TimeSpan;

/// The shortest secret for signatures, in bytes: as long as an HMAC-SHA256 (RFC 2104 §3).
const SHORTEST: usize = 32;
/// The longest secret for signatures, in bytes.
const LONGEST: usize = 512;
/// How long a signature may be good for at most, in seconds.
const LONGEST_AGE: u64 = 86_400;

/// What is believed of what callers say about themselves in headers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ContextSettings {
    /// The secret that `x-tradewind-context-signature` is made with, as a rule `"${VARIABLE}"`: at least 32 characters.
    /// Whoever knows it can give any call a role or a tag that its key does not settle.
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub signing_secret: Option<Secret<String>>,
    /// How long after it was made a signature is good.
    pub max_age: TimeSpan,
    /// Whether `x-tradewind-context` without a signature may say device and region. Anybody can write it, so nothing
    /// that is not for everybody should follow from them; role and tags are refused without a signature all the same.
    pub trust_hints: bool,
}

impl Default for ContextSettings {
    fn default() -> Self {
        Self { signing_secret: None, max_age: TimeSpan::from_secs(300), trust_hints: false }
    }
}

pub(crate) fn decode_context(root: &Root, problems: &mut Problems) -> ContextSettings {
    let settings: ContextSettings = root.value("context", problems);
    let mut refuse = |key: &str, message: String, hint: &str| {
        let problem = root.problem(Code::ConfigBadValue, &format!("context.{key}"), message);
        problems.push(problem.with_hint(hint));
    };
    if let Some(secret) = &settings.signing_secret {
        let secret = secret.expose();
        if !(SHORTEST..=LONGEST).contains(&secret.len()) {
            let message = format!("a secret for signatures has {SHORTEST} to {LONGEST} bytes");
            refuse("signing-secret", message, "`openssl rand -hex 32` makes a good one");
        } else if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let hint = "is the variable that it comes from set, and without spaces and line breaks?";
            refuse("signing-secret", "the secret has spaces or line breaks".to_owned(), hint);
        }
    }
    let age = settings.max_age.get();
    if age.as_secs() == 0 || age.as_secs() > LONGEST_AGE {
        refuse("max-age", format!("`max-age` is {}", settings.max_age), "from 1s to 1d, such as 5m");
    }
    settings
}

/// How a device is written, for the schema.
pub(crate) struct DeviceWord;

impl JsonSchema for DeviceWord {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Device::ALL.map(Device::name) })
    }
}
