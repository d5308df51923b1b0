//! One proxy behind another, and chains that lead nowhere.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::FaultKind;
use tradewind_egress::{Destination, Outbound};
use tradewind_policy::ways::ProxyKind;

use crate::support::{
    PATIENCE, Server, dialing, direct, echo, head, http_proxy, serve, socks, splice, talk, through, way,
};

/// An HTTP proxy that opens tunnels, and says to whom on `asked`.
async fn tunnels(asked: tokio::sync::mpsc::UnboundedSender<String>) -> Server {
    serve(move |mut socket| {
        let asked = asked.clone();
        async move {
            let head = head(&mut socket).await;
            let to = head.split(' ').nth(1).unwrap_or_default().to_owned();
            asked.send(to.clone()).unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            splice(socket, to.parse().unwrap()).await;
        }
    })
    .await
}

/// A SOCKS5 proxy that opens tunnels to addresses.
async fn socks_tunnels() -> Server {
    serve(|mut socket| async move {
        let mut bytes = [0; 3];
        socket.read_exact(&mut bytes).await.unwrap();
        socket.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 10];
        socket.read_exact(&mut request).await.unwrap();
        let address = <[u8; 4]>::try_from(&request[4..8]).unwrap();
        let port = u16::from_be_bytes([request[8], request[9]]);
        socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        splice(socket, (address, port).into()).await;
    })
    .await
}

#[tokio::test]
async fn the_last_proxy_is_reached_through_those_before() {
    let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (echo, first, second) = (echo().await, tunnels(asked).await, socks_tunnels().await);
    let jump = way("jump", ProxyKind::Http(http_proxy(first.address)));
    let last = through("last", socks(second.address, None), Some("jump"));
    let mut stream = last.connect(&echo.destination(), &dialing(&[&jump, &last], PATIENCE)).await.unwrap();
    talk(&mut stream).await;
    assert_eq!(heard.recv().await.unwrap(), second.address.to_string(), "the first is asked for the second");
    // A proxy whose dialer is the direct way is reached directly.
    let last = through("last", socks(second.address, None), Some("DIRECT"));
    talk(&mut last.connect(&echo.destination(), &dialing(&[&direct()], PATIENCE)).await.unwrap()).await;
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_fault_names_the_proxy_of_the_chain_that_it_is_about() {
    let refusing = serve(|mut socket| async move {
        head(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 403 No\r\n\r\n").await;
    })
    .await;
    let jump = way("jump", ProxyKind::Http(http_proxy(refusing.address)));
    let last = through("last", socks(([192, 0, 2, 9], 1080).into(), None), Some("jump"));
    let fault = last.connect(&Destination::new("example.com", 443), &dialing(&[&jump], PATIENCE)).await.err().unwrap();
    assert!(fault.detail.starts_with("the proxy `jump` (127.0.0.1:"), "{fault}");
    assert!(fault.detail.contains("asked for 192.0.2.9:1080, it does not allow this destination"), "{fault}");
    // The second one cannot be reached by the direct way that its dialer is.
    let nobody = tradewind_sim::RefusedPort::bind().unwrap();
    let last = through("last", socks(nobody.address(), None), Some("DIRECT"));
    let fault =
        last.connect(&Destination::new("example.com", 443), &dialing(&[&direct()], PATIENCE)).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::ProxyUnreachable);
    assert!(fault.detail.contains("the proxy `last`"), "{fault}");
}

async fn broken(ways: &[&Arc<Outbound>], words: &str) {
    let to = Destination::new("example.com", 443);
    let dialing = dialing(ways, PATIENCE);
    let fault = ways[0].connect(&to, &dialing).await.err().unwrap();
    assert_eq!((fault.kind, fault.never_sent), (FaultKind::WayBroken, true), "{fault}");
    assert!(fault.detail.contains(words), "{fault}");
    let fault = ways[0].connect_http(&to, &dialing).await.err().unwrap();
    assert!(fault.detail.contains(words), "{fault}");
    let fault = ways[0].datagrams(&dialing).await.err().unwrap();
    assert!(matches!(fault.kind, FaultKind::WayBroken | FaultKind::WayRejected), "{fault}");
}

#[tokio::test]
async fn chains_that_lead_nowhere_are_faults() {
    let server = echo().await;
    let socks_through = |name: &str, dialer: &str| through(name, socks(server.address, None), Some(dialer));
    let http_through =
        |name: &str, dialer: &str| through(name, ProxyKind::Http(http_proxy(server.address)), Some(dialer));
    broken(&[&socks_through("a", "a")], "a → a, which leads back to itself").await;
    broken(&[&http_through("a", "a")], "a → a, which leads back to itself").await;
    let (a, b) = (socks_through("a", "b"), socks_through("b", "a"));
    broken(&[&a, &b], "a → b → a, which leads back to itself").await;
    broken(&[&socks_through("a", "gone")], "nothing is called `gone`").await;
    let long: Vec<_> = (0..9).map(|number| socks_through(&number.to_string(), &(number + 1).to_string())).collect();
    broken(&long.iter().collect::<Vec<_>>(), "which is longer than 8 proxies").await;
    assert_eq!(server.connections(), 0, "nothing was opened for any of them");
}

#[tokio::test]
async fn eight_proxies_after_one_another_are_gone_through() {
    let (asked, _heard) = tokio::sync::mpsc::unbounded_channel();
    let (echo, proxy) = (echo().await, tunnels(asked).await);
    let kind = || ProxyKind::Http(http_proxy(proxy.address));
    let mut ways: Vec<_> =
        (0..7).map(|number| through(&number.to_string(), kind(), Some(&(number + 1).to_string()))).collect();
    ways.push(way("7", kind()));
    let dialing = dialing(&ways.iter().collect::<Vec<_>>(), PATIENCE);
    talk(&mut ways[0].connect(&echo.destination(), &dialing).await.unwrap()).await;
    assert_eq!(proxy.connections(), 8);
}
