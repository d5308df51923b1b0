//! There and back.

use std::io::Read;

use super::world::{NAME, Side, Sums, laid_out, private, unpacked, unverified, version};
use crate::athens::athens;
use crate::bundle::{Trust, Wanted, import, plan};
use crate::hash::{GoSum, H1};
use crate::name::{ModulePath, Patterns};
use crate::section::Verify;
use crate::store::{AnswerKey, Checked};
use tradewind_core::UnixMillis;

#[tokio::test]
async fn a_bundle_carries_versions_with_their_proofs() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    // Between them the tree grows, so that each was checked under a head of its own.
    let one = here.fetch(&sums, "github.com/Azure/x@v1.2.3", "package x").await;
    sums.grow(400);
    let two = here.fetch(&sums, "example.com/y@v0.0.0-20240506070809-0123456789ab", "package y").await;
    sums.asked();
    let names = ["github.com/Azure/x@v1.2.3", "example.com/y@v0.0.0-20240506070809-0123456789ab"];
    let (bundle, exported) = here.export(&sums.trust(false), &names, "b.tar").await;
    assert_eq!((exported.versions, exported.proven, exported.unproven.len()), (2, 2, 0), "{exported:?}");
    let files = unpacked(&bundle);
    for name in [
        "manifest.json",
        "cache/download/github.com/!azure/x/@v/v1.2.3.info",
        "cache/download/github.com/!azure/x/@v/v1.2.3.mod",
        "cache/download/github.com/!azure/x/@v/v1.2.3.zip",
        "cache/download/sumdb/sum.example.com/db/supported",
        "cache/download/sumdb/sum.example.com/db/latest",
        "cache/download/sumdb/sum.example.com/db/lookup/github.com/!azure/x@v1.2.3",
        "cache/download/sumdb/sum.example.com/db/tile/8/0/001",
    ] {
        assert!(files.contains_key(name), "{name} in {:?}", files.keys());
    }
    assert_eq!(files["cache/download/github.com/!azure/x/@v/list"], b"v1.2.3\n");
    assert_eq!(files["cache/download/example.com/y/@v/list"], b"", "no pseudo-versions");
    // All under one head.
    let size = format!("\n{}\n", sums.size());
    let heads = files.iter().filter(|(name, _)| name.contains("/lookup/"));
    assert!(heads.clone().all(|(_, answer)| String::from_utf8_lossy(answer).contains(&size)) && heads.count() == 2);

    let unpacked_folder = there.folder.path().join("unpacked");
    laid_out(&unpacked_folder, &files);
    // As a go command leaves it: no manifest, and modules beside it, among them a testdata with the files of others.
    let cache = there.folder.path().join("cache");
    laid_out(&cache, &files);
    std::fs::remove_file(cache.join("manifest.json")).unwrap();
    laid_out(&cache.join("example.com/z@v1.0.0/testdata"), &files);
    for place in [bundle, unpacked_folder.clone(), unpacked_folder.join("cache/download"), cache] {
        let there = Side::new();
        let imported = there.import(&sums.trust(false), &place).await;
        assert!(imported.refused.is_empty(), "{imported:?}");
        assert_eq!(imported.stored.len(), 2);
        assert!(imported.stored.iter().all(|stored| stored.checked == Checked::Sumdb(NAME.to_owned())));
        for manifest in [&one, &two] {
            let kept = there.store.version(&there.tree, &manifest.of).unwrap();
            assert_eq!(
                (&kept.h1, &kept.go_mod, &kept.info, kept.time),
                (&manifest.h1, &manifest.go_mod, &manifest.info, manifest.time)
            );
            let mut bytes = Vec::new();
            there.store.open_zip(&there.tree, &kept).unwrap().file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, manifest.zip.size);
        }
        let list = there.store.answer(&there.tree, &AnswerKey::List(one.of.path.clone())).unwrap();
        assert_eq!((&list.body[..], list.fetched), (&b"v1.2.3\n"[..], UnixMillis(0)), "whoever can ask does so");
        let again = there.import(&sums.trust(false), &place).await;
        assert_eq!((again.present, again.stored.len(), again.refused.len()), (2, 0, 0));
    }
    assert_eq!(sums.asked(), 0, "nobody was asked on the way");
}

#[tokio::test]
async fn a_later_bundle_continues_an_earlier_one_and_the_other_way_round() {
    let (here, sums) = (Side::new(), Sums::new());
    here.fetch(&sums, "example.com/a@v1.0.0", "package a").await;
    let (first, _) = here.export(&sums.trust(true), &["example.com/a@v1.0.0"], "1.tar").await;
    sums.grow(1000);
    here.fetch(&sums, "example.com/b@v1.0.0", "package b").await;
    let (second, _) = here.export(&sums.trust(true), &["example.com/b@v1.0.0"], "2.tar").await;
    for (one, other) in [(&first, &second), (&second, &first)] {
        let there = Side::new();
        for place in [one, other] {
            let imported = there.import(&sums.trust(false), place).await;
            assert_eq!((imported.stored.len(), imported.refused.len()), (1, 0), "{:?}", imported.refused);
        }
        assert!(there.has("example.com/a@v1.0.0") && there.has("example.com/b@v1.0.0"));
    }
}

#[tokio::test]
async fn tiles_that_are_not_kept_are_asked_for() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    here.fetch(&sums, "example.com/a@v1.0.0", "package a").await;
    std::fs::remove_dir_all(here.folder.path().join("modules/sumdb/sum.example.com%2fdb/tile")).unwrap();
    let (_, offline) = here.export(&sums.trust(false), &["example.com/a@v1.0.0"], "1.tar").await;
    assert_eq!((offline.proven, offline.unproven.len()), (0, 1));
    assert!(offline.problems[0].contains("is not kept"), "{:?}", offline.problems);
    let (bundle, online) = here.export(&sums.trust(true), &["example.com/a@v1.0.0"], "2.tar").await;
    assert_eq!((online.proven, online.problems.len()), (1, 0));
    assert_eq!(there.import(&sums.trust(false), &bundle).await.stored.len(), 1);
}

#[tokio::test]
async fn what_no_database_has_needs_a_go_sum_or_a_word() {
    let (here, sums) = (Side::new(), Sums::new());
    let manifest = here.put("corp.example.com/a@v1.0.0", "package a");
    let (bundle, exported) = here.export(&sums.trust(true), &["corp.example.com/a@v1.0.0"], "b.tar").await;
    assert_eq!((exported.proven, exported.unproven.len()), (0, 1));
    let line = |h1: &H1| format!("corp.example.com/a v1.0.0 {h1}\n");
    let mod_line = format!("corp.example.com/a v1.0.0/go.mod {}\n", manifest.mod_h1);
    let with_sum = |text: &str| Trust { go_sum: GoSum::parse(text).unwrap(), ..sums.trust(false) };
    let possible = Trust { verify: Verify::WhenPossible, ..sums.trust(false) };
    let with_both =
        Trust { private: Patterns::parse(["corp.example.com"]).unwrap(), ..with_sum(&line(&manifest.mod_h1)) };
    for (trust, checked) in [
        (sums.trust(false), Err("nobody vouches for it")),
        (Trust::default(), Err("nobody vouches for it: no checksum database is set")),
        (with_sum(&(line(&manifest.h1) + &mod_line)), Ok(Checked::GoSum)),
        // One line of the two says nothing about the other file.
        (with_sum(&line(&manifest.h1)), Err("nobody vouches for it")),
        (with_sum(&mod_line), Err("nobody vouches for it")),
        (with_sum(&(line(&manifest.mod_h1) + &mod_line)), Err("its zip has another hash than the go.sum has for it")),
        (private("corp.example.com"), Ok(Checked::Private)),
        (with_both, Err("its zip has another hash than the go.sum has for it")),
        (possible, Ok(Checked::Unreached)),
        (unverified(), Ok(Checked::Off)),
    ] {
        let there = Side::new();
        let imported = there.import(&trust, &bundle).await;
        match checked {
            Ok(checked) => assert_eq!(imported.stored[0].checked, checked),
            Err(reason) => {
                assert!(imported.refused[0].1.starts_with(reason), "{reason}: {imported:?}");
                let refused = there.store.refused(&there.tree, &manifest.of).unwrap();
                assert_eq!(
                    (refused.reason, refused.upstream.as_str()),
                    (imported.refused[0].1.clone(), "import of b.tar")
                );
            }
        }
        assert_eq!(there.has("corp.example.com/a@v1.0.0"), imported.refused.is_empty());
    }
}

#[tokio::test]
async fn a_go_mod_alone_is_enough_where_no_zip_is_named() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    let manifest = here.fetch(&sums, "example.com/a@v1.0.0", "package a").await;
    let of = &manifest.of;
    let keep = |body: &bytes::Bytes, key| {
        let answer =
            crate::store::Answer { body: body.clone(), fetched: UnixMillis(1), upstream: String::new(), checked: None };
        here.store.keep_answer(&here.tree, &key, &answer).unwrap();
    };
    keep(&manifest.info, AnswerKey::Info(of.clone()));
    keep(&manifest.go_mod, AnswerKey::Mod(of.clone()));
    std::fs::remove_dir_all(here.folder.path().join("modules/versions/go")).unwrap();
    let wanted = |line: &str| {
        let mut wanted = Wanted::default();
        wanted.add_go_sum(line).unwrap();
        wanted
    };
    let trees = [here.tree.clone()];
    let go_mod = format!("example.com/a v1.0.0/go.mod {}\n", manifest.mod_h1);
    let zip = format!("example.com/a v1.0.0 {}\n", manifest.h1);
    let other = format!("example.com/a v1.0.0/go.mod {}\n", manifest.h1);
    assert_eq!(plan(&here.store, &trees, &wanted(&zip)).missing, std::slice::from_ref(of));
    assert_eq!(plan(&here.store, &trees, &wanted(&other)).differing, std::slice::from_ref(of));
    let found = plan(&here.store, &trees, &wanted(&go_mod));
    let output = here.folder.path().join("b.tar");
    let trust = sums.trust(true);
    crate::bundle::export(&here.store, &found, &trust, &output, UnixMillis(0), &mut |_, _| {}).await.unwrap();
    for _ in 0..2 {
        let imported = there.import(&sums.trust(false), &output).await;
        assert!(imported.refused.is_empty() && imported.stored.len() + imported.present == 1);
    }
    assert!(!there.has("example.com/a@v1.0.0"));
    let kept = there.store.answer(&there.tree, &AnswerKey::Mod(of.clone())).unwrap();
    assert_eq!(kept.body, manifest.go_mod);
}

#[tokio::test]
async fn the_storage_of_athens_is_taken_in() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    let manifest = here.fetch(&sums, "github.com/Azure/x@v1.0.0", "package x").await;
    let mut zip = Vec::new();
    here.store.open_zip(&here.tree, &manifest).unwrap().file.read_to_end(&mut zip).unwrap();
    let folder = there.folder.path().join("athens");
    let files = [
        ("github.com/Azure/x/v1.0.0/go.mod", manifest.go_mod.to_vec()),
        ("github.com/Azure/x/v1.0.0/v1.0.0.info", manifest.info.to_vec()),
        ("github.com/Azure/x/v1.0.0/source.zip", zip),
        ("github.com/Azure/broken/v1.0.0/go.mod", b"module x\n".to_vec()),
    ];
    laid_out(&folder, &files.map(|(name, bytes)| (name.to_owned(), bytes)).into());
    let contents = athens(&folder).unwrap();
    assert_eq!(contents.len(), 1);
    let trust = sums.trust(true);
    let imported = import(&there.store, &there.tree, contents, &trust, UnixMillis(0), &mut |_, _| {}).await.unwrap();
    assert_eq!((imported.stored.len(), imported.refused.len()), (1, 0), "{imported:?}");
    assert_eq!(imported.stored[0].checked, Checked::Sumdb(NAME.to_owned()));
    assert_eq!(there.store.read(&there.tree, &version("github.com/Azure/x@v1.0.0")).unwrap().h1, manifest.h1);
}

#[tokio::test]
async fn lists_grow_with_each_import() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    for version in ["v1.0.0", "v1.1.0"] {
        here.fetch(&sums, &format!("example.com/a@{version}"), version).await;
        let name = format!("example.com/a@{version}");
        let (bundle, _) = here.export(&sums.trust(true), &[name.as_str()], &format!("{version}.tar")).await;
        there.import(&sums.trust(false), &bundle).await;
    }
    let key = AnswerKey::List(ModulePath::parse("example.com/a").unwrap());
    assert_eq!(&there.store.answer(&there.tree, &key).unwrap().body[..], b"v1.0.0\nv1.1.0\n");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test damages its own files")]
async fn a_damaged_tile_is_asked_for_again_when_a_bundle_is_made() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    here.fetch(&sums, "example.com/a@v1.0.0", "package a").await;
    let tiles = here.folder.path().join("modules/sumdb/sum.example.com%2fdb/tile/8/0");
    let damaged = tiles.join("001.p").read_dir().unwrap().next().unwrap().unwrap().path();
    let length = std::fs::metadata(&damaged).unwrap().len();
    std::fs::write(&damaged, vec![7; usize::try_from(length).unwrap()]).unwrap();
    let (_, offline) = here.export(&sums.trust(false), &["example.com/a@v1.0.0"], "1.tar").await;
    assert_eq!((offline.proven, offline.problems.len()), (0, 1), "{offline:?}");
    let (bundle, online) = here.export(&sums.trust(true), &["example.com/a@v1.0.0"], "2.tar").await;
    assert_eq!((online.proven, online.problems.len()), (1, 0), "{online:?}");
    assert_eq!(there.import(&sums.trust(false), &bundle).await.stored.len(), 1);
}

#[tokio::test]
async fn what_is_there_and_would_not_be_given_is_taken_anew() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    let manifest = here.fetch(&sums, "example.com/a@v1.0.0", "package a").await;
    let (bundle, _) = here.export(&sums.trust(true), &["example.com/a@v1.0.0"], "b.tar").await;
    let own = sums.trust(false);
    let possible = Trust { verify: Verify::WhenPossible, ..sums.trust(false) };
    let private = Trust { private: Patterns::parse(["example.com"]).unwrap(), ..sums.trust(false) };
    let by = |name: &str| Checked::Sumdb(name.to_owned());
    for (checked, trust, is_there) in [
        (by(NAME), &own, true),
        (Checked::GoSum, &own, true),
        (by("another"), &own, false),
        (Checked::Off, &own, false),
        (Checked::Unreached, &own, false),
        (Checked::Unreached, &possible, false),
        (Checked::Private, &own, false),
        (Checked::Private, &private, true),
        (Checked::Off, &unverified(), true),
    ] {
        let put = there.put("example.com/a@v1.0.0", "package a");
        there.store.vouch(&there.tree, &put, checked.clone()).unwrap().unwrap();
        let imported = there.import(trust, &bundle).await;
        assert_eq!(
            (imported.present, imported.stored.len()),
            (usize::from(is_there), usize::from(!is_there)),
            "{checked:?}"
        );
        let now = there.store.read(&there.tree, &manifest.of).unwrap().checked;
        assert_eq!(now, if is_there { checked.clone() } else { by(NAME) }, "{checked:?}");
    }
}

#[tokio::test]
async fn a_toolchain_is_a_module_like_others() {
    let (here, there, sums) = (Side::new(), Side::new(), Sums::new());
    let of = "golang.org/toolchain@v0.0.1-go1.25.3.linux-amd64";
    let manifest = here.fetch(&sums, of, "package toolchain").await;
    let (bundle, exported) = here.export(&sums.trust(true), &[of], "b.tar").await;
    assert_eq!((exported.versions, exported.proven), (1, 1));
    let imported = there.import(&sums.trust(false), &bundle).await;
    assert_eq!(imported.stored[0].checked, Checked::Sumdb(NAME.to_owned()), "{imported:?}");
    assert_eq!(there.store.read(&there.tree, &manifest.of).unwrap().h1, manifest.h1);
    let list = there.store.answer(&there.tree, &AnswerKey::List(manifest.of.path.clone())).unwrap();
    assert_eq!(&list.body[..], b"v0.0.1-go1.25.3.linux-amd64\n");
    // Unpacked it is what a go command reads.
    let files = unpacked(&bundle);
    assert!(files.contains_key("cache/download/golang.org/toolchain/@v/v0.0.1-go1.25.3.linux-amd64.zip"));
    assert!(files.keys().any(|name| name.ends_with("/lookup/golang.org/toolchain@v0.0.1-go1.25.3.linux-amd64")));
}
