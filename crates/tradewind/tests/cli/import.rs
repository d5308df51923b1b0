//! `tradewind import litellm`: what goes where, and that the new file is one that `tradewind check` accepts.

use crate::program::{Place, Program};

const OLD: &str = "
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, temperature: 0.1}
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}
";

#[test]
fn the_new_file_passes_the_check() {
    let place = Place::new();
    place.file("config.yaml", OLD);
    let printed = place.tradewind(&["import", "litellm", "config.yaml"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stderr.contains("model_list[0].litellm_params.temperature"), "{}", printed.stderr);
    let written = place.tradewind(&["import", "litellm", "config.yaml", "-o", "tradewind.yaml"]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(place.path().join("tradewind.yaml")).unwrap(), printed.stdout);

    let mut check = place.command(&["check", "tradewind.yaml"]);
    check.env("OPENAI_API_KEY", "sk-of-a-test").env("LITELLM_MASTER_KEY", "sk-of-a-test-that-is-long");
    let checked = Program::start(check).end();
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);

    let again = place.tradewind(&["import", "litellm", "config.yaml", "-o", "tradewind.yaml"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

#[test]
fn what_cannot_be_imported_says_why() {
    let place = Place::new();
    place.file("other.yaml", "listen: 127.0.0.1:7080\n");
    for (file, reason) in [("other.yaml", "has no list `model_list`"), ("none.yaml", "cannot be read")] {
        let ended = place.tradewind(&["import", "litellm", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains(reason) && ended.stderr.contains("hint:"), "{}", ended.stderr);
    }
}
