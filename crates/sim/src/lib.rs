//! A simulated model provider that speaks OpenAI's and Anthropic's dialects over hand-written HTTP, produces every fault
//! by name at byte level, and records what it saw; and a load generator, for gateways and for proxies that pass connections on.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use tradewind_sim::{Sim, SimFault, SimOptions};
//!
//! let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
//! sim.set_fault(SimFault::MidStreamCut).unwrap();
//! assert!(sim.base_url().starts_with("http://127.0.0.1:"));
//! assert_eq!(sim.stats().requests, 0);
//! sim.stop().await;
//! # });
//! ```
//!
//! A fault is chosen by the request header `x-sim-fault: NAME[:ARG]`, by the model's name (`fast!mid-stream-cut`), as the
//! standing fault, or at random by [`SimOptions::error_rate`]; the first of these that is there counts.
//!
//! What a model says can be written down beforehand ([`Sim::script`]); it is then rendered in whichever wire it is asked:
//! chat completions, messages or responses, whole or streamed.

mod admin;
mod answer;
mod anthropic;
mod ask;
mod bench;
mod connection;
mod fault;
mod http1;
mod http2;
mod inject;
mod load;
mod network;
mod openai;
mod options;
mod plan;
mod request;
mod responses;
mod script;
mod scripted;
mod server;
mod shared;
mod sse;
mod stats;
mod strict;
mod text;
mod tls;
mod tunnels;

pub use bench::BenchServer;
pub use fault::{Injection, Needs, ParseFaultError, SeenIn, SimFault, Takes};
pub use load::{Arrivals, Comparison, LoadOptions, LoadReport, Spread, compare_load, put_load};
pub use network::{BlackHole, RefusedPort, UNRESOLVABLE_HOST, free_port};
pub use options::{Delay, SimOptions, TlsOptions};
pub use scripted::{Finish, ScriptedAnswer, ScriptedCall, ScriptedUsage, Thinking};
pub use server::{Sim, SimError};
pub use stats::{Charges, Ending, KEPT_BODY, KEPT_REQUESTS, SeenRequest, SimStats};
pub use tunnels::{By, FarEnd, Flow, OPENING, Opens, Path, Pings, TunnelError, flow, hold, opens, pings};
