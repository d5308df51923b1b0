//! A file of named lists, of which only those that somebody asks for are read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::GeoError;
use super::protobuf::{Field, Fields};

/// A file of named lists.
#[derive(Debug)]
pub(super) struct Catalogue<L> {
    file: &'static str,
    bytes: Vec<u8>,
    /// Where each list is, by its name in lower case.
    entries: HashMap<String, Range<usize>>,
    /// What has been read and is still in use, by what was asked for: two rules about one list share it.
    read: Mutex<HashMap<String, Weak<L>>>,
}

impl<L> Catalogue<L> {
    /// Finds the lists: each is field 1 of the file, and field 1 of a list is its name.
    pub(super) fn new(bytes: Vec<u8>, file: &'static str) -> Result<Self, GeoError> {
        let bad = |why| GeoError::BadFile { file, why };
        let mut entries = HashMap::new();
        for field in Fields(&bytes) {
            let Ok((number, field)) = field else { return Err(bad("it is no file of lists, or cut off")) };
            let (1, Field::Bytes(entry)) = (number, field) else { continue };
            let name = Fields(entry).find_map(|field| match field {
                Ok((1, Field::Bytes(name))) => std::str::from_utf8(name).ok(),
                _ => None,
            });
            let name = name.ok_or_else(|| bad("a list has no name"))?;
            let start = entry.as_ptr() as usize - bytes.as_ptr() as usize;
            entries.insert(name.to_lowercase(), start..start + entry.len());
        }
        if entries.is_empty() {
            return Err(bad("there is no list in it"));
        }
        Ok(Self { file, bytes, entries, read: Mutex::default() })
    }

    /// The list called `name`, read for `question`, unless it is in use already.
    pub(super) fn get(
        &self,
        name: &str,
        question: &str,
        read: impl FnOnce(&[u8]) -> Result<L, GeoError>,
    ) -> Result<Arc<L>, GeoError> {
        let place = self.entries.get(name);
        let place = place.ok_or_else(|| GeoError::NoList { name: name.into(), file: self.file })?.clone();
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = known.get(question).and_then(Weak::upgrade) {
            return Ok(list);
        }
        let list = Arc::new(read(&self.bytes[place])?);
        known.insert(question.to_owned(), Arc::downgrade(&list));
        Ok(list)
    }

    /// An error about the file.
    pub(super) fn bad(&self, why: &'static str) -> GeoError {
        GeoError::BadFile { file: self.file, why }
    }
}
