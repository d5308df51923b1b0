//! One bit of an answer changed on its way: never are other hashes believed.

use super::world::{Server, client, kept, must_have, version};

const QUOTE: &str = "rsc.io/quote@v1.5.2";

#[tokio::test]
async fn no_flipped_bit_of_any_answer_passes() {
    let (server, first) = (Server::new(), kept());
    server.grow(5);
    server.add(QUOTE);
    server.grow(300);
    must_have(&client(&server, &first), QUOTE).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 4, "{asked:?}");
    for path in asked {
        let honest = server.honest(&path).unwrap();
        // All of the answer, and some bits of each byte of the tiles.
        let bits: Vec<usize> = match path.starts_with("/tile/") {
            true => (0..honest.len()).map(|byte| byte * 8 + byte % 8).collect(),
            false => (0..honest.len() * 8).collect(),
        };
        for bit in bits {
            let mut altered = honest.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            server.answer_with(&path, Some(altered));
            let (kept, of) = (kept(), version(QUOTE));
            let found = client(&server, &kept).lookup(&of).await;
            assert!(found.is_err(), "{path}, bit {bit}: {found:?}");
            assert!(kept.lookups.lock().is_empty(), "{path}, bit {bit}");
        }
    }
}

#[tokio::test]
async fn no_piece_of_an_answer_passes() {
    let (server, first) = (Server::new(), kept());
    server.grow(5);
    server.add(QUOTE);
    server.grow(300);
    must_have(&client(&server, &first), QUOTE).await;
    for path in server.asked() {
        let honest = server.honest(&path).unwrap();
        for length in (0..honest.len()).step_by(1 + honest.len() / 700) {
            server.answer_with(&path, Some(honest[..length].to_vec()));
            let found = client(&server, &kept()).lookup(&version(QUOTE)).await;
            assert!(found.is_err(), "{length} bytes of {path}: {found:?}");
        }
    }
}
