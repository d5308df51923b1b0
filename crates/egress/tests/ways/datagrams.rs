//! Datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tradewind_egress::{Datagrams, Destination};

use crate::support::{PATIENCE, Server, dialing, direct, serve, socks, udp_echo, way};

async fn exchange(datagrams: &Datagrams, to: &Destination, from: SocketAddr) {
    let mut heard = [0; 2048];
    datagrams.send_to(to, b"hello").await.unwrap();
    let (read, sender) = tokio::time::timeout(PATIENCE, datagrams.recv_from(&mut heard)).await.unwrap().unwrap();
    assert_eq!((&heard[..read], sender), (&b"HELLO"[..], from.into()));
}

#[tokio::test]
async fn the_direct_way_sends_to_addresses_and_names() {
    let echo = udp_echo().await;
    let datagrams = direct().datagrams(&dialing(&[], PATIENCE)).await.unwrap();
    exchange(&datagrams, &echo.into(), echo).await;
    exchange(&datagrams, &Destination::new("localhost", echo.port()), echo).await;
    // One destination that refuses does not end the others.
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    datagrams.send_to(&nobody.into(), b"hello").await.unwrap();
    exchange(&datagrams, &echo.into(), echo).await;
    assert!(datagrams.send_to(&Destination::new("nowhere.invalid", 1), b"x").await.is_err());
    // What is longer than the buffer is cut.
    datagrams.send_to(&echo.into(), b"hello").await.unwrap();
    let mut short = [0; 2];
    assert_eq!(datagrams.recv_from(&mut short).await.unwrap().0, 2);
}

/// A SOCKS5 proxy whose associations end when `ends` says so; strangers send before it does.
async fn associating(ends: Duration) -> Server {
    serve(move |mut socket| async move {
        let mut bytes = [0; 3];
        socket.read_exact(&mut bytes).await.unwrap();
        socket.write_all(&[5, 0]).await.unwrap();
        let mut request = [0; 10];
        socket.read_exact(&mut request).await.unwrap();
        assert_eq!(request, [5, 3, 0, 1, 0, 0, 0, 0, 0, 0]);
        let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = relay.local_addr().unwrap().port().to_be_bytes();
        // No address of its own: the one at which it was asked is meant.
        socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, port[0], port[1]]).await.unwrap();
        let serving = async {
            let mut datagram = [0; 2048];
            while let Ok((read, from)) = relay.recv_from(&mut datagram).await {
                assert_eq!(&datagram[..4], [0, 0, 0, 1]);
                let _ = relay.send_to(b"no SOCKS datagram", from).await;
                let _ = relay.send_to(&[0, 0, 1, 1, 127, 0, 0, 1, 0, 1, b'x'], from).await;
                datagram[10..read].make_ascii_uppercase();
                let _ = relay.send_to(&datagram[..read], from).await;
            }
        };
        let _ = tokio::time::timeout(ends, serving).await;
    })
    .await
}

#[tokio::test]
async fn an_association_passes_over_what_is_not_the_proxys() {
    let proxy = associating(PATIENCE).await;
    let way = way("socks", socks(proxy.address, None));
    let datagrams = way.datagrams(&dialing(&[], PATIENCE)).await.unwrap();
    let to = SocketAddr::from(([192, 0, 2, 1], 53));
    exchange(&datagrams, &to.into(), to).await;
    exchange(&datagrams, &to.into(), to).await;
}

#[tokio::test]
async fn an_association_ends_with_its_connection() {
    let proxy = associating(Duration::ZERO).await;
    let way = way("socks", socks(proxy.address, None));
    let datagrams = way.datagrams(&dialing(&[], PATIENCE)).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, datagrams.recv_from(&mut [0; 16])).await.unwrap();
    assert!(ended.unwrap_err().to_string().contains("has ended the association"));
}
