//! `verify: when-possible`: what was taken while the database could not say is compared as soon as it can.

use std::sync::Arc;
use std::time::Duration;

use super::origin::{KEY, NAME, Origin, Said, lines_of, zip_of};
use super::rig::Rig;
use crate::name::ModuleVersion;
use crate::store::{Checked, Tree};
use crate::sumdb::tests::Server;

const MOD: &str = "module example.com/a\n";
const FILES: [(&str, &str); 2] = [("go.mod", MOD), ("a.go", "package a\n")];
const A: &str = "example.com/a@v1.0.0";
const ZIP: &str = "example.com/a/@v/v1.0.0.zip";
const LOOKUP: &str = "/sumdb/localhost.localdev/sumdb/lookup/example.com/a@v1.0.0";

/// A gateway whose upstream passes no lookup on at first, and the database that it could pass them on to.
async fn silent(section: &str) -> (Rig, Origin, Arc<Server>) {
    let origin = Origin::start().await;
    let zip = origin.has(A, &FILES);
    let sumdb = Server::new();
    sumdb.add_text(A, &lines_of(A, &zip, MOD));
    origin.passes_on(&sumdb);
    sumdb.change(|_, _| None);
    let rig =
        Rig::start(&format!("{{upstream: \"{}\", sumdb: \"{KEY}\", verify: when-possible{section}}}", origin.url()))
            .await;
    (rig, origin, sumdb)
}

fn checked(rig: &Rig) -> Option<Checked> {
    let stored = rig.store().version(&Tree::new("go"), &ModuleVersion::parse(A).unwrap());
    stored.map(|manifest| manifest.checked.clone())
}

#[tokio::test]
async fn what_agrees_is_as_good_as_if_it_had_been_checked_at_once() {
    let (rig, origin, sumdb) = silent("").await;
    assert_eq!(rig.get(ZIP).await.status, 200);
    assert_eq!(checked(&rig), Some(Checked::Unreached));
    // It is asked again at most every `cache.missing`.
    assert_eq!(rig.get(ZIP).await.status, 200);
    let asked = origin.count(LOOKUP);
    for _ in 0..3 {
        assert_eq!(rig.get(ZIP).await.status, 200);
    }
    rig.clock.go(Duration::from_secs(31));
    let nothing = [("disable-module-fetch", "true")];
    assert_eq!(rig.ask(http::Method::GET, &format!("/go/{ZIP}"), &nothing).await.status, 200);
    assert_eq!((origin.count(LOOKUP), checked(&rig)), (asked, Some(Checked::Unreached)));
    sumdb.be_honest();
    rig.clock.go(Duration::from_secs(31));
    assert_eq!(rig.get(ZIP).await.status, 200);
    assert_eq!(checked(&rig), Some(Checked::Sumdb(NAME.to_owned())));
    assert_eq!(origin.count("/example.com/a/@v/v1.0.0.zip"), 1, "it is not fetched again");
    // Also for the next start.
    let folder = rig.stop().await;
    let rig = Rig::of_document(&format!("modules: {{upstream: off, sumdb: \"{KEY}\"}}"), folder).await;
    assert_eq!(rig.get(ZIP).await.status, 200, "it is what `required` asks for");
}

#[tokio::test]
async fn what_disagrees_is_taken_out_of_the_store() {
    let (rig, origin, sumdb) = silent("").await;
    let of = ModuleVersion::parse(A).unwrap();
    let good = zip_of(&of, &FILES);
    let evil = zip_of(&of, &[FILES[0], ("a.go", "package evil\n")]);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, evil.clone()));
    assert_eq!(rig.get(ZIP).await.body, evil, "nobody could say better");
    sumdb.be_honest();
    let got = rig.get(ZIP).await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(got.text().contains("checksum mismatch"), "{got:?}");
    assert_eq!(checked(&rig), None);
    assert!(rig.store().refused(&Tree::new("go"), &of).unwrap().reason.contains("checksum mismatch"));
    // What is honest later is given later.
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, good.clone()));
    rig.clock.go(Duration::from_secs(31));
    assert_eq!(rig.get(ZIP).await.body, good);
    assert_eq!(checked(&rig), Some(Checked::Sumdb(NAME.to_owned())));
}

#[tokio::test]
async fn the_same_holds_for_a_go_mod_without_its_zip() {
    for (kept, status) in [(MOD, 200), ("module example.com/a // evil\n", 403)] {
        let (rig, origin, sumdb) = silent(", cache: {fetch: asked}").await;
        origin.say("/example.com/a/@v/v1.0.0.mod", Said::new(200, kept));
        assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.text(), kept);
        sumdb.be_honest();
        let got = rig.get("example.com/a/@v/v1.0.0.mod").await;
        assert_eq!(got.status, status, "{got:?}");
        let asked = origin.count(LOOKUP);
        assert_eq!(
            rig.get("example.com/a/@v/v1.0.0.info").await.status,
            200,
            "it says nothing that anybody vouches for"
        );
        assert_eq!(origin.count(LOOKUP), asked, "it is known by now");
    }
}

#[tokio::test]
async fn nobody_waits_long_for_a_database_that_does_not_answer() {
    let (rig, origin, _sumdb) = silent("").await;
    assert_eq!(rig.get(ZIP).await.status, 200);
    let before = origin.count(LOOKUP);
    origin.say(LOOKUP, Said { gate: Some(0), ..Said::new(200, "never") });
    let begun = rig.clock.clone();
    let at = tradewind_core::Clock::now(&*begun);
    for _ in 0..5 {
        assert_eq!(rig.get(ZIP).await.status, 200);
    }
    let waited = tradewind_core::Clock::now(&*begun).since(at);
    // Two seconds for the first, on however busy a machine.
    assert!(waited < Duration::from_secs(15), "{waited:?} for five");
    origin.until(LOOKUP, before + 1).await;
    assert_eq!(origin.count(LOOKUP), before + 1);
    origin.open_gate();
}
