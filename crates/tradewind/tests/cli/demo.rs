//! `tradewind demo` without a terminal: the story is told, no caller is harmed, nothing is left behind.

use crate::program::{Place, Program};

#[test]
fn the_story_in_plain_lines() {
    let place = Place::new();
    let ended = place.tradewind(&["demo", "--calls", "24", "--seed", "1"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let said = ended.stdout;
    assert!(!said.contains('\x1b'), "no escape sequences without a terminal:\n{said}");
    assert!(
        said.starts_with("Three simulated providers behind the model `assistant`, strategy least-latency, seed 1:\n")
    );
    let place_of = |part: &str| said.find(part).unwrap_or_else(|| panic!("no `{part}` in\n{said}"));
    assert!(place_of("gale/chat breaks") < place_of("gale/chat is well again"));
    assert_eq!(said.lines().filter(|line| line.contains(" stream ") || line.contains(" whole ")).count(), 24, "{said}");
    place_of("fell back (");
    let summary = place_of("24 calls in ");
    assert!(said[summary..].contains(": 24 answered, 0 failed as the caller saw it."), "{said}");
    assert!(place_of("One of the decisions") > summary && place_of("candidates, in the order") > summary);
    assert_eq!(place.left_behind(), Vec::<String>::new());
}

#[test]
fn without_fallback_the_caller_sees_the_break() {
    let ended = Place::new().tradewind(&["demo", "--calls", "24", "--strategy", "select"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("FAILED: 504: ") && !ended.stdout.contains(" 0 failed as"), "{}", ended.stdout);
    assert!(ended.stdout.contains("No call had to fall back"), "{}", ended.stdout);
}

#[test]
fn it_ends_when_asked_to_and_cleans_up() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let place = Place::new();
        let mut demo = Program::start(place.command(&["demo"]));
        demo.data("breeze/chat    ");
        assert_eq!(place.left_behind().len(), 1, "it keeps its files in one temporary directory");
        demo.signal(signal);
        let ended = demo.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains(" calls in ") && ended.stdout.contains(", 0 failed as the caller saw it."));
        assert_eq!(place.left_behind(), Vec::<String>::new());
    }
}

#[test]
fn it_ends_by_time() {
    let ended = Place::new().tradewind(&["demo", "--for", "1s"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(" calls in "), "{}", ended.stdout);
}
