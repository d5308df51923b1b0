//! `tradewind preview`: whom a call would go to, with nobody there to be called.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::program::{Place, Program};

/// Providers at a port where nobody listens.
const FILE: &str = "listen: 127.0.0.1:0
data-dir: data
keys: [{name: ann, secret: secret-of-ann-1234567}]
providers:
  - {name: one, dialect: openai, base-url: \"http://127.0.0.1:9/v1\", discover: false}
  - {name: two, dialect: anthropic, base-url: \"http://127.0.0.1:9\", discover: false}
models:
  - name: assistant
    strategy: score
    route: [{when: {device: mobile}, use: two/pocket}]
    targets:
      - {use: one/facts, price: {input: 0.25, output: 2}, images: false, good-at: [short factual questions, capitals]}
      - {use: two/coder, price: {input: 3, output: 15}, images: false, good-at: [reviewing program code]}
  - {name: resting, last-resort: rules}
";

#[test]
fn whom_a_call_would_go_to_is_shown_and_nobody_is_called() {
    let place = Place::new();
    place.file("tradewind.yaml", FILE);
    let mut gateway = Program::start(place.command(&["run"]));
    let url = format!("http://{}", gateway.address());
    let preview = |arguments: &[&str]| {
        let with = ["--url", &url, "--key", "secret-of-ann-1234567"];
        place.tradewind(&[&["preview"], arguments, &with].concat())
    };
    let said = |arguments: &[&str]| {
        let page = preview(arguments);
        assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        page.stdout
    };
    let question = "Please review this program code";
    let page = said(&["-m", "assistant", question]);
    for part in [
        "\n\ntwo/coder would be asked first; nobody was called\n",
        "\n  asked     chat for `assistant`, openai dialect\n",
        "\n  first     two/coder: the best score\n",
        "\n  meaning   compared, by words (lexical): confidence ",
        "\n  complex   ",
        "\ncandidates, in the order of the decision\n   1  two/coder  the best score\n   2  one/facts  next by score\n",
        "\nscores, from 0 to 1 ",
    ] {
        assert!(page.contains(part), "{part:?}\n{page}");
    }
    let led = said(&["-m", "assistant", question, "--header", "User-Agent: Dalvik/2.1"]);
    assert!(led.contains("two/pocket would be asked first") && led.contains("route[0]"), "{led}");
    let none = said(&["-m", "resting", question]);
    assert!(none.contains("no target could be asked; rules/rules would answer as the last resort"), "{none}");

    let json: Value = serde_json::from_str(&said(&["-m", "assistant", question, "--json"])).unwrap();
    assert_eq!((&json["chosen"], json["candidates"].as_array().unwrap().len()), (&json!("two/coder"), 2));
    for (path, operation) in
        [("/v1/responses", "responses"), ("/v1/completions", "completions"), ("/v1/embeddings", "embeddings")]
    {
        let json: Value =
            serde_json::from_str(&said(&["-m", "assistant", question, "--path", path, "--json"])).unwrap();
        assert_eq!(json["operation"], operation);
    }
    let calls = place.tradewind(&["cost", "--url", &url, "--key", "secret-of-ann-1234567", "--json"]);
    assert!(!calls.stdout.contains("assistant"), "{}", calls.stdout);
}

#[test]
fn a_whole_request_is_read_from_a_file_or_from_stdin() {
    let place = Place::new();
    place.file("tradewind.yaml", FILE);
    let image = json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}});
    let request = json!({"model": "assistant", "max_tokens": 9, "messages": [{"role": "user", "content": [image]}]});
    place.file("request.json", &request.to_string());
    place.file("broken.json", "{\"model\":");
    let mut gateway = Program::start(place.command(&["run"]));
    let url = format!("http://{}", gateway.address());
    let with = ["--dialect", "anthropic", "--url", &url, "--key", "secret-of-ann-1234567"];

    let page = place.tradewind(&[&["preview", "--request", "request.json"][..], &with].concat());
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains("no target could be asked; nobody was called"), "{}", page.stdout);
    assert!(page.stdout.contains("messages for `assistant`, anthropic dialect"), "{}", page.stdout);
    assert_eq!(page.stdout.matches("takes no images").count(), 2, "{}", page.stdout);

    let mut command = place.command(&[&["preview", "--request", "-", "--json"][..], &with].concat());
    let mut reading = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    reading.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let read = reading.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!((&json["chosen"], &json["operation"]), (&Value::Null, &json!("messages")));

    for (arguments, why) in [
        (&["--request", "broken.json"][..], "error: the request is not JSON: "),
        (&["--request", "none.json"], "error: none.json cannot be read"),
        (&["hello", "-m", "asistant"], "error: there is no model `asistant`: did you mean `assistant`?"),
        (&["hello", "--path", "/v2"], "error: `path` is none that takes requests for models"),
    ] {
        let ended = place.tradewind(&[&["preview"], arguments, &with].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with(why), "{arguments:?}: {}", ended.stderr);
    }
    for (arguments, why) in [
        (&["hello", "--header", "nonsense"][..], "a header is written `NAME: VALUE`"),
        (&["hello", "--request", "request.json"], "cannot be used with"),
        (&[], "required"),
    ] {
        let ended = place.tradewind(&[&["preview"], arguments, &with].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.stderr.contains(why), "{arguments:?}: {}", ended.stderr);
    }
}
