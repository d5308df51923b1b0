//! Names: our own, those of configured servers, the cache.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tradewind_core::FaultKind;
use tradewind_egress::{Resolver, Roots};
use tradewind_policy::ways::{Dns, Nameserver};

use crate::support::{PATIENCE, Server, TestClock, serve};
use crate::tls::certificate;

/// What a name server knows: addresses of the fourth and the sixth version, and how long they may be kept.
#[derive(Clone, Default)]
struct Zone(Arc<HashMap<&'static str, (Vec<IpAddr>, u32)>>);

impl Zone {
    fn new(names: &[(&'static str, &[&str], u32)]) -> Self {
        let read = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new(names.iter().map(|(name, list, ttl)| (*name, (read(list), *ttl))).collect()))
    }

    /// RFC 1035: the question repeated, and an answer for each address of its type.
    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (mut name, mut at) = (String::new(), 12);
        while query[at] != 0 {
            let length = usize::from(query[at]);
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_ascii_lowercase());
            at += 1 + length;
        }
        let (kind, end) = (query[at + 2], at + 5);
        let known = self.0.get(name.as_str());
        let wanted = |address: &&IpAddr| if kind == 28 { address.is_ipv6() } else { kind == 1 && address.is_ipv4() };
        let addresses: Vec<&IpAddr> = known.iter().flat_map(|(addresses, _)| addresses).filter(wanted).collect();
        let mut out = query[..2].to_vec();
        out.extend_from_slice(&[
            0x81,
            if known.is_some() { 0x80 } else { 0x83 },
            0,
            1,
            0,
            addresses.len() as u8,
            0,
            0,
            0,
            0,
        ]);
        out.extend_from_slice(&query[12..end]);
        for address in addresses {
            out.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1]);
            out.extend_from_slice(&known.map_or(0, |(_, ttl)| *ttl).to_be_bytes());
            match address {
                IpAddr::V4(address) => out.extend_from_slice(&[&[0, 4], &address.octets()[..]].concat()),
                IpAddr::V6(address) => out.extend_from_slice(&[&[0, 16], &address.octets()[..]].concat()),
            }
        }
        out
    }
}

/// A name server over UDP.
struct UdpServer {
    spec: Nameserver,
    /// How often it was asked: twice for a name, once for each version of addresses.
    asked: watch::Receiver<usize>,
    answered: watch::Receiver<usize>,
    /// Whether it answers. What it is asked before that is answered then.
    answers: watch::Sender<bool>,
}

impl UdpServer {
    fn asked(&self) -> usize {
        *self.asked.borrow()
    }
}

/// A name server that answers at once.
async fn server(zone: Zone) -> UdpServer {
    let server = silent_server(zone).await;
    server.answers.send_replace(true);
    server
}

/// A name server that does not answer until it is told to.
async fn silent_server(zone: Zone) -> UdpServer {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let (count_asked, asked) = watch::channel(0);
    let (count_answered, answered) = watch::channel(0);
    let (answers, may_answer) = watch::channel(false);
    tokio::spawn(async move {
        let mut query = [0; 1024];
        while let Ok((read, from)) = socket.recv_from(&mut query).await {
            let answer = zone.answer(&query[..read]);
            count_asked.send_modify(|count| *count += 1);
            let (socket, mut may_answer, count_answered) = (socket.clone(), may_answer.clone(), count_answered.clone());
            tokio::spawn(async move {
                // It never may, when the test is over.
                if may_answer.wait_for(|may| *may).await.is_ok() {
                    let _ = socket.send_to(&answer, from).await;
                    count_answered.send_modify(|count| *count += 1);
                }
            });
        }
    });
    let spec = Nameserver::Udp(address.ip().to_string().into(), address.port());
    UdpServer { spec, asked, answered, answers }
}

/// Waits until `count` is at least `wanted`.
async fn becomes(count: &watch::Receiver<usize>, wanted: usize) {
    let mut count = count.clone();
    tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= wanted)).await.unwrap().unwrap();
}

/// A name server over TCP, which answers at once.
async fn tcp_server(zone: Zone) -> Server {
    serve(move |mut socket| {
        let zone = zone.clone();
        async move {
            while let Ok(length) = socket.read_u16().await {
                let mut query = vec![0; length.into()];
                socket.read_exact(&mut query).await.unwrap();
                let answer = zone.answer(&query);
                let _ = socket.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).await;
            }
        }
    })
    .await
}

fn resolver() -> (Arc<Resolver>, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    (Arc::new(Resolver::new(clock.clone())), clock)
}

fn asking(nameservers: Vec<Nameserver>) -> Dns {
    Dns { enable: true, nameservers, ..Dns::default() }
}

async fn found(resolver: &Resolver, name: &str) -> Vec<String> {
    let found = tokio::time::timeout(PATIENCE, resolver.look_up(name)).await.unwrap();
    found.map_or_else(|fault| vec![fault.to_string()], |list| list.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn names_of_our_own_go_first() {
    let (resolver, _) = resolver();
    let hosts = [("api.example.com".to_owned(), vec!["192.0.2.7".parse().unwrap()])];
    resolver.set(&Dns::default(), &hosts, &Roots::none());
    assert_eq!(found(&resolver, "API.example.com.").await, ["192.0.2.7"]);
    resolver.set(&Dns { use_hosts: false, ..Dns::default() }, &hosts, &Roots::none());
    assert!(
        found(&resolver, "api.example.com").await[0].starts_with("dns: the host name api.example.com does not resolve")
    );
    assert!(!found(&resolver, "localhost").await.is_empty(), "the system knows it");
}

#[tokio::test]
async fn answers_are_kept_for_as_long_as_the_server_says() {
    let (resolver, clock) = resolver();
    let zone =
        Zone::new(&[("a.test", &["192.0.2.1", "192.0.2.2", "2001:db8::1"], 60), ("short.test", &["192.0.2.3"], 0)]);
    let server = server(zone).await;
    resolver.set(&asking(vec![server.spec.clone()]), &[], &Roots::none());
    let both = found(&resolver, "a.test").await;
    assert_eq!((both.len(), server.asked()), (3, 2));
    assert_ne!(both[0].contains(':'), both[1].contains(':'), "the families take turns: {both:?}");
    clock.forward(Duration::from_secs(59));
    found(&resolver, "A.Test").await;
    assert_eq!(server.asked(), 2);
    clock.forward(Duration::from_secs(2));
    found(&resolver, "a.test").await;
    assert_eq!(server.asked(), 4);
    // What may not be kept is asked for again each time.
    found(&resolver, "short.test").await;
    found(&resolver, "short.test").await;
    assert_eq!(server.asked(), 8);
    // That there is none is kept for a second.
    assert!(found(&resolver, "none.test").await[0].contains("does not resolve: udp://127.0.0.1:"));
    let after = server.asked();
    found(&resolver, "none.test").await;
    assert_eq!(server.asked(), after);
    clock.forward(Duration::from_secs(2));
    found(&resolver, "none.test").await;
    assert!(server.asked() > after);
    // A flush forgets.
    let after = server.asked();
    found(&resolver, "a.test").await;
    assert_eq!(server.asked(), after);
    resolver.flush();
    found(&resolver, "a.test").await;
    assert_eq!(server.asked(), after + 2);
    assert!(found(&resolver, "localhost").await.contains(&"127.0.0.1".to_owned()), "of the system's file");
    resolver.set(&Dns { ipv6: false, ..asking(vec![server.spec.clone()]) }, &[], &Roots::none());
    assert_eq!(found(&resolver, "a.test").await, ["192.0.2.1", "192.0.2.2"]);
}

#[tokio::test]
async fn all_servers_are_asked_at_once_and_the_first_good_answer_is_taken() {
    let (resolver, _) = resolver();
    let empty = silent_server(Zone::default()).await;
    let silent = silent_server(Zone::new(&[("a.test", &["192.0.2.1"], 60)])).await;
    let good = silent_server(Zone::new(&[("a.test", &["192.0.2.2"], 60)])).await;
    let nobody: SocketAddr = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Nameserver::Udp(nobody.ip().to_string().into(), nobody.port());
    let all = [&empty.spec, &silent.spec, &nobody, &good.spec];
    resolver.set(&asking(all.map(Clone::clone).into()), &[], &Roots::none());
    let answering = async {
        // Nobody answers before all have been asked.
        for server in [&empty, &silent, &good] {
            becomes(&server.asked, 2).await;
        }
        empty.answers.send_replace(true);
        becomes(&empty.answered, 2).await;
        good.answers.send_replace(true);
    };
    let (found, ()) = tokio::join!(found(&resolver, "a.test"), answering);
    assert_eq!(found, ["192.0.2.2"]);
    assert_eq!([empty.asked(), silent.asked(), good.asked()], [2, 2, 2], "none had to be asked again");
}

/// Twenty who ask for a name while somebody else does, who goes away before `server`, on which it depends, has answered. What
/// they are told.
async fn asked_at_once(resolver: &Resolver, server: &UdpServer) -> Vec<Vec<String>> {
    let mut first = Box::pin(found(resolver, "a.test"));
    tokio::select! {
        _ = &mut first => panic!("nobody has answered"),
        () = becomes(&server.asked, 2) => {}
    }
    let mut others: Vec<_> = (0..20).map(|_| Box::pin(found(resolver, "a.test"))).collect();
    for one in &mut others {
        // Polled once, so that it waits.
        assert!(tokio::time::timeout(Duration::ZERO, one).await.is_err());
    }
    drop(first);
    let answering = async {
        becomes(&server.asked, 4).await;
        server.answers.send_replace(true);
    };
    let waiting = async {
        let mut told = Vec::new();
        for one in others {
            told.push(one.await);
        }
        told
    };
    tokio::join!(waiting, answering).0
}

#[tokio::test]
async fn of_those_who_ask_for_the_same_name_one_asks() {
    let (first, _) = resolver();
    // What may not be kept.
    let server = silent_server(Zone::new(&[("a.test", &["192.0.2.1"], 0)])).await;
    first.set(&asking(vec![server.spec.clone()]), &[], &Roots::none());
    assert_eq!(asked_at_once(&first, &server).await, vec![["192.0.2.1"]; 20]);
    assert_eq!(server.asked(), 4, "two questions, asked again by the one who took over");

    // hickory lets those share a question who ask it at once. It is in no position to for the name of a server, which is looked
    // for anew by everybody who asks that server, as long as it is not found.
    let (second, _) = resolver();
    let default = silent_server(Zone::default()).await;
    let named = Nameserver::Tcp("dns.test".into(), 1);
    let dns = Dns { default_nameservers: vec![default.spec.clone()], ..asking(vec![named]) };
    second.set(&dns, &[], &Roots::none());
    for told in asked_at_once(&second, &default).await {
        assert!(told[0].contains("its name is not known to udp://127.0.0.1:"), "{told:?}");
    }
    assert_eq!(default.asked(), 4, "two questions, asked again by the one who took over");
}

#[tokio::test]
async fn servers_are_asked_over_tls_and_https_and_their_certificates_verified() {
    let zone = Zone::new(&[("a.test", &["192.0.2.1"], 60)]);
    let (roots, over_tls) = certificate("127.0.0.1", &[]);
    let names = zone.clone();
    let tls = serve(move |socket| {
        let (acceptor, zone) = (over_tls.clone(), names.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.unwrap();
                let answer = zone.answer(&query);
                let _ = stream.write_all(&[&(answer.len() as u16).to_be_bytes()[..], &answer].concat()).await;
            }
        }
    })
    .await;
    let (https_roots, over_https) = certificate("127.0.0.1", &[b"h2"]);
    let https = serve(move |socket| {
        let (acceptor, zone) = (over_https.clone(), zone.clone());
        async move {
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let answer = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let zone = zone.clone();
                async move {
                    assert_eq!(request.uri().path(), "/names");
                    let query = request.into_body().collect().await?.to_bytes();
                    let answer = http::Response::builder().header("content-type", "application/dns-message");
                    let answer = answer.body(Full::new(Bytes::from(zone.answer(&query)))).unwrap();
                    Ok::<_, hyper::Error>(answer)
                }
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let _ =
                hyper::server::conn::http2::Builder::new(executor).serve_connection(TokioIo::new(stream), answer).await;
        }
    })
    .await;
    let table = [
        (Nameserver::Tls("127.0.0.1".into(), tls.address.port()), roots),
        (Nameserver::Https(format!("https://{}/names", https.address).into()), https_roots),
    ];
    for (server, roots) in table {
        let (resolver, _) = resolver();
        resolver.set(&asking(vec![server.clone()]), &[], &roots);
        assert_eq!(found(&resolver, "a.test").await, ["192.0.2.1"]);
        resolver.set(&asking(vec![server]), &[], &Roots::none());
        assert!(found(&resolver, "a.test").await[0].contains("does not resolve"));
    }
}

#[tokio::test]
async fn a_server_is_asked_over_tcp_and_a_proxys_name_by_default_servers_as_well() {
    let (resolver, _) = resolver();
    let tcp = tcp_server(Zone::new(&[("a.test", &["192.0.2.1"], 60)])).await;
    let nameserver = Nameserver::Tcp("127.0.0.1".into(), tcp.address.port());
    resolver.set(&asking(vec![nameserver.clone()]), &[], &Roots::none());
    assert_eq!(found(&resolver, "a.test").await, ["192.0.2.1"]);
    assert!(tcp.connections() >= 1);
    // A server with a name is looked for with the default servers.
    let default = server(Zone::new(&[("dns.test", &["127.0.0.1"], 60), ("proxy.test", &["127.0.0.1"], 60)])).await;
    let named = Nameserver::Tcp("dns.test".into(), tcp.address.port());
    let dns = Dns { default_nameservers: vec![default.spec.clone()], ..asking(vec![named]) };
    resolver.set(&dns, &[], &Roots::none());
    assert_eq!(found(&resolver, "a.test").await, ["192.0.2.1"]);
    assert_eq!(resolver.look_up("proxy.test").await.err().unwrap().kind, FaultKind::Dns);
    let echo = crate::support::echo().await;
    let proxy =
        tradewind_policy::ways::HttpProxy { server: "proxy.test".into(), ..crate::support::http_proxy(echo.address) };
    let corp = crate::support::way("corp", tradewind_policy::ways::ProxyKind::Http(proxy));
    let dialing = tradewind_egress::Dialing { resolver, ..crate::support::dialing(&[], PATIENCE) };
    let fault = corp.connect(&tradewind_egress::Destination::new("example.com", 443), &dialing).await.err().unwrap();
    assert!(fault.detail.contains("what it answered is not HTTP"), "it was reached: {fault}");
}
