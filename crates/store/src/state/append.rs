//! Additions to the end of a value: of a long one only what lies behind the last cut is hashed again, and what is added
//! written, so that the two thousandth line of a conversation costs what the first one did.

use bytes::Bytes;

use crate::change::{Format, append};
use crate::error::StateError;
use crate::meta::{Kind, Meta};
use crate::name::{Key, Rev};
use crate::record::Body;
use crate::settings::{OnConflict, Rules};

use super::body::{Content, lengthen};
use super::draft::Draft;
use super::hot::{Hot, Known};
use super::put::of_change;
use super::write::check_size;
use super::{Condition, State, Terms};

/// How often an addition goes to the end of what another has written meanwhile, where the namespace merges.
const TRIES: usize = 16;

impl State {
    /// Adds to the end of a value: the elements of a JSON array to a JSON array, the characters of a JSON string to a JSON
    /// string, bytes to everything that is not JSON. Content type and schema stay.
    ///
    /// In a namespace that merges, an addition that lost its race goes behind what is there, if that is the same value in the
    /// same hands: not past a deletion, an expiry or a hand-off, nor behind another content type or schema.
    ///
    /// # Errors
    /// [`StateError::BadPatch`] when it does not fit the content; those of [`State::put`].
    pub async fn append(&self, key: &Key, rev: Rev, addition: Bytes, terms: Terms) -> Result<Meta, StateError> {
        let rules = self.settings.of(&key.namespace);
        check_size(&rules, addition.len())?;
        let mut rev = rev;
        for _ in 0..TRIES {
            match self.append_once(key, rev, &addition, None, &terms, &rules).await {
                // Not what was remembered under this number; and what is remembered now is.
                Err(StateError::Lost { head: Some(head) }) if head.rev == rev => {}
                Err(StateError::Lost { head: Some(head) }) if rules.on_conflict == OnConflict::Merge => {
                    match self.same_value(key, rev, &head).await? {
                        Some(base) if base.content_type == head.content_type && base.schema == head.schema => {
                            rev = head.rev;
                        }
                        _ => return Err(StateError::Lost { head: Some(head) }),
                    }
                }
                outcome => return outcome,
            }
        }
        Err(StateError::Busy)
    }

    /// Adds once; to a content of one format only, where there is one.
    pub(super) async fn append_once(
        &self,
        key: &Key,
        rev: Rev,
        addition: &[u8],
        only: Option<Format>,
        terms: &Terms,
        rules: &Rules,
    ) -> Result<Meta, StateError> {
        let head = self.head_at(key, rev, terms).await?;
        let meta = head.record.meta.clone();
        let format = Format::of(&meta.content_type);
        if only.is_some_and(|only| only != format) {
            return Err(StateError::BadPatch("it is not made for this content".to_owned()));
        }
        let draft = Draft {
            kind: Kind::Value,
            content: self.longer(key, head, format, addition, rules).await?,
            content_type: Some(meta.content_type.clone()),
            schema: meta.schema.clone(),
            terms: terms.clone(),
            handoff: None,
            of: Some(meta.chain),
        };
        self.write(key, Condition::At(rev), draft).await
    }

    async fn longer(
        &self,
        key: &Key,
        head: Hot,
        format: Format,
        addition: &[u8],
        rules: &Rules,
    ) -> Result<Content, StateError> {
        if let Some(longer) = self.at_the_end(key, &head, format, addition, rules).await? {
            return Ok(longer);
        }
        let (content, known) = self.whole(key, &head).await?;
        let head = Hot { content: known, ..head };
        if let Some(longer) = self.at_the_end(key, &head, format, addition, rules).await? {
            return Ok(longer);
        }
        let limit = usize::try_from(rules.max_value).expect("at most 16 MiB");
        let tail = append(format, &content, addition, limit).map_err(|error| of_change(error, rules.max_value))?;
        self.ready(&key.namespace, tail.on(&content).into()).await
    }

    /// The longer content, made from its end alone; `None` when that is not known, or not enough.
    async fn at_the_end(
        &self,
        key: &Key,
        head: &Hot,
        format: Format,
        addition: &[u8],
        rules: &Rules,
    ) -> Result<Option<Content>, StateError> {
        let (Body::Pieces(ids), Known::Tail(tail)) = (&head.record.body, &head.content) else { return Ok(None) };
        let Some(opening) = opening(format, &tail.bytes) else { return Ok(None) };
        let limit = usize::try_from(rules.max_value - tail.start.min(rules.max_value)).expect("at most 16 MiB");
        let end = [opening, &tail.bytes].concat();
        let longer = append(format, &end, addition, limit.saturating_add(opening.len()))
            .map_err(|error| of_change(error, rules.max_value))?;
        // What comes before the addition and behind it again, like the bracket that closes a list.
        let (kept, closing) = (longer.keep.saturating_sub(opening.len()), end.len() - longer.keep);
        let rest = Bytes::from(longer.on(&end)).slice(opening.len()..);
        let data_key = self.data_key(&key.namespace).await?;
        Ok(Some(Content::Long(lengthen(tail, ids, rest, kept, closing, data_key.as_deref()).await)))
    }
}

/// What may stand for all that comes before the end, so that it can be added to: a JSON text that ends with `]` is an
/// array, and one that ends with `"` a string. `None` where the end does not say enough: of `]` alone nobody knows
/// whether a comma has to come before what is added.
fn opening(format: Format, tail: &[u8]) -> Option<&'static [u8]> {
    if format == Format::Bytes {
        return Some(b"");
    }
    match tail.trim_ascii() {
        [_, .., b']'] => Some(b"[0"),
        [.., b'"'] => Some(b"\""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_it_can() {
        assert_eq!(opening(Format::Bytes, b""), Some(&b""[..]));
        assert_eq!(opening(Format::Json, b"1, 2 ] \n"), Some(&b"[0"[..]));
        assert_eq!(opening(Format::Json, b" ]"), None);
        assert_eq!(opening(Format::Json, b"words\""), Some(&b"\""[..]));
        assert_eq!(opening(Format::Json, b"}"), None);
        assert_eq!(opening(Format::Json, b"  "), None);
    }
}
