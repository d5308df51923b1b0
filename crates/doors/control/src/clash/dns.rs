//! `/dns/query`: addresses of a name, as the relay finds them.
//!
//! Answered in the form of DNS over JSON. The resolver keeps addresses and not records, so that `TTL` is 0, and other types
//! than A and AAAA are not asked for.

use std::net::IpAddr;

use serde::Serialize;
use tradewind_door::Response;
use tradewind_ways::Ways;

use super::answer::{Wrong, json};
use super::query::parameter;

/// The fields in mihomo's order.
#[derive(Serialize)]
struct Reply {
    #[serde(rename = "AD")]
    authentic: bool,
    #[serde(rename = "Answer", skip_serializing_if = "Vec::is_empty")]
    answer: Vec<Answer>,
    #[serde(rename = "CD")]
    unchecked: bool,
    #[serde(rename = "Question")]
    question: [Question; 1],
    #[serde(rename = "RA")]
    recursion_available: bool,
    #[serde(rename = "RD")]
    recursion_desired: bool,
    #[serde(rename = "Status")]
    status: u8,
    #[serde(rename = "TC")]
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question {
    name: String,
    qtype: u16,
    qclass: u16,
}

#[derive(Serialize)]
struct Answer {
    #[serde(rename = "TTL")]
    ttl: u32,
    data: String,
    name: String,
    #[serde(rename = "type")]
    kind: u16,
}

/// Types that have a name, with their number (RFC 1035, 3596 and others).
const TYPES: [(&str, u16); 10] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("HTTPS", 65),
];
const A: u16 = 1;
const AAAA: u16 = 28;

/// Answers `?name=…&type=A`.
pub(crate) async fn query(ways: &Ways, query: Option<&str>) -> Result<Response, Wrong> {
    if !ways.set().spec.dns.enable {
        return Err(Wrong::said(500, "DNS section is disabled"));
    }
    let name = parameter(query, "name").unwrap_or_default();
    let wanted = parameter(query, "type").filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| "A".to_owned());
    let kind = TYPES.into_iter().find(|(known, _)| *known == wanted);
    let (_, kind) = kind.ok_or_else(|| Wrong::said(400, "invalid query type"))?;
    if !matches!(kind, A | AAAA) {
        return Err(Wrong::said(500, "only A and AAAA are asked for here"));
    }
    let found = ways.egress().resolver().look_up(name.trim_end_matches('.')).await;
    let found = found.map_err(|fault| Wrong::said(500, fault.to_string()))?;
    let full = format!("{}.", name.trim_end_matches('.'));
    let of_kind = found.iter().filter(|address| matches!((address, kind), (IpAddr::V4(_), A) | (IpAddr::V6(_), AAAA)));
    let answer = of_kind.map(|address| Answer { ttl: 0, data: address.to_string(), name: full.clone(), kind });
    Ok(json(
        200,
        &Reply {
            status: 0,
            question: [Question { name: full.clone(), qtype: kind, qclass: 1 }],
            truncated: false,
            recursion_desired: true,
            recursion_available: true,
            authentic: false,
            unchecked: false,
            answer: answer.collect(),
        },
    ))
}
