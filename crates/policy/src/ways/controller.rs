//! Where the controller API is.

use std::net::SocketAddr;

use tradewind_core::Secret;

/// The controller API.
#[derive(Clone, Debug, PartialEq)]
pub struct Controller {
    /// `external-controller`; an empty host (`:9090`) means all addresses.
    pub address: SocketAddr,
    /// `secret`; anybody who can connect may use it when empty.
    pub secret: Option<Secret<String>>,
    /// `external-controller-cors`.
    pub cors: Cors,
    /// `external-ui`: a folder of files served under `/ui`, as written.
    pub ui: Option<String>,
}

/// Which pages may use the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `allow-origins`, `["*"]` by default.
    pub origins: Vec<String>,
    /// `allow-private-network`, true by default.
    pub private_network: bool,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: vec!["*".to_owned()], private_network: true }
    }
}
