//! The reference of metrics is what a running gateway shows of itself after calls of each kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tempfile::TempDir;
use tradewind::{Document, Gateway};
use tradewind_sim::{Sim, SimOptions};

use crate::tree::{has_to_be, read};
use crate::wire::Ask;

/// Where metrics are registered: each name that stands there has to be in the reference.
const SOURCES: [&str; 5] = [
    "crates/telemetry/src/metrics.rs",
    "crates/telemetry/src/metrics/families.rs",
    "crates/tradewind/src/gateway/controls.rs",
    "crates/tradewind/src/gateway/modules.rs",
    "crates/tradewind/src/gateway/state.rs",
];
const KEY: &str = "authorization: Bearer secret-of-ci-0123456789\r\n";

/// What a page of metrics says about one of them.
#[derive(Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// The metrics of a page in Prometheus's text format.
fn metrics(page: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut name = "";
    for line in page.lines() {
        if let Some((named, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            name = named;
            metrics.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((named, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name = named;
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split_once("} ").map_or(labels, |(labels, _)| labels);
            // The values of this gateway have no commas and no quotation marks in them.
            let names = labels.split(',').filter_map(|label| label.split('=').next()).filter(|label| *label != "le");
            metrics.entry(name.to_owned()).or_default().labels = names.map(str::to_owned).collect();
        }
    }
    metrics
}

/// What `/metrics` shows after calls that count for each metric.
async fn page() -> String {
    let sim = Sim::start(SimOptions::named("sim")).await.expect("the simulator starts");
    let folder = TempDir::new().expect("a folder can be made");
    let text = format!(
        "listen: 127.0.0.1:0\ndata-dir: {}\nproviders: [{{name: up, dialect: openai, base-url: \"{}/v1\", discover: \
         false}}]\nmodels:\n  - {{name: priced, targets: [{{use: up/a, price: {{input: 1, output: 2}}}}]}}\n  - {{name: \
         unpriced, cache: {{exact: {{}}}}, targets: [{{use: up/b}}]}}\nkeys:\n  - {{name: ci, secret: secret-of-ci-0123456789, allow: \
         [models/priced, models/unpriced, control/read]}}\n",
        folder.path().display(),
        sim.base_url()
    );
    let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("metrics", &text)));
    let gateway = Gateway::start(document).await.expect("the gateway starts");
    for (dialect, model, stream, status) in
        [("Anthropic", "priced", true, "200"), ("OpenAI", "unpriced", false, "200"), ("OpenAI", "up/c", false, "403")]
    {
        let answer = Ask::call(dialect, model, KEY, stream).send(gateway.address).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{model}: {answer}");
    }
    let mut ask = Ask::get("/metrics");
    ask.head.push_str(KEY);
    let answer = ask.send(gateway.address).await;
    gateway.stop(std::time::Duration::ZERO).await;
    sim.stop().await;
    answer.split_once("\r\n\r\n").expect("there is a head").1.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_of_metrics_is_what_a_gateway_shows() {
    let metrics = metrics(&page().await);
    let mut made = format!(
        "# Metrics\n\n{}\nWhat `GET /metrics` shows, in Prometheus's text format, or in OpenMetrics with exemplars for a \
         scraper that asks for it. A metric is there from the first call on that counts for it. How to read them is in the \
         [guide](../guide.md#telemetry).\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n",
        crate::references::MADE
    );
    for (name, Metric { kind, help, labels }) in &metrics {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let _ = writeln!(made, "| `{name}` | {kind} | {labels} | {help} |");
    }
    let missing: Vec<String> = registered().into_iter().filter(|name| !made.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "no call of this test counts for {missing:?}");
    has_to_be("docs/reference/metrics.md", &made);
}

/// The names that the sources register.
fn registered() -> Vec<String> {
    let mut names = Vec::new();
    for source in SOURCES {
        let text = read(source);
        for prefix in ["tradewind_", "gen_ai_client_"] {
            let quoted = format!("\"{prefix}");
            let pieces = text.split(&quoted).skip(1).filter_map(|piece| piece.split('"').next());
            names.extend(pieces.map(|rest| format!("{prefix}{rest}")));
        }
    }
    assert!(names.len() > 20, "only {} metrics are registered", names.len());
    names
}

#[test]
fn a_page_is_read() {
    let page = "# HELP a_total Calls.\n# TYPE a_total counter\na_total{x=\"1\",y=\"2\"} 3\n# HELP b Time.\n# TYPE b \
                histogram\nb_sum{z=\"1\"} 3\nb_bucket{le=\"1\",z=\"1\"} 3\n# TYPE c gauge\nc 1\n";
    let found = metrics(page);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["a_total", "b", "c"]);
    assert_eq!((found["a_total"].labels.join(" "), found["a_total"].help.as_str()), ("x y".to_owned(), "Calls."));
    assert_eq!((found["b"].labels.join(" "), found["b"].kind.as_str()), ("z".to_owned(), "histogram"));
    assert_eq!(found["c"].labels, Vec::<String>::new());
}
