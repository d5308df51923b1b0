//! What somebody between us and the database can try, who has no key: each is refused, and the evidence is kept.

use std::collections::BTreeMap;

use tradewind_ledger::Tile;

use super::log::Signer;
use super::world::{NAME, Server, client, forged_answer, forged_lines, kept, lines, must_have, must_refuse, version};
use crate::sumdb::SumdbError;

const QUOTE: &str = "rsc.io/quote@v1.5.2";
const LOOKUP: &str = "/lookup/rsc.io/quote@v1.5.2";

/// CVE-2026-42501: an answer that says nothing, or something about another module, was taken for "nothing to compare".
#[tokio::test]
async fn an_empty_or_unrelated_answer_is_not_nothing_to_check() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.add("rsc.io/sampler@v1.3.0");
    let client = client(&server, &kept);
    server.answer_with(LOOKUP, Some(Vec::new()));
    let error = client.lookup(&version(QUOTE)).await.unwrap_err();
    assert!(matches!(error, SumdbError::Garbled(_)), "{error:?}");
    assert!(error.to_string().starts_with("rsc.io/quote@v1.5.2: malformed record data"), "{error}");

    server.answer_with(LOOKUP, server.honest("/lookup/rsc.io/sampler@v1.3.0"));
    let evidence = must_refuse(&client, &kept, QUOTE, "checksum missing from sumdb response").await;
    let start = "verifying module: checksum missing from sumdb response\n\nSECURITY ERROR\n";
    assert!(evidence.starts_with(start), "{evidence}");
    assert!(evidence.contains("\n\trsc.io/sampler v1.3.0 h1:"), "the answer is shown: {evidence}");

    // An authenticated record without any line.
    server.be_honest();
    server.add_text("rsc.io/empty@v1.0.0", "nothing\n");
    must_refuse(&client, &kept, "rsc.io/empty@v1.0.0", "checksum missing from sumdb response").await;
    must_have(&client, QUOTE).await;
}

/// CVE-2026-56865: tiles that were never compared with their parents made any record look as if it were in the tree.
#[tokio::test]
async fn a_forged_record_with_forged_tiles_hangs_under_no_parent() {
    let (server, kept) = (Server::new(), kept());
    server.grow(100);
    let id = server.add(QUOTE);
    server.grow(700);
    let client = client(&server, &kept);
    // The log as it would be if the forged record were in it: every tile below the right edge fits the forged record.
    let mut forged = super::log::Log::default();
    for number in 0..server.size() {
        let forged_record = (number == id).then(|| forged_lines(QUOTE));
        forged.add(&forged_record.unwrap_or_else(|| format!("example.com/filler{number} v1.0.0 h1:x\n")));
    }
    let tile = |path: &str| {
        let tile: Tile = path.strip_prefix('/')?.parse().ok()?;
        let tradewind_ledger::Level::Hashes(level) = tile.level else { return None };
        forged.tile(tile.height, level, tile.index, tile.width)
    };
    let asked = ["/tile/8/0/000", "/tile/8/1/000.p/3", "/tile/8/0/003.p/33"];
    let tiles: BTreeMap<&str, Vec<u8>> = asked.into_iter().map(|path| (path, tile(path).unwrap())).collect();
    assert_ne!(tiles[asked[0]], server.honest(asked[0]).unwrap());
    assert_eq!(tiles[asked[2]], server.honest(asked[2]).unwrap());
    let answer = forged_answer(&server, QUOTE);
    // The record's own tile alone, then its parent as well, then all of them.
    for (forged, words) in [
        (vec![asked[0]], "downloaded inconsistent tile: tile/8/0/000 does not belong under its parent"),
        (vec![asked[0], asked[1]], "downloaded inconsistent tile: the right edge is not that of a tree of 801 records"),
        (asked.to_vec(), "downloaded inconsistent tile: the right edge"),
        (vec![], "cannot authenticate record data in server response"),
    ] {
        let (tiles, answer) = (tiles.clone(), answer.clone());
        server.change(move |path, honest| match path {
            LOOKUP => Some(answer.clone()),
            _ if forged.contains(&path) => tiles.get(path).cloned(),
            _ => honest,
        });
        let evidence = must_refuse(&client, &kept, QUOTE, words).await;
        assert!(evidence.contains("lookup: rsc.io/quote@v1.5.2\n"), "{evidence}");
        let shows_tile = evidence.contains("\ntile/8/0/000: ");
        assert_eq!(shows_tile, words.starts_with("downloaded"), "the tiles are shown: {evidence}");
    }
    // None of it was kept.
    server.be_honest();
    must_have(&client, QUOTE).await;
}

/// CVE-2026-56864: lines were taken from anywhere in an answer, and not from the text of its record alone.
#[tokio::test]
async fn lines_outside_of_the_record_are_no_lines() {
    let (server, kept) = (Server::new(), kept());
    server.add("rsc.io/sampler@v1.3.0");
    let client = client(&server, &kept);
    let honest = String::from_utf8(server.honest("/lookup/rsc.io/sampler@v1.3.0").unwrap()).unwrap();
    let (record, note) = honest.split_once("\n\n").unwrap();
    let evil = lines(QUOTE);
    let evil = evil.trim_end();
    let (text, signature) = note.split_once("\n\n").unwrap();

    // The database itself has signed the line, in the text of its tree head, where further lines are allowed.
    let signed = server.signer.sign(&format!("{text}\n{evil}\n"));
    let answer = [format!("{record}\n\n").as_bytes(), &signed].concat();
    server.answer_with(LOOKUP, Some(answer));
    must_refuse(&client, &kept, QUOTE, "checksum missing from sumdb response").await;

    // Nobody has signed it.
    for (answer, is_garbled) in [
        (format!("{evil}\n{honest}"), true),
        (format!("0\n{evil}\n{honest}"), false),
        (format!("{record}\n\n{evil}\n\n{note}"), false),
        (format!("{record}\n\n{evil}\n{note}"), false),
        (format!("{record}\n\n{text}\n{evil}\n\n{signature}"), false),
        (format!("{record}\n\n{text}\n\n{evil}\n\n{signature}"), false),
        (format!("{record}\n\n{text}\n\n{evil}\n{signature}"), false),
        (format!("{record}\n\n{note}{evil}\n"), false),
        (format!("{record}\n\n{note}\n{evil}\n"), false),
        (format!("{record}\n\n{note}\u{2014} {evil}\n"), false),
        (format!("{record}\n{evil}\n\n{note}"), false),
        (format!("0\n{evil}\n\n{note}"), false),
    ] {
        server.answer_with(LOOKUP, Some(answer.clone().into_bytes()));
        let error = client.lookup(&version(QUOTE)).await.unwrap_err();
        assert_eq!(matches!(error, SumdbError::Garbled(_)), is_garbled, "{answer}: {error:?}");
        assert_eq!(error.misbehaviour().is_some(), !is_garbled, "{answer}: {error:?}");
    }
    // And the module that the record is of gets nothing else either by what stands around it.
    server.answer_with("/lookup/rsc.io/sampler@v1.3.0", Some(format!("{record}\n{evil}\n\n{note}").into_bytes()));
    must_refuse(&client, &kept, "rsc.io/sampler@v1.3.0", "cannot authenticate record data in server response").await;
}

#[tokio::test]
async fn a_stripped_foreign_or_altered_signature_is_refused() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.add("rsc.io/sampler@v1.3.0");
    let client = client(&server, &kept);
    let honest = String::from_utf8(server.honest(LOOKUP).unwrap()).unwrap();
    let (record, note) = honest.split_once("\n\n").unwrap();
    let (text, signature) = note.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let same_name = Signer::new(NAME, [7; 32]);
    let other = Signer::new("sum.example.com", [7; 32]);
    let of_other_text = server.signer.signature("go.sum database tree\n1\n");
    for (note, words) in [
        (text.clone(), "reading tree note: malformed note"),
        (format!("{text}\n"), "reading tree note: malformed note"),
        (format!("{text}\n{}", other.signature(&text)), "reading tree note: note has no verifiable signatures"),
        (format!("{text}\n{}", same_name.signature(&text)), "reading tree note: note has no verifiable signatures"),
        (format!("{text}\n{}", signature.replace(NAME, "sum.golang.org")), "note has no verifiable signatures"),
        (
            format!("{text}\n{of_other_text}"),
            "reading tree note: invalid signature for key localhost.localdev/sumdb+00000c67",
        ),
        (format!("{text}\n{}{of_other_text}", other.signature(&text)), "invalid signature for key"),
        (format!("{}\n{signature}", text.replace("\n2\n", "\n1\n")), "invalid signature for key"),
        (
            String::from_utf8(server.signer.sign("another kind of tree\n2\nx\n")).unwrap(),
            "reading tree: malformed tree note",
        ),
        (
            String::from_utf8(server.signer.sign("go.sum database tree\n2\nx\n")).unwrap(),
            "reading tree: malformed tree note",
        ),
    ] {
        server.answer_with(LOOKUP, Some(format!("{record}\n\n{note}").into_bytes()));
        must_refuse(&client, &kept, QUOTE, words).await;
    }
    // Cosignatures of others do no harm, and neither does the same signature twice.
    let note = format!("{text}\n{}{signature}{signature}", other.signature(&text));
    server.answer_with(LOOKUP, Some(format!("{record}\n\n{note}").into_bytes()));
    must_have(&client, QUOTE).await;
}

#[tokio::test]
async fn a_record_beyond_the_tree_is_refused() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let client = client(&server, &kept);
    let honest = String::from_utf8(server.honest(LOOKUP).unwrap()).unwrap();
    for id in [1, 2, 256, 1 << 40, i64::MAX as u64] {
        let answer = honest.replacen("0\n", &format!("{id}\n"), 1);
        server.answer_with(LOOKUP, Some(answer.into_bytes()));
        let words = format!("rsc.io/quote@v1.5.2: cannot validate record {id} in tree of size 1");
        must_refuse(&client, &kept, QUOTE, &words).await;
    }
    // A record that the tree of the answer does not have yet.
    server.be_honest();
    let late = "rsc.io/late@v1.0.0";
    server.add(late);
    server.freeze(late, 1);
    must_refuse(&client, &kept, late, "cannot validate record 1 in tree of size 1").await;
    // It has, as soon as a later head was seen.
    server.add("rsc.io/sampler@v1.3.0");
    must_have(&client, "rsc.io/sampler@v1.3.0").await;
    must_have(&client, late).await;
}

#[tokio::test]
async fn the_evidence_of_a_hostile_answer_is_short_and_printable() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let client = client(&server, &kept);
    let honest = server.honest(LOOKUP).unwrap();
    let hostile = [&honest[..], b"\x1b[31m\x07", &vec![b'x'; 60_000]].concat();
    server.answer_with(LOOKUP, Some(hostile));
    let evidence = must_refuse(&client, &kept, QUOTE, "malformed note").await;
    assert!(evidence.len() < 20_000 && evidence.contains("\\u{1b}[31m\\u{7}"), "{evidence}");
    assert!(evidence.contains("bytes:\n\t0\n\trsc.io/quote v1.5.2 h1:"), "{evidence}");
}
