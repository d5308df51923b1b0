//! Whole documents: sections and their defaults, checks, variables, schema, digest and diff.

use std::time::Duration;

use tradewind_core::{Code, Dialect, ProviderName};
use tradewind_policy::{
    Auth, ByteSize, Http2, Limits, Listen, Operation, Problems, Provider, Root, SHARED_SECTIONS, SectionInfo, Shared,
    TimeSpan, diff, digest, schema,
};

const MODELS: SectionInfo = SectionInfo {
    key: "models",
    about: "Models.",
    schema: |generator| generator.subschema_for::<Vec<String>>(),
    governed: &["*"],
    not_built: &[],
};

fn lookup(name: &str) -> Option<String> {
    match name {
        "KEY" => Some("sk-1".to_owned()),
        "OTHER_KEY" => Some("sk-2".to_owned()),
        "DIGITS" => Some("12345".to_owned()),
        "EMPTY" => Some(String::new()),
        "DOLLAR" => Some("${KEY}".to_owned()),
        _ => None,
    }
}

fn parse(text: &str, problems: &mut Problems) -> Root {
    Root::parse(text, &lookup, &[MODELS], problems)
}

fn shared(text: &str) -> Shared {
    let mut problems = Problems::new();
    let root = parse(text, &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    shared
}

fn root(text: &str) -> Root {
    let mut problems = Problems::new();
    let root = parse(text, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    root
}

/// All problems as `CODE path: message`.
fn refusals(text: &str) -> Vec<String> {
    let mut problems = Problems::new();
    let root = parse(text, &mut problems);
    let _shared = Shared::decode(&root, &mut problems);
    let line = |problem: &&tradewind_policy::Problem| format!("{} {}: {}", problem.code, problem.path, problem.message);
    problems.list().iter().map(line).collect()
}

fn provider(fields: &str) -> Provider {
    shared(&format!("providers: [{{name: a, {fields}}}]")).providers.remove(0)
}

#[test]
fn no_file_has_all_defaults() {
    for shared in [shared(""), Shared::decode(&Root::empty(&[]), &mut Problems::new()), Shared::default()] {
        assert_eq!(shared.listen, Listen("127.0.0.1:7080".parse().unwrap()));
        assert_eq!(shared.data_dir.0, "~/.local/share/tradewind");
        assert_eq!(shared.providers, []);
        assert_eq!(shared.limits.request_body, ByteSize::mib(32));
        assert_eq!(shared.limits.request_headers, ByteSize::kib(32));
        assert_eq!(shared.limits.answer_body, ByteSize::mib(64));
        assert_eq!(shared.limits.event, ByteSize::mib(8));
        assert_eq!(shared.limits.concurrent_calls, 10_000);
        assert_eq!(shared.limits.body_idle, TimeSpan::from_secs(15));
        assert_eq!(shared.limits.write_stall, TimeSpan::from_secs(30));
        assert_eq!(shared.limits.drain, TimeSpan::from_secs(30));
        assert_eq!(shared.journal.max_age.get(), Duration::from_secs(30 * 86_400));
        assert_eq!(shared.journal.max_size, ByteSize::mib(256));
    }
}

#[test]
fn a_full_document_is_read() {
    let shared = shared(
        "listen: localhost:0
data-dir: /var/lib/tradewind
x-keys: &keys [\"${KEY}\", \"${OTHER_KEY}\"]
providers:
  - name: openai
    dialect: openai
    base-url: https://api.openai.com/v1/
    api-key: \"${KEY}\"
  - {name: anthropic, dialect: anthropic, base-url: https://api.anthropic.com, api-key: \"${DIGITS}\", http2: never}
  - {name: local, dialect: openai, base-url: \"http://127.0.0.1:8000/v1\", discover: false, http2: prior-knowledge}
  - {name: two, dialect: openai, base-url: http://two/v1, api-keys: [a, \"${OTHER_KEY}\"], passthrough: true}
limits:
  request-body: 1MiB
  drain: 5
  concurrent-calls: \"${CALLS:-7}\"
journal: {max-size: 10MB}
models: ~
",
    );
    assert_eq!(shared.listen.0, "127.0.0.1:0".parse().unwrap());
    assert_eq!(shared.data_dir.0, "/var/lib/tradewind");
    let limits = Limits {
        request_body: ByteSize::mib(1),
        drain: TimeSpan::from_secs(5),
        concurrent_calls: 7,
        ..Limits::default()
    };
    assert_eq!(shared.limits, limits);
    assert_eq!(shared.journal.max_size, ByteSize(10_000_000));
    let [openai, anthropic, local, two] = &shared.providers[..] else { panic!("four providers") };
    assert_eq!(openai.base_url.as_str(), "https://api.openai.com/v1");
    assert_eq!((openai.dialect, openai.auth()), (Dialect::OpenAi, Auth::Bearer));
    assert_eq!(openai.api_key.as_ref().map(|key| key.expose().as_str()), Some("sk-1"));
    assert!(openai.discover && !openai.passthrough && openai.http2 == Http2::Auto);
    assert_eq!(
        (anthropic.dialect, anthropic.auth(), anthropic.http2),
        (Dialect::Anthropic, Auth::XApiKey, Http2::Never)
    );
    assert_eq!(anthropic.api_key.as_ref().map(|key| key.expose().as_str()), Some("12345"), "digits stay a key");
    assert_eq!((local.auth(), local.discover, local.http2), (Auth::None, false, Http2::PriorKnowledge));
    assert_eq!(two.keys().map(|key| key.expose().as_str()).collect::<Vec<_>>(), ["a", "sk-2"]);
    assert!(two.passthrough);
    assert_eq!(shared.provider(&ProviderName::new("local")), Some(local));
    assert!(!format!("{shared:?}").contains("sk-"), "no secret in Debug");
}

#[test]
fn the_path_and_query_of_azure_can_be_written() {
    let old = provider(
        "dialect: openai, base-url: \"https://x.openai.azure.com/openai/deployments/gpt\", auth: api-key, \
         api-key: \"${KEY}\", query: {api-version: 2024-10-21}",
    );
    assert_eq!(old.auth().header(), Some("api-key"));
    assert_eq!(
        old.request_target(Operation::ChatCompletions, "gpt-5"),
        "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    );
    let by_model = provider(
        "dialect: openai, base-url: \"https://x.openai.azure.com/openai\", auth: api-key, api-key: k, \
         path: {chat-completions: \"/deployments/{model}/chat/completions\"}, query: {api-version: \"a b&c\", z: ü}",
    );
    assert_eq!(
        by_model.request_target(Operation::ChatCompletions, "org/gpt 5"),
        "/openai/deployments/org%2Fgpt%205/chat/completions?api-version=a%20b%26c&z=%C3%BC"
    );
}

#[test]
fn each_dialect_has_its_paths() {
    let openai = provider("dialect: openai, base-url: \"https://h/v1\"");
    let anthropic = provider("dialect: anthropic, base-url: \"https://h/gateway\"");
    for (operation, path) in [
        (Operation::ChatCompletions, "/v1/chat/completions"),
        (Operation::Completions, "/v1/completions"),
        (Operation::Responses, "/v1/responses"),
        (Operation::Embeddings, "/v1/embeddings"),
        (Operation::Models, "/v1/models"),
    ] {
        assert_eq!(openai.request_target(operation, "m"), path);
    }
    for (operation, path) in [
        (Operation::Messages, "/gateway/v1/messages"),
        (Operation::CountTokens, "/gateway/v1/messages/count_tokens"),
        (Operation::Models, "/gateway/v1/models"),
    ] {
        assert_eq!(anthropic.request_target(operation, "m"), path);
    }
}

#[test]
fn providers_that_cannot_work_are_refused() {
    let base = "dialect: openai, base-url: http://h/v1";
    for (fields, refusal) in [
        (format!("name: \"\", {base}"), "TW4003 providers[0].name: the name is empty"),
        (format!("name: a/b, {base}"), "TW4003 providers[0].name: a provider's name has no slash"),
        (format!("name: a b, {base}"), "TW4003 providers[0].name: a provider's name has no spaces"),
        (
            format!("name: {}, {base}", "x".repeat(65)),
            "TW4003 providers[0].name: a provider's name has at most 64 characters",
        ),
        (base.to_owned(), "TW4003 providers[0]: `name` is missing"),
        (format!("name: 7, {base}"), "TW4003 providers[0].name: expected text, found the number 7"),
        ("name: a, dialect: openai".to_owned(), "TW4003 providers[0]: `base-url` is missing"),
        (
            "name: a, dialect: openai, base-url: ftp://h".to_owned(),
            "TW4003 providers[0].base-url: a base-url begins with https:// or http://",
        ),
        (
            "name: a, dialect: openai, base-url: \"https://me:pw@h\"".to_owned(),
            "TW4003 providers[0].base-url: a base-url holds no user name or password: use api-key",
        ),
        (
            "name: a, dialect: openai, base-url: https://api.openai.com".to_owned(),
            "TW4003 providers[0].base-url: the /v1 is missing",
        ),
        (
            "name: a, dialect: anthropic, base-url: https://api.anthropic.com/v1".to_owned(),
            "TW4003 providers[0].base-url: the paths of this dialect begin with /v1 themselves",
        ),
        (
            format!("name: a, {base}, api-key: k, api-keys: [l]"),
            "TW4003 providers[0].api-keys: there is both an api-key and api-keys",
        ),
        (
            format!("name: a, {base}, api-key: \"${{EMPTY}}\""),
            "TW4003 providers[0].api-key: the key is empty or has characters that cannot be sent",
        ),
        (
            format!("name: a, {base}, api-keys: [k, \"l\\n\"]"),
            "TW4003 providers[0].api-keys[1]: the key is empty or has characters that cannot be sent",
        ),
        (format!("name: a, {base}, auth: bearer"), "TW4003 providers[0].auth: this needs an api-key"),
        (
            format!("name: a, {base}, auth: none, api-key: k"),
            "TW4003 providers[0].auth: there is a key, but `auth: none`",
        ),
        (
            format!("name: a, {base}, headers: {{Host: x}}"),
            "TW4003 providers[0].headers.Host: the header `Host` is set by the gateway",
        ),
        (
            format!("name: a, {base}, headers: {{\"a b\": x}}"),
            "TW4003 providers[0].headers.a b: `a b` is not the name of a header",
        ),
        (
            format!("name: a, {base}, headers: {{x-a: \"b\\nc\"}}"),
            "TW4003 providers[0].headers.x-a: the value of the header `x-a` cannot be sent",
        ),
        (
            format!("name: a, {base}, api-key: k, headers: {{Authorization: x}}"),
            "TW4003 providers[0].headers.Authorization: the header `Authorization` carries the provider's key already",
        ),
        (
            format!("name: a, {base}, path: {{models: models}}"),
            "TW4003 providers[0].path.models: a path begins with / and has no spaces",
        ),
        (
            format!("name: a, {base}, path: {{models: \"/a?b=c\"}}"),
            "TW4003 providers[0].path.models: a path has no query",
        ),
        (
            format!("name: a, {base}, path: {{models: \"/{{deployment}}\"}}"),
            "TW4003 providers[0].path.models: only {model}, once, is replaced in a path",
        ),
        (
            format!("name: a, {base}, path: {{model: /x}}"),
            "TW4003 providers[0].path.model: expected one of chat-completions, completions, responses, embeddings, \
             messages, count-tokens, models, found the text `model`",
        ),
        (
            format!("name: a, {base}, discover: yes"),
            "TW4003 providers[0].discover: expected true or false, found the text `yes`",
        ),
    ] {
        assert_eq!(refusals(&format!("providers: [{{{fields}}}]")), [refusal], "{fields}");
    }
    assert_eq!(
        refusals(&format!("providers: [{{name: a, {base}}}, {{name: a, {base}}}]")),
        ["TW4003 providers[1].name: a provider named `a` is there already"]
    );
    assert_eq!(refusals("providers: {name: a}"), ["TW4003 providers: expected a list, found a map"]);
}

#[test]
fn dialects_and_keys_that_are_not_built_are_refused_by_name() {
    for dialect in ["gemini", "bedrock", "vertex"] {
        let found = refusals(&format!("providers: [{{name: a, base-url: http://h, dialect: {dialect}}}]"));
        assert!(found.len() == 1 && found[0].starts_with("TW4005 providers[0].dialect: `dialect: "), "{found:?}");
    }
    for key in ["network-policy", "api-key-file"] {
        let found = refusals(&format!("providers: [{{name: a, base-url: http://h, dialect: openai, {key}: x}}]"));
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("TW4005 providers[0].{key}: `{key}` (")),
            "{found:?}"
        );
    }
}

#[test]
fn sections_that_are_not_built_are_refused_by_name_whatever_is_in_them() {
    for key in ["network-policy", "via", "relay", "control", "agents", "tools"] {
        let found = refusals(&format!("{key}: [\"${{NOT_SET}}\", {{a: b}}]\nlisten: 127.0.0.1:1"));
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("{} {key}: `{key}` (", Code::ConfigNotBuilt)),
            "{found:?}"
        );
    }
}

#[test]
fn a_section_that_a_door_brings_is_not_refused() {
    let tools = SectionInfo { key: "tools", ..MODELS };
    let mut problems = Problems::new();
    let root = Root::parse("tools: [a]", &lookup, &[tools], &mut problems);
    assert!(problems.is_empty());
    assert_eq!(root.list::<String>("tools", &mut problems), ["a"]);
}

#[test]
fn limits_of_zero_are_refused() {
    assert_eq!(
        refusals("limits: {request-body: 0, concurrent-calls: 0, drain: 0, write-stall: 0s}"),
        [
            "TW4003 limits.request-body: `request-body` is zero: nothing could be answered",
            "TW4003 limits.concurrent-calls: `concurrent-calls` is zero: nothing could be answered",
            "TW4003 limits.write-stall: `write-stall` is zero: nothing could be answered",
        ]
    );
}

#[test]
fn only_loopback_can_be_listened_on_without_a_guard() {
    for open in ["0.0.0.0:7080", "192.168.1.5:80", "\"[::]:7080\"", "10.0.0.1:1"] {
        let found = refusals(&format!("listen: {open}"));
        assert!(found.len() == 1 && found[0].starts_with("TW4006 listen: "), "{found:?}");
    }
    for loopback in ["127.0.0.1:7080", "127.8.8.8:0", "\"[::1]:7080\"", "localhost:80"] {
        assert_eq!(refusals(&format!("listen: {loopback}")), [""; 0], "{loopback}");
    }
    for wrong in ["7080", "\":7080\"", "127.0.0.1", "example.com:80", "127.0.0.1:99999", "[a]"] {
        let found = refusals(&format!("listen: {wrong}"));
        assert!(found.len() == 1 && found[0].starts_with("TW4003 listen: expected "), "{wrong} {found:?}");
    }
}

#[test]
fn variables_are_replaced_in_values_only() {
    let root = root(
        "models: [\"${KEY}\", 'a-${KEY}-b', \"${NOT_SET:-x:-y}\", \"${EMPTY:-z}\", \"${EMPTY}\", $$KEY, \"$${KEY}\", $5, a$, \
         \"${DOLLAR}\", \"${KEY}${OTHER_KEY}\", {\"${KEY}\": 1}]",
    );
    let items = root.section("models").expect("is there").items();
    let texts: Vec<&str> = items.iter().filter_map(|item| item.as_str()).collect();
    assert_eq!(
        texts,
        ["sk-1", "a-sk-1-b", "x:-y", "z", "", "$KEY", "${KEY}", "$5", "a$", "${KEY}", "sk-1sk-2"],
        "what comes from outside is not replaced again"
    );
    assert_eq!(items[11].entries()[0].key.as_ref(), "${KEY}", "keys are left alone");
}

#[test]
fn variables_that_cannot_be_replaced_say_so() {
    for (text, message, hint) in [
        ("${NOT_SET}", "the environment variable NOT_SET is not set", "set it, or give a default: ${NOT_SET:-value}"),
        ("a ${KEY", "`${` without its `}`", "write ${NAME}, or $$ for a dollar"),
        ("${}", "`${}` does not name a variable", "write ${NAME} or ${NAME:-default}, and $$ for a dollar"),
        ("${A-b}", "`${A-b}` does not name a variable", "write ${NAME} or ${NAME:-default}, and $$ for a dollar"),
        ("${1A}", "`${1A}` does not name a variable", "write ${NAME} or ${NAME:-default}, and $$ for a dollar"),
    ] {
        let mut problems = Problems::new();
        parse(&format!("models: [[\"{text}\"]]"), &mut problems);
        let [problem] = &problems.list()[..] else { panic!("{text}: {problems:?}") };
        assert_eq!((problem.code, problem.path.as_str()), (Code::ConfigUnknownName, "models[0][0]"));
        assert_eq!((problem.message.as_str(), problem.hint.as_deref()), (message, Some(hint)));
    }
}

#[test]
fn a_large_variable_cannot_fill_the_memory() {
    let text = format!("models: [{}]", vec!["\"${BIG}${BIG}\""; 100].join(", "));
    let mut problems = Problems::new();
    Root::parse(&text, &|_| Some("x".repeat(1024 * 1024)), &[MODELS], &mut problems);
    let first = problems.list()[0].message.clone();
    assert_eq!(first, "the replaced variables come to more than 16777216 bytes of text");
}

#[test]
fn the_schema_describes_every_section() {
    let schema = schema(&[MODELS]);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    for section in SHARED_SECTIONS.iter().chain([&MODELS]) {
        assert_eq!(schema["properties"][section.key]["description"], section.about, "{}", section.key);
    }
    assert_eq!(schema["properties"]["listen"]["default"], "127.0.0.1:7080");
    let limits = &schema["$defs"]["Limits"]["properties"];
    assert_eq!(limits["request-body"]["default"], "32MiB");
    assert_eq!(limits["body-idle"]["default"], "15s");
    let provider = &schema["$defs"]["Provider"];
    assert_eq!(provider["required"], serde_json::json!(["name", "dialect", "base-url"]));
    assert_eq!(provider["additionalProperties"], false);
    assert_eq!(provider["properties"]["discover"]["default"], true);
    assert_eq!(provider["properties"]["api-key"]["writeOnly"], true);
}

/// Every `$ref` leads somewhere, and every property says what it is.
#[test]
fn the_schema_is_whole() {
    fn walk(value: &serde_json::Value, schema: &serde_json::Value, path: &str) {
        if let Some(reference) = value.get("$ref").and_then(serde_json::Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("references stay within the schema");
            assert!(schema.pointer(pointer).is_some(), "{path}: {reference} leads nowhere");
        }
        if let Some(properties) = value.get("properties").and_then(serde_json::Value::as_object) {
            for (name, property) in properties {
                assert!(property.get("description").is_some(), "{path}.{name} has no description");
            }
        }
        match value {
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(value, schema, &format!("{path}.{key}")))
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| walk(value, schema, path)),
            _ => {}
        }
    }
    let schema = schema(&[]);
    walk(&schema, &schema, "");
}

const GOVERNED: &str = "providers:
  - {name: a, dialect: openai, base-url: https://h/v1, api-key: \"${KEY}\", headers: {x-a: b}, query: {v: 1}}
models: [one, {b: 2, c: \"x\"}]
limits: {event: 1MiB}
";

#[test]
fn the_digest_covers_what_is_governed_and_nothing_else() {
    let same = digest(&root(GOVERNED));
    assert_eq!(same.len(), 12);
    assert!(same.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    for (what, from, to) in [
        ("a comment", "models:", "# a comment\nmodels:"),
        ("the order of keys", "{b: 2, c: \"x\"}", "{c: x, b: 2}"),
        ("another key of the provider", "${KEY}", "${OTHER_KEY}"),
        ("a literal key", "${KEY}", "sk-literal"),
        ("the value of a header", "x-a: b", "x-a: c"),
        ("a section that is not governed", "limits:", "journal: {max-age: 1d}\nlimits:"),
        ("an explicit null", "limits:", "listen: ~\nlimits:"),
        ("an anchor", "[one, {b: 2, c: \"x\"}]", "[&a one, &b {b: 2, c: x}]"),
    ] {
        let changed = GOVERNED.replace(from, to);
        assert_ne!(changed, GOVERNED, "{what}");
        assert_eq!(digest(&root(&changed)), same, "{what} does not count");
    }
    for (what, from, to) in [
        ("a base-url", "https://h/v1", "https://i/v1"),
        ("which headers are sent", "x-a: b", "x-b: b"),
        ("a query parameter", "v: 1", "v: 2"),
        ("text that looks like a number", "v: 1", "v: \"1\""),
        ("a model", "one", "two"),
        ("the order of a list", "[one, {b: 2, c: \"x\"}]", "[{b: 2, c: \"x\"}, one]"),
        ("a limit", "1MiB", "2MiB"),
        ("a switch", "name: a,", "name: a, discover: false,"),
    ] {
        assert_ne!(digest(&root(&GOVERNED.replace(from, to))), same, "{what} counts");
    }
}

/// A digest stands in records: it must not change from build to build.
#[test]
fn the_digest_of_a_document_is_stable() {
    assert_eq!(digest(&root(GOVERNED)), "3c0f8f30bc9e");
    assert_eq!(digest(&root("")), "e3b0c44298fc");
}

#[test]
fn a_diff_names_what_changed_and_shows_no_secret() {
    let old = root(
        "listen: 127.0.0.1:1
providers:
  - {name: a, dialect: openai, base-url: https://h/v1, api-key: sk-old, headers: {x-a: old}}
  - {name: b, dialect: openai, base-url: https://h/v1}
  - {name: c, dialect: openai, base-url: https://h/v1}
models: [one, two]
limits: {event: 1MiB}
",
    );
    let new = root(
        "listen: 127.0.0.1:2
providers:
  - {name: c, dialect: openai, base-url: https://i/v1, discover: false}
  - {name: a, dialect: openai, base-url: https://h/v1, api-key: \"${KEY}\", headers: {x-a: new, x-b: new}}
  - {name: d, dialect: openai, base-url: \"${URL:-https://h/v1}\"}
models: [one, three, {four: 4}]
journal: {max-age: 1d, max-size: 1MiB}
",
    );
    let changes: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "+ journal: {max-age, max-size}",
            "- limits: {event}",
            "~ listen: 127.0.0.1:1 -> 127.0.0.1:2",
            "~ models[1]: two -> three",
            "+ models[2]: {four}",
            "~ providers[a].api-key: [secret] -> [secret]",
            "~ providers[a].headers.x-a: [secret] -> [secret]",
            "+ providers[a].headers.x-b: [secret]",
            "- providers[b]: {name, dialect, base-url}",
            "~ providers[c].base-url: https://h/v1 -> https://i/v1",
            "+ providers[c].discover: false",
            "+ providers[d]: {name, dialect, base-url}",
            "~ providers: the order a, c -> the order c, a",
        ]
    );
    assert_eq!(diff(&old, &old), []);
    assert_eq!(
        serde_json::to_value(diff(&root("models: [a]"), &root("models: [b]"))).unwrap(),
        serde_json::json!([{"change": "changed", "path": "models[0]", "from": "a", "to": "b"}])
    );
}

#[test]
fn a_new_value_of_a_variable_shows_as_a_change_without_its_text() {
    let with = |value: &'static str| {
        Root::parse("models: [\"${X}\"]", &|_| Some(value.to_owned()), &[MODELS], &mut Problems::new())
    };
    let changes: Vec<String> = diff(&with("one"), &with("two")).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ models[0]: ${X} -> ${X}"]);
}
