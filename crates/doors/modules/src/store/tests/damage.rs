//! Flipped bits, missing files, and what is refused.

use super::support::{Bench, commit, held, noise, of};
use crate::store::commit::flip_a_bit;
use crate::store::{Evidence, Limits, Refusal, StoreError, Tree, Zip};

#[test]
fn a_flipped_bit_in_a_zip_is_found_and_put_into_quarantine() {
    let bench = Bench::new(Limits::default());
    let bad = bench.commit("example.com/bad", "v1.0.0", &noise(1, 5000));
    let other = commit(&bench.store, &Tree::new("other"), "example.com/bad", "v1.0.0", &noise(1, 5000)).unwrap();
    let good = bench.commit("example.com/good", "v1.0.0", &noise(2, 5000));
    flip_a_bit(&bench.blob(&bad.zip));
    let mut told = Vec::new();
    let verified = bench.store.verify(&mut |done, whole| told.push((done, whole))).unwrap();
    assert_eq!(told, [(0, 10_000), (5000, 10_000), (10_000, 10_000)]);
    assert_eq!((verified.good, verified.bytes), (1, 10_000));
    let damaged: Vec<_> = verified.damaged.iter().map(|damage| (damage.tree.name(), &damage.of)).collect();
    assert_eq!(damaged, [("go", &bad.of), ("other", &other.of)]);
    assert_eq!(verified.damaged[0].reason, "its zip has another hash than when it was stored");
    // Neither from memory nor from the disk.
    assert_eq!(bench.store.version(&bench.tree, &bad.of), None);
    assert!(bench.store.version(&bench.tree, &good.of).is_some());
    let traces = bench.store.why(&bad.of).unwrap();
    assert_eq!(traces.len(), 2);
    assert!(traces[0].kept.is_none());
    let refused = traces[0].refused.as_ref().unwrap();
    assert_eq!((refused.zip, refused.evidence[0].name.as_str()), (Some(bad.zip), "manifest"));
    let aside = bench.folder.path().join("quarantine/go/example.com/bad/@v/v1.0.0.zip");
    assert_eq!(std::fs::metadata(aside).unwrap().len(), 5000);
    assert!(!bench.blob(&bad.zip).exists());
    // It can be stored again, and then both is known.
    bench.commit("example.com/bad", "v1.0.0", &noise(1, 5000));
    let traces = bench.store.why(&bad.of).unwrap();
    assert!(traces[0].kept.is_some() && traces[0].refused.is_some());
    assert_eq!(bench.store.verify(&mut |_, _| {}).unwrap().good, 2);
}

#[test]
fn a_zip_of_another_size_is_not_served() {
    let bench = Bench::new(Limits::default());
    let manifest = bench.commit("example.com/a", "v1.0.0", b"a whole zip");
    std::fs::File::options().write(true).open(bench.blob(&manifest.zip)).unwrap().set_len(4).unwrap();
    assert!(matches!(bench.store.open_zip(&bench.tree, &manifest).unwrap_err(), StoreError::Gone));
    assert_eq!(bench.store.version(&bench.tree, &manifest.of), None);
    let refused = bench.store.refused(&bench.tree, &manifest.of).unwrap();
    assert_eq!(refused.reason, "its zip in the store has 4 bytes in place of 11");
}

#[test]
fn what_is_in_memory_of_a_small_zip_is_what_it_should_be() {
    let bench = Bench::new(Limits::default());
    let (small, large) = (noise(3, 5000), noise(4, 300_000));
    let manifest = bench.commit("example.com/a", "v1.0.0", &small);
    let is_in_memory = |manifest| matches!(bench.store.zip(manifest).unwrap(), Some(Zip::InMemory(_)));
    // It comes from the disk damaged, and is not kept.
    let mut flipped = small.clone();
    flipped[77] ^= 1;
    bench.store.remember_zip(&manifest.zip, &flipped.into());
    assert!(!is_in_memory(&manifest));
    bench.store.remember_zip(&manifest.zip, &small.clone().into());
    // What happens to the file then is not seen.
    flip_a_bit(&bench.blob(&manifest.zip));
    let Some(Zip::InMemory(bytes)) = bench.store.zip(&manifest).unwrap() else { panic!("from the disk") };
    assert_eq!(bytes, small);
    // That it is there no more is, within a second.
    std::fs::remove_file(bench.blob(&manifest.zip)).unwrap();
    bench.clock.advance(std::time::Duration::from_millis(999));
    assert!(is_in_memory(&manifest));
    bench.clock.advance(std::time::Duration::from_millis(1));
    assert!(bench.store.zip(&manifest).unwrap().is_none(), "another process has put it aside");
    let manifest = bench.commit("example.com/b", "v1.0.0", &large);
    bench.store.remember_zip(&manifest.zip, &large.into());
    assert!(!is_in_memory(&manifest), "too large");
}

#[test]
fn a_version_without_its_zip_is_forgotten() {
    let bench = Bench::new(Limits::default());
    let manifest = bench.commit("example.com/a", "v1.0.0", b"zip");
    std::fs::remove_file(bench.blob(&manifest.zip)).unwrap();
    assert!(matches!(bench.store.open_zip(&bench.tree, &manifest).unwrap_err(), StoreError::Gone));
    assert!(!bench.has("example.com/a", "v1.0.0"));
    // Another process has stored it again meanwhile: then it stays.
    let again = bench.commit("example.com/a", "v1.0.0", b"zip");
    assert!(bench.store.open_zip(&bench.tree, &again).is_ok());
    std::fs::remove_file(bench.blob(&manifest.zip)).unwrap();
    let verified = bench.store.verify(&mut |_, _| {}).unwrap();
    assert_eq!(verified.damaged[0].reason, "its zip is missing");
}

#[test]
fn a_damaged_manifest_is_put_into_quarantine() {
    for (case, found_by_verify) in [("flip", false), ("cut", false), ("flip", true), ("cut", true), ("empty", true)] {
        let bench = Bench::new(Limits::default());
        let manifest = bench.commit("example.com/a", "v1.0.0", b"zip");
        let path = bench.file("example.com/a", "v1.0.0");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        match case {
            "cut" => file.set_len(100).unwrap(),
            "empty" => file.set_len(0).unwrap(),
            _ => {
                let text = tradewind_runtime::files::read_text(&path, 10_000).unwrap();
                let text = text.replace("module example.com/a", "module example.com/b");
                tradewind_runtime::files::replace_private(&path, &text).unwrap();
            }
        }
        let store = bench.reopened(Limits::default());
        if found_by_verify {
            let verified = store.verify(&mut |_, _| {}).unwrap();
            assert_eq!((verified.good, verified.damaged.len()), (0, 1), "{case}");
        }
        assert_eq!(store.version(&bench.tree, &manifest.of), None, "{case}");
        assert!(!path.exists());
        let refused = store.refused(&bench.tree, &manifest.of).unwrap();
        assert!(refused.reason.starts_with("what the store knows of it is damaged: "), "{}", refused.reason);
        // Its zip belongs to nobody now.
        assert_eq!(store.settle().unwrap().freed, 3);
        assert!(!bench.blob(&manifest.zip).exists());
    }
}

fn refusal(reason: &str, evidence: usize) -> Refusal {
    let evidence = vec![Evidence { name: "record".to_owned(), text: "ä".repeat(evidence) }];
    Refusal { reason: reason.to_owned(), evidence, upstream: "https://proxy.golang.org".to_owned() }
}

#[test]
fn what_is_refused_is_kept_with_its_reason() {
    let bench = Bench::new(Limits::default());
    let bad = of("example.com/Bad", "v1.0.0");
    let zip = held(&bench.store, b"evil").unwrap();
    bench.store.quarantine(&bench.tree, &bad, refusal("its zip has another hash", 300_000), Some(zip)).unwrap();
    let refused = bench.store.refused(&bench.tree, &bad).unwrap();
    assert_eq!(refused.reason, "its zip has another hash");
    assert_eq!(refused.at, tradewind_core::UnixMillis(super::support::START));
    assert_eq!(refused.evidence[0].text.len(), 256 << 10);
    assert_eq!(refused.zip.unwrap().size, 4);
    assert_eq!(bench.store.version(&bench.tree, &bad), None, "nothing is served from there");
    let zip = bench.folder.path().join("quarantine/go/example.com/!bad/@v/v1.0.0.zip");
    assert!(zip.exists());
    bench.store.quarantine(&bench.tree, &bad, refusal("denied", 0), None).unwrap();
    assert_eq!(bench.store.refused(&bench.tree, &bad).unwrap().reason, "denied");
    assert!(!zip.exists(), "the zip belonged to another reason");
    assert_eq!(bench.store.why(&of("example.com/bad", "v1.0.0")).unwrap().len(), 0);
}

#[test]
fn quarantine_is_bounded() {
    let bench = Bench::new(Limits { max_quarantine: 250_000, ..Limits::default() });
    for number in 0..400u64 {
        bench.clock.advance(std::time::Duration::from_secs(1));
        let bad = of("example.com/a", &format!("v1.0.{number}"));
        let zip = held(&bench.store, &noise(number, 100_000)).unwrap();
        bench.store.quarantine(&bench.tree, &bad, refusal("bad", 1), Some(zip)).unwrap();
    }
    bench.store.settle().unwrap();
    let folder = bench.folder.path().join("quarantine/go/example.com/a/@v");
    let of_kind = |kind: &str| {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(kind)).collect::<Vec<_>>()
    };
    let zips = of_kind("zip");
    assert_eq!(zips.len(), 2);
    assert!(zips.contains(&"v1.0.399.zip".to_owned()) && zips.contains(&"v1.0.398.zip".to_owned()), "{zips:?}");
    assert_eq!(of_kind("json").len(), 400, "reasons stay");
}
