//! What rules know of a connection.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tradewind_policy::ways::{InboundKind, Transport};

/// What rules know of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// TCP or UDP.
    pub network: Transport,
    /// How the caller came in.
    pub inbound: InboundKind,
    /// The name of the listener, `DEFAULT-MIXED`.
    pub inbound_name: Arc<str>,
    /// The address of ours that the caller has reached; `None` when it came from nowhere.
    pub inbound_ip: Option<IpAddr>,
    /// The port of the listener.
    pub inbound_port: u16,
    /// The user that the caller logged in as.
    pub inbound_user: Option<Arc<str>>,
    /// The name that the caller asked for: lower case, in its ASCII form, without a dot at the end. `None` when it asked for
    /// an address.
    pub host: Option<Arc<str>>,
    /// The address that the caller asked for. What a name was resolved to is in `resolved`.
    pub destination: Option<IpAddr>,
    /// The port that the caller asked for.
    pub destination_port: u16,
    /// The caller's address.
    pub source: IpAddr,
    /// The caller's port.
    pub source_port: u16,
    /// The caller's process, when it was found.
    pub process: Option<Process>,
    /// The user that the caller's process belongs to, when it was found.
    pub uid: Option<u32>,
    /// Whether the process was looked for: when it was and is not here, nothing fits it.
    pub process_asked: bool,
    /// The six bits of RFC 2474.
    pub dscp: u8,
    /// What is known of the address of `host`.
    pub resolved: Resolved,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            network: Transport::Tcp,
            inbound: InboundKind::Inner,
            inbound_name: Arc::from(""),
            inbound_ip: None,
            inbound_port: 0,
            inbound_user: None,
            host: None,
            destination: None,
            destination_port: 0,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            source_port: 0,
            process: None,
            uid: None,
            process_asked: false,
            dscp: 0,
            resolved: Resolved::NotAsked,
        }
    }
}

/// A program that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The last part of the path.
    pub name: Arc<str>,
    /// The whole path.
    pub path: Arc<str>,
}

/// What is known of the address of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolved {
    /// Nobody has asked.
    #[default]
    NotAsked,
    /// The name has none, or nobody could say.
    Failed,
    /// It is this.
    Ip(IpAddr),
}
