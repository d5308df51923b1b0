//! What is kept, and what happens when it is damaged, lost, or cannot be written.

use std::io::ErrorKind;

use bytes::Bytes;

use super::world::{Server, client, kept, must_have, must_refuse, tiles, version};
use crate::sumdb::SumdbError;

const QUOTE: &str = "rsc.io/quote@v1.5.2";
const SAMPLER: &str = "rsc.io/sampler@v1.3.0";

#[tokio::test]
async fn damaged_tiles_are_fetched_again_and_replaced() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.grow(700);
    server.add(SAMPLER);
    must_have(&client(&server, &kept), QUOTE).await;
    let good = kept.tiles.lock().clone();
    let damages: [fn(&mut Vec<u8>); 4] =
        [|bytes| bytes[5] ^= 1, |bytes| bytes.truncate(40), |bytes| bytes.clear(), |bytes| bytes.push(0)];
    for damage in damages {
        for tile in good.keys() {
            let mut bytes = good[tile].to_vec();
            damage(&mut bytes);
            kept.tiles.lock().insert(*tile, bytes.into());
            must_have(&client(&server, &kept), QUOTE).await;
            assert_eq!(*kept.tiles.lock(), good, "{tile}");
        }
    }
    assert!(kept.evidence().is_empty(), "nobody did wrong");
}

#[tokio::test]
async fn damaged_tiles_are_not_believed_without_a_network() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    must_have(&client(&server, &kept), QUOTE).await;
    kept.tiles.lock().values_mut().for_each(|bytes| *bytes = Bytes::from(vec![0; bytes.len()]));
    server.go_down(true);
    let error = client(&server, &kept).lookup(&version(QUOTE)).await.unwrap_err();
    assert!(matches!(error, SumdbError::Unreachable(_)), "{error:?}");
    assert!(kept.evidence().is_empty());
}

#[tokio::test]
async fn a_damaged_lookup_is_asked_for_again_and_replaced() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    must_have(&client(&server, &kept), QUOTE).await;
    let good = kept.lookups.lock().clone();
    let of_other = String::from_utf8(good[QUOTE].to_vec()).unwrap().replace("rsc.io/quote", "rsc.io/other");
    for damaged in [Bytes::new(), good[QUOTE].slice(..100), good[QUOTE].slice(2..), of_other.into()] {
        kept.lookups.lock().insert(QUOTE.to_owned(), damaged);
        must_have(&client(&server, &kept), QUOTE).await;
        assert_eq!(*kept.lookups.lock(), good);
    }
    assert!(kept.evidence().is_empty());
}

#[tokio::test]
async fn a_fork_that_shows_in_a_kept_lookup_is_not_asked_away() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let other = Server::new();
    other.add(SAMPLER);
    other.add(QUOTE);
    must_have(&client(&other, &kept), SAMPLER).await;
    kept.lookups.lock().insert(QUOTE.to_owned(), server.honest("/lookup/rsc.io/quote@v1.5.2").unwrap().into());
    other.asked();
    let error = client(&other, &kept).lookup(&version(QUOTE)).await.unwrap_err();
    assert!(error.misbehaviour().unwrap().is_fork);
    assert_eq!(kept.evidence().len(), 1);
    assert!(!other.asked().iter().any(|path| path.starts_with("/lookup/")));
}

#[tokio::test]
async fn a_damaged_head_is_not_forgotten() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    must_have(&client(&server, &kept), QUOTE).await;
    let good = kept.head.lock().clone().unwrap();
    for damaged in [Bytes::new(), good.slice(..30), Bytes::from_static(b"x")] {
        *kept.head.lock() = Some(damaged.clone());
        let error = client(&server, &kept).lookup(&version(QUOTE)).await.unwrap_err();
        assert!(matches!(error, SumdbError::Kept(_)), "{error:?}");
        let text =
            "the last tree head kept of localhost.localdev/sumdb cannot be believed: reading tree note: malformed note";
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(*kept.head.lock(), Some(damaged), "it stays until somebody has looked at it");
    }
    *kept.head.lock() = Some(good);
    must_have(&client(&server, &kept), QUOTE).await;
}

#[tokio::test]
async fn without_a_place_to_keep_the_head_nothing_is_believed() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    let client = client(&server, &kept);
    for kind in [ErrorKind::PermissionDenied, ErrorKind::StorageFull] {
        *kept.broken.lock() = Some(kind);
        let error = client.lookup(&version(QUOTE)).await.unwrap_err();
        assert!(matches!(error, SumdbError::Kept(_)), "{error:?}");
    }
    *kept.broken.lock() = None;
    must_have(&client, QUOTE).await;

    // The disk is full from here on: what is known already is answered, what needs a later head is not.
    *kept.broken.lock() = Some(ErrorKind::StorageFull);
    must_have(&client, QUOTE).await;
    server.add(SAMPLER);
    let error = client.lookup(&version(SAMPLER)).await.unwrap_err();
    assert!(
        error.to_string().starts_with("rsc.io/sampler@v1.3.0: keeping the tree head of localhost.localdev/sumdb"),
        "{error}"
    );
    assert_eq!(kept.size(), Some(1));
    *kept.broken.lock() = None;
    // The head that could not be kept then is kept now, although it is no news any more.
    must_have(&client, SAMPLER).await;
    assert_eq!(kept.size(), Some(2));
}

#[tokio::test]
async fn the_head_of_another_process_is_taken_in() {
    let (server, kept) = (Server::new(), kept());
    server.add(QUOTE);
    server.add(SAMPLER);
    server.freeze(QUOTE, 2);
    let (first, second) = (client(&server, &kept), client(&server, &kept));
    must_have(&first, QUOTE).await;
    server.grow(500);
    must_have(&second, SAMPLER).await;
    assert_eq!(kept.size(), Some(502));
    // The first one has never seen that head, and must not put its own in its place.
    server.add("rsc.io/third@v1.0.0");
    server.freeze("rsc.io/third@v1.0.0", 503);
    server.grow(10);
    server.add("rsc.io/fourth@v1.0.0");
    must_have(&second, "rsc.io/fourth@v1.0.0").await;
    must_have(&first, "rsc.io/third@v1.0.0").await;
    assert_eq!(kept.size(), Some(514));
}

#[tokio::test]
async fn a_fork_between_two_processes_is_found_out() {
    let left = Server::new();
    left.add(QUOTE);
    let right = left.fork();
    let kept = kept();
    // Both have started before either had seen anything else.
    let (first, second) = (client(&left, &kept), client(&right, &kept));
    must_have(&first, QUOTE).await;
    must_have(&second, QUOTE).await;
    left.add(SAMPLER);
    right.add_text("rsc.io/other@v1.0.0", "other\n");
    right.add(SAMPLER);
    must_have(&first, SAMPLER).await;
    kept.lookups.lock().clear();
    must_refuse(&second, &kept, SAMPLER, "SECURITY ERROR: go.sum database server misbehavior detected!").await;
    assert_eq!(kept.size(), Some(2), "what the first one had seen stays");
}

#[tokio::test]
async fn a_kept_head_that_was_exchanged_for_one_of_another_history_is_found_out() {
    let left = Server::new();
    left.add(QUOTE);
    let right = left.fork();
    left.grow(10);
    right.add_text("rsc.io/other@v1.0.0", "other\n");
    let kept = kept();
    let client = client(&left, &kept);
    must_have(&client, QUOTE).await;
    let exchanged = Bytes::from(right.honest("/latest").unwrap());
    *kept.head.lock() = Some(exchanged.clone());
    left.add(SAMPLER);
    must_refuse(&client, &kept, SAMPLER, "misbehavior").await;
    assert_eq!(*kept.head.lock(), Some(exchanged), "it is not covered up");
}

#[tokio::test]
async fn tiles_of_a_fork_that_was_refused_do_no_harm() {
    let left = Server::new();
    left.add(QUOTE);
    left.grow(600);
    let right = left.fork();
    right.add_text("rsc.io/other@v1.0.0", "other\n");
    right.grow(300);
    right.add(SAMPLER);
    left.add(SAMPLER);
    let kept = kept();
    must_have(&client(&left, &kept), QUOTE).await;
    // They hang under a head that was signed, so that they were kept when the heads were compared.
    must_refuse(&client(&right, &kept), &kept, SAMPLER, "misbehavior").await;
    left.grow(400);
    left.asked();
    let client = client(&left, &kept);
    must_have(&client, SAMPLER).await;
    must_have(&client, QUOTE).await;
    assert!(!tiles(&left.asked()).is_empty());
}
