//! The controller API that Clash dashboards and scripts use, on a listener of its own: `external-controller`.
//!
//! Paths, statuses, messages and shapes are those of mihomo, as measured on it; where an answer differs, the file that gives
//! it says why. What a dashboard looks at and moves is [`tradewind_ways::Ways`]; the document itself and the ports of the relay
//! are moved by what the composition root hands in ([`ControllerNeeds`]).
//!
//! `router.rs` is the table of paths and the order of the checks before them; the other files are an endpoint family each;
//! `frames.rs` is what streams tell, over a chunked body or a websocket.

mod answer;
mod configs;
mod connections;
mod controller;
mod cors;
mod delay;
mod dns;
mod frames;
mod network;
mod origin;
mod path;
mod providers;
mod proxies;
mod query;
mod resident;
mod router;
mod rules;
mod server;
mod socket;
mod storage;
#[cfg(test)]
mod tests;
mod time;
mod ui;
mod view;

pub use controller::{Controller, ControllerNeeds, ControllerSettings, NewDocument};
pub use server::{MOST_CONTROLLER_CONNECTIONS, serve_controller};
