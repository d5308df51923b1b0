//! Asks remote embedders for the vectors of what is said about targets: once, off the way of any call, until they are there.

use std::collections::HashSet;
use std::time::Duration;

use tradewind_decide::backoff;

use crate::door::ModelsDoor;

/// How long a provider may take for each request: it may have to load the model first.
const PATIENCE: Duration = Duration::from_secs(30);

impl ModelsDoor {
    /// Has every model compare by vectors whose embedder is remote: now, and after each reload. While there are none yet,
    /// questions are compared by their words. `log` is given a line when an embedder begins to fail, and when it has
    /// answered again.
    pub async fn keep_embedded(&self, log: &(dyn Fn(&str) + Send + Sync)) {
        let mut failing = HashSet::new();
        let mut rounds = 0;
        loop {
            let all_there = self.embed_missing(&mut failing, log).await;
            if all_there {
                rounds = 0;
                self.reloaded().notified().await;
            } else {
                let pause = backoff(rounds, &mut fastrand::Rng::new());
                rounds += 1;
                let _ = tokio::time::timeout(pause, self.reloaded().notified()).await; // whichever comes first
            }
        }
    }

    /// Whether every model of the present document has what it needs in the end. `failing` are the embedders that did not
    /// answer last time.
    async fn embed_missing(&self, failing: &mut HashSet<String>, log: &(dyn Fn(&str) + Send + Sync)) -> bool {
        let snapshot = self.snapshot();
        let clock = &*self.needs().services.clock;
        let mut all_there = true;
        for model in snapshot.models() {
            let Some(compared) = model.extras.choosing.as_ref().map(|choosing| &choosing.compared) else { continue };
            let Some(remote) = compared.lacks_vectors() else { continue };
            let vectors = remote.embed_all(&compared.passages(), PATIENCE, clock).await;
            let embedded = vectors.and_then(|vectors| compared.put_vectors(vectors).map_err(|error| error.to_string()));
            let embedder = compared.embedder();
            match embedded {
                Ok(()) => {
                    if failing.remove(embedder) {
                        log(&format!("embedder `{embedder}` answers again"));
                    }
                }
                Err(why) => {
                    all_there = false;
                    if failing.insert(embedder.to_owned()) {
                        log(&format!(
                            "embedder `{embedder}`: {why}; until it answers, questions are compared by their words"
                        ));
                    }
                }
            }
        }
        all_there
    }
}
