//! `tradewind`: the one gateway that AI agents go out through.

use std::process::ExitCode;

use clap::Parser;
use tradewind::commands::Cli;

/// Fewer system calls and less contention than the system's allocator with many small, short-lived buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
