//! The disk, and those who have nothing to do with it.

use std::fs::File;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::origin::{Origin, Said};
use super::rig::Rig;
use crate::store::Tree;

const FILES: [(&str, &str); 1] = [("go.mod", "module example.com/a\n")];

/// While somebody changes the folder, who needs it for himself waits, and nobody else: one thread serves all of them here.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test damages its own files")]
async fn nobody_waits_for_the_folder_who_does_not_need_it() {
    let origin = Origin::start().await;
    for of in ["example.com/a@v1.0.0", "example.com/a@v1.1.0"] {
        origin.has(of, &FILES);
    }
    origin.say("/example.com/b/@v/list", Said::new(200, "v1.0.0\n"));
    let section = format!("modules: {{upstream: \"{}\", sumdb: off}}", origin.url());
    let rig = Rig::of_document(&section, tempfile::tempdir().unwrap()).await;
    for version in ["v1.0.0", "v1.1.0"] {
        assert_eq!(rig.get(&format!("example.com/a/@v/{version}.zip")).await.status, 200);
    }
    assert_eq!(rig.get("example.com/b/@v/list").await.status, 200);
    let rows = rig.store().survey().unwrap().rows;
    assert!(rows.iter().all(|row| row.tree == Tree::new("go")) && rows.len() == 2, "{rows:?}");
    let folder = rig.stop().await;
    // Nothing is in memory any more, and what is on the disk is damaged: that has to be put aside.
    let modules = folder.path().join("modules");
    let damaged = modules.join("versions/go/example.com/a/@v/v1.0.0.json");
    std::fs::write(&damaged, "{").unwrap();
    let blob = modules.join("blobs/sha256").join(&rows[1].zip.sha256.to_string()[..2]);
    std::fs::remove_file(blob.join(rows[1].zip.sha256.to_string())).unwrap();
    let rig = Rig::of_document(&section, folder).await;
    assert_eq!(rig.get("example.com/b/@v/list").await.status, 200);
    let held = File::open(modules.join("store.lock")).unwrap();
    held.lock_shared().unwrap();
    // Let go in any case, so that a thread that waits for it wakes up to fail.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let holding = std::thread::spawn(move || {
        let _ = ended.recv_timeout(Duration::from_secs(30));
        held.unlock().unwrap();
    });
    let mut first = Box::pin(rig.get("example.com/a/@v/v1.0.0.zip"));
    let mut second = Box::pin(rig.get("example.com/a/@v/v1.1.0.zip"));
    for _ in 0..50 {
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        let other = tokio::time::timeout(Duration::from_secs(5), rig.get("example.com/b/@v/list")).await;
        assert_eq!(other.expect("it waits for the folder").status, 200);
    }
    drop(end);
    holding.join().unwrap();
    assert_eq!((first.await.status, second.await.status), (200, 200));
}
