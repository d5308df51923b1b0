//! What the section may say, and what it is told when it says something else.

use tradewind_policy::{Problems, Root, Shared};

use super::*;

const KEY: &str = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6";

fn read(text: &str) -> (Option<Modules>, Vec<String>) {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| None, &[MODULES_SECTION], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    let modules = Modules::decode(&root, &shared, &mut problems);
    let told = problems.list().iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
    (modules, told)
}

fn good(section: &str) -> Modules {
    let (modules, problems) = read(&format!("modules: {section}"));
    assert_eq!(problems, [""; 0], "{section}");
    modules.unwrap()
}

#[test]
fn nothing_said_is_go_as_it_comes() {
    assert_eq!(read("listen: 127.0.0.1:0").0, None);
    let modules = good("{}");
    let [own] = &modules.mounts[..] else { panic!("{modules:?}") };
    assert_eq!(own.upstream, Upstreams::parse("https://proxy.golang.org").unwrap());
    assert_eq!(own.sumdb.as_ref().map(SumdbSettings::name), Some("sum.golang.org"));
    assert_eq!((own.verify, own.release, own.direct), (Verify::Required, Release::Checked, false));
    assert_eq!(modules.cache.max_size, ByteSize(20 << 30));
}

#[test]
fn credentials_stay_with_the_upstream_that_they_stand_beside() {
    let modules = good(
        "{upstream: \"https://a.example\", auth: {token: t}, mounts: [{prefix: same}, \
         {prefix: other, upstream: \"https://b.example\"}]}",
    );
    let has = |prefix: &str| modules.mounts.iter().find(|mount| mount.prefix == prefix).unwrap().auth.is_some();
    assert_eq!((has(""), has("same"), has("other")), (true, true, false));
}

#[test]
fn credentials_are_for_one_upstream_of_a_list() {
    let told = |section: &str| read(&format!("modules: {section}")).1;
    let two = "upstream: \"https://a.example/x|https://b.example\"";
    for (section, place) in [
        (format!("{{{two}, auth: {{token: t}}}}"), "modules.upstream"),
        (
            format!("{{private: {{patterns: [x], {two}, auth: {{username: u, password: p}}}}}}"),
            "modules.private.upstream",
        ),
        (
            format!("{{auth: {{token: t}}, mounts: [{{prefix: m, {two}, auth: {{token: t}}}}]}}"),
            "modules.mounts[0].upstream",
        ),
        (format!("{{{two}, mounts: [{{prefix: m, auth: {{headers: {{a: b}}}}}}]}}"), "modules.mounts[0].upstream"),
    ] {
        let problem =
            format!("{place}: `auth` would be sent to https://a.example and https://b.example, and is for one of them");
        assert_eq!(told(&section), [problem], "{section}");
    }
    // One origin, a login for each host, or none.
    good("{upstream: \"https://a.example/x|https://a.example/y,file:///z\", auth: {token: t}}");
    good(&format!("{{{two}, auth: netrc}}"));
    good(&format!("{{auth: {{token: t}}, mounts: [{{prefix: m, {two}}}]}}"));
    // It is not sent there, in the clear or otherwise.
    good("{auth: {token: t}, mounts: [{prefix: m, upstream: \"http://b.example\"}]}");
}

#[test]
fn upstreams_are_read_as_goproxy_is() {
    let hops = |text: &str| Upstreams::parse(text).unwrap().0;
    let [first, second, third, last] = &hops(" https://a.example/x/ , b.example|file:///srv/m%20n,,direct ")[..] else {
        panic!("four entries");
    };
    assert!(matches!(&first.source, HopSource::Http(url) if url.as_str() == "https://a.example/x"));
    assert_eq!(first.otherwise, Otherwise::Missing);
    assert!(matches!(&second.source, HopSource::Http(url) if url.as_str() == "https://b.example"));
    assert_eq!(second.otherwise, Otherwise::Anything);
    assert_eq!(third.source, HopSource::File("/srv/m n".into()));
    assert_eq!(last.source, HopSource::Direct);
    for (text, what) in [
        ("", "empty"),
        (" , ", "empty"),
        ("off,https://a", "never be asked"),
        ("ftp://a", "http"),
        ("https://u:p@a", "credentials"),
        ("file://host/x", "file:///"),
        (&"https://a,".repeat(17), "more than 16"),
    ] {
        let error = Upstreams::parse(text).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
        assert!(!error.contains("u:p"), "{error}");
    }
    let of_list = good("{upstream: [\"https://a|https://b\", \"https://c\"]}");
    assert_eq!(of_list.mounts[0].upstream, Upstreams::parse("https://a|https://b,https://c").unwrap());
}

#[test]
fn mounts_take_what_they_do_not_say_from_the_section() {
    let modules = good(&format!(
        "{{upstream: \"https://up.example\", sumdb: off, verify: off, direct: git, rules: {{deny: [evil.example]}},
          private: \"*.corp.example.com\", auth: {{token: t}},
          mounts: [{{prefix: mod, verify: when-possible}}, {{prefix: mod/b, upstream: off, sumdb: \"{KEY} https://sums.example\"}}]}}"
    ));
    let [b, a, own] = &modules.mounts[..] else { panic!("three mounts") };
    assert_eq!((b.prefix.as_str(), a.prefix.as_str(), own.prefix.as_str()), ("mod/b", "mod", ""));
    assert_eq!((b.verify, a.verify, own.verify), (Verify::Off, Verify::WhenPossible, Verify::Off));
    assert_eq!((&a.upstream, &a.sumdb, &a.rules, &a.private), (&own.upstream, &None, &own.rules, &own.private));
    let sumdb = b.sumdb.as_ref().unwrap();
    assert_eq!((sumdb.name(), sumdb.url.as_deref()), ("localhost.localdev/sumdb", Some("https://sums.example")));
    assert_eq!(b.upstream.0[0].source, HopSource::Off);
    assert!(a.direct && matches!(a.auth, Some(Auth::With(Credential::Bearer(_)))));
}

#[test]
fn known_databases_need_no_key() {
    let sumdb = |text: &str| good(&format!("{{sumdb: {text}}}")).mounts[0].sumdb.clone();
    assert_eq!(sumdb("sum.golang.org"), usual_sumdb());
    let alias = sumdb("sum.golang.google.cn").unwrap();
    assert_eq!((alias.name(), alias.url.as_deref()), ("sum.golang.org", Some("https://sum.golang.google.cn")));
    assert_eq!(sumdb("off"), None);
}

#[test]
fn private_modules_and_logins_are_written_short_or_long() {
    let private = |text: &str| good(&format!("{{private: {text}}}")).mounts[0].private.clone().unwrap();
    assert_eq!(private("[a.example, b.example/*]").patterns, ["a.example", "b.example/*"]);
    assert_eq!(private("'a.example, b.example/*'").patterns, ["a.example", "b.example/*"]);
    let long = private("{patterns: [a.example], upstream: \"https://in.example\", auth: {username: u, password: p}}");
    assert!(matches!(long.auth, Some(Auth::With(Credential::Basic(..)))), "{long:?}");
    assert_eq!(private("{patterns: [a.example], auth: netrc}").auth, Some(Auth::Netrc));
    let headers = good("{auth: {headers: {private-token: t}}}").mounts[0].auth.clone();
    assert!(matches!(headers, Some(Auth::With(Credential::Headers(_)))));
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (section, problem) in [
        ("{upstream: direct}", "modules.upstream: `direct` is not allowed here"),
        ("{upstream: \"http://a.example\", auth: {token: t}}", "modules.upstream: `auth` would travel"),
        ("{sumdb: sum.example.org}", "modules.sumdb: this is no checksum database"),
        ("{private: [\"[a\"]}", "modules.private: syntax error"),
        ("{private: {patterns: [a], upstream: direct}}", "modules.private.upstream: `direct` is not allowed"),
        ("{via: nowhere}", "modules.via: proxy [nowhere] not found"),
        ("{mounts: [{prefix: a//b}]}", "modules.mounts[0].prefix: a prefix has no empty part"),
        ("{mounts: [{prefix: go}]}", "modules.mounts[0].prefix: a prefix has no empty part"),
        ("{mounts: [{prefix: sumdb}]}", "modules.mounts[0].prefix: a prefix has no empty part"),
        ("{mounts: [{prefix: /a}]}", "modules.mounts[0].prefix: a prefix has no empty part"),
        ("{mounts: [{prefix: é}]}", "modules.mounts[0].prefix: a prefix has letters"),
        ("{mounts: [{prefix: a}, {prefix: a}]}", "modules.mounts[1].prefix: a mount at `a` is there already"),
        ("{rules: {deny: [\"a@b@c\"]}}", "modules.rules.deny[0]"),
        ("{rules: {leave-out-licences: [Nonsense-1.0]}}", "modules.rules.leave-out-licences[0]"),
        ("{cache: {max-size: 0}}", "modules.cache.max-size: `max-size` is zero"),
        ("{cache: {pins: [\"@v1.0.0\"]}}", "modules.cache.pins[0]"),
        ("{auth: {username: u}}", "modules.auth: `auth` has either"),
        ("{auth: {username: u, password: p, token: t}}", "modules.auth: `auth` has either"),
        ("{auth: {token: \"a\\nb\"}}", "modules.auth: what `auth` has cannot be sent"),
        ("{auth: basic}", "modules.auth: "),
        ("{direct: svn}", "modules.direct: "),
        ("{verify: sometimes}", "modules.verify: "),
        ("{upstreams: x}", "modules.upstreams: unknown key"),
        ("{listen: \"0.0.0.0:7081\"}", "modules.listen: `0.0.0.0:7081` is open to other machines"),
    ] {
        let (_, problems) = read(&format!("modules: {section}"));
        assert_eq!(problems.len(), 1, "{section}: {problems:?}");
        assert!(problems[0].starts_with(problem), "{section}: {problems:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let (_, problems) = read("modules: {auth: {username: \"a:b\", password: hunter2}}");
    assert_eq!(problems, ["modules.auth: a user name has no colon (RFC 7617)"]);
    let shown = format!("{:?}", good("{auth: {username: u, password: hunter2}}"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
