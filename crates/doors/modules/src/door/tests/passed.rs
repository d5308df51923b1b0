//! What a checksum database says through here: checked before it is passed on, where this mount checks with it.

use std::sync::Arc;
use std::time::Duration;

use super::origin::{KEY, NAME, Origin, Said, lines_of};
use super::rig::Rig;
use crate::sumdb::Source as _;
use crate::sumdb::tests::Server;

const FILES: [(&str, &str); 1] = [("go.mod", "module example.com/a\n")];
const A: &str = "example.com/a@v1.0.0";
const FULL: &str = "tile/8/0/000";

/// An upstream that passes requests on to a database of 306 records, one of them of A.
async fn database() -> (Origin, Arc<Server>) {
    let origin = Origin::start().await;
    let zip = origin.has(A, &FILES);
    let sumdb = Server::new();
    sumdb.grow(5);
    sumdb.add_text(A, &lines_of(A, &zip, FILES[0].1));
    sumdb.grow(300);
    origin.passes_on(&sumdb);
    (origin, sumdb)
}

async fn checking(origin: &Origin) -> Rig {
    Rig::start(&format!("{{upstream: \"{}\", sumdb: \"{KEY}\"}}", origin.url())).await
}

fn path(what: &str) -> String {
    format!("sumdb/{NAME}/{what}")
}

#[tokio::test]
async fn answers_of_a_database_have_their_type_and_age() {
    let (origin, _sumdb) = database().await;
    let rig = checking(&origin).await;
    let text = "text/plain; charset=UTF-8";
    for (what, content_type, age) in [
        ("supported", text, "max-age=300"),
        ("latest", text, "no-cache"),
        ("lookup/example.com/a@v1.0.0", text, "max-age=3600"),
        (FULL, "application/octet-stream", "max-age=31536000, immutable"),
        ("tile/8/0/001.p/50", "application/octet-stream", "max-age=31536000, immutable"),
        ("tile/8/1/000.p/1", "application/octet-stream", "max-age=31536000, immutable"),
    ] {
        let got = rig.get(&path(what)).await;
        assert_eq!((got.status, got.header("content-type")), (200, content_type), "{what}: {got:?}");
        assert_eq!(got.header("cache-control"), age, "{what}");
    }
}

#[tokio::test]
async fn a_forged_tile_is_neither_given_nor_kept() {
    let (origin, sumdb) = database().await;
    let rig = checking(&origin).await;
    for forged in ["tile/8/0/000", "tile/8/0/001.p/50", "tile/8/1/000.p/1"] {
        sumdb.change(move |path, honest| {
            let mut bytes = honest?;
            if path == format!("/{forged}") {
                bytes[7] ^= 1;
            }
            Some(bytes)
        });
        let got = rig.get(&path(forged)).await;
        assert_eq!(got.status, 403, "{forged}: {got:?}");
        assert!(got.text().contains("inconsistent tile"), "{got:?}");
        assert_eq!(rig.store().kept_tile(NAME, forged.parse().unwrap()), None, "{forged}");
    }
    assert!(!rig.store().evidence_against(NAME).unwrap().is_empty());
    sumdb.be_honest();
    for honest in ["tile/8/0/000", "tile/8/0/001.p/50", "tile/8/1/000.p/1"] {
        let got = rig.get(&path(honest)).await;
        let wanted = sumdb.get(&format!("/{honest}")).await.unwrap();
        assert_eq!((got.status, got.body), (200, wanted), "{honest}");
    }
}

#[tokio::test]
async fn a_tile_that_is_damaged_on_the_disk_is_asked_for_again() {
    let (origin, sumdb) = database().await;
    let rig = checking(&origin).await;
    let honest = rig.get(&path(FULL)).await.body;
    let tile = FULL.parse().unwrap();
    rig.store().put_tile(NAME, tile, &vec![0; honest.len()].into());
    assert_eq!(rig.get(&path(FULL)).await.body, honest);
    assert_eq!(rig.store().kept_tile(NAME, tile), Some(honest));
    assert!(rig.store().evidence_against(NAME).unwrap().is_empty(), "nobody did wrong");
    drop(sumdb);
}

#[tokio::test]
async fn a_head_that_does_not_continue_the_last_one_is_not_passed_on() {
    let (origin, sumdb) = database().await;
    let rig = checking(&origin).await;
    assert_eq!(rig.get(&path("latest")).await.status, 200);
    let other = Server::new();
    other.grow(1);
    other.add_text("example.com/b@v1.0.0", "example.com/b v1.0.0 h1:x\n");
    other.grow(500);
    origin.passes_on(&other);
    let got = rig.get(&path("latest")).await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(got.text().contains("misbehavior detected!"), "{got:?}");
    assert!(rig.store().evidence_against(NAME).unwrap()[0].contains("proof of misbehavior"));
    origin.passes_on(&sumdb);
    assert_eq!(rig.get(&path("latest")).await.status, 200, "the history that was seen first is believed");
    sumdb.change(|path, honest| if path == "/latest" { Some(b"<html>log in</html>".to_vec()) } else { honest });
    assert_eq!(rig.get(&path("latest")).await.status, 502);
}

#[tokio::test]
async fn what_cannot_be_checked_is_given_and_kept_by_nobody() {
    let (origin, sumdb) = database().await;
    let rig = checking(&origin).await;
    // A tile of a tree that is not signed yet, one of another height, and one of records.
    for (what, length) in [("tile/8/0/005", 8192), ("tile/4/0/000", 512), ("tile/8/data/000", 77)] {
        origin.say(&format!("/{}", path(what)), Said::new(200, vec![7; length]));
        for asked in 1..3 {
            let got = rig.get(&path(what)).await;
            assert_eq!((got.status, got.header("cache-control")), (200, "no-store"), "{what}");
            assert_eq!(origin.count(&format!("/{}", path(what))), asked, "{what} is not kept");
        }
    }
    let got = rig.get(&path("tile/8/0/006")).await;
    assert_eq!(got.status, 404, "{got:?}");
    // Once the log has grown so far, the same tile is checked.
    sumdb.grow(2000);
    assert_eq!(rig.get(&path("tile/8/0/005")).await.status, 403, "it is not the one that was made up");
}

#[tokio::test]
async fn another_database_is_asked_each_time_and_kept_for_when_it_cannot_be() {
    let (origin, sumdb) = database().await;
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off}}", origin.url())).await;
    let honest = sumdb.get(&format!("/{FULL}")).await.unwrap();
    origin.say(&format!("/{}", path(FULL)), Said::new(200, vec![0; 8192]));
    assert_eq!(rig.get(&path(FULL)).await.status, 200);
    origin.say(&format!("/{}", path(FULL)), Said::new(200, honest.clone()));
    let got = rig.get(&path(FULL)).await;
    assert_eq!((&got.body, got.header("cache-control")), (&honest, "no-store"), "a bad answer is not for ever");
    origin.stop().await;
    rig.clock.go(Duration::from_secs(3600));
    assert_eq!(rig.get(&path(FULL)).await.body, honest);
}
