//! What has to hold for any bytes at all that are looked at as a request whose answer may be kept.
//!
//! Plain functions, so that libFuzzer (`fuzz_targets`) and the ordinary tests of `crates/answers` call the same. A broken
//! rule is a panic.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tradewind_answers::{Asked, Keyed, Keyer, LONGEST_QUESTION, NotCached, Scope, ScopeKind, Shape};

const SHAPES: [Shape; 5] = [Shape::Chat, Shape::Responses, Shape::Completions, Shape::Messages, Shape::Embeddings];

/// A request. The first byte chooses its shape.
pub(crate) fn request(bytes: &[u8]) {
    let [shape, body @ ..] = bytes else { return };
    let shape = SHAPES[usize::from(*shape) % SHAPES.len()];
    let Ok(keyed) = read(shape, body) else { return };
    if let Some(question) = &keyed.question {
        let length = question.text.chars().count();
        assert!(length > 0 && length <= LONGEST_QUESTION, "{length} characters are compared");
    }
    let text = std::str::from_utf8(body).expect("what was read is text");
    assert!(is_same(&keyed, &read(shape, format!(" {text}\n").as_bytes())), "white space counts");
    let other = read_for("b", shape, body).expect("the model makes no difference to what can be read");
    assert_ne!(other.exact, keyed.exact, "the model does not count");

    let inner = text.trim_ascii().trim_start_matches('{');
    let with = |member: &str| format!("{{{member}{}{inner}", if inner.trim_ascii_start() == "}" { "" } else { "," });
    let more = read(shape, with("\"a field of tomorrow\":1").as_bytes()).expect("a field that is not known is fine");
    assert_ne!(more.exact, keyed.exact, "a field that is not known does not count");
    assert_eq!(read(shape, with("\"store\":true").as_bytes()).err(), Some(NotCached::Effects));

    // The order of members does not count. Of those that are there twice it does.
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else { return };
    let ordered: Vec<String> = members
        .iter()
        .rev()
        .map(|(name, value)| format!("{} : {value}", serde_json::Value::from(name.as_str())))
        .collect();
    let ordered = format!("{{{}}}", ordered.join(",\n"));
    if count(text) == Some(members.len()) {
        assert!(is_same(&keyed, &read(shape, ordered.as_bytes())), "the order of members counts");
    }
}

fn read(shape: Shape, body: &[u8]) -> Result<Keyed, NotCached> {
    read_for("a", shape, body)
}

fn read_for(model: &str, shape: Shape, body: &[u8]) -> Result<Keyed, NotCached> {
    let scope = Scope::of(ScopeKind::Key, None, Some("key"));
    let asked = Asked { scope: &scope, shape, model, variant: &[], has_effects: false, body };
    Keyer::new([7; 16]).read(&asked, true)
}

/// Whether two requests are kept under the same, and ask the same.
fn is_same(keyed: &Keyed, other: &Result<Keyed, NotCached>) -> bool {
    let text = |keyed: &Keyed| keyed.question.as_ref().map(|question| question.text.clone());
    other.as_ref().is_ok_and(|other| other.exact == keyed.exact && text(other) == text(keyed))
}

/// How many members the object has.
fn count(text: &str) -> Option<usize> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = usize;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while map.next_entry::<String, serde::de::IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(text), Members).ok()
}
