//! Right answers: both dialects, whole and streamed, tools, keys, models, other paths, the record.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tradewind_core::Dialect;
use tradewind_sim::{Delay, Ending, Needs, Sim, SimFault, SimOptions};

use crate::client::*;

#[tokio::test]
async fn whole_and_streamed_answers_are_the_same_text_and_name_the_sim() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    for dialect in DIALECTS {
        let whole = ask(&sim, dialect, false, "").await;
        whole.assert_right(&sim, dialect, false, "whole");
        let stream = ask(&sim, dialect, true, "").await;
        stream.assert_right(&sim, dialect, true, "stream");
        assert_eq!(whole.text(dialect, false), stream.text(dialect, true));
        assert!(whole.text(dialect, false).unwrap().matches("alpha").count() >= 6);
        assert!(whole.json()["id"].as_str().unwrap().contains("-alpha-"));
        assert_eq!(stream.header("content-type").unwrap(), "text/event-stream; charset=utf-8");
    }
    sim.stop().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_whatever_the_fault() {
    // Arguments that keep it short. Left out: what tells the time or the port, and what takes long.
    let argument = |fault: SimFault| match fault {
        SimFault::SlowHeaders | SimFault::SlowFirstToken | SimFault::Stall => ":1ms",
        SimFault::BandwidthCap => ":1000000",
        SimFault::HugeChunk | SimFault::HugeEvent | SimFault::HugeBody | SimFault::HugeHeaders | SimFault::GzipBomb => {
            ":100000"
        }
        _ => "",
    };
    let run = |seed: u64| async move {
        let sim = Sim::start(SimOptions { seed, answer_tokens: 8, ..SimOptions::default() }).await.unwrap();
        let mut all = Vec::new();
        for fault in SimFault::ALL {
            let left_out = [SimFault::RateLimitDate, SimFault::RateLimitVendor, SimFault::Redirect, SimFault::Drip];
            if fault.needs() != Needs::Nothing || left_out.contains(fault) {
                continue;
            }
            for dialect in DIALECTS {
                for stream in [false, true] {
                    let raw = ask(&sim, dialect, stream, &format!("{fault}{}", argument(*fault))).await;
                    all.push((fault.name(), dialect, stream, String::from_utf8_lossy(&raw.bytes).into_owned()));
                }
            }
        }
        all
    };
    let (first, second, other) = tokio::join!(run(1), run(1), run(2));
    for (one, two) in first.iter().zip(&second) {
        assert!(one == two, "{one:?}\n{two:?}");
    }
    assert_eq!(first.len(), second.len());
    assert_ne!(first, other);
}

#[tokio::test]
async fn a_tool_call_is_streamed_in_pieces_that_add_up_to_valid_arguments() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    for stream in [false, true] {
        let ask = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Use the tool."}],
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": schema}}]});
        let raw = send(&sim, &request(path(Dialect::OpenAi), "", &ask.to_string())).await;
        let (arguments, finish) = if stream {
            let events: Vec<serde_json::Value> =
                raw.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
            let pieces = events
                .iter()
                .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str());
            assert!(pieces.clone().count() > 3);
            let finish = events.iter().find_map(|event| event["choices"][0]["finish_reason"].as_str());
            (pieces.collect::<String>(), finish.map(str::to_owned))
        } else {
            let choice = &raw.json()["choices"][0];
            let arguments = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned();
            (arguments, choice["finish_reason"].as_str().map(str::to_owned))
        };
        let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap();
        assert!(arguments["city"].is_string());
        assert_eq!(finish.as_deref(), Some("tool_calls"));
    }
}

#[tokio::test]
async fn usage_counts_and_limits_are_kept() {
    let sim = Sim::start(SimOptions { answer_tokens: 10, ..SimOptions::default() }).await.unwrap();
    let ask = json!({"model": "m", "max_tokens": 4, "messages": [{"role": "user", "content": "one two three"}],
        "stream": true, "stream_options": {"include_usage": true}});
    let raw = send(&sim, &request(path(Dialect::OpenAi), "", &ask.to_string())).await;
    let events = raw.events();
    let usage: serde_json::Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        (usage["usage"]["prompt_tokens"].as_u64(), usage["usage"]["completion_tokens"].as_u64()),
        (Some(3), Some(4))
    );
    assert!(events[events.len() - 3].contains("\"finish_reason\":\"length\""));
}

#[tokio::test]
async fn keys_models_and_other_paths() {
    let options = SimOptions { keys: Some(vec!["good".into()]), models: vec!["m".into()], ..SimOptions::default() };
    let sim = Sim::start(options).await.unwrap();
    for (dialect, header) in [(Dialect::OpenAi, "authorization: Bearer "), (Dialect::Anthropic, "x-api-key: ")] {
        let with = |key: &str, model: &str| {
            let mut body = body(dialect, false, "");
            body["model"] = json!(model);
            request(path(dialect), &format!("{header}{key}\r\n"), &body.to_string())
        };
        assert_eq!(send(&sim, &with("good", "m")).await.status(), 200);
        assert_eq!(send(&sim, &with("bad", "m")).await.status(), 401);
        assert_eq!(send(&sim, &with("good", "other")).await.status(), 404);
    }
    let key = "authorization: Bearer good\r\n";
    let list = send(&sim, format!("GET /v1/models HTTP/1.1\r\nconnection: close\r\n{key}\r\n").as_bytes()).await;
    assert_eq!(list.json()["data"][0]["id"], "m");
    let echo = send(&sim, &request("/v1/audio/speech?x=1", key, "abc")).await;
    assert_eq!(echo.json(), json!({"method": "POST", "path": "/v1/audio/speech?x=1", "bytes": 3}));
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_dialect_of_their_path() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let openai = send(&sim, &request(path(Dialect::OpenAi), "", "{")).await;
    assert_eq!((openai.status(), openai.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    let anthropic = send(&sim, &request(path(Dialect::Anthropic), "", "{\"model\":\"m\",\"messages\":[]}")).await;
    assert_eq!((anthropic.status(), anthropic.json()["type"].as_str()), (400, Some("error")));
    let unknown = ask(&sim, Dialect::OpenAi, false, "stal").await;
    assert!(unknown.json()["error"]["message"].as_str().unwrap().contains("`stall`"));
    assert_eq!(send(&sim, b"EHLO harbour\r\n\r\n").await.status(), 400);
}

#[tokio::test]
async fn the_record_tells_who_came_and_how_it_ended() {
    let sim = Sim::start(SimOptions { name: "beta".into(), tokens_per_second: Some(10.0), ..SimOptions::default() })
        .await
        .unwrap();
    let quick = request(
        path(Dialect::OpenAi),
        "x-seen: yes\r\n",
        &json!({"model": "m", "max_tokens": 1, "messages": []}).to_string(),
    );
    assert_eq!(send(&sim, &quick).await.status(), 200);
    let mut leaving = connect(&sim).await;
    leaving.write_all(&request(path(Dialect::OpenAi), "", &body(Dialect::OpenAi, true, "").to_string())).await.unwrap();
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.in_flight == 1).await);
    drop(leaving);
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.cancelled == 1 && stats.open_connections == 0).await);
    let requests = sim.requests();
    assert_eq!(requests[0].header("X-Seen"), Some("yes"));
    assert_eq!((requests[0].ending, requests[1].ending), (Ending::Complete, Ending::ClientGone));
    assert!(requests[1].body.contains(PROMPT));
    let stats = send(&sim, b"GET /sim/stats HTTP/1.1\r\nconnection: close\r\n\r\n").await.json();
    assert_eq!((stats["stats"]["requests"].as_u64(), stats["stats"]["name"].as_str()), (Some(2), Some("beta")));
    assert_eq!(stats["last"][1]["ending"], "client-gone");
}

#[tokio::test]
async fn the_tempo_is_kept() {
    let options = SimOptions {
        first_token: Delay::Fixed(Duration::from_millis(60)),
        tokens_per_second: Some(100.0),
        answer_tokens: 11,
        ..SimOptions::default()
    };
    let sim = Sim::start(options).await.unwrap();
    for stream in [false, true] {
        let clock = tokio::time::timeout(Duration::from_millis(150), ask(&sim, Dialect::OpenAi, stream, "")).await;
        assert!(clock.is_err(), "60 ms and ten times 10 ms take at least 160 ms");
        ask(&sim, Dialect::OpenAi, stream, "").await.assert_right(&sim, Dialect::OpenAi, stream, "tempo");
    }
}

#[tokio::test]
async fn stopping_closes_everything() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let address = sim.address();
    let mut open = connect(&sim).await;
    assert!(sim.wait_until(Duration::from_secs(5), |stats| stats.open_connections == 1).await);
    sim.stop().await;
    assert_ne!(read_all(&mut open).await.end, End::Silence);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
