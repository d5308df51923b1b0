//! How much comes in at once, and that what is slow keeps nobody from anything else.

use futures_util::future::join_all;
use http::Method;

use super::origin::{Origin, Said};
use super::rig::{Rig, read};

const FILES: [(&str, &str); 2] = [("go.mod", "module example.com/a\n"), ("a.go", "package a\n")];

/// Many versions of a module, of which the files that end in `held` come only when the gate is opened.
fn many(origin: &Origin, count: usize, held: &str) -> Vec<String> {
    let version = |number: usize| {
        let zip = origin.has(&format!("example.com/a@v1.0.{number}"), &FILES);
        let path = format!("/example.com/a/@v/v1.0.{number}.{held}");
        let body = if held == "zip" { zip } else { FILES[0].1.into() };
        origin.say(&path, Said { gate: Some(1), ..Said::new(200, body) });
        format!("example.com/a/@v/v1.0.{number}.{held}")
    };
    (0..count).map(version).collect()
}

fn asked(origin: &Origin, ending: &str) -> usize {
    origin.asked().iter().filter(|asked| asked.path.ends_with(ending)).count()
}

#[tokio::test]
async fn zips_that_do_not_come_keep_nobody_from_those_of_others() {
    let (slow, inner, other) = (Origin::start().await, Origin::start().await, Origin::start().await);
    let paths = many(&slow, 40, "zip");
    inner.has("corp.example.com/b@v1.0.0", &[("go.mod", "module corp.example.com/b\n")]);
    other.has("example.com/a@v1.0.0", &FILES);
    let rig = Rig::start(&format!(
        "{{upstream: \"{}\", sumdb: off, private: {{patterns: [corp.example.com], upstream: \"{}\"}}, \
         mounts: [{{prefix: other, upstream: \"{}\"}}]}}",
        slow.url(),
        inner.url(),
        other.url()
    ))
    .await;
    let waiting = join_all(paths.iter().map(|path| rig.get(path)));
    let meanwhile = async {
        slow.until_asked(".zip", 32).await;
        assert_eq!(rig.get("other/example.com/a/@v/v1.0.0.zip").await.status, 200, "of another mount");
        assert_eq!(rig.get("corp.example.com/b/@v/v1.0.0.zip").await.status, 200, "of another upstream");
        assert_eq!(asked(&slow, ".zip"), 32, "the others wait");
        slow.open_gate();
    };
    let (got, ()) = tokio::join!(waiting, meanwhile);
    assert!(got.iter().all(|got| got.status == 200), "{got:?}");
}

#[tokio::test]
async fn a_zip_takes_no_place_before_the_rest_of_its_version_is_here() {
    let origin = Origin::start().await;
    many(&origin, 40, "mod");
    origin.has("example.com/b@v1.0.0", &[("go.mod", "module example.com/b\n")]);
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off}}", origin.url())).await;
    let zips: Vec<String> = (0..40).map(|number| format!("example.com/a/@v/v1.0.{number}.zip")).collect();
    let waiting = join_all(zips.iter().map(|path| rig.get(path)));
    let meanwhile = async {
        origin.until_asked(".mod", 40).await;
        assert_eq!(rig.get("example.com/b/@v/v1.0.0.zip").await.status, 200);
        origin.open_gate();
    };
    let (got, ()) = tokio::join!(waiting, meanwhile);
    assert!(got.iter().all(|got| got.status == 200), "{got:?}");
}

#[tokio::test]
async fn only_so_many_small_files_come_in_at_once() {
    let (origin, other) = (Origin::start().await, Origin::start().await);
    let paths = many(&origin, 80, "mod");
    other.say("/example.com/a/@v/list", Said::new(200, "v1.0.0\n"));
    let mount = format!("mounts: [{{prefix: other, upstream: \"{}\"}}]", other.url());
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off, {mount}}}", origin.url())).await;
    let waiting = join_all(paths.iter().map(|path| rig.get(path)));
    let meanwhile = async {
        origin.until_asked(".mod", 64).await;
        // As long as this takes, more would have been asked for.
        assert_eq!(rig.get("other/example.com/a/@v/list").await.status, 200);
        assert_eq!(asked(&origin, ".mod"), 64);
        origin.open_gate();
    };
    let (got, ()) = tokio::join!(waiting, meanwhile);
    assert!(got.iter().all(|got| got.status == 200), "{got:?}");
}

#[tokio::test]
async fn an_upstream_that_says_a_zip_is_longer_than_it_is_does_not_get_it_out_unchecked() {
    let origin = Origin::start().await;
    let noise: String = (0..1_500_000).map(|_| char::from(fastrand::u8(b' '..b'~'))).collect();
    let whole = origin.has("example.com/a@v1.0.0", &[FILES[0], ("noise", &noise)]);
    let mut padded = whole.to_vec();
    padded.resize(whole.len() + 64 * 1024, b'x');
    let path = "/example.com/a/@v/v1.0.0.zip";
    origin.say(path, Said { gate: Some(whole.len()), ..Said::new(200, padded) });
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off, release: streaming}}", origin.url())).await;
    let answer = rig.send(Method::GET, &format!("/go{path}"), &[]).await;
    assert_eq!(answer.head.status, 200);
    origin.open_gate();
    let got = read(answer).await;
    let directory = memchr::memmem::find(&whole, b"PK\x01\x02").unwrap();
    assert!(!got.whole && got.body.len() <= directory, "{} of {directory}", got.body.len());
    assert!(got.body.len() > 500_000 && got.body == whole[..got.body.len()], "{}", got.body.len());
    assert_eq!(rig.get(&path[1..]).await.status, 403);
}

#[tokio::test]
async fn a_zip_that_cannot_be_read_to_its_end_is_not_the_callers_fault() {
    let origin = Origin::start().await;
    let noise: String = (0..9_000_000).map(|_| char::from(fastrand::u8(b' '..b'~'))).collect();
    let whole = origin.has("example.com/a@v1.0.0", &[FILES[0], ("noise", &noise)]);
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off}}", origin.url())).await;
    let path = "/go/example.com/a/@v/v1.0.0.zip";
    assert_eq!(rig.get(&path[4..]).await.body, whole);
    let answer = rig.send(Method::GET, path, &[]).await;
    let mut folders = vec![rig.folder.path().join("modules/blobs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => std::fs::File::options().write(true).open(entry.path()).unwrap().set_len(1000).unwrap(),
            }
        }
    }
    let got = read(answer).await;
    assert!(!got.whole && got.body.len() < whole.len());
    let records = rig.records(2).await;
    assert_eq!((&records[0]["outcome"], &records[0]["code"]), (&"partial".into(), &"TW6006".into()), "{}", records[0]);
}
