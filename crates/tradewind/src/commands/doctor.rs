//! `tradewind doctor`

mod fixing;
mod models;

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tradewind_doctor::settings::{Environment, Overrides};
use tradewind_doctor::{Cause, Finding, Fix, NotRun, Report, World, examine, explain, go_checks};
use tradewind_runtime::SystemClock;

use crate::{Source, say};

/// The most of a pasted text that is read from standard input, in bytes.
const MOST_PASTED: u64 = 64 << 10;

/// Find out why downloads and model calls do not get out
///
/// Checks the whole way as the go command would travel it: settings, proxies, names, connections, TLS, answers, checksum
/// database, cache. What is wrong is told with its root cause first, each with a fix to paste. Exits with 1 when anything
/// is wrong.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Check the way of the go command; without this and --models, both, as far as there is a go command and a document
    #[arg(long)]
    go: bool,
    /// Check the providers of the configuration
    #[arg(long)]
    models: bool,
    /// The HTTP proxy to go out through, in place of HTTPS_PROXY and HTTP_PROXY
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Find the cause of an error text of the go command, without asking anybody; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["go", "models", "proxy", "fix"])]
    explain: Option<String>,
    /// Run the fixes that can be run, telling each before, and check again
    #[arg(long)]
    fix: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Show what was seen as well where nothing is wrong with it
    #[arg(long, short)]
    verbose: bool,
    /// The configuration file; without it and -d, tradewind.yaml here if there is one
    #[arg(long, short, value_name = "FILE", conflicts_with = "directory")]
    file: Option<PathBuf>,
    /// A directory with a config.yaml
    #[arg(long, short, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Doctor {
    /// 0: nothing is wrong; 1: something is.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(text) = &self.explain {
            return self.explain(text);
        }
        let mut report = self.look()?;
        if self.fix && fixing::run(&report) > 0 {
            report = self.look()?;
        }
        self.print(&report)?;
        Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn world(&self) -> anyhow::Result<World> {
        let folder = std::env::current_dir().context("the present directory is gone")?;
        let overrides = Overrides { http_proxy: self.proxy.clone() };
        Ok(World::of(Environment::of_process(), &folder, &overrides, Arc::new(SystemClock::new())))
    }

    /// Examines everything that was asked for.
    fn look(&self) -> anyhow::Result<Report> {
        let source = Source::choose(self.file.clone(), self.directory.clone());
        let neither = !self.go && !self.models && self.proxy.is_none();
        let mut report = Report::default();
        if std::io::stderr().is_terminal() {
            say::note("looking at the way out …");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let world = self.world()?;
        let has_go = world.settings.go.is_some() || world.settings.project.is_some();
        if self.go || self.proxy.is_some() || (neither && has_go) {
            let mut checks = go_checks(&world);
            if !self.go && !has_go {
                // Only the way out is asked about.
                checks.retain(|check| check.name != "go command");
            }
            report = runtime.block_on(examine(&world, &checks));
        }
        if self.models || (neither && source != Source::BuiltIn) {
            match source.load() {
                None => bail!("there is no configuration to check\n  = hint: name one with -f FILE or -d DIRECTORY"),
                Some(Err(problems)) if self.models => bail!("{}", problems.trim_end()),
                // What was found of the go command's way is not lost for it.
                Some(Err(problems)) => report.add(unreadable(&problems)),
                Some(Ok(document)) => report.add(runtime.block_on(models::examine(&document, &world))),
            }
        } else if neither && !has_go {
            bail!(
                "there is neither a go command nor a configuration to check\n  = hint: --go checks without a go command \
                 what can be, -f FILE names a configuration"
            );
        }
        // Look-ups of names that hang are left behind.
        runtime.shutdown_background();
        Ok(report)
    }

    fn explain(&self, text: &str) -> anyhow::Result<ExitCode> {
        let mut pasted = String::new();
        let text = if text == "-" {
            std::io::stdin().take(MOST_PASTED).read_to_string(&mut pasted).context("standard input cannot be read")?;
            &pasted
        } else {
            text
        };
        let report = explain(text, &self.world()?);
        if report.findings.is_empty() && !self.json {
            bail!(
                "nothing in the text is known\n  = hint: paste the whole output of the go command, or run `tradewind \
                 doctor --go` where it failed"
            );
        }
        self.print(&report)?;
        Ok(if report.findings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn print(&self, report: &Report) -> anyhow::Result<()> {
        if self.json {
            say::data(serde_json::to_string_pretty(report)?);
        } else {
            say::data(report.text(self.verbose));
        }
        Ok(())
    }
}

/// The report on a configuration whose providers cannot be asked, since it is none.
fn unreadable(problems: &str) -> Report {
    let fix = Fix::by_hand("correct the configuration, or name another with -f FILE");
    let finding = Finding::new(Cause::Other, "tradewind check", fix)
        .titled("the configuration cannot be used")
        .seen(problems.trim_end());
    let not_run = NotRun { check: "providers".to_owned(), because: finding.title.clone() };
    Report { findings: vec![finding], not_run: vec![not_run], ..Report::default() }
}
