//! What is refused, and what is kept of it.

use super::origin::{KEY, NAME, Origin, Said, lines_of};
use super::rig::Rig;
use crate::name::ModuleVersion;
use crate::store::{Limits, Refused, Tree};
use crate::sumdb::tests::Server;

const MOD: &str = "module example.com/a\n";
const FILES: [(&str, &str); 2] = [("go.mod", MOD), ("a.go", "package a\n")];
const A: &str = "example.com/a@v1.0.0";

async fn vouched() -> (Rig, Origin) {
    let origin = Origin::start().await;
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: \"{KEY}\"}}", origin.url())).await;
    let zip = origin.has(A, &FILES);
    let sumdb = Server::new();
    sumdb.grow(5);
    sumdb.add_text(A, &lines_of(A, &zip, MOD));
    sumdb.grow(300);
    origin.passes_on(&sumdb);
    (rig, origin)
}

/// What `modules why` tells.
fn why(rig: &Rig, of: &str) -> Option<Refused> {
    rig.store().refused(&Tree::new("go"), &ModuleVersion::parse(of).unwrap())
}

#[tokio::test]
async fn a_version_that_the_database_does_not_know_is_put_aside_with_the_reason() {
    let (rig, origin) = vouched().await;
    origin.has("example.com/b@v1.0.0", &[("go.mod", "module example.com/b\n")]);
    assert_eq!(rig.get("example.com/b/@v/v1.0.0.mod").await.status, 403);
    let refused = why(&rig, "example.com/b@v1.0.0").expect("nothing is kept");
    assert!(refused.reason.contains("does not know it") && refused.upstream == NAME, "{refused:?}");
    assert_eq!(rig.door.counted().unverified, 1);
    // What no upstream has was refused by nobody.
    assert_eq!(rig.get("example.com/b/@v/v1.0.1.mod").await.status, 404);
    assert_eq!(why(&rig, "example.com/b@v1.0.1"), None);
}

/// CVE-2026-42501: an answer that says nothing was taken for "nothing to compare".
#[tokio::test]
async fn an_answer_of_the_database_that_is_none_is_kept_as_evidence() {
    for (said, shown) in [("", "answer, 0 bytes"), ("log in first", "\tlog in first")] {
        let (rig, origin) = vouched().await;
        origin.say(&format!("/sumdb/{NAME}/lookup/{A}"), Said::new(200, said));
        let got = rig.get("example.com/a/@v/v1.0.0.mod").await;
        assert_eq!(got.status, 502, "{got:?}");
        let refused = why(&rig, A).expect("nothing is kept");
        assert!(refused.reason.contains("is no answer of"), "{refused:?}");
        assert!(refused.evidence.iter().any(|piece| piece.text.contains(shown)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_page_in_the_place_of_an_answer_covers_no_zip_that_was_put_aside() {
    let (rig, origin) = vouched().await;
    let evil = super::origin::zip_of(&ModuleVersion::parse(A).unwrap(), &[FILES[0], ("a.go", "package evil\n")]);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, evil));
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);
    assert!(why(&rig, A).is_some_and(|refused| refused.zip.is_some()));
    // Another day everything is a page.
    let section = format!("{{upstream: \"{}\", sumdb: \"{KEY} {}/portal\"}}", origin.url(), origin.url());
    origin.say(&format!("/portal/lookup/{A}"), Said::new(200, "log in first"));
    let folder = rig.stop().await;
    std::fs::remove_dir_all(folder.path().join("modules/sumdb")).unwrap();
    std::fs::remove_dir_all(folder.path().join("modules/answers")).unwrap();
    let rig = Rig::of_document(&format!("modules: {section}"), folder).await;
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.status, 502);
    assert_eq!(rig.door.counted().unverified, 1);
    assert!(why(&rig, A).is_some_and(|refused| refused.zip.is_some() && refused.reason.contains("mismatch")));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
async fn a_zip_that_is_announced_too_large_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("example.com/a/@v");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("v1.0.0.mod"), MOD).unwrap();
    std::fs::File::create(place.join("v1.0.0.zip")).unwrap().set_len(600 << 20).unwrap();
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"file://{}\"}}", folder.path().display())).await;
    let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
    assert_eq!(got.status, 403, "{got:?}");
    assert_eq!(got.text(), format!("verifying {A}: the zip is not acceptable: it is larger than 500MiB\n"));
    assert_eq!(rig.door.counted().bytes, 0, "nothing of it was read");
    let refused = why(&rig, A).expect("nothing is kept");
    assert!(got.text().starts_with(&refused.reason), "{refused:?}");
    assert_eq!(refused.evidence[0].text, "content-length: 629145600");
}

#[tokio::test]
async fn a_zip_that_turns_out_too_large_is_refused_with_the_reason() {
    let origin = Origin::start().await;
    origin.has(A, &FILES);
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"{}\"}}", origin.url())).await;
    rig.store().set_limits(Limits { max_zip: 100, ..Limits::default() });
    let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
    assert_eq!((got.status, rig.door.counted().unverified), (403, 1), "{got:?}");
    let refused = why(&rig, A).expect("nothing is kept");
    assert!(refused.reason.contains("larger than 100") && got.text().starts_with(&refused.reason), "{refused:?}");
}
