//! What a conversation costs: 2,000 turns of 5 KB each.

use super::*;
use crate::change::Format;

use super::faulty::Faulty;

const TURNS: usize = 2000;
const TURN: usize = 5 << 10;

/// A turn of 5 KB: JSON of words, half as long when packed, as text is.
fn turn(number: usize, random: &mut fastrand::Rng) -> String {
    let mut text = String::with_capacity(TURN);
    while text.len() < TURN - 40 {
        let word: String = (0..random.usize(2..9)).map(|_| random.lowercase()).collect();
        text.push_str(&word);
        text.push(' ');
    }
    format!(r#"{{"turn":{number},"role":"tool","text":"{text}"}}"#)
}

/// Grows a conversation and gives its size, what is stored of it, and what each write brought to the engine.
async fn grow(by: &str) -> (u64, u64, Vec<u64>) {
    let store = Faulty::new();
    let (state, _) = over(store.clone());
    let key = key("threads", "long");
    let mut random = fastrand::Rng::with_seed(9);
    let mut last = state.put(&key, Condition::Absent, json(&format!("[{}]", turn(0, &mut random)))).await.unwrap();
    for number in 1..TURNS {
        let turn = turn(number, &mut random);
        store.asked();
        last = match by {
            "append" => state.append(&key, last.rev, format!("[{turn}]").into(), Terms::default()).await.unwrap(),
            _ => {
                let patch = format!(r#"[{{"op":"add","path":"/-","value":{turn}}}]"#);
                state.patch(&key, last.rev, patch.as_bytes(), Terms::default()).await.unwrap()
            }
        };
        assert_eq!(store.asked(), ["commit"], "turn {number} by {by}");
    }
    assert_eq!(last.rev.get() as usize, TURNS);
    let (other, _) = over(store.clone());
    let value = other.get(&key, At::Head).await.unwrap();
    assert_eq!(value.meta.hash, last.hash);
    assert_eq!(Format::of(&value.meta.content_type), Format::Json);
    let array: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&value.content).unwrap();
    assert_eq!(array.len(), TURNS);
    let brought = std::mem::take(&mut *store.brought.lock());
    (last.size, store.memory.stored_bytes(), brought)
}

/// Each write asks the engine for one commit and nothing else; at the end less is stored than twice the conversation, and
/// the last write is no larger than twice the median.
#[test]
fn two_thousand_turns_cost_no_square() {
    run(async {
        for by in ["append", "patch"] {
            let (size, stored, mut brought) = grow(by).await;
            assert!(size > 10_000_000);
            assert!(stored < 2 * size, "{stored} bytes are stored of {size} by {by}");
            let last: u64 = brought[TURNS - 20..].iter().sum::<u64>() / 20;
            brought.sort_unstable();
            let median = brought[TURNS / 2];
            assert!(last < 2 * median, "the last writes by {by} brought {last} bytes, the median is {median}");
            // Twice the conversation, and the names of all its pieces with each turn.
            assert!(brought.iter().sum::<u64>() < 4 * size, "{}", brought.iter().sum::<u64>());
        }
    });
}

/// An addition brings itself, and now and then all that comes behind the last cut, once: whether this gateway wrote what it
/// adds to or another, by which many small ones become few pieces, and the same ones as of a value that is written whole.
#[test]
fn an_addition_brings_itself() {
    run(async {
        for (by, wrap) in [("bytes", ["", ""]), ("array", ["[", "]"]), ("string", ["\"", "\""])] {
            let (hot, cold) = (Faulty::new(), Faulty::new());
            let (state, _) = over(hot.clone());
            let key = key("threads", "long");
            let mut random = fastrand::Rng::with_seed(3);
            let mut text = |length| (0..length).map(|_| random.alphanumeric()).collect::<String>();
            let mut value = |length, inside: &mut String| {
                let quote = if by == "array" { "\"" } else { "" };
                let new = format!("{quote}{}{quote}", text(length));
                let comma = if by == "array" && !inside.is_empty() { "," } else { "" };
                inside.push_str(&format!("{comma}{new}"));
                let [open, close] = wrap;
                let added = format!("{open}{new}{close}");
                if by == "bytes" { self::new(added) } else { json(&added) }
            };
            let mut inside = String::new();
            let first = value(300_000, &mut inside);
            let mut last = state.put(&key, Condition::Absent, first.clone()).await.unwrap();
            over(cold.clone()).0.put(&key, Condition::Absent, first).await.unwrap();
            for store in [&hot, &cold] {
                store.brought.lock().clear();
            }
            let mut names = 0;
            for _ in 0..1_000 {
                let more = value(1_000, &mut inside).content;
                let (other, _) = over(cold.clone());
                other.append(&key, last.rev, more.clone(), Terms::default()).await.unwrap();
                last = state.append(&key, last.rev, more, Terms::default()).await.unwrap();
                let head = hot.memory.head(&key).await.unwrap().unwrap();
                assert_eq!(cold.memory.head(&key).await.unwrap().unwrap().body, head.body, "{by}");
                names += 32 * head.body.pieces().len() as u64;
            }
            let [open, close] = wrap;
            let whole = format!("{open}{inside}{close}");
            assert_eq!(content(&state, &key).await, whole.as_bytes(), "{by}");
            let brought = [hot, cold].map(|store| store.brought.lock().iter().sum::<u64>() - names);
            assert!(brought[0] < 4_000_000 && brought[1] == brought[0], "{by}: {brought:?} bytes for 1,000,000");
            // All but those behind the last cut are as if nothing had been added to.
            let head = state.store.head(&key).await.unwrap().unwrap();
            let copy = crate::suite::key("threads", "copy");
            let copied = if by == "bytes" { self::new(whole) } else { json(&whole) };
            state.put(&copy, Condition::Absent, copied).await.unwrap();
            let written = state.store.head(&copy).await.unwrap().unwrap();
            let alike = written.body.pieces().iter().filter(|id| head.body.pieces().contains(id)).count();
            assert!(alike + 1 >= written.body.pieces().len(), "{by}: {alike} of {}", written.body.pieces().len());
            assert!(head.body.pieces().len() <= written.body.pieces().len() + 16, "{by}");
        }
    });
}

/// A patch that adds to a list inside the value reads all, and stores no more than an append does.
#[test]
fn turns_by_patch_are_stored_as_small() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let key = key("threads", "patched");
        let mut random = fastrand::Rng::with_seed(9);
        let first = format!(r#"{{"turns":[{}],"status":"open"}}"#, turn(0, &mut random));
        let mut last = state.put(&key, Condition::Absent, json(&first)).await.unwrap();
        for number in 1..200 {
            let patch = format!(r#"[{{"op":"add","path":"/turns/-","value":{}}}]"#, turn(number, &mut random));
            last = state.patch(&key, last.rev, patch.as_bytes(), Terms::default()).await.unwrap();
        }
        let stored = store.memory.stored_bytes();
        assert!(stored < 3 * last.size, "{stored} bytes are stored of {}", last.size);
    });
}

/// A long value that is written whole, with a change in the middle: the engine is brought the pieces around the change,
/// and the rest is shared by the revisions, and by a fork of them.
#[test]
fn a_change_of_a_long_value_brings_what_changed() {
    run(async {
        let store = Faulty::new();
        let (state, _) = over(store.clone());
        let place = key("n", "k");
        let mut value = noise(2 << 20, 1);
        let first = state.put(&place, Condition::Absent, new(value.clone())).await.unwrap();
        value.splice(1_000_000..1_000_000, *b"something new");
        store.brought.lock().clear();
        let second = state.put(&place, Condition::At(first.rev), new(value.clone())).await.unwrap();
        assert!(store.brought.lock()[0] < 500_000, "{:?}", store.brought.lock());
        state.restore(&place, first.rev, Condition::At(second.rev), Terms::default()).await.unwrap();
        assert!(store.brought.lock()[1] < 500_000, "{:?}", store.brought.lock());
        let one = store.memory.stored_bytes();
        state.fork(&place, At::Rev(second.rev), &key("n", "fork"), Terms::default()).await.unwrap();
        assert!(store.memory.stored_bytes() < one + 20_000);
        assert_eq!(content(&state, &key("n", "fork")).await, value);
    });
}

/// However a content grows across the length at which it is cut, it stays what it is.
#[test]
fn appends_are_right_at_every_length() {
    run(async {
        let (state, _, memory) = fresh();
        let mut random = fastrand::Rng::with_seed(4);
        for (number, kind) in ["bytes", "array", "string"].into_iter().enumerate() {
            let key = key("threads", kind);
            let mut whole = String::new();
            let wrap = |inside: &str| match kind {
                "bytes" => inside.to_owned(),
                "array" => format!("[{inside}]"),
                _ => format!("\"{inside}\""),
            };
            let first = if kind == "bytes" { new(wrap("")) } else { json(&wrap("")) };
            let mut last = state.put(&key, Condition::Absent, first).await.unwrap();
            for step in 0..120 {
                let length = [0, 1, 5, 3000, 17_000, 70_000][random.usize(..6)];
                let more: String = match kind {
                    "array" if length == 0 => String::new(),
                    "array" => format!("\"{}\"", "x".repeat(length)),
                    _ => (0..length).map(|_| random.alphanumeric()).collect(),
                };
                last = state.append(&key, last.rev, wrap(&more).into(), Terms::default()).await.unwrap();
                let comma = if kind == "array" && !whole.is_empty() && !more.is_empty() { "," } else { "" };
                whole = format!("{whole}{comma}{more}");
                assert_eq!(last.size as usize, wrap(&whole).len(), "{kind}, step {step}");
                // Every seventh time by a gateway that remembers nothing.
                if step % 7 == number {
                    let (other, _) = over(memory.clone());
                    assert!(content(&other, &key).await == wrap(&whole).as_bytes(), "{kind}, step {step}");
                    last = other.append(&key, last.rev, wrap("").into(), Terms::default()).await.unwrap();
                }
            }
        }
    });
}

/// What does not fit the content, or makes it too long, is refused whether the content is short or long.
#[test]
fn an_addition_that_does_not_fit_is_refused() {
    run(async {
        let (state, _, _) = fresh();
        let long_array = format!("[\"{}\"]", "x".repeat(150_000));
        let long_object = format!("{{\"a\":\"{}\"}}", "x".repeat(150_000));
        for (name, value, addition) in [
            ("short", "[1]", "2"),
            ("object", "{}", "[2]"),
            ("long", &long_array, "{}"),
            ("long object", &long_object, "[2]"),
            ("not json", &long_array, "[2"),
        ] {
            let key = key("brief", name);
            let meta = state.put(&key, Condition::Absent, json(value)).await.unwrap();
            let outcome = state.append(&key, meta.rev, addition.to_owned().into(), Terms::default()).await;
            assert!(matches!(outcome, Err(StateError::BadPatch(_))), "{name}: {outcome:?}");
            let room = 200_000 - value.len();
            if value.starts_with('[') {
                let fits = format!("[\"{}\"]", "y".repeat(room - 3));
                let over = format!("[\"{}\"]", "y".repeat(room - 2));
                let outcome = state.append(&key, meta.rev, over.into(), Terms::default()).await;
                assert_eq!(outcome, Err(StateError::TooLarge { size: 200_001, limit: 200_000 }), "{name}");
                let longest = state.append(&key, meta.rev, fits.into(), Terms::default()).await.unwrap();
                assert_eq!(longest.size, 200_000, "{name}");
            }
        }
    });
}

/// An empty array that is all white space, and the bracket in a piece of its own: nobody guesses about the comma.
#[test]
fn a_long_empty_array_gets_no_comma() {
    run(async {
        for spaces in [65_600, 131_070, 131_071, 131_072, 262_143, 300_000] {
            let (state, _, _) = fresh();
            let key = key("threads", "empty");
            let empty = format!("[{}]", " ".repeat(spaces));
            let meta = state.put(&key, Condition::Absent, json(&empty)).await.unwrap();
            state.append(&key, meta.rev, Bytes::from_static(b"[1]"), Terms::default()).await.unwrap();
            let value = content(&state, &key).await;
            let array: Vec<u8> = serde_json::from_slice(&value).unwrap();
            assert_eq!(array, [1], "{spaces}");
        }
    });
}
