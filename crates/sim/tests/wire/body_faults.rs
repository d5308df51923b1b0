//! Rows 17 and 23 to 28, 46, 49: lengths, content types, empty and broken bodies, size, coding, tools, usage.

use std::io::Read;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::client::*;

async fn sim() -> Sim {
    Sim::start(SimOptions::named("delta")).await.unwrap()
}

#[tokio::test]
async fn row_17_lengths_that_lie() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let long = ask(&sim, dialect, stream, "content-length-long").await;
            assert_eq!((long.body(), long.end), (Err(Broken::Short), End::Fin));
            let short = ask(&sim, dialect, stream, "content-length-short").await;
            assert_eq!(short.body(), Err(Broken::Extra));
            let text = String::from_utf8_lossy(&short.bytes).into_owned();
            assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "a second response is smuggled");
            let conflict = ask(&sim, dialect, stream, "content-length-conflict").await;
            let lengths: Vec<String> = conflict
                .head()
                .lines()
                .filter_map(|line| line.strip_prefix("content-length: "))
                .map(str::to_owned)
                .collect();
            assert_eq!(lengths.len(), 2);
            assert_ne!(lengths[0], lengths[1]);
        }
    }
}

#[tokio::test]
async fn row_23_wrong_content_types() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let html = ask(&sim, dialect, stream, "html-200").await;
            assert_eq!(
                (html.status(), html.header("content-type").as_deref()),
                (200, Some("text/html; charset=utf-8"))
            );
            let json = ask(&sim, dialect, stream, "json-for-stream").await;
            assert_eq!(json.header("content-type").as_deref(), Some("application/json"));
            json.assert_right(&sim, dialect, false, "json-for-stream");
        }
    }
}

#[tokio::test]
async fn rows_24_to_26_empty_truncated_and_misshapen() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let empty = ask(&sim, dialect, stream, "empty-body").await;
            assert_eq!((empty.status(), empty.body()), (200, Ok(Vec::new())));
            let nothing = ask(&sim, dialect, stream, "empty-choices").await;
            let unknown = ask(&sim, dialect, stream, "unknown-fields").await;
            unknown.assert_right(&sim, dialect, stream, "unknown-fields");
            assert!(unknown.body_so_far().matches("x_sim_unknown").count() > 2);
            let missing = ask(&sim, dialect, stream, "missing-fields").await;
            let truncated = ask(&sim, dialect, stream, "truncated-json").await;
            assert!(truncated.body().is_ok());
            if stream {
                assert!(nothing.has_terminal());
                assert_eq!(nothing.text(dialect, true).as_deref(), Some(""));
                assert!(
                    !nothing.body_so_far().contains("content_block")
                        && !nothing.body_so_far().contains("\"delta\":{\"content")
                );
                assert!(missing.has_terminal());
                assert_eq!(missing.text(dialect, true).as_deref(), Some(""));
            } else {
                let list = if dialect == Dialect::OpenAi { "choices" } else { "content" };
                assert_eq!(nothing.json()[list].as_array().map(Vec::len), Some(0));
                assert!(missing.json().get(list).is_none() && missing.json()["id"].is_string());
                assert!(serde_json::from_slice::<Value>(&truncated.body().unwrap()).is_err());
            }
        }
    }
}

#[tokio::test]
async fn row_27_everything_huge() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let chunk = ask(&sim, dialect, stream, "huge-chunk:300000").await;
            chunk.assert_right(&sim, dialect, stream, "huge-chunk");
            let first_size =
                String::from_utf8_lossy(&chunk.bytes[chunk.head().len()..]).lines().next().map(str::to_owned);
            assert!(usize::from_str_radix(&first_size.unwrap(), 16).unwrap() >= 300_000);
            let event = ask(&sim, dialect, stream, "huge-event:300000").await;
            event.assert_right(&sim, dialect, stream, "huge-event");
            let longest = event.body_so_far().lines().map(str::len).max().unwrap();
            assert!(longest >= 300_000, "{longest}");
            let body = ask(&sim, dialect, stream, "huge-body:300000").await;
            assert!(body.body().unwrap().len() >= 300_000);
            if stream {
                assert!(body.has_terminal() && body.body_so_far().lines().map(str::len).max().unwrap() < 1000);
            } else {
                body.assert_right(&sim, dialect, false, "huge-body");
            }
            let headers = ask(&sim, dialect, stream, "huge-headers:300000").await;
            assert!(headers.head().len() >= 300_000);
            headers.assert_right(&sim, dialect, stream, "huge-headers");
        }
    }
}

#[tokio::test]
async fn row_28_codings() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let right = ask(&sim, dialect, stream, "").await.body().unwrap();
            let gzip = ask(&sim, dialect, stream, "gzip-unasked").await;
            assert_eq!(gzip.header("content-encoding").as_deref(), Some("gzip"));
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&gzip.body().unwrap()[..]).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, right);
            let bomb = ask(&sim, dialect, stream, "gzip-bomb:8000000").await.body().unwrap();
            assert!(bomb.len() < 100_000);
            let mut decoder = flate2::read::GzDecoder::new(&bomb[..]);
            plain.clear();
            decoder.read_to_end(&mut plain).unwrap();
            assert!(plain.len() >= 8_000_000 && plain.ends_with(&right));
            let bad = ask(&sim, dialect, stream, "bad-gzip").await;
            assert_eq!(bad.header("content-encoding").as_deref(), Some("gzip"));
            assert!(flate2::read::GzDecoder::new(&bad.body().unwrap()[..]).read(&mut [0]).is_err());
            let unknown = ask(&sim, dialect, stream, "unknown-encoding").await;
            assert_eq!(unknown.header("content-encoding").as_deref(), Some("x-sim"));
        }
    }
}

/// The tool arguments of an answer: their pieces.
fn argument_pieces(raw: &Raw, dialect: Dialect) -> Vec<String> {
    let events = raw.events();
    let values = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let pieces = values.filter_map(|value| {
        let piece = match dialect {
            Dialect::OpenAi => &value["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"],
            Dialect::Anthropic => &value["delta"]["partial_json"],
        };
        piece.as_str().map(str::to_owned)
    });
    pieces.filter(|piece| !piece.is_empty()).collect()
}

#[tokio::test]
async fn row_46_tool_arguments() {
    let sim = sim().await;
    for dialect in DIALECTS {
        let split = argument_pieces(&ask(&sim, dialect, true, "tool-arguments-split").await, dialect);
        assert!(split.len() > 10 && split.iter().all(|piece| piece.chars().count() == 1));
        assert!(serde_json::from_str::<Value>(&split.concat()).is_ok());
        let invalid = ask(&sim, dialect, true, "tool-arguments-invalid").await;
        assert!(invalid.has_terminal());
        assert!(serde_json::from_str::<Value>(&argument_pieces(&invalid, dialect).concat()).is_err());
        let whole = ask(&sim, dialect, false, "tool-arguments-invalid").await.json();
        match dialect {
            Dialect::OpenAi => {
                let arguments = &whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
                assert!(serde_json::from_str::<Value>(arguments.as_str().unwrap()).is_err());
            }
            // A whole message holds the input as JSON: the nearest to invalid is an input that is no object.
            Dialect::Anthropic => assert!(whole["content"][0]["input"].is_null()),
        }
    }
}

#[tokio::test]
async fn row_49_usage() {
    let sim = sim().await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            for (fault, value) in [
                ("usage-negative", "-17"),
                ("usage-overflow", "18446744073709551615"),
                ("usage-wrong-type", "\"a lot\""),
            ] {
                let mut asked = body(dialect, stream, fault);
                if stream && dialect == Dialect::OpenAi {
                    asked["stream_options"] = serde_json::json!({"include_usage": true});
                }
                let raw = send(&sim, &request(path(dialect), "", &asked.to_string())).await;
                let count = raw.body_so_far().matches(&format!("_tokens\":{value}")).count();
                assert!(count >= 2, "{fault} {dialect} {stream}: {count}");
                raw.assert_right(&sim, dialect, stream, fault);
            }
            let missing = ask(&sim, dialect, stream, "usage-missing").await;
            assert!(!missing.body_so_far().contains("usage"));
            missing.assert_right(&sim, dialect, stream, "usage-missing");
        }
    }
}

#[tokio::test]
async fn other_endpoints_have_faults_too() {
    let sim = sim().await;
    let ask = |fault: &str| {
        let body = format!("{{\"model\":\"m!{fault}\",\"input\":\"a b\"}}");
        request("/v1/embeddings", "", &body)
    };
    assert_eq!(send(&sim, &ask("error-429x")).await.status(), 400);
    assert_eq!(send(&sim, &ask("empty-choices")).await.json()["data"].as_array().map(Vec::len), Some(0));
    assert!(serde_json::from_slice::<Value>(&send(&sim, &ask("truncated-json")).await.body().unwrap()).is_err());
    let mut connection = connect(&sim).await;
    let echo = "PUT /v1/files/1 HTTP/1.1\r\nx-sim-fault: mid-stream-reset\r\ncontent-length: 0\r\n\r\n";
    connection.write_all(echo.as_bytes()).await.unwrap();
    assert_eq!(read_all(&mut connection).await.end, End::Reset);
}
