//! What callers get wrong: the right status in the right dialect, one record for each call, nothing leaked, and nobody
//! at a provider is bothered.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{
    Answer, Bench, End, Terminal, error_code, get, now, path, post, question, read_to_end, read_until, terminal,
};

const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// A gateway with small limits in front of a provider that is well.
struct Door {
    bench: Bench,
    sim: Sim,
}

impl Door {
    /// One with time limits that no caller of these tests meets.
    async fn open() -> Self {
        Self::open_with("body-idle: 15s, header-time: 15s").await
    }

    async fn open_with(times: &str) -> Self {
        let sim = Sim::start(SimOptions::named("faulty")).await.unwrap();
        let url = sim.base_url();
        let yaml = format!(
            "limits: {{request-body: 64KiB, request-headers: 8KiB, {times}}}\n\
             providers:\n  \
             - {{name: at-openai, dialect: openai, base-url: \"{url}/v1\", discover: false}}\n  \
             - {{name: at-anthropic, dialect: anthropic, base-url: \"{url}\", discover: false}}\n\
             models:\n  \
             - {{name: assistant, targets: [{{use: at-openai/m}}, {{use: at-anthropic/m}}]}}\n  \
             - {{name: only-openai, targets: [{{use: at-openai/m}}]}}\n  \
             - {{name: only-anthropic, targets: [{{use: at-anthropic/m}}]}}\n"
        );
        Self { bench: Bench::start(&yaml).await, sim }
    }

    /// Sends a request that has to be refused with `status` and `code` in the shape of `dialect`.
    async fn refused(&self, dialect: Dialect, request: &[u8], status: u16, code: &str) -> Answer {
        let answer = self.bench.send(request).await;
        let sent = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
        let said = format!("{sent}\n\n{}\n{}", answer.head, answer.text());
        assert_eq!((answer.status, answer.end), (status, End::Whole), "{said}");
        assert_eq!(error_code(&answer.json(), dialect).as_deref(), Some(code), "{said}");
        answer
    }

    /// That one is a call: it has a decision, and exactly one record of it.
    async fn recorded(&self, answer: &Answer) {
        let record = self.bench.record(answer).await;
        assert_eq!((&record["outcome"], &record["status"]), (&json!("rejected"), &json!(answer.status)), "{record}");
        assert_eq!(record["attempts"], json!([]), "{record}");
        assert!(record["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{record}");
    }

    /// Nobody was asked, nothing is held, a good call passes, and there are `calls` records besides.
    async fn close(self, calls: usize) {
        assert_eq!(self.sim.stats().requests, 0, "a bad request reached the provider");
        for dialect in DIALECTS {
            let answer = self.bench.ask(dialect, "assistant", true).await;
            assert_eq!(terminal(&answer, dialect, true), Terminal::Success, "{}", answer.text());
        }
        assert_eq!(self.bench.records("outcome=ok").await.len(), 2);
        assert_eq!(self.bench.records("").await.len(), 2 + calls);
        self.bench.is_back_at_baseline(&[&self.sim]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_request() {
    let door = Door::open().await;
    let table: &[(&[u8], &str, &str)] = &[
        (b"", "TW1001", ""),
        (b"{\"model\":", "TW1001", ""),
        (b"{\"model\":\"assistant\",\"messages\":[]} trailing", "TW1001", ""),
        (b"\x00\xff\xfe", "TW1001", ""),
        (b"not json at all", "TW1001", ""),
        (b"[]", "TW1002", ""),
        (b"null", "TW1002", ""),
        (b"\"text\"", "TW1002", ""),
        (b"{}", "TW1002", "model"),
        (b"{\"messages\":[]}", "TW1002", "model"),
        (b"{\"model\":7,\"messages\":[]}", "TW1002", "model"),
        (b"{\"model\":null,\"messages\":[]}", "TW1002", "model"),
        (b"{\"model\":\"\",\"messages\":[]}", "TW1002", "model"),
        (b"{\"model\":[\"assistant\"],\"messages\":[]}", "TW1002", "model"),
        (b"{\"model\":\"assistant\"}", "TW1002", "messages"),
        (b"{\"model\":\"assistant\",\"messages\":\"hello\"}", "TW1002", "messages"),
        (b"{\"model\":\"assistant\",\"messages\":{}}", "TW1002", "messages"),
        (b"{\"model\":\"assistant\",\"messages\":[],\"stream\":\"yes\"}", "TW1002", "stream"),
        (b"{\"model\":\"assistant\",\"messages\":[],\"stream\":1}", "TW1002", "stream"),
        (b"{\"model\":\"assistant\",\"model\":\"other\",\"messages\":[]}", "TW1002", ""),
    ];
    for dialect in DIALECTS {
        for (body, code, field) in table {
            let mut request = format!(
                "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                path(dialect),
                body.len()
            )
            .into_bytes();
            request.extend_from_slice(body);
            let answer = door.refused(dialect, &request, 400, code).await;
            if !field.is_empty() {
                assert!(answer.text().contains(field), "{field} is not named: {}", answer.text());
            }
            door.recorded(&answer).await;
        }
    }
    door.close(2 * table.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_are_not_there() {
    let door = Door::open().await;
    let long = "x".repeat(250);
    let table = [
        ("asistant", "assistant"),
        ("Assistant", "assistant"),
        ("only-opnai", "only-openai"),
        ("gpt", "/v1/models"),
        (&long, "/v1/models"),
    ];
    for dialect in DIALECTS {
        for (model, hint) in table {
            let request = post(path(dialect), "", &question(dialect, model, true).to_string());
            let answer = door.refused(dialect, &request, 404, "TW1003").await;
            assert!(answer.text().contains(hint), "{hint} is not named: {}", answer.text());
            assert!(answer.body.len() < 1000, "{} bytes", answer.body.len());
            door.recorded(&answer).await;
        }
        // Longer than any name may be.
        let request = post(path(dialect), "", &question(dialect, &"x".repeat(20_000), true).to_string());
        let answer = door.refused(dialect, &request, 400, "TW1002").await;
        assert!(answer.body.len() < 1000, "{} bytes", answer.body.len());
        door.recorded(&answer).await;
        // There, but it cannot be asked this.
        let (model, field, value) = match dialect {
            Dialect::OpenAi => ("only-anthropic", "n", 2),
            Dialect::Anthropic => ("only-openai", "top_k", 7),
        };
        let mut body = question(dialect, model, false);
        body[field] = json!(value);
        let answer = door.refused(dialect, &post(path(dialect), "", &body.to_string()), 400, "TW1014").await;
        assert!(answer.text().contains(&format!("`{field}`")), "{}", answer.text());
        door.recorded(&answer).await;
    }
    door.close(2 * (table.len() + 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_over_the_limit() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let mut body = question(dialect, "assistant", false);
        body["messages"][0]["content"] = json!("x".repeat(70 * 1024));
        let body = body.to_string();
        // Announced: refused before the body is read.
        let head =
            format!("POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n", path(dialect), 1_u64 << 40);
        let answer = door.refused(dialect, head.as_bytes(), 413, "TW1005").await;
        assert_eq!(answer.header("connection"), Some("close"));
        door.recorded(&answer).await;
        let answer = door.refused(dialect, &post(path(dialect), "", &body), 413, "TW1005").await;
        door.recorded(&answer).await;
        // Not announced: refused when there is too much of it.
        let head = format!("POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n", path(dialect));
        let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let answer = door.refused(dialect, chunked.as_bytes(), 413, "TW1005").await;
        assert_eq!(answer.header("connection"), Some("close"));
        door.recorded(&answer).await;
    }
    door.close(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_over_the_limit() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let body = question(dialect, "assistant", false).to_string();
        let header = format!("x-long: {}\r\n", "h".repeat(9000));
        let answer = door.refused(dialect, &post(path(dialect), &header, &body), 431, "TW1006").await;
        assert_eq!((answer.decision(), answer.header("connection")), (None, Some("close")));
        // So far beyond that they are not even kept to be looked at.
        for headers in [format!("x-long: {}\r\n", "h".repeat(500_000)), "x-many: 1\r\n".repeat(500)] {
            let answer = door.bench.send(&post(path(dialect), &headers, &body)).await;
            assert!(matches!(answer.status, 431 | 0), "{}", answer.head);
        }
        let long_path = post(&format!("{}?{}", path(dialect), "q".repeat(9000)), "", &body);
        door.refused(dialect, &long_path, 431, "TW1006").await;
    }
    door.close(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come() {
    let door = Door::open_with("body-idle: 1s, header-time: 4s").await;
    for dialect in DIALECTS {
        // Half of it, and then nothing.
        let whole = post(path(dialect), "", &question(dialect, "assistant", false).to_string());
        let began = now();
        let answer = door.refused(dialect, &whole[..whole.len() - 20], 408, "TW1007").await;
        assert!((1000..10_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert_eq!(answer.header("connection"), Some("close"));
        door.recorded(&answer).await;
        // A head that never ends: nobody knows yet what was asked, and the connection is closed.
        let mut stream = TcpStream::connect(door.bench.address).await.unwrap();
        stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nx-").await.unwrap();
        let began = now();
        read_to_end(&mut stream).await;
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    }
    door.close(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_framing() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let head = format!("POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\n", path(dialect));
        for chunks in ["zz\r\n{}\r\n0\r\n\r\n", "5\r\n{\"mod\r\nXX", "fffffffffffffffffff\r\n", "-1\r\n"] {
            let request = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}");
            let answer = door.refused(dialect, request.as_bytes(), 400, "TW1008").await;
            assert_eq!(answer.header("connection"), Some("close"));
            door.recorded(&answer).await;
        }
        // What is no HTTP at all, or could be understood in two ways, is refused by the server before any door.
        for request in [
            format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
            format!("{head}content-length: five\r\n\r\nhello"),
            format!("{head}content-length: -5\r\n\r\n"),
            format!("{head}bad header\r\n\r\n"),
            format!("{head}x-nul: a\0b\r\n\r\n"),
            "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".to_owned() + &"\0".repeat(200) + "\r\n\r\n",
            "GARBAGE\r\n\r\n".to_owned(),
            "POST /v1/chat/completions HTTP/9.9\r\n\r\n".to_owned(),
        ] {
            let answer = door.bench.send(request.as_bytes()).await;
            assert!(matches!(answer.status, 400 | 505), "{request:?}: {}", answer.head);
        }
    }
    door.close(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_vanish_in_the_middle_of_their_body() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let whole = post(path(dialect), "", &question(dialect, "assistant", true).to_string());
        for kept in [whole.len() - 1, whole.len() - 40] {
            let mut stream = TcpStream::connect(door.bench.address).await.unwrap();
            stream.write_all(&whole[..kept]).await.unwrap();
            drop(stream);
        }
        // In the middle of the head it is not yet a call.
        let mut stream = TcpStream::connect(door.bench.address).await.unwrap();
        stream.write_all(&whole[..20]).await.unwrap();
        drop(stream);
    }
    crate::support::eventually("each has its record", crate::support::SOON, async || {
        door.bench.records("").await.len() == 4
    })
    .await;
    for record in door.bench.records("").await {
        assert_eq!((&record["outcome"], &record["attempts"]), (&json!("rejected"), &json!([])), "{record}");
        assert!(record["detail"].as_str().unwrap().contains("ended early"), "{record}");
    }
    door.close(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_paths_that_are_not_served() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let request =
                format!("{method} {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n", path(dialect));
            let answer = door.refused(dialect, request.as_bytes(), 405, "TW1009").await;
            assert_eq!(answer.header("allow"), Some("post"), "{}", answer.head);
        }
    }
    let anthropic = "anthropic-version: 2023-06-01\r\n";
    for (dialect, headers) in [(Dialect::OpenAi, ""), (Dialect::Anthropic, anthropic)] {
        let answer = door.refused(dialect, &post("/v1/chat/complete", headers, "{}"), 404, "TW1004").await;
        for served in ["/v1/chat/completions", "/v1/messages", "/v1/models"] {
            assert!(answer.text().contains(served), "{}", answer.text());
        }
        door.recorded(&answer).await;
        let request =
            format!("GET /v1/models/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        door.refused(dialect, request.as_bytes(), 404, "TW1003").await;
    }
    for path in ["/", "/v2/chat/completions", "/v1", "/favicon.ico", "/api/v2"] {
        let answer = door.bench.send(&get(path)).await;
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (404, Some("TW1004")), "{path}");
        assert!(answer.text().contains("/v1/models"), "{}", answer.text());
    }
    door.close(2).await;
}

/// A page in a browser, wherever it came from, cannot use the gateway on loopback.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_were_meant_for_another_host() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let body = question(dialect, "assistant", false).to_string();
        let tail = format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for headers in [
            "host: attacker.example\r\n",
            "host: 127.0.0.1.attacker.example\r\n",
            "host: 10.1.2.3\r\n",
            "host: \r\n",
            "host: 127.0.0.1\r\norigin: https://attacker.example\r\n",
            "host: 127.0.0.1\r\norigin: null\r\n",
        ] {
            let request = format!("POST {} HTTP/1.1\r\n{headers}{tail}", path(dialect));
            let answer = door.refused(dialect, request.as_bytes(), 403, "TW1010").await;
            assert_eq!(answer.decision(), None);
        }
    }
    let answer =
        door.bench.send(b"GET /api/v1/decisions HTTP/1.1\r\nhost: attacker.example\r\nconnection: close\r\n\r\n");
    assert_eq!(answer.await.status, 403);
    door.close(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_cannot_be_followed() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let body = question(dialect, "assistant", false).to_string();
        for encoding in ["gzip", "br", "deflate, gzip"] {
            let header = format!("content-encoding: {encoding}\r\n");
            let answer = door.refused(dialect, &post(path(dialect), &header, &body), 415, "TW1012").await;
            door.recorded(&answer).await;
        }
        for time in ["soon", "-1s", "0s", "1e9", ""] {
            let header = format!("x-tradewind-timeout: {time}\r\n");
            let answer = door.refused(dialect, &post(path(dialect), &header, &body), 400, "TW1011").await;
            door.recorded(&answer).await;
        }
    }
    door.close(16).await;
}

/// Unusual and right: these are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_requests_that_are_right() {
    let door = Door::open().await;
    for dialect in DIALECTS {
        let body = question(dialect, "assistant", false).to_string();
        let length = body.len();
        let head = format!("POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n", path(dialect));
        let chunks: String = body.bytes().map(|byte| format!("1;ext=1\r\n{}\r\n", char::from(byte))).collect();
        for request in [
            format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\nx-trailer: 1\r\n\r\n"),
            format!("{head}content-encoding: identity\r\ncontent-length: {length}\r\n\r\n{body}"),
            format!(
                "POST http://localhost{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}",
                path(dialect)
            ),
            format!("POST {} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}", path(dialect)),
            format!("{head}content-length: {}\r\n\r\n  \n{body}\r\n ", length + 6),
        ] {
            let answer = door.bench.send(request.as_bytes()).await;
            assert_eq!(terminal(&answer, dialect, false), Terminal::Success, "{request}\n{}", answer.text());
        }
        // A client that asks first whether it may send its body.
        let mut stream = TcpStream::connect(door.bench.address).await.unwrap();
        let asking = format!("{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(asking.as_bytes()).await.unwrap();
        read_until(&mut stream, "100 Continue\r\n\r\n").await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let answer = Answer::parse(&read_to_end(&mut stream).await, Duration::ZERO);
        assert_eq!(terminal(&answer, dialect, false), Terminal::Success);
    }
    assert_eq!(door.bench.records("outcome=ok").await.len(), 12);
    // However deep it is nested, it costs nothing and is refused with its name.
    let deep = format!(r#"{{"model":"assistant","messages":[],"x":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let answer = door.bench.send(&post(path(Dialect::OpenAi), "", &deep)).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::ErrorStatus(400, Some("TW1002".to_owned())));
    door.bench.is_back_at_baseline(&[&door.sim]).await;
}
