//! Each public error code has its page, no page is left over, and the example on a page is what the gateway really says:
//! the examples are made here, by a running gateway in front of simulated providers.
//!
//! A page is written by hand down to its heading `## Example`; what follows is generated. Codes that cannot be provoked
//! from outside have an example of their own making, see [`BY_HAND`].

#[path = "errors/example.rs"]
mod example;
#[path = "errors/keyed.rs"]
mod keyed;
#[path = "errors/rig.rs"]
mod rig;
#[path = "errors/state.rs"]
mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use tradewind::{Document, StartError};
use tradewind_core::Code;

use self::example::{Neutral, note};
use self::keyed::key_examples;
use self::rig::Rig;
use self::state::state_examples;
use crate::tree::{files, has_to_be, read};
use crate::wire::{Ask, DIALECTS, path};

/// Codes whose example is written by hand: nothing that a test may do brings them about.
/// Those of ways out are provoked, word for word, by the tests of `egress`, those of modules and of state by the tests of
/// their doors and of their store.
const BY_HAND: [Code; 23] = [
    Code::RetryBudget,
    Code::Internal,
    Code::ProxyUnreachable,
    Code::ProxyFailed,
    Code::ProxyLogin,
    Code::WayNotBuilt,
    Code::WayRejected,
    Code::WayBroken,
    Code::WayScript,
    Code::ModuleMissing,
    Code::ModuleLeftOut,
    Code::ModuleUnverified,
    Code::ModulePath,
    Code::ModuleUpstream,
    Code::ModuleStorage,
    Code::StateSchema,
    Code::StateDamaged,
    Code::StateUnknown,
    Code::StateUnavailable,
    Code::StateFull,
    Code::HandoffLate,
    Code::StateBusy,
    Code::StateSealed,
];
/// What begins the generated part of a page.
const EXAMPLE: &str = "## Example\n";

fn page(code: Code) -> String {
    format!("docs/errors/{code}.md")
}

#[test]
fn every_code_has_its_page() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let text = read(&page(*code));
        let heading = format!("# {code}: {}\n", code.title());
        if !text.starts_with(&heading) {
            wrong.push(format!("{} has to begin with `{}`", page(*code), heading.trim_end()));
        }
        let is_configuration = code.name().starts_with("TW4");
        let status = format!("\n**HTTP status {}**", code.status());
        if !is_configuration && !text.contains(&status) {
            wrong.push(format!("{} has to say `{}`", page(*code), status.trim_start()));
        }
        for part in ["\n## What happened\n", "\n## What to check\n", "\n## How to fix it\n", "\n## Example\n"] {
            if !text.contains(part) {
                wrong.push(format!("{} has no `{}`", page(*code), part.trim()));
            }
        }
    }
    let known: Vec<String> = Code::ALL.iter().map(|code| page(*code)).collect();
    let is_left_over = |path: &String| !known.contains(path);
    wrong.extend(
        files("docs/errors", "md").into_iter().filter(is_left_over).map(|path| format!("{path} is of no code")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_are_what_the_gateway_says() {
    let mut examples = configuration_examples();
    examples.extend(call_examples().await);
    examples.extend(key_examples().await);
    examples.extend(stopping_examples().await);
    examples.extend(state_examples().await);
    for code in Code::ALL.iter().filter(|code| !BY_HAND.contains(code)) {
        let example = examples.remove(code.name()).unwrap_or_else(|| panic!("no example of {code} was made"));
        let path = page(*code);
        let text = read(&path);
        let by_hand = text.split_once(EXAMPLE).map_or(text.as_str(), |(by_hand, _)| by_hand);
        has_to_be(&path, &format!("{by_hand}{EXAMPLE}\n{example}"));
    }
    assert!(examples.is_empty(), "examples of no page: {:?}", examples.keys());
}

/// Examples by the name of their code.
type Examples = BTreeMap<&'static str, String>;

/// What `tradewind check` and `tradewind run` print.
fn configuration_examples() -> Examples {
    let documents = [
        (Code::ConfigUnreadable, "listen: 127.0.0.1:7080\nproviders:\n\t- {name: openai}\n"),
        (Code::ConfigUnknownKey, "listen: 127.0.0.1:7080\nprovidres: []\n"),
        (Code::ConfigBadValue, "limits: {drain: soon}\n"),
        (
            Code::ConfigUnknownName,
            "providers: [{name: openai, dialect: openai, base-url: https://api.openai.com/v1}]\nmodels:\n  - name: \
             assistant\n    targets: [{use: opnai/gpt-5-mini}]\n",
        ),
        (Code::ConfigNotBuilt, "rollout: {}\n"),
        (Code::ConfigOpenListen, "listen: 0.0.0.0:7080\n"),
    ];
    let mut examples = Examples::new();
    for (code, text) in documents {
        let problems = Document::parse(text).expect_err("the example is wrong on purpose");
        assert_eq!(problems.list().iter().map(|problem| problem.code).collect::<Vec<_>>(), [code]);
        examples.insert(code.name(), format!("```text\n{}```\n", problems.render("tradewind.yaml", text)));
    }
    let address = SocketAddr::from(([127, 0, 0, 1], 7080));
    let listen = StartError::Listen("listen", address, std::io::Error::from_raw_os_error(98));
    examples.insert(Code::CannotListen.name(), format!("```text\n{listen}\n```\n"));
    let data_dir = StartError::DataDir(PathBuf::from("/srv/tradewind"), std::io::Error::from_raw_os_error(13));
    examples.insert(Code::DataDir.name(), format!("```text\n{data_dir}\n```\n"));
    examples
}

/// The codes that calls are answered with.
async fn call_examples() -> Examples {
    let rig = Rig::start("{request-body: 64KiB, body-idle: 100ms, answer-body: 2MiB}").await;
    let mut examples = Examples::new();
    for dialect in DIALECTS {
        let own = &dialect[..1];
        let version = if own == "A" { "anthropic-version: 2023-06-01\r\n" } else { "" };
        let call = |name: &str, headers: &str, stream| Ask::call(dialect, &format!("{own}-{name}"), headers, stream);
        // What the format of the other dialect's provider has no words for.
        let (other, field) = if own == "A" { ("O-plain", ", \"top_k\": 5") } else { ("A-plain", ", \"seed\": 7") };
        let too_large = format!("POST {} HTTP/1.1\r\ncontent-length: 70000\r\n", path(dialect));
        let chunked = format!("POST {} HTTP/1.1\r\ntransfer-encoding: chunked\r\n", path(dialect));
        let paused = format!("POST {} HTTP/1.1\r\ncontent-length: 100\r\n", path(dialect));
        let asks = [
            (Code::MalformedJson, Ask::post(path(dialect), "", r#"{"model": "assistant", "messages": ["#)),
            (Code::BadField, Ask::post(path(dialect), "", r#"{"messages": []}"#)),
            (Code::UnknownModel, Ask::call(dialect, "asistant", "", false)),
            (Code::UnknownPath, Ask::post("/v1/audio/speech", version, "{}")),
            (Code::BodyTooLarge, Ask { head: too_large, body: String::new() }),
            (Code::HeadersTooLarge, call("plain", &format!("x-padding: {}\r\n", "x".repeat(40_000)), false)),
            (Code::BodyTooSlow, Ask { head: paused, body: "{".to_owned() }),
            (Code::BodyBroken, Ask { head: chunked, body: "zz\r\n".to_owned() }),
            (Code::MethodNotAllowed, Ask::get(path(dialect))),
            (Code::NotLocal, call("plain", "host: gateway.example:7080\r\n", false)),
            (Code::BadHeader, call("plain", "x-tradewind-timeout: soon\r\n", false)),
            (Code::ContextRefused, call("plain", "x-tradewind-context: role=admin\r\n", false)),
            (Code::UnsupportedMedia, call("plain", "content-encoding: gzip\r\n", false)),
            (Code::Inexpressible, Ask::call_with(dialect, other, "", field)),
            (Code::Deadline, call("slow", "x-tradewind-timeout: 1s\r\n", false)),
            (Code::Unreachable, call("nobody", "", false)),
            (Code::Tls, call("tls", "", false)),
            (Code::TooSlow, call("too-slow", "", true)),
            (Code::KeyRefused, call("refused-key", "", false)),
            (Code::NoCandidate, call("refused-key", "", false)),
            (Code::RateLimited, call("limited", "", false)),
            (Code::ProviderFailed, call("failing", "", false)),
            (Code::BadAnswer, call("html", "", false)),
            (Code::StreamCut, call("cut", "", true)),
            (Code::StreamStalled, call("stalled", "", true)),
            (Code::StreamError, call("error", "", true)),
            (Code::AnswerTooLarge, call("large", "", false)),
            (Code::Redirected, call("elsewhere", "", false)),
            (Code::Rejected, call("rejected", "", false)),
            (Code::NotFitToGive, call("unfit", "", false)),
        ];
        let running = rig.begin(call("busy", "", false)).await;
        let busy = (Code::AllBusy, call("busy", "", false));
        for (code, ask) in asks.into_iter().chain([busy]) {
            let answer = ask.send(rig.address()).await;
            note(&mut examples, code, &rig.neutral.example(code, dialect, &answer));
        }
        running.abort();
    }
    let previous = r#"{"model": "O-plain", "input": "And then?", "previous_response_id": "resp_67cb71b351908190a308f3859487620d"}"#;
    let answer = Ask::post("/v1/responses", "", previous).send(rig.address()).await;
    examples.insert(Code::UnknownResponse.name(), rig.neutral.example(Code::UnknownResponse, "OpenAI", &answer));
    let answer = Ask::get("/api/v1/decisions/1m801vskw0000").send(rig.address()).await;
    examples.insert(Code::UnknownDecision.name(), rig.neutral.example(Code::UnknownDecision, "", &answer));
    rig.stop().await;
    examples
}

/// The codes of a gateway that is full, and of one that stops.
async fn stopping_examples() -> Examples {
    let rig = Rig::start("{concurrent-calls: 2}").await;
    let mut running = Vec::new();
    for dialect in DIALECTS {
        running.push(rig.begin(Ask::call(dialect, &format!("{}-waiting", &dialect[..1]), "", false)).await);
    }
    let (mut full, mut stopping) = (Vec::new(), Vec::new());
    for dialect in DIALECTS {
        let answer = Ask::call(dialect, "assistant", "", false).send(rig.address()).await;
        full.push(rig.neutral.example(Code::Overloaded, dialect, &answer));
    }
    let neutral = Neutral { replace: rig.neutral.replace.clone() };
    rig.stop().await;
    for (dialect, call) in DIALECTS.into_iter().zip(running) {
        let answer = call.await.expect("the call was not lost");
        stopping.push(neutral.example(Code::Draining, dialect, &answer));
    }
    Examples::from([(Code::Overloaded.name(), full.join("\n")), (Code::Draining.name(), stopping.join("\n"))])
}
