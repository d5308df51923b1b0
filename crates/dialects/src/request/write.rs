//! Writing JSON from the caller's own bytes and fixed words between them.

use std::ops::Range;

use bytes::Bytes;

use super::json::Text;

/// A JSON text that is being written.
pub(super) struct Out {
    bytes: Vec<u8>,
    model_at: Range<usize>,
}

impl Out {
    /// For about `size` bytes.
    pub(super) fn with_capacity(size: usize) -> Self {
        Self { bytes: Vec::with_capacity(size), model_at: 0..0 }
    }

    /// JSON, as it is.
    pub(super) fn raw(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// A string, as the caller wrote it.
    pub(super) fn text(&mut self, text: Text<'_>) {
        self.raw("\"");
        self.raw(text.0);
        self.raw("\"");
    }

    /// The value of `model`.
    pub(super) fn model(&mut self, model: Text<'_>) {
        let start = self.bytes.len();
        self.text(model);
        self.model_at = start..self.bytes.len();
    }

    /// A string that has to be escaped.
    pub(super) fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.bytes, text).expect("a text is written to memory");
    }

    pub(super) fn number(&mut self, number: u64) {
        self.raw(&number.to_string());
    }

    /// A list; `write` writes one entry.
    pub(super) fn list<T>(&mut self, entries: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.raw("[");
        for (index, entry) in entries.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write(self, entry);
        }
        self.raw("]");
    }

    /// The whole, and where the value of `model` stands in it.
    pub(super) fn finish(self) -> (Bytes, Range<usize>) {
        (self.bytes.into(), self.model_at)
    }
}
