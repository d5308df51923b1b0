//! The answers of Go itself, as `tests/rigs/go_oracle.py` keeps them.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tradewind_core::UnixMillis;
use tradewind_door_modules::{
    LONGEST_MODULE_PATH, LONGEST_VERSION, ModulePath, ModuleVersion, Pattern, Version, ZipLimits, check_file_path,
    check_zip_in,
};

/// The lines of a file of answers: an operation, its arguments, and what Go says.
fn answers(file: &str) -> Vec<(String, Vec<String>, Value)> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).expect("the answers are there");
    let text = String::from_utf8(text).expect("the answers are text");
    let line = |line: &str| {
        let mut fields: Vec<Value> = serde_json::from_str(line).expect("a line is a list");
        let answer = fields.pop().expect("an answer");
        let mut arguments = fields.into_iter().map(|field| field.as_str().expect("an argument").to_owned());
        let operation = arguments.next().expect("an operation");
        (operation, arguments.collect(), answer)
    };
    text.lines().map(line).collect()
}

/// The questions of one operation, at least `least`.
fn asked(operation: &str, least: usize) -> Vec<(Vec<String>, Value)> {
    let all = answers("go_names.jsonl").into_iter().filter(|(is, ..)| is == operation);
    let all: Vec<_> = all.map(|(_, arguments, answer)| (arguments, answer)).collect();
    assert!(all.len() >= least, "only {} questions about {operation}", all.len());
    all
}

#[test]
fn module_paths_are_those_of_go() {
    for (arguments, answer) in asked("path", 500) {
        let text = &arguments[0];
        match ModulePath::parse(text) {
            Ok(path) => {
                assert_eq!(answer["error"], Value::Null, "{text}");
                assert_eq!(answer["escaped"], *path.escaped(), "{text}");
                assert_eq!(answer["major"], path.split_major().1, "{text}");
                assert_eq!(ModulePath::from_escaped(&path.escaped()), Ok(path), "{text}");
            }
            Err(error) => assert_eq!(answer["error"], error.to_string(), "{text}"),
        }
    }
}

#[test]
fn names_of_files_are_those_of_go() {
    for (arguments, answer) in asked("file", 400) {
        let is = check_file_path(&arguments[0]).map_err(|error| error.to_string());
        assert_eq!(answer.as_str().map_or(Ok(()), |error| Err(error.to_owned())), is, "{:?}", arguments[0]);
    }
}

#[test]
fn escapes_are_undone_as_go_does() {
    for (arguments, answer) in asked("unescape-path", 200) {
        let is = ModulePath::from_escaped(&arguments[0]);
        assert_eq!(answer["ok"], is.is_ok(), "{:?}", arguments[0]);
        assert_eq!(answer["is"], is.as_ref().map_or("", ModulePath::as_str));
    }
    for (arguments, answer) in asked("unescape-version", 200) {
        // Go takes anything for a version that is fit for a file's name.
        let request = format!("example.com/m/@v/{}.info", arguments[0].replace('%', "%25"));
        let is = tradewind_door_modules::Asked::parse(&request);
        assert_eq!(answer["ok"], is.is_ok(), "{:?}: {is:?}", arguments[0]);
        let Ok(tradewind_door_modules::Asked::Info(_, query)) = is else { continue };
        assert_eq!(answer["is"], query.as_str());
    }
}

#[test]
fn versions_are_those_of_go() {
    for (arguments, answer) in asked("version", 500) {
        let text = &arguments[0];
        let is = Version::parse(text);
        assert_eq!(answer["canonical"], is.is_ok(), "{text}");
        let Ok(version) = is else { continue };
        assert_eq!(answer["pseudo"], version.is_pseudo(), "{text}");
        assert_eq!(answer["major"], version.major(), "{text}");
        assert_eq!(answer["prerelease"], version.is_prerelease(), "{text}");
        assert_eq!(answer["revision"], version.pseudo_revision().unwrap_or_default(), "{text}");
        assert_eq!(answer["time"].as_u64(), version.pseudo_time().map(|UnixMillis(millis)| millis), "{text}");
    }
}

#[test]
fn versions_fit_modules_as_in_go() {
    for (arguments, answer) in asked("fits", 400) {
        let (Ok(path), Ok(version)) = (ModulePath::parse(&arguments[0]), Version::parse(&arguments[1])) else {
            continue;
        };
        assert_eq!(answer, version.fits(&path), "{path}@{version}");
        assert_eq!(answer, ModuleVersion::new(path, version).is_ok());
    }
}

#[test]
fn versions_are_ordered_as_in_go() {
    let mut compared = 0;
    for (arguments, answer) in asked("compare", 500) {
        let (Ok(one), Ok(other)) = (Version::parse(&arguments[0]), Version::parse(&arguments[1])) else { continue };
        // What Go takes for equal is told apart by its text.
        let order = one.cmp(&other) as i64;
        assert!(answer == order || (answer == 0 && order == one.as_str().cmp(other.as_str()) as i64), "{one} {other}");
        compared += 1;
    }
    assert!(compared >= 300, "only {compared} pairs of canonical versions");
}

#[test]
fn patterns_cover_what_goprivate_covers() {
    let (mut covered, mut left_out) = (0, 0);
    for (arguments, answer) in asked("pattern", 900) {
        let [text, path] = &arguments[..] else { panic!("two arguments") };
        let pattern = Pattern::parse(text);
        let is_there = !text.trim_end_matches('/').is_empty();
        if is_there && !text.ends_with('/') {
            assert_eq!(answer["ok"], pattern.is_ok(), "{text}: {pattern:?}");
        }
        let (Ok(pattern), Ok(path)) = (pattern, ModulePath::parse(path)) else { continue };
        assert_eq!(answer["covers"], pattern.covers(&path), "{text} {path}");
        *if pattern.covers(&path) { &mut covered } else { &mut left_out } += 1;
    }
    assert!(covered >= 100 && left_out >= 300, "{covered} {left_out}");
}

/// Go is at a later version of Unicode than we are: what it takes for letters and we do not. They are refused in names of
/// files until the tables here know them.
const NEWER_LETTERS: usize = 5000;

#[test]
fn letters_are_those_of_go() {
    let ranges = asked("letters", 1).remove(0).1;
    let ranges: Vec<(u32, u32)> = serde_json::from_value(ranges).expect("ranges");
    let mut newer = 0;
    for code in 0x80..=u32::from(char::MAX) {
        let Some(character) = char::from_u32(code) else { continue };
        let at = ranges.partition_point(|(_, last)| *last < code);
        let is_letter = ranges.get(at).is_some_and(|(first, _)| *first <= code);
        let is_taken = check_file_path(&character.to_string()).is_ok();
        assert!(is_letter || !is_taken, "{code:x} is a letter here and not in Go");
        newer += usize::from(is_letter && !is_taken);
    }
    assert!(newer <= NEWER_LETTERS, "{newer} letters of Go are none here");
}

#[test]
fn names_that_differ_by_case_alone_are_found_as_in_go() {
    let sets = asked("folds", 1).remove(0).1;
    let sets: Vec<String> = serde_json::from_value(sets).expect("texts");
    assert!(sets.len() > 1000);
    for set in sets {
        let letters: Vec<char> = set.chars().filter(|letter| check_file_path(&letter.to_string()).is_ok()).collect();
        for pair in letters.windows(2) {
            let names = pair.iter().map(|letter| format!("example.com/m@v1.0.0/{letter}"));
            let zip = super::zipper::Zip::of(names.map(|name| (name, Vec::new()))).bytes();
            let module = ModuleVersion::parse("example.com/m@v1.0.0").expect("a module");
            let refused = check_zip_in(Cursor::new(zip), &module, &ZipLimits::default());
            let fault = refused.expect_err("two names in one").fault;
            assert_eq!(fault.name(), "collision", "{pair:?}");
        }
    }
}

#[test]
fn zips_are_refused_when_go_refuses_them_and_hashed_as_go_does() {
    // What Go lets pass in an archive and we do not: two readers could see two zips in it.
    const STRICTER: [&str; 12] = [
        "data-before",
        "data-between",
        "data-after",
        "data-inside",
        "differs",
        "disks",
        "encrypted",
        "format",
        "irregular",
        "overlap",
        "checksum",
        "extra",
    ];
    let (mut same, mut refused, mut stricter) = (0, 0, 0);
    for (_, arguments, answer) in answers("go_zips.jsonl") {
        let module = ModuleVersion::parse(&format!("{}@{}", arguments[0], arguments[1])).expect("a module");
        let zip = STANDARD.decode(&arguments[2]).expect("base64");
        match (check_zip_in(Cursor::new(&zip), &module, &ZipLimits::default()), answer["h1"].as_str()) {
            (Ok(facts), Some(h1)) => {
                assert_eq!(facts.h1.to_string(), h1);
                same += 1;
            }
            (Err(_), None) => refused += 1,
            (Err(error), Some(_)) => {
                assert!(STRICTER.contains(&error.fault.name()), "Go takes it: {error}");
                stricter += 1;
            }
            (Ok(_), None) => panic!("Go refuses {}: {}", arguments[2], answer["error"]),
        }
    }
    assert!(same >= 50 && refused >= 150 && stricter >= 20, "{same} {refused} {stricter}");
}

#[test]
fn names_have_a_longest_length() {
    let path = |length: usize| format!("example.com/{}", "a/".repeat(length / 2 - 7) + "a");
    let longest = path(LONGEST_MODULE_PATH);
    assert!(longest.len() <= LONGEST_MODULE_PATH && ModulePath::parse(&longest).is_ok());
    assert!(ModulePath::parse(&path(LONGEST_MODULE_PATH + 4)).is_err());
    // An element is a name of a file, where upper case counts twice.
    assert!(ModulePath::parse(&format!("example.com/{}", "a".repeat(255))).is_ok());
    assert!(ModulePath::parse(&format!("example.com/{}", "a".repeat(256))).is_err());
    assert!(ModulePath::parse(&format!("example.com/{}", "A".repeat(128))).is_err());
    let version = |length: usize| format!("v1.0.0-{}", "a".repeat(length - 7));
    assert!(Version::parse(&version(LONGEST_VERSION)).is_ok());
    assert!(Version::parse(&version(LONGEST_VERSION + 1)).is_err());
}
