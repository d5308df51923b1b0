//! The canonical form of a request: what it is kept under, and whether its answer may be kept at all.
//!
//! Left out of a request's form, since they do not change what is answered:
//!
//! | field | why |
//! |---|---|
//! | `model` | in its place stands the entry of `models` that it resolves to |
//! | `stream`, `stream_options` | how the answer is delivered |
//! | `user`, `safety_identifier`, `metadata`, `client_metadata` | who asks, for the provider's own use |
//! | `service_tier` | how soon |
//! | `prompt_cache_key`, `prompt_cache_retention`, `prompt_cache_options`, `cache_control` | the provider's own cache |
//! | `store: false`, `background: false`, `n: 1`, `best_of: 1` | what is so in any case |
//! | anything that is `null`, at the top | as if it were absent |
//! | `cache_control`, `prompt_cache_breakpoint` of messages, tools and their content | the provider's own cache |
//! | `id` of items of the responses API | their name at the provider; `call_id` stays |
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
/// Longer questions, in characters, are not compared by meaning: their vectors say too little about details.
pub const LONGEST_QUESTION: usize = 2000;
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
        members.retain(|member| !is_hint(&member.key) && member.raw != "null");
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
fn is_hint(name: &str) -> bool {
    matches!(
        name,
        "model"
            | "stream"
            | "stream_options"
            | "user"
            | "safety_identifier"
            | "metadata"
            | "client_metadata"
            | "service_tier"
            | "prompt_cache_key"
            | "prompt_cache_retention"
            | "prompt_cache_options"
            | "cache_control"
            | "store"
            | "background"
            | "n"
            | "best_of"
    )
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
mod tests {
    use super::*;
    use crate::ScopeKind;

    fn keyer() -> Keyer {
        Keyer::new([1; 16])
    }

    fn scope() -> Scope {
        Scope::of(ScopeKind::Key, None, Some("ci"))
    }

    fn read(shape: Shape, body: &str) -> Result<Keyed, NotCached> {
        let scope = scope();
        let asked = Asked { scope: &scope, shape, model: "a", variant: &[], has_effects: false, body: body.as_bytes() };
        keyer().read(&asked, true)
    }

    fn chat(more: &str) -> Key {
        read(Shape::Chat, &format!(r#"{{"model":"a","messages":[{{"role":"user","content":"x"}}]{more}}}"#))
            .unwrap()
            .exact
    }

    #[test]
    fn hints_do_not_count_and_all_else_does() {
        let plain = chat("");
        for hint in [
            r#","stream":true,"stream_options":{"include_usage":true}"#,
            r#","user":"u1","metadata":{"run":"7"},"safety_identifier":"s""#,
            r#","store":false,"n":1,"temperature":null,"service_tier":"flex""#,
            r#","prompt_cache_key":"k","prompt_cache_retention":"24h""#,
        ] {
            assert_eq!(chat(hint), plain, "{hint}");
        }
        let mut others = vec![plain];
        for what in ["0", "0.0", "1", "1.0"] {
            others.push(chat(&format!(r#","temperature":{what}"#)));
        }
        others.push(chat(r#","seed":1"#));
        others.push(chat(r#","max_tokens":1"#));
        others.push(chat(r#","tools":[{"type":"function","function":{"name":"f"}}]"#));
        others.push(chat(r#","some_field_of_tomorrow":true"#));
        let count = others.len();
        others.sort_unstable_by_key(|key| key.0);
        others.dedup();
        assert_eq!(others.len(), count);
    }

    #[test]
    fn who_asks_whom_for_what_counts() {
        let body = br#"{"model":"x","input":"hello"}"#;
        let (one, other) = (scope(), Scope::of(ScopeKind::Key, None, None));
        let asked = Asked { scope: &one, shape: Shape::Embeddings, model: "a", variant: &[], has_effects: false, body };
        let key = |asked: &Asked<'_>| keyer().read(asked, false).unwrap().exact;
        let first = key(&asked);
        assert_eq!(first, key(&Asked { body: br#"{"input": "hello", "model": "y"}"#, ..asked }));
        for another in [
            Asked { scope: &other, ..asked },
            Asked { model: "b", ..asked },
            Asked { shape: Shape::Responses, ..asked },
            Asked { variant: &["beta"], ..asked },
            Asked { variant: &["", "beta"], ..asked },
        ] {
            assert_ne!(first, key(&another), "{another:?}");
        }
        assert_ne!(first, Keyer::new([2; 16]).read(&asked, false).unwrap().exact);
    }

    #[test]
    fn what_must_not_be_kept_is_refused() {
        let large = format!(r#"{{"messages":"{}"}}"#, "x".repeat(LONGEST_REQUEST));
        for (shape, body, why) in [
            (Shape::Chat, r#"{"store":true}"#, NotCached::Effects),
            (Shape::Responses, r#"{"background":true}"#, NotCached::Effects),
            (Shape::Responses, r#"{"previous_response_id":"r"}"#, NotCached::KeptElsewhere),
            (Shape::Responses, r#"{"conversation":{"id":"c"}}"#, NotCached::KeptElsewhere),
            (Shape::Responses, r#"{"prompt":{"id":"p"}}"#, NotCached::KeptElsewhere),
            (Shape::Responses, r#"{"input":[{"type":"item_reference","id":"i"}]}"#, NotCached::KeptElsewhere),
            (Shape::Messages, r#"{"container":"c"}"#, NotCached::KeptElsewhere),
            (Shape::Chat, r#"{"n":2}"#, NotCached::Several),
            (Shape::Completions, r#"{"best_of":3,"prompt":"x"}"#, NotCached::Several),
            (Shape::Chat, &large, NotCached::TooLarge),
            (Shape::Chat, "[]", NotCached::Unreadable),
            (Shape::Chat, "{", NotCached::Unreadable),
            (Shape::Chat, r#"{"a":"\ud800"}"#, NotCached::Unreadable),
        ] {
            assert_eq!(read(shape, body).unwrap_err(), why, "{body:.80}");
        }
        let scope = scope();
        let asked =
            Asked { scope: &scope, shape: Shape::Chat, model: "a", variant: &[], has_effects: true, body: b"{}" };
        assert_eq!(keyer().read(&asked, false).unwrap_err(), NotCached::Effects);
        assert!(read(Shape::Responses, r#"{"input":"x"}"#).is_ok(), "what a provider stores by default is no wish");
        assert!(read(Shape::Completions, r#"{"prompt":"x","n":1,"best_of":null}"#).is_ok());
    }

    #[test]
    fn the_question_is_the_last_message_of_a_user() {
        for (shape, body, text) in [
            (Shape::Chat, r#"{"messages":[{"role":"user","content":" hi "}]}"#, Some("hi")),
            (Shape::Messages, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#, Some("hi")),
            (Shape::Responses, r#"{"input":"hi"}"#, Some("hi")),
            (
                Shape::Responses,
                r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#,
                Some("hi"),
            ),
            (Shape::Completions, r#"{"prompt":"hi"}"#, Some("hi")),
            (Shape::Embeddings, r#"{"input":"hi"}"#, None),
            (Shape::Chat, r#"{"messages":[{"role":"assistant","content":"hi"}]}"#, None),
            (Shape::Chat, r#"{"messages":[{"role":"user","content":"hi","name":"ann"}]}"#, None),
            (Shape::Chat, r#"{"messages":[{"role":"user","content":"  "}]}"#, None),
            (Shape::Chat, r#"{"messages":[]}"#, None),
            (Shape::Chat, r#"{}"#, None),
            (
                Shape::Chat,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
                None,
            ),
            (
                Shape::Chat,
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
                None,
            ),
            (
                Shape::Messages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}"#,
                None,
            ),
        ] {
            assert_eq!(read(shape, body).unwrap().question.map(|question| question.text).as_deref(), text, "{body}");
        }
        let long = format!(r#"{{"prompt":"{}"}}"#, "é".repeat(LONGEST_QUESTION));
        assert!(read(Shape::Completions, &long).unwrap().question.is_some());
        assert!(read(Shape::Completions, &long.replacen('é', "éé", 1)).unwrap().question.is_none());
    }

    #[test]
    fn questions_are_compared_in_the_same_context_only() {
        let context = |before: &str, question: &str, more: &str| {
            let body =
                format!(r#"{{"messages":[{before}{{"role":"user","content":"{question}"}}],"model":"m"{more}}}"#);
            read(Shape::Chat, &body).unwrap().question.unwrap().context
        };
        let system = r#"{"role":"system","content":"be short"},"#;
        let plain = context(system, "one", "");
        assert_eq!(plain, context(system, "another", r#","user":"u""#));
        assert_ne!(plain, context("", "one", ""));
        assert_ne!(plain, context(&system.replace("short", "long"), "one", ""));
        assert_ne!(plain, context(system, "one", r#","temperature":1"#));
        let exact = read(Shape::Completions, r#"{"prompt":"x"}"#).unwrap();
        assert_ne!(exact.exact, exact.question.unwrap().context);
    }
}
