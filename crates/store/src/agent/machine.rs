//! Steps of a state machine, taken by exactly one of all who try.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error::StateError;
use crate::meta::Meta;
use crate::name::{Key, Rev};
use crate::state::{At, State, Terms};

/// How often a step is tried, and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// The longest wait after the first try; after each further one twice as long.
    pub first: Duration,
    /// The longest wait ever.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 8, first: Duration::from_millis(5), most: Duration::from_millis(500) }
    }
}

impl Retry {
    /// How long to wait after try number `attempt`, counted from 1: anything up to the longest wait, so that those who lost
    /// to each other do not meet again ("full jitter").
    #[must_use]
    pub fn wait(&self, attempt: u32, random: &mut fastrand::Rng) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.first.saturating_mul(doubled).min(self.most);
        Duration::from_nanos(random.u64(0..=u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Why a step was not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TransitionError {
    /// The machine is not where the step begins: another took it there, or it never was.
    #[error("the machine is at {found:?} since revision {rev}, and the step begins at {from:?}")]
    Elsewhere {
        /// Where the step begins.
        from: String,
        /// Where the machine is.
        found: String,
        /// The revision that says so.
        rev: Rev,
    },
    /// There is no text at the machine's place in the value.
    #[error("there is no text at {place:?} in revision {rev}")]
    NoPlace {
        /// The pointer.
        place: String,
        /// The revision.
        rev: Rev,
    },
    /// Somebody else wrote each time, without moving the machine. Nothing was written.
    #[error("{0} tries were all overtaken by other writes")]
    Overtaken(u32),
    /// The store could not be read or written. With [`StateError::Unknown`] the step may have been taken, and is not tried
    /// again: whoever needs to know reads.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A state machine within a JSON value: a text at one place in it says where the machine is. All else in the value may be
/// written by others meanwhile, and stays as it is.
pub struct Machine<'a> {
    state: &'a State,
    key: &'a Key,
    place: &'a str,
    retry: Retry,
    terms: Terms,
}

impl<'a> Machine<'a> {
    /// The machine at `place`, a JSON Pointer (RFC 6901), in the value of `key`. With an epoch in `terms` no step is taken
    /// after the key was handed over.
    #[must_use]
    pub const fn new(state: &'a State, key: &'a Key, place: &'a str, retry: Retry, terms: Terms) -> Self {
        Self { state, key, place, retry, terms }
    }

    /// Takes the step `from` → `to`.
    ///
    /// `expected` is the revision in which the caller saw `from`: the first try writes on it without reading anything.
    /// When another write came in between, the value is read again, and the step is tried on what is there if the machine
    /// is still, or again, at `from`. Of any number who take the same step at once, one succeeds, and the others are told
    /// [`TransitionError::Elsewhere`]. `random` and `sleep` are for the waits in between; they come after a lost race and
    /// where the store was busy or could not be reached, and nothing was written.
    ///
    /// # Errors
    /// [`TransitionError`].
    pub async fn transition(
        &self,
        from: &str,
        to: &str,
        expected: Rev,
        random: &mut fastrand::Rng,
        sleep: impl AsyncFn(Duration),
    ) -> Result<Meta, TransitionError> {
        let patch = json!([
            {"op": "test", "path": self.place, "value": from},
            {"op": "replace", "path": self.place, "value": to},
        ])
        .to_string();
        let mut rev = expected;
        for attempt in 1.. {
            let refused = match self.state.patch(self.key, rev, patch.as_bytes(), self.terms.clone()).await {
                Ok(meta) => return Ok(meta),
                Err(StateError::Lost { head: None }) => return Err(StateError::NotFound.into()),
                // A lost race; or the revision is not at `from`, or has no such place: the head says.
                Err(error @ (StateError::Lost { .. } | StateError::BadPatch(_))) => error,
                Err(error @ (StateError::Busy | StateError::Unavailable(_))) => error,
                Err(error) => return Err(error.into()),
            };
            let is_over = attempt >= self.retry.attempts.max(1);
            match refused {
                StateError::Lost { .. } | StateError::BadPatch(_) => {
                    if attempt > 1 && !is_over {
                        sleep(self.retry.wait(attempt, random)).await;
                    }
                    let there = self.look(from).await?;
                    if matches!(refused, StateError::BadPatch(_)) && there == rev {
                        return Err(refused.into());
                    }
                    rev = there;
                }
                other if is_over => return Err(other.into()),
                _ => sleep(self.retry.wait(attempt, random)).await,
            }
            if is_over {
                break;
            }
        }
        Err(TransitionError::Overtaken(self.retry.attempts.max(1)))
    }

    /// The head, where the machine is at `from`.
    async fn look(&self, from: &str) -> Result<Rev, TransitionError> {
        let value = self.state.get(self.key, At::Head).await?;
        let rev = value.meta.rev;
        let json: Option<Value> = serde_json::from_slice(&value.content).ok();
        match json.as_ref().and_then(|json| json.pointer(self.place)).and_then(Value::as_str) {
            None => Err(TransitionError::NoPlace { place: self.place.to_owned(), rev }),
            Some(found) if found != from => {
                Err(TransitionError::Elsewhere { from: from.to_owned(), found: found.to_owned(), rev })
            }
            Some(_) => Ok(rev),
        }
    }
}
