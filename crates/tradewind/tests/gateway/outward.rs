//! Ways out, end to end: the relay in all its protocols, rules, groups, networks, and models through proxies. A proxy is
//! another gateway's relay here; those that people have stand in the tests with real clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{RefusedPort, Sim, SimOptions, free_port};

use crate::support::{Answer, Bench, SOON, error_code, eventually, get, post};

async fn sim(name: &str) -> Sim {
    Sim::start(SimOptions::named(name)).await.unwrap()
}

fn place(sim: &Sim) -> String {
    sim.base_url().trim_start_matches("http://").to_owned()
}

/// A gateway with a relay.
struct Relaying {
    bench: Bench,
    relay: SocketAddr,
    yaml: String,
}

impl Relaying {
    async fn start(yaml: &str) -> Self {
        let yaml = format!("mixed-port: {}\n{yaml}", free_port());
        let bench = Bench::start(&yaml).await;
        let relay = bench.gateway.relay_ports()[0].1;
        Self { bench, relay, yaml }
    }

    /// What is answered to these bytes, to the end of the connection.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.relay).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        read(&mut stream).await
    }

    /// Asks for a page of `sim` in the absolute form.
    async fn page(&self, host: &str) -> String {
        let request = format!("GET http://{host}/v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        self.say(request.as_bytes()).await
    }

    /// The newest record of the relay.
    async fn record(&self) -> Value {
        let found = std::cell::RefCell::new(Value::Null);
        eventually("there is a record of the relay", SOON, async || {
            let answer = self.bench.send(&get("/api/v1/decisions?limit=20")).await.json();
            let mut all = answer["decisions"].as_array().cloned().unwrap_or_default().into_iter();
            found.replace(all.find(|record| record["door"] == "relay").unwrap_or_default());
            !found.borrow().is_null()
        })
        .await;
        found.into_inner()
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = String::from_utf8(post(path, "", &body.to_string())).unwrap();
        self.bench.send(request.replacen("POST", "PUT", 1).as_bytes()).await
    }

    /// What a group uses now.
    async fn uses(&self, group: &str) -> String {
        let shown = self.bench.send(&get("/api/v1/proxies")).await.json();
        let groups = shown["groups"].as_array().cloned().unwrap_or_default();
        let found = groups.into_iter().find(|known| known["name"] == group).unwrap();
        found["now"].as_str().unwrap().to_owned()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the last byte is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request for a page, as it goes through a tunnel.
fn inside(host: &str) -> String {
    format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_protocol_comes_through_the_same_port() {
    let up = sim("up").await;
    let host = place(&up);
    let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
    let relaying = Relaying::start("rules: [\"MATCH,DIRECT\"]\n").await;

    let page = relaying.page(&host).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert_eq!(relaying.record().await["operation"], "http");

    let connect = format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n{}", inside(&host));
    let answer = relaying.say(connect.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200"), "{answer}");

    let mut socks5 = b"\x05\x01\x00\x05\x01\x00\x03\x09localhost".to_vec();
    socks5.extend(port.to_be_bytes());
    socks5.extend(inside(&host).bytes());
    let answer = relaying.say(&socks5).await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");

    let mut socks4 = vec![4, 1];
    socks4.extend(port.to_be_bytes());
    socks4.extend(b"\0\0\0\x01me\0localhost\0");
    socks4.extend(inside(&host).bytes());
    let answer = relaying.say(&socks4).await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");

    eventually("all have a record", SOON, async || {
        let answer = relaying.bench.send(&get("/api/v1/decisions?limit=20")).await.json();
        let all = answer["decisions"].as_array().cloned().unwrap_or_default();
        ["http", "connect", "socks5", "socks4"].iter().all(|kind| all.iter().any(|record| record["operation"] == *kind))
    })
    .await;
    let record = relaying.record().await;
    assert_eq!(record["way"], json!({"chain": ["DIRECT"], "rule": {"type": "Match", "payload": ""}}));
    assert_eq!(record["outcome"], "ok", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_refuses_is_refused_in_words_and_by_record() {
    let up = sim("up").await;
    let relaying = Relaying::start("rules: [\"DOMAIN-SUFFIX,blocked.test,REJECT\", \"MATCH,DIRECT\"]\n").await;
    for host in ["blocked.test", "a.BLOCKED.test.", "b.blocked.test:8080"] {
        let page = relaying.page(host).await;
        assert!(page.starts_with("HTTP/1.1 403") && page.contains("TW5005"), "{host}: {page}");
    }
    let page = relaying.page(&place(&up)).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let page = relaying.page("169.254.169.254").await;
    assert!(page.starts_with("HTTP/1.1 403") && page.contains("credentials"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_could_mean_two_things_are_refused() {
    let up = sim("up").await;
    let host = place(&up);
    let relaying = Relaying::start("rules: [\"MATCH,DIRECT\"]\n").await;
    let before = up.stats().requests;
    for head in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "bad name: x\r\n",
        "x: a\r\n b\r\n",
    ] {
        let request = format!(
            "POST http://{host}/v1/x HTTP/1.1\r\nhost: {host}\r\n{head}\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n"
        );
        let answer = relaying.say(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a HTTP/1.1\r\n\r\n",
        "GET https://a/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
    ] {
        let answer = relaying.say(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
    }
    assert_eq!(up.stats().requests, before, "something reached the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_wants_a_password_gets_it_or_serves_nobody() {
    let up = sim("up").await;
    let host = place(&up);
    let relaying = Relaying::start("authentication: [\"ann:secret\"]\nrules: [\"MATCH,DIRECT\"]\n").await;
    let page = relaying.page(&host).await;
    assert!(page.starts_with("HTTP/1.1 407") && page.to_lowercase().contains("proxy-authenticate: basic"), "{page}");
    let connect = |header: &str| format!("CONNECT {host} HTTP/1.1\r\n{header}\r\n");
    // The same connection may try again.
    let mut stream = TcpStream::connect(relaying.relay).await.unwrap();
    stream.write_all(connect("").as_bytes()).await.unwrap();
    let right = connect("proxy-authorization: Basic YW5uOnNlY3JldA==\r\n");
    stream.write_all(format!("{right}{}", inside(&host)).as_bytes()).await.unwrap();
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 407") && answer.contains("HTTP/1.1 200 Connection established"), "{answer}");
    let wrong = connect("proxy-authorization: Basic YW5uOnNlY3JlVA==\r\nconnection: close\r\n");
    let wrong = relaying.say(wrong.as_bytes());
    let answer = tokio::time::timeout(Duration::from_millis(300), wrong).await;
    assert!(answer.is_err() || answer.unwrap().starts_with("HTTP/1.1 407"));
    drop(stream);
    assert_eq!(relaying.record().await["key"], "ann");
}

/// A server that answers the first request on each connection, and closes it when a second comes. Says how many requests it
/// has read.
async fn forgetful() -> (SocketAddr, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<AtomicUsize>::default();
    let counting = seen.clone();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            for answer in [&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..], b""] {
                if stream.read(&mut head).await.unwrap_or(0) > 0 {
                    counting.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(answer).await.unwrap();
                }
            }
        }
    });
    (address, seen, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_a_connection_as_it_is_used_again_is_asked_on_another() {
    let (server, seen, _serving) = forgetful().await;
    let relaying = Relaying::start("rules: [\"MATCH,DIRECT\"]\n").await;
    let asked =
        |method: &str, more: &str| format!("{method} http://{server}/ HTTP/1.1\r\nhost: {server}\r\n{more}\r\n");
    let mut stream = TcpStream::connect(relaying.relay).await.unwrap();
    stream
        .write_all(format!("{}{}", asked("GET", ""), asked("GET", "connection: close\r\n")).as_bytes())
        .await
        .unwrap();
    let answers = read(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
    assert_eq!(seen.load(Ordering::Relaxed), 3, "the second was asked twice");

    // What may have had effects is not sent twice.
    let mut stream = TcpStream::connect(relaying.relay).await.unwrap();
    let post = asked("POST", "content-length: 2\r\nconnection: close\r\n");
    stream.write_all(format!("{}{post}hi", asked("GET", "")).as_bytes()).await.unwrap();
    let answers = read(&mut stream).await;
    assert!(answers.contains("HTTP/1.1 200 OK") && answers.contains("HTTP/1.1 502"), "{answers}");
}

/// A gateway with a model whose provider is reached through `via`.
async fn through(via: &str, up: &Sim, ways: &str) -> Relaying {
    let provider = format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false, via: {via}}}\n\
         models:\n  - {{name: assistant, targets: [{{use: up/m}}], timeouts: {{connect: 10s, total: 18s}}}}\n",
        up.base_url()
    );
    Relaying::start(&format!("{provider}{ways}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_reached_through_proxies_and_never_directly_in_place_of_one() {
    let up = sim("up").await;
    let hop = Relaying::start("rules: [\"MATCH,DIRECT\"]\n").await;
    let refused = RefusedPort::bind().unwrap();
    let (port, nobody) = (hop.relay.port(), refused.address().port());
    let ways = format!(
        "proxies:\n  - {{name: web, type: http, server: 127.0.0.1, port: {port}}}\n  \
         - {{name: socks, type: socks5, server: 127.0.0.1, port: {port}}}\n  \
         - {{name: dead, type: socks5, server: 127.0.0.1, port: {nobody}}}\n  \
         - {{name: vm, type: vmess, server: a.test, port: 1, uuid: x, cipher: auto}}\n  \
         - {{name: chain, type: socks5, server: 127.0.0.1, port: {port}, dialer-proxy: web}}\n\
         proxy-groups:\n  - {{name: out, type: select, proxies: [web, socks, dead, vm, chain, DIRECT]}}\n"
    );
    let relaying = through("out", &up, &ways).await;
    for (member, hops) in [("web", 1), ("socks", 1), ("chain", 2), ("DIRECT", 0)] {
        assert_eq!(relaying.put("/api/v1/proxies/out/selected", &json!({"selected": member})).await.status, 200);
        assert_eq!(relaying.uses("out").await, member);
        let before = records(&hop).await;
        let answer = relaying.bench.ask(Dialect::OpenAi, "assistant", false).await;
        assert_eq!(answer.status, 200, "{member}: {}", answer.text());
        assert_eq!(relaying.bench.record(&answer).await["attempts"][0]["way"], member);
        assert_eq!(
            relaying.bench.ask(Dialect::OpenAi, "assistant", false).await.status,
            200,
            "again, perhaps on the same connection"
        );
        if hops == 0 {
            assert_eq!(records(&hop).await, before, "nothing goes through the hop any more");
        }
    }
    let before = up.stats().requests;
    for (member, code) in [("dead", "TW5001"), ("vm", "TW5004")] {
        relaying.put("/api/v1/proxies/out/selected", &json!({"selected": member})).await;
        let answer = relaying.bench.ask(Dialect::OpenAi, "assistant", false).await;
        assert_eq!(error_code(&answer.json(), Dialect::OpenAi).as_deref(), Some(code), "{member}: {}", answer.text());
        assert_eq!(relaying.bench.record(&answer).await["attempts"][0]["way"], member);
        assert!(answer.text().contains(member), "{}", answer.text());
    }
    assert_eq!(up.stats().requests, before, "the provider was reached another way");
    let unknown = relaying.put("/api/v1/proxies/out/selected", &json!({"selected": "nope"})).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
}

/// Records that a relay has made so far.
async fn records(hop: &Relaying) -> usize {
    let answer = hop.bench.send(&get("/api/v1/decisions?limit=1000")).await.json();
    answer["decisions"].as_array().map_or(0, Vec::len)
}

const NETWORKS: &str = "profile: {sample-network: false}\nnetworks:\n  - {name: office, match: {ssid: corp-5g}}\n  - {name: home, match: {ssid: home}}\n";

fn wifi(ssid: &str) -> Value {
    json!({"version": 1, "interfaces": [{"name": "wlan0", "iface_type": "wifi", "ssid": ssid}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_models_follow_the_network_until_somebody_chooses() {
    let (a, b) = (sim("a").await, sim("b").await);
    let yaml = format!(
        "providers:\n  - {{name: a, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n  \
         - {{name: b, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n\
         models:\n  - {{name: private, strategy: select, targets: [{{use: a/m}}, {{use: b/m}}], network-policy: {{office: b/m, default: a/m}}}}\n\
         proxies:\n  - {{name: corp, type: http, server: 127.0.0.1, port: 9}}\n\
         proxy-groups:\n  - {{name: out, type: select, proxies: [corp, DIRECT], network-policy: {{office: corp, default: DIRECT}}}}\n{NETWORKS}",
        a.base_url(),
        b.base_url()
    );
    let relaying = Relaying::start(&yaml).await;
    assert_eq!(relaying.uses("out").await, "DIRECT", "the default before anybody has said anything");
    let context = "/api/v1/network/context";

    let answer = relaying.put(context, &wifi("corp-5g")).await.json();
    assert_eq!(answer["matched_network"], "office");
    let rows = answer["applied"].as_array().unwrap();
    assert_eq!((rows[0]["group"].as_str(), rows[1]["group"].as_str()), (Some("out"), Some("models/private")));
    assert_eq!((rows[0]["reason"].as_str(), rows[1]["applied_proxy"].as_str()), (Some("matched"), Some("b/m")));
    assert_eq!(relaying.uses("out").await, "corp");
    relaying.bench.ask(Dialect::OpenAi, "private", false).await;
    assert_eq!((a.stats().requests, b.stats().requests), (0, 1));

    // A choice by hand holds as long as the network is the same.
    relaying.put("/api/v1/proxies/out/selected", &json!({"selected": "DIRECT"})).await;
    relaying.put("/api/v1/models/private/selected", &json!({"selected": "a/m"})).await;
    let answer = relaying.put(context, &wifi("corp-5g")).await.json();
    let reasons: Vec<_> = answer["applied"].as_array().unwrap().iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, ["manual_locked", "manual_locked"]);
    assert_eq!(relaying.uses("out").await, "DIRECT");

    // A restart forgets neither.
    let relaying = Relaying { bench: relaying.bench.restart(&relaying.yaml).await, ..relaying };
    assert_eq!(relaying.uses("out").await, "DIRECT");
    relaying.bench.ask(Dialect::OpenAi, "private", false).await;
    assert_eq!(a.stats().requests, 1);
    let answer = relaying.put(context, &wifi("corp-5g")).await.json();
    assert_eq!(answer["applied"][0]["reason"], "manual_locked");

    // The network changes: the policy decides again.
    let answer = relaying.put(context, &wifi("home")).await.json();
    assert_eq!(
        (answer["matched_network"].as_str(), answer["applied"][1]["reason"].as_str()),
        (Some("home"), Some("default"))
    );
    let answer = relaying.put(context, &wifi("corp-5g")).await.json();
    assert_eq!(answer["applied"][0]["reason"], "matched");
    assert_eq!(relaying.uses("out").await, "corp");

    let explained = relaying.bench.send(&get("/api/v1/network/explain")).await.json();
    assert_eq!(
        (explained["matched_network"].as_str(), explained["said_by"].as_str()),
        (Some("office"), Some("a host"))
    );
    let way = relaying.bench.send(&get("/api/v1/way-out?url=https://a.test/&via=out")).await.json();
    assert_eq!(way["proxy"], "PROXY 127.0.0.1:9", "{way}");
    assert!(way["why"].as_str().unwrap().contains("the network is office"), "{way}");
    let refused = relaying.put(context, &json!({"version": 1})).await;
    assert!(refused.status == 400 && refused.text().contains("malformed_body"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_what_was_chosen_and_a_bad_one_changes_nothing() {
    let up = sim("up").await;
    let groups = "proxies:\n  - {name: corp, type: http, server: 127.0.0.1, port: 9}\n\
                  proxy-groups:\n  - {name: out, type: select, proxies: [corp, DIRECT]}\nrules: [\"MATCH,out\"]\n";
    let relaying = Relaying::start(groups).await;
    relaying.put("/api/v1/proxies/out/selected", &json!({"selected": "DIRECT"})).await;
    // A connection that runs meanwhile.
    let host = place(&up);
    let mut tunnel = TcpStream::connect(relaying.relay).await.unwrap();
    tunnel.write_all(format!("CONNECT {host} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut established = [0; 39];
    tunnel.read_exact(&mut established).await.unwrap();

    let more = relaying.yaml.replace("[corp, DIRECT]", "[corp, DIRECT, REJECT]");
    relaying.bench.reload(&more);
    assert_eq!(relaying.uses("out").await, "DIRECT");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = relaying.yaml.replacen(
        "mixed-port",
        &format!("socks-port: {}\nmixed-port", taken.local_addr().unwrap().port()),
        1,
    );
    assert!(relaying.bench.try_reload(&taken.replace("[corp, DIRECT]", "[corp]")).is_err(), "a port that is taken");
    assert_eq!(relaying.uses("out").await, "DIRECT", "nothing has changed");

    tunnel.write_all(inside(&host).as_bytes()).await.unwrap();
    let answer = read(&mut tunnel).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let other = relaying.yaml.replacen(
        &format!("mixed-port: {}", relaying.relay.port()),
        &format!("mixed-port: {}", free_port()),
        1,
    );
    relaying.bench.reload(&other);
    eventually("the old port is closed", SOON, async || TcpStream::connect(relaying.relay).await.is_err()).await;
}
