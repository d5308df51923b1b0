//! Ways out, as the control API shows and moves them: groups and proxies, the network, and which way a URL leaves.

use http::Method;
use serde_json::{Value, json};
use tradewind_core::{Code, percent_decoded};
use tradewind_door::{Refusal, Response, json_response};
use tradewind_ways::{Group, Member, Origin, PutError, SelectError, Ways};

/// Groups and proxies of the present document.
pub(crate) fn shown(ways: &Ways) -> Value {
    let set = ways.set();
    let groups: Vec<Value> = set.groups.iter().map(|group| described(group)).collect();
    let proxies: Vec<Value> = set.nodes.iter().map(|node| member(&Member::Node(node.clone()), "")).collect();
    let providers: Vec<Value> = set
        .providers
        .iter()
        .map(|provider| {
            let told = provider.told();
            json!({
                "name": provider.name(),
                "from": provider.vehicle_name(),
                "proxies": provider.nodes().iter().map(|node| node.name().clone()).collect::<Vec<_>>(),
                "updated": told.updated.map(|at| at.rfc3339()),
                "failed": told.failed,
            })
        })
        .collect();
    let network = ways.network_name();
    json!({"mode": ways.mode().name(), "network": network, "groups": groups, "proxies": proxies, "providers": providers})
}

fn described(group: &Group) -> Value {
    let members = group.members();
    let url = &group.spec.test_url;
    json!({
        "name": group.name(),
        "type": tradewind_ways::kind_name(group.spec.kind),
        "now": group.now().map(|member| member.name().clone()),
        "fixed": group.state.chosen(),
        "follows": group.spec.network_policy.is_some(),
        "members": members.iter().map(|known| member(known, url)).collect::<Vec<_>>(),
    })
}

fn member(member: &Member, url: &str) -> Value {
    let health = member.health();
    // By the group's own URL where it is tested with that; by whatever tested it last otherwise.
    let delay = Some(health.delay(url)).filter(|delay| *delay < u16::MAX).or_else(|| health.last_delay());
    json!({
        "name": member.name(),
        "type": member.type_name(),
        "built": member.is_built(),
        "alive": member.is_built() && health.was_answered(),
        "delay_ms": delay,
    })
}

/// Selects a member of a group: `PUT /api/v1/proxies/NAME/selected`.
pub(crate) fn select(ways: &Ways, name: &str, body: &[u8]) -> Result<Response, Refusal> {
    let asked: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(Code::MalformedJson, format!("the request body is not valid JSON: {error}")))?;
    let Some(selected) = asked["selected"].as_str() else {
        let message = "send {\"selected\": \"the name of a member\"}";
        return Err(Refusal::new(Code::BadField, message).in_field("selected"));
    };
    let name = percent_decoded(name);
    match ways.select(&name, selected) {
        Ok(()) => Ok(json_response(200, json!({"group": name, "selected": selected}).to_string())),
        Err(error @ (SelectError::Unknown(_) | SelectError::NoMember(..) | SelectError::NotSelectable(_))) => {
            Err(Refusal::new(Code::UnknownModel, error.to_string()).in_field("selected"))
        }
    }
}

/// The context of the network: `/api/v1/network/context`, as on the controller.
pub(crate) fn context(ways: &Ways, method: &Method, body: &[u8]) -> Result<Response, Refusal> {
    let answered = match *method {
        Method::GET => (200, serde_json::to_string(&ways.context())),
        Method::DELETE => {
            ways.delete_context();
            return Ok(json_response(200, "{}".to_owned()));
        }
        _ => match ways.put_context(body) {
            Ok(answer) => (200, serde_json::to_string(&answer)),
            Err(PutError::NoNetworks) => {
                let message = "the configuration has no `networks`: nothing follows what is said of the network";
                return Err(Refusal::new(Code::BadField, message));
            }
            Err(PutError::Context(error)) => {
                return Err(Refusal::new(Code::BadField, format!("{}: {}", error.code.name(), error.message)));
            }
        },
    };
    let text = answered.1.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    Ok(json_response(answered.0, text))
}

/// Why a network fits, or none does.
pub(crate) fn explained(ways: &Ways) -> Value {
    match ways.explain_context() {
        None => json!({"context": null, "why": if ways.has_networks() {
            "nobody has said yet what the network looks like"
        } else {
            "the configuration has no `networks`"
        }}),
        Some((explanation, origin)) => {
            let from = match origin {
                Origin::Pushed => "a host",
                Origin::Sampled => "our own sampler",
            };
            let mut shown = serde_json::to_value(&explanation).unwrap_or_default();
            shown["said_by"] = json!(from);
            shown
        }
    }
}
