//! `/connections`: the open connections of the relay.

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;
use tradewind_decide::rules::Resolved;
use tradewind_door::Response;
use tradewind_policy::ways::{InboundKind, Transport};
use tradewind_ways::{Connection, Member, WaySet, Ways};

use super::answer::{done, json};
use super::resident::resident_bytes;
use super::time::go_time;
use super::view::{parse_uuid, uuid};

/// All of them, and what they have carried.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionsView {
    download_total: u64,
    upload_total: u64,
    /// null when there are none.
    connections: Option<Vec<ConnectionView>>,
    memory: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionView {
    id: String,
    metadata: Metadata,
    upload: u64,
    download: u64,
    start: String,
    chains: Vec<Arc<str>>,
    provider_chains: Vec<Arc<str>>,
    rule: &'static str,
    rule_payload: Arc<str>,
}

/// Where a connection comes from and goes to. Fields for what is not looked up or not built are as mihomo has them then.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    network: &'static str,
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(rename = "sourceIP")]
    source: String,
    #[serde(rename = "destinationIP")]
    destination: String,
    #[serde(rename = "sourceGeoIP")]
    source_geo: Option<Vec<String>>,
    #[serde(rename = "destinationGeoIP")]
    destination_geo: Option<Vec<String>>,
    #[serde(rename = "sourceIPASN")]
    source_asn: &'static str,
    #[serde(rename = "destinationIPASN")]
    destination_asn: &'static str,
    source_port: String,
    destination_port: String,
    #[serde(rename = "inboundIP")]
    inbound: String,
    inbound_port: String,
    inbound_name: Arc<str>,
    inbound_user: Arc<str>,
    rematch_name: &'static str,
    host: Arc<str>,
    dns_mode: &'static str,
    uid: u32,
    process: Arc<str>,
    process_path: Arc<str>,
    special_proxy: &'static str,
    special_rules: &'static str,
    remote_destination: String,
    dscp: u8,
    sniff_host: &'static str,
}

impl ConnectionsView {
    /// As they are now.
    pub(crate) fn now(ways: &Ways) -> Self {
        let (upload_total, download_total) = ways.connections().totals();
        let mut lists = FromLists::new(ways.set());
        let connections: Vec<ConnectionView> =
            ways.connections().list().iter().map(|connection| ConnectionView::of(connection, &mut lists)).collect();
        Self {
            download_total,
            upload_total,
            connections: (!connections.is_empty()).then_some(connections),
            memory: resident_bytes(),
        }
    }
}

/// From which list the proxy at the end of a chain comes, looked up once for each.
struct FromLists {
    set: Arc<WaySet>,
    known: FxHashMap<(Arc<str>, Arc<str>), Arc<str>>,
    none: Arc<str>,
}

impl FromLists {
    fn new(set: Arc<WaySet>) -> Self {
        Self { set, known: FxHashMap::default(), none: Arc::from("") }
    }

    /// The list for each name of `chain`; groups and the document's own proxies have none.
    fn of(&mut self, chain: &[Arc<str>]) -> Vec<Arc<str>> {
        let mut lists = vec![self.none.clone(); chain.len()];
        if let [leaf, group, ..] = chain
            && !self.set.providers.is_empty()
        {
            let key = (group.clone(), leaf.clone());
            let (set, none) = (&self.set, &self.none);
            let found = self.known.entry(key).or_insert_with(|| {
                let member = set.group(group).and_then(|group| group.member(leaf));
                match member {
                    Some(Member::Node(node)) => node.provider.clone().unwrap_or_else(|| none.clone()),
                    _ => none.clone(),
                }
            });
            lists[0] = found.clone();
        }
        lists
    }
}

impl ConnectionView {
    fn of(connection: &Connection, lists: &mut FromLists) -> Self {
        Self {
            id: uuid(connection.id),
            metadata: Metadata::of(connection),
            upload: connection.uploaded(),
            download: connection.downloaded(),
            start: go_time(connection.since),
            chains: connection.chain.to_vec(),
            provider_chains: lists.of(&connection.chain),
            rule: connection.rule,
            rule_payload: connection.payload.clone(),
        }
    }
}

impl Metadata {
    fn of(connection: &Connection) -> Self {
        let meta = &connection.meta;
        let none = || Arc::from("");
        let shown = |address: Option<IpAddr>| address.map_or_else(String::new, |address| address.to_string());
        let resolved = match meta.resolved {
            Resolved::Ip(address) => Some(address),
            Resolved::NotAsked | Resolved::Failed => None,
        };
        let process = meta.process.as_ref();
        Self {
            network: match meta.network {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            },
            type_name: match meta.inbound {
                InboundKind::Http => "HTTP",
                InboundKind::Https => "HTTPS",
                InboundKind::Socks4 => "Socks4",
                InboundKind::Socks5 => "Socks5",
                InboundKind::Inner => "Inner",
            },
            source: meta.source.to_string(),
            destination: shown(meta.destination.or(resolved)),
            source_geo: None,
            destination_geo: None,
            source_asn: "",
            destination_asn: "",
            source_port: meta.source_port.to_string(),
            destination_port: meta.destination_port.to_string(),
            inbound: shown(meta.inbound_ip),
            inbound_port: meta.inbound_port.to_string(),
            inbound_name: meta.inbound_name.clone(),
            inbound_user: meta.inbound_user.clone().unwrap_or_else(none),
            rematch_name: "",
            host: meta.host.clone().unwrap_or_else(none),
            dns_mode: "normal",
            uid: meta.uid.unwrap_or(0),
            process: process.map_or_else(none, |process| process.name.clone()),
            process_path: process.map_or_else(none, |process| process.path.clone()),
            special_proxy: "",
            special_rules: "",
            remote_destination: shown(connection.remote),
            dscp: meta.dscp,
            sniff_host: "",
        }
    }
}

/// `GET /connections` without a websocket: once.
pub(crate) fn list(ways: &Ways) -> Response {
    json(200, &ConnectionsView::now(ways))
}

/// Ends one. One that is not there is as good as ended.
pub(crate) fn close(ways: &Ways, id: &str) -> Response {
    let _ = parse_uuid(id).is_some_and(|id| ways.connections().close(id)); // it may just have ended
    done()
}

/// Ends all.
pub(crate) fn close_all(ways: &Ways) -> Response {
    ways.connections().close_all();
    done()
}
