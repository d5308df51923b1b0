//! The live side of ways out: groups and what they have picked, the health of their members, lists from elsewhere, rules,
//! the network that the machine is in, and the connections that are open.
//!
//! [`Ways`] is all of it. The relay asks it which way a connection takes ([`Ways::decide`]), every other door reaches it
//! through egress, which asks it by the name of a proxy or group. What a connection looks at is a snapshot that is swapped
//! whole, or a small value behind its own lock that is never held while anything waits.

mod asked;
mod connections;
mod fetch;
mod following;
mod geo;
mod group;
mod health;
mod kept;
mod leaving;
mod logs;
mod memory;
mod network;
mod node;
mod pick;
mod probe;
mod provider;
mod rules;
mod set;
mod source;
mod testing;
mod upkeep;
mod ways;

pub use connections::{Begun, Connection, Connections, Open};
pub use group::{Group, GroupState};
pub use health::{Account, Health, MOST_HISTORY, MOST_URLS, Tested};
pub use kept::{Kept, NoRoom};
pub use leaving::{Leaving, LeavingError};
pub use logs::{Level, Line, Logs};
pub use network::{Follower, Origin, PutError};
pub use node::{Member, Node};
pub use probe::{Expected, ProbeError};
pub use provider::{Provider, Subscription, Told};
pub use rules::{FindProcess, FoundProcess, List, Lists, LiveRules, Ruling};
pub use set::{WaySet, WaysError, kind_name};
pub use testing::DelayError;
pub use ways::{Decided, Needs, Prepared, SelectError, Ways};
