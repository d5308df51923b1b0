//! A way out as a member of groups.

use std::fmt;
use std::sync::Arc;

use tradewind_egress::Outbound;
use tradewind_policy::ways::ProxyKind;

use crate::group::Group;
use crate::health::Health;
use crate::pick::Seen;
use crate::set::kind_name;

/// One proxy.
pub struct Node {
    /// How connections are made along it.
    pub outbound: Arc<Outbound>,
    /// What tests have shown.
    pub health: Arc<Health>,
    /// The list that it comes from, if it is not the document's own.
    pub provider: Option<Arc<str>>,
    /// `dialer-proxy`.
    pub dialer: Option<Arc<str>>,
    /// As the document or the list has it.
    pub kind: ProxyKind,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(self.name()).finish()
    }
}

impl Node {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        self.outbound.name()
    }
}

/// What a group may pick.
#[derive(Clone, Debug)]
pub enum Member {
    /// A proxy.
    Node(Arc<Node>),
    /// Another group.
    Group(Arc<Group>),
}

impl Member {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Node(node) => node.name(),
            Self::Group(group) => group.name(),
        }
    }

    /// What tests have shown.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        match self {
            Self::Node(node) => &node.health,
            Self::Group(group) => &group.health,
        }
    }

    /// Whether it is of a type that is built; of a group, whether what it picks is.
    #[must_use]
    pub fn is_built(&self) -> bool {
        match self {
            Self::Node(node) => node.outbound.is_built(),
            Self::Group(group) => group.is_built(),
        }
    }

    /// As [`Self::is_built`], whatever somebody has selected.
    pub(crate) fn has_built(&self) -> bool {
        match self {
            Self::Node(node) => node.outbound.is_built(),
            Self::Group(group) => group.has_built(),
        }
    }

    /// mihomo's name of its type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Node(node) => node.outbound.type_name(),
            Self::Group(group) => kind_name(group.spec.kind),
        }
    }

    /// Whether `exclude-type` means it by this word, in lower case.
    #[must_use]
    pub fn is_type(&self, word: &str) -> bool {
        match self {
            Self::Node(node) => node.kind.is_type(word),
            Self::Group(group) => group.spec.kind.is_type(word),
        }
    }

    /// Whether it means no proxy: `DIRECT` and its like, and a group that has nothing else.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        match self {
            Self::Node(node) => node.outbound.type_name() == "Direct",
            Self::Group(group) => group.is_direct(),
        }
    }

    pub(crate) fn seen(&self, url: &str) -> Seen {
        let health = self.health();
        Seen { built: self.is_built(), alive: health.is_alive(url), delay: health.delay(url) }
    }
}
