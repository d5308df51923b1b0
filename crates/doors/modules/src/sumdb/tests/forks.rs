//! A database that shows different histories: it is found out, and what proves it is kept.

use proptest::prelude::*;
use tradewind_ledger::{Hash, TreeHead, check_prefix};

use super::world::{Server, client, kept, must_have, must_refuse, version};
use crate::sumdb::Misbehaviour;

const ONE: &str = "rsc.io/one@v1.0.0";
const TWO: &str = "rsc.io/two@v1.0.0";
const SUMMARY: &str = "SECURITY ERROR: go.sum database server misbehavior detected!";

/// The parts of a report: both notes, and the proof.
fn parts(report: &str) -> (String, String, Vec<Hash>) {
    let rest = report
        .strip_prefix("SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\t")
        .unwrap();
    let (old, rest) = rest.split_once("\n\t\nnew database:\n\t").unwrap();
    let (new, proof) = rest.split_once("\n\t\nproof of misbehavior:\n\t").unwrap();
    let proof = proof.split("\n\t").map(|hash| Hash::parse(hash).unwrap()).collect();
    (format!("{}\n", old.replace("\n\t", "\n")), format!("{}\n", new.replace("\n\t", "\n")), proof)
}

/// Whether a report proves to a stranger that the key signed trees that exclude each other.
fn proves(server: &Server, misbehaviour: &Misbehaviour) {
    assert!(misbehaviour.is_fork && misbehaviour.summary.contains(SUMMARY), "{misbehaviour:?}");
    let verifier = [tradewind_ledger::Verifier::parse(&server.signer.verifier()).unwrap()];
    let (old, new, proof) = parts(&misbehaviour.text);
    let head = |note: &str| {
        let text = tradewind_ledger::open_note(note.as_bytes(), &verifier).unwrap().text;
        TreeHead::parse(&text, "go.sum database tree").unwrap()
    };
    let (old, new) = (head(&old), head(&new));
    assert!(old.size <= new.size);
    let (implied, path) = proof.split_first().unwrap();
    assert_ne!(*implied, old.root, "the newer tree has another beginning than the older one");
    assert_eq!(check_prefix(path, TreeHead { size: old.size, root: *implied }, new), Ok(()));
}

/// Two servers that are one up to `common` records and then have others, and one more each to look up.
fn forked(common: u64, first: u64, second: u64) -> (std::sync::Arc<Server>, std::sync::Arc<Server>) {
    let left = Server::new();
    left.grow(common);
    let right = left.fork();
    left.add(ONE);
    right.add(TWO);
    left.grow(first);
    // Other names, other hashes: the numbers are those of another size.
    right.add_text("rsc.io/filler@v1.0.0", "other\n");
    right.grow(second);
    (left, right)
}

#[tokio::test]
async fn every_kind_of_fork_is_found_out() {
    for (common, first, second) in [
        // Of the same size; the second one smaller; the second one larger; far apart, over several tiles; from the start.
        (5, 3, 2),
        (5, 7, 0),
        (5, 0, 9),
        (300, 600, 20),
        (300, 20, 900),
        (0, 1, 1),
        (0, 0, 1),
        (255, 1, 2),
        (256, 0, 0),
    ] {
        let (left, right) = forked(common, first, second);
        let kept = kept();
        must_have(&client(&left, &kept), ONE).await;
        let before = kept.head.lock().clone();
        // After a restart: nothing but the kept head is remembered.
        let evidence = must_refuse(&client(&right, &kept), &kept, TWO, SUMMARY).await;
        assert_eq!(*kept.head.lock(), before, "the head that was seen first stays");
        let error = client(&right, &kept).lookup(&version(TWO)).await.unwrap_err();
        proves(&left, error.misbehaviour().unwrap());
        assert!(
            evidence.contains("\nchecksum database: localhost.localdev/sumdb\nlookup: rsc.io/two@v1.0.0\n"),
            "{evidence}"
        );
        // The history that was seen first goes on.
        left.grow(3);
        must_have(&client(&left, &kept), ONE).await;
    }
}

#[tokio::test]
async fn a_fork_is_found_out_by_the_client_that_runs() {
    let (left, right) = forked(20, 10, 30);
    let kept = kept();
    let client = client(&left, &kept);
    must_have(&client, ONE).await;
    // From one request to the next the same address gives another history.
    let other = right.clone();
    left.change(move |path, _| other.honest(path));
    must_refuse(&client, &kept, TWO, SUMMARY).await;
    left.be_honest();
    left.add("rsc.io/three@v1.0.0");
    must_have(&client, "rsc.io/three@v1.0.0").await;
}

#[tokio::test]
async fn heads_of_one_size_with_two_roots_need_no_tile_to_be_found_out() {
    let (left, right) = forked(20, 10, 9);
    assert_eq!(left.size(), right.size());
    let kept = kept();
    must_have(&client(&left, &kept), ONE).await;
    right.change(|path, honest| honest.filter(|_| !path.starts_with("/tile/")));
    must_refuse(&client(&right, &kept), &kept, TWO, SUMMARY).await;
    assert_eq!(right.asked(), ["/lookup/rsc.io/two@v1.0.0"]);
}

#[tokio::test]
async fn a_signed_empty_tree_with_another_root_is_a_fork() {
    let (server, kept) = (Server::new(), kept());
    server.add(ONE);
    let client = client(&server, &kept);
    must_have(&client, ONE).await;
    let honest = String::from_utf8(server.honest("/lookup/rsc.io/one@v1.0.0").unwrap()).unwrap();
    let (record, _) = honest.split_once("\n\n").unwrap();
    for (root, is_fork) in [(server.root(1), true), (server.root(0), false)] {
        let note = server.signer.sign(&format!("go.sum database tree\n0\n{root}\n"));
        let answer = [format!("{record}\n\n").as_bytes(), &note].concat();
        server.answer_with("/lookup/rsc.io/one@v1.0.0", Some(answer));
        kept.lookups.lock().clear();
        let found = client.lookup(&version(ONE)).await;
        assert_eq!(found.is_err(), is_fork, "{found:?}");
    }
}

/// What Go's own client says of a fork, for the same records and the same key (x/mod/sumdb, `TestClientFork`).
#[tokio::test]
async fn the_report_is_that_of_the_go_command() {
    let left = Server::new();
    for (of, text) in [
        (
            "rsc.io/quote@v1.5.2",
            "rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=\n\
             rsc.io/quote v1.5.2/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n\
             rsc.io/quote v1.5.2 h2:xyzzy\n",
        ),
        (
            "golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c",
            "golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c h1:qgOY6WgZOaTkIIMiVjBQcw93ERBE4m30iBm00nkL0i8=\n\
             golang.org/x/text v0.0.0-20170915032832-14c0d48ead0c/go.mod h1:NqM8EUOU14njkJ3fqMW+pc6Ldnwhi/IjpwHt7yyuwOQ=\n",
        ),
        (
            "rsc.io/sampler@v1.3.0",
            "rsc.io/sampler v1.3.0 h1:7uVkIFmeBqHfdjD+gZwtXXI+RODJ2Wc4O7MPEh/QiW4=\n\
             rsc.io/sampler v1.3.0/go.mod h1:T1hPZKmBbMNahiBKFy5HrXp6adAjACjK9JXDnKaTXpA=\n",
        ),
        ("rsc.io/Quote@v1.5.2", "rsc.io/Quote v1.5.2 h1:uppercase!=\n"),
    ] {
        left.add_text(of, text);
    }
    let right = left.fork();
    left.add_text("rsc.io/pkg1@v1.5.2", "rsc.io/pkg1 v1.5.2 h1:hash!=\n");
    right.add_text("rsc.io/pkg1@v1.5.3", "rsc.io/pkg1 v1.5.3 h1:hash!=\n");
    right.add_text("rsc.io/pkg1@v1.5.4", "rsc.io/pkg1 v1.5.4 h1:hash!=\n");
    let kept = kept();
    let client = client(&right, &kept);
    right.freeze("rsc.io/sampler@v1.3.0", 6);
    assert!(client.lookup(&version("rsc.io/sampler@v1.3.0")).await.is_ok());
    right.answer_with("/lookup/rsc.io/pkg1@v1.5.2", left.honest("/lookup/rsc.io/pkg1@v1.5.2"));
    let error = client.lookup(&version("rsc.io/pkg1@v1.5.2")).await.unwrap_err();
    assert_eq!(
        error.misbehaviour().unwrap().text,
        "SECURITY ERROR
go.sum database server misbehavior detected!

old database:
\tgo.sum database tree
\t5
\tnWzN20+pwMt62p7jbv1/NlN95ePTlHijabv5zO/s36w=
\t
\t\u{2014} localhost.localdev/sumdb AAAMZ5/2FVAdMH58kmnz/0h299pwyskEbzDzoa2/YaPdhvLya4YWDFQQxu2TQb5GpwAH4NdWnTwuhILafisyf3CNbgg=
\t
new database:
\tgo.sum database tree
\t6
\twc4SkQt52o5W2nQ8To2ARs+mWuUJjss+sdleoiqxMmM=
\t
\t\u{2014} localhost.localdev/sumdb AAAMZ6oRNswlEZ6ZZhxrCvgl1MBy+nusq4JU+TG6Fe2NihWLqOzb+y2c2kzRLoCr4tvw9o36ucQEnhc20e4nA4Qc/wc=
\t
proof of misbehavior:
\tT7i+H/8ER4nXOiw4Bj0koZOkGjkxoNvlI34GpvhHhQg=
\tNsuejv72de9hYNM5bqFv8rv3gm3zJQwv/DT/WNbLDLA=
\tmOmqqZ1aI/lzS94oq/JSbj7pD8Rv9S+xDyi12BtVSHo=
\t/7Aw5jVSMM9sFjQhaMg+iiDYPMk6decH7QLOGrL9Lx0="
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the sizes, and in whatever order answers of both histories come: the first one that does not belong to what
    /// was seen before is refused, with proof, and nothing before it.
    #[test]
    fn the_first_head_of_another_history_is_refused(
        common in 0..300_u64,
        steps in prop::collection::vec((any::<bool>(), 0..40_u64, any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let kept = kept();
            let left = Server::new();
            left.add(ONE);
            left.grow(common);
            let right = left.fork();
            right.add_text("rsc.io/filler@v1.0.0", "other\n");
            left.add_text("rsc.io/filler@v1.0.0", "one\n");
            let mut running = client(&left, &kept);
            let mut seen = None;
            for (is_right, growth, restarts) in steps {
                let server = if is_right { &right } else { &left };
                server.grow(growth);
                kept.lookups.lock().clear();
                if restarts || seen != Some(is_right) {
                    running = client(server, &kept);
                }
                let found = running.lookup(&version(ONE)).await;
                match seen {
                    Some(first) if first != is_right => {
                        proves(&left, found.unwrap_err().misbehaviour().unwrap());
                        running = client(if first { &right } else { &left }, &kept);
                    }
                    _ => {
                        assert!(found.is_ok(), "{found:?}");
                        seen = Some(is_right);
                    }
                }
            }
        });
    }
}
