//! Servers that are killed under the writers: what of a kill is seen through [`tradewind_store::State`] by those who go on
//! writing, and by those who look afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tradewind_store::StateError;

use crate::servers::faults::Open;
use crate::servers::{PATIENCE, Server};
use crate::writers::{Known, Told, WRITERS, state, write};

/// While a server is away, a write is refused or not known to have happened, and nothing else.
fn of_a_server_that_is_away(error: &StateError) -> bool {
    matches!(error, StateError::Unknown(_) | StateError::Unavailable(_) | StateError::Busy)
}

/// Kills the server again and again under 64 writers of state, starts it while they go on, and compares what is there.
pub(crate) async fn state_survives_kills(mut server: Server, open: Open, rounds: usize) {
    let mut known = Known::default();
    let writing = Arc::new(state(open(server.port()).await));
    for round in 0..rounds {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(Semaphore::new(0)));
        let all = Arc::new(Mutex::new(Vec::new()));
        let tell = {
            let (all, made) = (all.clone(), made.clone());
            move |told: Told| {
                made.add_permits(usize::from(matches!(told, Told::Made { .. })));
                all.lock().push(told);
            }
        };
        let stopped = {
            let stop = stop.clone();
            move || stop.load(Ordering::Relaxed)
        };
        let writers = tokio::spawn(write(writing.clone(), tell, stopped, of_a_server_that_is_away));
        let wait_for = async |writes: usize| {
            let wanted = u32::try_from(writes).unwrap();
            let made = tokio::time::timeout(PATIENCE, made.acquire_many(wanted)).await.expect("they write");
            made.unwrap().forget();
        };
        // In the midst of it, at another write in each round; once it is back, they find by themselves what became of theirs.
        wait_for(12 * WRITERS + 37 * round).await;
        server.kill();
        server.start_again();
        wait_for(4 * WRITERS).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        writers.await.unwrap();
        server.start_again();
        std::mem::take(&mut *all.lock()).into_iter().for_each(|told| known.note(told));
        // As a gateway that is started later sees it.
        let fresh = state(open(server.port()).await);
        let seen = known.verify(&fresh, 2).await;
        assert!(seen > 10 * WRITERS, "{seen} revisions");
        let begun = Instant::now();
        while writing.namespaces().await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not come back");
        }
    }
}
