//! How often upstreams are asked, what is checked, and what is given when they are gone.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt as _;

use super::origin::{KEY, Origin, Said, lines_of};
use super::rig::{Rig, read};
use crate::name::ModuleVersion;
use crate::store::Tree;
use crate::sumdb::tests::Server;

const MOD: &str = "module example.com/a\n";
const FILES: [(&str, &str); 2] = [("go.mod", MOD), ("a.go", "package a\n")];
const A: &str = "example.com/a@v1.0.0";

fn noise(length: usize) -> String {
    (0..length).map(|_| char::from(fastrand::u8(b' '..b'~'))).collect()
}

async fn with(section: &str) -> (Rig, Origin) {
    let origin = Origin::start().await;
    let rig = Rig::start(&format!("{{upstream: \"{}\"{section}}}", origin.url())).await;
    (rig, origin)
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_fetch() {
    let (rig, origin) = with(", sumdb: off").await;
    let zip = origin.has(A, &FILES);
    let asked = (0..64).map(|number| {
        let file = ["zip", "mod", "info"][number % 3];
        let rig = &rig;
        async move { (file, rig.get(&format!("example.com/a/@v/v1.0.0.{file}")).await) }
    });
    for (file, got) in join_all(asked).await {
        assert_eq!(got.status, 200, "{got:?}");
        assert!(file != "zip" || got.body == zip);
    }
    for file in ["zip", "mod", "info"] {
        assert_eq!(origin.count(&format!("/example.com/a/@v/v1.0.0.{file}")), 1, "{file}");
    }
}

#[tokio::test]
async fn a_version_that_was_asked_about_is_here_whole() {
    let (rig, origin) = with(", sumdb: off").await;
    let zip = origin.has(A, &FILES);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.text(), MOD);
    // It comes without being asked for. Who asks for it meanwhile waits for it, and asks nobody else.
    origin.until("/example.com/a/@v/v1.0.0.zip", 1).await;
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    assert_eq!(origin.count("/example.com/a/@v/v1.0.0.zip"), 1);
    origin.stop().await;
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
}

#[tokio::test]
async fn where_it_is_wanted_zips_come_only_when_they_are_asked_for() {
    let (rig, origin) = with(", sumdb: off, cache: {fetch: asked}").await;
    origin.has(A, &FILES);
    for _ in 0..3 {
        assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.status, 200);
    }
    let counts = ["mod", "info", "zip"].map(|file| origin.count(&format!("/example.com/a/@v/v1.0.0.{file}")));
    assert_eq!(counts, [1, 1, 0]);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 200);
    let counts = ["mod", "info", "zip"].map(|file| origin.count(&format!("/example.com/a/@v/v1.0.0.{file}")));
    assert_eq!(counts[2], 1);
}

#[tokio::test]
async fn whoever_hangs_up_does_not_stop_the_others() {
    let (rig, origin) = with(", sumdb: off").await;
    let large = noise(300_000);
    let zip = origin.has(A, &[FILES[0], ("noise", &large)]);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said { gate: Some(1000), ..Said::new(200, zip.clone()) });
    let impatient = tokio::time::timeout(Duration::from_millis(200), rig.get("example.com/a/@v/v1.0.0.zip")).await;
    assert!(impatient.is_err());
    origin.open_gate();
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    assert_eq!(origin.count("/example.com/a/@v/v1.0.0.zip"), 1);
}

#[tokio::test]
async fn what_was_given_once_is_given_without_an_upstream() {
    let (rig, origin) = with(", sumdb: off").await;
    let zip = origin.has(A, &FILES);
    origin.say("/example.com/a/@latest", Said::new(200, r#"{"Version":"v1.0.0"}"#));
    let paths = ["@v/list", "@latest", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"];
    let mut before = Vec::new();
    for path in paths {
        before.push(rig.get(&format!("example.com/a/{path}")).await.body);
    }
    origin.stop().await;
    rig.clock.go(Duration::from_secs(3600));
    for (path, body) in paths.iter().zip(before) {
        let got = rig.get(&format!("example.com/a/{path}")).await;
        assert_eq!((got.status, got.body), (200, body), "{path}");
    }
    // Also after a start.
    let folder = rig.stop().await;
    let rig = Rig::of_document("modules: {upstream: off, sumdb: off}", folder).await;
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\n");
}

#[tokio::test]
async fn what_is_stored_stands_for_a_list_that_nobody_has() {
    let (rig, origin) = with(", sumdb: off").await;
    for version in ["v1.0.0", "v1.2.0"] {
        origin.has(&format!("example.com/a@{version}"), &FILES);
        assert_eq!(rig.get(&format!("example.com/a/@v/{version}.zip")).await.status, 200);
    }
    rig.reload("{upstream: off, sumdb: off}");
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\nv1.2.0\n");
    assert!(rig.get("example.com/a/@latest").await.text().contains("v1.2.0"));
    assert!(rig.get("example.com/a/@v/v1.info").await.text().contains("v1.2.0"));
    assert_eq!(rig.get("example.com/b/@v/list").await.status, 404);
}

#[tokio::test]
async fn who_wants_nothing_fetched_gets_what_is_here() {
    let (rig, origin) = with(", sumdb: off").await;
    origin.has(A, &FILES);
    let ask = async |path: &str| {
        rig.ask(Method::GET, &format!("/go/example.com/a/{path}"), &[("disable-module-fetch", "true")]).await
    };
    let paths = ["@v/list", "@v/v1.0.0.info", "@v/v1.0.0.mod", "@v/v1.0.0.zip"];
    for path in paths {
        let got = ask(path).await;
        assert_eq!(got.status, 404, "{path}");
        assert!(got.text().contains("Disable-Module-Fetch"), "{got:?}");
        assert_eq!(got.header("vary"), "disable-module-fetch", "nobody keeps it for others");
    }
    assert_eq!(origin.asked().len(), 0);
    for path in paths.iter().rev() {
        assert_eq!(rig.get(&format!("example.com/a/{path}")).await.status, 200);
    }
    for path in paths {
        assert_eq!(ask(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once_in_a_while() {
    let (rig, origin) = with(", sumdb: off").await;
    for _ in 0..5 {
        let got = rig.get("github.com/@v/list").await;
        assert_eq!((got.status, got.text()), (404, "not found: nobody has it\n"));
        assert_eq!(got.header("cache-control"), "max-age=30");
    }
    assert_eq!(origin.count("/github.com/@v/list"), 1);
    rig.clock.go(Duration::from_secs(31));
    origin.say("/github.com/@v/list", Said::new(200, "v1.0.0\n"));
    assert_eq!(rig.get("github.com/@v/list").await.status, 200);
}

#[tokio::test]
async fn a_list_is_asked_for_again_when_it_is_old() {
    let (rig, origin) = with(", sumdb: off").await;
    origin.say("/example.com/a/@v/list", Said::new(200, "v1.0.0\n"));
    for _ in 0..3 {
        assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\n");
    }
    origin.say("/example.com/a/@v/list", Said::new(200, "v1.0.0\nv1.1.0\n"));
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\n");
    rig.clock.go(Duration::from_secs(61));
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\nv1.1.0\n");
    assert_eq!(origin.count("/example.com/a/@v/list"), 2);
}

#[tokio::test]
async fn a_zip_that_breaks_off_goes_on_where_it_broke_off() {
    let (rig, origin) = with(", sumdb: off").await;
    let large = noise(300_000);
    let zip = origin.has(A, &[FILES[0], ("noise", &large)]);
    let cut = Said { cut: Some(100_000), ..Said::new(200, zip.clone()) }.with("etag", "\"1\"");
    origin.say("/example.com/a/@v/v1.0.0.zip", cut);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    let ranges: Vec<String> = origin.asked().iter().filter_map(|asked| asked.headers.get("range").cloned()).collect();
    assert_eq!(ranges, ["bytes=100000-"]);
}

#[tokio::test]
async fn a_zip_that_breaks_off_for_good_is_not_stored() {
    let (rig, origin) = with(", sumdb: off").await;
    let zip = origin.has(A, &FILES);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said { cut: Some(100), ..Said::new(200, zip.clone()) });
    let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
    assert_eq!(got.status, 502, "{got:?}");
    // The next one asks again.
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
}

#[tokio::test]
async fn a_bad_zip_is_refused_and_put_aside() {
    let (rig, origin) = with(", sumdb: off").await;
    origin.has(A, &FILES);
    let other = super::origin::zip_of(&ModuleVersion::parse("example.com/b@v1.0.0").unwrap(), &FILES);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, other));
    let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
    assert_eq!((got.status, got.header("content-type")), (403, "text/plain; charset=UTF-8"), "{got:?}");
    assert!(got.text().starts_with("verifying example.com/a@v1.0.0: "), "{got:?}");
    let refused = rig.store().refused(&Tree::new("go"), &ModuleVersion::parse(A).unwrap()).unwrap();
    assert!(refused.zip.is_some() && got.text().starts_with(&refused.reason), "{refused:?}");
    assert_eq!(rig.door.counted().unverified, 1);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);
    assert_eq!(origin.count("/example.com/a/@v/v1.0.0.zip"), 1, "it is not fetched for each who asks");
}

/// A database with the lines of A, and who passes requests on to it.
async fn vouched(section: &str) -> (Rig, Origin, std::sync::Arc<Server>) {
    let (rig, origin) = with(&format!(", sumdb: \"{KEY}\"{section}")).await;
    let zip = origin.has(A, &FILES);
    let sumdb = Server::new();
    sumdb.grow(5);
    sumdb.add_text(A, &lines_of(A, &zip, MOD));
    sumdb.grow(300);
    origin.passes_on(&sumdb);
    (rig, origin, sumdb)
}

#[tokio::test]
async fn what_the_database_vouches_for_is_given() {
    let (rig, _origin, _sumdb) = vouched("").await;
    for file in ["info", "mod", "zip"] {
        let got = rig.get(&format!("example.com/a/@v/v1.0.0.{file}")).await;
        assert_eq!(got.status, 200, "{file}: {got:?}");
    }
    let manifest = rig.store().version(&Tree::new("go"), &ModuleVersion::parse(A).unwrap()).unwrap();
    assert_eq!(manifest.checked, crate::store::Checked::Sumdb("localhost.localdev/sumdb".to_owned()));
}

#[tokio::test]
async fn another_go_mod_or_zip_than_the_database_has_is_refused() {
    let (rig, origin, _sumdb) = vouched("").await;
    origin.say("/example.com/a/@v/v1.0.0.mod", Said::new(200, "module example.com/a\n\n"));
    let got = rig.get("example.com/a/@v/v1.0.0.mod").await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(got.text().contains("example.com/a@v1.0.0/go.mod: checksum mismatch"), "{got:?}");
    assert!(got.text().contains("SECURITY ERROR") && !got.text().contains("\n\n"), "{got:?}");
    // Its info is as good as ever, and the zip is not given without a go.mod.
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.info").await.status, 200);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);

    let (rig, origin, _sumdb) = vouched("").await;
    let evil = super::origin::zip_of(&ModuleVersion::parse(A).unwrap(), &[FILES[0], ("a.go", "package evil\n")]);
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, evil));
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.status, 200);
    let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(got.text().contains("verifying example.com/a@v1.0.0: checksum mismatch"), "{got:?}");
    assert!(rig.store().version(&Tree::new("go"), &ModuleVersion::parse(A).unwrap()).is_none());
}

#[tokio::test]
async fn what_was_taken_on_trust_is_checked_when_the_document_comes_to_ask_for_it() {
    let (rig, origin, _sumdb) = vouched(", cache: {fetch: asked}").await;
    let section = |verify: &str| {
        format!("{{upstream: \"{}\", sumdb: \"{KEY}\", cache: {{fetch: asked}}, verify: {verify}}}", origin.url())
    };
    rig.reload(&section("off"));
    origin.say("/example.com/a/@v/v1.0.0.mod", Said::new(200, "module example.com/a\n\n"));
    // The zip is not asked for: info and go.mod are kept without it.
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.status, 200, "nobody checks");
    rig.reload(&section("required"));
    let got = rig.get("example.com/a/@v/v1.0.0.mod").await;
    assert_eq!(got.status, 403, "{got:?}");
    assert!(got.text().contains("checksum mismatch"), "{got:?}");
}

#[tokio::test]
async fn what_was_begun_under_another_document_is_not_given_under_this_one() {
    let (rig, origin, _sumdb) = vouched(", cache: {fetch: asked}").await;
    let section = |verify: &str| {
        format!("{{upstream: \"{}\", sumdb: \"{KEY}\", cache: {{fetch: asked}}, verify: {verify}}}", origin.url())
    };
    rig.reload(&section("off"));
    let path = "/example.com/a/@v/v1.0.0.mod";
    origin.say(path, Said { gate: Some(3), ..Said::new(200, "module example.com/a\n\n") });
    let first = rig.get("example.com/a/@v/v1.0.0.mod");
    let then = async {
        origin.until(path, 1).await;
        rig.reload(&section("required"));
        let second = rig.get("example.com/a/@v/v1.0.0.mod");
        let open = async {
            origin.until(path, 2).await;
            origin.open_gate();
        };
        tokio::join!(second, open).0
    };
    let (first, second) = tokio::join!(first, then);
    assert_eq!((first.status, second.status), (200, 403), "{first:?} {second:?}");
}

#[tokio::test]
async fn what_the_database_does_not_know_is_given_only_where_that_is_enough() {
    for (verify, status) in [("required", 403), ("when-possible", 200), ("off", 200)] {
        let (rig, origin, _sumdb) = vouched(&format!(", verify: {verify}")).await;
        origin.has("example.com/b@v1.0.0", &FILES);
        for file in ["mod", "zip"] {
            let got = rig.get(&format!("example.com/b/@v/v1.0.0.{file}")).await;
            assert_eq!(got.status, status, "{verify} {file}: {got:?}");
        }
    }
}

#[tokio::test]
async fn a_database_that_lies_is_believed_by_no_setting() {
    for verify in ["required", "when-possible"] {
        let (rig, _origin, sumdb) = vouched(&format!(", verify: {verify}")).await;
        sumdb.change(|path, honest| {
            if !path.starts_with("/lookup/") {
                return honest;
            }
            let text = String::from_utf8(honest?).unwrap();
            Some(text.replacen("h1:", "h1:A", 1).into_bytes())
        });
        let got = rig.get("example.com/a/@v/v1.0.0.mod").await;
        assert_eq!(got.status, 403, "{verify}: {got:?}");
    }
}

#[tokio::test]
async fn private_modules_are_none_of_the_publics_business() {
    let inner = Origin::start().await;
    inner.has("corp.example.com/a@v1.0.0", &[("go.mod", "module corp.example.com/a\n")]);
    let private =
        format!(", private: {{patterns: [\"corp.example.com\"], upstream: \"{}\", auth: {{token: t}}}}", inner.url());
    let (rig, origin, _sumdb) = vouched(&private).await;
    let got = rig.get("corp.example.com/a/@v/v1.0.0.zip").await;
    assert_eq!(got.status, 200, "{got:?}");
    assert!(origin.asked().iter().all(|asked| !asked.path.contains("corp.example.com")), "{:?}", origin.asked());
    assert!(
        inner.asked().iter().all(|asked| asked.headers.get("authorization").is_some_and(|value| value == "Bearer t"))
    );
    assert!(origin.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
    let lookup = rig.get("sumdb/localhost.localdev/sumdb/lookup/corp.example.com/a@v1.0.0").await;
    assert_eq!(lookup.status, 404, "{lookup:?}");

    let (rig, origin) = with(", sumdb: off, private: [\"corp.example.com\"]").await;
    origin.has("corp.example.com/a@v1.0.0", &FILES);
    let lookup = rig.get("sumdb/sum.golang.org/lookup/corp.example.com/a@v1.0.0").await;
    assert_eq!(lookup.status, 404, "a database that is not checked here hears nothing either: {lookup:?}");
    assert_eq!(rig.get("corp.example.com/a/@v/v1.0.0.mod").await.status, 404, "nowhere to ask");
    assert_eq!(origin.asked().len(), 0);
}

#[tokio::test]
async fn the_database_is_passed_on_and_kept_for_later() {
    let (rig, origin, _sumdb) = vouched("").await;
    let base = "sumdb/localhost.localdev/sumdb";
    assert_eq!(rig.get(&format!("{base}/supported")).await.status, 200);
    let paths = ["latest", "lookup/example.com/a@v1.0.0", "tile/8/0/000", "tile/8/1/000.p/1"];
    let mut before = Vec::new();
    for path in paths {
        let got = rig.get(&format!("{base}/{path}")).await;
        assert_eq!(got.status, 200, "{path}: {got:?}");
        before.push(got.body);
    }
    origin.stop().await;
    rig.clock.go(Duration::from_secs(3600));
    for (path, body) in paths.iter().zip(before) {
        let got = rig.get(&format!("{base}/{path}")).await;
        assert_eq!((got.status, got.body), (200, body), "{path}");
    }
    assert_eq!(rig.get("sumdb/sum.golang.org/supported").await.status, 502, "nobody can be asked about another");
}

#[tokio::test]
async fn a_page_in_the_place_of_a_tile_is_not_kept() {
    let (rig, origin, _sumdb) = vouched("").await;
    let path = "/sumdb/localhost.localdev/sumdb/tile/8/0/000";
    origin.say(path, Said::new(200, "log in first"));
    for asked in 1..3 {
        let got = rig.get(&path[1..]).await;
        assert_eq!((got.status, origin.count(path)), (502, asked), "{got:?}");
    }
}

#[tokio::test]
async fn answers_about_a_database_stay_in_their_mount() {
    let (right, wrong) = (Origin::start().await, Origin::start().await);
    let path = "/sumdb/localhost.localdev/sumdb/lookup/example.com/a@v1.0.0";
    right.say(path, Said::new(200, "right"));
    wrong.say(path, Said::new(200, "wrong"));
    let rig = Rig::start(&format!(
        "{{upstream: \"{}\", sumdb: off, mounts: [{{prefix: wrong, upstream: \"{}\"}}]}}",
        right.url(),
        wrong.url()
    ))
    .await;
    for _ in 0..2 {
        assert_eq!(rig.get(&format!("wrong{path}")).await.text(), "wrong");
        assert_eq!(rig.get(&path[1..]).await.text(), "right");
    }
}

#[tokio::test]
async fn a_zip_can_be_given_while_it_comes_but_for_its_end() {
    let (rig, origin) = with(", sumdb: off, release: streaming").await;
    let large = noise(1_500_000);
    let zip = origin.has(A, &[FILES[0], ("noise", &large)]);
    let gate = zip.len() - 100;
    origin.say("/example.com/a/@v/v1.0.0.zip", Said { gate: Some(gate), ..Said::new(200, zip.clone()) });
    let answer = rig.send(Method::GET, "/go/example.com/a/@v/v1.0.0.zip", &[]).await;
    assert_eq!(answer.head.status, 200);
    assert_eq!(answer.head.headers["content-length"], zip.len().to_string());
    let mut body = answer.body;
    let mut begun = Vec::new();
    while begun.len() < 500_000 {
        begun.extend_from_slice(body.frame().await.unwrap().unwrap().data_ref().unwrap());
    }
    assert_eq!(begun, zip[..begun.len()]);
    origin.open_gate();
    let mut rest = body.collect().await.unwrap().to_bytes();
    begun.extend_from_slice(&std::mem::take(&mut rest));
    assert_eq!(begun, zip);
}

#[tokio::test]
async fn what_turns_out_bad_while_it_is_given_has_no_end() {
    let (rig, origin) = with(", sumdb: off, release: streaming").await;
    let large = noise(1_500_000);
    origin.has(A, &[FILES[0], ("noise", &large)]);
    let mut bad = super::origin::zip_of(&ModuleVersion::parse(A).unwrap(), &[FILES[0], ("noise", &large)]).to_vec();
    bad[700_000] ^= 1;
    origin.say("/example.com/a/@v/v1.0.0.zip", Said::new(200, bad.clone()));
    let got = read(rig.send(Method::GET, "/go/example.com/a/@v/v1.0.0.zip", &[]).await).await;
    assert!(!got.whole && got.body.len() <= bad.len() - 64 * 1024, "{} of {}", got.body.len(), bad.len());
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);
}
