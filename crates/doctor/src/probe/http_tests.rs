//! Answers of every shape, byte by byte.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::http::{Ended, NoAnswer, Patience, Response, ask};

const PATIENCE: Patience =
    Patience { first_byte: Duration::from_millis(200), body: Duration::from_millis(200), most_bytes: 64 };

/// What `bytes` are read as, when the connection ends behind them or stays open.
fn read(bytes: &[u8], stays_open: bool) -> Result<Response, NoAnswer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (mut own, mut other) = tokio::io::duplex(1 << 20);
        other.write_all(bytes).await.unwrap();
        let kept = if stays_open {
            Some(other)
        } else {
            other.shutdown().await.unwrap();
            // The half that reads stays, or the request could not be written.
            Some(other)
        };
        let read = ask(&mut own, "GET / HTTP/1.1\r\n\r\n", &PATIENCE, false).await;
        drop(kept);
        read
    })
}

#[test]
fn bodies_end_in_every_way() {
    for (text, stays_open, body, ended) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, "hello", Ended::Whole),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false, "hello", Ended::Short(Some(9))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true, "hello", Ended::Stalled),
        ("HTTP/1.1 200 OK\r\n\r\nhello", false, "hello", Ended::Whole),
        ("HTTP/1.1 204 No Content\r\n\r\n", true, "", Ended::Whole),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
            true,
            "hello!",
            Ended::Whole,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", false, "hel", Ended::Short(None)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, "", Ended::Short(None)),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            true,
            "a",
            Ended::Whole,
        ),
    ] {
        let response = read(text.as_bytes(), stays_open).unwrap();
        assert_eq!((String::from_utf8_lossy(&response.body).as_ref(), response.ended), (body, ended), "{text:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "a".repeat(99));
    let response = read(long.as_bytes(), true).unwrap();
    assert_eq!((response.body.len(), response.ended), (64, Ended::Enough));
}

#[test]
fn what_is_no_answer_is_told_apart() {
    assert_eq!(read(b"", false).unwrap_err(), NoAnswer::Closed);
    assert_eq!(read(b"", true).unwrap_err(), NoAnswer::Silent(PATIENCE.first_byte));
    assert_eq!(read(b"HTTP/1.1 200", false).unwrap_err(), NoAnswer::Closed);
    assert_eq!(read(b"\x15\x03\x01\x00\x02", false).unwrap_err().to_string(), "what answers speaks TLS");
    assert_eq!(read(b"SSH-2.0-x\r\n", false).unwrap_err().to_string(), "what answers does not speak HTTP");
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(70 << 10));
    assert!(matches!(read(endless.as_bytes(), false).unwrap_err(), NoAnswer::Other(_)));
}

#[test]
fn the_gist_of_a_page_is_its_title() {
    let page = read(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title> Log in </title>x", false).unwrap();
    assert!(page.is_page());
    assert_eq!(page.gist().as_deref(), Some("Log in"));
    assert_eq!(page.words(), None);
    let words = read(b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\n\r\n\r\nbecause\r\n", false).unwrap();
    assert_eq!(words.words().as_deref(), Some("because"));
    assert_eq!(words.line(), "403 No");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_are_too_strange(
        head in "(HTTP/1.1 200 OK\r\n)?(Content-Length: [0-9]{0,20}\r\n|Transfer-Encoding: chunked\r\n|[A-Z: ü]{0,9}\r\n){0,3}(\r\n)?",
        body in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&body);
        if let Ok(response) = read(&bytes, false) {
            let _ = (response.is_page(), response.gist(), response.words());
            prop_assert!(response.body.len() <= PATIENCE.most_bytes);
        }
    }
}
