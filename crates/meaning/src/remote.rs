//! An embedder behind an OpenAI-compatible `/v1/embeddings`: the body of the request, and what the answer says. Sending
//! is the caller's.
//!
//! (OpenAI API reference, "Create embeddings". Asked for as floats: servers that imitate the interface know no base64.)

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Vector, VectorError};

/// The most texts of one request, as OpenAI has it.
pub const MOST_REMOTE_TEXTS: usize = 2048;
/// The most dimensions of a vector; the largest published embedders have 4,096.
pub const MOST_DIMENSIONS: usize = 16_384;
/// The longest answer that is read, in bytes: 64 texts of 16,384 dimensions.
pub const LONGEST_REMOTE_ANSWER: usize = 16 * 1024 * 1024;

/// What is asked of a remote embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEmbedder {
    /// The model, as the provider calls it.
    pub model: String,
    /// The dimensions that are asked for; without them, the model's own.
    pub dimensions: Option<usize>,
}

/// Why texts cannot be asked about, or an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// No text, or too many.
    #[error("{0} texts: a request has 1 to {MOST_REMOTE_TEXTS}")]
    Texts(usize),
    /// More than [`LONGEST_REMOTE_ANSWER`].
    #[error("an answer of {0} bytes is longer than the {LONGEST_REMOTE_ANSWER} that are read")]
    TooLong(usize),
    /// Not the JSON of embeddings.
    #[error("the answer is no list of embeddings: {0}")]
    Shape(String),
    /// Another number of embeddings than of texts, or one twice.
    #[error("the answer does not have one embedding for each of the {0} texts")]
    Count(usize),
    /// An embedding of another length than was asked for, or than the first.
    #[error("an embedding has {found} dimensions instead of {expected}")]
    Dimensions {
        /// What was asked for, or the length of the first.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// Values that are no vector.
    #[error("embedding {index}: {error}")]
    Vector {
        /// Its place among the texts.
        index: usize,
        /// What is wrong with it.
        error: VectorError,
    },
    /// An embedding of zeros, which says nothing about any text.
    #[error("embedding {0} is all zeros")]
    Zero(usize),
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    /// Absent from some servers: then the order is that of the texts.
    index: Option<usize>,
    embedding: Vec<f32>,
    #[serde(borrow)]
    #[expect(dead_code, reason = "tells an embedding from other objects, where it is there")]
    object: Option<Cow<'a, str>>,
}

impl RemoteEmbedder {
    /// The body of a request for the vectors of `texts`, JSON. An empty text is sent as a space: providers refuse it.
    ///
    /// # Errors
    /// [`RemoteError::Texts`].
    pub fn request(&self, texts: &[&str]) -> Result<Vec<u8>, RemoteError> {
        if texts.is_empty() || texts.len() > MOST_REMOTE_TEXTS {
            return Err(RemoteError::Texts(texts.len()));
        }
        let input: Vec<&str> = texts.iter().map(|text| if text.is_empty() { " " } else { *text }).collect();
        let body = Body { model: &self.model, input: &input, encoding_format: "float", dimensions: self.dimensions };
        Ok(serde_json::to_vec(&body).expect("texts and numbers can be written as JSON"))
    }

    /// The vectors in the body of an answer to a request about `texts` texts, in the order of these.
    ///
    /// # Errors
    /// A [`RemoteError`] for an answer that is too long, is no list of embeddings, has another number of them or of
    /// dimensions, or has one that is no vector. Never a part of an answer.
    pub fn answer(&self, texts: usize, body: &[u8]) -> Result<Vec<Vector>, RemoteError> {
        if body.len() > LONGEST_REMOTE_ANSWER {
            return Err(RemoteError::TooLong(body.len()));
        }
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| RemoteError::Shape(error.to_string()))?;
        if answer.data.len() != texts {
            return Err(RemoteError::Count(texts));
        }
        let mut vectors: Vec<Option<Vector>> = vec![None; texts];
        let mut expected = self.dimensions;
        for (place, entry) in answer.data.into_iter().enumerate() {
            let index = entry.index.unwrap_or(place);
            let Some(room @ None) = vectors.get_mut(index) else { return Err(RemoteError::Count(texts)) };
            let found = entry.embedding.len();
            let expected = *expected.get_or_insert_with(|| found.min(MOST_DIMENSIONS));
            if found != expected {
                return Err(RemoteError::Dimensions { expected, found });
            }
            let vector = Vector::new(entry.embedding).map_err(|error| RemoteError::Vector { index, error })?;
            if vector.is_zero() {
                return Err(RemoteError::Zero(index));
            }
            *room = Some(vector);
        }
        // As many entries as texts, and none twice: each text has its own.
        vectors.into_iter().collect::<Option<Vec<Vector>>>().ok_or(RemoteError::Count(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedder(dimensions: Option<usize>) -> RemoteEmbedder {
        RemoteEmbedder { model: "text-embedding-3-small".to_owned(), dimensions }
    }

    #[test]
    fn a_request_is_as_openai_wants_it() {
        let body = embedder(Some(512)).request(&["one \"two\"", "", "三"]).unwrap();
        let expected = r#"{"model":"text-embedding-3-small","input":["one \"two\""," ","三"],"encoding_format":"float","dimensions":512}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let body = embedder(None).request(&["a"]).unwrap();
        assert!(!String::from_utf8(body).unwrap().contains("dimensions"));
        assert_eq!(embedder(None).request(&[]), Err(RemoteError::Texts(0)));
        assert!(embedder(None).request(&["a"; MOST_REMOTE_TEXTS]).is_ok());
        assert_eq!(embedder(None).request(&["a"; 2049]), Err(RemoteError::Texts(2049)));
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let body = br#"{"object":"list","data":[
            {"object":"embedding","index":1,"embedding":[0.0,-2]},
            {"object":"embedding","index":0,"embedding":[3e0,4]}],"model":"m","usage":{"prompt_tokens":1}}"#;
        let vectors = embedder(Some(2)).answer(2, body).unwrap();
        assert_eq!([vectors[0].values(), vectors[1].values()], [[0.6, 0.8], [0.0, -1.0]]);
        let without_index = br#"{"data":[{"embedding":[1,0]},{"embedding":[0,1]}]}"#;
        let vectors = embedder(None).answer(2, without_index).unwrap();
        assert_eq!(vectors[1].values(), [0.0, 1.0]);
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        let refused = |dimensions, texts, body: &str| embedder(dimensions).answer(texts, body.as_bytes()).unwrap_err();
        assert!(matches!(refused(None, 1, ""), RemoteError::Shape(_)));
        assert!(matches!(refused(None, 1, r#"{"error":{"message":"no"}}"#), RemoteError::Shape(_)));
        assert!(matches!(refused(None, 1, r#"{"data":[{"embedding":[null]}]}"#), RemoteError::Shape(_)));
        assert!(matches!(refused(None, 1, r#"{"data":[{"embedding":"AAAA"}]}"#), RemoteError::Shape(_)));
        let one = r#"{"data":[{"index":0,"embedding":[1]}]}"#;
        assert_eq!(refused(None, 2, one), RemoteError::Count(2));
        assert_eq!(refused(None, 0, one), RemoteError::Count(0));
        assert_eq!(refused(Some(2), 1, one), RemoteError::Dimensions { expected: 2, found: 1 });
        let twice = r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#;
        assert_eq!(refused(None, 2, twice), RemoteError::Count(2));
        let beyond = r#"{"data":[{"index":5,"embedding":[1]}]}"#;
        assert_eq!(refused(None, 1, beyond), RemoteError::Count(1));
        let uneven = r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#;
        assert_eq!(refused(None, 2, uneven), RemoteError::Dimensions { expected: 1, found: 2 });
        assert_eq!(refused(None, 1, r#"{"data":[{"embedding":[0,0.0]}]}"#), RemoteError::Zero(0));
        let empty = RemoteError::Vector { index: 0, error: VectorError::Empty };
        assert_eq!(refused(None, 1, r#"{"data":[{"embedding":[]}]}"#), empty);
        // Too large for an f32, which the parser may say itself.
        let infinite = refused(None, 1, r#"{"data":[{"embedding":[1,1e39]}]}"#);
        assert!(
            matches!(
                infinite,
                RemoteError::Vector { error: VectorError::NotFinite { index: 1 }, .. } | RemoteError::Shape(_)
            ),
            "{infinite}"
        );
    }

    #[test]
    fn an_answer_is_bounded() {
        let long = vec![b' '; LONGEST_REMOTE_ANSWER + 1];
        assert_eq!(embedder(None).answer(1, &long), Err(RemoteError::TooLong(long.len())));
        let wide = format!(r#"{{"data":[{{"embedding":[{}1]}}]}}"#, "1,".repeat(MOST_DIMENSIONS));
        let error = RemoteError::Dimensions { expected: MOST_DIMENSIONS, found: MOST_DIMENSIONS + 1 };
        assert_eq!(embedder(None).answer(1, wide.as_bytes()), Err(error));
    }

    #[test]
    fn damaged_answers_give_an_error_or_whole_vectors() {
        let body = br#"{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[3,4]}]}"#;
        let mut changed = body.to_vec();
        for at in 0..body.len() {
            assert!(embedder(None).answer(2, &body[..at]).is_err());
            for flip in [1, 2, 16, 255] {
                changed[at] ^= flip;
                if let Ok(vectors) = embedder(None).answer(2, &changed) {
                    assert_eq!(vectors.len(), 2);
                }
                changed[at] ^= flip;
            }
        }
    }
}
