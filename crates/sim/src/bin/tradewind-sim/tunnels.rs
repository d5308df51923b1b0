//! `far-end` and `tunnels`: load for proxies that pass connections on. Only arguments and printing.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tradewind_core::parse_duration;
use tradewind_sim::{By, FarEnd, Path, flow, hold, opens, pings};

use crate::Outcome;

/// What to do through a proxy.
#[derive(Args)]
pub(crate) struct Tunnels {
    /// The proxy, `127.0.0.1:7890`; not used with `--by direct`.
    #[arg(long, value_parser = crate::parse_target, default_value = "127.0.0.1:7890")]
    proxy: SocketAddr,
    /// How the proxy is asked: `connect`, `socks5`, or `direct` to go past it.
    #[arg(long, default_value = "connect")]
    by: By,
    /// What `far-end` has printed.
    #[arg(long, value_parser = crate::parse_target)]
    far: SocketAddr,
    /// Name that the proxy is asked for in place of that address; it has to lead there.
    #[arg(long)]
    name: Option<Arc<str>>,
    /// Own address, such as 127.0.0.2.
    #[arg(long)]
    from: Option<IpAddr>,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Open tunnels, use each for a byte there and back, and see it end.
    Open {
        /// Tunnels at once.
        #[arg(long, default_value_t = 16)]
        callers: usize,
        /// How long.
        #[arg(long, default_value = "1s", value_parser = parse_duration)]
        lasting: Duration,
    },
    /// Send many bytes.
    Flow {
        /// Tunnels at once.
        #[arg(long, default_value_t = 4)]
        tunnels: usize,
        /// MiB through each.
        #[arg(long, default_value_t = 256)]
        mib: u64,
        /// To the far end instead of from it.
        #[arg(long)]
        up: bool,
    },
    /// Send one byte there and back, again and again over one tunnel.
    Ping {
        /// How long.
        #[arg(long, default_value = "1s", value_parser = parse_duration)]
        lasting: Duration,
    },
    /// Hold tunnels that say nothing until Ctrl-C or the end of the process.
    Hold {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        tunnels: usize,
    },
}

/// Serves as the far end until the process is stopped.
pub(crate) fn far_end() -> Outcome {
    let far = FarEnd::open()?;
    print(&format_args!("listening on {}", far.address()?))?;
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(far.serve())?)
}

/// Puts a load on a proxy; prints what came of it as JSON.
pub(crate) fn put(arguments: Tunnels) -> Outcome {
    let Tunnels { proxy, by, far, name, from, load } = arguments;
    let path = &Path { by, proxy, far, name, from };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match load {
            Load::Open { callers, lasting } => print_json(&opens(path, callers, lasting).await),
            Load::Flow { tunnels, mib, up } => print_json(&flow(path, tunnels, mib << 20, up).await?),
            Load::Ping { lasting } => print_json(&pings(path, lasting).await?),
            Load::Hold { tunnels } => {
                let held = hold(path, tunnels).await?;
                print(&format_args!("holding {}", held.len()))?;
                Ok(tokio::signal::ctrl_c().await?)
            }
        }
    })
}

fn print_json(report: &impl Serialize) -> Outcome {
    print(&serde_json::to_string_pretty(report)?)
}

fn print(line: &dyn std::fmt::Display) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
