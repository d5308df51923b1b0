//! Ways out through proxies that others have written: squid, tinyproxy, sing-box, mihomo. `make peers` installs them; without
//! them these tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and starts its own processes"
)]

mod processes;
#[expect(dead_code, reason = "shared with the tests in `ways`, which need more")]
#[path = "ways/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tradewind_core::FaultKind;
use tradewind_egress::{Destination, HttpHop};
use tradewind_policy::ways::ProxyKind;

use processes::{Peer, debian, exchange, folder, installed, local};
use support::{
    PATIENCE, dialing, direct, echo, http_proxy, mirror, shadowsocks, socks, talk, through, udp_echo, way, with_basic,
};

/// A proxy that ends with the test, and then its folder.
struct Proxy {
    _peer: Peer,
    _folder: TempDir,
    port: u16,
}

impl Proxy {
    fn address(&self) -> SocketAddr {
        local(self.port)
    }

    /// Starts `program` with the settings that `configuration` makes for its folder and its port, and waits until it has said
    /// `ready`. The path of the settings is the last of its arguments.
    fn start(
        mut program: Command,
        arguments: &[&str],
        configuration: impl FnOnce(&Path, u16) -> String,
        ready: &str,
    ) -> Self {
        let (folder, port) = (folder(), tradewind_sim::free_port());
        let settings = folder.path().join("settings");
        std::fs::write(&settings, configuration(folder.path(), port)).unwrap();
        let peer = Peer::start(program.args(arguments).arg(settings).current_dir(folder.path()));
        peer.until(ready);
        Self { _peer: peer, _folder: folder, port }
    }
}

fn squid() -> Proxy {
    let folder = folder();
    let (peer, port) = processes::squid(folder.path(), "", |_| ());
    Proxy { _peer: peer, _folder: folder, port }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn squid_with_basic() {
    let squid = squid();
    let (echo, mirror) = (echo().await, mirror().await);
    let corp = way("corp", with_basic(http_proxy(squid.address()), "alice", "s3cret"));
    let dialing = dialing(&[&corp], PATIENCE);
    // A name that only the proxy knows.
    let to = Destination::new("only.the.proxy.knows", echo.address.port());
    let mut stream = corp.connect(&to, &dialing).await.unwrap();
    assert!(stream.as_tcp().is_some(), "nothing is left over, so that it is a plain socket");
    talk(&mut stream).await;
    // Plain HTTP in the absolute form.
    let to = Destination::new("only.the.proxy.knows", mirror.address.port());
    let HttpHop::Proxy { mut stream, headers } = corp.connect_http(&to, &dialing).await.unwrap() else {
        panic!("the proxy takes the absolute form")
    };
    let login = headers.each.unwrap();
    let request =
        format!("GET http://{to}/x HTTP/1.1\r\nhost: {to}\r\nproxy-authorization: {}\r\n\r\n", login.to_str().unwrap());
    let answer = exchange(&mut stream, &request).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(!answer.contains("proxy-authorization"), "squid keeps it to itself");
    // Each way in which it refuses.
    let nobody = way("corp", ProxyKind::Http(http_proxy(squid.address())));
    let wrong = way("corp", with_basic(http_proxy(squid.address()), "alice", "wrong"));
    let forbidden = Destination::new("192.0.2.1", 443);
    let unknown = Destination::new("no.such.name.invalid", 443);
    let table = [
        (&nobody, &to, FaultKind::ProxyLogin, "it wants a login and none is set: status 407; it takes Basic"),
        (
            &wrong,
            &to,
            FaultKind::ProxyLogin,
            "it does not accept the login of the document: status 407; it takes Basic",
        ),
        (&corp, &forbidden, FaultKind::ProxyFailed, "it does not allow this destination: status 403 (Forbidden"),
        (&corp, &unknown, FaultKind::ProxyFailed, "it could not reach it: status 5"),
    ];
    for (way, to, kind, words) in table {
        let fault = way.connect(to, &dialing).await.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (kind, true), "{fault}");
        assert!(fault.detail.contains(words), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tinyproxy_with_basic() {
    let echo = echo().await;
    let open = echo.address.port();
    let configuration = |_: &Path, port: u16| {
        format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth alice s3cret\nConnectPort {open}\n\
             LogLevel Info\n"
        )
    };
    let tinyproxy = Proxy::start(debian("tinyproxy"), &["-d", "-c"], configuration, "Accepting connections.");
    let corp = way("corp", with_basic(http_proxy(tinyproxy.address()), "alice", "s3cret"));
    let dialing = dialing(&[&corp], PATIENCE);
    talk(&mut corp.connect(&echo.destination(), &dialing).await.unwrap()).await;
    let fault = corp.connect(&Destination::new("127.0.0.1", 1), &dialing).await.err().unwrap();
    assert!(fault.detail.contains("it does not allow this destination: status 403"), "{fault}");
    let wrong = way("corp", with_basic(http_proxy(tinyproxy.address()), "alice", "wrong"));
    let fault = wrong.connect(&echo.destination(), &dialing).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::ProxyLogin, "{fault}");
}

/// Keys of 16 and 32 bytes.
const SHORT: &str = "AAECAwQFBgcICQoLDA0ODw==";
const SHORT_TOO: &str = "Dw4NDAsKCQgHBgUEAwIBAA==";
const LONG: &str = "AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=";
const LONG_TOO: &str = "Dw4NDAsKCQgHBgUEAwIBAA8ODQwLCgkIBwYFBAMCAQA=";

/// Cipher, what the server is given, its user if it tells users apart, what we are given.
fn ciphers() -> Vec<(&'static str, &'static str, Option<&'static str>, String)> {
    let alone = [
        ("aes-128-gcm", "a password"),
        ("aes-256-gcm", "a password"),
        ("chacha20-ietf-poly1305", "a password"),
        ("2022-blake3-aes-128-gcm", SHORT),
        ("2022-blake3-aes-256-gcm", LONG),
        ("2022-blake3-chacha20-poly1305", LONG),
    ];
    let mut all: Vec<_> = alone.map(|(cipher, key)| (cipher, key, None, key.to_owned())).into();
    all.push(("2022-blake3-aes-128-gcm", SHORT, Some(SHORT_TOO), format!("{SHORT}:{SHORT_TOO}")));
    all.push(("2022-blake3-aes-256-gcm", LONG, Some(LONG_TOO), format!("{LONG}:{LONG_TOO}")));
    all
}

fn sing_box(inbound: &str) -> Proxy {
    let configuration = |_: &Path, port: u16| {
        format!(
            r#"{{"log": {{"level": "debug"}}, "inbounds": [{{"tag": "in", "listen": "127.0.0.1", "listen_port": {port}, {inbound}}}],
                "outbounds": [{{"type": "direct", "tag": "out"}}]}}"#
        )
    };
    Proxy::start(installed("sing-box"), &["run", "-c"], configuration, "sing-box started")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sing_box_as_socks5_server() {
    let sing_box = sing_box(r#""type": "socks", "users": [{"username": "alice", "password": "s3cret"}]"#);
    let (echo, udp) = (echo().await, udp_echo().await);
    let known = way("socks", socks(sing_box.address(), Some(("alice", "s3cret"))));
    let dialing = dialing(&[&known], PATIENCE);
    talk(&mut known.connect(&echo.destination(), &dialing).await.unwrap()).await;
    let by_name = Destination::new("localhost", echo.address.port());
    talk(&mut known.connect(&by_name, &dialing).await.unwrap()).await;
    exchange_datagrams(&known, &dialing, udp).await;
    for login in [None, Some(("alice", "wrong"))] {
        let fault =
            way("socks", socks(sing_box.address(), login)).connect(&echo.destination(), &dialing).await.err().unwrap();
        assert!(matches!(fault.kind, FaultKind::ProxyLogin | FaultKind::ProxyFailed), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sing_box_as_shadowsocks_server() {
    let (echo, udp) = (echo().await, udp_echo().await);
    for (cipher, key, user, ours) in ciphers() {
        let users = user.map_or(String::new(), |user| format!(r#", "users": [{{"name": "u", "password": "{user}"}}]"#));
        let sing_box = sing_box(&format!(r#""type": "shadowsocks", "method": "{cipher}", "password": "{key}"{users}"#));
        let ss = way("ss", shadowsocks(sing_box.address(), cipher, &ours));
        let dialing = dialing(&[&ss], PATIENCE);
        talk(&mut ss.connect(&echo.destination(), &dialing).await.unwrap()).await;
        exchange_datagrams(&ss, &dialing, udp).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mihomo_as_shadowsocks_server() {
    let (echo, udp) = (echo().await, udp_echo().await);
    for (cipher, key, user, ours) in ciphers() {
        if user.is_some() {
            continue; // its listener knows no users
        }
        // It listens before it passes anything on, and does not say when it does; but then it looks for a dashboard, and says
        // that there is one.
        let configuration = |folder: &Path, port: u16| {
            std::fs::create_dir(folder.join("ui")).unwrap();
            std::fs::write(folder.join("ui/index.html"), "").unwrap();
            format!(
                "mode: direct\nlog-level: debug\nexternal-ui: ui\nlisteners:\n  - {{name: in, type: shadowsocks, \
                 listen: 127.0.0.1, port: {port}, cipher: {cipher}, password: \"{key}\", udp: true}}\n"
            )
        };
        let mihomo = Proxy::start(installed("mihomo/mihomo"), &["-d", ".", "-f"], configuration, "UI already exists");
        let ss = way("ss", shadowsocks(mihomo.address(), cipher, &ours));
        let dialing = dialing(&[&ss], PATIENCE);
        talk(&mut ss.connect(&echo.destination(), &dialing).await.unwrap()).await;
        exchange_datagrams(&ss, &dialing, udp).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_proxies_by_others() {
    let (squid, echo, udp) = (squid(), echo().await, udp_echo().await);
    let socks_server = sing_box(r#""type": "socks""#);
    let ss_server =
        sing_box(&format!(r#""type": "shadowsocks", "method": "2022-blake3-aes-128-gcm", "password": "{SHORT}""#));
    let corp = way("corp", with_basic(http_proxy(squid.address()), "alice", "s3cret"));
    let jump = through("jump", socks(socks_server.address(), None), Some("corp"));
    let last = through("last", shadowsocks(ss_server.address(), "2022-blake3-aes-128-gcm", SHORT), Some("jump"));
    let dialing = dialing(&[&corp, &jump, &last, &direct()], PATIENCE);
    let mut stream = last.connect(&echo.destination(), &dialing).await.unwrap();
    assert!(stream.socket().is_some(), "there is a socket at the bottom");
    talk(&mut stream).await;
    // Datagrams cannot go through an HTTP proxy, but through SOCKS5.
    let fault = last.datagrams(&dialing).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::WayRejected, "{fault}");
    let jump = way("jump", socks(socks_server.address(), None));
    let dialing = support::dialing(&[&jump, &last], PATIENCE);
    exchange_datagrams(&last, &dialing, udp).await;
}

async fn exchange_datagrams(way: &tradewind_egress::Outbound, dialing: &tradewind_egress::Dialing, echo: SocketAddr) {
    let datagrams = way.datagrams(dialing).await.unwrap();
    let mut heard = vec![0; 65_536];
    for length in [1, 100, 1300] {
        let said = vec![b'x'; length];
        datagrams.send_to(&echo.into(), &said).await.unwrap();
        let (read, from) = tokio::time::timeout(PATIENCE, datagrams.recv_from(&mut heard)).await.unwrap().unwrap();
        assert_eq!((&heard[..read], from), (&vec![b'X'; length][..], echo.into()));
    }
}
