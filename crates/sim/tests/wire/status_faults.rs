//! Rows 29 to 41: rate limits, errors, redirects, interim answers, HTTP/1.0, HTTP/2, flapping and gray sims.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tradewind_core::Dialect;
use tradewind_sim::{Delay, Ending, Sim, SimFault, SimOptions, TlsOptions};

use crate::client::*;
use crate::connection_faults::handshake;

async fn sim() -> Sim {
    Sim::start(SimOptions::named("epsilon")).await.unwrap()
}

#[tokio::test]
async fn rows_29_to_31_rate_limits() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            for (fault, retry_after) in [
                ("rate-limit-bare", None),
                ("rate-limit-vendor", None),
                ("rate-limit-seconds", Some("1")),
                ("rate-limit-seconds:7s", Some("7")),
                ("retry-after", Some("1000000000")),
                ("retry-after:1e9", Some("1e9")),
                ("retry-after-negative", Some("-5")),
                ("retry-after-garbage", Some("next tuesday, perhaps")),
            ] {
                let raw = ask(&sim, dialect, stream, fault).await;
                assert_eq!((raw.status(), raw.header("retry-after").as_deref()), (429, retry_after), "{fault}");
                let kind = if dialect == Dialect::OpenAi { "requests" } else { "rate_limit_error" };
                assert_eq!(raw.json()["error"]["type"], kind);
            }
            let date = ask(&sim, dialect, stream, "rate-limit-date").await.header("retry-after").unwrap();
            assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
            let vendor = ask(&sim, dialect, stream, "rate-limit-vendor:90s").await;
            match dialect {
                Dialect::OpenAi => assert_eq!(vendor.header("x-ratelimit-reset-requests").as_deref(), Some("90s")),
                Dialect::Anthropic => {
                    let reset = vendor.header("anthropic-ratelimit-requests-reset").unwrap();
                    assert!(reset.starts_with("20") && reset.ends_with("Z"), "{reset}");
                }
            }
        }
    }
}

#[tokio::test]
async fn rows_32_to_34_errors_in_the_dialects_own_shape() {
    let sim = sim().await;
    for (fault, status, anthropic) in [
        ("error-500", 500, "api_error"),
        ("error-503", 503, "api_error"),
        ("error-504", 504, "timeout_error"),
        ("error-529", 529, "overloaded_error"),
        ("error-401", 401, "authentication_error"),
        ("error-403", 403, "permission_error"),
        ("error-400", 400, "invalid_request_error"),
        ("error-404", 404, "not_found_error"),
        ("error-413", 413, "request_too_large"),
        ("error-422", 422, "invalid_request_error"),
        ("context-too-long", 400, "invalid_request_error"),
        ("fast-fail", 503, "api_error"),
    ] {
        for stream in [false, true] {
            let openai = ask(&sim, Dialect::OpenAi, stream, fault).await;
            assert_eq!(openai.status(), status, "{fault}");
            assert!(openai.json()["error"]["message"].is_string());
            let other = ask(&sim, Dialect::Anthropic, stream, fault).await;
            assert_eq!(other.status(), status, "{fault}");
            assert_eq!(
                (other.json()["type"].as_str(), other.json()["error"]["type"].as_str()),
                (Some("error"), Some(anthropic))
            );
        }
    }
    let context = ask(&sim, Dialect::OpenAi, true, "context-too-long").await;
    assert_eq!(context.json()["error"]["code"], "context_length_exceeded");
    let proxy = ask(&sim, Dialect::OpenAi, true, "error-502").await;
    assert_eq!((proxy.status(), proxy.header("content-type").as_deref()), (502, Some("text/html")));
}

#[tokio::test]
async fn row_35_a_redirect_and_who_follows_it() {
    let sim = sim().await;
    let raw = ask(&sim, Dialect::OpenAi, true, "redirect").await;
    let location = raw.header("location").unwrap();
    assert_eq!(
        (raw.status(), location.as_str()),
        (307, &*format!("http://localhost:{}/sim/redirected", sim.address().port()))
    );
    assert_eq!(sim.stats().followed_redirects, 0);
    send(&sim, b"POST /sim/redirected HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert_eq!(sim.stats().followed_redirects, 1);
    let elsewhere = ask(&sim, Dialect::OpenAi, false, "redirect:http://127.0.0.1:9/x").await;
    assert_eq!(elsewhere.header("location").as_deref(), Some("http://127.0.0.1:9/x"));
}

#[tokio::test]
async fn row_36_interim_answers_old_http_and_trailers() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            for (fault, start) in [
                ("interim-100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
                ("interim-103", "HTTP/1.1 103 Early Hints\r\nlink: "),
                ("http-1-0", "HTTP/1.0 200 OK\r\n"),
                ("trailers", "HTTP/1.1 200 OK\r\n"),
            ] {
                let raw = ask(&sim, dialect, stream, fault).await;
                raw.assert_right(&sim, dialect, stream, fault);
                let text = String::from_utf8_lossy(&raw.bytes).into_owned();
                assert!(text.starts_with(start), "{fault}: {text}");
                let old = fault == "http-1-0";
                let unframed = raw.header("transfer-encoding").is_none() && raw.header("content-length").is_none();
                assert_eq!(old, unframed);
                assert_eq!(fault == "trailers", text.ends_with("\r\n0\r\nx-sim-trailer: behind the body\r\n\r\n"));
            }
        }
    }
}

/// One request over HTTP/2: status and body, or the error with its reason.
async fn http2(sim: &Sim, body: &Value) -> Result<(u16, Vec<u8>), h2::Error> {
    let stream = handshake(sim, &["h2"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(stream).await?;
    let exchange = async {
        let mut sender = sender.ready().await?;
        let request = http::Request::post("https://localhost/v1/chat/completions").body(()).unwrap();
        let (response, mut upload) = sender.send_request(request, false)?;
        upload.send_data(Bytes::from(body.to_string()), true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok((head.status.as_u16(), bytes))
    };
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            done = &mut exchange => return done,
            _ = &mut connection, if open => open = false,
        }
    }
}

#[tokio::test]
async fn row_37_http_2() {
    let sim = Sim::start(SimOptions { tls: Some(TlsOptions { http2: true }), ..SimOptions::default() }).await.unwrap();
    for stream in [false, true] {
        let asked = body(Dialect::OpenAi, stream, "");
        let expected = sim.expected_text(Dialect::OpenAi, asked.to_string().as_bytes()).unwrap();
        let (status, bytes) = http2(&sim, &asked).await.unwrap();
        assert_eq!(status, 200);
        if stream {
            assert_eq!(events(&String::from_utf8(bytes).unwrap()).last().map(String::as_str), Some("[DONE]"));
        } else {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["choices"][0]["message"]["content"], expected);
        }
    }
    let asked = body(Dialect::OpenAi, true, "");
    let cut = http2(&sim, &body(Dialect::OpenAi, true, "mid-stream-reset")).await.unwrap_err();
    assert_eq!(cut.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(http2(&sim, &body(Dialect::OpenAi, true, "error-503")).await.unwrap().0, 503);
    sim.set_fault(SimFault::H2RefusedStream).unwrap();
    let refused = http2(&sim, &asked).await.unwrap_err();
    assert!(refused.is_reset() && refused.reason() == Some(h2::Reason::REFUSED_STREAM), "{refused:?}");
    sim.set_fault(SimFault::H2InternalError).unwrap();
    let internal = http2(&sim, &asked).await.unwrap_err();
    assert!(internal.is_reset() && internal.reason() == Some(h2::Reason::INTERNAL_ERROR), "{internal:?}");
    sim.set_fault(SimFault::H2GoAway).unwrap();
    let gone = http2(&sim, &asked).await.unwrap_err();
    assert!(gone.is_go_away() && gone.is_remote() && gone.reason() == Some(h2::Reason::NO_ERROR), "{gone:?}");
    sim.set_fault(SimFault::H2Stall).unwrap();
    assert!(tokio::time::timeout(SILENCE, http2(&sim, &asked)).await.is_err());
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.open_connections == 0).await);
    assert_eq!(sim.requests().pop().unwrap().ending, Ending::ClientGone);
    // A client of HTTP/1.1 is served as ever.
    sim.clear_fault();
    assert!(handshake(&sim, &["http/1.1"]).await.unwrap().get_ref().1.alpn_protocol() == Some(b"http/1.1"));
}

async fn statuses(sim: &Sim, calls: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..calls {
        statuses.push(ask(sim, Dialect::OpenAi, false, "").await.status());
    }
    statuses
}

#[tokio::test]
async fn row_38_flapping() {
    let sim = sim().await;
    sim.set_fault(SimFault::Flapping).unwrap();
    assert_eq!(statuses(&sim, 4).await, [200, 500, 200, 500]);
    sim.set_fault(SimFault::Flapping.with("rate-limit-seconds:3s").unwrap()).unwrap();
    assert_eq!(statuses(&sim, 4).await, [200, 429, 200, 429]);
}

#[tokio::test]
async fn row_39_gray() {
    let options = SimOptions { first_token: Delay::Fixed(Duration::from_millis(10)), ..SimOptions::named("gray") };
    let sim = Sim::start(options).await.unwrap();
    sim.set_fault(SimFault::Gray.with("20").unwrap()).unwrap();
    let quick = tokio::time::timeout(Duration::from_millis(150), ask(&sim, Dialect::OpenAi, true, "")).await;
    assert!(quick.is_err(), "20 times 10 ms take 200 ms");
    let quick = Sim::start(SimOptions::default()).await.unwrap();
    quick.set_fault(SimFault::Gray.with("1").unwrap()).unwrap();
    let failed = statuses(&quick, 400).await.into_iter().filter(|status| *status == 500).count();
    assert!((8..40).contains(&failed), "{failed} of 400 is not about one in twenty");
}

#[tokio::test]
async fn row_41_failing_fast_without_reading_the_body() {
    let sim = sim().await;
    sim.set_fault(SimFault::FastFail).unwrap();
    // The body that is announced never comes.
    let raw = send(&sim, b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n{").await;
    assert_eq!((raw.status(), raw.end), (503, End::Fin));
}

#[tokio::test]
async fn random_errors_come_as_often_as_asked_and_repeat_by_seed() {
    let run = |seed| async move {
        let options = SimOptions {
            seed,
            error_rate: 0.25,
            error_faults: vec![SimFault::Error500.into(), SimFault::RateLimitBare.into()],
            ..SimOptions::default()
        };
        statuses(&Sim::start(options).await.unwrap(), 200).await
    };
    let first = run(3).await;
    assert_eq!(first, run(3).await);
    assert_ne!(first, run(4).await);
    let failed = |status: u16| first.iter().filter(|got| **got == status).count();
    assert!((10..45).contains(&failed(500)) && (10..45).contains(&failed(429)), "{first:?}");
}
