//! `tradewind explain` against a gateway, against nobody, and against something else.

use serde_json::Value;
use tradewind_sim::{Sim, SimOptions};

use crate::program::{Place, Program, chat};

const NOBODYS: &str = "1m802kx130000";

#[test]
fn a_decision_is_explained_and_given_as_json() {
    let place = Place::new();
    place.file("tradewind.yaml", "listen: 127.0.0.1:0\ndata-dir: data\nmodels: [{name: a, last-resort: rules}]\n");
    let mut gateway = Program::start(place.command(&["run"]));
    let address = gateway.address();
    let url = format!("http://{address}");
    let answer = chat(address, "a");
    let id = answer.header("x-tradewind-decision").unwrap();

    let page = place.tradewind(&["explain", id, "--url", &url]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.starts_with(&format!("decision {id}  ")), "{}", page.stdout);
    assert!(
        page.stdout.contains("rules/rules answered as the last resort: no target could be tried"),
        "{}",
        page.stdout
    );

    let json = place.tradewind(&["explain", id, "--url", &url, "--json"]);
    let record: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&record["id"], &record["outcome"]), (&id.into(), &"last_resort".into()));

    let unknown = place.tradewind(&["explain", NOBODYS, "--url", &url]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(
        unknown.stderr.starts_with(&format!("error: there is no record of the decision {NOBODYS}")),
        "{}",
        unknown.stderr
    );

    let nonsense = place.tradewind(&["explain", "nonsense", "--url", &url]);
    assert_eq!(nonsense.code, Some(2));
    assert!(nonsense.stderr.contains("`nonsense` is not a decision id"), "{}", nonsense.stderr);
}

#[test]
fn without_a_gateway_there_is_a_hint() {
    let place = Place::new();
    let refused = tradewind_sim::RefusedPort::bind().unwrap();
    let free = refused.address();
    let ended = place.tradewind(&["explain", NOBODYS, "--url", &format!("http://{free}")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.starts_with(&format!("error: no gateway answers at http://{free}")), "{}", ended.stderr);
    assert!(ended.stderr.contains("= hint: start the gateway with `tradewind run`"), "{}", ended.stderr);

    let ended = place.tradewind(&["explain", NOBODYS, "--url", "127.0.0.1:7080"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("= hint: write it like http://127.0.0.1:7080"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_is_not_taken_for_a_gateway() {
    let sim = Sim::start(SimOptions::named("other")).await.unwrap();
    let ended = Place::new().tradewind(&["explain", NOBODYS, "--url", &sim.base_url()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("is not Tradewind"), "{}", ended.stderr);
    sim.stop().await;
}
