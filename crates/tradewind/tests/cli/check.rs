//! `tradewind check`: a good file, and one bad file for each kind of mistake.

use crate::program::Place;

/// A document with most of what can be said, in JSON so that it can be set against the schema too. JSON is YAML.
pub(crate) const GOOD: &str = r#"{
  "listen": "127.0.0.1:0",
  "data-dir": "data",
  "x-anchors": {"anything": "goes"},
  "providers": [
    {"name": "openai", "dialect": "openai", "base-url": "https://api.openai.com/v1", "api-key": "sk-secret-1"},
    {"name": "anthropic", "dialect": "anthropic", "base-url": "https://api.anthropic.com", "auth": "x-api-key",
     "api-keys": ["sk-secret-2", "sk-secret-3"]},
    {"name": "onprem", "dialect": "openai", "base-url": "http://127.0.0.1:8000/v1", "passthrough": true,
     "discover": false, "stream-usage": false, "headers": {"x-team": "crew"}, "query": {"api-version": "1"}}
  ],
  "models": [
    {"name": "assistant", "strategy": "least-latency", "last-resort": {"rules": "house-rules"},
     "targets": [
       {"use": "openai/gpt-5-mini", "price": {"input": 0.25, "output": 2.0}, "max-in-flight": 100},
       {"use": "private", "weight": 3}
     ],
     "timeouts": {"connect": "2s", "headers": "30s", "first-token": "8s", "idle": 20, "total": "120s"},
     "hedge": {"after": "p95", "at-most": 1},
     "retry": {"extra": 0.1, "attempts": 3, "longest-wait": "5s"}},
    {"name": "private", "strategy": "select", "targets": [{"use": "onprem/llama-70b"}]},
    {"name": "writer", "targets": [{"use": "anthropic/claude-sonnet"}], "hedge": {"after": "300ms"},
     "last-resort": "rules", "strict": true}
  ],
  "responders": [
    {"name": "house-rules", "rules": [{"contains": ["hello"], "answer": "hello"}], "otherwise": "nobody is there"}
  ],
  "limits": {"request-body": "8MiB", "drain": "5s", "concurrent-calls": 100},
  "journal": {"max-age": "7d", "max-size": "64MiB"},
  "tls": {"cert": "cert.pem", "key": "~/key.pem"},
  "keys": [
    {"name": "ann", "secret": "tw-0123456789abcdef", "tenant": "crew", "role": "developer", "expires": "2099-01-31T00:00:00Z"},
    {"name": "ci", "secret-sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "allow": ["models/assistant", "models/openai/*", "control/read"], "budget": {"usd": 50, "per": "month"},
     "unpriced": "allow", "rpm": 600, "tpm": 200000}
  ],
  "telemetry": {
    "otlp": {"endpoint": "http://127.0.0.1:4318", "headers": {"x-key": "secret-4"}, "timeout": "5s", "sample": 0.1},
    "logs": {"calls": "all", "format": "json"}
  }
}"#;

#[test]
fn a_good_file_is_reported_on_stdout() {
    let place = Place::new();
    place.file("tradewind.yaml", GOOD);
    let ended = place.tradewind(&["check", "tradewind.yaml"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let (said, policy) = ended.stdout.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(said, "tradewind.yaml: ok, 3 providers, 3 models, policy");
    assert!(policy.len() == 12 && policy.bytes().all(|byte| byte.is_ascii_hexdigit()), "{policy}");

    place.file("empty.yaml", "");
    let empty = place.tradewind(&["check", "empty.yaml"]);
    assert_eq!(empty.code, Some(0), "no section is required: {}", empty.stderr);
    assert!(empty.stdout.starts_with("empty.yaml: ok, 0 providers, 0 models, "), "{}", empty.stdout);
}

#[test]
fn one_bad_file_in_full() {
    let place = Place::new();
    place.file("bad.yaml", "listen: 127.0.0.1:0\nmodles: []\n");
    let ended = place.tradewind(&["check", "bad.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let said = "error[TW4002]: unknown key `modles`
 --> bad.yaml:2:1
  |
2 | modles: []
  | ^^^^^^
  = at: modles
  = hint: did you mean `models`?
";
    assert_eq!(ended.stderr, said);
}

/// What each bad file has to say about itself: where, what, and how to put it right.
#[test]
fn every_kind_of_mistake_has_its_place_and_its_fix() {
    let provider = "providers:\n  - {name: hub, dialect: openai, base-url: \"http://127.0.0.1:9/v1\"";
    let table: &[(&str, String, &[&str])] = &[
        (
            "an unknown key inside a section",
            format!("{provider}}}\nmodels:\n  - {{name: a, strategi: fallback, targets: [{{use: hub/x}}]}}\n"),
            &["error[TW4002]: unknown key `strategi`", "bad.yaml:4:15", "did you mean `strategy`?"],
        ),
        (
            "a value that is not one of the choices",
            format!("{provider}}}\nmodels:\n  - name: a\n    strategy: fastest\n    targets: [{{use: hub/x}}]\n"),
            &["error[TW4003]", "bad.yaml:5:15", "select, fallback, weighted, least-latency", "`fastest`"],
        ),
        (
            "a value of the wrong type",
            "limits:\n  drain: [1, 2]\n".to_owned(),
            &["error[TW4003]", "bad.yaml:2:10", "at: limits.drain", "a time span like 250ms"],
        ),
        (
            "an unknown provider",
            format!("{provider}}}\nmodels:\n  - {{name: a, targets: [{{use: hbu/x}}]}}\n"),
            &["error[TW4004]: no provider named `hbu`", "bad.yaml:4:31", "did you mean `hub/x`?"],
        ),
        ("no YAML at all", "models: [\n  {name: a\n".to_owned(), &["error[TW4001]: this is not YAML", "bad.yaml:3:1"]),
        (
            "a variable that is not set",
            format!("{provider}, api-key: \"${{TW_TEST_NOT_SET}}\"}}\n"),
            &["error[TW4004]", "TW_TEST_NOT_SET is not set", "bad.yaml:2:78", "${TW_TEST_NOT_SET:-value}"],
        ),
        (
            "a listen that is open to others",
            "listen: 0.0.0.0:7080\n".to_owned(),
            &["error[TW4006]", "bad.yaml:1:9", "listen on 127.0.0.1:7080"],
        ),
        (
            "a key without a secret",
            "keys: [{name: ci}]\n".to_owned(),
            &["error[TW4003]", "the key has no secret", "bad.yaml:1:8", "or make the key with `tradewind key create`"],
        ),
        (
            "a key that may use nothing there is",
            "keys: [{name: ci, secret: tw-0123456789abcdef, allow: [model/x]}]\n".to_owned(),
            &["error[TW4003]", "does not begin with a door", "bad.yaml:1:56"],
        ),
        (
            "a listen that is open to others, with keys and without TLS",
            "listen: 0.0.0.0:7080\nkeys: [{name: ci, secret: tw-0123456789abcdef}]\n".to_owned(),
            &["error[TW4006]", "callers' keys would travel in the clear", "behind-tls: true"],
        ),
        (
            "a collector that is none",
            "telemetry: {otlp: {endpoint: localhost}}\n".to_owned(),
            &["error[TW4003]", "bad.yaml:1:30", "at: telemetry.otlp.endpoint"],
        ),
        (
            "a way out of a provider",
            format!("{provider}, via: ofice}}\nproxy-groups: [{{name: office, type: select, proxies: [DIRECT]}}]\n"),
            &["error[TW4004]: proxy [ofice] not found", "bad.yaml:2:74", "did you mean `office`?"],
        ),
        (
            "a network policy of a model",
            format!(
                "{provider}}}\nmodels:\n  - name: a\n    targets: [{{use: hub/x}}]\n    network-policy: {{office: hub/x}}\n"
            ),
            &["error[TW4003]: `network-policy` is for models with", "bad.yaml:6:5", "change the strategy"],
        ),
    ];
    for (what, text, parts) in table {
        refused(what, text, parts);
    }
}

/// A document whose one model scores.
fn scoring(score: &str, more: &str) -> String {
    format!(
        "providers:\n  - {{name: hub, dialect: openai, base-url: \"http://127.0.0.1:9/v1\"}}\nmodels:\n  - name: a\n    \
         strategy: score\n    score: {{{score}}}\n    targets: [{{use: hub/x}}, {{use: hub/y}}]\n{more}"
    )
}

#[test]
fn mistakes_in_how_a_target_is_chosen() {
    let table: &[(&str, String, &[&str])] = &[
        (
            "weights that are all zero",
            scoring("meaning: 0, load: 0, cost: 0", ""),
            &["error[TW4003]: the weights of `meaning`, `load` and `cost` are all 0", "bad.yaml:6:12", "meaning: 0.6"],
        ),
        (
            "a negative weight",
            scoring("meaning: -1", ""),
            &["error[TW4003]", "bad.yaml:6:22", "at: models[0].score.meaning", "found the number -1"],
        ),
        (
            "an embedder that is not there",
            scoring("embedder: encodr", "embedders: [{name: encoder, type: universal-sentence-encoder}]\n"),
            &["error[TW4004]: no embedder named `encodr`", "bad.yaml:6:23", "did you mean `encoder`?"],
        ),
        (
            "a default that is none of the targets",
            scoring("default: hub/z", ""),
            &["error[TW4004]: no target of this model named `hub/z`", "bad.yaml:6:22", "did you mean `hub/"],
        ),
        (
            "a temperature that makes chance of it",
            scoring("mode: softmax, temperature: 100", ""),
            &["error[TW4003]: the temperature 100 is not between 0.001 and 10", "bad.yaml:6:41"],
        ),
        (
            "a confidence that nothing reaches",
            scoring("abstain-below: 2", ""),
            &["error[TW4003]: `abstain-below` is a share, at most 1", "bad.yaml:6:28"],
        ),
        (
            "a score that nobody asks for",
            scoring("load: 1", "").replace("strategy: score", "strategy: fallback"),
            &[
                "error[TW4003]: `score` counts with the strategy `score` only",
                "bad.yaml:6:12",
                "write `strategy: score`",
            ],
        ),
        (
            "an embedder of a provider that is not there",
            scoring("load: 1", "embedders: [{name: far, type: openai, provider: hbu, model: m}]\n"),
            &["error[TW4004]: no provider named `hbu`", "bad.yaml:8:49", "did you mean `hub`?"],
        ),
        (
            "an embedder without what its type needs",
            scoring("load: 1", "embedders: [{name: far, type: openai}]\n"),
            &["error[TW4003]: the type `openai` needs a `provider`", "needs a `model`", "bad.yaml:8:13"],
        ),
        (
            "a rule that leads nowhere",
            scoring("load: 1", "    route: [{when: {role: admin}, use: strong}]\n"),
            &["error[TW4004]", "`strong`", "bad.yaml:8:40"],
        ),
        (
            "a default that never leads",
            scoring("default: hub/x", ""),
            &["error[TW4003]: `default` leads when none is said to fit", "bad.yaml:6:", "set `abstain-below` or `margin`"],
        ),
        (
            "an embedder outside of the required region",
            scoring(
                "embedder: far",
                "    require: {region: [eu]}\nembedders: [{name: far, type: openai, provider: hub, model: m, region: us}]\n",
            )
            .replacen("hub/x", "hub/x, region: eu, good-at: [code]", 1),
            &["error[TW4003]: questions to `", "the region of the embedder `far` is us, and has to be eu", "bad.yaml:6:"],
        ),
        (
            "a query without a Prometheus",
            scoring("load: 1", "").replacen("hub/x", "hub/x, prometheus: {query: up}", 1),
            &["error[TW4003]: nothing says where Prometheus is", "bad.yaml:7:40", "prometheus: {url: "],
        ),
    ];
    for (what, text, parts) in table {
        refused(what, text, parts);
    }
}

#[test]
fn an_encoder_that_is_missing_or_damaged_is_told_at_the_start() {
    let place = Place::new();
    let more = "embedders: [{name: encoder, type: universal-sentence-encoder}]\nlisten: 127.0.0.1:0\ndata-dir: data\n";
    let document = scoring("embedder: encoder", more).replacen("hub/x", "hub/x, good-at: [code]", 1);
    place.file("tradewind.yaml", &document);
    let ended = place.tradewind(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["encoder", "not installed", "tradewind embedder install"] {
        assert!(ended.stderr.contains(part), "no `{part}` in\n{}", ended.stderr);
    }
    let folder = "data/embedders/universal-sentence-encoder";
    for (file, text) in [("sp.model", "garbage"), ("weights.npz", "PK garbage"), ("LICENSE", "none")] {
        place.file(&format!("{folder}/{file}"), text);
    }
    let ended = place.tradewind(&["run"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["universal-sentence-encoder", "install it again with `tradewind embedder install`"] {
        assert!(ended.stderr.contains(part), "no `{part}` in\n{}", ended.stderr);
    }
}

#[test]
fn sections_that_are_not_built_are_refused_by_name() {
    for (section, text) in
        [("tools", "tools: {}"), ("via", "via: way-out"), ("network-policy", "network-policy: {office: a}")]
    {
        let named = format!("error[TW4005]: `{section}` (");
        refused(section, &format!("{text}\n"), &[&named, "is not built yet", "bad.yaml:1:1", "remove the section"]);
    }
}

fn refused(what: &str, text: &str, parts: &[&str]) {
    let place = Place::new();
    place.file("bad.yaml", text);
    let ended = place.tradewind(&["check", "bad.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{what}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{what}: no `{part}` in\n{}", ended.stderr);
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_no_secret() {
    let place = Place::new();
    let text = "providers:\n  - {name: hub, dialekt: openai, base-url: nowhere, api-key: sk-very-secret}\nmodles: []\n";
    place.file("bad.yaml", text);
    let ended = place.tradewind(&["check", "bad.yaml"]);
    assert_eq!(ended.code, Some(1));
    for part in ["`dialekt`", "did you mean `dialect`?", "`modles`"] {
        assert!(ended.stderr.contains(part), "no {part} in\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("sk-very-secret"), "{}", ended.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    for (file, why) in [("missing.yaml", "No such file"), (".", "Is a directory")] {
        let ended = place.tradewind(&["check", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        let said = format!("error[TW4001]: {file} cannot be read: {why}");
        assert!(ended.stderr.starts_with(&said) && ended.stderr.contains("= hint: "), "{}", ended.stderr);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2() {
    let place = Place::new();
    for arguments in [&["check"][..], &["chekc", "a.yaml"], &["run", "-f", "a", "-d", "b"], &["demo", "--calls", "0"]] {
        let ended = place.tradewind(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("--help"), "{}", ended.stderr);
    }
    let close = place.tradewind(&["chekc"]);
    assert!(close.stderr.contains("check"), "{}", close.stderr);
}

#[test]
fn help_is_data_and_fits_a_screen() {
    let place = Place::new();
    for command in ["run", "check", "schema", "explain", "demo"] {
        let ended = place.tradewind(&[command, "-h"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{command}");
        assert!(ended.stdout.contains("Usage: tradewind") && ended.stdout.lines().count() < 24, "{}", ended.stdout);
    }
}
