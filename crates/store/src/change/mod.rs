//! Changes of contents: JSON Patch (RFC 6902), additions to the end, three-way merges, and differences.
//!
//! Everything here works on the text of a JSON document and leaves every byte that it does not change as it is: members stay
//! in their order, numbers have the digits that their writer gave them, and white space stays. A patch expands only the
//! objects and arrays that its pointers go through; what lies beside is skipped and copied.
//!
//! This is why it is code of our own. `json-patch` works on `serde_json::Value`, through which a patch to one member changes
//! others: members are sorted, 12345678901234567890123 becomes 1.2345678901234568e22, 1e400 is refused. Version 5.0 also
//! panics on some patches that fail (a value moved to the root, then an operation that does not fit), holds 1 and 1.0 to be
//! different where RFC 6902, section 4.6 has them equal, has no bound for patches that copy a value into itself again and
//! again, and parses and writes all of a conversation for each line that is added to it. Our tests use it as an oracle where
//! it and we should agree, and the test cases of the working group's repository beside it.
//!
//! Documents are taken to be JSON: [`check_json`] says whether they are, once, when they come in. With a text that is not,
//! nothing here panics, but what comes out is not JSON either.

mod append;
mod diff;
mod equal;
mod json;
mod merge;
mod patch;
mod pointer;
mod tree;

pub use append::{Tail, append};
pub use diff::diff;
pub use json::{MAX_DEPTH, check_json};
pub use merge::{Conflicts, DisjointJson, MAX_CONFLICTS, MergeError, Merger, Sides};
pub use patch::{MAX_OPERATIONS, Patch};

/// Why a change cannot be made. `path`s are JSON Pointers (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Something that has to be JSON is not.
    #[error("{what} is not JSON: {why}")]
    NotJson {
        /// What: the content, the patch, the addition.
        what: &'static str,
        /// Where and why.
        why: String,
    },
    /// Arrays and objects are nested too deeply.
    #[error("arrays and objects are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// The patch is not an array of operations, or one of them is none.
    #[error("not a JSON Patch: {0}")]
    NotPatch(String),
    /// More operations than are carried out at once.
    #[error("a patch has at most {MAX_OPERATIONS} operations")]
    TooManyOperations,
    /// An operation cannot be carried out on this document; none of the others was either.
    #[error("operation {operation} ({op} {path:?}): {why}")]
    Operation {
        /// Its place in the patch, from 0 on.
        operation: usize,
        /// What it is.
        op: &'static str,
        /// The pointer that does not fit.
        path: String,
        /// Why.
        why: Misfit,
    },
    /// The content would be longer than it may be.
    #[error("the content would have more than {limit} bytes")]
    TooLarge {
        /// Bytes that it may have.
        limit: usize,
    },
    /// The patch is more work than is done for one.
    #[error("the patch is too much work for this document")]
    TooMuchWork,
    /// What is to be added is not of the kind that is there.
    #[error("{addition} cannot be added to the end of {content}")]
    NotAlike {
        /// What is there.
        content: &'static str,
        /// What is to be added.
        addition: &'static str,
    },
}

/// Why an operation does not fit a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The pointer leads to nothing.
    #[error("there is nothing at this path")]
    Nothing,
    /// An index that no array has, or that this one has not.
    #[error("not an index of this array")]
    Index,
    /// `test` found something else.
    #[error("there is another value")]
    Test,
    /// `move` into what is moved.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// `remove` of the whole document.
    #[error("the whole document cannot be removed")]
    Root,
    /// An object on the way has two members of one name, so that a path does not say which.
    #[error("an object on the way has two members of one name")]
    Ambiguous,
}

/// How a content can be changed, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    Json,
    /// As bytes: nothing but additions to the end.
    Bytes,
}

impl Format {
    /// JSON is `application/json`, `text/json` and every type that ends in `+json` (RFC 6839), whatever its parameters;
    /// lines of JSON (`application/jsonl`) are not.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let is_json = matches!(&*essence, "application/json" | "text/json") || essence.ends_with("+json");
        if is_json { Self::Json } else { Self::Bytes }
    }
}

#[cfg(test)]
mod tests;
