//! `tradewind cost`: from a running gateway, from the journal that it leaves, and from neither.

use serde_json::Value;
use tradewind_sim::{Sim, SimOptions};

use crate::program::{Ended, Place, Program, chat};

/// Where nobody listens.
fn free_address() -> std::net::SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, tradewind_sim::free_port()).into()
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// What is told of a row, in one line.
fn told(rows: &Value) -> Vec<String> {
    let rows = rows["rows"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {} {}", row["model"], row["target"], row["calls"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_asked_and_its_journal_read_when_it_is_gone() {
    let sim = Sim::start(SimOptions { answer_tokens: 60, ..SimOptions::named("sim") }).await.unwrap();
    let place = Place::new();
    let address = free_address();
    place.file(
        "tradewind.yaml",
        &format!(
            "listen: {address}\ndata-dir: data\nproviders: [{{name: openai, dialect: openai, base-url: \"{}/v1\", discover: \
             false}}]\nmodels:\n  - {{name: paid, targets: [{{use: openai/gpt-5, price: {{input: 0, output: 1000}}}}]}}\n  \
             - {{name: free, targets: [{{use: openai/gpt-5-mini}}]}}\n",
            sim.base_url()
        ),
    );
    let mut gateway = Program::start(place.command(&["run"]));
    assert_eq!(gateway.address(), address);
    for model in ["paid", "free", "paid"] {
        assert_eq!(chat(address, model).status, 200);
    }

    // The present directory says which gateway is meant.
    let page = place.tradewind(&["cost"]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = page.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["DAY", "MODEL", "KEY", "CALLS", "IN", "OUT", "CACHED", "REASONING", "ESTIMATED", "COST"]);
    assert_eq!((lines[1][1..5].join(" "), *lines[1].last().unwrap()), ("free (no key) 1".to_owned(), "+?"));
    assert_eq!((lines[2][1..5].join(" "), *lines[2].last().unwrap()), ("paid (no key) 2".to_owned(), "$0.12"));
    assert_eq!(lines[3][..2], ["total", "3"]);
    assert!(
        page.stdout.contains("+?: without what these targets cost, which have no price: openai/gpt-5-mini (1 use)")
    );

    let url = format!("http://{address}");
    let asked = json(&place.tradewind(&["cost", "--url", &url, "--by", "model,target", "--since", "1d", "--json"]));
    assert_eq!(asked["source"]["gateway"], url);
    let rows = ["\"free\" \"openai/gpt-5-mini\" 1", "\"paid\" \"openai/gpt-5\" 2"];
    assert_eq!(told(&asked), rows);
    assert_eq!(asked["total"]["usd"], 0.12);

    gateway.signal("-TERM");
    assert_eq!(gateway.end().code, Some(0));
    let mut read =
        json(&place.tradewind(&["cost", "--data-dir", "data", "--by", "model,target", "--since", "1d", "--json"]));
    let from = read["source"]["journal"].take();
    assert!(from.as_str().unwrap().ends_with("data"), "{from}");
    for part in ["rows", "total", "unpriced", "from", "to"] {
        assert_eq!(read[part], asked[part], "the same from both: {part}");
    }
    let page = place.tradewind(&["cost", "-f", "tradewind.yaml", "--by", "day"]);
    let said = format!("no gateway answers at {url}: this is from the journal in data\n");
    assert_eq!((page.code, page.stderr), (Some(0), said));
    assert!(page.stdout.contains("$0.12 +?"), "{}", page.stdout);
    let offline = place.tradewind(&["cost", "--offline", "--by", "day"]);
    assert_eq!((offline.stderr.as_str(), offline.stdout), ("", page.stdout));
    let none = place.tradewind(&["cost", "--url", &url]);
    assert!(none.stderr.starts_with(&format!("error: no gateway answers at {url}")), "{}", none.stderr);
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "who names a gateway means it");
    sim.stop().await;
}

#[test]
fn a_key_sees_its_own_and_without_one_nothing_is_read_in_its_place() {
    let place = Place::new();
    let address = free_address();
    place.file(
        "tradewind.yaml",
        &format!("listen: {address}\ndata-dir: data\nkeys: [{{name: ann, secret: tw-0123456789abcdef}}]\n"),
    );
    let mut gateway = Program::start(place.command(&["run"]));
    gateway.address();
    let refused = place.tradewind(&["cost"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("error: this gateway wants a key") && refused.stderr.contains("set TRADEWIND_KEY"),
        "{}",
        refused.stderr
    );
    let mut command = place.command(&["cost"]);
    command.env("TRADEWIND_KEY", "tw-0123456789abcdef");
    let own = Program::start(command).end();
    assert_eq!((own.code, own.stdout.as_str()), (Some(0), ""));
    assert!(own.stderr.starts_with("no call was answered since 2"), "{}", own.stderr);
}

#[test]
fn without_a_gateway_and_a_journal_there_is_a_hint() {
    let place = Place::new();
    let none = place.tradewind(&["cost", "--data-dir", "data"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        none.stderr,
        "error: there is no decision journal in data\n  = hint: start the gateway with `tradewind run`, or say with -f \
         or --data-dir whose journal is meant\n"
    );
    place.file("gateway.yaml", &format!("listen: {}\ndata-dir: data\n", free_address()));
    let none = place.tradewind(&["cost", "-f", "gateway.yaml"]);
    assert!(none.stderr.contains(", and there is no decision journal in data\n"), "{}", none.stderr);
    assert!(!place.path().join("data").exists(), "nothing is made");
    for (arguments, code, said) in [
        (&["cost", "--since", "soon"][..], 1, "error: --since `soon` is not understood"),
        (&["cost", "--since", "2999-01-01"], 1, "error: --since `2999-01-01` lies ahead"),
        (&["cost", "--by", "colour"], 2, "invalid value 'colour' for '--by <LIST>'"),
        (&["cost", "--url", "127.0.0.1:7080"], 1, "= hint: write it like http://127.0.0.1:7080"),
        (&["cost", "--url", "http://localhost", "--offline"], 2, "cannot be used with"),
    ] {
        let ended = place.tradewind(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
}
