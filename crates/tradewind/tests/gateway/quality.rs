//! Quality gates, through the gateway: an answer that is not fit to give leads to the next target before the caller sees a
//! byte of it, whole or streamed, in every format and every translation; and the same answers go through without gates.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tradewind::Document;
use tradewind_core::Dialect;
use tradewind_sim::{Finish, ScriptedAnswer, ScriptedCall, ScriptedUsage, Sim, SimOptions};

use crate::support::{Answer, Bench, Terminal, error_code, post, terminal};

const QUESTION: &str =
    "Please tell me which way the wind blows over the harbour today, and how strong it is going to be in the evening.";
const FIT: &str = "The wind blows from the north over the harbour today, and it is going to be strong in the evening.";
const PRICE: &str = "price: {input: 1000000, output: 1000000}";
/// What the unfit answer and the fit one use, at a dollar a token.
const USED: [ScriptedUsage; 2] = [
    ScriptedUsage { input: 100, output: 10, cached: 0, cache_creation: 0, reasoning: 0 },
    ScriptedUsage { input: 200, output: 20, cached: 0, cache_creation: 0, reasoning: 0 },
];

/// The format that a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Chat,
    Messages,
    Responses,
}

const CALLERS: [Caller; 3] = [Caller::Chat, Caller::Messages, Caller::Responses];

impl Caller {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// A question, with what `wants` adds.
    fn question(self, model: &str, stream: bool, wants: Wants) -> Value {
        let mut body = json!({"model": model, "stream": stream});
        match self {
            Self::Responses => body["input"] = json!(QUESTION),
            _ => body["messages"] = json!([{"role": "user", "content": QUESTION}]),
        }
        match self {
            Self::Chat if stream => body["stream_options"] = json!({"include_usage": true}),
            Self::Messages => body["max_tokens"] = json!(1000),
            _ => {}
        }
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
            "additionalProperties": false});
        match (wants, self) {
            (Wants::Nothing, _) => {}
            (Wants::Json, Self::Chat) => {
                let format = json!({"name": "place", "strict": true, "schema": schema});
                body["response_format"] = json!({"type": "json_schema", "json_schema": format});
            }
            (Wants::Json, Self::Messages) => {
                body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
            }
            (Wants::Json, Self::Responses) => {
                let format = json!({"type": "json_schema", "name": "place", "strict": true, "schema": schema});
                body["text"] = json!({"format": format});
            }
            (Wants::Tools, Self::Chat) => {
                let function = json!({"name": "weather", "description": "Tells it", "parameters": schema});
                body["tools"] = json!([{"type": "function", "function": function}]);
            }
            (Wants::Tools, Self::Messages) => {
                body["tools"] = json!([{"name": "weather", "description": "Tells it", "input_schema": schema}]);
            }
            (Wants::Tools, Self::Responses) => {
                body["tools"] = json!([{"type": "function", "name": "weather", "parameters": schema, "strict": false}]);
            }
        }
        body
    }
}

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Nothing,
    Json,
    Tools,
}

/// One way to be unfit.
struct Case {
    /// The gate that finds it.
    gate: &'static str,
    /// The gate in the file.
    settings: &'static str,
    wants: Wants,
    unfit: ScriptedAnswer,
    fit: ScriptedAnswer,
    /// Whether only providers of chat completions can say it.
    chat_only: bool,
}

fn case(gate: &'static str, settings: &'static str, unfit: ScriptedAnswer) -> Case {
    Case { gate, settings, wants: Wants::Nothing, unfit, fit: ScriptedAnswer::text(FIT), chat_only: false }
}

fn calling(arguments: &str) -> ScriptedAnswer {
    let call = ScriptedCall { id: "call_1".to_owned(), name: "weather".to_owned(), arguments: arguments.to_owned() };
    ScriptedAnswer { tool_calls: vec![call], finish: Finish::ToolCalls, ..ScriptedAnswer::default() }
}

fn cases() -> Vec<Case> {
    let text = ScriptedAnswer::text;
    let sure = |percent, text: &str| ScriptedAnswer { probability: Some(percent), ..ScriptedAnswer::text(text) };
    vec![
        case(
            "finish",
            "finish: [stop, tool-calls]",
            ScriptedAnswer { finish: Finish::Length, ..text("The wind blows from the") },
        ),
        case("empty", "empty: true", text("\u{200b} …\n")),
        case("length", "length: {min: 20, max: 200}", text("North.")),
        case("length", "length: {max: 200}", text(&FIT.repeat(4))),
        case("refusal", "refusal: true", text("I'm sorry, but I can't help with that.")),
        Case {
            wants: Wants::Json,
            fit: text(r#"{"city": "Lima"}"#),
            ..case("json-schema", "json-schema: true", text(r#"{"town": "Lima"}"#))
        },
        Case {
            wants: Wants::Json,
            fit: text(r#"{"city": "Lima"}"#),
            ..case("json-schema", "json-schema: true", text("It is Lima."))
        },
        Case {
            wants: Wants::Tools,
            fit: calling(r#"{"city": "Lima"}"#),
            ..case("tool-arguments", "tool-arguments: true", calling(r#"{"city": 7}"#))
        },
        case(
            "language",
            "language: same",
            text("今天港口上空吹的是北风，到了晚上风力还会继续加大，请各位船长注意安全，尽量不要在夜间驾船出海。"),
        ),
        case("repetition", "repetition: true", text(&"the wind blows and ".repeat(40))),
        Case {
            fit: sure(95, FIT),
            chat_only: true,
            ..case("confidence", "confidence: true", sure(30, "Perhaps the wind blows from the south, who knows."))
        },
    ]
}

/// A provider that says what each case has scripted for `unfit-N` and `fit-N`.
async fn provider(cases: &[Case]) -> Sim {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    for (number, case) in cases.iter().enumerate() {
        let [unfit, fit] = USED;
        sim.script(&format!("unfit-{number}"), ScriptedAnswer { usage: unfit, ..case.unfit.clone() }).unwrap();
        sim.script(&format!("fit-{number}"), ScriptedAnswer { usage: fit, ..case.fit.clone() }).unwrap();
    }
    sim
}

/// One provider under two names: `o` speaks chat completions and responses, `a` messages.
fn providers(sim: &Sim) -> String {
    let url = sim.base_url();
    format!(
        "providers:\n  - {{name: o, dialect: openai, base-url: \"{url}/v1\", api-key: k, discover: false}}\n  \
         - {{name: a, dialect: anthropic, base-url: \"{url}\", api-key: k, discover: false}}\n"
    )
}

/// How the gates of a model judge.
const MODES: [(&str, bool, &str); 3] = [("whole", false, ""), ("hold", true, ""), ("all", true, ", stream: whole")];

/// Models that ask the unfit target first: `MODE-PROVIDER-CASE` with gates, `off-PROVIDER-CASE` without.
fn models(cases: &[Case]) -> String {
    let mut yaml = "models:\n".to_owned();
    for (number, case) in cases.iter().enumerate() {
        for provider in ["o", "a"] {
            let targets = format!(
                "targets: [{{use: {provider}/unfit-{number}, {PRICE}}}, {{use: {provider}/fit-{number}, {PRICE}}}]"
            );
            let _ = writeln!(yaml, "  - {{name: off-{provider}-{number}, {targets}}}");
            for (mode, _, more) in MODES {
                let quality = format!("quality: {{{}{more}}}", case.settings);
                let _ = writeln!(yaml, "  - {{name: {mode}-{provider}-{number}, {quality}, {targets}}}");
            }
        }
    }
    yaml
}

async fn ask(bench: &Bench, caller: Caller, body: &Value) -> Answer {
    bench.send(&post(caller.path(), "", &body.to_string())).await
}

/// The answer is a good one, by the rules of its format.
fn is_good(answer: &Answer, caller: Caller, stream: bool) {
    match caller {
        Caller::Chat => assert_eq!(terminal(answer, Dialect::OpenAi, stream), Terminal::Success),
        Caller::Messages => assert_eq!(terminal(answer, Dialect::Anthropic, stream), Terminal::Success),
        Caller::Responses if stream => {
            let last = answer.events().pop().unwrap_or_default();
            assert!(last.contains("response.completed") || last.contains("response.incomplete"), "{}", answer.text());
        }
        Caller::Responses => assert_eq!(answer.status, 200, "{}", answer.text()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfit_answer_leads_to_the_next_target_unseen() {
    let cases = cases();
    let sim = provider(&cases).await;
    let bench = Bench::start(&format!("{}{}", providers(&sim), models(&cases))).await;
    for (number, case) in cases.iter().enumerate() {
        for caller in CALLERS {
            for provider in ["o", "a"] {
                let is_chat = provider == "o" && caller != Caller::Responses;
                if case.chat_only && !is_chat {
                    continue;
                }
                for (mode, stream, _) in MODES {
                    let model = format!("{mode}-{provider}-{number}");
                    let answer = ask(&bench, caller, &caller.question(&model, stream, case.wants)).await;
                    let what = format!("{} for {caller:?} with {model}: {}", case.gate, answer.text());
                    assert_eq!(answer.status, 200, "{what}");
                    is_good(&answer, caller, stream);
                    let target = format!("{provider}/fit-{number}");
                    assert_eq!(answer.header("x-tradewind-target"), Some(&*target), "{what}");
                    // The simulator puts the model's name into each event.
                    assert!(!answer.text().contains(&format!("unfit-{number}")), "{what}");
                    assert_charged(&bench.record(&answer).await, case.gate, mode, &what);
                }
            }
        }
    }
    bench.is_back_at_baseline(&[&sim]).await;
}

/// The record names the gate, and has what both answers used.
fn assert_charged(record: &Value, gate: &str, mode: &str, what: &str) {
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{record} {what}");
    assert_eq!((&attempts[0]["fault"], &attempts[1]["fault"]), (&json!("quality"), &Value::Null), "{record} {what}");
    let detail = attempts[0]["detail"].as_str().unwrap();
    assert!(detail.starts_with(&format!("the answer is not fit to give: {gate}: ")), "{detail} {what}");
    assert_eq!((&record["outcome"], &record["fault"]), (&json!("ok"), &Value::Null), "{record} {what}");
    let tokens = |usage: &Value| ["input", "output"].map(|field| usage[field].as_u64().unwrap());
    let [unfit, fit] = [0, 1].map(|attempt: usize| tokens(&attempts[attempt]["usage"]));
    assert_eq!(fit, [200, 20], "{record} {what}");
    // Of a stream that is given up in its middle nobody tells the count: then it is an estimate.
    if mode == "hold" && attempts[0]["usage"]["estimated"] == json!(true) {
        assert!(unfit[0] > 0, "{record} {what}");
    } else {
        assert_eq!(unfit, [100, 10], "{record} {what}");
    }
    let both = unfit[0] + unfit[1] + 220;
    assert_eq!(record["cost_usd"].as_f64(), Some(both as f64), "{record} {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gates_the_same_answers_are_given() {
    let cases = cases();
    let sim = provider(&cases).await;
    let bench = Bench::start(&format!("{}{}", providers(&sim), models(&cases))).await;
    for (number, case) in cases.iter().enumerate() {
        for caller in [Caller::Chat, Caller::Messages] {
            let provider = if caller == Caller::Chat { "o" } else { "a" };
            if case.chat_only && provider == "a" {
                continue;
            }
            for stream in [false, true] {
                let model = format!("off-{provider}-{number}");
                let answer = ask(&bench, caller, &caller.question(&model, stream, case.wants)).await;
                is_good(&answer, caller, stream);
                let target = format!("{provider}/unfit-{number}");
                assert_eq!(answer.header("x-tradewind-target"), Some(&*target), "{} {}", case.gate, answer.text());
            }
        }
    }
}

/// One gateway in front of one provider whose model `good` says a fit answer; `entries` are the models.
async fn gateway(sim: &Sim, entries: &str) -> Bench {
    sim.script("good", ScriptedAnswer { usage: USED[1], ..ScriptedAnswer::text(FIT) }).unwrap();
    Bench::start(&format!("{}models:\n{entries}", providers(sim))).await
}

fn notes(record: &Value) -> Vec<&str> {
    record["notes"].as_array().map(|notes| notes.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_answer_is_fit_the_caller_is_told_which_gate_and_nothing_of_the_answer() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let refusal = "I'm sorry, but I can't help with that.";
    for model in ["one", "two"] {
        sim.script(model, ScriptedAnswer { usage: USED[0], ..ScriptedAnswer::text(refusal) }).unwrap();
    }
    let bench = gateway(
        &sim,
        &format!(
            "  - {{name: m, quality: {{refusal: true}}, targets: [{{use: o/one, {PRICE}}}, {{use: a/two, {PRICE}}}]}}\n"
        ),
    )
    .await;
    for caller in CALLERS {
        for stream in [false, true] {
            let before = sim.stats().requests;
            let answer = ask(&bench, caller, &caller.question("m", stream, Wants::Nothing)).await;
            assert_eq!(answer.status, 502, "{}", answer.text());
            let dialect = if caller == Caller::Messages { Dialect::Anthropic } else { Dialect::OpenAi };
            assert_eq!(error_code(&answer.json(), dialect).as_deref(), Some("TW3014"), "{}", answer.text());
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("after 2 attempts") && message.contains("refusal: "), "{message}");
            assert!(!answer.text().contains("sorry"), "{message}");
            // The same target is not asked once more: it would be paid for once more.
            assert_eq!(sim.stats().requests, before + 2);
            let record = bench.record(&answer).await;
            assert_eq!((&record["outcome"], &record["fault"]), (&json!("failed"), &json!("quality")), "{record}");
            assert_eq!(record["code"], json!("TW3014"), "{record}");
            assert_eq!(record["usage"]["input"], json!(200), "{record}");
            assert_eq!(record["cost_usd"].as_f64(), Some(220.0), "{record}");
            assert!(!record.to_string().contains("sorry"), "{record}");
        }
    }
    // Unfit answers say nothing about health.
    let shown = bench.send(&crate::support::get("/api/v1/targets")).await.json();
    for target in shown["targets"].as_array().unwrap() {
        assert_eq!((&target["state"], &target["error_rate"]), (&json!("ready"), &json!(0.0)), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advisory_gates_only_remark_on_streams() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    sim.script("bad", ScriptedAnswer { finish: Finish::Length, ..ScriptedAnswer::text(FIT) }).unwrap();
    let gates = "{finish: [stop], confidence: true, stream: advisory}";
    let bench =
        gateway(&sim, &format!("  - {{name: m, quality: {gates}, targets: [{{use: o/bad}}, {{use: o/good}}]}}\n"))
            .await;
    let answer = ask(&bench, Caller::Chat, &Caller::Chat.question("m", true, Wants::Nothing)).await;
    assert_eq!(answer.header("x-tradewind-target"), Some("o/bad"), "{}", answer.text());
    assert_eq!(answer.said(Dialect::OpenAi), FIT);
    let record = bench.record(&answer).await;
    let expected = [
        "quality, passed on all the same: finish: the answer stopped because of `length`",
        "quality, not judged: confidence: no logprobs",
    ];
    assert_eq!(notes(&record), expected, "{record}");
    assert_eq!((&record["outcome"], &record["fault"]), (&json!("ok"), &Value::Null), "{record}");
    // A whole answer is there before it is given: it is judged.
    let answer = ask(&bench, Caller::Chat, &Caller::Chat.question("m", false, Wants::Nothing)).await;
    assert_eq!(answer.header("x-tradewind-target"), Some("o/good"), "{}", answer.text());
    assert_eq!(notes(&bench.record(&answer).await), ["quality, not judged: confidence: no logprobs"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_held_until_its_gates_let_it_pass_and_then_runs() {
    let sim = Sim::start(SimOptions { tokens_per_second: Some(4.0), ..SimOptions::named("up") }).await.unwrap();
    // 20 pieces of 10 characters, one each 250 ms.
    let chunks: Vec<String> = (0..20).map(|piece| format!("piece {piece:03} ")).collect();
    sim.script("long", ScriptedAnswer { chunks: Some(chunks), finish: Finish::Length, ..ScriptedAnswer::default() })
        .unwrap();
    let bench = gateway(
        &sim,
        "  - {name: hold, quality: {finish: [stop], stream: {hold: 100}}, targets: [{use: o/long}]}\n  \
         - {name: all, quality: {finish: [length], stream: whole}, targets: [{use: o/long}]}\n  \
         - {name: advisory, quality: {finish: [length], stream: advisory}, targets: [{use: o/long}]}\n",
    )
    .await;
    let began = async |model| {
        let answer = ask(&bench, Caller::Chat, &Caller::Chat.question(model, true, Wants::Nothing)).await;
        assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
        assert!(answer.said(Dialect::OpenAi).ends_with("piece 019 "), "{}", answer.text());
        let record = bench.record(&answer).await;
        (record["first_byte_ms"].as_f64().unwrap(), record)
    };
    let (held, whole, told) = tokio::join!(began("hold"), began("all"), began("advisory"));
    let (hold, record) = held;
    assert!((2200.0..4700.0).contains(&hold), "after ten of its pieces: {record}");
    // What is wrong with it is known too late.
    let expected = "quality, passed on all the same: finish: the answer stopped because of `length`";
    assert_eq!(notes(&record), [expected], "{record}");
    let (all, record) = whole;
    assert!(all > 4700.0 && notes(&record).is_empty(), "after all of its pieces: {record}");
    let (advisory, record) = told;
    assert!(advisory < 2200.0 && notes(&record).is_empty(), "at once: {record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_limits_of_a_stream_that_is_held() {
    // 25 pieces in four seconds: more than the limit for the first token, and no pause that is as long.
    let sim = Sim::start(SimOptions { tokens_per_second: Some(6.0), ..SimOptions::named("up") }).await.unwrap();
    for (model, pieces) in [("slow", 25), ("endless", 1000)] {
        let chunks: Vec<String> = (0..pieces).map(|piece| format!("piece {piece:03} ")).collect();
        sim.script(model, ScriptedAnswer { chunks: Some(chunks), ..ScriptedAnswer::default() }).unwrap();
    }
    sim.script("good", ScriptedAnswer::text("The wind.")).unwrap();
    let times = "timeouts: {first-token: 2500ms, idle: 2500ms, total: 18s}";
    let yaml = format!(
        "{}models:\n  - {{name: all, quality: {{empty: true, stream: whole}}, {times}, targets: [{{use: o/slow}}]}}\n  \
         - {{name: stalls, quality: {{empty: true, stream: whole}}, {times}, targets: [{{use: \"o/slow!stall:@3\"}}, \
         {{use: o/good}}]}}\n  \
         - {{name: never, quality: {{empty: true, stream: whole}}, {times}, \
         targets: [{{use: \"o/slow!hang-after-headers\"}}, {{use: o/good}}]}}\n  \
         - {{name: total, quality: {{empty: true, stream: whole}}, timeouts: {{first-token: 2500ms, total: 4s}}, \
         targets: [{{use: o/endless}}]}}\n",
        providers(&sim)
    );
    let bench = Bench::start(&yaml).await;
    let stream = |model| Caller::Chat.question(model, true, Wants::Nothing);
    // Its first token was in time, whatever it is held for.
    let answer = ask(&bench, Caller::Chat, &stream("all")).await;
    assert_eq!((answer.status, answer.end), (200, crate::support::End::Whole), "{}", answer.text());
    assert!(answer.took > Duration::from_secs(3), "{:?}", answer.took);
    let record = bench.record(&answer).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    // What stalls while it is held falls back, unseen.
    for (model, detail) in [("stalls", "after its first event"), ("never", "sent no first event")] {
        let answer = ask(&bench, Caller::Chat, &stream(model)).await;
        assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
        assert_eq!(answer.said(Dialect::OpenAi), "The wind.", "{}", answer.text());
        let record = bench.record(&answer).await;
        assert_eq!(record["attempts"][0]["fault"], json!("first_token_timeout"), "{record}");
        assert!(record["attempts"][0]["detail"].as_str().unwrap().contains(detail), "{record}");
    }
    let answer = ask(&bench, Caller::Chat, &stream("total")).await;
    assert_eq!(error_code(&answer.json(), Dialect::OpenAi).as_deref(), Some("TW2005"), "{}", answer.text());
    assert!(answer.took < Duration::from_secs(15), "{:?}", answer.took);
    bench.is_back_at_baseline(&[&sim]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_to_be_held_is_passed_on_and_remarked() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let long = ScriptedAnswer { piece: 1000, finish: Finish::Length, ..ScriptedAnswer::text(&FIT.repeat(2000)) };
    sim.script("long", long).unwrap();
    let gates = "quality: {finish: [stop], stream: whole}";
    let bench = Bench::start(&format!(
        "limits: {{answer-body: 64KiB}}\n{}models:\n  - {{name: m, {gates}, targets: [{{use: o/long}}, {{use: o/good}}]}}\n",
        providers(&sim)
    ))
    .await;
    let answer = ask(&bench, Caller::Chat, &Caller::Chat.question("m", true, Wants::Nothing)).await;
    assert_eq!(answer.said(Dialect::OpenAi), FIT.repeat(2000));
    let record = bench.record(&answer).await;
    let expected = [
        "quality: the answer was too long to be held back, so it was passed on before it was judged",
        "quality, passed on all the same: finish: the answer stopped because of `length`",
    ];
    assert_eq!(notes(&record), expected, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gates_of_the_model_that_was_asked_for_hold_where_a_rule_leads_to_a_target() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    sim.script("bad", ScriptedAnswer::text("…")).unwrap();
    let bench = gateway(
        &sim,
        "  - {name: m, quality: {empty: true}, targets: [{use: o/good}], route: [{when: {model: m}, use: o/bad}]}\n",
    )
    .await;
    let answer = ask(&bench, Caller::Chat, &Caller::Chat.question("m", false, Wants::Nothing)).await;
    assert_eq!(error_code(&answer.json(), Dialect::OpenAi).as_deref(), Some("TW3014"), "{}", answer.text());
}

#[test]
fn gates_that_cannot_be_are_told_with_their_place() {
    let told = |quality: &str| {
        let text = format!(
            "providers:\n  - {{name: o, dialect: openai, base-url: \"http://127.0.0.1:1/v1\"}}\nmodels:\n  \
             - name: m\n    quality: {quality}\n    targets: [{{use: o/m}}]\n"
        );
        let problems = Document::parse(&text).expect_err("it is wrong on purpose");
        problems.render("tradewind.yaml", &text)
    };
    for (quality, place, message, hint) in [
        ("{}", "models[0].quality", "it names no gate", "write {empty: true}"),
        ("{stream: whole}", "models[0].quality", "it names no gate", "remove `quality`"),
        ("{finish: []}", "quality.finish", "no reason to stop would be fine", "name at least `stop`"),
        ("{length: {min: 9, max: 3}}", "quality.length.min", "is more than `max`", "write a `min` of at most `max`"),
        ("{confidence: 2}", "quality.confidence", "that can be demanded", "above 0 and up to 1"),
        ("{empty: true, stream: {hold: 0}}", "quality.stream.hold", "cannot be held back", "write 1 to 100000"),
        ("{empty: true, stream: sometimes}", "quality.stream", "sometimes", ""),
    ] {
        let told = told(quality);
        for words in [place, message, hint, "tradewind.yaml:5:"] {
            assert!(told.contains(words), "{quality}: `{words}` is not in\n{told}");
        }
    }
}
