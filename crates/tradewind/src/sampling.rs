//! Tells the ways out that the network has changed, and, as long as no host does, what it looks like.
//!
//! The system is asked after a start, a moment after something has changed, once a minute (a change of names alone makes no
//! event), and when what a host had said has ended. When the system does not answer, nothing is said: what was known before
//! stays, and it is asked again.

use std::sync::Arc;
use std::time::Duration;

use tradewind_decide::network::{Context, Note};
use tradewind_host::network::{Changes, SampleError, Sampler};
use tradewind_ways::Ways;

use crate::say;

/// From the first event of a change to the sample: interfaces come up in several steps.
const SETTLE: Duration = Duration::from_secs(2);
/// How often it is looked without an event.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long it is waited after the system did not answer.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Keeps the ways out informed. Never ends.
pub(crate) async fn keep_sampling(sampler: Arc<dyn Sampler>, ways: Ways) {
    let mut told = false;
    loop {
        let Err(error) = sample_until_broken(&sampler, &ways).await else { continue };
        // Once: it is tried again for as long as the process lives.
        if ways.wants_samples() && !std::mem::replace(&mut told, true) {
            say::note(format_args!(
                "the network cannot be looked at: {error}\n  = hint: push what it looks like with `tradewind network push`"
            ));
        }
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}

async fn sample_until_broken(sampler: &Arc<dyn Sampler>, ways: &Ways) -> Result<(), SampleError> {
    // Listening begins before the first look, so that no change falls between.
    let mut changes = sampler.changes()?;
    loop {
        if ways.wants_samples() {
            look(sampler, ways).await?;
        }
        tokio::select! {
            changed = changed(&mut *changes) => {
                changed?;
                ways.network_changed();
            }
            () = ways.context_freed() => {}
            () = ways.reloaded() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Waits for a change, and for what else belongs to it.
async fn changed(changes: &mut dyn Changes) -> Result<(), SampleError> {
    changes.next().await?;
    let settled = tokio::time::sleep(SETTLE);
    tokio::pin!(settled);
    loop {
        tokio::select! {
            () = &mut settled => return Ok(()),
            more = changes.next() => { more?; }
        }
    }
}

async fn look(sampler: &Arc<dyn Sampler>, ways: &Ways) -> Result<(), SampleError> {
    let looking = sampler.clone();
    // It waits for the operating system: not on a thread that serves others.
    let Ok(sample) = tokio::task::spawn_blocking(move || looking.sample()).await else { return Ok(()) };
    let sample = sample?;
    let notes = sample.notes.iter().map(|note| Note {
        interface: note.interface.clone(),
        field: note.field.to_owned(),
        why: note.why.clone(),
    });
    match Context::parse(&sample.body(None)) {
        Ok(context) => {
            ways.put_sample(context, notes.collect());
        }
        Err(error) => {
            say::note(format_args!("what the system says of the network is not understood: {}", error.message))
        }
    }
    Ok(())
}
