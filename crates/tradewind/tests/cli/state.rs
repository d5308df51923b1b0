//! `tradewind state`: through a running gateway and without one, by the same code.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::program::{Ended, Place, Program, get};

const DOCUMENT: &str = "listen: 127.0.0.1:0\ndata-dir: data\n";

fn place() -> Place {
    let place = Place::new();
    place.file("tradewind.yaml", DOCUMENT);
    place
}

fn state(place: &Place, arguments: &[&str]) -> Ended {
    place.tradewind(&[&["state"], arguments].concat())
}

#[track_caller]
fn good(place: &Place, arguments: &[&str]) -> Ended {
    let ended = state(place, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

#[track_caller]
fn refused(place: &Place, arguments: &[&str], parts: &[&str]) {
    let ended = state(place, arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{arguments:?}: no `{part}` in\n{}", ended.stderr);
    }
}

/// The walk of one key through all commands of the API. `at` says which gateway is asked.
fn walk(place: &Place, at: &[&str]) {
    let with =
        |arguments: &[&str]| -> Vec<String> { [arguments, at].concat().iter().map(ToString::to_string).collect() };
    let run = |arguments: &[&str]| {
        let arguments = with(arguments);
        good(place, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fails = |arguments: &[&str], parts: &[&str]| {
        let arguments = with(arguments);
        refused(place, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), parts);
    };
    place.file("one.json", "{\"turn\": 1}\n");
    place.file("two.json", "{\"turn\": 2}\n");
    let key = "threads/alice/1";
    fails(&["get", key], &["error[TW7001]", "docs/errors/TW7001.md"]);
    let put = run(&["put", key, "one.json", "--create"]);
    assert!(put.stderr.contains("wrote threads/alice/1, revision 1"), "{}", put.stderr);
    fails(&["put", key, "one.json", "--create"], &["error[TW7003]", "revision 1 now"]);
    run(&["put", key, "two.json", "--rev", "1", "--schema", "thread@2", "--ttl", "30d"]);
    fails(&["put", key, "two.json", "--rev", "1"], &["error[TW7003]"]);

    let got = run(&["get", key]);
    assert_eq!(got.stdout, "{\"turn\": 2}\n");
    assert!(got.stderr.contains("revision 2, 12 B of application/json, epoch 0"), "{}", got.stderr);
    assert_eq!(run(&["get", key, "--rev", "1"]).stdout, "{\"turn\": 1}\n");
    fails(&["get", key, "--rev", "3"], &["error[TW7001]"]);

    let history: Value = serde_json::from_str(&run(&["history", key, "--json"]).stdout).unwrap();
    assert_eq!(
        (&history[0]["rev"], &history[0]["schema"], &history[1]["rev"]),
        (&2.into(), &"thread@2".into(), &1.into())
    );
    let history = run(&["history", key]);
    assert!(history.stdout.starts_with("REV  KIND") && history.stdout.lines().count() == 3, "{}", history.stdout);
    let patch: Value = serde_json::from_str(&run(&["diff", key, "--from", "1"]).stdout).unwrap();
    assert_eq!(patch, serde_json::json!([{"op": "replace", "path": "/turn", "value": 2}]));

    assert_eq!(run(&["ls"]).stdout, "threads\n");
    let listed = run(&["ls", "threads/alice"]);
    assert!(listed.stdout.contains("alice/1") && listed.stderr.contains("1 key"), "{listed:?}");
    let listed: Value = serde_json::from_str(&run(&["ls", "threads", "--json"]).stdout).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["key"]), (1, &"alice/1".into()));

    let token = run(&["handoff", key, "--rev", "2"]).stdout;
    assert!(token.starts_with("twh1_"), "{token}");
    let taken = run(&["handoff", "--redeem", token.trim()]);
    assert!(taken.stderr.contains("took over threads/alice/1: revision 3, epoch 1"), "{}", taken.stderr);
    fails(&["handoff", "--redeem", token.trim()], &["error[TW7017]"]);
    fails(&["put", key, "two.json", "--rev", "3", "--epoch", "0"], &["error[TW7005]"]);
}

#[test]
fn a_key_without_a_gateway() {
    let place = place();
    walk(&place, &[]);
    let checked: Value = serde_json::from_str(&good(&place, &["check", "--json"]).stdout).unwrap();
    assert_eq!(checked["damaged"], 0);
    assert!(checked["revisions"].as_u64().unwrap() >= 3, "{checked}");
}

#[test]
fn a_key_that_an_index_lost_is_found_by_the_check() {
    let place = place();
    place.file("one.json", "1");
    for name in ["a", "b"] {
        good(&place, &["put", &format!("n/{name}"), "one.json", "--create"]);
    }
    assert_eq!(
        serde_json::from_str::<Value>(&good(&place, &["check", "--json"]).stdout).unwrap()["sqlite"],
        serde_json::json!([])
    );
    // The index is made without the row, and said to have it. Pages that another program changes have the sums of what they
    // were; they are taken out, as where only the program is at fault.
    let path = place.path().join("data/state/sqlite/state.db");
    let run = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let full = "CREATE UNIQUE INDEX keys_by_name ON keys (namespace, name)";
    let say = |sql: &str| {
        run(&format!("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='{sql}' WHERE name='keys_by_name'"));
    };
    say(&format!("{full} WHERE name <> ''b''"));
    run("REINDEX keys_by_name");
    say(full);
    refused(&place, &["get", "n/b"], &["error[TW7010]: store: sqlite: ", "malformed", "backup"]);
    let mut file = fs::read(&path).unwrap();
    let page = usize::from(u16::from_be_bytes([file[16], file[17]]));
    for page in file.chunks_mut(page) {
        let sum = page.len() - 4;
        page[sum..].fill(0);
    }
    fs::write(&path, file).unwrap();
    refused(&place, &["get", "n/b"], &["error[TW7001]"]);
    let ended = state(&place, &["check"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("state/sqlite: ") && ended.stderr.contains("damaged"), "{ended:?}");
}

/// One damaged key is named, and keeps no other from being listed or copied.
#[test]
fn a_damaged_key_is_named_and_the_others_go_on() {
    let place = place();
    place.file("one.json", "1");
    for name in ["a", "b", "c"] {
        good(&place, &["put", &format!("n/{name}"), "one.json", "--create"]);
    }
    let file = rusqlite::Connection::open(place.path().join("data/state/sqlite/state.db")).unwrap();
    let change = "UPDATE revisions SET meta = CAST(x'00' || substr(meta, 2) AS BLOB)
                  WHERE place IN (SELECT place FROM revisions ORDER BY place LIMIT 1 OFFSET 1)";
    assert_eq!(file.execute(change, []).unwrap(), 1);
    drop(file);
    let listed = state(&place, &["ls", "n"]);
    let lines: Vec<Vec<&str>> = listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((listed.code, lines.len()), (Some(1), 4), "{listed:?}");
    assert_eq!((&lines[2][..], lines[1][0], lines[3][0]), (&["b", "-", "-", "damaged,", "TW7010"][..], "a", "c"));
    assert!(listed.stderr.contains("1 key damaged\n  = hint: `tradewind state check`"), "{}", listed.stderr);
    let items: Value = serde_json::from_str(&state(&place, &["ls", "n", "--json"]).stdout).unwrap();
    assert_eq!(items[1]["error"]["code"], "TW7010");

    for revisions in [2, 0] {
        let moved = state(&place, &["migrate", "sqlite", "wal"]);
        assert_eq!(moved.code, Some(1), "{moved:?}");
        assert!(moved.stdout.starts_with("left out: n/b: ") && moved.stdout.lines().count() == 1, "{moved:?}");
        let noted = format!("2 keys in wal; {revisions} revisions copied now");
        for part in [noted.as_str(), "1 thing in sqlite damaged and left out\n  = hint: restore"] {
            assert!(moved.stderr.contains(part), "no `{part}` in\n{}", moved.stderr);
        }
    }
    place.file("tradewind.yaml", &format!("{DOCUMENT}store: wal\n"));
    assert_eq!(good(&place, &["get", "n/c"]).stdout, "1\n");
    refused(&place, &["get", "n/b"], &["error[TW7001]"]);
}

#[test]
fn a_key_at_a_running_gateway() {
    let place = place();
    let mut gateway = Program::start(place.command(&["run"]));
    let address = gateway.address();
    walk(&place, &["--url", &format!("http://{address}")]);

    // The same gateway, found by its configuration.
    place.file("same.yaml", &DOCUMENT.replace("127.0.0.1:0", &address.to_string()));
    let got = good(&place, &["get", "threads/alice/1", "-f", "same.yaml"]);
    assert_eq!(got.stdout, "{\"turn\": 2}\n");
    // Without it, the store is another process's.
    refused(&place, &["get", "threads/alice/1"], &["error[TW7012]", "another"]);
    refused(&place, &["check"], &["error[TW7012]"]);

    // Each write has a record.
    let decisions = get(address, "/api/v1/decisions?limit=100").json();
    let records: Vec<&Value> =
        decisions["decisions"].as_array().unwrap().iter().filter(|record| record["door"] == "state").collect();
    let find = |operation: &str, outcome: &str| {
        records
            .iter()
            .any(|one| one["operation"] == operation && one["outcome"] == outcome && one["model"] == "threads/alice/1")
    };
    assert!(
        find("put", "ok") && find("put", "rejected") && find("handoff", "ok") && find("redeem", "ok"),
        "{records:?}"
    );
    assert!(!records.iter().any(|one| one["operation"] == "get"), "reads have no record");
    let metrics = get(address, "/metrics").body;
    for part in ["tradewind_state_reads_total ", "tradewind_state_watches 0", "door=\"state\""] {
        assert!(metrics.contains(part), "no `{part}` in {metrics}");
    }
}

#[test]
fn changes_are_printed_as_they_happen() {
    let place = place();
    let mut gateway = Program::start(place.command(&["run"]));
    let url = format!("http://{}", gateway.address());
    let at = ["--url", url.as_str()];
    let watching =
        |arguments: &[&str]| -> Command { place.command(&[&["state", "watch", "threads/a"], arguments, &at].concat()) };
    place.file("one.json", "1");
    // Begun before there is anything: the first change is seen because it is waited for.
    let mut json = Program::start(watching(&["--json", "--count", "2"]));
    wait_for_watches(&url, 1);
    for key in ["threads/a/1", "threads/b", "threads/a/2"] {
        good(&place, &[&["put", key, "one.json", "--create"], &at[..]].concat());
    }
    let first: Value = serde_json::from_str(&json.data("a/1")).unwrap();
    let ended = json.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("a/2") && !ended.stdout.contains("\"b\""), "{}", ended.stdout);

    let place_of_first = first["place"].as_str().unwrap();
    let again = Program::start(watching(&["--from", place_of_first, "--count", "1"])).end();
    assert!(again.stdout.contains("threads/a/2  rev 1  1 B"), "{again:?}");
    let gone = Program::start(watching(&["--from", "999999"])).end();
    assert!(gone.code == Some(1) && gone.stderr.contains("error[TW7014]"), "{gone:?}");
}

/// Waits until so many watches are open.
fn wait_for_watches(url: &str, count: u64) {
    let address = url.trim_start_matches("http://").parse().unwrap();
    let wanted = format!("tradewind_state_watches {count}\n");
    let deadline = std::time::Instant::now() + crate::program::PATIENCE;
    while !get(address, "/metrics").body.contains(&wanted) {
        assert!(std::time::Instant::now() < deadline, "no watch was opened");
    }
}

#[test]
fn a_store_is_carried_to_another_engine_and_back() {
    let place = place();
    place.file("one.json", "{\"turn\": 1}");
    for number in 0..20 {
        good(&place, &["put", &format!("threads/{number}"), "one.json", "--create"]);
        good(&place, &["put", &format!("threads/{number}"), "one.json", "--rev", "1"]);
    }
    let moved = good(&place, &["migrate", "sqlite", "wal"]);
    assert!(moved.stderr.contains("20 keys in wal; 40 revisions copied now"), "{}", moved.stderr);
    // Again: everything is there.
    let again = good(&place, &["migrate", "sqlite", "wal"]);
    assert!(again.stderr.contains("0 revisions copied now"), "{}", again.stderr);
    place.file("tradewind.yaml", &format!("{DOCUMENT}store: wal\n"));
    let history: Value = serde_json::from_str(&good(&place, &["history", "threads/7", "--json"]).stdout).unwrap();
    assert_eq!((history.as_array().unwrap().len(), &history[0]["rev"]), (2, &2.into()));
    let checked: Value = serde_json::from_str(&good(&place, &["check", "--json"]).stdout).unwrap();
    assert_eq!((&checked["damaged"], checked["revisions"].as_u64() >= Some(40)), (&0.into(), true));

    // What has gone on there is no copy of the source any more.
    good(&place, &["put", "threads/7", "one.json", "--rev", "2"]);
    refused(&place, &["migrate", "sqlite", "wal"], &["another history under threads/7"]);
    refused(&place, &["migrate", "wal", "wal"], &["the same store"]);
    let ended = state(&place, &["migrate", "wal", "postgres://h"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("redis://HOST"), "{}", ended.stderr);
    good(&place, &["migrate", "wal", "sqlite"]);
}

#[test]
fn sealed_values_are_read_with_the_key_and_rotation_keeps_them() {
    let place = place();
    let key = |byte: u8| format!("{byte:02x}").repeat(32);
    place.file("one.json", "\"a plain text that would be found\"");
    place.file("old.key", &key(7));
    let old = "{key: {file: old.key}, id: old}";
    place.file("tradewind.yaml", &format!("{DOCUMENT}state: {{encryption: {old}}}\n"));
    good(&place, &["put", "notes/a", "one.json", "--create"]);
    assert!(!on_disk(&place, "a plain text"), "it lies there in plain");

    // The next key wraps what the old one wrapped, once a gateway has run with both.
    let document = format!(
        "{DOCUMENT}state: {{encryption: {{key: {{command: [echo, '{}']}}, id: new, previous: [{old}]}}}}\n",
        key(8)
    );
    place.file("tradewind.yaml", &document);
    let mut gateway = Program::start(place.command(&["run"]));
    gateway.note("wrapped again");
    gateway.signal("-TERM");
    gateway.end();
    place.file("tradewind.yaml", &document.replace(&format!(", previous: [{old}]"), ""));
    assert_eq!(good(&place, &["get", "notes/a"]).stdout.trim_end(), "\"a plain text that would be found\"");
    let checked: Value = serde_json::from_str(&good(&place, &["check", "--json"]).stdout).unwrap();
    assert!(
        checked["master-keys"]["new"].as_u64() >= Some(1) && checked["master-keys"].get("old").is_none(),
        "{checked}"
    );

    // Without the right key nothing is given.
    place.file("tradewind.yaml", &format!("{DOCUMENT}state: {{encryption: {old}}}\n"));
    refused(&place, &["get", "notes/a"], &["error[TW7021]"]);
    place.file("tradewind.yaml", &format!("{DOCUMENT}state: {{encryption: {{key: hunter2, id: a}}}}\n"));
    let ended = state(&place, &["get", "notes/a"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("32 random bytes"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

/// Whether a file of the store holds `text`.
fn on_disk(place: &Place, text: &str) -> bool {
    let folder = place.path().join("data/state/sqlite");
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn conditions_are_asked_for_by_the_command_line() {
    let place = place();
    place.file("one.json", "1");
    for arguments in
        [&["put", "n/a", "one.json"][..], &["put", "n/a", "one.json", "--create", "--rev", "1"], &["handoff"]]
    {
        assert_eq!(state(&place, arguments).code, Some(2), "{arguments:?}");
    }
    refused(&place, &["get", "n"], &["names no key", "tradewind state ls n"]);
    refused(&place, &["ls", "N"], &["a-z"]);
    refused(&place, &["put", "n/a", "none.json", "--create"], &["none.json cannot be read"]);
}

#[test]
fn a_gateway_takes_other_rules_while_it_runs() {
    let place = place();
    let mut gateway = Program::start(place.command(&["run"]));
    let url = format!("http://{}", gateway.address());
    place.file("one.json", "\"long enough\"");
    let put = |key: &str| state(&place, &["put", key, "one.json", "--create", "--url", &url]);
    assert_eq!(put("n/a").code, Some(0));
    place.file("tradewind.yaml", &format!("{DOCUMENT}state: {{max-value: 4B, durability: os}}\n"));
    gateway.note("reloaded");
    gateway.note("not before the next start: the durability");
    let ended = put("n/b");
    assert!(ended.code == Some(1) && ended.stderr.contains("error[TW7006]"), "{ended:?}");
    // More than any namespace takes is refused by its announced length, and the caller sees why.
    place.file("one.json", &format!("\"{}\"", "x".repeat(3_000_000)));
    let ended = put("n/c");
    assert!(ended.code == Some(1) && ended.stderr.contains("error[TW7006]"), "{ended:?}");
}

#[test]
fn a_gateway_does_not_start_on_a_store_that_it_cannot_use() {
    let place = place();
    place.file("tradewind.yaml", &format!("{DOCUMENT}store: redis://127.0.0.1:1\n"));
    let ended = place.tradewind(&["run"]);
    assert_eq!(ended.code, Some(1));
    for part in ["error[TW7012]", "redis", "hint"] {
        assert!(ended.stderr.contains(part), "no `{part}` in {}", ended.stderr);
    }
}
