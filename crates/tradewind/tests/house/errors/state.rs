//! What callers of the state door are told, by a gateway without keys.

use tempfile::TempDir;
use tradewind::{Document, Gateway};
use tradewind_core::Code;

use super::Examples;
use super::example::{Neutral, note};
use crate::wire::Ask;

const DOCUMENT: &str = "state: {keep: 1, namespaces: [{name: short, max-value: 8B}]}\n";
const THREAD: &str = "/api/v1/state/threads/alice";
const JSON: &str = "content-type: application/json\r\n";
const REDEEM: &str = "/api/v1/handoff/redeem";

fn put(path: &str, headers: &str, body: &str) -> Ask {
    let head = format!("PUT {path} HTTP/1.1\r\n{JSON}{headers}content-length: {}\r\n", body.len());
    Ask { head, body: body.to_owned() }
}

/// The codes of state.
pub(super) async fn state_examples() -> Examples {
    let folder = TempDir::new().expect("a folder can be made");
    let text = format!("listen: 127.0.0.1:0\ndata-dir: {}\n{DOCUMENT}", folder.path().display());
    let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("state", &text)));
    let gateway = Gateway::start(document).await.expect("the gateway starts");
    let address = gateway.address;
    let token = async |path: &str, rev: u64| {
        let ask = Ask::post(&format!("{path}/handoff"), &format!("if-match: \"{rev}\"\r\n"), "");
        let answer = ask.send(address).await;
        let body = answer.split_once("\r\n\r\n").expect("there is a head").1;
        let said: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        format!("{{\"token\": {}}}", said["token"])
    };
    for (path, headers, body) in [
        (THREAD, "if-none-match: *\r\n", "{\"turn\": 1}"),
        (THREAD, "if-match: \"1\"\r\n", "{\"turn\": 2}"),
        ("/api/v1/state/threads/bob", "if-none-match: *\r\n", "1"),
        ("/api/v1/state/threads/carol", "if-none-match: *\r\n", "1"),
    ] {
        let answer = put(path, headers, body).send(address).await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
    let (first, second) = (token(THREAD, 2).await, token(THREAD, 2).await);
    let taken = Ask::post(REDEEM, "", &first).send(address).await;
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");
    let stale = token("/api/v1/state/threads/bob", 1).await;
    put("/api/v1/state/threads/bob", "if-match: \"1\"\r\n", "2").send(address).await;
    let patch = "content-type: application/json-patch+json\r\nif-match: \"3\"\r\n";
    let body = r#"[{"op": "remove", "path": "/draft"}]"#;
    let patch = format!("PATCH {THREAD} HTTP/1.1\r\n{patch}content-length: {}\r\n", body.len());
    let asks = [
        (Code::StateMissing, Ask::get("/api/v1/state/threads/nobody")),
        (Code::StateGone, Ask::get(&format!("{THREAD}?rev=1"))),
        (Code::StateLost, put(THREAD, "if-match: \"2\"\r\n", "{\"turn\": 3}")),
        (Code::StateConditionless, put(THREAD, "", "{\"turn\": 3}")),
        (Code::StateFenced, put(THREAD, "if-match: \"3\"\r\ntradewind-epoch: 0\r\n", "{\"turn\": 3}")),
        (Code::StateTooLarge, put("/api/v1/state/short/a", "if-none-match: *\r\n", "\"too long\"")),
        (Code::StateName, Ask::get("/api/v1/state/Threads/alice")),
        (Code::StateBadPatch, Ask { head: patch, body: body.to_owned() }),
        (Code::StateWatchGone, Ask::get("/api/v1/state/threads/watch?from=4000000")),
        (Code::HandoffForged, Ask::post(REDEEM, "", "{\"token\": \"twh1_Zm9yZ2Vk\"}")),
        (Code::HandoffRedeemed, Ask::post(REDEEM, "", &first)),
        (Code::HandoffReplayed, Ask::post(REDEEM, "", &second)),
        (Code::HandoffStale, Ask::post(REDEEM, "", &stale)),
    ];
    let (mut examples, neutral) = (Examples::new(), Neutral { replace: Vec::new() });
    for (code, ask) in asks {
        let answer = ask.send(address).await;
        note(&mut examples, code, &neutral.example(code, "", &answer));
    }
    gateway.stop(std::time::Duration::ZERO).await;
    examples
}
