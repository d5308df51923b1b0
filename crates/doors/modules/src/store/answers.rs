//! Answers that change with time: lists of versions, the latest one, and which version a branch or a commit is. The last
//! good one of each is kept, for when nobody can be asked.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tradewind_core::UnixMillis;

use super::Store;
use super::blob::Sha256;
use super::disk::if_there;
use super::error::StoreError;
use super::layout::Layout;
use super::manifest::Checked;
use super::text::{self, Encoded};
use super::tree::{Tree, component};
use crate::name::{ModulePath, ModuleVersion};

/// The most bytes of a body. The longest list of versions that is known has some 100 KB.
const MOST_BODY: u64 = 8 << 20;
/// The most bytes of a file, with room for escapes.
const MOST_BYTES: u64 = 20 << 20;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKey {
    /// `/@v/list`
    List(ModulePath),
    /// `/@latest`
    Latest(ModulePath),
    /// `/@v/<query>.info` of what is no version: a branch, a commit, the beginning of a version.
    Query(ModulePath, Arc<str>),
    /// `/@v/<version>.info`, of a version whose zip is not here.
    Info(ModuleVersion),
    /// `/@v/<version>.mod`, of a version whose zip is not here.
    Mod(ModuleVersion),
    /// What a checksum database said to those who asked it through here.
    Sumdb {
        /// Its name.
        name: Arc<str>,
        /// What was asked, such as `latest` or `tile/8/0/123`.
        path: Arc<str>,
    },
}

/// The last good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its body, at most 8 MiB.
    pub body: Bytes,
    /// When it came. How long it may be given without asking again is the document's to say, whichever is in place then.
    pub fetched: UnixMillis,
    /// Where it came from, without secrets.
    pub upstream: String,
    /// What the file of a version was compared with; `None` for what nobody vouches for, such as a list.
    pub checked: Option<Checked>,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    asked: String,
    fetched: String,
    upstream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
    body_sha256: Sha256,
    body: Encoded,
}

impl AnswerKey {
    fn asked(&self) -> &str {
        match self {
            Self::List(_) => "list",
            Self::Latest(_) => "@latest",
            Self::Query(_, query) => query,
            Self::Info(_) => "info",
            Self::Mod(_) => "mod",
            Self::Sumdb { path, .. } => path,
        }
    }

    fn path(&self, layout: &Layout, tree: &Tree) -> PathBuf {
        match self {
            Self::List(path) => layout.answers_of(tree, path).join("list.json"),
            Self::Latest(path) => layout.answers_of(tree, path).join("latest.json"),
            // Branches may be called anything.
            Self::Query(path, query) => {
                layout.answers_of(tree, path).join(format!("query-{}.json", Sha256::of(query.as_bytes())))
            }
            Self::Info(of) => layout.answers_of(tree, &of.path).join(format!("{}.info.json", of.version.escaped())),
            Self::Mod(of) => layout.answers_of(tree, &of.path).join(format!("{}.mod.json", of.version.escaped())),
            // No module's path begins so.
            Self::Sumdb { name, path } => {
                let mut place = layout.answers().join(tree.folder()).join("sumdb").join(component(name));
                place.extend(path.split('/'));
                place.with_added_extension("json")
            }
        }
    }
}

impl Store {
    /// The last good answer, however old, which counts as a use of it. One that is damaged is not there.
    #[must_use]
    pub fn answer(&self, tree: &Tree, key: &AnswerKey) -> Option<Answer> {
        let json = self.read_light(&self.answer_path(tree, key), MOST_BYTES)?;
        let kept: Kept = serde_json::from_slice(&json).ok()?;
        let body = kept.body.bytes().ok()?;
        if kept.asked != key.asked() || kept.body_sha256 != Sha256::of(&body) {
            return None;
        }
        Some(Answer { body, fetched: text::time(&kept.fetched).ok()?, upstream: kept.upstream, checked: kept.checked })
    }

    /// Keeps an answer in place of the last one, and makes room when there is too much. A power cut may lose it, never half
    /// of it.
    ///
    /// # Errors
    /// When it is too large or cannot be written; then the last one is still there.
    pub fn keep_answer(&self, tree: &Tree, key: &AnswerKey, answer: &Answer) -> Result<(), StoreError> {
        if answer.body.len() as u64 > MOST_BODY {
            return Err(StoreError::TooLarge { limit: MOST_BODY });
        }
        let kept = Kept {
            asked: key.asked().to_owned(),
            fetched: answer.fetched.rfc3339(),
            upstream: answer.upstream.clone(),
            checked: answer.checked.clone(),
            body_sha256: Sha256::of(&answer.body),
            body: Encoded::of(&answer.body),
        };
        let json = serde_json::to_vec(&kept).expect("strings can be written as JSON");
        self.place_light(&self.answer_path(tree, key), &json)
    }

    /// Forgets an answer that turned out to be wrong.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget_answer(&self, tree: &Tree, key: &AnswerKey) -> Result<(), StoreError> {
        let path = self.answer_path(tree, key);
        if_there(std::fs::remove_file(&path)).map_err(StoreError::at(&path)).map(|_| ())
    }

    fn answer_path(&self, tree: &Tree, key: &AnswerKey) -> PathBuf {
        key.path(&self.0.layout, tree)
    }
}
