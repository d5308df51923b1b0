//! The command line: one file a command.

mod check;
mod client;
mod completions;
mod cost;
mod demo;
mod doctor;
mod embedder;
mod evaluate;
mod explain;
mod import;
mod key;
mod man;
mod modules;
mod network;
mod preview;
mod proxies;
mod reach;
mod run;
mod schema;
mod select;
mod state;
mod way_out;
mod whose;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::say;

/// The one gateway that AI agents go out through
#[derive(Debug, Parser)]
#[command(name = "tradewind", version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Schema(schema::Schema),
    Explain(explain::Explain),
    Preview(preview::Preview),
    Evaluate(evaluate::Evaluate),
    Cost(cost::Cost),
    Import(import::Import),
    Key(key::Key),
    Embedder(embedder::Embedder),
    Modules(modules::Modules),
    State(state::State),
    Proxies(proxies::Proxies),
    Select(select::Select),
    Network(network::Network),
    WayOut(way_out::WayOut),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Cli {
    /// Runs the command. 0: it worked; 1: it did not, and stderr says why.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Run(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Preview(command) => command.run(),
            Command::Evaluate(command) => command.run(),
            Command::Cost(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Embedder(command) => command.run(),
            Command::Modules(command) => command.run(),
            Command::State(command) => command.run(),
            Command::Proxies(command) => command.run(),
            Command::Select(command) => command.run(),
            Command::Network(command) => command.run(),
            Command::WayOut(command) => command.run(),
            Command::Doctor(command) => match command.run() {
                Ok(code) => return code,
                Err(error) => Err(error),
            },
            Command::Demo(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // An error that a person is shown begins with `error`; those of libraries do not.
                let text = format!("{error:#}");
                say::note(if text.starts_with("error") { text } else { format!("error: {text}") });
                ExitCode::FAILURE
            }
        }
    }
}

/// `31.7 MB`, `4 KB`.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "KB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

/// The date and the time to the minute.
fn minute(at: tradewind_core::UnixMillis) -> String {
    at.rfc3339().chars().take(16).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}

/// `1 model`, `2 models`.
fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}
