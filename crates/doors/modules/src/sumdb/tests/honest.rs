//! A database that tells the truth, and one that cannot be had.

use super::world::{Server, client, kept, must_have, must_refuse, sums, tiles, version};
use crate::sumdb::SumdbError;

const QUOTE: &str = "rsc.io/quote@v1.5.2";

#[tokio::test]
async fn a_lookup_gives_both_hashes_and_keeps_what_was_checked() {
    let (server, kept) = (Server::new(), kept());
    server.grow(700);
    server.add(QUOTE);
    let (found, answer) = client(&server, &kept).answer(&version(QUOTE)).await.unwrap();
    assert_eq!(found, sums(QUOTE));
    assert_eq!(Some(answer.to_vec()), server.honest("/lookup/rsc.io/quote@v1.5.2"));
    assert_eq!(server.asked(), ["/lookup/rsc.io/quote@v1.5.2", "/tile/8/1/000.p/2", "/tile/8/0/002.p/189"]);
    assert_eq!(kept.size(), Some(701));
    assert_eq!(kept.tiles.lock().len(), 2);
    assert_eq!(kept.lookups.lock().len(), 1);
    assert!(kept.evidence().is_empty());
}

#[tokio::test]
async fn what_is_kept_answers_without_a_network_after_a_restart() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.grow(700);
    server.add("rsc.io/sampler@v1.3.0");
    must_have(&client(&server, &kept), QUOTE).await;
    must_have(&client(&server, &kept), "rsc.io/sampler@v1.3.0").await;
    server.go_down(true);
    server.asked();
    let restarted = client(&server, &kept);
    must_have(&restarted, QUOTE).await;
    must_have(&restarted, "rsc.io/sampler@v1.3.0").await;
    assert_eq!(server.asked(), [""; 0]);
}

#[tokio::test]
async fn paths_and_versions_are_escaped_when_they_are_asked_for() {
    let (server, kept) = (Server::new(), kept());
    let client = client(&server, &kept);
    for of in ["github.com/Azure/SDK@v1.0.0-RC1", "github.com/x/y/v2@v2.0.0", "example.com/z@v2.0.0+incompatible"] {
        server.add(of);
        must_have(&client, of).await;
    }
    let asked = server.asked();
    assert!(asked.contains(&"/lookup/github.com/!azure/!s!d!k@v1.0.0-!r!c1".to_owned()), "{asked:?}");
    assert!(asked.contains(&"/lookup/example.com/z@v2.0.0+incompatible".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_growing_database_is_followed_and_an_older_answer_is_no_way_back() {
    let (server, kept) = (Server::new(), kept());
    let client = client(&server, &kept);
    let mut sizes = Vec::new();
    for number in 0..20 {
        server.grow(number * 7);
        server.add(&format!("example.com/m{number}@v1.0.0"));
        // Answers come from caches: every other one is signed for a tree that has grown since.
        server.freeze(&format!("example.com/m{number}@v1.0.0"), server.size());
        sizes.push(server.size());
    }
    for number in [0, 5, 19, 3, 10, 18, 1] {
        must_have(&client, &format!("example.com/m{number}@v1.0.0")).await;
        let seen = kept.size().unwrap();
        assert!(seen >= sizes[number], "the head that is kept is the last one");
    }
    assert_eq!(kept.size(), sizes.last().copied());
    assert!(kept.evidence().is_empty());
}

#[tokio::test]
async fn a_head_that_is_known_needs_no_tiles_of_its_own() {
    let (server, kept) = (Server::new(), kept());
    for number in 0..300 {
        server.add(&format!("example.com/m{number}@v1.0.0"));
    }
    let client = client(&server, &kept);
    must_have(&client, "example.com/m299@v1.0.0").await;
    server.asked();
    for number in 256..290 {
        must_have(&client, &format!("example.com/m{number}@v1.0.0")).await;
    }
    assert!(tiles(&server.asked()).is_empty(), "the tile of the right edge is there already");
    for number in 0..256 {
        must_have(&client, &format!("example.com/m{number}@v1.0.0")).await;
    }
    assert_eq!(Vec::from_iter(tiles(&server.asked())), ["/tile/8/0/000"]);
}

#[tokio::test]
async fn of_a_tile_that_has_become_full_the_beginning_is_taken() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.grow(99);
    server.freeze(QUOTE, 100);
    server.grow(600);
    // A database may throw partial tiles away once they are full.
    server.change(|path, honest| honest.filter(|_| !path.starts_with("/tile/8/0/000.p/")));
    must_have(&client(&server, &kept), QUOTE).await;
    assert_eq!(server.asked(), ["/lookup/rsc.io/quote@v1.5.2", "/tile/8/0/000.p/100", "/tile/8/0/000"]);
    let names: Vec<String> = kept.tiles.lock().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["tile/8/0/000.p/100"], "of the rest nothing was checked");
}

#[tokio::test]
async fn of_a_full_tile_that_is_kept_the_beginning_is_taken() {
    let (server, kept) = (Server::new(), kept());
    for of in ["example.com/a@v1.0.0", "example.com/b@v1.0.0"] {
        server.add(of);
    }
    server.grow(700);
    let client = client(&server, &kept);
    must_have(&client, "example.com/a@v1.0.0").await;
    server.asked();
    // An answer of long ago, whose tree ended within a tile that is full by now.
    server.freeze("example.com/b@v1.0.0", 200);
    must_have(&client, "example.com/b@v1.0.0").await;
    assert_eq!(server.asked(), ["/lookup/example.com/b@v1.0.0"]);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_cannot_be_had() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let client = client(&server, &kept);
    let error = client.lookup(&version("rsc.io/other@v1.0.0")).await.unwrap_err();
    assert!(matches!(error, SumdbError::NotThere(_)), "{error:?}");
    let text = "rsc.io/other@v1.0.0: reading localhost.localdev/sumdb/lookup/rsc.io/other@v1.0.0: 404 Not Found";
    assert_eq!(error.to_string(), text);

    server.go_down(true);
    let error = client.lookup(&version(QUOTE)).await.unwrap_err();
    assert!(matches!(error, SumdbError::Unreachable(_)), "{error:?}");

    // A tile that is not there is no word about the record.
    server.go_down(false);
    server.change(|path, honest| honest.filter(|_| !path.starts_with("/tile/")));
    let error = client.lookup(&version(QUOTE)).await.unwrap_err();
    assert!(matches!(error, SumdbError::Unreachable(_)), "{error:?}");
    assert!(kept.evidence().is_empty() && error.misbehaviour().is_none());
    assert!(kept.tiles.lock().is_empty() && kept.lookups.lock().is_empty());

    // And nothing of it is remembered.
    server.be_honest();
    must_have(&client, QUOTE).await;
}

#[tokio::test]
async fn what_is_no_answer_of_a_database_is_garbled() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let client = client(&server, &kept);
    let portal = b"<html><body>Please log in</body></html>".to_vec();
    let large = [server.honest("/lookup/rsc.io/quote@v1.5.2").unwrap(), vec![b'\n'; 70_000]].concat();
    for (path, answer) in [
        ("/lookup/rsc.io/quote@v1.5.2", portal.clone()),
        ("/lookup/rsc.io/quote@v1.5.2", Vec::new()),
        ("/lookup/rsc.io/quote@v1.5.2", large),
        ("/tile/8/0/000.p/1", portal),
        ("/tile/8/0/000.p/1", Vec::new()),
        ("/tile/8/0/000.p/1", vec![0; 31]),
        ("/tile/8/0/000.p/1", vec![0; 33]),
        ("/tile/8/0/000.p/1", vec![0; 8192 * 2]),
    ] {
        server.answer_with(path, Some(answer));
        let error = client.lookup(&version(QUOTE)).await.unwrap_err();
        assert!(matches!(error, SumdbError::Garbled(_)), "{path}: {error:?}");
        assert!(kept.tiles.lock().is_empty() && kept.lookups.lock().is_empty());
    }
    server.be_honest();
    must_have(&client, QUOTE).await;
}

#[tokio::test]
async fn only_the_lines_of_the_version_itself_count() {
    let (server, kept) = (Server::new(), kept());
    let good = super::world::lines("example.com/a@v1.0.0");
    // Whoever reads carelessly finds hashes in each of these.
    let near = [
        "example.com/a v1.0.0-pre h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "example.com/a v1.0.0/go.modx h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "example.com/ab v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "example.com/A v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        " example.com/a v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "x example.com/a v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "example.com/a  v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "example.com/a v1.0.0 h2:xyzzy\n",
    ]
    .concat();
    server.add_text("example.com/a@v1.0.0", &format!("{near}{good}{near}{good}"));
    let client = client(&server, &kept);
    must_have(&client, "example.com/a@v1.0.0").await;

    let [zip, go_mod] = [good.lines().next().unwrap(), good.lines().nth(1).unwrap()].map(|line| format!("{line}\n"));
    let other = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (version, text, file) in [
        ("v1.0.1", near.clone(), "the module"),
        ("v1.0.1", format!("{near}{zip}"), "go.mod"),
        ("v1.0.1", format!("{near}{go_mod}"), "the module"),
        ("v1.0.1", format!("{good}example.com/a v1.0.0 {other}\n"), "the module"),
        ("v1.0.1", format!("{good}example.com/a v1.0.0/go.mod {other}\n"), "go.mod"),
        ("v1.0.1", format!("example.com/a v1.0.0 h1:short\n{go_mod}"), "the module"),
        ("v1.0.1", format!("example.com/a v1.0.0\n{go_mod}"), "the module"),
        ("v1.0.1", format!("{} \n{go_mod}", zip.trim_end()), "the module"),
        ("v1.0.1", "h1:\n".to_owned(), "the module"),
    ] {
        let of = format!("example.com/a@{version}");
        server.add_text(&of, &text.replace("v1.0.0", version));
        let evidence = must_refuse(&client, &kept, &of, "checksum missing from sumdb response").await;
        let error = client.lookup(&super::world::version(&of)).await.unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        assert!(evidence.contains("SECURITY ERROR"), "{evidence}");
    }
}
