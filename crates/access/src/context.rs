//! Who a call comes from: put together from its key, from a header with a signature, from hints and the user agent.
//!
//! What is believed, in this order: what the **key** says always wins, and a part that a header says otherwise is noted
//! as overruled. A header with a **signature** settles role, region and device that the key leaves open, and adds tags. A
//! header without one may only say device and region, and only where the document believes such **hints**. The **user
//! agent** tells the device when nobody else does. The tenant is the key's alone: money and caches are kept by it.
//!
//! A header that cannot be believed is refused, never ignored: the call would go another way, and nobody would see it.
//! Within its age a signature can be used again; `key=NAME` in the header binds it to the calls of one key.

mod device;
mod header;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header as names};
use tradewind_core::{Context, Device, Label, Labels, SaidBy, UnixMillis};
use tradewind_policy::{ContextSettings, KeyTerms, MOST_TAGS};

pub use self::header::BadContext;
use self::header::{HEADER, SIGNATURE, Stated};
use self::signature::Secret;
use crate::grant::Grant;

/// What a document believes.
#[derive(Debug)]
pub(crate) struct Beliefs {
    secret: Option<Secret>,
    max_age: Duration,
    hints: bool,
}

impl Default for Beliefs {
    fn default() -> Self {
        Self::new(&ContextSettings::default())
    }
}

const CONTEXT_HEADER: HeaderName = HeaderName::from_static(HEADER);
const SIGNATURE_HEADER: HeaderName = HeaderName::from_static(SIGNATURE);

impl Beliefs {
    pub(crate) fn new(settings: &ContextSettings) -> Self {
        Self {
            secret: settings.signing_secret.as_ref().map(|secret| Secret::new(secret.expose())),
            max_age: settings.max_age.get(),
            hints: settings.trust_hints,
        }
    }

    /// Who a call of `grant` with these headers comes from. Without a context header nothing is allocated.
    pub(crate) fn context(&self, grant: &Grant, headers: &HeaderMap, wall: UnixMillis) -> Result<Context, BadContext> {
        let (labels, device) = grant.said_by_key();
        let agent = || headers.get(names::USER_AGENT).and_then(device::of).map(|device| (device, SaidBy::UserAgent));
        let own = device.map(|device| (device, SaidBy::Key));
        let Some(value) = headers.get(CONTEXT_HEADER) else {
            if headers.contains_key(SIGNATURE_HEADER) {
                return Err(BadContext::Unreadable(format!(
                    "`{SIGNATURE}` has nothing to sign: there is no `{HEADER}`"
                )));
            }
            return Ok(Context::new(labels.cloned(), own.or_else(agent)));
        };
        let value = only(headers, &CONTEXT_HEADER, value)?;
        let stated = Stated::read(value)?;
        let by = match headers.get(SIGNATURE_HEADER) {
            Some(signature) => {
                let signature = only(headers, &SIGNATURE_HEADER, signature)?;
                let secret = self.secret.as_ref().ok_or(BadContext::NoSecret)?;
                secret.check(value, signature, self.max_age, wall)?;
                SaidBy::Signature
            }
            None if !self.hints => return Err(BadContext::NotSigned),
            None => SaidBy::Hint,
        };
        if let Some(part) = stated.needs_signature().filter(|_| by == SaidBy::Hint) {
            return Err(BadContext::NeedsSignature { part });
        }
        if let Some(name) = stated.key
            && grant.name().is_none_or(|own| **own != *name)
        {
            return Err(BadContext::OtherKey);
        }
        let mut overruled = Vec::new();
        let device = match (own, stated.device) {
            (Some((own, _)), Some(said)) if own != said => {
                overruled.push("device");
                Some((own, SaidBy::Key))
            }
            (Some(own), _) => Some(own),
            (None, Some(said)) => Some((said, by)),
            (None, None) => agent(),
        };
        let nothing = Labels::default();
        let labels = together(labels.map_or(&nothing, |labels| labels), &stated, by, overruled)?;
        Ok(Context::new(Some(Arc::new(labels)), device))
    }
}

/// The labels of a key, and what a header adds to them.
fn together(
    own: &Labels,
    stated: &Stated<'_>,
    by: SaidBy,
    mut overruled: Vec<&'static str>,
) -> Result<Labels, BadContext> {
    let mut settle = |part: &'static str, own: Option<&Label>, said: Option<&str>| match (own, said) {
        (Some(own), Some(said)) if *own.text != *said => {
            overruled.push(part);
            Some(own.clone())
        }
        (Some(own), _) => Some(own.clone()),
        (None, said) => said.map(|text| Label { text: text.into(), by }),
    };
    let role = settle("role", own.role.as_ref(), stated.role);
    let region = settle("region", own.region.as_ref(), stated.region);
    let mut tags = own.tags.clone();
    for tag in &stated.tags {
        if !tags.iter().any(|own| *own.text == **tag) {
            tags.push(Label { text: (*tag).into(), by });
        }
    }
    // Those of the key and those of the header are bounded each; so is their sum.
    if tags.len() > 2 * MOST_TAGS {
        return Err(BadContext::Unreadable(format!("there are more than {MOST_TAGS} tags")));
    }
    Ok(Labels { role, tenant: own.tenant.clone(), region, tags, overruled })
}

/// What a key says of its callers; made once, and shared by its calls.
pub(crate) fn labels_of(terms: &KeyTerms) -> Option<Arc<Labels>> {
    let label = |text: &String| Label { text: text.as_str().into(), by: SaidBy::Key };
    let labels = Labels {
        role: terms.role.as_ref().map(label),
        tenant: terms.tenant.as_deref().map(Into::into),
        region: terms.region.as_ref().map(label),
        tags: terms.tags.iter().map(label).collect(),
        overruled: Vec::new(),
    };
    (labels != Labels::default()).then(|| Arc::new(labels))
}

/// The one value of a header: of two nobody could tell which one was meant, or signed.
fn only<'h>(headers: &HeaderMap, name: &HeaderName, value: &'h HeaderValue) -> Result<&'h [u8], BadContext> {
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(BadContext::Unreadable(format!("there is more than one `{name}`")));
    }
    Ok(value.as_bytes())
}

/// What a grant says of the caller.
pub(crate) type OfKey<'a> = (Option<&'a Arc<Labels>>, Option<Device>);
