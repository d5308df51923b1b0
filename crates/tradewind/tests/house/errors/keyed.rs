//! What callers are told by a gateway that has keys.

use tempfile::TempDir;
use tradewind::{Document, Gateway};
use tradewind_access::{StoredKey, StoredKeys};
use tradewind_core::{Code, UnixMillis};
use tradewind_policy::{KeyHash, KeyTerms};
use tradewind_sim::{Sim, SimOptions};

use super::Examples;
use super::example::{Neutral, note};
use crate::wire::{Ask, DIALECTS};

/// Each call may have 100 answer tokens and has 60: one fits below each limit, a second one does not.
const DOCUMENT: &str = "
models:
  - {name: assistant, targets: [{use: openai/gpt-5-mini, price: {input: 0, output: 1000}}]}
  - {name: private, targets: [{use: openai/gpt-5}]}
  - {name: capped, targets: [{use: openai/gpt-5-mini}], budget: {usd: 0.15, per: total}}
keys:
  - {name: narrow, secret: secret-of-narrow-0123, allow: [models/assistant]}
  - {name: ci, secret: secret-of-hasty-0123, rpm: 1}
  - {name: batch, secret: secret-of-wordy-0123, tpm: 120}
  - {name: ann, secret: secret-of-poor-0123, budget: {usd: 0.15, per: total}}
  - {name: bob, secret: secret-of-free-0123}
";
/// The keys, and the models, that have used up what they may after one call.
const PRIMED: [(&str, &str); 4] =
    [("hasty", "assistant"), ("wordy", "assistant"), ("poor", "assistant"), ("free", "capped")];

/// How clients of `dialect` send the secret of `key`.
fn secret(dialect: &str, key: &str) -> String {
    match dialect {
        "OpenAI" => format!("authorization: Bearer secret-of-{key}-0123\r\n"),
        _ => format!("x-api-key: secret-of-{key}-0123\r\nanthropic-version: 2023-06-01\r\n"),
    }
}

/// What a limit says about the time depends on when it is asked.
fn without_time(answer: &str) -> String {
    let mut text = String::with_capacity(answer.len());
    for line in answer.split_inclusive("\r\n") {
        if line.starts_with("retry-after:") {
            text.push_str("retry-after: 42\r\n");
        } else if let Some((before, rest)) = line.split_once("room again in ") {
            let after = rest.find(" (TW").map_or("", |at| &rest[at..]);
            text.extend([before, "room again in 42s", after]);
        } else {
            text.push_str(line);
        }
    }
    text
}

/// The codes of callers' keys.
pub(super) async fn key_examples() -> Examples {
    let options = SimOptions { answer_tokens: 60, ..SimOptions::named("sim") };
    let sim = Sim::start(options).await.expect("the simulator starts");
    let folder = TempDir::new().expect("a folder can be made");
    leave_revoked_key(&folder);
    let text = format!(
        "listen: 127.0.0.1:0\ndata-dir: {}\nproviders: [{{name: openai, dialect: openai, base-url: \"{}/v1\", discover: \
         false}}]{DOCUMENT}",
        folder.path().display(),
        sim.base_url()
    );
    let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("keyed", &text)));
    let gateway = Gateway::start(document).await.expect("the gateway starts");
    for (key, model) in PRIMED {
        let answer = Ask::call("OpenAI", model, &secret("OpenAI", key), false).send(gateway.address).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{key}: {answer}");
    }
    let neutral = Neutral { replace: Vec::new() };
    let mut examples = Examples::new();
    for dialect in DIALECTS {
        for (code, key, model) in [
            (Code::UnknownKey, "nobody", "assistant"),
            (Code::KeyRevoked, "former", "assistant"),
            (Code::NotAllowed, "narrow", "private"),
            (Code::RequestRate, "hasty", "assistant"),
            (Code::TokenRate, "wordy", "assistant"),
            (Code::BudgetSpent, "poor", "assistant"),
            (Code::ModelBudgetSpent, "free", "capped"),
        ] {
            let answer = Ask::call(dialect, model, &secret(dialect, key), false).send(gateway.address).await;
            note(&mut examples, code, &neutral.example(code, dialect, &without_time(&answer)));
        }
    }
    gateway.stop(std::time::Duration::ZERO).await;
    sim.stop().await;
    examples
}

/// Makes and revokes a key, as `tradewind key` does.
#[expect(clippy::disallowed_methods, reason = "the key has to be in a file")]
fn leave_revoked_key(folder: &TempDir) {
    let mut keys = StoredKeys::default();
    let hash = KeyHash::of(b"secret-of-former-0123");
    keys.add(StoredKey::new("intern", hash, UnixMillis(0), KeyTerms::default())).expect("it is the only one");
    keys.revoke("intern", UnixMillis(1)).expect("it is there");
    std::fs::write(folder.path().join("keys.json"), keys.print()).expect("the file can be written");
}
