//! What the sections say, and what is refused of them.

use std::time::Duration;

use tradewind_policy::schema;

use super::*;

fn decoded(text: &str) -> Result<StateSection, String> {
    let mut problems = Problems::new();
    let lookup = |name: &str| (name == "KEY").then(|| "hunter2".to_owned());
    let root = Root::parse(text, &lookup, &[STORE_SECTION, STATE_SECTION], &mut problems);
    let section = StateSection::decode(&root, &mut problems);
    if problems.is_empty() { Ok(section) } else { Err(problems.render("test.yaml", text)) }
}

#[test]
fn without_sections_sqlite_keeps_state_on_disk() {
    let section = decoded("listen: 127.0.0.1:7080\n").unwrap();
    assert_eq!(section, StateSection::default());
    assert_eq!((section.engine, section.durability), (Engine::Sqlite, Durability::Fsync));
    assert_eq!((section.settings.keep, section.settings.max_value), (32, 16 << 20));
}

#[test]
fn everything_is_read() {
    let section = decoded(
        "store: wal
state:
  durability: os
  keep: 8
  max-value: 1MiB
  encryption: {key: \"${KEY}\", id: '2026-11', previous: [{key: {file: old.key}, id: '2025-11'}, {key: {command: [pass, show, x]}, id: a}]}
  namespaces:
    - {name: threads, keep: 100, ttl: 30d, sliding: true, on-conflict: merge, max-value: 16MiB}
    - {name: locks, ttl: 30s}
",
    )
    .unwrap();
    assert_eq!((section.engine, section.durability), (Engine::Wal, Durability::Os));
    assert_eq!((section.settings.keep, section.settings.max_value), (8, 1 << 20));
    let encryption = section.encryption.unwrap();
    assert_eq!(encryption.key.source, KeySource::Text(tradewind_core::Secret::new("hunter2".to_owned())));
    assert_eq!(encryption.previous[0].source, KeySource::File("old.key".to_owned()));
    assert_eq!(encryption.previous[1].source, KeySource::Command(["pass", "show", "x"].map(str::to_owned).to_vec()));
    let threads = &section.settings.namespaces[&Namespace::parse("threads").unwrap()];
    assert_eq!(
        *threads,
        NamespaceSettings {
            keep: Some(100),
            ttl: Some(Duration::from_secs(30 * 86_400)),
            sliding: true,
            on_conflict: OnConflict::Merge,
            max_value: Some(16 << 20),
        }
    );
}

#[test]
fn engines_are_a_word_or_a_url() {
    for (text, engine) in [
        ("sqlite", "sqlite"),
        ("wal", "wal"),
        ("redis://h", "redis"),
        ("rediss://:p@h:1/2", "redis"),
        ("nats://h:4222", "nats"),
        ("tls://h", "nats"),
    ] {
        assert_eq!(Engine::parse(text).unwrap().to_string(), engine, "{text}");
    }
    for text in ["", "SQLite", "redis", "redis://", "nats://", "http://h", "postgres://h", "memory"] {
        assert!(Engine::parse(text).is_err(), "{text}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, path, about) in [
        ("store: postgres://h", "store", "redis://"),
        ("state: {keep: 0}", "state.keep", "from 1 to"),
        ("state: {keep: 10001}", "state.keep", "from 1 to"),
        ("state: {max-value: 17MiB}", "state.max-value", "16MiB"),
        ("state: {max-value: 0}", "state.max-value", "16MiB"),
        ("state: {durability: ram}", "state.durability", "fsync"),
        ("store: redis://h\nstate: {durability: os}", "state.durability", "server"),
        ("state: {replicas: 3}", "state.replicas", "sqlite"),
        ("store: nats://h\nstate: {replicas: 6}", "state.replicas", "up to 5"),
        ("state: {encryption: {id: a}}", "state.encryption", "key"),
        ("state: {encryption: {key: '', id: a}}", "state.encryption.key", "empty"),
        ("state: {encryption: {key: {command: []}, id: a}}", "state.encryption.key", "no program"),
        ("state: {encryption: {key: {file: a, command: [b]}, id: a}}", "state.encryption.key", "either"),
        ("state: {encryption: {key: {files: a}, id: a}}", "state.encryption.key", "file"),
        ("state: {encryption: {key: k, id: 'a b'}}", "state.encryption.id", "cannot be the id"),
        (
            "state: {encryption: {key: k, id: a, previous: [{key: l, id: a}]}}",
            "state.encryption.previous[0].id",
            "taken",
        ),
        ("state: {namespaces: [{name: Threads}]}", "state.namespaces[0].name", "a-z"),
        ("state: {namespaces: [{name: a}, {name: a}]}", "state.namespaces[1].name", "already"),
        ("state: {namespaces: [{name: a, sliding: true}]}", "state.namespaces[0].sliding", "ttl"),
        ("state: {namespaces: [{name: a, ttl: 1ms}]}", "state.namespaces[0].ttl", "365d"),
        ("state: {namespaces: [{name: a, keep: 0}]}", "state.namespaces[0].keep", "from 1 to"),
        ("state: {namespaces: [{name: a, on-conflict: last-wins}]}", "state.namespaces[0].on-conflict", "merge"),
        ("state: {keeps: 3}", "state.keeps", "keep"),
    ] {
        let problems = decoded(text).expect_err(text);
        assert!(problems.contains(path) && problems.contains(about), "{text}: {problems}");
    }
}

#[test]
fn secrets_are_not_shown() {
    for text in [
        "store: http://user:hunter2@h\n",
        "state: {encryption: {key: hunter2, id: 'a b'}}\n",
        "state:\n  encryption:\n    key: [hunter2]\n    id: a\n",
    ] {
        let problems = decoded(text).expect_err(text);
        assert!(!problems.contains("hunter2"), "{problems}");
    }
    let section = decoded("store: redis://:hunter2@h\nstate: {encryption: {key: hunter2, id: a}}\n").unwrap();
    assert!(!format!("{section:?}").contains("hunter2"));
}

#[test]
fn the_schema_takes_what_is_read() {
    let schema = schema(&[STORE_SECTION, STATE_SECTION]).to_string();
    for word in ["rediss?", "max-value", "on-conflict", "encryption", "command"] {
        assert!(schema.contains(word), "{word}");
    }
}
