//! The door as callers see it: a port over real ways out, on the loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tradewind_core::{DecisionIds, FaultKind};
use tradewind_egress::{Destination, Egress, EgressSettings, Roots, Spawner};
use tradewind_policy::ways::Ways as Spec;
use tradewind_policy::{Problems, Root};
use tradewind_runtime::{Kind, Supervisor, SystemClock};
use tradewind_telemetry::{JournalSender, Outcome, Record, Sinks};
use tradewind_ways::{Kept, Ways};

use crate::datagrams::{opened, sealed};
use crate::{Needs, Port, Relay, Takes};

const PATIENCE: Duration = Duration::from_secs(10);

/// A relay with a port.
struct Rig {
    ways: Ways,
    supervisor: Supervisor,
    address: SocketAddr,
    records: std::sync::mpsc::Receiver<Box<Record>>,
    #[expect(dead_code, reason = "it is there as long as the test")]
    folder: tempfile::TempDir,
}

/// Waits until `done` says something.
async fn eventually<T>(mut done: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(done) = done() {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it does not come about")
}

impl Rig {
    async fn start(text: &str) -> Self {
        let mut problems = Problems::new();
        let root = Root::parse(text, &|_| None, &[], &mut problems);
        let spec = Spec::decode(&root, &mut problems);
        assert!(problems.is_empty(), "{}", problems.render("test", text));
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let supervisor = Supervisor::new();
        let owner = supervisor.clone();
        let spawner = Spawner::new(move |task| owner.spawn(Kind::Upkeep, task));
        let egress = Egress::new(clock.clone(), spawner.clone(), EgressSettings::default());
        egress.resolver().set(&spec.dns, &spec.hosts, &Roots::none());
        let inbound = spec.inbound.clone();
        let needs = tradewind_ways::Needs {
            clock,
            egress,
            supervisor: supervisor.clone(),
            roots: Roots::none(),
            folder: folder.path().to_owned(),
            base: folder.path().to_owned(),
        };
        let (ways, _) = Ways::start(spec, needs, Kept::default()).unwrap();
        let (journal, records) = JournalSender::to_channel(64);
        let needs = Needs {
            ways: ways.clone(),
            sinks: Arc::new(Sinks::to_journal(journal)),
            ids: Arc::new(DecisionIds::after(0)),
            spawner,
            find_process: Arc::new(|_| None),
        };
        let relay = Arc::new(Relay::new(&inbound, "test", needs));
        let port = Port::open(Takes::All, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.address;
        supervisor.spawn(Kind::Upkeep, port.serve(relay, supervisor.clone()));
        Self { ways, supervisor, address, records, folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The next record.
    async fn record(&self) -> Box<Record> {
        eventually(|| self.records.try_recv().ok()).await
    }

    /// Begins an association: the connection that holds it, and a socket for datagrams in their envelopes.
    async fn associate(&self) -> (TcpStream, UdpSocket) {
        let mut stream = self.connect().await;
        stream.write_all(b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0").await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(said[..5], [5, 0, 5, 0, 0]);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", u16::from_be_bytes([said[10], said[11]]))).await.unwrap();
        (stream, socket)
    }
}

async fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    opened(&buffer[..length]).unwrap().1.to_vec()
}

/// What is read up to the end of a head.
async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_flow_of_datagrams_can_be_closed() {
    let rig = Rig::start("rules: ['MATCH,DIRECT']").await;
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = Destination::from(far.local_addr().unwrap());
    let (_held, caller) = rig.associate().await;
    let mut buffer = [0; 64];
    let mut closed = Vec::new();
    for _ in 0..2 {
        caller.send(&sealed(&to, b"question")).await.unwrap();
        let (length, from) = far.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"question");
        far.send_to(b"answer", from).await.unwrap();
        assert_eq!(heard(&caller).await, b"answer");
        let listed = rig.ways.connections().list();
        assert_eq!(listed.len(), 1);
        assert!(!closed.contains(&listed[0].id), "it is another one");
        eventually(|| (listed[0].uploaded() == 8 && listed[0].downloaded() == 6).then_some(())).await;
        closed.push(listed[0].id);
        assert!(rig.ways.connections().close(listed[0].id));
        if closed.len() == 2 {
            // What comes back for it is not handed over.
            far.send_to(b"late", from).await.unwrap();
            eventually(|| (rig.ways.connections().count() == 0).then_some(())).await;
        }
    }
    for _ in 0..2 {
        assert_eq!(rig.record().await.outcome, Outcome::Cancelled);
    }
    let late = tokio::time::timeout(Duration::from_millis(50), caller.recv(&mut buffer)).await;
    assert!(late.is_err(), "{late:?}");
}

/// Asks `far` a question through the relay, and says from which address it came there.
async fn asked(caller: &UdpSocket, far: &UdpSocket, to: &Destination) -> SocketAddr {
    let mut buffer = [0; 64];
    caller.send(&sealed(to, b"question")).await.unwrap();
    let (length, from) = tokio::time::timeout(PATIENCE, far.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(&buffer[..length], b"question");
    from
}

#[tokio::test]
async fn what_comes_late_for_a_closed_flow_goes_to_no_other() {
    for name in ["127.0.0.1", "far.test"] {
        let rig = Rig::start("rules: ['MATCH,DIRECT']\nhosts: {far.test: 127.0.0.1}").await;
        let (far, other) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let to = Destination::new(name, far.local_addr().unwrap().port());
        let (_held, caller) = rig.associate().await;
        let from = asked(&caller, &far, &to).await;
        far.send_to(b"answer", from).await.unwrap();
        assert_eq!(heard(&caller).await, b"answer");
        assert_eq!(asked(&caller, &other, &other.local_addr().unwrap().into()).await, from, "both share a socket");
        let listed = eventually(|| Some(rig.ways.connections().list()).filter(|listed| listed.len() == 2)).await;
        assert!(rig.ways.connections().close(listed[0].id));
        for _ in 0..3 {
            far.send_to(b"late", from).await.unwrap();
        }
        other.send_to(b"in time", from).await.unwrap();
        assert_eq!(heard(&caller).await, b"in time", "{name}");
        assert_eq!(rig.ways.connections().count(), 1);
        eventually(|| (listed[1].downloaded() == 7).then_some(())).await;
        assert_eq!(rig.record().await.outcome, Outcome::Cancelled);
        // The caller speaks to it again: that is another flow.
        let from = asked(&caller, &far, &to).await;
        far.send_to(b"again", from).await.unwrap();
        assert_eq!(heard(&caller).await, b"again");
        let others = eventually(|| Some(rig.ways.connections().list()).filter(|listed| listed.len() == 2)).await;
        assert_eq!((others[0].id, others[1].id == listed[0].id), (listed[1].id, false));
    }
}

#[tokio::test]
async fn a_connection_knows_at_which_of_our_addresses_it_came_in() {
    let rig = Rig::start("rules: ['MATCH,DIRECT']").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut caller = rig.connect().await;
    caller.write_all(format!("CONNECT {to} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    let listed = rig.ways.connections().list();
    assert_eq!((listed[0].meta.inbound_ip, listed[0].meta.inbound_port), (Some(rig.address.ip()), rig.address.port()));
}

#[tokio::test]
async fn a_refused_destination_of_datagrams_is_decided_about_once() {
    let rig = Rig::start("rules: ['DST-PORT,9,REJECT', 'MATCH,DIRECT']\nhosts: {inside.test: 169.254.169.254}").await;
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (held, caller) = rig.associate().await;
    let mut buffer = [0; 64];
    let refused = [Destination::new("127.0.0.1", 9), Destination::new("inside.test", 80)];
    for round in 0..4 {
        for to in &refused {
            caller.send(&sealed(to, b"x")).await.unwrap();
        }
        caller.send(&sealed(&far.local_addr().unwrap().into(), &[round])).await.unwrap();
        let (length, _) = far.recv_from(&mut buffer).await.unwrap();
        assert_eq!(buffer[..length], [round]);
    }
    drop(held);
    let mut records = Vec::new();
    for _ in 0..3 {
        let record = rig.record().await;
        records.push((record.model.to_string(), record.outcome, record.fault));
    }
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let rejected = (Outcome::Rejected, Some(FaultKind::WayRejected));
    let of = |to: &str| records.iter().find(|(model, ..)| model == to).map(|(_, outcome, fault)| (*outcome, *fault));
    assert_eq!(of("127.0.0.1:9"), Some(rejected));
    assert_eq!(of("inside.test:80"), Some(rejected));
    eventually(|| (rig.supervisor.count(Kind::Connection) == 0).then_some(())).await;
    assert!(rig.records.try_recv().is_err(), "one record for each, however many datagrams there were");
}

#[tokio::test]
async fn metadata_is_reached_by_no_name_and_no_script() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("proxy.pac");
    let says = "function FindProxyForURL(url, host) { return 'DIRECT'; }";
    std::io::Write::write_all(&mut std::fs::File::create(&script).unwrap(), says.as_bytes()).unwrap();
    for (proxies, rule) in [
        (String::new(), "DOMAIN-SUFFIX,test,DIRECT"),
        (String::new(), "IP-CIDR,169.254.0.0/16,DIRECT"),
        (format!("proxies: [{{name: p, type: pac, url: 'file://{}'}}]\n", script.display()), "MATCH,p"),
    ] {
        let rig = Rig::start(&format!("{proxies}rules: ['{rule}']\nhosts: {{inside.test: 169.254.169.254}}")).await;
        for request in [
            "CONNECT inside.test:80 HTTP/1.1\r\nhost: inside.test:80\r\n\r\n",
            "CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: 169.254.169.254:80\r\n\r\n",
            "GET http://inside.test/ HTTP/1.1\r\nhost: inside.test\r\nconnection: close\r\n\r\n",
        ] {
            let mut caller = rig.connect().await;
            caller.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tokio::time::timeout(PATIENCE, caller.read_to_string(&mut answer)).await.unwrap().unwrap();
            assert!(answer.contains("(169.254.169.254), which gives out its credentials"), "{rule}: {answer}");
            let record = rig.record().await;
            assert_eq!((record.outcome, record.fault), (Outcome::Rejected, Some(FaultKind::WayRejected)));
        }
    }
}

#[tokio::test]
async fn what_a_caller_says_before_the_tunnel_stands_is_counted() {
    let rig = Rig::start("rules: ['MATCH,DIRECT']").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut caller = rig.connect().await;
    caller.write_all(format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\nhello").as_bytes()).await.unwrap();
    caller.shutdown().await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    let mut heard = String::new();
    origin.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello");
    drop(origin);
    let record = rig.record().await;
    assert_eq!(record.outcome, Outcome::Ok);
    assert!(record.notes.iter().any(|note| note == "5 bytes sent, 0 received"), "{:?}", record.notes);
}

/// Whether a tunnel stands between both, and ends with the relay.
async fn ends_with_the_relay(rig: &Rig, mut caller: TcpStream, mut origin: TcpStream) {
    let mut heard = [0; 4];
    caller.write_all(b"ping").await.unwrap();
    origin.read_exact(&mut heard).await.unwrap();
    origin.write_all(b"pong").await.unwrap();
    caller.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
    assert_eq!(rig.supervisor.count(Kind::Connection), 1, "the port counts it");
    assert_eq!(rig.supervisor.stop(Duration::from_millis(20), PATIENCE).await, 0, "nothing had to be dropped");
    assert_eq!(caller.read(&mut heard).await.unwrap_or(0), 0);
    assert_eq!(origin.read(&mut heard).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_connection_that_changes_its_protocol_belongs_to_its_port() {
    let rig = Rig::start("rules: ['MATCH,DIRECT']").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut caller = rig.connect().await;
    let request = format!("GET http://{to}/ HTTP/1.1\r\nhost: {to}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    let (mut origin, _) = listener.accept().await.unwrap();
    head(&mut origin).await;
    origin
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await
        .unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 101"));
    ends_with_the_relay(&rig, caller, origin).await;
}

#[tokio::test]
async fn a_tunnel_after_other_requests_belongs_to_its_port() {
    let rig = Rig::start("rules: ['MATCH,DIRECT']").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut caller = rig.connect().await;
    caller.write_all(format!("GET http://{to}/ HTTP/1.1\r\nhost: {to}\r\n\r\n").as_bytes()).await.unwrap();
    let (mut first, _) = listener.accept().await.unwrap();
    head(&mut first).await;
    first.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 204"));
    caller.write_all(format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n").as_bytes()).await.unwrap();
    let (origin, _) = listener.accept().await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    ends_with_the_relay(&rig, caller, origin).await;
}

#[tokio::test]
async fn a_connection_to_an_origin_is_never_another_users() {
    let rig = Rig::start("authentication: ['ann:x', 'bob:y']\nrules: ['MATCH,DIRECT']").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let mut caller = rig.connect().await;
    let mut origin = None;
    for (user, is_new) in [("ann:x", true), ("ann:x", false), ("bob:y", true), ("bob:y", false), ("ann:x", true)] {
        let login = STANDARD.encode(user);
        let request = format!("GET http://{to}/ HTTP/1.1\r\nhost: {to}\r\nproxy-authorization: Basic {login}\r\n\r\n");
        caller.write_all(request.as_bytes()).await.unwrap();
        if is_new {
            origin = Some(tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0);
        }
        let origin = origin.as_mut().unwrap();
        head(origin).await;
        origin.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert!(head(&mut caller).await.starts_with("HTTP/1.1 204"), "{user}");
    }
}
