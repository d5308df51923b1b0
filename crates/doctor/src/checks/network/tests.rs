//! Each way of misbehaving, and what it is called.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::testing::*;

const PAGE: &str = "<html><title>Please log in</title></html>";

fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn first_fix(rig: &Rig) -> (u8, String) {
    let report = rig.report();
    let first = report.findings.first().unwrap_or_else(|| panic!("nothing is found: {report:?}"));
    (first.cause.number(), first.fix.text.clone())
}

#[test]
fn a_healthy_way_is_nothing_to_tell() {
    let plain = Server::http(healthy);
    assert_eq!(Rig::new(&plain.url("http")).causes(), [0_u8; 0]);
    assert!(plain.asked().iter().any(|head| path(head).ends_with(".zip")));
    let tls = Tls::usual();
    let secure = Server::https(&tls, healthy);
    let rig = Rig::new(&secure.local("https")).trusting(&tls);
    assert_eq!(rig.causes(), [0_u8; 0]);
    let facts = rig.report().facts;
    let fact = &facts[&format!("module proxy {}", secure.local("https"))];
    assert!(fact["certificates"][0].as_str().unwrap().contains("issued by Test Inspection CA"), "{fact}");
}

#[test]
fn a_host_that_does_not_resolve() {
    let report = Rig::new("https://proxy.invalid").report();
    assert_eq!(report.findings[0].cause.number(), 1);
    let left: Vec<&str> = report.not_run.iter().map(|one| one.check.as_str()).collect();
    assert!(left.contains(&"TLS of module proxy https://proxy.invalid"), "{left:?}");
    assert!(left.contains(&"modules from their origin"), "{left:?}");
}

#[test]
fn a_port_that_nobody_listens_at() {
    let rig = Rig::new(&format!("http://127.0.0.1:{}", closed_port()));
    let report = rig.report();
    assert_eq!(report.findings[0].cause.number(), 3);
    assert!(report.findings[0].evidence[0].contains("connection refused"), "{report:?}");
}

/// Says nothing until the other side goes.
fn until_hung_up(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

#[test]
fn a_server_that_says_nothing() {
    let silent = Server::raw(until_hung_up);
    assert_eq!(Rig::new(&silent.url("http")).causes(), [5]);
    assert_eq!(Rig::new(&silent.local("https")).causes(), [5]);
    let next = Server::http(healthy);
    let (cause, fix) = first_fix(&Rig::new(&format!("{},{}", silent.url("http"), next.url("http"))));
    assert_eq!((cause, fix), (5, format!("export GOPROXY={}", next.url("http"))));
}

#[test]
fn large_packets_that_get_lost() {
    // Small messages are answered, the first message of TLS is not.
    let server = Server::raw(|mut stream| {
        let mut first = [0];
        let _ = stream.read_exact(&mut first);
        if first == [b'G'] {
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        } else {
            until_hung_up(stream);
        }
    });
    assert_eq!(Rig::new(&server.local("https")).causes(), [69]);
}

#[test]
fn certificates_that_are_not_trusted() {
    let tls = Tls::usual();
    let server = Server::https(&tls, healthy);
    let other = Tls::usual();
    let report = Rig::new(&server.local("https")).trusting(&other).report();
    assert_eq!(report.findings[0].cause.number(), 6);
    let all = report.findings[0].evidence.join("\n");
    assert!(all.contains("ends at Test Inspection CA") && all.contains("a server, issued by"), "{all}");

    let (cause, _) = first_fix(&Rig::new(&server.local("https")).set("SSL_CERT_FILE", "/nowhere.pem"));
    assert_eq!(cause, 8);

    // The authority is on the machine, and only git was told.
    let rig = Rig::new(&server.local("https")).trusting(&other).file("corp.pem", &tls.ca);
    let corp = rig.folder.path().join("corp.pem").display().to_string();
    let (cause, fix) = first_fix(&rig.set("GIT_SSL_CAINFO", &corp));
    assert_eq!((cause, fix), (6, format!("export SSL_CERT_FILE={corp}")));
}

#[test]
fn certificates_of_others_and_of_other_times() {
    let tls = Tls::made(&["other.test"], 2020, 2100);
    let server = Server::https(&tls, healthy);
    let report = Rig::new(&server.local("https")).trusting(&tls).report();
    assert_eq!(report.findings[0].cause.number(), 9);
    assert!(report.findings[0].evidence[0].contains("valid for other.test, not localhost"), "{report:?}");

    // Asked by its address, and it has a name that leads to it.
    let tls = Tls::usual();
    let server = Server::https(&tls, healthy);
    let (cause, fix) = first_fix(&Rig::new(&server.url("https")).trusting(&tls));
    assert_eq!((cause, fix), (9, format!("export GOPROXY={}", server.local("https"))));

    for (from, until) in [(2000, 2001), (2090, 2100)] {
        let tls = Tls::made(&["localhost"], from, until);
        let server = Server::https(&tls, healthy);
        assert_eq!(Rig::new(&server.local("https")).trusting(&tls).causes(), [10]);
        // The server's own clock says that it is right.
        let years = u64::try_from(from - 1970).unwrap();
        let noon = std::time::UNIX_EPOCH + Duration::from_secs((years * 365 + years / 4 + 60) * 86_400);
        let date = format!("Date: {}\r\n", httpdate::fmt_http_date(noon));
        let server = Server::https(&tls, move |_| answer("200 OK", &date, ""));
        let (cause, fix) = first_fix(&Rig::new(&server.local("https")).trusting(&tls));
        assert_eq!((cause, fix.as_str()), (10, "sudo timedatectl set-ntp true"));
    }
}

#[test]
fn a_reset_when_the_host_is_named() {
    let tls = Tls::usual();
    let filter = Server::raw(|stream: TcpStream| {
        let mut hello = [0; 4096];
        let length = stream.peek(&mut hello).unwrap();
        assert!(length > 0);
        reset(&stream);
    });
    let report = Rig::new(&filter.local("https")).trusting(&tls).report();
    assert_eq!(report.findings[0].cause.number(), 11, "{report:?}");
}

#[test]
fn schemes_that_do_not_fit_the_port() {
    let plain = Server::http(healthy);
    let (cause, fix) = first_fix(&Rig::new(&plain.local("https")));
    assert_eq!((cause, fix), (12, format!("export GOPROXY={}", plain.local("http"))));
    let tls = Tls::usual();
    let secure = Server::https(&tls, healthy);
    let (cause, fix) = first_fix(&Rig::new(&secure.local("http")).trusting(&tls));
    assert_eq!((cause, fix), (13, format!("export GOPROXY={}", secure.local("https"))));
}

#[test]
fn pages_in_place_of_answers() {
    let portal = Server::http(|_| answer("200 OK", "Content-Type: text/html\r\n", PAGE));
    let report = Rig::new(&portal.url("http")).report();
    assert_eq!(report.findings[0].cause.number(), 14);
    assert!(report.findings[0].evidence[0].contains("Please log in"), "{report:?}");
    let other = Server::http(|_| answer("200 OK", "", "hello"));
    assert_eq!(Rig::new(&other.url("http")).causes(), [14]);
}

#[test]
fn redirects_that_go_does_not_follow() {
    let tls = Tls::usual();
    let portal = Server::https(&tls, |_| answer("302 Found", "Location: http://login.test/\r\n", ""));
    assert_eq!(Rig::new(&portal.local("https")).trusting(&tls).causes(), [15]);
    let circle = Server::http(|head| answer("301 Moved", &format!("Location: {}\r\n", path(head)), ""));
    assert_eq!(Rig::new(&circle.url("http")).causes(), [16]);
    assert_eq!(circle.asked().len(), 11);
}

#[test]
fn refusals() {
    let page = Server::http(|_| answer("403 Forbidden", "Content-Type: text/html\r\n", PAGE));
    assert_eq!(Rig::new(&page.url("http")).causes(), [17]);
    let words = |head: &str| match path(head).contains("quote") {
        true => answer("403 Forbidden", "Content-Type: text/plain\r\n", "too young"),
        false => answer("404 Not Found", "", ""),
    };
    let report = Rig::new(&Server::http(words).url("http")).report();
    assert_eq!(report.findings[0].cause.number(), 18);
    assert!(report.findings[0].evidence.iter().any(|line| line == "it says: too young"), "{report:?}");
    let all = Server::http(|_| answer("403 Forbidden", "Content-Type: text/plain\r\n", "go away"));
    assert_eq!(Rig::new(&all.url("http")).causes(), [17]);

    let limited = Server::http(|_| answer("429 Too Many Requests", "Retry-After: 3\r\n", ""));
    assert_eq!(first_fix(&Rig::new(&limited.url("http"))), (65, "sleep 4".to_owned()));
    let gone = Server::http(|_| answer("451 Unavailable For Legal Reasons", "Content-Type: text/plain\r\n", "DMCA"));
    assert_eq!(Rig::new(&gone.url("http")).causes(), [66]);
    let broken = Server::http(|_| answer("502 Bad Gateway", "", ""));
    assert_eq!(Rig::new(&broken.url("http")).causes(), [0]);
}

#[test]
fn logins_of_module_proxies() {
    let tls = Tls::usual();
    let wants = |head: &str| match head.contains("Authorization: Basic bWU6c2VjcmV0\r\n") {
        true => healthy(head),
        false => answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"go\"\r\n", ""),
    };
    let server = Server::https(&tls, wants);
    let rig = || Rig::new(&server.local("https")).trusting(&tls);
    let (cause, fix) = first_fix(&rig());
    assert_eq!(cause, 19);
    assert!(fix.contains("machine localhost login USER"), "{fix}");
    let netrc = "machine localhost login me password secret\n";
    assert_eq!(rig().file(".netrc", netrc).causes(), [0_u8; 0]);
    let kept = rig().file(".netrc", netrc).set("GOAUTH", "off");
    assert_eq!(first_fix(&kept), (19, "unset GOAUTH".to_owned()));
    let wrong = rig().file(".netrc", "machine localhost login me password wrong-one\n").report();
    assert_eq!(wrong.findings[0].cause.number(), 19);
    assert!(!wrong.text(true).contains("wrong-one"));
    let in_url = server.local("https").replace("//", "//me:secret@");
    assert_eq!(Rig::new(&in_url).trusting(&tls).causes(), [0_u8; 0]);
}

#[test]
fn transfers_that_end_early() {
    let short = Server::http(|head| {
        let mut whole = healthy(head);
        if path(head).ends_with(".zip") {
            whole.truncate(whole.len() - 20);
        }
        whole
    });
    let report = Rig::new(&short.url("http")).report();
    assert_eq!(report.findings[0].cause.number(), 61, "{report:?}");
    let cut = Server::raw(|mut stream| drop(head_of(&mut stream)));
    assert_eq!(Rig::new(&cut.url("http")).causes(), [61]);
}

#[test]
fn the_comma_and_the_pipe() {
    let (bad, good) = (Server::http(|_| answer("500 Oops", "", "")), Server::http(healthy));
    let list = |separator: &str| format!("{}{separator}{}", bad.url("http"), good.url("http"));
    let (cause, fix) = first_fix(&Rig::new(&list(",")));
    assert_eq!((cause, fix), (39, format!("export GOPROXY='{}'", list("|"))));
    let piped = Rig::new(&list("|")).report();
    assert_eq!(piped.findings.len(), 1);
    assert_eq!(piped.findings[0].weight, crate::Weight::Warns);
    // 404 is what the comma is for.
    let nothing = Server::http(|_| answer("404 Not Found", "", ""));
    assert_eq!(Rig::new(&format!("{},{}", nothing.url("http"), good.url("http"))).causes(), [0_u8; 0]);
}

#[test]
fn modules_that_nobody_has() {
    let server = Server::http(healthy);
    let of = |require: &str| {
        Rig::new(&server.url("http")).file("go.mod", format!("module test.example/app\n\nrequire {require}\n"))
    };
    let (cause, fix) = first_fix(&of(&format!("{MODULE} v9.9.9")));
    assert_eq!((cause, fix), (63, format!("go mod edit -require={MODULE}@{VERSION}")));
    assert_eq!(of("example.com/nothing v1.0.0").causes(), [63]);
    let (cause, fix) = first_fix(&of(&format!("example.com/Quote {VERSION}")));
    assert_eq!(cause, 64);
    assert!(
        fix.starts_with(&format!("go mod edit -droprequire=example.com/Quote -require={MODULE}@{VERSION}")),
        "{fix}"
    );
    assert_eq!(first_fix(&of("test.example/other v1.0.0")), (42, "export GOPRIVATE=test.example".to_owned()));
}

#[test]
fn nothing_missing_is_nothing_broken() {
    let server = Server::http(|_| answer("500 Oops", "", ""));
    let rig = Rig::new(&server.url("http")).file("go.mod", "module test.example/app\n");
    let report = rig.report();
    assert!(report.findings.iter().all(|finding| finding.weight == crate::Weight::Warns), "{report:?}");
}

// --- the HTTP proxy in between ---

/// An HTTP proxy that lets everything through to `target`.
fn open_proxy(
    target: std::net::SocketAddr,
    before: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Server {
    Server::raw(move |mut stream| {
        let Some(head) = head_of(&mut stream) else { return };
        if let Some(answer) = before(&head) {
            let _ = stream.write_all(&answer);
            return;
        }
        let mut there = TcpStream::connect(target).unwrap();
        if head.starts_with("CONNECT") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        } else {
            there.write_all(head.as_bytes()).unwrap();
        }
        let (mut back, mut to) = (there.try_clone().unwrap(), stream.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back, &mut to));
        let _ = std::io::copy(&mut stream, &mut there);
    })
}

struct Proxied {
    tls: Tls,
    secure: Server,
    plain: Server,
}

impl Proxied {
    fn new() -> Self {
        let tls = Tls::usual();
        let secure = Server::https(&tls, healthy);
        Self { tls, secure, plain: Server::http(healthy) }
    }

    fn rig(&self, proxy: &str) -> Rig {
        Rig::new("https://go.test").trusting(&self.tls).set("HTTPS_PROXY", proxy)
    }
}

#[test]
fn a_proxy_that_works_is_nothing_to_tell() {
    let all = Proxied::new();
    let proxy = open_proxy(all.secure.address, |_| None);
    assert_eq!(all.rig(&proxy.url("http")).causes(), [0_u8; 0]);
    let proxy = open_proxy(all.plain.address, |_| None);
    assert_eq!(Rig::new("http://go.test").set("HTTP_PROXY", &proxy.url("http")).causes(), [0_u8; 0]);
}

#[test]
fn logins_of_http_proxies() {
    let all = Proxied::new();
    let ask = |schemes: &'static str| {
        move |head: &str| {
            let let_in = head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n");
            (!let_in).then(|| answer("407 Proxy Authentication Required", schemes, ""))
        }
    };
    let basic = "Proxy-Authenticate: Basic realm=\"corp\"\r\n";
    let proxy = open_proxy(all.secure.address, ask(basic));
    let report = all.rig(&proxy.url("http")).report();
    assert_eq!(report.findings[0].cause.number(), 21);
    assert!(report.findings[0].evidence[0].contains("Basic (corp)"), "{report:?}");
    let with_login = proxy.url("http").replace("//", "//me:secret@");
    assert_eq!(all.rig(&with_login).causes(), [0_u8; 0]);
    let elsewhere = all.rig(&proxy.url("http")).set("ALL_PROXY", &with_login);
    assert_eq!(first_fix(&elsewhere), (21, "export HTTPS_PROXY=\"$ALL_PROXY\"".to_owned()));
    for schemes in ["Proxy-Authenticate: NTLM\r\n", "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n"] {
        let proxy = open_proxy(all.secure.address, ask(schemes));
        assert_eq!(all.rig(&proxy.url("http")).causes(), [23], "{schemes}");
    }
    let proxy = open_proxy(all.plain.address, ask(basic));
    assert_eq!(Rig::new("http://go.test").set("HTTP_PROXY", &proxy.url("http")).causes(), [22]);
    // The server itself says 407.
    let origin = Server::http(|_| answer("407 Proxy Authentication Required", "Proxy-Authenticate: Basic\r\n", ""));
    assert_eq!(Rig::new(&origin.url("http")).causes(), [19]);
}

#[test]
fn http_proxies_that_are_none() {
    let all = Proxied::new();
    let proxy = open_proxy(all.secure.address, |_| None);
    let (cause, fix) = first_fix(&all.rig(&proxy.url("https")));
    assert_eq!((cause, fix), (25, format!("export HTTPS_PROXY={}", proxy.url("http"))));
    let with_login = proxy.url("https").replace("//", "//me:secret@");
    assert_eq!(first_fix(&all.rig(&with_login)), (25, "export HTTPS_PROXY=\"http://${HTTPS_PROXY#*://}\"".to_owned()));

    assert_eq!(all.rig(&format!("http://127.0.0.1:{}", closed_port())).causes(), [26]);
    assert_eq!(all.rig("http://proxy.invalid:3128").causes(), [26]);

    let script = "function FindProxyForURL(u, h) { return \"PROXY 127.0.0.1:3128; DIRECT\"; }";
    let pac = Server::http(move |head| match head.starts_with("GET ") {
        true => answer("200 OK", "", script),
        false => answer("501 Unsupported method ('CONNECT')", "", ""),
    });
    let rig = all.rig(&format!("{}/proxy", pac.url("http")));
    assert_eq!(first_fix(&rig), (28, "export HTTPS_PROXY=http://127.0.0.1:3128".to_owned()));
}

#[test]
fn http_proxies_that_do_not_let_through() {
    let all = Proxied::new();
    let proxy = Server::http(|_| answer("403 Forbidden", "Content-Type: text/html\r\n", "<title>Blocked</title>"));
    let report = all.rig(&proxy.url("http")).report();
    assert_eq!(report.findings[0].cause.number(), 17);
    let proxy = Server::http(|_| answer("503 Service Unavailable", "", ""));
    let report = all.rig(&proxy.url("http")).report();
    assert!(report.findings[0].title.contains("does not get to go.test"), "{report:?}");
}

#[test]
fn a_setting_is_blamed_when_another_way_works() {
    let all = Proxied::new();
    let proxy = open_proxy(all.secure.address, |_| None);
    let rig = || Rig::new("https://go.test").trusting(&all.tls);
    let only = rig().set("ALL_PROXY", &proxy.url("http"));
    assert_eq!(first_fix(&only), (29, format!("export HTTPS_PROXY={}", proxy.url("http"))));
    assert_eq!(rig().set("HTTP_PROXY", &proxy.url("http")).causes(), [30]);
    let covered = rig().set("HTTPS_PROXY", &proxy.url("http")).set("NO_PROXY", ".test");
    assert_eq!(first_fix(&covered), (32, "unset NO_PROXY".to_owned()));
    // The proxy that only ALL_PROXY names does not work either.
    assert_eq!(rig().set("ALL_PROXY", &format!("http://127.0.0.1:{}", closed_port())).causes(), [1]);
}
