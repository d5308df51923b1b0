//! `tradewind key create`

use anyhow::{anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use tradewind_access::{StoredKey, StoredKeysError};
use tradewind_core::{Clock, Device, UnixMillis, parse_duration};
use tradewind_policy::{Amount, Budget, KeyHash, KeyTerms, Period, Timestamp, Unpriced, check_key_name, check_pattern};
use tradewind_runtime::SystemClock;

use super::{Keys, Whose, print};
use crate::say;

/// What each secret begins with, so that scanners for leaked secrets can tell what it is.
const PREFIX: &str = "tw-";
/// Random bytes of a secret.
const RANDOM: usize = 32;

/// Make a key and print its secret
///
/// The secret is printed on stdout, this once: only its hash is kept.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The name of the key: letters, digits, dots, hyphens and underscores
    name: String,
    /// What it may use, such as models/* or control/read; may be given several times [default: all but control]
    #[arg(long, value_name = "PATTERN")]
    allow: Vec<String>,
    /// What it may spend, in US dollars
    #[arg(long, value_name = "DOLLARS", requires = "per")]
    usd: Option<f64>,
    /// For how long: day, week, month or total
    #[arg(long, value_name = "PERIOD", requires = "usd", value_parser = period)]
    per: Option<Period>,
    /// Whether targets without a price may answer although there is a budget: refuse or allow
    #[arg(long, value_name = "WHETHER", default_value = "refuse", value_parser = unpriced)]
    unpriced: Unpriced,
    /// Requests within any 60 seconds
    #[arg(long, value_name = "COUNT")]
    rpm: Option<u64>,
    /// Tokens within any 60 seconds
    #[arg(long, value_name = "COUNT")]
    tpm: Option<u64>,
    /// Which team or customer calls with it
    #[arg(long)]
    tenant: Option<String>,
    /// What calls with it, such as machine or developer
    #[arg(long)]
    role: Option<String>,
    /// Where it calls from, or where its data may go, such as eu
    #[arg(long)]
    region: Option<String>,
    /// What kind of program calls with it: mobile, desktop, server, ci or cli
    #[arg(long, value_parser = device)]
    device: Option<Device>,
    /// Whatever else rules of `route` may ask for, such as batch; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// When it ends: after 30d, 12h, or at a time such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Print the key with its secret as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

fn period(text: &str) -> Result<Period, String> {
    [Period::Day, Period::Week, Period::Month, Period::Total]
        .into_iter()
        .find(|period| period.name() == text)
        .ok_or_else(|| "one of day, week, month, total".to_owned())
}

fn unpriced(text: &str) -> Result<Unpriced, String> {
    match text {
        "refuse" => Ok(Unpriced::Refuse),
        "allow" => Ok(Unpriced::Allow),
        _ => Err("one of refuse, allow".to_owned()),
    }
}

fn device(text: &str) -> Result<Device, String> {
    Device::from_name(text).ok_or_else(|| format!("one of {}", Device::ALL.map(Device::name).join(", ")))
}

impl Create {
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let now = SystemClock::new().wall();
        let terms = self.terms(now)?;
        let whose = std::mem::take(&mut self.whose);
        let keys = Keys::of(whose)?;
        if keys.document.iter().any(|key| key.name.value == self.name) {
            bail!("the key `{}` is in {} already\n  = hint: choose another name", self.name, keys.name);
        }
        let mut random = [0; RANDOM];
        SystemRandom::new().fill(&mut random).map_err(|_| anyhow!("the system gives no random bytes"))?;
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let key = StoredKey::new(&self.name, KeyHash::of(secret.as_bytes()), now, terms);
        let is_first = keys.created.change(|stored| {
            let is_first = stored.keys().is_empty();
            stored.add(key.clone()).map_err(|error| match error {
                StoredKeysError::NameTaken(name) => anyhow!(
                    "there is a key named `{name}` already\n  = hint: choose another name, or revoke it first with \
                     `tradewind key revoke {name}`"
                ),
                error => anyhow!(error),
            })?;
            Ok(is_first)
        })?;
        if self.json {
            let mut shown = print::as_json(&print::Row::created(&key, now));
            shown["secret"] = json!(secret);
            say::data(serde_json::to_string_pretty(&shown)?);
        } else {
            say::data(secret);
        }
        say::note(said(&key, &keys, is_first && keys.document.is_empty()));
        Ok(())
    }

    fn terms(&self, now: UnixMillis) -> anyhow::Result<KeyTerms> {
        check_key_name(&self.name).map_err(|bad| anyhow!("{bad}\n  = hint: {}", bad.hint))?;
        for pattern in &self.allow {
            check_pattern(pattern).map_err(|bad| anyhow!("--allow: {bad}\n  = hint: {}", bad.hint))?;
        }
        let budget = match (self.usd, self.per) {
            (Some(usd), _) if !(usd > 0.0 && usd <= Amount::LARGEST) => {
                bail!("--usd {usd}: a budget is more than nothing and at most {}", Amount::LARGEST)
            }
            (Some(usd), Some(per)) => Some(Budget { usd: Amount(usd), per }),
            _ => None,
        };
        let terms = KeyTerms {
            tenant: self.tenant.clone(),
            role: self.role.clone(),
            region: self.region.clone(),
            device: self.device,
            tags: self.tags.clone(),
            allow: (!self.allow.is_empty()).then(|| self.allow.clone()),
            budget,
            unpriced: self.unpriced,
            rpm: self.rpm,
            tpm: self.tpm,
            expires: self.expires.as_deref().map(|text| expires(text, now)).transpose()?,
        };
        match terms.problems().into_iter().next() {
            Some(bad) => bail!("--{}: {bad}\n  = hint: {}", bad.term, bad.hint),
            None => Ok(terms),
        }
    }
}

/// A time, or a span from `now` on.
pub(super) fn expires(text: &str, now: UnixMillis) -> anyhow::Result<Timestamp> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let after = parse_duration(text).ok().filter(|_| has_unit).map(|span| {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(now.0.saturating_add(millis))
    });
    let Some(at) = after.or_else(|| UnixMillis::parse_rfc3339(text)) else {
        bail!(
            "--expires `{text}` is not understood\n  = hint: write a span of at most 365 days, like 30d or 12h, or a \
             time like 2027-01-31T00:00:00Z"
        );
    };
    if at <= now {
        bail!("--expires `{text}` is over already\n  = hint: it is {} now", now.rfc3339());
    }
    Ok(Timestamp(at))
}

/// What is said about a new key.
pub(super) fn said(key: &StoredKey, keys: &Keys, is_first: bool) -> String {
    let mut text = format!(
        "made the key `{}` in {}; its secret is shown this once\n{}",
        key.name,
        keys.created.path().display(),
        print::terms(&key.terms())
    );
    text.push_str("a running gateway takes it within a second");
    if is_first {
        text.push_str("; from then on every call needs a key");
    }
    text
}
