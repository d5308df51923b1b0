//! Asks remote embedders for the vectors of what is said about targets: once, off the way of any call, until they are there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tradewind_core::Clock;
use tradewind_decide::backoff;

use crate::choosing::Compared;
use crate::door::ModelsDoor;
use crate::remote::Remote;

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
    /// answer last time. All embedders are asked at once, so that one that hangs keeps no other one's models waiting.
    async fn embed_missing(&self, failing: &mut HashSet<String>, log: &(dyn Fn(&str) + Send + Sync)) -> bool {
        let mut asking = JoinSet::new();
        for missing in self.missing() {
            let clock = self.needs().services.clock.clone();
            asking.spawn(async move { (missing.embedder.clone(), missing.learn(&*clock).await) });
        }
        let mut all_there = true;
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok((embedder, Ok(()))) => {
                    if failing.remove(&*embedder) {
                        log(&format!("embedder `{embedder}` answers again"));
                    }
                }
                Ok((embedder, Err(why))) => {
                    all_there = false;
                    if failing.insert(embedder.to_string()) {
                        log(&format!(
                            "embedder `{embedder}`: {why}; until it answers, questions are compared by their words"
                        ));
                    }
                }
                Err(_) => all_there = false,
            }
        }
        all_there
    }

    /// What is missing of the present document, by embedder.
    fn missing(&self) -> Vec<Missing> {
        let mut all: Vec<Missing> = Vec::new();
        for model in self.snapshot().models() {
            let Some(compared) = model.extras.choosing.as_ref().map(|choosing| &choosing.compared) else { continue };
            let Some(remote) = compared.lacks_vectors() else { continue };
            let known = match all.iter().position(|missing| Arc::ptr_eq(&missing.remote, remote)) {
                Some(place) => place,
                None => {
                    let (embedder, remote) = (compared.embedder().into(), remote.clone());
                    all.push(Missing { embedder, remote, compared: Vec::new() });
                    all.len() - 1
                }
            };
            // Models that stand in front of one that scores have its comparison.
            let compared_by = &mut all[known].compared;
            if !compared_by.iter().any(|known| Arc::ptr_eq(known, compared)) {
                compared_by.push(compared.clone());
            }
        }
        all
    }
}

/// What one embedder has not given yet.
struct Missing {
    /// Its name.
    embedder: Box<str>,
    remote: Arc<Remote>,
    compared: Vec<Arc<Compared>>,
}

impl Missing {
    /// Asks for it.
    ///
    /// # Errors
    /// The first reason for which not all of it is there. Texts that are refused keep no others from being asked for, and
    /// an embedder that does not answer is asked once.
    async fn learn(&self, clock: &dyn Clock) -> Result<(), String> {
        let mut learnt = Ok(());
        for compared in &self.compared {
            let failed = match self.remote.embed_all(&compared.passages(), PATIENCE, clock).await {
                Ok(vectors) => compared.put_vectors(vectors).map_err(|error| (error.to_string(), true)),
                Err(none) => Err((none.why, none.of_texts)),
            };
            let Err((why, of_texts)) = failed else { continue };
            learnt = learnt.and(Err(why));
            if !of_texts {
                break;
            }
        }
        learnt
    }
}
