//! How keys are shown: everything but their secrets.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tradewind_access::StoredKey;
use tradewind_core::UnixMillis;
use tradewind_policy::{CallerKey, KeyTerms, Period, Timestamp, Unpriced};

/// A key as a row of the list.
pub(super) struct Row {
    name: String,
    source: &'static str,
    terms: KeyTerms,
    created: Option<Timestamp>,
    revoked: Option<Timestamp>,
    is_expired: bool,
}

impl Row {
    pub(super) fn document(key: &CallerKey, now: UnixMillis) -> Self {
        let terms = key.terms();
        let is_expired = is_over(&terms, now);
        Self { name: key.name.value.clone(), source: "configuration", terms, created: None, revoked: None, is_expired }
    }

    pub(super) fn created(key: &StoredKey, now: UnixMillis) -> Self {
        let terms = key.terms();
        let is_expired = is_over(&terms, now);
        let (created, revoked) = (Some(key.created), key.revoked);
        Self { name: key.name.clone(), source: "created", terms, created, revoked, is_expired }
    }

    fn state(&self) -> &'static str {
        match (self.revoked, self.is_expired) {
            (Some(_), _) => "revoked",
            (None, true) => "expired",
            (None, false) => "valid",
        }
    }
}

fn is_over(terms: &KeyTerms, now: UnixMillis) -> bool {
    terms.expires.is_some_and(|expires| now >= expires.0)
}

/// A key as JSON.
pub(super) fn as_json(row: &Row) -> Value {
    let terms = &row.terms;
    json!({
        "name": row.name,
        "source": row.source,
        "state": row.state(),
        "tenant": terms.tenant,
        "role": terms.role,
        "region": terms.region,
        "device": terms.device,
        "tags": terms.tags,
        "allow": terms.allow,
        "budget": terms.budget,
        "unpriced": terms.unpriced,
        "rpm": terms.rpm,
        "tpm": terms.tpm,
        "expires": terms.expires,
        "created": row.created,
        "revoked": row.revoked,
    })
}

/// The keys as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let head = ["NAME", "STATE", "FROM", "TENANT", "BUDGET", "RPM", "TPM", "EXPIRES", "MAY USE"].map(str::to_owned);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![head];
    lines.extend(rows.iter().map(|row| {
        let terms = &row.terms;
        [
            row.name.clone(),
            row.state().to_owned(),
            row.source.to_owned(),
            or_none(terms.tenant.clone()),
            or_none(terms.budget.map(|budget| money(budget.usd.0, budget.per))),
            or_none(terms.rpm.map(|rpm| rpm.to_string())),
            or_none(terms.tpm.map(|tpm| tpm.to_string())),
            or_none(terms.expires.map(minute)),
            may_use(terms),
        ]
    }));
    let mut widths = [0; 9];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(text, "{}", cells.join("  ").trim_end()).expect("a String takes what is written to it");
    }
    text
}

/// What a new key may do, one line for each limit that it has.
pub(super) fn terms(terms: &KeyTerms) -> String {
    let mut lines = vec![("may use", may_use(terms))];
    if let Some(caller) = caller(terms) {
        lines.push(("caller", caller));
    }
    if let Some(budget) = &terms.budget {
        let unpriced = match terms.unpriced {
            Unpriced::Refuse => "; targets without a price do not answer it",
            Unpriced::Allow => "; targets without a price answer it for nothing",
        };
        lines.push(("budget", format!("{}{unpriced}", money(budget.usd.0, budget.per))));
    }
    lines.extend(terms.rpm.map(|rpm| ("requests", format!("{rpm} a minute"))));
    lines.extend(terms.tpm.map(|tpm| ("tokens", format!("{tpm} a minute"))));
    lines.extend(terms.expires.map(|expires| ("expires", minute(expires))));
    lines.iter().map(|(what, value)| format!("  {what:<9} {value}\n")).collect()
}

/// What it says of its callers, as rules may ask for it: `role machine, region eu, tags batch nightly`.
fn caller(terms: &KeyTerms) -> Option<String> {
    let parts = [
        ("tenant", terms.tenant.clone()),
        ("role", terms.role.clone()),
        ("region", terms.region.clone()),
        ("device", terms.device.map(|device| device.name().to_owned())),
        ("tags", Some(terms.tags.join(" ")).filter(|tags| !tags.is_empty())),
    ];
    let said: Vec<String> = parts.into_iter().filter_map(|(what, text)| Some(format!("{what} {}", text?))).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn may_use(terms: &KeyTerms) -> String {
    terms.allow.as_ref().map_or_else(|| "everything but control".to_owned(), |allow| allow.join(" "))
}

fn money(usd: f64, per: Period) -> String {
    let amount = if usd < 0.01 { format!("${usd}") } else { format!("${usd:.2}") };
    match per {
        Period::Total => format!("{amount} in all"),
        _ => format!("{amount} a {}", per.name()),
    }
}

/// A time to the minute, in UTC.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    format!("{} {}Z", &text[..10], &text[11..16])
}
