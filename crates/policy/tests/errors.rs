//! What a person sees: whole rendered errors, and that none of them shows a secret.

use tradewind_policy::{Problems, Root, Shared};

fn rendered(text: &str) -> String {
    let lookup = |name: &str| match name {
        "KEY" => Some("sk-from-outside".to_owned()),
        "WORD" => Some("from-outside".to_owned()),
        "NUMBER" => Some("12".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let mut problems = Problems::new();
    let root = Root::parse(text, &lookup, &[], &mut problems);
    let _shared = Shared::decode(&root, &mut problems);
    problems.render("tradewind.yaml", text)
}

fn check(text: &str, expected: &str) {
    assert_eq!(rendered(text), expected, "\n{}", rendered(text));
}

#[test]
fn an_unknown_section_names_the_nearest() {
    check(
        "listen: 127.0.0.1:7080\n\nprovidres: []\n",
        "\
error[TW4002]: unknown key `providres`
 --> tradewind.yaml:3:1
  |
3 | providres: []
  | ^^^^^^^^^
  = at: providres
  = hint: did you mean `providers`?
",
    );
}

#[test]
fn several_problems_are_shown_in_the_order_of_the_file() {
    check(
        "providers:
  - {name: a, dialct: openai, base-url: https://a/v1, api-key-file: a}
  - {name: b/c, dialect: gemini, base-url: https://b/v1, http2: sometimes}
journal: {max-age: soon}
",
        "\
error[TW4003]: `dialect` is missing
 --> tradewind.yaml:2:5
  |
2 |   - {name: a, dialct: openai, base-url: https://a/v1, api-key-file: a}
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = at: providers[0]

error[TW4002]: unknown key `dialct`
 --> tradewind.yaml:2:15
  |
2 |   - {name: a, dialct: openai, base-url: https://a/v1, api-key-file: a}
  |               ^^^^^^
  = at: providers[0].dialct
  = hint: did you mean `dialect`?

error[TW4005]: `api-key-file` (reading a key from a file) is not built yet
 --> tradewind.yaml:2:55
  |
2 |   - {name: a, dialct: openai, base-url: https://a/v1, api-key-file: a}
  |                                                       ^^^^^^^^^^^^
  = at: providers[0].api-key-file
  = hint: remove the key

error[TW4005]: `dialect: gemini` (the dialect of Gemini) is not built yet
 --> tradewind.yaml:3:26
  |
3 |   - {name: b/c, dialect: gemini, base-url: https://b/v1, http2: sometimes}
  |                          ^^^^^^
  = at: providers[1].dialect
  = hint: choose another value, or remove the entry

error[TW4003]: expected one of auto, never, prior-knowledge, found the text `sometimes`
 --> tradewind.yaml:3:65
  |
3 |   - {name: b/c, dialect: gemini, base-url: https://b/v1, http2: sometimes}
  |                                                                 ^^^^^^^^^
  = at: providers[1].http2

error[TW4003]: expected a time span like 250ms, 8s, 5m, 1h or 30d, found the text `soon`
 --> tradewind.yaml:4:20
  |
4 | journal: {max-age: soon}
  |                    ^^^^
  = at: journal.max-age
",
    );
}

#[test]
fn all_problems_of_one_section_are_shown() {
    let shown = rendered("limits: {event: lots, drain: soon, body-idel: 1s, connections: -1, answer-body: [1]}\n");
    assert_eq!(shown.matches("error[").count(), 5, "{shown}");
}

#[test]
fn a_missing_variable_is_named_once_and_nothing_follows_from_it() {
    check(
        "providers:
  - name: a
    dialect: openai
    base-url: \"${BASE_URL}\"
    api-key: \"${API_KEY}\"
    auth: bearer
",
        "\
error[TW4004]: the environment variable BASE_URL is not set
 --> tradewind.yaml:4:15
  |
4 |     base-url: \"${BASE_URL}\"
  |               ^^^^^^^^^^^^^
  = at: providers[0].base-url
  = hint: set it, or give a default: ${BASE_URL:-value}

error[TW4004]: the environment variable API_KEY is not set
 --> tradewind.yaml:5:14
  |
5 |     api-key: \"${API_KEY}\"
  |              ^^^^^^^^^^^^
  = at: providers[0].api-key
  = hint: set it, or give a default: ${API_KEY:-value}
",
    );
}

#[test]
fn an_open_listen_is_refused_with_its_own_code() {
    check(
        "listen: 0.0.0.0:7080\n",
        "\
error[TW4006]: `0.0.0.0:7080` is open to other machines, and nothing guards it
 --> tradewind.yaml:1:9
  |
1 | listen: 0.0.0.0:7080
  |         ^^^^^^^^^^^^
  = at: listen
  = hint: add at least one entry in `keys` (keys made with `tradewind key create` come in addition), and `tls: {cert: …, key: …}`, or `behind-tls: true` when a proxy in front does TLS; or listen on 127.0.0.1:7080
",
    );
}

#[test]
fn a_file_that_is_not_yaml_says_where() {
    check(
        "listen: 127.0.0.1:7080\nproviders:\n  - {name: a, api-key: ${KEY}, dialect: openai}\n",
        "\
error[TW4001]: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
 --> tradewind.yaml:3:25
  |
3 |   - {name: a, api-key: ${KEY}, dialect: openai}
  |                         ^
  = hint: put it in quotes, \"${VARIABLE}\": within { } a bare } ends the map
",
    );
}

#[test]
fn a_problem_without_a_line_is_shown_without_one() {
    let text = "# ".to_owned() + &"x".repeat(5 * 1024 * 1024);
    check(
        &text,
        "\
error[TW4001]: the file has 5242882 bytes, the most is 4194304
 --> tradewind.yaml
",
    );
}

#[test]
fn long_lines_are_cut_around_the_problem() {
    let (wide, before, after) = (" ".repeat(300), " ".repeat(40), " ".repeat(69));
    check(
        &format!("limits: {{drain: 1s,{wide}evnt: 1MiB,{wide}event: 1MiB}}\n"),
        &format!(
            "\
error[TW4002]: unknown key `evnt`
 --> tradewind.yaml:1:320
  |
1 | …{before}evnt: 1MiB,{after}…
  |  {before}^^^^
  = at: limits.evnt
  = hint: did you mean `event`?
"
        ),
    );
}

#[test]
fn what_came_from_outside_is_shown_as_it_was_written() {
    for (text, found) in [
        ("listen: \"${WORD}\"", "found the text `${WORD}`"),
        ("limits: {drain: \"${WORD}\"}", "found the text `${WORD}`"),
        ("limits: {event: \"${WORD}s\"}", "found the text `${WORD}s`"),
        ("limits: {concurrent-calls: \"${WORD}\"}", "found the text `${WORD}`"),
        ("providers: [{name: \"${WORD}/x\", dialect: openai, base-url: http://a}]", "a provider's name has no slash"),
        ("providers: [{name: a, dialect: \"${WORD}\", base-url: http://a}]", "found the text `${WORD}`"),
        (
            "providers: [{name: a, dialect: openai, base-url: \"${WORD}\"}]",
            "a base-url begins with https:// or http://",
        ),
        ("providers: \"${WORD}\"", "found the text `${WORD}`"),
    ] {
        let shown = rendered(text);
        assert!(shown.contains(found), "{text}\n{shown}");
        assert!(!shown.contains("from-outside"), "{text}\n{shown}");
    }
}

#[test]
fn secrets_in_the_file_are_not_shown() {
    for text in [
        "providers:\n  - {name: a, dialct: openai, base-url: http://a, api-key: sk-live-9876}",
        "providers:\n  - {name: a, api-keys: [sk-live-9876, sk-live-9876], dialct: openai}",
        "providers:\n  - {name: a, dialect: openai, base-url: \"https://me:sk-live-9876@host/v1\"}",
        "providers:\n  - {name: a, dialect: openai, base-url: http://a, headers: {authorization: Bearer sk-live-9876, x y: z}}",
        "providers:\n  - name: a\n    dialect: openai\n    base-url: http://a\n    headers:\n      x-mine: \"sk-live-9876\\n\"\n",
        "providers:\n  - name: a\n    dialect: openai\n    base-url: http://a\n    api-keys:\n      - \"sk-live-9876 \"\n",
        "providers:\n  - {name: a, dialect: openai, base-url: http://a, api-key: [sk-live-9876]}",
        "providers:\n  - {name: a, dialect: openai, base-url: http://a, api-key: {sk-live-9876: 1}}",
        "secret: [sk-live-9876]\n",
        "authentication: [sk-live-9876]\n",
        "authentication:\n  - \"sk-live-9876\"\n",
        "api-key: sk-live-9876\n",
        "api-key: sk-live-9876: x\n",
    ] {
        let shown = rendered(text);
        assert!(shown.starts_with("error["), "{text}\n{shown}");
        assert!(!shown.contains("9876"), "{text}\n{shown}");
    }
    let numeric = rendered("providers:\n  - {name: a, dialect: openai, base-url: http://a, api-key: 9876}");
    assert!(numeric.contains("expected text, found a number") && !numeric.contains("9876"), "{numeric}");
}

#[test]
fn problems_serialise_for_other_programs() {
    let mut problems = Problems::new();
    let _root = Root::parse("lisen: 1\n", &|_| None, &[], &mut problems);
    assert_eq!(
        serde_json::to_value(&problems).unwrap(),
        serde_json::json!([{
            "code": "TW4002", "line": 1, "column": 1, "length": 5, "path": "lisen",
            "message": "unknown key `lisen`", "hint": "did you mean `listen`?",
        }])
    );
}

#[test]
fn more_than_a_hundred_problems_are_counted_not_kept() {
    let text: String = (0..150).map(|index| format!("unknown-{index}: 1\n")).collect();
    let shown = rendered(&text);
    assert_eq!(shown.matches("error[TW4002]").count(), 100);
    assert!(shown.ends_with("\nand 50 more\n"), "{}", &shown[shown.len() - 100..]);
}
