//! What is answered on `/network/context`, field by field in the contract's order.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::context::{Context, ContextCode, ContextError};
use super::machine::{LastMatch, Machine, Source};

/// Why a group is where it is after an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The policy names the network, and the group was switched.
    Matched,
    /// The policy names the network, and the group is there already.
    AlreadySelected,
    /// The policy does not name the network, so its default counts.
    Default,
    /// The policy names neither the network nor a default.
    NoChangeNoDefault,
    /// The same network as before.
    UnchangedNetwork,
    /// The same network as before, and somebody has chosen by hand since.
    ManualLocked,
    /// What the policy says is no member of the group now.
    MissingTarget,
}

/// One group in the answer to `PUT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name.
    pub group: Arc<str>,
    /// What the policy says, whether it was followed or not.
    pub target_proxy: Option<Arc<str>>,
    /// What is selected now.
    pub applied_proxy: Arc<str>,
    /// Whether that is something else than before.
    pub changed: bool,
    /// Who selected it, after this evaluation.
    pub selection_source: Source,
    /// Why.
    pub reason: Why,
}

/// The answer to `PUT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PutAnswer {
    /// The present network.
    pub matched_network: Option<Arc<str>>,
    /// Every group with a policy, in the order of the file; the models after the proxies.
    pub applied: Vec<Applied>,
    /// When the context ends, in seconds since the Unix epoch.
    pub expires_at: Option<u64>,
}

/// One group in the answer to `GET`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: Arc<str>,
    /// What is selected.
    pub current_proxy: Arc<str>,
    /// Who selected it.
    pub selection_source: Source,
    /// The network it was last evaluated for; null also when none fitted then.
    pub last_matched_network: Option<Arc<str>>,
}

impl GroupView {
    /// How a group stands.
    #[must_use]
    pub fn new(group: &Arc<str>, current: &Arc<str>, machine: &Machine) -> Self {
        let last_matched_network = match machine.last() {
            Some(LastMatch::Network(name)) => Some(Arc::clone(name)),
            Some(LastMatch::Nothing) | None => None,
        };
        Self {
            group: Arc::clone(group),
            current_proxy: Arc::clone(current),
            selection_source: machine.source(),
            last_matched_network,
        }
    }
}

/// The answer to `GET`. Without a context everything but `groups` is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GetAnswer {
    /// The normalised copy of what the host said.
    pub context: Option<Arc<Context>>,
    /// The network that it fits now.
    pub matched_network: Option<Arc<str>>,
    /// Every group with a policy, in the order of the file.
    pub groups: Vec<GroupView>,
    /// When the context ends, in seconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// For how long it has been there.
    pub age_seconds: Option<u64>,
}

/// The answer to a body that is refused. Only this path has a code beside the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorAnswer {
    /// Which kind of mistake.
    #[serde(serialize_with = "code_name")]
    pub code: ContextCode,
    /// In words.
    pub message: String,
}

impl From<ContextError> for ErrorAnswer {
    fn from(error: ContextError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

fn code_name<S: Serializer>(code: &ContextCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}
