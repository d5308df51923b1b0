//! What must not get through.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tradewind_core::UnixMillis;

use super::world::{Side, Sums, laid_out, packed, unpacked, unverified, version, zip};
use crate::bundle::{BundleError, Contents, Imported, Wanted, export, import, plan};
use crate::store::Sha256;

const OF: &str = "example.com/a@v1.0.0";
const ZIP: &str = "cache/download/example.com/a/@v/v1.0.0.zip";
const MOD: &str = "cache/download/example.com/a/@v/v1.0.0.mod";
const LOOKUP: &str = "cache/download/sumdb/sum.example.com/db/lookup/example.com/a@v1.0.0";

async fn bundle() -> (Side, std::sync::Arc<Sums>, BTreeMap<String, Vec<u8>>) {
    let (here, sums) = (Side::new(), Sums::new());
    here.fetch(&sums, OF, "package a").await;
    let (bundle, _) = here.export(&sums.trust(true), &[OF], "b.tar").await;
    let files = unpacked(&bundle);
    (here, sums, files)
}

fn write(path: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    packed(path, &files);
}

/// Has the manifest say what the files are now, as whoever forges a bundle would.
fn forge_manifest(files: &mut BTreeMap<String, Vec<u8>>) {
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    manifest["files"] = serde_json::json!({});
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "manifest.json") {
        let sha256 = Sha256::of(bytes).to_string();
        manifest["files"][name.as_str()] = serde_json::json!({"sha256": sha256, "size": bytes.len()});
    }
    files.insert("manifest.json".to_owned(), serde_json::to_vec(&manifest).unwrap());
}

async fn try_import(sums: &std::sync::Arc<Sums>, place: &Path) -> (Side, Result<Imported, BundleError>) {
    let there = Side::new();
    let imported = match Contents::open(place) {
        Ok(contents) => {
            import(&there.store, &there.tree, contents, &sums.trust(false), UnixMillis(0), &mut |_, _| {}).await
        }
        Err(error) => Err(error),
    };
    (there, imported)
}

#[tokio::test]
async fn forged_files_are_refused_whatever_the_manifest_says() {
    let (here, sums, honest) = bundle().await;
    let place = here.folder.path().join("forged.tar");
    let of = version(OF);
    let evil = zip(&of, &[("go.mod", "module example.com/a\n"), ("x.go", "package evil")]);
    let outside = zip(&of, &[("go.mod", "module example.com/a\n"), ("../../x.go", "package a")]);
    for (name, bytes, reason) in [
        (ZIP, evil, "its zip has another hash than sum.example.com/db has for it"),
        (ZIP, outside, ""),
        (ZIP, b"no zip".to_vec(), ""),
        (MOD, b"module example.com/b\n".to_vec(), "its go.mod has another hash than sum.example.com/db has for it"),
        (&MOD.replace(".mod", ".info"), b"{\"Version\":\"v1.0.1\"}".to_vec(), "its info is about v1.0.1"),
        (&MOD.replace(".mod", ".info"), b"{".to_vec(), "its info sent version information"),
        (LOOKUP, b"".to_vec(), ""),
        (LOOKUP, honest[LOOKUP].iter().map(|byte| if *byte == b'a' { b'b' } else { *byte }).collect(), ""),
    ] {
        let mut files = honest.clone();
        files.insert(name.to_owned(), bytes).unwrap();
        forge_manifest(&mut files);
        write(&place, &files);
        let (there, imported) = try_import(&sums, &place).await;
        let imported = imported.unwrap();
        assert_eq!((imported.stored.len(), imported.refused.len()), (0, 1), "{name}: {imported:?}");
        assert!(imported.refused[0].1.starts_with(reason), "{name}: {}", imported.refused[0].1);
        assert!(!there.has(OF), "{name}");
        assert_eq!(there.store.refused(&there.tree, &of).unwrap().reason, imported.refused[0].1);
    }
}

#[tokio::test]
async fn no_flipped_bit_and_no_cut_gets_through() {
    let (here, sums, _) = bundle().await;
    let bytes = tradewind_runtime::files::read_bytes(&here.folder.path().join("b.tar"), 1 << 20).unwrap();
    let honest = here.store.read(&here.tree, &version(OF)).unwrap();
    let place = here.folder.path().join("damaged.tar");
    let mut random = fastrand::Rng::with_seed(5);
    let mut found = 0;
    for round in 0..80 {
        let mut damaged = bytes.clone();
        if round % 8 == 0 {
            damaged.truncate(random.usize(..bytes.len()));
        } else {
            damaged[random.usize(..bytes.len())] ^= 1 << random.u8(..8);
        }
        std::io::Write::write_all(&mut std::fs::File::create(&place).unwrap(), &damaged).unwrap();
        let (there, imported) = try_import(&sums, &place).await;
        let is_found = !matches!(&imported, Ok(imported) if imported.stored.len() == 1);
        found += usize::from(is_found);
        match there.store.read(&there.tree, &version(OF)) {
            // The flip was in the padding, in a date, or in something that is not needed.
            Some(kept) => {
                assert_eq!((kept.h1, kept.mod_h1, kept.zip), (honest.h1, honest.mod_h1, honest.zip))
            }
            None => assert!(is_found, "nothing was stored and nothing said"),
        }
    }
    assert!(found > 20, "{found}");
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        start in proptest::collection::vec(any::<u8>(), 0..600),
        name in proptest::collection::vec(any::<u8>(), 1..100),
        body in proptest::collection::vec(any::<u8>(), 0..600),
        size: u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x.tar");
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(&name);
        header.set_size(size);
        header.set_cksum();
        for bytes in [start.clone(), [header.as_bytes(), body.as_slice()].concat(), [header.as_bytes(), start.as_slice()].concat()] {
            std::io::Write::write_all(&mut std::fs::File::create(&place).unwrap(), &bytes).unwrap();
            prop_assert!(Contents::open(&place).is_err());
        }
        let manifest = folder.path().join("manifest.json");
        std::io::Write::write_all(&mut std::fs::File::create(&manifest).unwrap(), &body).unwrap();
        prop_assert!(Contents::open(folder.path()).is_err());
    }
}

#[tokio::test]
async fn files_that_are_not_in_the_manifest_or_missing_are_an_error() {
    let (here, sums, honest) = bundle().await;
    let place = here.folder.path().join("x.tar");
    let mut files = honest.clone();
    files.insert("cache/download/example.com/b/@v/v1.0.0.mod".to_owned(), b"module b\n".to_vec());
    write(&place, &files);
    let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
    assert!(error.ends_with("cache/download/example.com/b/@v/v1.0.0.mod is not in the manifest"), "{error}");
    files = honest.clone();
    files.remove(ZIP);
    write(&place, &files);
    let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
    assert!(error.ends_with("v1.0.0.zip is missing"), "{error}");
    files = honest;
    files.insert("manifest.json".to_owned(), br#"{"format":"other/9","made":"","files":{},"versions":[]}"#.to_vec());
    write(&place, &files);
    let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
    assert!(error.contains("has the format \"other/9\""), "{error}");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_only_names() {
    let (here, sums, _) = bundle().await;
    let place = here.folder.path().join("x.tar");
    let of = version(OF);
    let zip = zip(&of, &[("go.mod", "module example.com/a\n")]);
    let go_mod = b"module example.com/a\n".as_slice();
    for name in
        ["../../../evil/@v/v1.0.0", "/etc/evil/@v/v1.0.0", "cache/download/../evil/@v/v1.0.0", "a\\..\\b/@v/v1.0.0"]
    {
        packed(&place, &[(&format!("{name}.mod"), go_mod), (&format!("{name}.zip"), &zip)]);
        let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
        assert!(error.ends_with("it has no versions of modules"), "{name}: {error}");
    }
    packed(&place, &[("a.b/c/@v/v1.0.0.mod", go_mod), ("a.b/c/@v/v1.0.0.mod", go_mod)]);
    let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
    assert!(error.ends_with("is there twice"), "{error}");
    let mut tar = tar::Builder::new(std::fs::File::create(&place).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "a.b/c/@v/v1.0.0.mod", "/etc/passwd").unwrap();
    drop(tar.into_inner().unwrap());
    let error = try_import(&sums, &place).await.1.unwrap_err().to_string();
    assert!(error.ends_with("an entry of the kind Symlink"), "{error}");
    // In a folder links are not followed.
    let folder = here.folder.path().join("folder");
    laid_out(&folder, &BTreeMap::from([("a.b/c/@v/v1.0.0.zip".to_owned(), zip)]));
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", folder.join("a.b/c/@v/v1.0.0.mod")).unwrap();
    let error = try_import(&sums, &folder).await.1.unwrap_err().to_string();
    assert!(error.ends_with("it has no versions of modules"), "{error}");
}

#[tokio::test]
async fn a_fork_is_refused_and_proven() {
    let (here, sums, _) = bundle().await;
    let bundle = here.folder.path().join("b.tar");
    // Another history, signed with the same key.
    let (elsewhere, other) = (Side::new(), Sums::new());
    other.grow(7);
    elsewhere.fetch(&other, "example.com/z@v1.0.0", "package z").await;
    let (forked, _) = elsewhere.export(&other.trust(true), &["example.com/z@v1.0.0"], "f.tar").await;
    let there = Side::new();
    assert_eq!(there.import(&sums.trust(false), &bundle).await.stored.len(), 1);
    // With all tiles at hand, the fork is seen; without them, it cannot be shown that it is none, which is as good.
    for online in [true, false] {
        let trust = if online { other.trust(true) } else { other.trust(false) };
        let imported = there.import(&trust, &forked).await;
        assert_eq!((imported.stored.len(), imported.refused.len()), (0, 1), "{imported:?}");
        if online {
            assert!(imported.refused[0].1.contains("SECURITY ERROR"), "{}", imported.refused[0].1);
            assert!(!there.store.evidence_against("sum.example.com/db").unwrap().is_empty());
        }
    }
    assert!(!there.has("example.com/z@v1.0.0"));
}

#[tokio::test]
async fn what_is_damaged_in_the_store_is_not_carried_away() {
    let (here, _, _) = bundle().await;
    let manifest = here.store.read(&here.tree, &version(OF)).unwrap();
    let hex = manifest.zip.sha256.to_string();
    crate::store::flip_a_bit(&here.folder.path().join("modules/blobs/sha256").join(&hex[..2]).join(&hex));
    let mut wanted = Wanted::default();
    wanted.add(version(OF));
    let found = plan(&here.store, std::slice::from_ref(&here.tree), &wanted);
    let output = here.folder.path().join("never.tar");
    let error = export(&here.store, &found, &unverified(), &output, UnixMillis(0), &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(error, BundleError::DamagedVersion(_)), "{error}");
    assert!(!output.exists());
    let left = std::fs::read_dir(here.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().starts_with(".tmp")).count(), 0);
}

#[tokio::test]
async fn tiles_that_do_not_belong_under_the_head_are_not_kept() {
    let (here, sums, honest) = bundle().await;
    let below = "cache/download/sumdb/sum.example.com/db/";
    let place = here.folder.path().join("forged.tar");
    // One that no record of this bundle needs, and one in the place of a good one.
    for (name, length) in [("tile/8/0/000", 8192), ("tile/8/0/001.p/9", 9 * 32)] {
        let mut files = honest.clone();
        files.insert(format!("{below}{name}"), vec![7; length]);
        forge_manifest(&mut files);
        write(&place, &files);
        let (there, imported) = try_import(&sums, &place).await;
        imported.unwrap();
        let kept = there.store.kept_tile("sum.example.com/db", name.parse().unwrap());
        assert_ne!(kept, Some(vec![7; length].into()), "{name}");
    }
    // Nor are any under a head that nobody signed.
    let mut files = honest.clone();
    let head = files.get_mut(&format!("{below}latest")).unwrap();
    let place_of_size = head.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    head[place_of_size] = b'9';
    files.remove(LOOKUP);
    forge_manifest(&mut files);
    write(&place, &files);
    let (there, imported) = try_import(&sums, &place).await;
    imported.unwrap();
    assert_eq!(there.store.kept_tile("sum.example.com/db", "tile/8/0/000".parse().unwrap()), None);
    assert_eq!(there.store.kept_head("sum.example.com/db").unwrap(), None);
}
