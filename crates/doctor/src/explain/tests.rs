//! Texts of the go command and their causes.

use std::sync::Arc;

use proptest::prelude::*;
use tradewind_runtime::SystemClock;

use super::*;
use crate::settings::{Environment, Overrides};

fn world(values: &[(&'static str, &str)]) -> World {
    let folder = tempfile::tempdir().unwrap();
    let home = [("HOME", folder.path().to_str().unwrap()), ("GOENV", "off")];
    let values = home.iter().chain(values).map(|(name, value)| (*name, *value));
    World::of(Environment::of(values), folder.path(), &Overrides::default(), Arc::new(SystemClock::new()))
}

fn cause(text: &str, values: &[(&'static str, &str)]) -> u8 {
    explain(text, &world(values)).findings.first().map_or(0, |finding| finding.cause.number())
}

#[test]
fn texts_of_the_go_command_have_their_causes() {
    let get = |error: &str| {
        format!("go: rsc.io/quote@v1.5.2: Get \"https://mod.example.com/rsc.io/quote/@v/v1.5.2.mod\": {error}")
    };
    for (text, expected) in [
        (get("dial tcp: lookup mod.example.com on 10.0.0.1:53: no such host"), 1),
        (get("dial tcp 10.1.1.1:443: connect: connection refused"), 3),
        (get("dial tcp 10.1.1.1:443: i/o timeout"), 4),
        (get("tls: failed to verify certificate: x509: certificate signed by unknown authority"), 6),
        (get("tls: failed to verify certificate: x509: certificate is valid for a.example.com, not mod.example.com"), 9),
        (get("tls: failed to verify certificate: x509: cannot validate certificate for 10.1.1.1 because it doesn't contain any IP SANs"), 9),
        (get("tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time …"), 10),
        (get("read tcp 10.0.0.2:1->10.1.1.1:443: read: connection reset by peer"), 11),
        (get("http: server gave HTTP response to HTTPS client"), 12),
        (get("redirected from secure URL https://mod.example.com/ to insecure URL http://login.example.com/"), 15),
        (get("stopped after 10 redirects"), 16),
        (get("Proxy Authentication Required"), 21),
        (get("proxyconnect tcp: tls: first record does not look like a TLS handshake"), 25),
        (get("proxyconnect tcp: dial tcp 10.9.9.9:3128: connect: connection refused"), 26),
        (get("proxyconnect tcp: dial tcp: lookup ss: no such host"), 27),
        (get("Unsupported method ('CONNECT')"), 28),
        (get("unexpected EOF"), 61),
        ("go: rsc.io/quote@v1.5.2: invalid response from proxy \"https://m/\": invalid character '<' looking for beginning of value".into(), 14),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/rsc.io/quote/@v/v1.5.2.mod: 403 Forbidden".into(), 17),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/x: 403 Forbidden\n\tserver response: not allowed here".into(), 18),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/x: 401 Unauthorized".into(), 19),
        ("go: rsc.io/quote@v1.5.2: reading http://m.example.com/x: 407 Proxy Authentication Required".into(), 22),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/x: 404 Not Found".into(), 63),
        ("go: github.com/Sirupsen/logrus@v1.0.0: reading https://m.example.com/x: 404 Not Found".into(), 64),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/x: 429 Too Many Requests".into(), 65),
        ("go: rsc.io/quote@v1.5.2: reading https://m.example.com/x: 451 Unavailable For Legal Reasons".into(), 66),
        ("go: rsc.io/quote@v1.5.2: refusing to pass credentials to insecure URL: http://u:xxxxx@m/".into(), 20),
        ("go: parse \"'https://m\": first path segment in URL cannot contain colon".into(), 35),
        (r#"go: parse "http://127.0.0.1:18090\\proxy": invalid port ":18090\\proxy" after host"#.into(), 35),
        ("go: invalid proxy URL scheme (must be https, http, file): ftp://m".into(), 36),
        ("go: GOPROXY list is not the empty string, but contains no entries".into(), 37),
        ("go: rsc.io/quote@v1.5.2: module lookup disabled by GOPROXY=off".into(), 38),
        ("warning: go env -w GOPROXY=x does not override conflicting OS environment variable".into(), 40),
        ("go: x.example.com/a@v1.0.0: reading https://p/x: 410 Gone\n\tserver response: fatal: could not read Username: terminal prompts disabled".into(), 42),
        ("go: x.example.com/a@v1.0.0: verifying module: x: reading https://sum.golang.org/lookup/x: 404 Not Found".into(), 43),
        ("go: git init: exec: \"git\": executable file not found in $PATH".into(), 46),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled".into(), 47),
        ("git@github.com: Permission denied (publickey).".into(), 47),
        ("go: GOVCS disallows using git for public rsc.io/quote; see 'go help vcs'".into(), 49),
        ("go: x: verifying go.mod: Get \"https://sum.golang.org/lookup/x\": dial tcp: lookup sum.golang.org: no such host".into(), 50),
        ("go: x: verifying go.mod: reading https://m/sumdb/sum.golang.org/supported: 503 Service Unavailable".into(), 51),
        ("go: x: verifying go.mod: invalid GOSUMDB: malformed verifier id".into(), 52),
        ("go: download go1.99: golang.org/toolchain@v0.0.1-go1.99: verifying module: checksum database disabled by GOSUMDB=off".into(), 53),
        ("go: download go1.99 for linux/amd64: toolchain not available".into(), 54),
        ("go: go.mod requires go >= 1.99 (running go 1.27.3; GOTOOLCHAIN=local)".into(), 55),
        ("verifying x: checksum mismatch\nSECURITY ERROR\nThis download does NOT match an earlier download recorded in go.sum.".into(), 56),
        ("verifying x: checksum mismatch\nSECURITY ERROR\nThis download does NOT match the one reported by the checksum server.".into(), 57),
        ("SECURITY ERROR\ngo.sum database server misbehavior detected!".into(), 58),
        ("main.go:3:8: missing go.sum entry for module providing package rsc.io/quote".into(), 59),
        ("go: rsc.io/quote@v1.5.2: zip: not a valid zip file".into(), 60),
        ("go: could not create module cache: mkdir /nowhere: permission denied".into(), 62),
        ("go: inconsistent vendoring in /src/app:".into(), 67),
        ("go: modules disabled by GO111MODULE=off; see 'go help modules'".into(), 68),
        ("all is well".into(), 0),
        (String::new(), 0),
    ] {
        assert_eq!(cause(&text, &[]), expected, "{text}");
    }
}

#[test]
fn settings_tell_what_the_text_does_not() {
    let text =
        "go: x.example.com/a@v1.0.0: Get \"https://mod.example.com/x\": dial tcp: lookup mod.example.com: no such host";
    assert_eq!(cause(text, &[("ALL_PROXY", "http://proxy:1")]), 29);
    assert_eq!(cause(text, &[("HTTP_PROXY", "http://proxy:1")]), 30);
    assert_eq!(cause(text, &[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", ".example.com")]), 32);
    assert_eq!(cause(text, &[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", ".example.org")]), 1);
    let text = "x509: certificate signed by unknown authority";
    assert_eq!(cause(text, &[("SSL_CERT_FILE", "/nowhere/ca.pem")]), 8);
}

#[test]
fn no_password_of_a_text_is_repeated() {
    let text = "go: Get \"https://me:hunter22@mod.example.com/\": dial tcp: lookup mod.example.com: no such host";
    let report = explain(text, &world(&[]));
    assert!(!report.text(true).contains("hunter22"), "{}", report.text(true));
}

#[test]
fn an_address_tells_who_misleads_and_a_host_what_separates() {
    let get = |host: &str, error: &str| format!("go: rsc.io/quote@v1.5.2: Get \"https://{host}/x.mod\": {error}");
    for (host, error, expected) in [
        ("proxy.golang.org", "dial tcp 10.20.30.40:443: connect: connection refused", 2),
        ("proxy.golang.org", "dial tcp 0.0.0.0:443: connect: connection refused", 2),
        ("proxy.golang.org", "dial tcp [::]:443: i/o timeout", 2),
        ("proxy.golang.org", "dial tcp 142.250.1.1:443: connect: connection refused", 3),
        ("mod.example.com", "dial tcp 10.20.30.40:443: connect: connection refused", 3),
        ("mod.example.com;direct", "dial tcp: lookup mod.example.com;direct: no such host", 35),
        ("mod.example.com", "Forbidden", 17),
        ("mod.example.com", "checking tree#310 against tree#311: downloaded inconsistent tile", 58),
    ] {
        assert_eq!(cause(&get(host, error), &[]), expected, "{host} {error}");
    }
}

#[test]
fn a_broken_setting_explains_what_comes_of_it() {
    let text = "go: a.b/c@v1.0.0: Get \"https://mod.example.com/x\": dial tcp: lookup mod.example.com: no such host";
    let proxy = [("GOPROXY", "https://mod.example.com"), ("HTTPS_PROXY", "http://me:p#ss/w%rd@proxy.example.com:3128")];
    assert_eq!(cause(text, &proxy), 27);
    assert_eq!(cause(text, &proxy[..1]), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_is_too_strange(text in "([ -~ü\n]{0,20}|no such host|lookup |https://|@v|403 forbidden){0,6}") {
        thread_local!(static WORLD: World = world(&[]));
        WORLD.with(|world| explain(&text, world));
    }
}
