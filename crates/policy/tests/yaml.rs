//! YAML to a tree: values, places, anchors and merge keys, and every limit.

use tradewind_policy::{MOST_DEPTH, Node, Place, Problems, Value, parse_yaml};

fn tree(text: &str) -> Node {
    let mut problems = Problems::new();
    let node = parse_yaml(text, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    node.expect("a document without problems has a tree")
}

/// The first problem of a document, `line:column message`, and its hint.
fn refusal(text: &str) -> (String, Option<String>) {
    let mut problems = Problems::new();
    parse_yaml(text, &mut problems);
    let first = problems
        .list()
        .first()
        .map(|problem| (format!("{}:{} {}", problem.line, problem.column, problem.message), problem.hint.clone()));
    first.unwrap_or_else(|| panic!("no problem with {text:?}"))
}

fn text(node: &Node, path: &str) -> String {
    let found = node.find(path).unwrap_or_else(|| panic!("nothing at {path}"));
    found.as_str().unwrap_or_else(|| panic!("{path} is {}", found.described())).to_owned()
}

#[test]
fn values_have_their_types() {
    let node = tree(
        "a: 1\nb: -2.5\nc: true\nd: ~\ne: \"1\"\nf: '2'\ng: !!str 3\nh: !!float 4\ni: [x, y]\nj: |\n  two\n  lines\n",
    );
    for (path, value) in [
        ("a", Value::Int(1)),
        ("b", Value::Float(-2.5)),
        ("c", Value::Bool(true)),
        ("d", Value::Null),
        ("e", Value::String("1".into())),
        ("f", Value::String("2".into())),
        ("g", Value::String("3".into())),
        ("h", Value::Float(4.0)),
        ("i[1]", Value::String("y".into())),
        ("j", Value::String("two\nlines\n".into())),
    ] {
        assert_eq!(node.find(path).map(|node| &node.value), Some(&value), "{path}");
    }
}

#[test]
fn places_are_those_of_an_editor() {
    let node = tree("models:\n  - name: größe\n    targets: [{use: a/b}, c]\nempty:\n");
    for (path, line, column, length) in [
        ("models[0].name", 2, 11, 5),
        ("models[0].targets", 3, 14, 15),
        ("models[0].targets[0]", 3, 15, 10),
        ("models[0].targets[0].use", 3, 21, 3),
        ("models[0].targets[1]", 3, 27, 1),
        // A map in block style stands where its first key stands, a missing value where its key does.
        ("models[0]", 2, 5, 4),
        ("empty", 4, 1, 5),
    ] {
        assert_eq!(node.find(path).map(|node| node.place), Some(Place { line, column, length }), "{path}");
    }
    assert_eq!(tree("\u{feff}a: b").find("a").map(|node| node.place.column), Some(4), "a byte order mark has no width");
}

#[test]
fn an_empty_file_is_an_empty_map() {
    for text in ["", "\n", "# nothing\n", "---\n", "---\n...\n", "~", "{}", "\u{feff}"] {
        assert_eq!(tree(text).entries(), [], "{text:?}");
        assert!(matches!(tree(text).value, Value::Map(_)), "{text:?}");
    }
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let node = tree(
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n\
         one: {<<: *base, b: 5}\nseveral:\n  <<: [*base, *more]\n  d: 6\ncopy: *base\nlist: [&x 7, *x]\n",
    );
    let shown = |path: &str| {
        let entries = node.find(path).expect("is there").entries();
        let mut shown: Vec<String> =
            entries.iter().map(|entry| format!("{}={}", entry.key, entry.value.described())).collect();
        shown.sort();
        shown.join(" ")
    };
    assert_eq!(shown("one"), "a=the number 1 b=the number 5", "own keys win");
    assert_eq!(shown("several"), "a=the number 1 b=the number 2 c=the number 4 d=the number 6", "the first map wins");
    assert_eq!(shown("copy"), "a=the number 1 b=the number 2");
    assert_eq!(node.find("list[1]").map(|node| &node.value), Some(&Value::Int(7)));
    assert_eq!(node.find("one.a").map(|node| node.place.line), Some(1), "what is merged stands where it was written");
    assert_eq!(tree("a: {\"<<\": 1}").find("a").map(|node| node.entries().len()), Some(1), "a quoted << is a key");
}

#[test]
fn keys_are_text_whatever_they_look_like() {
    let node = tree("200: a\ntrue: b\n1.0: c\n~: d\n\"q\": e\nk: &k key\n*k : f\n");
    let keys: Vec<&str> = node.entries().iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["200", "true", "1.0", "~", "q", "k", "key"]);
}

#[test]
fn a_key_with_a_dot_can_be_found() {
    assert_eq!(text(&tree("headers: {x.y: z}"), "headers.x.y"), "z");
}

#[test]
fn what_is_not_one_document_is_refused() {
    for (document, problem) in [
        ("a: 1\na: 2\n", "2:1 the key `a` stands twice in this map"),
        ("{b: 1, \"b\": 2}", "1:8 the key `b` stands twice in this map"),
        ("a: 1\n---\nb: 2\n", "2:1 a second document in the file"),
        ("[a]: 1", "1:1 a key must be text, found a list"),
        ("? {a: b}\n: c\n", "1:3 a key must be text, found a map"),
        ("a: !mine 1", "1:4 the tag `!mine` means nothing here"),
        ("a: !!binary x", "1:4 the tag `tag:yaml.org,2002:!binary` means nothing here"),
        ("a: !!int x", "1:4 `x` is not what its tag !!int says"),
        ("<<: 1", "1:5 `<<` merges maps, found the number 1"),
        ("<<: [{a: 1}, 2]", "1:5 `<<` merges maps, found a list"),
        ("a: &a [*a]", "1:8 this alias stands inside of what it refers to"),
        ("a: \0", "1:4 control character U+0000 in the file"),
        ("a: b\nc: d\u{1b}[0m", "2:5 control character U+001B in the file"),
    ] {
        assert_eq!(refusal(document).0, problem, "{document:?}");
    }
}

#[test]
fn what_is_not_yaml_is_refused_with_the_usual_reason() {
    for (document, line, hint) in [
        ("a: [1, 2", "2:", None),
        ("a: *nobody", "1:", None),
        ("a:\n\t- b: c\n", "2:", Some("indent with spaces: YAML does not allow tabs there")),
        ("- {key: ${KEY}, b: c}\n", "1:", Some("put it in quotes, \"${VARIABLE}\": within { } a bare } ends the map")),
        ("a: b: c", "1:", None),
        ("a: 'b", "1:", None),
    ] {
        let (problem, found) = refusal(document);
        assert!(problem.contains("this is not YAML: "), "{document:?}: {problem}");
        assert_eq!(found.as_deref(), hint, "{document:?}: {problem} {line}");
    }
}

#[test]
fn files_over_four_mebibytes_are_refused() {
    let mut text = "a: ".to_owned() + &"x".repeat(4 * 1024 * 1024 - 3);
    assert_eq!(tree(&text).entries().len(), 1);
    text.push('x');
    assert_eq!(refusal(&text).0, "0:0 the file has 4194305 bytes, the most is 4194304");
}

#[test]
fn lists_and_maps_are_at_most_64_deep() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(matches!(tree(&nested(MOST_DEPTH)).value, Value::List(_)));
    let deep = "lists and maps stand more than 64 deep in each other";
    assert_eq!(refusal(&nested(MOST_DEPTH + 1)).0, format!("1:65 {deep}"));
    assert!(refusal(&"- ".repeat(10_000)).0.ends_with(deep));
    assert!(refusal(&"{a: ".repeat(100)).0.ends_with(deep));
    // The scanner, which reads ahead within { } and [ ], has a limit of its own.
    assert!(refusal(&"{a: ".repeat(10_000)).0.ends_with("recursion limit exceeded"));
    // Aliases count with what they stand for.
    let half = nested(40);
    let aliased = format!("a: &a {half}\nb: {}*a{}\n", "[".repeat(30), "]".repeat(30));
    assert!(refusal(&aliased).0.ends_with(deep), "{}", refusal(&aliased).0);
}

#[test]
fn a_yaml_bomb_is_refused_by_its_number_of_values() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(refusal(&bomb).0.ends_with("the document has more than 1000000 values, aliases included"));
}

#[test]
fn a_yaml_bomb_is_refused_by_its_text() {
    let long = "x".repeat(1024 * 1024);
    let bomb = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 20].join(", "));
    assert!(refusal(&bomb).0.ends_with("the document has more than 16777216 bytes of text, aliases included"));
}

#[test]
fn many_keys_in_one_map_are_read_in_linear_time() {
    let mut text: String = (0..100_000).map(|index| format!("k{index}: {index}\n")).collect();
    assert_eq!(tree(&text).entries().len(), 100_000);
    text.push_str("k99999: again\n");
    assert_eq!(refusal(&text).0, "100001:1 the key `k99999` stands twice in this map");
}
