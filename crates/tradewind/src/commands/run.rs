//! `tradewind run`

mod greet;
mod next_start;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tradewind_core::format_duration;
use tradewind_policy::{Change, Note};
use tradewind_runtime::environment;
use tradewind_runtime::files::FileWatch;

use self::greet::greet;
use self::next_start::at_next_start;
use super::counted;
use crate::built_in::{self, Local};
use crate::{AskedDocument, Document, Gateway, Source, say};

/// How often a gateway without a file looks for local model servers.
const LOOK_FOR_LOCAL_EVERY: Duration = Duration::from_secs(15);
/// How many changes are named.
const MOST_CHANGES: usize = 20;

/// Start the gateway
///
/// Without -f and -d it reads tradewind.yaml in the present directory; without that too it finds providers from
/// OPENAI_API_KEY, ANTHROPIC_API_KEY and local model servers on their usual ports.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// A directory with a config.yaml, such as that of Clash or mihomo
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Listen here when there is no file [default: 127.0.0.1:7080]
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["file", "dir"])]
    listen: Option<String>,
    /// Keep files here when there is no file [default: ~/.local/share/tradewind]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "dir"])]
    data_dir: Option<String>,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // Each call in flight takes two file descriptors; the usual soft limit of 1024 is for other programs.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        // Its one thread accepts connections and does the upkeep; calls are served on threads of their own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> anyhow::Result<()> {
        let own = self.listen.is_some() || self.data_dir.is_some();
        let source = if own { Source::BuiltIn } else { Source::choose(self.file.clone(), self.dir.clone()) };
        let (listen, data_dir) = (self.listen.unwrap_or_default(), self.data_dir.unwrap_or_default());
        // Before anything else: a signal that comes during the start must not end the process in its own way, and a
        // file that changes during the start must not be missed.
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut watch = source.path().map(|path| FileWatch::new(&path));
        let document = read(&source, &[], &listen, &data_dir)?;
        let drain = document.shared.limits.drain.get();
        let in_tls = document.shared.tls.is_some();
        let gateway = Gateway::start(document.clone()).await.map_err(|error| anyhow!("{error}"))?;
        say_notes(&document.notes, &source);
        greet(&gateway, &source, &document);
        gateway.keep_discovering();

        let gateway = Arc::new(gateway);
        let reloading = gateway.clone();
        let mut asked_documents = gateway.asked_documents();
        let base = document.base.clone();
        let port = gateway.address.port();
        let keep_current = async {
            let mut local: Vec<Local> = Vec::new();
            loop {
                if let Some(watch) = &mut watch {
                    let asked = tokio::select! {
                        () = watch.changed() => false,
                        _ = hangup.recv() => true,
                        asked = next_asked(&mut asked_documents) => {
                            let document = Document::load_instead(&asked.document, &source, &base);
                            asked.answer(document.and_then(|document| take_instead(&reloading, document)));
                            continue;
                        }
                    };
                    reload(&reloading, &source, asked, in_tls);
                    continue;
                }
                let found = built_in::find_local(reloading.models(), port).await;
                if found != local {
                    tell_of_local(&found);
                    local = found;
                    put_in_place(&reloading, read(&source, &local, &listen, &data_dir));
                }
                tokio::select! {
                    () = tokio::time::sleep(LOOK_FOR_LOCAL_EVERY) => {}
                    _ = hangup.recv() => say::note("there is no configuration file to reload; looking for local model servers"),
                    asked = next_asked(&mut asked_documents) => {
                        asked.answer(Err("there is no configuration file".to_owned()));
                    }
                }
            }
        };
        tokio::select! {
            () = keep_current => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        drop(reloading);
        let patience = format_duration(drain);
        say::note(format_args!("stopping: waiting up to {patience} for calls in flight; Ctrl-C stops at once"));
        let gateway = Arc::into_inner(gateway).context("the gateway is still in use")?;
        tokio::select! {
            (dropped, unwritten) = gateway.stop(drain) => say::note(match (dropped, unwritten) {
                (0, 0) => "stopped".to_owned(),
                _ => format!(
                    "stopped; cut off after {patience}: {}; not written: {}",
                    counted(dropped, "connection"),
                    counted(unwritten, "decision record")
                ),
            }),
            _ = interrupt.recv() => say::note("stopped at once; calls in flight were cut off"),
        }
        Ok(())
    }
}

/// The next document that somebody asks for through the controller API.
async fn next_asked(documents: &mut Option<Receiver<AskedDocument>>) -> AskedDocument {
    match documents {
        Some(documents) => match documents.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Puts a document in place that was asked for through the controller API.
fn take_instead(gateway: &Gateway, document: Document) -> Result<(), String> {
    let changes = gateway.reload(document).map_err(|error| error.to_string())?;
    say::note(format_args!("took another configuration through the controller: {}", counted(changes.len(), "change")));
    Ok(())
}

fn read(source: &Source, local: &[Local], listen: &str, data_dir: &str) -> anyhow::Result<Document> {
    match source.load() {
        Some(document) => document.map_err(|problems| anyhow!("{}", problems.trim_end())),
        None => {
            let text = built_in::document(&|name| environment(name).is_some(), local, listen, data_dir);
            Document::parse(&text).map_err(|problems| anyhow!("{}", problems.render("built in", &text).trim_end()))
        }
    }
}

/// Reads the file again and puts it in place; a bad one never replaces a good one. That nothing has changed is said to
/// whoever asked. `in_tls`: whether callers are served in TLS, whose files are read again as well.
fn reload(gateway: &Gateway, source: &Source, asked: bool, in_tls: bool) {
    let document = read(source, &[], "", "");
    let notes = document.as_ref().map(|document| document.notes.clone()).unwrap_or_default();
    let in_tls = in_tls && document.as_ref().is_ok_and(|document| document.shared.tls.is_some());
    let Some(changes) = put_in_place(gateway, document) else { return };
    let name = source.name();
    if changes.is_empty() {
        if asked {
            let more = if in_tls { "; new connections get the certificate as it is now" } else { "" };
            say::note(format_args!("read {name} again: nothing has changed{more}"));
        }
        return;
    }
    say::note(format_args!("reloaded {name}: {}", counted(changes.len(), "change")));
    for change in changes.iter().take(MOST_CHANGES) {
        say::note(format_args!("  {change}"));
    }
    if changes.len() > MOST_CHANGES {
        say::note(format_args!("  and {} more", changes.len() - MOST_CHANGES));
    }
    say_notes(&notes, source);
    let waiting = at_next_start(&changes);
    if !waiting.is_empty() {
        say::note(format_args!("  not before the next start: {}", waiting.join(", ")));
    }
}

/// Says what there is to say about a configuration that blocks nothing.
fn say_notes(notes: &[Note], source: &Source) {
    let name = source.name();
    for note in notes {
        say::note(format_args!("  note: {}", note.render(&name)));
    }
}

/// Puts a document in place, and says so when that cannot be done.
fn put_in_place(gateway: &Gateway, document: anyhow::Result<Document>) -> Option<Vec<Change>> {
    let put = document.and_then(|document| gateway.reload(document).map_err(|error| anyhow!("{error}")));
    put.inspect_err(|error| {
        say::note(format_args!("{error}\nnot reloaded: the configuration of before stays in force"))
    })
    .ok()
}

fn tell_of_local(found: &[Local]) {
    if found.is_empty() {
        return say::note("no local model server answers any more");
    }
    for Local { name, port, model } in found {
        let model = model
            .as_ref()
            .map_or_else(|| "it lists no model yet".to_owned(), |model| format!("`auto` asks its model {model}"));
        say::note(format_args!("found {name} on port {port}; {model}"));
    }
}
