//! The canonical form of a request: what it is kept under, and whether its answer may be kept at all.
//!
//! Left out of a request's form, since they do not change what is answered:
//!
//! | field | why |
//! |---|---|
//! | `model` | in its place stands the entry of `models` that it resolves to |
//! | `stream`, `stream_options` | how the answer is delivered |
//! | `user`, `safety_identifier`, `metadata`, `client_metadata` ¹ | who asks, for the provider's own use |
//! | `service_tier` ¹ | how soon |
//! | `prompt_cache_key`, `prompt_cache_retention`, `prompt_cache_options`, `cache_control` ¹ | the provider's own cache |
//! | `store: false`, `background: false`, `n: 1`, `best_of: 1` | what is so in any case |
//! | anything that is `null`, at the top | as if it were absent |
//! | `cache_control`, `prompt_cache_breakpoint` of messages, tools and their content | the provider's own cache |
//! | `id` of items of the responses API that stand there themselves | their name at the provider; `call_id` stays |
//!
//! ¹ But for the responses API: its answers repeat what was asked, and nobody is to be given what another call said of
//! itself.
//!
//! Everything else counts, the temperature and the seed among it. Not kept are answers to requests that
//! [`NotCached`] lists. A temperature above 0 is no reason: whoever configures a cache wants the same answer again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use crate::Scope;
use crate::canonical::{Digest, Found, HashKey, Member, Place, members, value_hash};
use crate::fingerprint::Fingerprint;

/// Larger requests, in bytes, are not cached: they are rarely sent twice.
pub const LONGEST_REQUEST: usize = 1 << 20;
/// Longer questions, in characters, are not compared by meaning: the longer they are, the less a sentence that turns all of
/// it shows in their vectors, such as what is to be done with a text that is quoted before.
pub const LONGEST_QUESTION: usize = 500;
/// Changes whenever another form would give the same request another key.
const VERSION: &[u8] = b"1";

/// What a request's answer is kept under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) u128);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:032x})", self.0)
    }
}

/// The shape of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Chat completions.
    Chat,
    /// The responses API.
    Responses,
    /// Completions, the old kind.
    Completions,
    /// Messages.
    Messages,
    /// Embeddings.
    Embeddings,
}

impl Shape {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Chat => b"chat",
            Self::Responses => b"responses",
            Self::Completions => b"completions",
            Self::Messages => b"messages",
            Self::Embeddings => b"embeddings",
        }
    }

    /// The field that holds the question, where there is one.
    const fn question(self) -> Option<&'static str> {
        match self {
            Self::Chat | Self::Messages => Some("messages"),
            Self::Responses => Some("input"),
            Self::Completions => Some("prompt"),
            Self::Embeddings => None,
        }
    }
}

/// A request, and what it is asked of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who shares the answer.
    pub scope: &'a Scope,
    /// The shape of `body`.
    pub shape: Shape,
    /// The entry of `models`, or the target, that the name in the request resolves to.
    pub model: &'a str,
    /// What else makes the answer another one: headers such as `anthropic-beta`, the state of the model's settings, the
    /// language of the question; `stream` too, where answers are not turned from one form into the other.
    pub variant: &'a [&'a str],
    /// Whether the call has effects at the provider, such as tools that the provider runs.
    pub has_effects: bool,
    /// The body, as the caller sent it.
    pub body: &'a [u8],
}

/// Why the answer to a request is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotCached {
    /// The call does something at the provider that a kept answer would not do: tools that it runs, `store: true`,
    /// `background: true`.
    #[error("the call has effects at the provider")]
    Effects,
    /// What is asked is kept at the provider and may change there: `previous_response_id`, `conversation`, `prompt` by id,
    /// `item_reference`.
    #[error("a part of the question is kept at the provider")]
    KeptElsewhere,
    /// `n` or `best_of` over 1: several answers are wanted because they differ.
    #[error("several answers are asked for")]
    Several,
    /// Over [`LONGEST_REQUEST`].
    #[error("the request is larger than 1 MiB")]
    TooLarge,
    /// Not a JSON object, nested too deeply, or with text that is none.
    #[error("the request cannot be read")]
    Unreadable,
}

/// The forms of a request whose answer may be kept.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// What the answer is kept under.
    pub exact: Key,
    /// The question, if it was wanted and there is one to compare by meaning.
    pub question: Option<Question>,
}

/// The last message of a user, on its own.
#[derive(Clone, Debug)]
pub struct Question {
    /// The hash of everything else.
    pub(crate) context: Key,
    /// What the embedder is given: at most [`LONGEST_QUESTION`] characters, not empty.
    pub text: String,
    pub(crate) fingerprint: Fingerprint,
}

/// Makes keys, with a secret of the process.
#[derive(Clone)]
pub struct Keyer(HashKey);

impl fmt::Debug for Keyer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyer")
    }
}

impl Keyer {
    /// Keys under `secret`, which should be random: then nobody can look for two requests with one key.
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> Self {
        Self(HashKey(secret))
    }

    /// The forms of a request. `with_question` also looks for the question, for [`crate::MeaningCache`].
    ///
    /// # Errors
    /// When its answer must not be kept.
    pub fn read(&self, asked: &Asked<'_>, with_question: bool) -> Result<Keyed, NotCached> {
        if asked.has_effects {
            return Err(NotCached::Effects);
        }
        if asked.body.len() > LONGEST_REQUEST {
            return Err(NotCached::TooLarge);
        }
        let text = std::str::from_utf8(asked.body).map_err(|_| NotCached::Unreadable)?;
        let mut found = Found::default();
        let place_of = |name: &str| match name {
            "messages" | "system" | "tools" => Place::Hinted,
            "input" if asked.shape == Shape::Responses => Place::Items,
            _ => Place::Plain,
        };
        let read = members(text, &self.0, place_of, &mut found);
        let mut members = read.map_err(|_| NotCached::Unreadable)?;
        if found.reference {
            return Err(NotCached::KeptElsewhere);
        }
        for member in &members {
            check(member, asked.shape)?;
        }
        members.retain(|member| !is_hint(&member.key, asked.shape) && member.raw != "null");
        members.sort_by(|left, right| left.key.cmp(&right.key));
        let exact = self.key(asked, b"exact", &members, None);
        let question = with_question.then(|| self.question(asked, &members)).flatten();
        Ok(Keyed { exact, question })
    }

    /// The key of a request; `instead` stands in the place of the field that holds the question.
    fn key(&self, asked: &Asked<'_>, what: &[u8], members: &[Member<'_>], instead: Option<u128>) -> Key {
        let mut digest = self.start(asked, what);
        for member in members {
            let hash = match instead {
                Some(hash) if asked.shape.question() == Some(&member.key) => hash,
                _ => member.hash,
            };
            digest.part(member.key.as_bytes()).number(hash);
        }
        Key(digest.finish())
    }

    fn start(&self, asked: &Asked<'_>, what: &[u8]) -> Digest {
        let mut digest = self.0.hasher();
        digest.part(VERSION).part(what);
        for part in asked.scope.parts() {
            digest.part(&[u8::from(part.is_some())]).part(part.unwrap_or_default().as_bytes());
        }
        digest.part(asked.shape.name()).part(asked.model.as_bytes());
        digest.number(asked.variant.len() as u128);
        for part in asked.variant {
            digest.part(part.as_bytes());
        }
        digest
    }

    fn question(&self, asked: &Asked<'_>, members: &[Member<'_>]) -> Option<Question> {
        let name = asked.shape.question()?;
        let mut fields = members.iter().filter(|member| member.key == name);
        let field = fields.next().filter(|_| fields.next().is_none())?;
        let (text, rest) = if field.raw.starts_with('"') {
            (serde_json::from_str::<String>(field.raw).ok()?, self.0.hasher().part(b"alone").finish())
        } else {
            self.last_message(field.raw, asked.shape)?
        };
        let text = text.trim();
        if text.is_empty() || text.chars().nth(LONGEST_QUESTION).is_some() {
            return None;
        }
        let context = self.key(asked, b"meaning", members, Some(rest));
        Some(Question { context, fingerprint: Fingerprint::of(text, &self.0), text: text.to_owned() })
    }

    /// The text of the last message, if it is a user's and nothing but text, and the hash of those before it.
    fn last_message(&self, raw: &str, shape: Shape) -> Option<(String, u128)> {
        let messages: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
        let (last, before) = messages.split_last()?;
        let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(last.get()).ok()?;
        let only = |fields: &BTreeMap<Cow<'_, str>, &RawValue>, known: &[&str]| {
            fields.keys().all(|key| known.contains(&&**key))
        };
        if !only(&fields, &["role", "content", "type", "id", "status", "cache_control", "prompt_cache_breakpoint"])
            || fields.get("role").is_none_or(|role| role.get() != "\"user\"")
            || fields.get("type").is_some_and(|kind| kind.get() != "\"message\"")
        {
            return None;
        }
        let content = fields.get("content")?.get();
        let text = if content.starts_with('"') {
            serde_json::from_str(content).ok()?
        } else {
            let parts: Vec<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(content).ok()?;
            let [part] = &parts[..] else { return None };
            let kind = part.get("type").map(|kind| kind.get())?;
            let is_text = only(part, &["type", "text", "cache_control", "prompt_cache_breakpoint"])
                && matches!(kind, "\"text\"" | "\"input_text\"");
            if !is_text {
                return None;
            }
            serde_json::from_str(part.get("text")?.get()).ok()?
        };
        let place = if shape == Shape::Responses { Place::Items } else { Place::Hinted };
        let mut digest = self.0.hasher();
        digest.part(b"behind");
        for message in before {
            digest.number(value_hash(message.get(), &self.0, place).ok()?);
        }
        Some((text, digest.finish()))
    }
}

/// Whether a field at the top is left out.
fn is_hint(name: &str, shape: Shape) -> bool {
    match name {
        "model" | "stream" | "stream_options" | "store" | "background" | "n" | "best_of" => true,
        "user"
        | "safety_identifier"
        | "metadata"
        | "client_metadata"
        | "service_tier"
        | "prompt_cache_key"
        | "prompt_cache_retention"
        | "prompt_cache_options"
        | "cache_control" => shape != Shape::Responses,
        _ => false,
    }
}

/// Whether a field stands in the way of keeping the answer.
fn check(member: &Member<'_>, shape: Shape) -> Result<(), NotCached> {
    let value = member.raw;
    match &*member.key {
        "store" | "background" if !matches!(value, "false" | "null") => Err(NotCached::Effects),
        "n" | "best_of" if !matches!(value, "1" | "null") => Err(NotCached::Several),
        "previous_response_id" | "conversation" | "container" if value != "null" => Err(NotCached::KeptElsewhere),
        "prompt" if shape == Shape::Responses && value != "null" => Err(NotCached::KeptElsewhere),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
