//! What a release is packed from: `tradewind completions`, `tradewind man`, and the files of `packaging`.

use std::path::Path;
use std::process::Command;

use crate::program::{Place, Program};

#[test]
fn completions_are_scripts_that_name_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = place.tradewind(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{shell}");
        for command in ["run", "check", "import", "litellm", "completions"] {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
        if shell == "bash" {
            let script = place.file("tradewind.bash", &ended.stdout);
            assert!(Command::new("bash").arg("-n").arg(script).status().unwrap().success());
        }
    }
    assert_eq!(place.tradewind(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn each_command_has_its_manual_page() {
    let place = Place::new();
    assert_eq!(place.tradewind(&["man", "."]).code, Some(0));
    for page in ["tradewind", "tradewind-run", "tradewind-import", "tradewind-import-litellm", "tradewind-completions"]
    {
        let text = std::fs::read_to_string(place.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH") && text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(!place.path().join("tradewind-man.1").exists(), "it is not for users");
    assert_eq!(place.tradewind(&["man", "not/there"]).code, Some(1));
}

#[test]
fn the_example_that_is_shipped_is_right() {
    let place = Place::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/tradewind.yaml");
    let text = std::fs::read_to_string(example).unwrap();
    place.file("tradewind.yaml", &text);
    let mut check = place.command(&["check", "tradewind.yaml"]);
    check.env("OPENAI_API_KEY", "sk-of-a-test");
    let checked = Program::start(check).end();
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // Its comments are meant to be uncommented.
    let all: String = text.lines().map(|line| format!("{}\n", line.replacen("# ", "", 1))).collect();
    let sections: String =
        all.lines().skip_while(|line| !line.starts_with("keys:")).map(|line| format!("{line}\n")).collect();
    place.file("all.yaml", &format!("listen: 127.0.0.1:7080\n{sections}"));
    let mut check = place.command(&["check", "all.yaml"]);
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TRADEWIND_KEY_CI"] {
        check.env(name, "a-secret-of-a-test");
    }
    let checked = Program::start(check).end();
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}
