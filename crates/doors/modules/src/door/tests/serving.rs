//! What is answered, and with which headers.

use http::Method;
use tempfile::TempDir;

use super::origin::{Origin, Said};
use super::rig::Rig;
use crate::store::Tree;

const FILES: [(&str, &str); 2] = [("go.mod", "module example.com/a\n"), ("a.go", "package a\n")];

async fn with(section: &str) -> (Rig, Origin) {
    let origin = Origin::start().await;
    let rig = Rig::start(&format!("{{upstream: \"{}\", sumdb: off{section}}}", origin.url())).await;
    (rig, origin)
}

#[tokio::test]
async fn a_small_zip_that_was_given_lately_is_given_from_memory() {
    let (rig, origin) = with("").await;
    let zip = origin.has("example.com/a@v1.0.0", &FILES);
    for _ in 0..2 {
        assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    }
    origin.stop().await;
    std::fs::remove_dir_all(rig.folder.path().join("modules/blobs")).unwrap();
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    let part = rig.ask(http::Method::GET, "/go/example.com/a/@v/v1.0.0.zip", &[("range", "bytes=3-9")]).await;
    assert_eq!((part.status, part.body), (206, zip.slice(3..10)));
}

/// What is in memory is given without a future of its own: by the same rules as anything else, with the same headers, and each
/// time with a record.
#[tokio::test]
async fn what_is_in_memory_is_given_by_the_same_rules() {
    let origin = Origin::start().await;
    let zip = origin.has("example.com/a@v1.0.0", &FILES);
    let section = |more: &str| format!("{{upstream: \"{}\", sumdb: off{more}}}", origin.url());
    let keys = "{name: ci, secret: secret-of-ci-0123456789, allow: [\"modules/example.com/a\"]}, \
                {name: other, secret: secret-of-other-0123456789, allow: [\"modules/example.com/b\"]}";
    let document = format!("keys: [{keys}]\nmodules: {}", section(""));
    let rig = Rig::of_document(&document, TempDir::new().unwrap()).await;
    let path = "/go/example.com/a/@v/v1.0.0.zip";
    let ask = async |method: Method, header: (&str, &str)| {
        rig.ask(method, path, &[("authorization", "Bearer secret-of-ci-0123456789"), header]).await
    };
    let plain = ("accept", "*/*");
    // The first is fetched, the second read from its file.
    let given = [ask(Method::GET, plain).await, ask(Method::GET, plain).await, ask(Method::GET, plain).await];
    let without_id = |headers: &http::HeaderMap| {
        let mut headers = headers.clone();
        assert!(headers.remove("x-tradewind-decision").is_some());
        headers.remove("date");
        headers
    };
    for one in &given {
        assert_eq!((one.status, &one.body, without_id(&one.headers)), (200, &zip, without_id(&given[0].headers)));
    }
    let tag = given[0].header("etag").to_owned();
    let head = ask(Method::HEAD, plain).await;
    assert_eq!((head.status, head.header("content-length")), (200, zip.len().to_string().as_str()));
    assert_eq!(ask(Method::GET, ("if-none-match", &tag)).await.status, 304);
    assert_eq!(ask(Method::GET, ("range", "bytes=0-1")).await.body, zip.slice(..2));
    assert_eq!(ask(Method::POST, plain).await.status, 405);
    let other = rig.ask(Method::GET, path, &[("authorization", "Bearer secret-of-other-0123456789")]).await;
    assert_eq!(other.status, 403);
    rig.reload(&section(", rules: {deny: [\"example.com/a\"]}"));
    let denied = ask(Method::GET, plain).await;
    assert_eq!(denied.status, 403);
    assert!(denied.text().contains("denied"), "{denied:?}");
    rig.reload(&section(""));
    assert_eq!(ask(Method::GET, plain).await.status, 200);
    rig.store().withdraw(&Tree::new("go"), &"example.com/a@v1.0.0".parse().unwrap(), "it is another one");
    assert_eq!(ask(Method::GET, ("disable-module-fetch", "true")).await.status, 404);
    let records = rig.records(11).await;
    let of = |number: usize| {
        records.iter().find(|record| record["id"] == given[number].header("x-tradewind-decision")).unwrap()
    };
    let same = ["door", "operation", "model", "resolved", "key", "status", "outcome", "policy"];
    for name in same {
        assert_eq!((&of(1)[name], &of(2)[name]), (&of(0)[name], &of(0)[name]), "{name}");
    }
    let note = of(2)["notes"][0].as_str().unwrap();
    assert!(note.starts_with("stored, from http://"), "{note}");
    assert_eq!(
        (of(1)["notes"][0].as_str(), of(0)["notes"][0].as_str()),
        (Some(note), Some(&*note.replace("stored", "fetched")))
    );
}

#[tokio::test]
async fn every_file_of_the_protocol_has_its_type_and_age() {
    let (rig, origin) = with("").await;
    let zip = origin.has("example.com/a@v1.0.0", &FILES);
    origin.say("/example.com/a/@latest", Said::new(200, r#"{"Version":"v1.0.0"}"#));
    origin.say("/example.com/a/@v/main.info", Said::new(200, r#"{"Version":"v1.0.0"}"#));
    for (path, content_type, age) in [
        ("example.com/a/@v/list", "text/plain; charset=UTF-8", "max-age="),
        ("example.com/a/@latest", "application/json", "max-age="),
        ("example.com/a/@v/main.info", "application/json", "max-age="),
        ("example.com/a/@v/v1.0.0.info", "application/json", "max-age=31536000, immutable"),
        ("example.com/a/@v/v1.0.0.mod", "text/plain; charset=UTF-8", "max-age=31536000, immutable"),
        ("example.com/a/@v/v1.0.0.zip", "application/zip", "max-age=31536000, immutable"),
    ] {
        let got = rig.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (200, content_type), "{path}: {got:?}");
        assert!(got.header("cache-control").starts_with(age), "{path}: {got:?}");
        assert_eq!(got.header("content-length"), got.body.len().to_string(), "{path}");
        assert_eq!(got.header("x-tradewind-decision").len(), 13, "{path}");
        let head = rig.ask(Method::HEAD, &format!("/go/{path}"), &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), got.header("content-length"), "{path}");
        // The caller has it already.
        let tag = got.header("etag").to_owned();
        let again = rig.ask(Method::GET, &format!("/go/{path}"), &[("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{path}");
    }
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.mod").await.text(), FILES[0].1);
}

#[tokio::test]
async fn parts_of_a_zip_are_given() {
    let (rig, origin) = with("").await;
    let zip = origin.has("example.com/a@v1.0.0", &FILES);
    let path = "/go/example.com/a/@v/v1.0.0.zip";
    let length = zip.len();
    let part = rig.ask(Method::GET, path, &[("range", "bytes=2-5")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &zip[2..6]));
    assert_eq!(part.header("content-range"), format!("bytes 2-5/{length}"));
    let tag = part.header("etag").to_owned();
    let end = rig.ask(Method::GET, path, &[("range", "bytes=-4"), ("if-range", &tag)]).await;
    assert_eq!((end.status, &end.body[..]), (206, &zip[length - 4..]));
    let whole = rig.ask(Method::GET, path, &[("range", "bytes=-4"), ("if-range", "\"other\"")]).await;
    assert_eq!((whole.status, &whole.body), (200, &zip));
    let none = rig.ask(Method::GET, path, &[("range", "bytes=100000-")]).await;
    assert_eq!((none.status, none.header("content-range")), (416, format!("bytes */{length}").as_str()));
}

#[tokio::test]
async fn a_large_zip_comes_whole_and_in_parts() {
    let (rig, origin) = with("").await;
    // Random, so that it is as large packed as it is unpacked.
    let noise: String = (0..600_000).map(|_| char::from(fastrand::u8(b' '..b'~'))).collect();
    let zip = origin.has("example.com/a@v1.0.0", &[FILES[0], ("noise.txt", &noise)]);
    assert!(zip.len() > 400_000);
    for _ in 0..2 {
        assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.body, zip);
    }
    let path = "/go/example.com/a/@v/v1.0.0.zip";
    let part = rig.ask(Method::GET, path, &[("range", "bytes=1000-399999")]).await;
    assert_eq!((part.status, &part.body[..]), (206, &zip[1000..400_000]));
}

#[tokio::test]
async fn names_are_escaped_on_the_wire_and_nowhere_else() {
    let (rig, origin) = with("").await;
    origin.say("/github.com/%21azure/x/@v/list", Said::new(200, "v1.0.0\n"));
    for path in ["github.com/!azure/x/@v/list", "github.com/%21azure/x/@v/list"] {
        assert_eq!(rig.get(path).await.text(), "v1.0.0\n", "{path}");
    }
    assert_eq!(origin.count("/github.com/%21azure/x/@v/list"), 1, "both are the same");
}

#[tokio::test]
async fn what_is_no_request_of_the_protocol_is_refused_in_words() {
    let (rig, origin) = with("").await;
    for path in [
        "",
        "nonsense",
        "github.com/Azure/x/@v/list",
        "github.com/!Azure/x/@v/list",
        "github.com/a%2Fb/@v/list",
        "example.com/../x/@v/list",
        "example.com/a/@v/v1.0.0.tar",
        "example.com/a/@v/v2.0.0.mod",
        "example.com/a/@v/main.zip",
        "example.com/a/@v/%ff.info",
        "sumdb/sum.golang.org/nonsense",
    ] {
        let got = rig.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (404, "text/plain; charset=UTF-8"), "{path}: {got:?}");
        assert!(got.text().starts_with("bad request: "), "{path}: {got:?}");
    }
    assert_eq!(origin.asked().len(), 0);
    let posted = rig.ask(Method::POST, "/go/example.com/a/@v/list", &[]).await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn the_longest_prefix_is_the_mount() {
    let (one, two, own) = (Origin::start().await, Origin::start().await, Origin::start().await);
    for (origin, version) in [(&own, "v1.0.0"), (&one, "v1.1.0"), (&two, "v1.2.0")] {
        origin.say("/example.com/a/@v/list", Said::new(200, format!("{version}\n")));
    }
    let rig = Rig::start(&format!(
        "{{upstream: \"{}\", sumdb: off, mounts: [{{prefix: m, upstream: \"{}\"}}, {{prefix: m/b, upstream: \"{}\"}}]}}",
        own.url(),
        one.url(),
        two.url()
    ))
    .await;
    for (prefix, version) in [("", "v1.0.0"), ("m/", "v1.1.0"), ("m/b/", "v1.2.0")] {
        assert_eq!(rig.get(&format!("{prefix}example.com/a/@v/list")).await.text(), format!("{version}\n"), "{prefix}");
    }
    assert_eq!(rig.get("mb/example.com/a/@v/list").await.status, 404, "no module of the section's own");
}

#[tokio::test]
async fn a_key_may_have_what_its_patterns_name() {
    let origin = Origin::start().await;
    origin.say("/example.com/a/@v/list", Said::new(200, "v1.0.0\n"));
    origin.say("/example.com/b/@v/list", Said::new(200, "v1.0.0\n"));
    let document = format!(
        "keys: [{{name: ci, secret: secret-of-ci-0123456789, allow: [\"modules/example.com/a\"]}}]\n\
         modules: {{upstream: \"{}\", sumdb: off}}",
        origin.url()
    );
    let rig = Rig::of_document(&document, TempDir::new().unwrap()).await;
    // As netrc and a key in a URL send it: any name, the key as the password.
    let login = "Basic Z286c2VjcmV0LW9mLWNpLTAxMjM0NTY3ODk=";
    for credential in ["Bearer secret-of-ci-0123456789", login] {
        let ask = async |path: &str| rig.ask(Method::GET, path, &[("authorization", credential)]).await;
        assert_eq!(ask("/go/example.com/a/@v/list").await.status, 200);
        let refused = ask("/go/example.com/b/@v/list").await;
        assert_eq!((refused.status, refused.header("content-type")), (403, "text/plain; charset=UTF-8"));
        assert!(refused.text().contains("`ci` may not use modules/example.com/b"), "{refused:?}");
    }
    // What a database says is for every key: the module may come from elsewhere.
    let lookup = "/sumdb/sum.golang.org/lookup/example.com/b@v1.0.0";
    origin.say(lookup, Said::new(200, "a record"));
    let asked = rig.ask(Method::GET, &format!("/go{lookup}"), &[("authorization", login)]).await;
    assert_eq!((asked.status, asked.text()), (200, "a record"));
    assert_eq!(rig.get(&lookup[1..]).await.status, 401);
    let nobody = rig.get("example.com/a/@v/list").await;
    assert_eq!((nobody.status, nobody.header("content-type")), (401, "text/plain; charset=utf-8"));
    assert!(nobody.text().contains("TW1015"), "{nobody:?}");
}

#[tokio::test]
async fn each_request_leaves_a_record() {
    let (rig, origin) = with("").await;
    origin.has("example.com/a@v1.0.0", &FILES);
    for path in ["example.com/a/@v/v1.0.0.mod", "example.com/a/@v/v1.9.9.info", "nonsense"] {
        rig.get(path).await;
    }
    let zip = rig.get("example.com/a/@v/v1.0.0.zip").await;
    let records = rig.records(4).await;
    let find = |operation: &str| {
        records.iter().find(|record| record["operation"] == operation).unwrap_or_else(|| panic!("{records:?}"))
    };
    let record = find("zip");
    assert_eq!((&record["door"], &record["model"]), (&"modules".into(), &"example.com/a@v1.0.0".into()), "{record}");
    assert_eq!((&record["outcome"], &record["status"]), (&"ok".into(), &200.into()), "{record}");
    assert_eq!(record["id"], zip.header("x-tradewind-decision"));
    assert_eq!(find("mod")["outcome"], "ok");
    let missing = find("info");
    assert_eq!((&missing["outcome"], &missing["fault"]), (&"rejected".into(), &"not_found".into()), "{missing}");
    assert_eq!(missing["code"], "TW6001", "{missing}");
    assert_eq!(find("other")["code"], "TW6004");
}

#[tokio::test]
async fn catalog_and_index_show_what_is_stored() {
    let (rig, origin) = with("").await;
    for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
        origin.has(&format!("example.com/a@{version}"), &FILES);
        assert_eq!(rig.get(&format!("example.com/a/@v/{version}.zip")).await.status, 200);
    }
    let page: serde_json::Value = serde_json::from_slice(&rig.get("catalog?pageSize=2").await.body).unwrap();
    assert_eq!(page["modules"][1], serde_json::json!({"module": "example.com/a", "version": "v1.1.0"}));
    let token = page["next"].as_str().unwrap();
    let next: serde_json::Value =
        serde_json::from_slice(&rig.get(&format!("catalog?pageSize=2&token={token}")).await.body).unwrap();
    assert_eq!(next, serde_json::json!({"modules": [{"module": "example.com/a", "version": "v1.2.0"}], "next": ""}));
    let index = rig.get("index?limit=2").await;
    let lines: Vec<serde_json::Value> = index.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["Path"], &lines[0]["Version"]), (2, &"example.com/a".into(), &"v1.0.0".into()));
    assert_eq!(rig.get("index?since=2999-01-01T00:00:00Z").await.text(), "");
    assert_eq!(rig.get("index?since=yesterday").await.status, 400);
    assert_eq!(rig.get("catalog?pageSize=x").await.status, 400);
}
