//! What is put in comes out, and what is not finished leaves nothing behind.

use std::io::Read;
use std::sync::Arc;

use super::support::{Bench, TestClock, commit, held, noise, of};
use crate::name::{ModulePath, Version};
use crate::store::manifest::sample;
use crate::store::{Answer, AnswerKey, Checked, Limits, Prune, Store, StoreError, Tree, walk};
use bytes::Bytes;
use tradewind_core::UnixMillis;

#[test]
fn what_is_put_in_comes_out() {
    let bench = Bench::new(Limits::default());
    let zip = noise(1, 35_000);
    let manifest = bench.commit("github.com/Azure/x", "v1.2.3-RC1", &zip);
    assert!(bench.file("github.com/Azure/x", "v1.2.3-RC1").ends_with("go/github.com/!azure/x/@v/v1.2.3-!r!c1.json"));
    for store in [bench.store.clone(), bench.reopened(Limits::default())] {
        let read = store.version(&bench.tree, &manifest.of).unwrap();
        assert_eq!(*read, manifest);
        assert!(Arc::ptr_eq(&read, &store.version(&bench.tree, &manifest.of).unwrap()), "in memory by now");
        let mut bytes = Vec::new();
        store.open_zip(&bench.tree, &read).unwrap().file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, zip);
        let versions = store.versions_of(&bench.tree, &manifest.of.path).unwrap();
        assert_eq!(versions, [Version::parse("v1.2.3-RC1").unwrap()]);
        assert_eq!(store.version(&Tree::new("other"), &manifest.of), None, "trees do not answer for each other");
        assert_eq!(store.version(&bench.tree, &of("github.com/azure/x", "v1.2.3-RC1")), None);
    }
    let none = ModulePath::parse("example.com/none").unwrap();
    assert_eq!(bench.store.versions_of(&bench.tree, &none).unwrap(), []);
}

#[test]
fn a_warm_hit_reads_no_file() {
    let bench = Bench::new(Limits::default());
    bench.commit("example.com/a", "v1.0.0", b"zip");
    std::fs::remove_dir_all(bench.folder.path().join("versions")).unwrap();
    assert!(bench.store.version(&bench.tree, &of("example.com/a", "v1.0.0")).is_some());
    assert!(!bench.has("example.com/a", "v1.0.0"));
}

#[test]
fn what_is_not_committed_leaves_nothing_behind() {
    let bench = Bench::new(Limits { max_zip: 100, ..Limits::default() });
    let incoming = bench.folder.path().join("incoming");
    let files = || std::fs::read_dir(&incoming).unwrap().count();
    let mut unfinished = bench.store.incoming().unwrap();
    unfinished.write(&[0; 60]).unwrap();
    assert_eq!((files(), unfinished.size()), (1, 60));
    let mut read = Vec::new();
    unfinished.reader().unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), 60, "it can be read while it comes in");
    let error = unfinished.write(&[0; 41]).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { limit: 100 }), "{error}");
    drop(unfinished);
    drop(held(&bench.store, &[1; 100]).unwrap());
    assert_eq!(files(), 0);
    // What another process is writing is left alone by one that starts; what one left behind is not.
    let writing = bench.store.incoming().unwrap();
    std::fs::File::create(incoming.join("left.part")).unwrap();
    drop(bench.reopened(Limits::default()));
    assert_eq!(files(), 1);
    drop(writing);
    assert_eq!(files(), 0);
}

#[test]
fn the_same_zip_is_kept_once() {
    let bench = Bench::new(Limits::default());
    let one = bench.commit("example.com/a", "v1.0.0", b"the same");
    let other = commit(&bench.store, &Tree::new("mod/404"), "example.com/a", "v1.0.0", b"the same").unwrap();
    assert_eq!(one.zip, other.zip);
    let survey = bench.store.survey().unwrap();
    assert_eq!((survey.rows.len(), survey.blobs.len(), survey.orphaned), (2, 1, 0));
    assert_eq!(survey.rows[1].tree.name(), "mod/404");
    let manifests: u64 = survey.rows.iter().map(|row| row.bytes).sum();
    assert_eq!(survey.bytes, 8 + manifests);
}

#[test]
fn many_write_at_once() {
    let bench = Bench::new(Limits::default());
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let bench = &bench;
            scope.spawn(move || {
                for round in 0..10 {
                    // All of them the same one, and one of its own.
                    bench.commit("example.com/same", "v1.0.0", b"same");
                    bench.commit(&format!("example.com/{thread}"), &format!("v1.0.{round}"), &noise(thread, 2000));
                }
            });
        }
    });
    let verified = bench.store.verify(&mut |_, _| {}).unwrap();
    assert_eq!((verified.good, verified.damaged.len(), verified.orphaned), (81, 0, 0));
}

#[test]
fn the_last_good_answers_are_kept() {
    let bench = Bench::new(Limits::default());
    let path = ModulePath::parse("github.com/Azure/x").unwrap();
    let keys = [
        AnswerKey::List(path.clone()),
        AnswerKey::Latest(path.clone()),
        AnswerKey::Query(path.clone(), "feature/../../x".into()),
        AnswerKey::Query(path.clone(), "list".into()),
        AnswerKey::Query(path, "x".repeat(5000).into()),
        AnswerKey::Info(of("github.com/Azure/x", "v1.0.0")),
        AnswerKey::Mod(of("github.com/Azure/x", "v1.0.0")),
        AnswerKey::Sumdb { name: "db/x".into(), path: "tile/8/0/x001/234.p/5".into() },
    ];
    for (place, key) in keys.iter().enumerate() {
        assert_eq!(bench.store.answer(&bench.tree, key), None);
        let answer = Answer {
            body: Bytes::from(format!("v1.0.{place}\n")),
            fetched: UnixMillis(5000),
            upstream: "https://proxy.golang.org".to_owned(),
            checked: (place == 0).then(|| Checked::Sumdb("db".to_owned())),
        };
        bench.store.keep_answer(&bench.tree, key, &answer).unwrap();
        assert_eq!(bench.reopened(Limits::default()).answer(&bench.tree, key).as_ref(), Some(&answer));
    }
    let folder = bench.store.0.layout.answers_of(&bench.tree, &ModulePath::parse("github.com/Azure/x").unwrap());
    let mut sums = 0;
    walk::all(&bench.store.0.layout.answers(), &mut |loose| {
        sums += usize::from(loose.path.starts_with(bench.store.0.layout.answers().join("go/sumdb/db%2fx/tile")));
        assert!(sums == 1 || loose.path.parent() == Some(&folder), "{loose:?}");
    })
    .unwrap();
    assert_eq!((std::fs::read_dir(&folder).unwrap().count(), sums), (7, 1), "nothing is written elsewhere");
    // A flipped bit makes it no answer.
    let mod_file = folder.join("v1.0.0.mod.json");
    let text = tradewind_runtime::files::read_text(&mod_file, 1000).unwrap();
    tradewind_runtime::files::replace_private(&mod_file, &text.replace("v1.0.6", "v1.0.7")).unwrap();
    assert_eq!(bench.store.answer(&bench.tree, &keys[6]), None);
    assert!(bench.store.survey().unwrap().bytes > 1000, "they count");
    bench.store.prune(&Prune { to_bytes: Some(0), ..Prune::default() }, &mut |_| {}).unwrap();
    assert_eq!(bench.store.answer(&bench.tree, &keys[1]), None, "and go like versions");
    bench.store.forget_answer(&bench.tree, &keys[0]).unwrap();
    bench.store.forget_answer(&bench.tree, &keys[0]).unwrap();
    assert_eq!(bench.store.answer(&bench.tree, &keys[0]), None);
    let large = Answer {
        body: Bytes::from(vec![b'v'; (8 << 20) + 1]),
        fetched: UnixMillis(0),
        upstream: String::new(),
        checked: None,
    };
    let error = bench.store.keep_answer(&bench.tree, &keys[0], &large).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }));
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::File::create(&file).unwrap();
    let error = Store::open(&file.join("modules"), Limits::default(), TestClock::new()).unwrap_err();
    assert!(error.to_string().ends_with("file cannot be read or written"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn names_of_the_longest_kind_are_kept() {
    let bench = Bench::new(Limits::default());
    let module = format!("example.com/{}", "x".repeat(200));
    let version = format!("v1.0.0-{}", "a".repeat(230));
    let held = held(&bench.store, b"zip").unwrap();
    let manifest = sample(&module, &version, held.blob());
    assert!(bench.store.commit(&bench.tree, manifest, held).is_ok());
    assert!(bench.has(&module, &version));
}

#[test]
fn what_a_version_was_compared_with_can_be_noted_later() {
    let bench = Bench::new(Limits::default());
    let manifest = bench.commit("example.com/a", "v1.0.0", b"zip");
    let by = Checked::Sumdb("later".to_owned());
    let noted = bench.store.vouch(&bench.tree, &manifest, by.clone()).unwrap().unwrap();
    assert_eq!(noted.checked, by);
    assert_eq!(bench.store.remembered(&bench.tree, &manifest.of).unwrap().checked, by);
    let other = bench.reopened(Limits::default());
    assert_eq!(other.remembered(&bench.tree, &manifest.of), None, "nothing was asked for yet");
    assert_eq!(other.version(&bench.tree, &manifest.of).unwrap().checked, by);
    // Of one that is kept no more as it was known, nothing is said.
    assert_eq!(bench.store.vouch(&bench.tree, &manifest, Checked::GoSum).unwrap(), None);
    bench.store.withdraw(&bench.tree, &manifest.of, "it is another");
    assert_eq!(bench.store.version(&bench.tree, &manifest.of), None);
    assert_eq!(bench.store.refused(&bench.tree, &manifest.of).unwrap().reason, "it is another");
}
