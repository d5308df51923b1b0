//! A bundle as the source of a checksum database's answers.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::contents::Contents;
use crate::sumdb::{MAX_ANSWER, Source, SourceError};

/// What is in a bundle of one database; what is not is asked of somebody else, where there is one.
pub(super) struct BundleSource {
    pub(super) contents: Arc<Contents>,
    /// The name of the database.
    pub(super) name: String,
    pub(super) fallback: Option<Arc<dyn Source>>,
}

impl BundleSource {
    fn read(&self, path: &str) -> Result<Option<Bytes>, SourceError> {
        let name = self.contents.name_of(&format!("sumdb/{}{path}", self.name));
        let read = self.contents.bytes_of(&name, MAX_ANSWER as u64);
        read.map_err(|error| SourceError::Unreachable(error.to_string()))
    }
}

impl Source for BundleSource {
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        async move {
            match (self.read(path)?, &self.fallback) {
                (Some(bytes), _) => Ok(bytes),
                (None, Some(fallback)) => fallback.get(path).await,
                (None, None) => {
                    let place = self.contents.place().display();
                    Err(SourceError::NotThere(format!("{place} has no {}{path}", self.name)))
                }
            }
        }
        .boxed()
    }
}
