//! CONNECT: what is asked, what is answered, and what comes of it.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::{Fault, FaultKind};
use tradewind_egress::{Destination, Outbound};
use tradewind_policy::ways::{HttpProxy, ProxyKind};

use crate::support::{PATIENCE, Server, dialing, echo, head, http_proxy, serve, splice, talk, way, with_basic};

/// A proxy that answers each request with `pieces`, one after the other, and then waits.
async fn answering(pieces: Vec<Vec<u8>>) -> Server {
    serve(move |mut socket| {
        let pieces = pieces.clone();
        async move {
            loop {
                if head(&mut socket).await.is_empty() {
                    return;
                }
                for piece in &pieces {
                    let _ = socket.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await
}

/// A proxy that answers with `answer` and closes.
async fn closing(answer: &'static [u8]) -> Server {
    serve(move |mut socket| async move {
        head(&mut socket).await;
        let _ = socket.write_all(answer).await;
    })
    .await
}

fn plain(server: &Server) -> std::sync::Arc<Outbound> {
    way("corp", ProxyKind::Http(http_proxy(server.address)))
}

async fn fault_of(way: &Outbound, limit: Duration) -> Fault {
    let to = Destination::new("example.com", 443);
    way.connect(&to, &dialing(&[], limit)).await.err().expect("this proxy opens nothing")
}

#[tokio::test]
async fn a_name_is_given_to_the_proxy_and_its_own_headers_with_it() {
    let (asked, mut heard) = tokio::sync::mpsc::channel(1);
    let proxy = serve(move |mut socket| {
        let asked = asked.clone();
        async move {
            asked.send(head(&mut socket).await).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let spec = HttpProxy { headers: vec![("X-Team".into(), "blue".into())], ..http_proxy(proxy.address) };
    let to = Destination::new("nowhere.invalid", 8443);
    way("corp", with_basic(spec.clone(), "Aladdin", "open sesame"))
        .connect(&to, &dialing(&[], PATIENCE))
        .await
        .unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        heard.recv().await.unwrap(),
        format!(
            "CONNECT nowhere.invalid:8443 HTTP/1.1\r\nhost: nowhere.invalid:8443\r\nx-team: blue\r\nuser-agent: \
             tradewind/{version}\r\nproxy-connection: keep-alive\r\nproxy-authorization: Basic \
             QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        )
    );
    let own_name = vec![("User-Agent".into(), "curl/8".into()), ("Proxy-Authorization".into(), "Bearer x".into())];
    let spec = HttpProxy { headers: own_name, ..spec };
    let to = Destination::new("2001:db8::1", 443);
    way("corp", ProxyKind::Http(spec)).connect(&to, &dialing(&[], PATIENCE)).await.unwrap();
    let asked = heard.recv().await.unwrap();
    assert!(asked.starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nhost: [2001:db8::1]:443\r\n"), "{asked}");
    assert!(asked.contains("user-agent: curl/8\r\n") && !asked.contains("tradewind"), "{asked}");
    assert!(asked.contains("proxy-authorization: Bearer x\r\n"), "{asked}");
}

#[tokio::test]
async fn bytes_behind_the_answer_belong_to_the_tunnel() {
    for (pieces, is_plain) in [
        (vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()], true),
        (vec![b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x".to_vec()], false),
        (vec![b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSSH-2.0-x".to_vec()], false),
    ] {
        let proxy = answering(pieces).await;
        let to = Destination::new("example.com", 22);
        let mut stream = plain(&proxy).connect(&to, &dialing(&[], PATIENCE)).await.unwrap();
        assert_eq!(stream.as_tcp().is_some(), is_plain);
        if !is_plain {
            let mut heard = [0; 9];
            for byte in &mut heard {
                *byte = stream.read_u8().await.unwrap();
            }
            assert_eq!(&heard, b"SSH-2.0-x");
        }
    }
}

#[tokio::test]
async fn a_tunnel_carries_both_directions() {
    let echo = echo().await;
    let address = echo.address;
    let proxy = serve(move |mut socket| async move {
        head(&mut socket).await;
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\n\r\n").await.unwrap();
        splice(socket, address).await;
    })
    .await;
    let mut stream = plain(&proxy).connect(&echo.destination(), &dialing(&[], PATIENCE)).await.unwrap();
    talk(&mut stream).await;
}

#[tokio::test]
async fn each_refusal_has_words_for_it() {
    let table: [(&[u8], FaultKind, &str); 9] = [
        (
            b"HTTP/1.1 403 Blocked by policy\r\n\r\n",
            FaultKind::ProxyFailed,
            "it does not allow this destination: status 403 (Blocked by policy)",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            FaultKind::ProxyFailed,
            "it could not reach it: status 502 (Bad Gateway)",
        ),
        (b"HTTP/1.1 503\r\n\r\n", FaultKind::ProxyFailed, "it could not reach it: status 503"),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://login/\r\n\r\n",
            FaultKind::ProxyFailed,
            "it answered with a redirect: status 302",
        ),
        (b"HTTP/1.1 405 No\r\n\r\n", FaultKind::ProxyFailed, "it did not open a tunnel: status 405 (No)"),
        (
            b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n",
            FaultKind::ProxyLogin,
            "it wants a login and none is set: status 407; it takes Negotiate, NTLM",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", FaultKind::ProxyFailed, "it switched protocols"),
        (b"220 smtp.example.com ESMTP\r\n\r\n", FaultKind::ProxyFailed, "what it answered is not HTTP"),
        (b"", FaultKind::ProxyFailed, "it closed the connection without an answer"),
    ];
    for (answer, kind, words) in table {
        let fault = fault_of(&plain(&closing(answer).await), PATIENCE).await;
        assert_eq!((fault.kind, fault.never_sent), (kind, true), "{fault}");
        assert!(fault.detail.contains("the proxy `corp` (127.0.0.1:") && fault.detail.contains(words), "{fault}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let endless = serve(|mut socket| async move {
        head(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while socket
            .write_all(b"x-filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
            .await
            .is_ok()
        {}
    })
    .await;
    let fault = fault_of(&plain(&endless), PATIENCE).await;
    assert_eq!(fault.kind, FaultKind::ProxyFailed, "{fault}");
    let one_line = serve(|mut socket| async move {
        head(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while socket.write_all(&[b'y'; 4096]).await.is_ok() {}
    })
    .await;
    let fault = fault_of(&plain(&one_line), PATIENCE).await;
    assert!(fault.detail.contains("a head without end"), "{fault}");
}

#[tokio::test]
async fn the_time_limit_says_what_it_was_waiting_for() {
    let silent = serve(|mut socket| async move {
        head(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let fault = fault_of(&plain(&silent), Duration::from_secs(2)).await;
    assert_eq!((fault.kind, fault.never_sent), (FaultKind::ProxyFailed, true), "{fault}");
    assert!(fault.detail.starts_with("example.com:443: the proxy `corp` (127.0.0.1:"), "{fault}");
    assert!(fault.detail.ends_with("it did not answer the CONNECT within 2s"), "{fault}");
    let nobody = tradewind_sim::RefusedPort::bind().unwrap();
    let fault = fault_of(&way("corp", ProxyKind::Http(http_proxy(nobody.address()))), PATIENCE).await;
    assert_eq!(fault.kind, FaultKind::ProxyUnreachable, "{fault}");
    assert!(fault.detail.ends_with("nobody listens there"), "{fault}");
    let full = tradewind_sim::BlackHole::bind().unwrap();
    let full = way("corp", ProxyKind::Http(http_proxy(full.address().unwrap())));
    let fault = fault_of(&full, Duration::from_secs(2)).await;
    assert_eq!(fault.kind, FaultKind::ProxyUnreachable, "{fault}");
    assert!(fault.detail.ends_with("the connection was not accepted within 2s"), "{fault}");
}

#[tokio::test]
async fn a_proxy_that_names_no_host_is_a_fault_of_the_way() {
    let lost = way(
        "corp",
        ProxyKind::Http(HttpProxy { server: "proxy.invalid".into(), ..http_proxy(([127, 0, 0, 1], 1).into()) }),
    );
    let fault = fault_of(&lost, PATIENCE).await;
    assert_eq!(fault.kind, FaultKind::ProxyUnreachable, "{fault}");
    assert!(
        fault.detail.contains("the proxy `corp` (proxy.invalid:1): the host name proxy.invalid does not resolve"),
        "{fault}"
    );
}

#[tokio::test]
async fn names_that_are_no_names_are_not_sent() {
    let proxy = answering(vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()]).await;
    let corp = plain(&proxy);
    for name in ["a b", "a\r\nx: y", "", "ümlaut.example", "a/b", "user@host", "a:1", &"x".repeat(256)] {
        let fault = corp.connect(&Destination::new(name, 443), &dialing(&[], PATIENCE)).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::Dns, "{name:?}: {fault}");
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_login_goes_on_over_another_connection_when_the_proxy_closes_the_first() {
    let echo = echo().await;
    let address = echo.address;
    let asking = serve(move |mut socket| async move {
        let asked = head(&mut socket).await;
        if asked.contains("proxy-authorization: Basic YTpi\r\n") {
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            splice(socket, address).await;
        } else {
            let _ = socket.write_all(b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\nConnection: close\r\n\r\n").await;
        }
    })
    .await;
    let known = way("corp", with_basic(http_proxy(asking.address), "a", "b"));
    talk(&mut known.connect(&echo.destination(), &dialing(&[], PATIENCE)).await.unwrap()).await;
    assert_eq!(asking.connections(), 1, "Basic is said without being asked");
    let wrong = way("corp", with_basic(http_proxy(asking.address), "a", "c"));
    let fault = fault_of(&wrong, PATIENCE).await;
    assert!(
        fault.detail.contains("it does not accept the login of the document: status 407; it takes Basic"),
        "{fault}"
    );
    assert_eq!(fault.status, Some(407));
    assert_eq!(asking.connections(), 2, "a login that is not accepted is not tried again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a proxy sends, in whatever pieces: an end in time, and no panic.
    #[test]
    fn any_answer_comes_to_an_end(
        start in prop::sample::select(vec![&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic\r\n"]),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut all = vec![start.to_vec()];
            all.extend(pieces);
            let proxy = serve(move |mut socket| {
                let all = all.clone();
                async move {
                    head(&mut socket).await;
                    for piece in all {
                        let _ = socket.write_all(&piece).await;
                    }
                }
            })
            .await;
            let corp = way("corp", with_basic(http_proxy(proxy.address), "a", "b"));
            let to = Destination::new("example.com", 443);
            let opened = tokio::time::timeout(PATIENCE, corp.connect(&to, &dialing(&[], PATIENCE))).await;
            assert!(opened.is_ok(), "it ends");
        });
    }
}
