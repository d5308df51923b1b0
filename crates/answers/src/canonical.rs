//! The canonical form of JSON, as a keyed hash of 128 bits: SipHash-2-4 over a tree, each value hashed with what it is.
//!
//! The order of an object's keys, white space and the spelling of characters (`\u0061` for `a`) make no difference.
//! Numbers are compared as they are written: `1`, `1.0` and `1e0` differ, since a provider may read them differently.
//! Repeated keys stay, in their order. Nothing is built but the hashes of one object's members, so the work is linear in
//! the text but for sorting them.

use std::borrow::Cow;
use std::hash::Hasher as _;
use std::ops::Range;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use smallvec::SmallVec;

/// The deepest nesting that is read: what `serde_json` reads, and what requests are bounded by.
const DEEPEST: usize = 128;
/// Keys that are left out where a provider takes hints about its prompt cache.
const CACHE_HINTS: [&str; 2] = ["cache_control", "prompt_cache_breakpoint"];

/// Why a text has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// The secret of a process's hashes: nobody outside can look for two requests with the same one.
#[derive(Clone, Copy)]
pub(crate) struct HashKey(pub(crate) [u8; 16]);

impl HashKey {
    pub(crate) fn hasher(&self) -> Digest {
        Digest(SipHasher24::new_with_key(&self.0))
    }
}

/// A hash in the making. Every part is written with its length, so that no two lists of parts look the same.
pub(crate) struct Digest(SipHasher24);

impl Digest {
    pub(crate) fn part(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.write_u64(bytes.len() as u64);
        self.0.write(bytes);
        self
    }

    pub(crate) fn number(&mut self, number: u128) -> &mut Self {
        self.0.write_u128(number);
        self
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}

/// Where a value stands, as far as hints are left out there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Every key counts.
    Plain,
    /// A list of messages, items, tools or blocks, or one of them: hints about caching are left out, there and under
    /// `content`.
    Hinted,
    /// As `Hinted`, for the input of the responses API, whose items have ids of their own beside.
    Items,
}

/// One member of the object at the top.
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, str>,
    /// The value as it is written.
    pub(crate) raw: &'a str,
    pub(crate) hash: u128,
}

/// What was found beside hashes.
#[derive(Default)]
pub(crate) struct Found {
    /// An item that only names what a provider keeps.
    pub(crate) reference: bool,
}

/// The members of the object that `text` is, in their order.
pub(crate) fn members<'a>(
    text: &'a str,
    key: &HashKey,
    place_of: impl Fn(&str) -> Place,
    found: &mut Found,
) -> Result<Vec<Member<'a>>, Unreadable> {
    let mut scan = Scan { text, at: 0, key, found };
    let mut members = Vec::with_capacity(16);
    scan.object(|scan, name| {
        let place = place_of(&name);
        let (hash, raw) = scan.measured(place, 1)?;
        members.push(Member { key: name, raw: &text[raw], hash });
        Ok(())
    })?;
    scan.end()?;
    Ok(members)
}

/// The hash of the value that `text` is.
pub(crate) fn value_hash(text: &str, key: &HashKey, place: Place) -> Result<u128, Unreadable> {
    let mut scan = Scan { text, at: 0, key, found: &mut Found::default() };
    let hash = scan.value(place, 0)?;
    scan.end()?;
    Ok(hash)
}

struct Scan<'a, 'k> {
    text: &'a str,
    at: usize,
    key: &'k HashKey,
    found: &'k mut Found,
}

impl<'a> Scan<'a, '_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.byte()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Unreadable> {
        if self.next() != Some(wanted) {
            return Err(Unreadable);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unreadable> {
        if self.next().is_some() { Err(Unreadable) } else { Ok(()) }
    }

    /// A value, and where it stands.
    fn measured(&mut self, place: Place, depth: usize) -> Result<(u128, Range<usize>), Unreadable> {
        self.next();
        let start = self.at;
        let hash = self.value(place, depth)?;
        Ok((hash, start..self.at))
    }

    fn value(&mut self, place: Place, depth: usize) -> Result<u128, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable);
        }
        match self.next() {
            Some(b'{') => self.object_hash(place, depth),
            Some(b'[') => self.array_hash(place, depth),
            Some(b'"') => Ok(self.key.hasher().part(b"s").part(self.string()?.as_bytes()).finish()),
            Some(_) => Ok(self.key.hasher().part(b"l").part(self.literal()?.as_bytes()).finish()),
            None => Err(Unreadable),
        }
    }

    fn array_hash(&mut self, place: Place, depth: usize) -> Result<u128, Unreadable> {
        let mut digest = self.key.hasher();
        digest.part(b"a");
        self.expect(b'[')?;
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(digest.finish());
        }
        loop {
            digest.number(self.value(place, depth + 1)?);
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(digest.finish());
                }
                _ => return Err(Unreadable),
            }
        }
    }

    fn object_hash(&mut self, place: Place, depth: usize) -> Result<u128, Unreadable> {
        let mut parts: SmallVec<[(Cow<'a, str>, u128); 8]> = SmallVec::new();
        // Of an item: whether it says that it is a reference, whether anything of it stands here, and where its id is.
        let (mut named, mut has_content, mut has_more, mut id) = (false, false, false, None);
        self.object(|scan, name| {
            let inner = if place != Place::Plain && name == "content" { Place::Hinted } else { Place::Plain };
            let (hash, raw) = scan.measured(inner, depth + 1)?;
            if place != Place::Plain && CACHE_HINTS.contains(&&*name) {
                return Ok(());
            }
            if place == Place::Items {
                let raw = &scan.text[raw];
                match &*name {
                    "type" => {
                        named |= is_text(raw, "item_reference");
                        has_more |= raw != "null";
                    }
                    "id" => id = Some(parts.len()),
                    "role" | "content" | "call_id" => has_content |= raw != "null",
                    _ => has_more |= raw != "null",
                }
            }
            parts.push((name, hash));
            Ok(())
        })?;
        // The id of an item is the provider's name for what stands beside it, unless it stands alone.
        let stands_alone = id.is_some() && !has_content && !has_more;
        match id {
            Some(at) if has_content && !named => drop(parts.remove(at)),
            _ => self.found.reference |= named || stands_alone,
        }
        parts.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut digest = self.key.hasher();
        digest.part(b"o");
        for (name, hash) in &parts {
            digest.part(name.as_bytes()).number(*hash);
        }
        Ok(digest.finish())
    }

    /// Reads an object; `member` reads the value behind each key.
    fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.expect(b'{')?;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(Unreadable);
            }
            let name = self.string()?;
            self.expect(b':')?;
            member(self, name)?;
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Unreadable),
            }
        }
    }

    /// The text that begins here with a quote, without its escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        let text = self.text;
        let start = self.at;
        let mut from = start + 1;
        let mut escaped = false;
        loop {
            let found = from + memchr::memchr2(b'"', b'\\', &text.as_bytes()[from..]).ok_or(Unreadable)?;
            if text.as_bytes()[found] == b'"' {
                self.at = found + 1;
                break;
            }
            escaped = true;
            from = found + 2;
            if from > text.len() {
                return Err(Unreadable);
            }
        }
        if !escaped {
            return Ok(Cow::Borrowed(&text[start + 1..self.at - 1]));
        }
        // What is no text, such as half of a surrogate pair, is the provider's to judge and is not cached.
        serde_json::from_str(&text[start..self.at]).map(Cow::Owned).map_err(|_| Unreadable)
    }

    /// A number, or one of the three words.
    fn literal(&mut self) -> Result<&'a str, Unreadable> {
        let start = self.at;
        while matches!(self.byte(), Some(b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let is_number = || text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if matches!(text, "true" | "false" | "null") || is_number() { Ok(text) } else { Err(Unreadable) }
    }
}

/// Whether `raw` is `text`, however it is spelled.
fn is_text(raw: &str, text: &str) -> bool {
    serde_json::from_str::<Cow<'_, str>>(raw).is_ok_and(|said| said == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const KEY: HashKey = HashKey([7; 16]);

    fn hash(text: &str) -> u128 {
        value_hash(text, &KEY, Place::Plain).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn spelling_and_order_make_no_difference() {
        for (left, right) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n\t\"a\": 1 }\r\n"),
            (r#"{"a":"x"}"#, r#"{"\u0061":"\u0078"}"#),
            (r#""\u00e9\n\/""#, "\"\u{e9}\\u000a/\""),
            (r#"{"a":{"c":1,"b":2}}"#, r#"{"a":{"b":2,"c":1}}"#),
            ("[]", " [ ] "),
        ] {
            assert_eq!(hash(left), hash(right), "{left} {right}");
        }
    }

    #[test]
    fn what_differs_differs() {
        let texts = [
            "1",
            "1.0",
            "1e0",
            "10",
            "-1",
            "\"1\"",
            "true",
            "null",
            "\"\"",
            "[]",
            "{}",
            "[1]",
            "[[1]]",
            "[1,1]",
            "{\"a\":1}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":2,\"a\":1}",
            "{\"a\":[1]}",
            "{\"b\":1}",
            "{\"a\":{\"b\":1}}",
            "{\"a\":\"b\"}",
            "[\"a\",\"b\"]",
            "[\"ab\"]",
            "[\"a\",[\"b\"]]",
            "{\"A\":1}",
            "{\"cache_control\":1}",
        ];
        let mut hashes: Vec<u128> = texts.iter().map(|text| hash(text)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), texts.len());
        assert_ne!(value_hash("1", &HashKey([8; 16]), Place::Plain), value_hash("1", &KEY, Place::Plain));
    }

    #[test]
    fn hints_are_left_out_only_where_they_are_hints() {
        let hinted = |text: &str| value_hash(text, &KEY, Place::Hinted).unwrap();
        let plain = r#"[{"role":"user","content":[{"type":"text","text":"x"}]}]"#;
        let with = r#"[{"role":"user","cache_control":{"type":"ephemeral"},"content":[{"type":"text","text":"x","cache_control":{}}]}]"#;
        assert_eq!(hinted(plain), hinted(with));
        // A parameter of a tool that happens to be called so is none.
        let tool = r#"[{"name":"f","input_schema":{"properties":{"cache_control":{"type":"string"}}}}]"#;
        assert_ne!(hinted(tool), hinted(r#"[{"name":"f","input_schema":{"properties":{}}}]"#));
        let items = |text: &str| value_hash(text, &KEY, Place::Items).unwrap();
        assert_eq!(items(r#"[{"id":"msg_1","role":"user"}]"#), items(r#"[{"id":"msg_2","role":"user"}]"#));
        assert_ne!(items(r#"[{"call_id":"1"}]"#), items(r#"[{"call_id":"2"}]"#));
        let reference = |id| items(&format!(r#"[{{"type":"item_reference","id":"{id}"}}]"#));
        assert_ne!(reference("a"), reference("b"));
        // An id counts where nothing stands beside it that it could be the name of.
        for item in [r#""id":"ID""#, r#""id":"ID","type":null"#, r#""id":"ID","type":"reasoning","content":null"#] {
            let of = |id: &str| items(&format!("[{{{}}}]", item.replace("ID", id)));
            assert_ne!(of("a"), of("b"), "{item}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        let deep = "[".repeat(DEEPEST + 2);
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"",
            "\"\\",
            "\"\\\"",
            "1 2",
            "tru",
            "nulls",
            "[1 2]",
            "\"\\ud800\"",
            "+",
            "}",
            "é",
            deep.as_str(),
        ] {
            assert_eq!(value_hash(text, &KEY, Place::Plain), Err(Unreadable), "{text}");
        }
        let deepest = format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        assert!(value_hash(&deepest, &KEY, Place::Plain).is_ok());
    }

    /// Values of JSON whose numbers are whole, so that they are written in one way only.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-d\\\\\"é]{0,3}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same value, its keys the other way round, with spaces.
    fn otherwise(value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let parts: Vec<String> = map
                    .iter()
                    .rev()
                    .map(|(key, value)| format!(" {} : {}", Value::from(key.as_str()), otherwise(value)))
                    .collect();
                format!("{{{} }}", parts.join(" ,\n"))
            }
            Value::Array(items) => format!("[ {} ]", items.iter().map(otherwise).collect::<Vec<_>>().join(" , ")),
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn a_value_has_one_hash_however_it_is_written(value in json(), other in json()) {
            prop_assert_eq!(hash(&value.to_string()), hash(&otherwise(&value)));
            prop_assert_eq!(value == other, hash(&value.to_string()) == hash(&other.to_string()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:\\\\ 0-9a-zé]{0,40}") {
            let _ = value_hash(&text, &KEY, Place::Items);
        }
    }
}
