//! Answers that are kept: what the rules and the time make of them when they are given.

use std::time::Duration;

use super::origin::{Origin, Said};
use super::rig::Rig;

const MOD: (&str, &str) = ("go.mod", "module example.com/a\n");
const LIST: &str = "example.com/a/@v/list";
const LATEST: &str = "example.com/a/@latest";

fn section(origin: &Origin, more: &str) -> String {
    format!("{{upstream: \"{}\", sumdb: off{more}}}", origin.url())
}

fn says_latest(origin: &Origin, version: &str) {
    let info = format!(r#"{{"Version":"{version}","Time":"2024-05-06T07:08:09Z"}}"#);
    origin.say(&format!("/{LATEST}"), Said::new(200, info.clone()));
    origin.say("/example.com/a/@v/main.info", Said::new(200, info));
}

#[tokio::test]
async fn kept_answers_are_judged_by_the_rules_that_are_in_place() {
    let origin = Origin::start().await;
    origin.say(&format!("/{LIST}"), Said::new(200, "v1.0.0\nv1.1.0\n"));
    says_latest(&origin, "v1.1.0");
    let rig = Rig::start(&section(&origin, "")).await;
    let paths = [LIST, LATEST, "example.com/a/@v/main.info"];
    for path in paths {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    rig.reload(&section(&origin, ", rules: {deny: [\"example.com/a@v1.1.0\"]}"));
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\n");
    assert_eq!(rig.get(LATEST).await.status, 404, "the go command takes it from the list");
    assert_eq!(rig.get("example.com/a/@v/main.info").await.status, 403);
    for path in paths {
        assert_eq!(origin.count(&format!("/{path}")), 1, "{path} was fresh");
    }
    // The other way round: what the upstream said is what is kept.
    origin.stop().await;
    rig.clock.go(Duration::from_secs(3600));
    rig.reload("{upstream: off, sumdb: off}");
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\nv1.1.0\n");
}

#[tokio::test]
async fn a_clock_that_was_wrong_makes_nothing_fresh_for_ever() {
    let origin = Origin::start().await;
    origin.say(&format!("/{LIST}"), Said::new(200, "v1.0.0\n"));
    let rig = Rig::start(&section(&origin, "")).await;
    rig.clock.go(Duration::from_secs(100_000_000));
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\n");
    origin.say(&format!("/{LIST}"), Said::new(200, "v1.0.0\nv1.1.0\n"));
    // The next start has the right time.
    let folder = rig.stop().await;
    let rig = Rig::of_document(&format!("modules: {}", section(&origin, "")), folder).await;
    let got = rig.get(LIST).await;
    assert_eq!(got.text(), "v1.0.0\nv1.1.0\n");
    assert_eq!(got.header("cache-control"), "max-age=60");
    // A document that wants fresher answers means those that are kept as well.
    rig.clock.go(Duration::from_secs(10));
    rig.reload(&section(&origin, ", cache: {fresh: 5s}"));
    rig.get(LIST).await;
    assert_eq!(origin.count(&format!("/{LIST}")), 3);
}

#[tokio::test]
async fn what_stands_in_for_an_answer_is_judged_by_what_is_stored() {
    let origin = Origin::start().await;
    origin.has("example.com/a@v1.0.0", &[MOD]);
    origin.has("example.com/a@v1.1.0", &[MOD, ("LICENSE", "none of the known ones\n")]);
    let young = r#"{"Version":"v1.2.0","Time":"2999-01-01T00:00:00Z"}"#;
    origin.has("example.com/a@v1.2.0", &[MOD]);
    origin.say("/example.com/a/@v/v1.2.0.info", Said::new(200, young));
    origin.say(&format!("/{LIST}"), Said::new(404, "no list\n"));
    let rig = Rig::start(&section(&origin, "")).await;
    for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
        assert_eq!(rig.get(&format!("example.com/a/@v/{version}.zip")).await.status, 200);
    }
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\nv1.1.0\nv1.2.0\n");
    rig.reload(&section(&origin, ", rules: {min-age: 7d, leave-out-licences: [unknown]}"));
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\n");
    let only = |text: &str| text.contains("v1.0.0") && !text.contains("v1.1.0") && !text.contains("v1.2.0");
    assert!(only(rig.get("example.com/a/@v/v1.info").await.text()));
    // The upstream has no latest one: the go command chooses from the list, and not what happens to be stored.
    assert_eq!(rig.get(LATEST).await.status, 404);
    rig.reload("{upstream: off, sumdb: off, rules: {min-age: 7d, leave-out-licences: [unknown]}}");
    assert!(only(rig.get(LATEST).await.text()), "where there is nobody to ask");
    // Nor is another one the latest where the rules leave out the one that is.
    says_latest(&origin, "v1.1.0");
    rig.reload(&section(&origin, ", rules: {deny: [\"example.com/a@v1.1.0\"]}"));
    assert_eq!(rig.get(LATEST).await.status, 404);
}

#[tokio::test]
async fn a_licence_that_is_left_out_is_on_no_list_once_it_is_known() {
    let origin = Origin::start().await;
    origin.has("example.com/a@v1.0.0", &[MOD]);
    origin.has("example.com/a@v1.1.0", &[MOD, ("LICENSE", "none of the known ones\n")]);
    origin.say(&format!("/{LIST}"), Said::new(200, "v1.0.0\nv1.1.0\nv1.3.0\n"));
    says_latest(&origin, "v1.1.0");
    let rig = Rig::start(&section(&origin, ", rules: {leave-out-licences: [unknown]}")).await;
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\nv1.1.0\nv1.3.0\n", "nothing of it is here");
    for (version, status) in [("v1.0.0", 200), ("v1.1.0", 403)] {
        assert_eq!(rig.get(&format!("example.com/a/@v/{version}.zip")).await.status, status);
    }
    assert_eq!(rig.get(LIST).await.text(), "v1.0.0\nv1.3.0\n");
    assert_eq!(rig.get(LATEST).await.status, 404);
    for path in ["example.com/a/@v/main.info", "example.com/a/@v/v1.1.0.info", "example.com/a/@v/v1.1.0.mod"] {
        assert_eq!(rig.get(path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn what_the_rules_leave_out_is_in_no_catalog() {
    let origin = Origin::start().await;
    for module in ["example.com/a", "example.com/b"] {
        origin.has(&format!("{module}@v1.0.0"), &[("go.mod", "module x\n")]);
    }
    origin.has("example.com/c@v1.0.0", &[MOD, ("LICENSE", "none of the known ones\n")]);
    origin.has("example.com/d@v1.0.0", &[MOD]);
    let young = r#"{"Version":"v1.0.0","Time":"2999-01-01T00:00:00Z"}"#;
    origin.say("/example.com/d/@v/v1.0.0.info", Said::new(200, young));
    let rig = Rig::start(&section(&origin, "")).await;
    for module in ["a", "b", "c", "d"] {
        assert_eq!(rig.get(&format!("example.com/{module}/@v/v1.0.0.zip")).await.status, 200);
    }
    let rules = "deny: [example.com/a], min-age: 7d, leave-out-licences: [unknown]";
    rig.reload(&section(&origin, &format!(", rules: {{{rules}}}")));
    for path in ["catalog", "index"] {
        let got = rig.get(path).await;
        let has = ["a", "b", "c", "d"].map(|module| got.text().contains(&format!("example.com/{module}\"")));
        assert_eq!(has, [false, true, false, false], "{path}: {got:?}");
    }
}
