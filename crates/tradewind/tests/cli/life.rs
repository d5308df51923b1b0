//! A running gateway: reload by signal and by file, and how it stops.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};

use tradewind_sim::{Sim, SimFault, SimOptions, TlsOptions};

use crate::program::{Place, Program, chat, get, question, send};

/// A gateway with one model of this name.
fn document(model: &str) -> String {
    format!("listen: 127.0.0.1:0\ndata-dir: data\nmodels: [{{name: {model}, last-resort: rules}}]\n")
}

fn models(address: SocketAddr) -> Vec<String> {
    let listed = get(address, "/v1/models").json();
    listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_reload_by_signal_and_by_file() {
    let place = Place::new();
    let file = place.file("tradewind.yaml", &document("first"));
    let mut gateway = Program::start(place.command(&["run"]));
    let address = gateway.address();
    assert_eq!(models(address), ["first"]);

    // Noticed by itself.
    place.file("tradewind.yaml", &document("second"));
    gateway.note("reloaded tradewind.yaml: 2 changes");
    gateway.note("models[");
    assert_eq!(models(address), ["second"]);

    // An editor puts another file in its place.
    place.file("tradewind.yaml.new", &document("third"));
    std::fs::rename(place.path().join("tradewind.yaml.new"), &file).unwrap();
    gateway.note("reloaded tradewind.yaml: 2 changes");
    assert_eq!(models(address), ["third"]);

    // Told by a signal.
    gateway.signal("-HUP");
    gateway.note("read tradewind.yaml again: nothing has changed");

    // A bad one never replaces a good one, and says why.
    place.file("tradewind.yaml", &document("fourth").replace("last-resort", "last-resrot"));
    gateway.note("error[TW4002]: unknown key `last-resrot`");
    gateway.note("tradewind.yaml:3:25");
    gateway.note("did you mean `last-resort`?");
    gateway.note("not reloaded: the configuration of before stays in force");
    assert_eq!(models(address), ["third"]);

    // What takes effect only at a start is said to.
    place.file("tradewind.yaml", &document("third").replace("data-dir: data", "data-dir: elsewhere"));
    gateway.note("reloaded tradewind.yaml: 1 change");
    gateway.note("data-dir: data -> elsewhere");
    gateway.note("  not before the next start: data-dir");

    gateway.signal("-TERM");
    let ended = gateway.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_may_bring_the_first_provider_with_tls() {
    let sim = Sim::start(SimOptions { tls: Some(TlsOptions::default()), ..SimOptions::named("tls") }).await.unwrap();
    let place = Place::new();
    let system = place.file("system.pem", sim.ca_pem().unwrap());
    let before = document("plain");
    place.file("tradewind.yaml", &before);
    let mut command = place.command(&["run"]);
    command.env("SSL_CERT_FILE", system);
    let mut gateway = Program::start(command);
    let address = gateway.address();
    let provider =
        format!("providers: [{{name: tls, dialect: openai, base-url: \"{}/v1\", discover: false}}]\n", sim.base_url());
    place.file("tradewind.yaml", &format!("{before}{provider}"));
    gateway.note("reloaded tradewind.yaml: ");
    let answer = chat(address, "tls/m");
    assert_eq!(answer.status, 200, "{}", answer.body);
    sim.stop().await;
}

#[test]
fn calls_refused_with_401_are_counted_and_said() {
    let place = Place::new();
    let keys = "keys: [{name: old, secret: secret-of-old-0123456789, expires: 2001-01-01T00:00:00Z}]\n";
    place.file("tradewind.yaml", &format!("{}{keys}", document("m")));
    let mut gateway = Program::start(place.command(&["run"]));
    let address = gateway.address();
    assert_eq!(get(address, "/livez").status, 200);
    assert_eq!(chat(address, "m").status, 401);
    assert_eq!(gateway.note("401"), "refused 1 call with 401: 1 without a key");
    place.file("tradewind.yaml", &document("m"));
    gateway.note("reloaded tradewind.yaml: ");
    let metrics = get(address, "/metrics").body;
    assert!(metrics.contains("# TYPE tradewind_requests_refused_total counter\n"), "{metrics}");
    for (code, count) in [("TW1015", 1), ("TW1016", 0), ("TW1010", 0), ("TW2006", 0)] {
        let sample = format!("\ntradewind_requests_refused_total{{code=\"{code}\"}} {count}\n");
        assert!(metrics.contains(&sample), "{sample}{metrics}");
    }
}

/// A gateway in front of a slow `sim`.
fn with_provider(sim: &Sim, limits: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\ndata-dir: data\nlimits: {{{limits}}}\n\
         providers: [{{name: sim, dialect: openai, base-url: \"{}/v1\", discover: false}}]\n\
         models: [{{name: a, targets: [{{use: sim/slow}}]}}]\n",
        sim.base_url()
    )
}

/// A stream of which the first event has come.
fn begin_stream(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(send(address, "/v1/chat/completions", Some(&question("a", true))));
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream ended early");
    }
    stream
}

fn rest(mut stream: BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_stream_come_to_its_end() {
    let options = SimOptions { tokens_per_second: Some(30.0), answer_tokens: 30, ..SimOptions::named("slow") };
    let sim = Sim::start(options).await.unwrap();
    let place = Place::new();
    place.file("tradewind.yaml", &with_provider(&sim, ""));
    let mut gateway = Program::start(place.command(&["run"]));
    let address = gateway.address();
    let stream = begin_stream(address);
    gateway.signal("-TERM");
    gateway.note("stopping: waiting up to 30s for calls in flight");
    let rest = rest(stream);
    assert!(rest.contains("\"finish_reason\":\"stop\"") && rest.contains("data: [DONE]"), "{rest}");
    let ended = gateway.end();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.ends_with("\nstopped\n"), "{}", ended.stderr);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlasts_the_drain_ends_with_an_error() {
    let sim = Sim::start(SimOptions::named("stalling")).await.unwrap();
    sim.set_fault(SimFault::Stall).unwrap();
    let place = Place::new();
    place.file("tradewind.yaml", &with_provider(&sim, "drain: 100ms"));
    let mut gateway = Program::start(place.command(&["run"]));
    let stream = begin_stream(gateway.address());
    gateway.signal("-TERM");
    let rest = rest(stream);
    assert!(rest.contains("data: {\"error\"") && rest.contains("TW2004") && !rest.contains("[DONE]"), "{rest}");
    assert_eq!(gateway.end().code, Some(0));
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_does_not_wait() {
    let sim = Sim::start(SimOptions::named("stalling")).await.unwrap();
    sim.set_fault(SimFault::Stall).unwrap();
    let place = Place::new();
    place.file("tradewind.yaml", &with_provider(&sim, "drain: 1h"));
    let mut gateway = Program::start(place.command(&["run"]));
    let _stream = begin_stream(gateway.address());
    gateway.signal("-INT");
    gateway.note("stopping: waiting up to 1h for calls in flight; Ctrl-C stops at once");
    gateway.signal("-INT");
    gateway.note("stopped at once; calls in flight were cut off");
    assert_eq!(gateway.end().code, Some(0));
    sim.stop().await;
}
