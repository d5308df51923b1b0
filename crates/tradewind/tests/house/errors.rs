//! Each public error code has its page, no page is left over, and the example on a page is what the gateway really says:
//! the examples are made here, by a running gateway in front of simulated providers.
//!
//! A page is written by hand down to its heading `## Example`; what follows is generated. Codes that cannot be provoked
//! from outside have an example of their own making, see [`BY_HAND`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tradewind::{Document, Gateway, StartError};
use tradewind_core::Code;
use tradewind_sim::{RefusedPort, Sim, SimFault, SimOptions, TlsOptions};

use crate::tree::{files, has_to_be, read};

/// Codes whose example is written by hand: nothing that a test may do brings them about.
const BY_HAND: [Code; 2] = [Code::RetryBudget, Code::Internal];
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
    examples.extend(stopping_examples().await);
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

/// The dialects, as the pages call them.
const DIALECTS: [&str; 2] = ["OpenAI", "Anthropic"];

fn path(dialect: &str) -> &'static str {
    if dialect == "OpenAI" { "/v1/chat/completions" } else { "/v1/messages" }
}

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
        (Code::ConfigNotBuilt, "mixed-port: 7890\n"),
        (Code::ConfigOpenListen, "listen: 0.0.0.0:7080\n"),
    ];
    let mut examples = Examples::new();
    for (code, text) in documents {
        let problems = Document::parse(text).expect_err("the example is wrong on purpose");
        assert_eq!(problems.list().iter().map(|problem| problem.code).collect::<Vec<_>>(), [code]);
        examples.insert(code.name(), format!("```text\n{}```\n", problems.render("tradewind.yaml", text)));
    }
    let listen = StartError::Listen(SocketAddr::from(([127, 0, 0, 1], 7080)), std::io::Error::from_raw_os_error(98));
    examples.insert(Code::CannotListen.name(), format!("```text\n{listen}\n```\n"));
    let data_dir = StartError::DataDir(PathBuf::from("/srv/tradewind"), std::io::Error::from_raw_os_error(13));
    examples.insert(Code::DataDir.name(), format!("```text\n{data_dir}\n```\n"));
    examples
}

/// A request on the wire, but for what every one has.
struct Ask {
    head: String,
    body: String,
}

impl Ask {
    fn post(path: &str, headers: &str, body: &str) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\n{headers}content-length: {}\r\n", body.len());
        Self { head, body: body.to_owned() }
    }

    fn get(path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1\r\n"), body: String::new() }
    }

    /// A call of `model`.
    fn call(dialect: &str, model: &str, headers: &str, stream: bool) -> Self {
        let body = format!(
            r#"{{"model": "{model}", "max_tokens": 100, "stream": {stream}, "messages": [{{"role": "user", "content": "hi"}}]}}"#
        );
        Self::post(path(dialect), headers, &body)
    }

    /// Sends it and reads the whole answer.
    async fn send(&self, gateway: SocketAddr) -> String {
        let host = if self.head.to_lowercase().contains("\r\nhost:") { "" } else { "host: localhost\r\n" };
        let asking = async {
            let mut stream = TcpStream::connect(gateway).await.expect("the gateway listens");
            let request = format!("{}{host}connection: close\r\n\r\n{}", self.head, self.body);
            stream.write_all(request.as_bytes()).await.expect("the gateway reads");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("the gateway answers");
            String::from_utf8(answer).expect("answers are text")
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the gateway answers in time")
    }
}

/// Puts what is different each time into words that are always the same.
struct Neutral {
    replace: Vec<(String, String)>,
}

impl Neutral {
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        // `gpt-5-mini!error-500`: the fault that the simulated provider was asked for.
        while let Some(at) = text.find('!') {
            let end = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || "!-:".contains(c)));
            // A colon behind the name belongs to the sentence.
            let end = at + end.unwrap_or(text.len() - at);
            let end = if text[..end].ends_with(':') { end - 1 } else { end };
            text.replace_range(at..end, "");
        }
        text
    }

    /// The example that an answer makes: status, telling headers and body; of a stream its last event.
    fn example(&self, code: Code, dialect: &str, answer: &str) -> String {
        let whole = answer.split_once("\r\n\r\n");
        let (head, body) = whole.unwrap_or_else(|| panic!("{dialect} {code}: no head in `{answer}`"));
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        let mut answer = answer.to_owned();
        if let Some(id) = header("x-tradewind-decision:") {
            answer = answer.replace(id, "1m801vskw0000");
        }
        let body = self.text(&body.replace(header("x-tradewind-decision:").unwrap_or("\0"), "1m801vskw0000"));
        if let Some(at) = body.find("event: error\n").or_else(|| body.find("data: {\"error\"")) {
            let event = body[at..].split("\n\n").next().unwrap_or_default();
            assert!(event.contains(code.name()), "{dialect} {code}: {event}");
            return format!("{dialect} dialect, the last event of a stream:\n\n```text\n{event}\n```\n");
        }
        let status = head.lines().next().unwrap_or_default();
        let mut shown = status.to_owned();
        for line in self.text(&answer).lines().take_while(|line| !line.is_empty()).skip(1) {
            let name = line.split(':').next().unwrap_or_default();
            if ["x-tradewind-decision", "x-tradewind-target", "retry-after"].contains(&name) {
                let _ = write!(shown, "\n{line}");
            }
        }
        let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let is_rejected = code == Code::Rejected;
        assert!(is_rejected || status.contains(&format!(" {} ", code.status())), "{dialect} {code}: {status}");
        assert!(is_rejected || value["error"]["code"] == code.name(), "{dialect} {code}: {body}");
        let body = serde_json::to_string_pretty(&value).expect("what was parsed can be written");
        let which = if dialect.is_empty() { String::new() } else { format!("{dialect} dialect:\n\n") };
        format!("{which}```http\n{shown}\n\n{body}\n```\n")
    }
}

/// A gateway in front of simulated providers, for both dialects.
struct Rig {
    gateway: Gateway,
    sims: Vec<Sim>,
    neutral: Neutral,
    _refused: RefusedPort,
    _folder: TempDir,
}

impl Rig {
    async fn start(limits: &str) -> Self {
        // Events apart from each other: a fault in one piece with the first one would be told as one before the answer.
        let options = SimOptions { tokens_per_second: Some(50.0), answer_tokens: 8, ..SimOptions::named("sim") };
        let sim = Sim::start(options).await.expect("the simulator starts");
        let tls = TlsOptions::default();
        let options =
            SimOptions { tls: Some(tls), fault: Some(SimFault::TlsUntrusted.into()), ..SimOptions::named("tls") };
        let tls = Sim::start(options).await.expect("the simulator starts");
        let refused = RefusedPort::bind().expect("a port is free");
        let folder = TempDir::new().expect("a folder can be made");
        let (plain, secure, nobody) = (sim.address(), tls.address(), refused.address());
        let mut text =
            format!("listen: 127.0.0.1:0\ndata-dir: {}\nlimits: {limits}\nproviders:\n", folder.path().display());
        let mut replace = Vec::new();
        for (name, version) in [("openai", "/v1"), ("anthropic", "")] {
            // The keyed ones stand alone: a key that was refused or limited must not concern the others.
            for (provider, address, more) in [
                (name.to_owned(), format!("http://{plain}"), ""),
                (format!("{name}-one"), format!("http://{plain}"), "api-key: k, "),
                (format!("{name}-two"), format!("http://{plain}"), "api-key: k, "),
                (format!("{name}-tls"), format!("https://{secure}"), ""),
                (format!("{name}-nobody"), format!("http://{nobody}"), ""),
            ] {
                let _ = writeln!(
                    text,
                    "  - {{name: {provider}, dialect: {name}, base-url: \"{address}{version}\", {more}discover: false}}"
                );
            }
            for suffix in ["-one", "-two", "-tls", "-nobody"] {
                replace.push((format!("{name}{suffix}/"), format!("{name}/")));
            }
        }
        replace.push((format!("http://{plain}"), "https://api.example.com".to_owned()));
        replace.push((format!("https://{secure}"), "https://api.example.com".to_owned()));
        replace.push((nobody.to_string(), "192.0.2.7:443".to_owned()));
        text.push_str("models:\n");
        for dialect in DIALECTS {
            for (name, target, more) in MODELS {
                let target = target.replace("@", &dialect.to_lowercase());
                let prefix = &dialect[..1];
                let _ = writeln!(text, "  - {{name: {prefix}-{name}, targets: [{{use: \"{target}\", {more}");
            }
        }
        text.push_str("  - {name: assistant, last-resort: rules}\n");
        let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("rig", &text)));
        for (name, ..) in MODELS {
            for dialect in DIALECTS {
                replace.push((format!("`{}-{name}`", &dialect[..1]), "`assistant`".to_owned()));
            }
        }
        let gateway = Gateway::start(document).await.expect("the gateway starts");
        Self { gateway, sims: vec![sim, tls], neutral: Neutral { replace }, _refused: refused, _folder: folder }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// Begins a call in the background and waits until a provider has it.
    async fn begin(&self, ask: Ask) -> JoinHandle<String> {
        let before = self.sims[0].stats().requests;
        let address = self.address();
        #[expect(clippy::disallowed_methods, reason = "a test owns its tasks")]
        let task = tokio::spawn(async move { ask.send(address).await });
        let arrived = self.sims[0].wait_until(Duration::from_secs(20), |stats| stats.requests > before).await;
        assert!(arrived, "the call never reached the provider");
        task
    }

    async fn stop(self) {
        // Long enough for the calls in flight to have seen that the gateway drains: they must notice its end all the same.
        self.gateway.stop(Duration::from_millis(200)).await;
        for sim in self.sims {
            sim.stop().await;
        }
    }
}

/// The models of the rig: name, target (`@` is the provider of the dialect), and the rest of the entry.
const MODELS: [(&str, &str, &str); 17] = [
    ("nobody", "@-nobody/gpt-5-mini", "}], retry: {attempts: 1}}"),
    ("tls", "@-tls/gpt-5-mini", "}], retry: {attempts: 1}}"),
    ("slow", "@/gpt-5-mini!no-headers", "}]}"),
    ("busy", "@/gpt-5-mini!slow-first-token:20s", "max-in-flight: 1, max-queue: 0}]}"),
    ("too-slow", "@/gpt-5-mini!hang-after-headers", "}], timeouts: {first-token: 300ms}, retry: {attempts: 1}}"),
    ("refused-key", "@-one/gpt-5-mini!error-401", "}]}"),
    ("limited", "@-two/gpt-5-mini!rate-limit-seconds:30", "}]}"),
    ("failing", "@/gpt-5-mini!error-500", "}], retry: {attempts: 1}}"),
    ("html", "@/gpt-5-mini!html-200", "}], retry: {attempts: 1}}"),
    ("cut", "@/gpt-5-mini!mid-stream-cut", "}], retry: {attempts: 1}}"),
    ("stalled", "@/gpt-5-mini!stall", "}], timeouts: {idle: 300ms}, retry: {attempts: 1}}"),
    ("error", "@/gpt-5-mini!error-event-later", "}], retry: {attempts: 1}}"),
    ("large", "@/gpt-5-mini!huge-body:3000000", "}], retry: {attempts: 1}}"),
    ("elsewhere", "@/gpt-5-mini!redirect", "}], retry: {attempts: 1}}"),
    ("rejected", "@/gpt-5-mini!context-too-long", "}]}"),
    ("waiting", "@/gpt-5-mini!slow-first-token:25s", "}]}"),
    ("plain", "@/gpt-5-mini", "}]}"),
];

/// The codes that calls are answered with.
async fn call_examples() -> Examples {
    let rig = Rig::start("{request-body: 64KiB, body-idle: 100ms, answer-body: 2MiB}").await;
    let mut examples = Examples::new();
    for dialect in DIALECTS {
        let own = &dialect[..1];
        let version = if own == "A" { "anthropic-version: 2023-06-01\r\n" } else { "" };
        let call = |name: &str, headers: &str, stream| Ask::call(dialect, &format!("{own}-{name}"), headers, stream);
        let other = if own == "A" { "O-plain" } else { "A-plain" };
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
            (Code::UnsupportedMedia, call("plain", "content-encoding: gzip\r\n", false)),
            (Code::WrongDialect, Ask::call(dialect, other, "", false)),
            (Code::Deadline, call("slow", "x-tradewind-timeout: 100ms\r\n", false)),
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
        ];
        let running = rig.begin(call("busy", "", false)).await;
        let busy = (Code::AllBusy, call("busy", "", false));
        for (code, ask) in asks.into_iter().chain([busy]) {
            let answer = ask.send(rig.address()).await;
            let example = rig.neutral.example(code, dialect, &answer);
            let examples = examples.entry(code.name()).or_default();
            if !examples.is_empty() {
                examples.push('\n');
            }
            examples.push_str(&example);
        }
        running.abort();
    }
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
