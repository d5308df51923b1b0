//! Ways out through proxies that others have written: squid, tinyproxy, sing-box, mihomo. `make peers` installs them; without
//! them these tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and starts its own processes"
)]

#[expect(dead_code, reason = "shared with the tests in `ways`, which need more")]
#[path = "ways/support/mod.rs"]
mod support;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::FaultKind;
use tradewind_egress::{Destination, HttpHop};
use tradewind_policy::ways::ProxyKind;

use support::{
    PATIENCE, dialing, direct, echo, http_proxy, mirror, shadowsocks, socks, talk, through, udp_echo, way, with_basic,
};

/// A process that ends with the test.
struct Peer {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.log());
        }
        // Asked to stop, so that squid takes its shared memory with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Starts `program` with a configuration that knows its folder and its port, and waits until it listens.
    async fn start(program: PathBuf, configuration: impl Fn(&str, u16) -> String, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // squid reads its files as another user when it is started by root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let port = free_port();
        let file = folder.path().join("peer.conf");
        std::fs::write(&file, configuration(&path, port)).unwrap();
        let name = format!("peer{port}");
        let arguments = arguments.iter().map(|argument| match *argument {
            "FILE" => file.to_str().unwrap(),
            "FOLDER" => &path,
            "NAME" => &name,
            other => other,
        });
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(&program)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make peers`", program.display()));
        let mut peer = Self { child, folder, port };
        let listening = async {
            while tokio::net::TcpStream::connect(peer.address()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, listening).await;
        assert!(came.is_ok() && peer.child.try_wait().unwrap().is_none(), "{}: {}", program.display(), peer.log());
        peer
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A program of Debian's.
fn debian(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
    let found = places.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed; run `make peers`"))
}

/// A program of the folder of peers.
fn peer(name: &str) -> PathBuf {
    let folder = std::env::var_os("TRADEWIND_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
        cache.join("tradewind/peers")
    });
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there; run `make peers`", path.display());
    path
}

/// The hash of `openssl passwd -apr1 -salt saltsalt s3cret`.
const HASHED: &str = "alice:$apr1$saltsalt$";

async fn squid() -> Peer {
    let made = Command::new("openssl").args(["passwd", "-apr1", "-salt", "saltsalt", "s3cret"]).output().unwrap();
    let hash = String::from_utf8(made.stdout).unwrap();
    assert!(hash.starts_with(&HASHED[6..]), "{hash}");
    let configuration = move |folder: &str, port: u16| {
        std::fs::write(format!("{folder}/users"), format!("alice:{hash}")).unwrap();
        std::fs::write(format!("{folder}/hosts"), "127.0.0.1 only.the.proxy.knows\n").unwrap();
        format!(
            "http_port 127.0.0.1:{port}\npid_filename none\ncache deny all\naccess_log none\ncache_log /dev/null\n\
             hosts_file {folder}/hosts\nshutdown_lifetime 0 seconds\n\
             auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/users\nauth_param basic realm squid\n\
             acl known proxy_auth REQUIRED\nacl forbidden dst 192.0.2.0/24\nhttp_access deny !known\n\
             http_access deny forbidden\nhttp_access allow all\ncoredump_dir {folder}\n"
        )
    };
    Peer::start(debian("squid"), configuration, &["-N", "-n", "NAME", "-f", "FILE"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn squid_with_basic() {
    let squid = squid().await;
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
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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
    let configuration = move |folder: &str, port: u16| {
        format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth alice s3cret\nConnectPort {open}\n\
             LogFile \"{folder}/tinyproxy.log\"\nLogLevel Info\n"
        )
    };
    let tinyproxy = Peer::start(debian("tinyproxy"), configuration, &["-d", "-c", "FILE"]).await;
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

async fn sing_box(inbound: impl Fn(u16) -> String) -> Peer {
    let configuration = |_: &str, port: u16| {
        format!(
            r#"{{"log": {{"level": "debug"}}, "inbounds": [{{"tag": "in", "listen": "127.0.0.1", "listen_port": {port}, {}}}],
                "outbounds": [{{"type": "direct", "tag": "out"}}]}}"#,
            inbound(port)
        )
    };
    Peer::start(peer("sing-box"), configuration, &["run", "-c", "FILE"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sing_box_as_socks5_server() {
    let sing_box =
        sing_box(|_| r#""type": "socks", "users": [{"username": "alice", "password": "s3cret"}]"#.to_owned()).await;
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
        let inbound = |_| format!(r#""type": "shadowsocks", "method": "{cipher}", "password": "{key}"{users}"#);
        let sing_box = sing_box(inbound).await;
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
        let configuration = |_: &str, port: u16| {
            format!(
                "mode: direct\nlog-level: debug\nlisteners:\n  - {{name: in, type: shadowsocks, listen: 127.0.0.1, port: {port}, \
                 cipher: {cipher}, password: \"{key}\", udp: true}}\n"
            )
        };
        let mihomo = Peer::start(peer("mihomo/mihomo"), configuration, &["-d", "FOLDER", "-f", "FILE"]).await;
        let ss = way("ss", shadowsocks(mihomo.address(), cipher, &ours));
        let dialing = dialing(&[&ss], PATIENCE);
        // It listens before it passes anything on.
        let ready = async {
            loop {
                let mut stream = ss.connect(&echo.destination(), &dialing).await.unwrap();
                stream.write_all(b"x").await.unwrap();
                if stream.read_u8().await.is_ok() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
        talk(&mut ss.connect(&echo.destination(), &dialing).await.unwrap()).await;
        exchange_datagrams(&ss, &dialing, udp).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_proxies_by_others() {
    let (squid, echo, udp) = (squid().await, echo().await, udp_echo().await);
    let socks_server = sing_box(|_| r#""type": "socks""#.to_owned()).await;
    let ss_server =
        sing_box(|_| format!(r#""type": "shadowsocks", "method": "2022-blake3-aes-128-gcm", "password": "{SHORT}""#))
            .await;
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
