//! What has to hold of all changes: beside an oracle, and of themselves.

use proptest::prelude::*;
use serde_json::Value;

use super::{LIMIT, merged, patched};
use crate::change::*;

/// Texts with names that collide, escapes, and numbers that survive a `Value`.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        "[a/~\"\\\\é]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab/~\"\\\\]{0,1}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_pointer() -> impl Strategy<Value = String> {
    let token = prop_oneof!["[ab0123-]", Just("~0".to_owned()), Just("~1".to_owned()), Just(String::new())];
    proptest::collection::vec(token, 0..4).prop_map(|tokens| tokens.iter().map(|token| format!("/{token}")).collect())
}

fn any_operation() -> impl Strategy<Value = Value> {
    let op = proptest::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    (op, any_pointer(), any_pointer(), any_json())
        .prop_map(|(op, path, from, value)| serde_json::json!({"op": op, "path": path, "from": from, "value": value}))
}

/// White space and escapes that change nothing.
fn written(value: &Value, style: u8) -> String {
    match style % 3 {
        0 => value.to_string(),
        1 => serde_json::to_string_pretty(value).unwrap(),
        _ => format!(" {} \n", value.to_string().replace('é', "\\u00e9")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn patches_do_what_the_oracle_does(
        document in any_json(),
        operations in proptest::collection::vec(any_operation(), 0..5),
        style in any::<u8>(),
    ) {
        // The oracle refuses to move the document to where it is.
        let stays = |operation: &Value| operation["op"] == "move" && operation["path"] == "" && operation["from"] == "";
        prop_assume!(!operations.iter().any(stays));
        let patch = Value::from(operations);
        let ours = patched(&written(&document, style), &written(&patch, style / 3));
        let mut theirs = document.clone();
        let read: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
        // Its `patch` panics when it cannot undo what it did: a value moved to the root, and then an operation that fails.
        let done = json_patch::patch_unsafe(&mut theirs, &read);
        match ours {
            Ok(text) => {
                prop_assert!(done.is_ok(), "{document} {patch}: {done:?}");
                prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), theirs, "{} {}", document, patch);
            }
            Err(error) => prop_assert!(done.is_err(), "{document} {patch}: {error}"),
        }
    }

    #[test]
    fn a_difference_makes_the_one_out_of_the_other(from in any_json(), to in any_json(), styles in any::<(u8, u8)>()) {
        let (from_text, to_text) = (written(&from, styles.0), written(&to, styles.1));
        let patch = diff(from_text.as_bytes(), to_text.as_bytes()).unwrap();
        let there = patched(&from_text, &patch).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&there).unwrap(), &to);
        if from == to {
            prop_assert_eq!(patch, "[]");
        } else {
            prop_assert_ne!(patch, "[]");
        }
    }

    /// One writer's patch and the other's, on members of their own, give what both one after the other give.
    #[test]
    fn merging_disjoint_patches_is_doing_both(
        base in any_json(),
        ours in any_json(),
        theirs in any_json(),
        style in any::<u8>(),
    ) {
        let both = |left: &Value, right: &Value| serde_json::json!({"deep": {"left": left, "right": right}, "same": [1]});
        let text = |value: &Value| written(value, style);
        let merged = merged(&text(&both(&base, &base)), &text(&both(&ours, &base)), &text(&both(&base, &theirs)));
        prop_assert_eq!(serde_json::from_str::<Value>(&merged.unwrap()).unwrap(), both(&ours, &theirs));
    }

    /// Whoever wins, nothing that either of them wrote is lost without a word.
    #[test]
    fn a_merge_keeps_what_each_has_changed_or_says_so(base in any_json(), head in any_json(), new in any_json()) {
        let text = |value: &Value| value.to_string();
        let there = merged(&text(&base), &text(&head), &text(&new));
        let other_way = merged(&text(&base), &text(&new), &text(&head));
        match there {
            Ok(merged) => {
                let merged: Value = serde_json::from_str(&merged).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Value>(&other_way.unwrap()).unwrap(), &merged);
                if base == head { prop_assert_eq!(&merged, &new) }
                if base == new { prop_assert_eq!(&merged, &head) }
                if let (Value::Object(base), Value::Object(head), Value::Object(new), Value::Object(merged)) =
                    (&base, &head, &new, &merged)
                {
                    for (name, value) in merged {
                        let is_from = |side: &serde_json::Map<_, _>| side.get(name) == Some(value);
                        prop_assert!(is_from(head) || is_from(new) || value.is_object(), "{name}");
                    }
                    for (side, other) in [(head, new), (new, head)] {
                        for (name, value) in side {
                            let is_change = base.get(name) != Some(value);
                            let both = other.get(name) != base.get(name);
                            prop_assert!(!is_change || both || merged.get(name) == Some(value), "{name} was lost");
                            prop_assert!(!is_change || !both || value.is_object(), "{name} was changed twice");
                        }
                    }
                }
            }
            Err(error) => prop_assert_eq!(other_way.unwrap_err(), error),
        }
    }

    #[test]
    fn appending_is_concatenating(list in proptest::collection::vec(any_json(), 0..4), more in proptest::collection::vec(any_json(), 0..4), style in any::<(u8, u8)>()) {
        let (content, addition) = (written(&Value::from(list.clone()), style.0), written(&Value::from(more.clone()), style.1));
        let tail = append(Format::Json, content.as_bytes(), addition.as_bytes(), LIMIT).unwrap();
        let there: Value = serde_json::from_slice(&tail.on(content.as_bytes())).unwrap();
        prop_assert_eq!(there, Value::from([list, more].concat()));
        prop_assert!(content.len() - tail.keep <= content.len() - content.trim_end().len() + 4, "little is written again");
    }

    #[test]
    fn any_texts_are_survived(document in "[\\[\\]{}\",:\\\\ua0-9eE.é \n-]{0,40}", patch in "[\\[\\]{}\":,/a0]{0,30}") {
        let operations = r#"[{"op":"add","path":"/a/0","value":1},{"op":"test","path":"/0","value":[1]}]"#;
        for patch in [&patch, operations, r#"[{"op":"copy","from":"/0","path":"/1"},{"op":"remove","path":"/a"}]"#] {
            if let Ok(patch) = Patch::parse(patch.as_bytes()) {
                let _ = patch.apply(document.as_bytes(), LIMIT);
            }
        }
        let _ = (diff(document.as_bytes(), patch.as_bytes()), diff(patch.as_bytes(), document.as_bytes()));
        let _ = merged(&document, &patch, "{}");
        let _ = merged("{}", &document, &patch);
        let _ = append(Format::Json, document.as_bytes(), b"[1]", LIMIT);
    }
}
