//! SOCKS5.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::FaultKind;
use tradewind_egress::Destination;

use crate::support::{PATIENCE, Server, dialing, echo, serve, socks, splice, talk, way};

/// How many bytes are read, and what is said then.
type Script = Vec<(usize, Vec<u8>)>;

/// A proxy that says `said`, one after the other, each after having read so many bytes.
async fn script(said: Script) -> Server {
    serve(move |mut socket| {
        let said = said.clone();
        async move {
            for (reads, answer) in said {
                let mut bytes = vec![0; reads];
                if socket.read_exact(&mut bytes).await.is_err() {
                    return;
                }
                let _ = socket.write_all(&answer).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_name_is_given_to_the_proxy_and_nothing_of_the_tunnel_is_lost() {
    let echo = echo().await;
    let address = echo.address;
    let proxy = serve(move |mut socket| async move {
        let mut greeting = [0; 4];
        socket.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 2, 0, 2]);
        socket.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 8];
        socket.read_exact(&mut login).await.unwrap();
        assert_eq!(&login, b"\x01\x02me\x03pwd");
        socket.write_all(&[1, 0]).await.unwrap();
        let mut request = [0; 22];
        socket.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"\x05\x01\x00\x03\x0fnowhere.invalid\x01\xbb");
        // The answer names a host, and the tunnel begins right behind it.
        socket.write_all(b"\x05\x00\x00\x03\x01x\x00\x01HELLO").await.unwrap();
        splice(socket, address).await;
    })
    .await;
    let way = way("socks", socks(proxy.address, Some(("me", "pwd"))));
    let mut stream = way.connect(&Destination::new("nowhere.invalid", 443), &dialing(&[], PATIENCE)).await.unwrap();
    assert!(stream.as_tcp().is_some());
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"HELLO");
    talk(&mut stream).await;
}

#[tokio::test]
async fn each_refusal_has_words_for_it() {
    let login = Some(("me", "pwd"));
    type Row<'a> = (Option<(&'a str, &'a str)>, Script, FaultKind, &'a str);
    let table: [Row<'_>; 11] = [
        (None, vec![(3, vec![5, 0xff])], FaultKind::ProxyLogin, "it wants a login and none is set"),
        (
            login,
            vec![(4, vec![5, 0xff])],
            FaultKind::ProxyLogin,
            "it takes neither user name with password nor no login",
        ),
        (None, vec![(3, vec![5, 2])], FaultKind::ProxyLogin, "it chose a login that it was not offered"),
        (None, vec![(3, vec![5, 1])], FaultKind::ProxyFailed, "it chose the method 1, which it was not offered"),
        (
            login,
            vec![(4, vec![5, 2]), (8, vec![1, 1])],
            FaultKind::ProxyLogin,
            "it does not accept user name and password",
        ),
        (
            login,
            vec![(4, vec![5, 2]), (8, vec![7, 0])],
            FaultKind::ProxyFailed,
            "its answer to the login is not of RFC 1929",
        ),
        (
            None,
            vec![(3, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
            FaultKind::ProxyFailed,
            "what it answered is not SOCKS5",
        ),
        (None, vec![(3, vec![5])], FaultKind::ProxyFailed, "it closed the connection inside the handshake"),
        (
            None,
            vec![(3, vec![5, 0]), (10, vec![5, 0, 0, 1, 1])],
            FaultKind::ProxyFailed,
            "it closed the connection inside the handshake",
        ),
        (
            None,
            vec![(3, vec![5, 0]), (10, vec![5, 0, 0, 9, 1])],
            FaultKind::ProxyFailed,
            "it names an address of an unknown type",
        ),
        (None, vec![], FaultKind::ProxyFailed, "it"),
    ];
    for (login, said, kind, words) in table {
        let proxy = script(said).await;
        let fault = way("socks", socks(proxy.address, login))
            .connect(&Destination::new("192.0.2.1", 1), &dialing(&[], PATIENCE))
            .await;
        let fault = fault.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (kind, true), "{fault}");
        assert!(fault.detail.contains("the proxy `socks` (127.0.0.1:") && fault.detail.contains(words), "{fault}");
    }
    for (code, words) in [
        (1, "general failure"),
        (2, "its rules do not allow this"),
        (5, "nobody listens there"),
        (99, "RFC 1928 does not have"),
    ] {
        let proxy = script(vec![(3, vec![5, 0]), (10, vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0])]).await;
        let fault = way("socks", socks(proxy.address, None))
            .connect(&Destination::new("192.0.2.1", 1), &dialing(&[], PATIENCE))
            .await;
        let fault = fault.err().unwrap();
        assert!(fault.detail.contains("asked for 192.0.2.1:1, it says: ") && fault.detail.contains(words), "{fault}");
    }
}

#[tokio::test]
async fn the_time_limit_says_what_it_was_waiting_for() {
    for (said, words) in [
        (vec![(100, vec![])], "it did not answer the SOCKS5 greeting within 2s"),
        (vec![(3, vec![5, 0]), (100, vec![])], "it did not say whether it could connect within 2s"),
    ] {
        let proxy = script(said).await;
        let way = way("socks", socks(proxy.address, None));
        let fault = way.connect(&Destination::new("192.0.2.1", 1), &dialing(&[], Duration::from_secs(2))).await;
        let fault = fault.err().unwrap();
        assert!(fault.kind == FaultKind::ProxyFailed && fault.detail.ends_with(words), "{fault}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answer_comes_to_an_end(answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let proxy = script(answers.into_iter().map(|answer| (1, answer)).collect()).await;
            let way = way("socks", socks(proxy.address, Some(("me", "pwd"))));
            let (to, dialing) = (Destination::new("192.0.2.1", 1), dialing(&[], PATIENCE));
            let opened = way.connect(&to, &dialing);
            assert!(tokio::time::timeout(PATIENCE, opened).await.is_ok(), "it ends");
        });
    }
}
