//! Several upstreams, one after the other, and what each may answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;

use super::origin::{Origin, Said};
use super::rig::{Rig, read};

const LIST: &str = "/example.com/a/@v/list";

async fn asked(section: &str) -> super::rig::Got {
    let rig = Rig::start(&format!("{{sumdb: off, {section}}}")).await;
    rig.ask(Method::GET, &format!("/go{LIST}"), &[]).await
}

#[tokio::test]
async fn a_comma_goes_on_when_something_is_not_there_and_a_pipe_whatever_happened() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    second.say(LIST, Said::new(200, "v1.0.0\n"));
    let (a, b) = (first.url(), second.url());
    for (status, comma, pipe) in
        [(404, 200, 200), (410, 200, 200), (403, 403, 200), (500, 500, 200), (503, 503, 200), (401, 502, 200)]
    {
        first.say(LIST, Said::new(status, ""));
        assert_eq!(asked(&format!("upstream: \"{a},{b}\"")).await.status, comma, "{status}");
        assert_eq!(asked(&format!("upstream: \"{a}|{b}\"")).await.status, pipe, "{status}");
    }
    first.stop().await;
    assert_eq!(asked(&format!("upstream: \"{a},{b}\"")).await.status, 502);
    assert_eq!(asked(&format!("upstream: \"{a}|{b}\"")).await.status, 200);
}

#[tokio::test]
async fn a_pipe_goes_on_also_when_something_breaks_off_or_is_no_answer() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    let files = [("go.mod", "module example.com/a\n"), ("a.go", "package a\n")];
    for origin in [&first, &second] {
        origin.has("example.com/a@v1.0.0", &files);
    }
    let zip = second.has("example.com/a@v1.0.0", &files);
    second.say("/example.com/a/@latest", Said::new(200, r#"{"Version":"v1.0.0"}"#));
    for (separator, status) in [(",", 502), ("|", 200)] {
        let section = format!("{{sumdb: off, upstream: \"{}{separator}{}\"}}", first.url(), second.url());
        let rig = Rig::start(&section).await;
        first.say("/example.com/a/@v/v1.0.0.zip", Said { cut: Some(100), ..Said::new(200, zip.clone()) });
        let got = rig.get("example.com/a/@v/v1.0.0.zip").await;
        assert_eq!(got.status, status, "{separator} {got:?}");
        assert!(status != 200 || got.body == zip);
        first.say("/example.com/a/@latest", Said::new(200, "log in first"));
        assert_eq!(rig.get("example.com/a/@latest").await.status, status, "{separator}");
        let rig = Rig::start(&section).await;
        first.say("/example.com/a/@v/v1.0.0.info", Said::new(200, "log in first"));
        assert_eq!(rig.get("example.com/a/@v/v1.0.0.info").await.status, status, "{separator}");
        first.has("example.com/a@v1.0.0", &files);
    }
}

#[tokio::test]
async fn a_zip_that_is_being_given_is_not_gone_on_with_from_another_upstream() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    let noise: String = (0..1_500_000).map(|_| char::from(fastrand::u8(b' '..b'~'))).collect();
    let files = [("go.mod", "module example.com/a\n"), ("noise", noise.as_str())];
    let zip = first.has("example.com/a@v1.0.0", &files);
    // The same module, packed in another order.
    let other = second.has("example.com/a@v1.0.0", &[files[1], files[0]]);
    let path = "/example.com/a/@v/v1.0.0.zip";
    first.say(path, Said { cut: Some(800_000), ..Said::new(200, zip.clone()) });
    second.say(path, Said { gate: Some(1), ..Said::new(200, other.clone()) });
    let section = format!("{{sumdb: off, release: streaming, upstream: \"{}|{}\"}}", first.url(), second.url());
    let rig = Rig::start(&section).await;
    let answer = rig.send(Method::GET, &format!("/go{path}"), &[]).await;
    assert_eq!(answer.head.status, 200);
    second.until(path, 1).await;
    second.open_gate();
    let got = read(answer).await;
    assert!(!got.whole && got.body == zip[..got.body.len()], "{}", got.body.len());
    let record = &rig.records(1).await[0];
    assert_eq!((&record["outcome"], &record["fault"]), (&"partial".into(), &"cut".into()), "{record}");
    assert_eq!(rig.get(&path[1..]).await.body, other);
}

#[tokio::test]
async fn what_went_wrong_tells_more_than_that_somebody_does_not_have_it() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    first.say(LIST, Said::new(500, "it burns\n").with("content-type", "text/plain; charset=utf-8"));
    let got = asked(&format!("upstream: \"{}|{}\"", first.url(), second.url())).await;
    assert_eq!((got.status, got.text()), (500, "it burns\n"));
    // The other way round, the failure is the last word anyway.
    let got = asked(&format!("upstream: \"{},{}\"", second.url(), first.url())).await;
    assert_eq!((got.status, got.text()), (500, "it burns\n"));
}

#[tokio::test]
async fn statuses_of_an_upstream_arrive_as_the_go_command_understands_them() {
    let origin = Origin::start().await;
    let section = format!("upstream: \"{}\"", origin.url());
    for (said, expected, text) in [
        (Said::new(404, ""), 404, " answered 404 Not Found\n"),
        (Said::new(410, "gone for good").with("content-type", "text/plain"), 410, "gone for good\n"),
        (Said::new(403, "<html>").with("content-type", "text/html"), 403, " answered 403 Forbidden\n"),
        (Said::new(429, ""), 429, " answered 429 Too Many Requests\n"),
        (Said::new(504, ""), 504, " answered 504 Gateway Timeout\n"),
        (Said::new(204, ""), 502, ": it answered 204 No Content\n"),
        (Said::new(302, ""), 502, ": it answered 302 Found\n"),
        (Said::new(407, ""), 502, "wants other credentials"),
        (Said::new(200, "x").with("content-encoding", "gzip"), 502, "encoding that was not asked for"),
    ] {
        origin.say(LIST, said.clone());
        let got = asked(&section).await;
        assert_eq!(got.status, expected, "{said:?}: {got:?}");
        assert!(got.text().contains(text), "{said:?}: {got:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let (origin, other) = (Origin::start().await, Origin::start().await);
    other.say("/elsewhere?x=1", Said::new(200, "v1.0.0\n"));
    let to = |place: &str| Said::new(302, "").with("location", place);
    origin.say(LIST, to(&format!("{}/elsewhere?x=1", other.url())));
    let section = format!("upstream: \"{}\", auth: {{token: t}}", origin.url());
    assert_eq!(asked(&section).await.text(), "v1.0.0\n");
    assert_eq!(origin.asked()[0].headers["authorization"], "Bearer t");
    assert!(!other.asked()[0].headers.contains_key("authorization"), "not for another origin");

    origin.say(LIST, to("list"));
    let before = origin.asked().len();
    let got = asked(&section).await;
    assert_eq!((got.status, origin.asked().len() - before), (502, 11), "{got:?}");
    assert!(got.text().contains("stopped after 10 redirects"), "{got:?}");
}

#[tokio::test]
async fn answers_that_are_none_are_not_passed_on() {
    let origin = Origin::start().await;
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"{}\"}}", origin.url())).await;
    origin.say("/example.com/a/@v/v1.0.0.mod", Said::new(200, "module example.com/a\n"));
    for (json, what) in [
        (r#"{"Version":"v1.0.1"}"#, "returned info for version v1.0.1 instead of requested version"),
        ("<html>sign in</html>", "no JSON"),
    ] {
        origin.say("/example.com/a/@v/v1.0.0.info", Said::new(200, json));
        let got = rig.get("example.com/a/@v/v1.0.0.info").await;
        assert_eq!(got.status, 502, "{got:?}");
        assert!(got.text().contains(what), "{got:?}");
    }
    origin.say("/example.com/a/@latest", Said::new(200, r#"{"Version":"v3.0.0"}"#));
    assert_eq!(rig.get("example.com/a/@latest").await.status, 502);
    origin.say("/example.com/a/@v/list", Said::new(200, vec![b'x'; (8 << 20) + 1]));
    let got = rig.get("example.com/a/@v/list").await;
    assert_eq!(got.status, 502, "{} {:?}", got.status, got.headers);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
async fn a_folder_is_an_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("example.com/!a/@v");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("list"), "v1.0.0\n").unwrap();
    std::fs::write(place.join("v1.0.0.mod"), "module example.com/A\n").unwrap();
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"file://{}\"}}", folder.path().display())).await;
    assert_eq!(rig.get("example.com/!a/@v/list").await.text(), "v1.0.0\n");
    // A folder that somebody has laid out by hand has no info.
    assert_eq!(rig.get("example.com/!a/@v/v1.0.0.info").await.text(), r#"{"Version":"v1.0.0"}"#);
    let missing = rig.get("example.com/!a/@v/v1.0.1.mod").await;
    assert_eq!(missing.status, 404);
    assert!(!missing.text().contains(&folder.path().display().to_string()), "{missing:?}");
}

#[tokio::test]
async fn the_rules_are_kept() {
    let origin = Origin::start().await;
    for of in ["example.com/a@v1.0.0", "evil.example/b@v1.0.0"] {
        origin.has(of, &[("go.mod", "module x\n"), ("LICENSE", "none of the known ones\n")]);
    }
    let section = |rules: &str| format!("{{sumdb: off, upstream: \"{}\", rules: {{{rules}}}}}", origin.url());
    let rig = Rig::start(&section("deny: [evil.example]")).await;
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 200);
    for file in ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"] {
        let got = rig.get(&format!("evil.example/b/@v/{file}")).await;
        assert_eq!(got.status, 403, "{file}");
        assert!(got.text().starts_with("blocked by policy: "), "{got:?}");
    }
    assert!(origin.asked().iter().all(|asked| !asked.path.contains("evil")));
    // What is stored is judged again.
    rig.reload(&section("allow: [other.example]"));
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);
    rig.reload(&section("leave-out-licences: [unknown]"));
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 403);
    rig.reload(&section(""));
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 200);
}

#[tokio::test]
async fn what_is_too_young_is_on_no_list() {
    let origin = Origin::start().await;
    for (version, time) in [("v1.0.0", "2020-01-01T00:00:00Z"), ("v1.1.0", "2999-01-01T00:00:00Z")] {
        origin.has(&format!("example.com/a@{version}"), &[("go.mod", "module example.com/a\n")]);
        let info = format!(r#"{{"Version":"{version}","Time":"{time}"}}"#);
        origin.say(&format!("/example.com/a/@v/{version}.info"), Said::new(200, info.clone()));
        origin.say("/example.com/a/@latest", Said::new(200, info));
    }
    origin.say(LIST, Said::new(200, "v1.0.0\nv1.1.0\n"));
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"{}\", rules: {{min-age: 7d}}}}", origin.url())).await;
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\n");
    assert_eq!(rig.get("example.com/a/@latest").await.status, 404, "the go command takes it from the list");
    // What was begun before would have been asked for by the time that another version is here whole.
    let info = r#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}"#;
    origin.has("example.com/b@v1.0.0", &[("go.mod", "module example.com/b\n")]);
    origin.say("/example.com/b/@v/v1.0.0.info", Said::new(200, info));
    assert_eq!(rig.get("example.com/b/@v/v1.0.0.zip").await.status, 200);
    assert_eq!(origin.count("/example.com/a/@v/v1.0.0.zip"), 0, "the zips of what is only listed are nobody's wish");
    assert_eq!(rig.get("example.com/a/@v/v1.0.0.zip").await.status, 200);
    for file in ["info", "mod", "zip"] {
        let got = rig.get(&format!("example.com/a/@v/v1.1.0.{file}")).await;
        assert_eq!(got.status, 403, "{file}: {got:?}");
        assert!(got.text().contains("is younger than 7d"), "{got:?}");
    }
}

#[tokio::test]
async fn the_newest_on_a_list_is_old_enough_however_many_are_not() {
    let origin = Origin::start().await;
    let versions: Vec<String> = (0..40).map(|number| format!("v1.{number}.0")).collect();
    for (number, version) in versions.iter().enumerate() {
        let time = if number < 3 { "2020-01-01T00:00:00Z" } else { "2999-01-01T00:00:00Z" };
        let info = format!(r#"{{"Version":"{version}","Time":"{time}"}}"#);
        origin.has(&format!("example.com/a@{version}"), &[("go.mod", "module example.com/a\n")]);
        origin.say(&format!("/example.com/a/@v/{version}.info"), Said::new(200, info));
    }
    origin.say(LIST, Said::new(200, versions.join("\n")));
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"{}\", rules: {{min-age: 7d}}}}", origin.url())).await;
    assert_eq!(rig.get("example.com/a/@v/list").await.text(), "v1.0.0\nv1.1.0\nv1.2.0\n");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_not_waited_for_by_everybody() {
    let origin = Origin::start().await;
    let paths: Vec<String> = (0..3).map(|number| format!("example.com/{number}/@v/list")).collect();
    for path in &paths {
        origin.say(&format!("/{path}"), Said::new(200, "v1.0.0\n"));
    }
    let rig = Rig::start(&format!("{{sumdb: off, upstream: \"{}\"}}", origin.url())).await;
    for path in &paths {
        assert_eq!(rig.get(path).await.status, 200);
    }
    let gone = Gone::start().await;
    rig.reload(&format!("{{sumdb: off, upstream: \"{}\"}}", gone.url));
    rig.clock.go(Duration::from_secs(3600));
    assert_eq!(rig.get(&paths[0]).await.text(), "v1.0.0\n");
    let asked = gone.count();
    assert!(asked > 0);
    assert_eq!(rig.get(&paths[1]).await.text(), "v1.0.0\n");
    assert_eq!(gone.count(), asked, "it was asked a moment ago");
    assert_eq!(rig.get("example.com/new/@v/list").await.status, 502);
    assert!(gone.count() > asked, "there is nothing else to give");
    rig.clock.go(Duration::from_secs(11));
    let asked = gone.count();
    assert_eq!(rig.get(&paths[2]).await.text(), "v1.0.0\n");
    assert!(gone.count() > asked, "it may be there again");
}

/// Hangs up on everybody.
struct Gone {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Gone {
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counting.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { url, asked }
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
