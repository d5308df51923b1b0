//! The simulator's command line: `serve` a simulated provider, put `load` on a gateway, list the `faults`; and `tunnels` to a
//! `far-end` through a proxy.
//! Only arguments and printing; the work is in the library.

mod tunnels;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tradewind_core::{Dialect, parse_duration};
use tradewind_sim::{
    Arrivals, BenchServer, Delay, Injection, LoadOptions, LoadReport, Sim, SimFault, SimOptions, Spread, TlsOptions,
    compare_load, put_load,
};

/// Simulate a model provider, with every fault by name, and put load on a gateway.
#[derive(Parser)]
#[command(name = "tradewind-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve OpenAI's and Anthropic's dialects on 127.0.0.1.
    Serve(Box<Serve>),
    /// Put a load on a target, and set it against a baseline.
    Load(Box<Load>),
    /// List the faults.
    Faults,
    /// Serve as what tunnels lead to, on a free port of 127.0.0.1.
    FarEnd,
    /// Put a load on a proxy that passes connections on.
    Tunnels(tunnels::Tunnels),
}

#[derive(Args)]
struct Serve {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Name that stands in every answer.
    #[arg(long, default_value = "sim")]
    name: String,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time to the first token: `80ms`, `50ms..120ms` (uniform), or `80ms~900ms` (log-normal: median~p99).
    #[arg(long, default_value = "0s", value_parser = parse_delay)]
    first_token: Delay,
    /// Tokens a second after the first; unlimited without it.
    #[arg(long)]
    tokens_per_second: Option<f64>,
    /// Tokens in an answer.
    #[arg(long, default_value_t = 24)]
    answer_tokens: usize,
    /// Share of calls, 0 to 1, that get one of the `--error-fault`s.
    #[arg(long, default_value_t = 0.0)]
    error_rate: f64,
    /// What these calls get; may be given several times.
    #[arg(long, default_value = "error-500")]
    error_fault: Vec<Injection>,
    /// Standing fault, `NAME[:ARG]`.
    #[arg(long)]
    fault: Option<Injection>,
    /// Model that exists; may be given several times. Without it every name is taken.
    #[arg(long)]
    model: Vec<String>,
    /// Key that is accepted; may be given several times. Without it no key is asked for.
    #[arg(long)]
    key: Vec<String>,
    /// Refuse what the real providers refuse in a request.
    #[arg(long)]
    strict: bool,
    /// Do not have `/v1/responses`.
    #[arg(long)]
    no_responses: bool,
    /// Speak TLS; the authority's certificate is printed after the address.
    #[arg(long)]
    tls: bool,
    /// Offer HTTP/2 (with TLS).
    #[arg(long, requires = "tls")]
    http2: bool,
    /// Answer as fast as possible with answers made beforehand: no faults, no record, no keys.
    #[arg(long, conflicts_with_all = ["fault", "tls", "key", "model"])]
    bench: bool,
    /// Threads that serve.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Args)]
struct Load {
    /// Where to: `127.0.0.1:7080` or `http://127.0.0.1:7080`.
    #[arg(long, value_parser = parse_target)]
    target: SocketAddr,
    /// What the target is set against, in rounds by turns: the upstream itself.
    #[arg(long, value_parser = parse_target)]
    baseline: Option<SocketAddr>,
    /// Rounds for target and baseline each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Callers of a closed loop.
    #[arg(long, default_value_t = 16, conflicts_with = "rate")]
    callers: usize,
    /// Calls a second of an open loop.
    #[arg(long)]
    rate: Option<f64>,
    /// Most connections of an open loop.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Ask for streams.
    #[arg(long)]
    stream: bool,
    /// `openai` or `anthropic`.
    #[arg(long, default_value = "openai", value_parser = parse_dialect)]
    dialect: Dialect,
    /// Path, if another than the dialect's own.
    #[arg(long)]
    path: Option<String>,
    /// Model that is asked for.
    #[arg(long, default_value = "bench")]
    model: String,
    /// Model that is asked for at the baseline, if another.
    #[arg(long)]
    baseline_model: Option<String>,
    /// Further header, `NAME: VALUE`; may be given several times.
    #[arg(long, value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// How long calls are measured, in each round.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    lasting: Duration,
    /// How long calls are made before that.
    #[arg(long, default_value = "200ms", value_parser = parse_duration)]
    warm_up: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn parse_target(text: &str) -> Result<SocketAddr, String> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let text = text.replacen("localhost", "127.0.0.1", 1);
    text.parse().map_err(|_| "write an address with its port, like 127.0.0.1:7080".to_owned())
}

fn parse_dialect(text: &str) -> Result<Dialect, String> {
    [Dialect::OpenAi, Dialect::Anthropic]
        .into_iter()
        .find(|dialect| dialect.name() == text)
        .ok_or_else(|| "write openai or anthropic".to_owned())
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn parse_delay(text: &str) -> Result<Delay, String> {
    let time = |text: &str| parse_duration(text).map_err(|error| error.to_string());
    if let Some((low, high)) = text.split_once("..") {
        return Ok(Delay::Uniform(time(low)?, time(high)?));
    }
    if let Some((median, p99)) = text.split_once('~') {
        return Ok(Delay::LogNormal { median: time(median)?, p99: time(p99)? });
    }
    Ok(Delay::Fixed(time(text)?))
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(arguments) => serve(*arguments),
        Command::Load(arguments) => load(*arguments),
        Command::Faults => list_faults(),
        Command::FarEnd => tunnels::far_end(),
        Command::Tunnels(arguments) => tunnels::put(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be done when not even that can be written.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn serve(arguments: Serve) -> Outcome {
    let options = SimOptions {
        name: arguments.name,
        seed: arguments.seed,
        port: arguments.port,
        first_token: arguments.first_token,
        tokens_per_second: arguments.tokens_per_second,
        answer_tokens: arguments.answer_tokens,
        error_rate: arguments.error_rate,
        error_faults: arguments.error_fault,
        fault: arguments.fault,
        tls: arguments.tls.then_some(TlsOptions { http2: arguments.http2 }),
        models: arguments.model,
        keys: (!arguments.key.is_empty()).then_some(arguments.key),
        strict: arguments.strict,
        responses: !arguments.no_responses,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads.max(1)).enable_all().build()?;
    if arguments.bench {
        let server = BenchServer::start(&options, arguments.threads)?;
        writeln!(io::stdout(), "listening on {}", server.address())?;
        io::stdout().flush()?;
        runtime.block_on(tokio::signal::ctrl_c())?;
        return Ok(());
    }
    runtime.block_on(async {
        let sim = Sim::start(options).await?;
        writeln!(io::stdout(), "listening on {}", sim.address())?;
        if let Some(pem) = sim.ca_pem() {
            write!(io::stdout(), "{pem}")?;
        }
        io::stdout().flush()?;
        tokio::signal::ctrl_c().await?;
        sim.stop().await;
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

fn load(arguments: Load) -> Outcome {
    let arrivals = match arguments.rate {
        Some(rate) => Arrivals::Open { rate, connections: arguments.connections },
        None => Arrivals::Closed { callers: arguments.callers },
    };
    let at = |address: SocketAddr, model: &str| {
        let mut options = LoadOptions::chat(address, arguments.dialect, model, arguments.stream, arrivals);
        options.headers.extend(arguments.header.iter().cloned());
        if let Some(path) = &arguments.path {
            options.path.clone_from(path);
        }
        options.lasting = arguments.lasting;
        options.warm_up = arguments.warm_up;
        options
    };
    let target = at(arguments.target, &arguments.model);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = io::stdout().lock();
    let Some(baseline) = arguments.baseline else {
        let report = runtime.block_on(put_load(target))?;
        match arguments.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
            false => print_report(&mut out, "target", &report)?,
        }
        return Ok(());
    };
    let baseline = at(baseline, arguments.baseline_model.as_ref().unwrap_or(&arguments.model));
    let comparison = runtime.block_on(compare_load(baseline, target, arguments.rounds))?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&comparison)?)?;
        return Ok(());
    }
    print_report(&mut out, "baseline", &comparison.baseline)?;
    print_report(&mut out, "target", &comparison.target)?;
    let (p50, p99) = (comparison.added_p50_ms, comparison.added_p99_ms);
    writeln!(out, "added     p50 {p50:.3} ms   p99 {p99:.3} ms   rate x {:.3}", comparison.rate_ratio)?;
    if let Some(first) = comparison.added_first_event_p50_ms {
        writeln!(out, "added     first event p50 {first:.3} ms")?;
    }
    Ok(())
}

fn print_report(out: &mut impl Write, name: &str, report: &LoadReport) -> io::Result<()> {
    writeln!(out, "{name:<9} {:.0} calls/s   {} ok   {} failed", report.per_second, report.ok, report.failed)?;
    for (kind, count) in &report.failures {
        writeln!(out, "          {count} x {kind}")?;
    }
    let times = [
        ("call", &report.total_ms),
        ("first event", &report.first_event_ms),
        ("gap", &report.gap_ms),
        ("generator late", &report.generator_late_ms),
    ];
    for (what, spread) in times {
        if let Some(spread) = spread {
            let Spread { p50, p90, p99, p999, max, .. } = spread;
            writeln!(
                out,
                "          {what:<14} p50 {p50:.3}  p90 {p90:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3} ms"
            )?;
        }
    }
    Ok(())
}

fn list_faults() -> Outcome {
    let mut out = io::stdout().lock();
    for fault in SimFault::ALL {
        writeln!(out, "{:<24} {}", fault.name(), fault.about())?;
    }
    Ok(())
}
