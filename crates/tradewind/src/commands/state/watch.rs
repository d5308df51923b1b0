//! `tradewind state watch`

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use futures_util::StreamExt;
use http::HeaderName;
use serde_json::Value;

use super::api::{Api, Ask, Where};
use super::name::{escaped, part, path_of};
use super::table;
use crate::say;

/// How long it waits before it connects again.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest event that is read, in bytes.
const LONGEST_EVENT: usize = 64 * 1024;

/// Print the changes of a namespace as they happen
///
/// It goes on after a connection that was cut, and misses nothing; Ctrl-C ends it.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The namespace, and behind a slash what the keys begin with
    #[arg(value_name = "NAMESPACE[/PREFIX]")]
    part: String,
    /// Go on after this place, as `--json` prints it
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// End after so many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each change as one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

impl Watch {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (namespace, prefix) = part(&self.part)?;
        let api = Api::open(self.at)?;
        let ask = Ask::get(path_of(Some(&namespace), &format!("/watch?prefix={}", escaped(prefix))));
        let mut left = self.count;
        let mut last = self.from;
        api.run(async {
            let mut is_first = true;
            loop {
                let ask = ask.clone().with_some(HeaderName::from_static("last-event-id"), last.as_deref())?;
                let answer = match api.begin(&ask).await {
                    Ok(answer) => answer,
                    // What is refused at once would be refused again.
                    Err(error) if is_first || error.to_string().starts_with("error[") => return Err(error),
                    Err(_) => {
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                };
                is_first = false;
                let (mut pieces, mut events) = (answer.pieces, Events::default());
                while let Some(Ok(piece)) = pieces.next().await {
                    for event in events.read(&piece)? {
                        if let Some(id) = &event.id {
                            last = Some(id.clone());
                        }
                        match event.name.as_str() {
                            "ready" => {}
                            // A place on its own: what was passed over up to there is nothing for us.
                            _ if event.data.is_null() => {}
                            "error" => {
                                bail!("{}", event.data["error"]["message"].as_str().unwrap_or("the watch ended"))
                            }
                            _ => {
                                told(&event, self.json);
                                left = left.map(|left| left - 1);
                                if left == Some(0) {
                                    return Ok(());
                                }
                            }
                        }
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }
}

fn told(event: &Event, is_json: bool) {
    if is_json {
        let mut data = event.data.clone();
        data["place"] = event.id.clone().into();
        say::data(data);
    } else {
        say::data(table::change(&event.data));
    }
}

/// One event of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) data: Value,
}

/// Finds events in pieces that are cut anywhere.
#[derive(Default)]
pub(super) struct Events(Vec<u8>);

impl Events {
    /// The events that end in this piece.
    pub(super) fn read(&mut self, piece: &[u8]) -> anyhow::Result<Vec<Event>> {
        self.0.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.0.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.0.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let (data, id) = (field("data"), field("id").map(str::to_owned));
            let name = field("event").unwrap_or_default().to_owned();
            match data {
                Some(data) => events.push(Event { name, id, data: serde_json::from_str(data)? }),
                None if id.is_some() => events.push(Event { name, id, data: Value::Null }),
                None => {}
            }
        }
        if self.0.len() > LONGEST_EVENT {
            bail!("an event has more than {LONGEST_EVENT} bytes");
        }
        Ok(events)
    }
}
