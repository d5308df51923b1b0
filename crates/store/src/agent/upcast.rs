//! Upcasters: what an older release wrote is brought up to date when it is read, one version at a time.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use crate::change::{ChangeError, Patch};
use crate::error::StateError;
use crate::meta::{Meta, MetaError, Schema};
use crate::name::{Key, Namespace, Rev};
use crate::settings::MAX_VALUE;
use crate::state::{At, State};

/// The most failures that a dry run names; all of them are counted.
pub const MAX_FAILURES: usize = 1000;
/// Keys that a dry run asks for at a time.
const PAGE: usize = 256;

/// Why a content could not be brought up to date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpcastError {
    /// A newer release wrote it. It is refused rather than guessed at.
    #[error("the content has the schema {found}, and this release knows up to {known}")]
    Newer {
        /// The content's.
        found: Schema,
        /// The newest that is known.
        known: Schema,
    },
    /// It is older than the first version that there is an upcaster for.
    #[error("the content has the schema {found}, and upcasters begin with version {oldest}")]
    TooOld {
        /// The content's.
        found: Schema,
        /// The oldest that is known.
        oldest: u32,
    },
    /// It is of something else.
    #[error("the content has the schema {found} and not {known}")]
    Other {
        /// The content's.
        found: Schema,
        /// The newest that is known.
        known: Schema,
    },
    /// Its writer named no schema, and nothing was said about such contents.
    #[error("the content has no schema")]
    None,
    /// An upcaster could not do it.
    #[error("the upcaster from version {from} failed: {why}")]
    Failed {
        /// The version that it begins with.
        from: u32,
        /// What it says.
        why: String,
    },
}

type Step = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync>;

/// The versions of a schema that a reader knows, and the steps from each to the next.
///
/// They are registered in order, from the oldest version on, so that there is no gap between two of them.
pub struct Upcasters {
    newest: Schema,
    oldest: u32,
    steps: Vec<Step>,
    unversioned: Option<u32>,
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upcasters({} from {})", self.newest, self.oldest)
    }
}

impl Upcasters {
    /// A reader that knows one version, the oldest that it is ever to read.
    ///
    /// # Errors
    /// [`MetaError::Schema`].
    pub fn new(schema: &str, oldest: u32) -> Result<Self, MetaError> {
        Ok(Self { newest: Schema::new(schema, oldest)?, oldest, steps: Vec::new(), unversioned: None })
    }

    /// Contents without a schema are of this version: those from before versions were written.
    #[must_use]
    pub const fn unversioned(mut self, version: u32) -> Self {
        self.unversioned = Some(version);
        self
    }

    /// The step from the newest version so far to the next. It is a pure function of the content.
    ///
    /// # Panics
    /// After four thousand million versions.
    #[must_use]
    pub fn then(mut self, step: impl Fn(&[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Self {
        self.steps.push(Box::new(step));
        self.newest.version = self.newest.version.checked_add(1).expect("nobody writes as many upcasters");
        self
    }

    /// [`Upcasters::then`] for JSON. Numbers that are neither of 64 bits nor floating-point lose digits on the way;
    /// [`Upcasters::then_patch`] leaves them alone.
    #[must_use]
    pub fn then_json(self, step: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        self.then(move |content| {
            let value = serde_json::from_slice(content).map_err(|error| error.to_string())?;
            Ok(step(value)?.to_string().into_bytes())
        })
    }

    /// [`Upcasters::then`] by a JSON Patch (RFC 6902): what it does not touch stays as it is written.
    ///
    /// # Errors
    /// When it is none.
    pub fn then_patch(self, patch: &'static str) -> Result<Self, ChangeError> {
        let patch = Patch::parse(patch.as_bytes())?;
        let limit = usize::try_from(MAX_VALUE).expect("16 MiB");
        Ok(self.then(move |content| patch.apply(content, limit).map_err(|error| error.to_string())))
    }

    /// The newest version: the one that everything is brought up to, and that is written.
    #[must_use]
    pub const fn newest(&self) -> &Schema {
        &self.newest
    }

    /// Brings a content up to date; one that is comes back as it is.
    ///
    /// # Errors
    /// [`UpcastError`].
    pub fn upcast(&self, schema: Option<&Schema>, content: Bytes) -> Result<Bytes, UpcastError> {
        let version = self.version(schema)?;
        let skip = usize::try_from(version - self.oldest).expect("no more than there are steps");
        let mut content = content;
        for (from, step) in (version..).zip(&self.steps[skip..]) {
            content = step(&content).map_err(|why| UpcastError::Failed { from, why })?.into();
        }
        Ok(content)
    }

    /// The version of a content, which is a known one.
    fn version(&self, schema: Option<&Schema>) -> Result<u32, UpcastError> {
        let version = match schema {
            None => self.unversioned.ok_or(UpcastError::None)?,
            Some(found) if found.name() != self.newest.name() => {
                return Err(UpcastError::Other { found: found.clone(), known: self.newest.clone() });
            }
            Some(found) => found.version,
        };
        let mut found = self.newest.clone();
        found.version = version;
        if version > self.newest.version {
            Err(UpcastError::Newer { found, known: self.newest.clone() })
        } else if version < self.oldest {
            Err(UpcastError::TooOld { found, oldest: self.oldest })
        } else {
            Ok(version)
        }
    }
}

/// A value that could not be brought up to date.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which.
    pub key: Key,
    /// The revision that was tried; `None` where it cannot be said which is the newest.
    pub rev: Option<Rev>,
    /// Its schema.
    pub schema: Option<Schema>,
    /// Why: [`UpcastError`], or what reading it says, damage too.
    pub why: String,
}

/// What a dry run has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DryRun {
    /// Values that were tried: all heads under the prefix.
    pub tried: u64,
    /// Those that are up to date.
    pub current: u64,
    /// Those that upcasters bring up to date.
    pub upcast: u64,
    /// Those that fail.
    pub failed: u64,
    /// Those that were deleted, replaced and pruned, or expired between being listed and read.
    pub passed: u64,
    /// The first [`MAX_FAILURES`] of the failures.
    pub failures: Vec<Failure>,
}

/// A value that was tried: whether it was up to date, or what is wrong with it.
type Tried = Result<bool, (Option<Meta>, String)>;

impl DryRun {
    fn count(&mut self, key: Key, outcome: Tried) {
        self.tried += 1;
        match outcome {
            Ok(true) => self.current += 1,
            Ok(false) => self.upcast += 1,
            Err((meta, why)) => {
                self.failed += 1;
                if self.failures.len() < MAX_FAILURES {
                    let rev = meta.as_ref().map(|meta| meta.rev);
                    self.failures.push(Failure { key, rev, schema: meta.and_then(|meta| meta.schema), why });
                }
            }
        }
    }
}

/// Tries one value; `None` when it is gone by now.
async fn tried(
    state: &State,
    key: &Key,
    head: Result<Meta, StateError>,
    upcasters: &Upcasters,
) -> Result<Option<Tried>, StateError> {
    let meta = match head {
        Ok(meta) => meta,
        Err(error) => return Ok(Some(Err((None, error.to_string())))),
    };
    let outcome = match state.get(key, At::Rev(meta.rev)).await {
        Ok(value) => upcasters.upcast(meta.schema.as_ref(), value.content).map_err(|error| error.to_string()),
        Err(StateError::NotFound | StateError::Gone) => return Ok(None),
        Err(error @ (StateError::Damaged { .. } | StateError::NoKey(_))) => Err(error.to_string()),
        Err(error) => return Err(error),
    };
    Ok(Some(match outcome {
        Ok(_) => Ok(meta.schema.as_ref() == Some(&upcasters.newest)),
        Err(why) => Err((Some(meta), why)),
    }))
}

/// Tries the upcasters on every value of a namespace whose key begins with `prefix`, writes nothing, and lets no sliding time
/// begin again. Values of another schema fail: they would when they are read. `progress` is told after each value.
///
/// # Errors
/// When the store cannot be read at all; a value that cannot is a failure.
pub async fn dry_run(
    state: &State,
    namespace: &Namespace,
    prefix: &str,
    upcasters: &Upcasters,
    mut progress: impl FnMut(&DryRun),
) -> Result<DryRun, StateError> {
    let mut report = DryRun::default();
    let mut after: Option<String> = None;
    loop {
        let page = state.list(namespace, prefix, after.as_deref(), PAGE).await?;
        for (key, meta) in page.items {
            match tried(state, &key, meta, upcasters).await? {
                None => report.passed += 1,
                Some(outcome) => {
                    report.count(key, outcome);
                    progress(&report);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(report);
        }
    }
}
