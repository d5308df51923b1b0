//! Shadowsocks servers that are none, or that do not know us. Those that do are in `peers.rs`.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tradewind_core::FaultKind;
use tradewind_egress::Destination;

use crate::support::{PATIENCE, dialing, serve, shadowsocks, way};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";
const CIPHERS: [(&str, &str); 2] = [("aes-128-gcm", "x"), ("2022-blake3-aes-128-gcm", KEY)];

#[tokio::test]
async fn silence_and_nonsense_have_words() {
    let said: [(&[u8], &str); 2] = [
        (b"", "it closed the connection without a word"),
        (&[7; 200], "what came is not of this key: is the password right?"),
    ];
    for (cipher, password) in CIPHERS {
        for (answer, words) in said {
            let server = serve(move |mut socket| async move {
                let mut bytes = [0; 4096];
                let read = socket.read(&mut bytes).await.unwrap();
                assert!(read > 16, "the destination goes out with the first bytes");
                let _ = socket.write_all(answer).await;
            })
            .await;
            let ss = way("ss", shadowsocks(server.address, cipher, password));
            let to = Destination::new("example.com", 443);
            let mut stream = ss.connect(&to, &dialing(&[], PATIENCE)).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.flush().await.unwrap();
            let error = stream.read_u8().await.unwrap_err().to_string();
            assert!(error.contains("the proxy `ss` (127.0.0.1:") && error.contains(words), "{error}");
        }
    }
}

#[tokio::test]
async fn the_destination_goes_out_also_when_the_other_side_is_to_speak_first() {
    for (cipher, password) in CIPHERS {
        let (came, mut length) = tokio::sync::mpsc::channel(1);
        let server = serve(move |mut socket| {
            let came = came.clone();
            async move {
                let mut bytes = [0; 4096];
                came.send(socket.read(&mut bytes).await.unwrap()).await.unwrap();
                std::future::pending::<()>().await;
            }
        })
        .await;
        let ss = way("ss", shadowsocks(server.address, cipher, password));
        let to = Destination::new("example.com", 22);
        let mut stream = ss.connect(&to, &dialing(&[], PATIENCE)).await.unwrap();
        tokio::select! {
            said = stream.read_u8() => panic!("{cipher}: nobody has said anything: {said:?}"),
            length = length.recv() => assert!(length.unwrap() > 32, "{cipher}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_a_fault_of_the_way() {
    let nobody = tradewind_sim::RefusedPort::bind().unwrap();
    let ss = way("ss", shadowsocks(nobody.address(), "aes-128-gcm", "x"));
    let fault = ss.connect(&Destination::new("example.com", 443), &dialing(&[], PATIENCE)).await.err().unwrap();
    assert_eq!((fault.kind, fault.never_sent), (FaultKind::ProxyUnreachable, true), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answer_comes_to_an_end(answer in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = serve(move |mut socket| {
                let answer = answer.clone();
                async move {
                    let _ = socket.write_all(&answer).await;
                }
            })
            .await;
            for (cipher, password) in CIPHERS {
                let ss = way("ss", shadowsocks(server.address, cipher, password));
                let to = Destination::new("example.com", 443);
                let mut stream = ss.connect(&to, &dialing(&[], PATIENCE)).await.unwrap();
                let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
                assert!(read.is_ok_and(|byte| byte.is_err()), "nothing of it is genuine");
            }
        });
    }
}
