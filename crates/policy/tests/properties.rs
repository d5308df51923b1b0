//! Properties: no input makes it panic, what is written reads back, and places lie within the text.

use proptest::prelude::*;
use tradewind_policy::{Node, Problems, Root, Shared, Value, diff, digest, parse_yaml};

/// Reads, decodes, renders, digests and compares: everything that can be done with a text.
fn exercise(text: &str) -> Problems {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|name| (name.len() < 3).then(|| name.repeat(2)), &[], &mut problems);
    let _shared = Shared::decode(&root, &mut problems);
    let _rendered = problems.render("test.yaml", text);
    let _digest = digest(&root);
    assert_eq!(diff(&root, &root), []);
    problems
}

/// Pieces of which documents are made, so that random text comes deeper than the scanner's first error.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "providers:",
        "listen:",
        "limits:",
        "name:",
        "dialect:",
        "openai",
        "base-url:",
        "http://h/v1",
        "api-key:",
        "headers:",
        "{",
        "}",
        "[",
        "]",
        ",",
        " ",
        "  ",
        "\n",
        "\n  ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        ": ",
        "!!str ",
        "!x ",
        "| ",
        "> ",
        "\"",
        "'",
        "#",
        "${",
        "${A}",
        "}",
        "$$",
        "1",
        "-2.5",
        "true",
        "~",
        "---",
        "...",
        "%YAML 1.2",
        "\t",
        "ü",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\\x",
        "\0",
        "\r",
        "10s",
        "5MiB",
        "via:",
        "sk-1",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Any JSON, which YAML is a superset of.
fn json() -> impl Strategy<Value = serde_json::Value> {
    const TEXT: &str = "[ -~äöüß字\\n\\t]{0,12}";
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e15..1e15_f64).prop_map(Into::into),
        TEXT.prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(TEXT, inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => (**text).into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.to_string(), to_json(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn places_are_within(node: &Node, lines: &[&str]) -> Result<(), TestCaseError> {
    let line = lines.get(node.place.line as usize - 1);
    prop_assert!(line.is_some(), "{:?} is not in the text", node.place);
    prop_assert!(node.place.column as usize <= line.map_or(0, |line| line.chars().count()) + 1, "{:?}", node.place);
    prop_assert!(node.place.length > 0);
    for child in node.items().iter().chain(node.entries().iter().map(|entry| &entry.value)) {
        places_are_within(child, lines)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        exercise(&text);
    }

    #[test]
    fn no_heap_of_pieces_makes_it_panic(text in pieces()) {
        exercise(&text);
    }

    #[test]
    fn json_reads_back(value in json()) {
        let text = serde_json::to_string(&serde_json::json!([value])).expect("json can be written");
        let mut problems = Problems::new();
        let node = parse_yaml(&text, &mut problems);
        prop_assert!(problems.is_empty(), "{}\n{}", text, problems.render("test.yaml", &text));
        prop_assert_eq!(to_json(&node.expect("it has a tree")), serde_json::json!([value]));
    }

    #[test]
    fn places_lie_within_the_text(value in json()) {
        let text = serde_json::to_string_pretty(&serde_json::json!([value])).expect("json can be written");
        let lines: Vec<&str> = text.lines().collect();
        let node = parse_yaml(&text, &mut Problems::new()).expect("it has a tree");
        places_are_within(&node, &lines)?;
    }

    #[test]
    fn escaped_text_stays_what_it_is(text in "[ -~]{0,30}") {
        let written = serde_json::to_string(&text.replace('$', "$$")).expect("json can be written");
        let mut problems = Problems::new();
        let root = Root::parse(&format!("data-dir: {written}"), &|_| None, &[], &mut problems);
        prop_assert!(problems.is_empty());
        prop_assert_eq!(root.section("data-dir").and_then(Node::as_str), Some(&*text));
    }

    #[test]
    fn what_comes_from_outside_is_never_shown(value in "[a-z]{12}", key in prop::sample::select(vec![
        "listen: \"${V}\"", "data-dir: [\"${V}\"]", "limits: \"${V}\"", "limits: {event: \"${V}\"}",
        "providers: [{name: \"${V}/\", dialect: \"${V}\", base-url: \"${V}\", api-key: \"${V} \", http2: \"${V}\"}]",
        "providers: [{name: a, dialect: openai, base-url: http://h, headers: {a: \"${V}\\n\"}, discover: \"${V}\"}]",
    ])) {
        let mut problems = Problems::new();
        let root = Root::parse(key, &|_| Some(value.clone()), &[], &mut problems);
        let _shared = Shared::decode(&root, &mut problems);
        let rendered = problems.render("test.yaml", key);
        prop_assert!(!problems.is_empty());
        prop_assert!(!rendered.contains(&value), "{}", rendered);
        prop_assert!(!serde_json::to_string(&problems).expect("problems serialise").contains(&value));
    }
}

/// The seeds of the fuzz target, so that what it was given once is tried by every test run.
#[test]
fn no_seed_of_the_fuzzer_makes_it_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/yaml");
    let mut seeds = 0;
    for seed in std::fs::read_dir(folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        exercise(std::str::from_utf8(&bytes).expect("a seed is text"));
        seeds += 1;
    }
    assert!(seeds >= 5, "only {seeds} seeds");
}
