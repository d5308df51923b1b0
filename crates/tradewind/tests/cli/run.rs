//! `tradewind run`: why it does not start, and what it does without a file.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use tradewind_sim::{Sim, SimOptions};

use crate::program::{Place, Program, chat};

/// The ports where local model servers usually are.
const USUAL_PORTS: [u16; 4] = [11434, 8080, 8000, 1234];

fn refused(place: &Place, arguments: &[&str], parts: &[&str]) {
    let ended = place.tradewind(arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no `{part}` in\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
}

#[test]
fn a_taken_port_is_named() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    place.file("tradewind.yaml", &format!("listen: {address}\ndata-dir: data\n"));
    let said = format!("error[TW4007]: cannot listen on {address} (listen): Address already in use");
    refused(
        &place,
        &["run"],
        &[&said, "= hint: stop what listens there, or set another `listen`, such as 127.0.0.1:0"],
    );
    let port = address.port();
    place.file("tradewind.yaml", &format!("listen: 127.0.0.1:0\nmixed-port: {port}\ndata-dir: data\n"));
    let said = format!("error[TW4007]: cannot listen on {address} (mixed-port): Address already in use");
    refused(&place, &["run"], &[&said, "= hint: stop what listens there, or set another `mixed-port`\n"]);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let place = Place::new();
    place.file("a-file", "");
    place.file("tradewind.yaml", "listen: 127.0.0.1:0\ndata-dir: a-file/data\n");
    refused(&place, &["run"], &["error[TW4008]: cannot use the data directory a-file/data", "= hint: set `data-dir`"]);
}

#[test]
fn two_gateways_do_not_share_a_journal() {
    let place = Place::new();
    place.file("tradewind.yaml", "listen: 127.0.0.1:0\ndata-dir: data\n");
    let mut first = Program::start(place.command(&["run"]));
    first.address();
    refused(
        &place,
        &["run"],
        &["error[TW4008]: cannot open the decision journal in data", "give this one another `data-dir`"],
    );
}

#[test]
fn a_bad_file_does_not_start() {
    let place = Place::new();
    place.file("bad.yaml", "listen: 127.0.0.1:0\nmodles: []\n");
    refused(&place, &["run", "-f", "bad.yaml"], &["error[TW4002]", "bad.yaml:2:1", "did you mean `models`?"]);
    refused(&place, &["run", "-f", "missing.yaml"], &["error[TW4001]: missing.yaml cannot be read", "= hint: "]);
    refused(&place, &["run", "-d", "."], &["error[TW4001]: ./config.yaml cannot be read"]);
}

#[test]
fn a_directory_is_read_by_its_usual_name() {
    let place = Place::new();
    place.file("config.yaml", "listen: 127.0.0.1:0\ndata-dir: data\nmodels: [{name: here, last-resort: rules}]\n");
    let mut gateway = Program::start(place.command(&["run", "-d", "."]));
    gateway.note("configuration  ./config.yaml");
    gateway.note("models         here");
    gateway.address();
}

#[test]
fn a_start_says_whom_it_lets_in_and_what_it_tells_about_itself() {
    let place = Place::new();
    place.file("tradewind.yaml", "listen: 127.0.0.1:0\ndata-dir: data\n");
    let mut open = Program::start(place.command(&["run"]));
    open.note("  callers        no keys: callers on this machine need none");
    open.note("  metrics        /metrics");
    open.note("  spans          not exported");
    open.note("  log            calls that were not answered, here");
    open.address();
    open.signal("-KILL");
    open.end();

    for key in ["ann", "bob"] {
        assert_eq!(place.tradewind(&["key", "create", key]).code, Some(0));
    }
    assert_eq!(place.tradewind(&["key", "revoke", "bob"]).code, Some(0));
    let telemetry = "telemetry: {otlp: {endpoint: \"http://127.0.0.1:9/otlp\", headers: {x-key: very-secret}, sample: 0.1}, \
                     logs: {calls: none}}\n";
    place.file("tradewind.yaml", &format!("listen: 127.0.0.1:0\ndata-dir: data\n{telemetry}"));
    let mut keyed = Program::start(place.command(&["run"]));
    keyed.note("  callers        1 key; 1 more, revoked or expired");
    keyed.note("  metrics        /metrics, for keys that may use control/read");
    keyed.note("  spans          to http://127.0.0.1:9/otlp/v1/traces, 10 % of the traces that begin here");
    keyed.note("  log            no calls (`telemetry.logs.calls: none`)");
    keyed.address();
    keyed.signal("-TERM");
    let ended = keyed.end();
    assert!(!ended.stderr.contains("very-secret"), "{}", ended.stderr);
}

#[test]
fn tls_is_said_and_its_files_are_read_again() {
    let place = Place::new();
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        place.file("cert.pem", &made.cert.pem());
        place.file("key.pem", &made.signing_key.serialize_pem());
    };
    certificate();
    let document = "listen: 127.0.0.1:0\ndata-dir: data\ntls: {cert: cert.pem, key: key.pem}\n";
    place.file("tradewind.yaml", document);
    let mut gateway = Program::start(place.command(&["run"]));
    gateway.note("listening on https://127.0.0.1:");
    certificate();
    gateway.signal("-HUP");
    gateway.note("nothing has changed; new connections get the certificate as it is now");
    place.file("key.pem", "no key at all");
    gateway.signal("-HUP");
    gateway.note("error[TW4003]: tls: key.pem holds no private key that is not encrypted");
    gateway.note("not reloaded: the configuration of before stays in force");
    place.file("tradewind.yaml", "listen: 127.0.0.1:0\ndata-dir: data\n");
    gateway.note("- tls: ");
    gateway.note("  not before the next start: turning TLS on or off");
    gateway.signal("-TERM");
    assert_eq!(gateway.end().code, Some(0));

    place.file("tradewind.yaml", document);
    refused(&place, &["run"], &["error[TW4003]: tls: key.pem holds no private key", "takes PEM files"]);
}

#[test]
fn a_provider_is_found_from_its_key_and_the_key_is_not_shown() {
    let place = Place::new();
    let mut command = place.command(&["run", "--listen", "127.0.0.1:0", "--data-dir", "data"]);
    command.env("OPENAI_API_KEY", "sk-very-secret").env("ANTHROPIC_API_KEY", "");
    let mut gateway = Program::start(command);
    let providers = gateway.note("providers");
    // Nothing more is wanted of it: it would now ask the real provider for its models.
    gateway.signal("-KILL");
    assert_eq!(providers.trim(), "providers      openai (https://api.openai.com/v1)");
    let ended = gateway.end();
    assert!(!ended.stderr.contains("sk-very-secret"), "{}", ended.stderr);
}

/// One test, because the ports are fixed: what listens there is seen by every gateway without a file.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_rules_answer_until_a_local_server_is_found() {
    let free = |port: &u16| TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], *port))).is_ok();
    let Some(port) = USUAL_PORTS.into_iter().find(free) else {
        panic!("something listens on each of the ports {USUAL_PORTS:?}: free one of them for this test");
    };
    let others = USUAL_PORTS.into_iter().filter(|other| *other != port && !free(other)).collect::<Vec<_>>();

    let place = Place::new();
    let mut gateway = Program::start(place.command(&["run", "--listen", "127.0.0.1:0"]));
    gateway.note("configuration  built in");
    gateway.note("providers      none yet: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start Ollama");
    gateway.note("until then built-in rules answer, and say so");
    let journal = gateway.note("journal");
    assert!(journal.ends_with(".local/share/tradewind"), "{journal}");
    let address = gateway.address();
    if others.is_empty() {
        // The README's first call. Any model will do.
        let answer = chat(address, "gpt-5");
        assert_eq!((answer.status, answer.header("x-tradewind-target")), (200, Some("rules/rules")));
        let said = answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        assert!(said.contains("not from a model") && said.contains("OPENAI_API_KEY"), "{said}");
        assert_eq!(answer.json()["model"], "tradewind/rules");
    }

    // Something that answers there but is no model server does not count.
    let web_site = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    gateway.signal("-HUP");
    gateway.note("no configuration file to reload; looking for local model servers");
    let (mut visitor, _) = web_site.accept().unwrap();
    let mut request = [0; 1024];
    let length = visitor.read(&mut request).unwrap();
    assert!(request[..length].starts_with(b"GET /v1/models HTTP/1.1\r\n"));
    let page = "<html>welcome</html>";
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    visitor.write_all(reply.as_bytes()).unwrap();
    drop((visitor, web_site));

    // A model server does, and from then on it answers.
    let options = SimOptions { port, models: vec!["tiny".to_owned()], ..SimOptions::named("local") };
    let sim = Sim::start(options).await.unwrap();
    gateway.signal("-HUP");
    let found = gateway.note(&format!("on port {port}; `auto` asks its model tiny"));
    let name = found.split(' ').nth(1).unwrap();
    loop {
        // The line is printed a moment before the document is put in place.
        let answer = chat(address, "auto");
        assert_eq!(answer.status, 200);
        if answer.header("x-tradewind-target") == Some(&format!("{name}/tiny")) {
            break;
        }
        assert!(answer.header("x-tradewind-target").unwrap().starts_with("rules/") || !others.is_empty());
    }
    sim.stop().await;

    // What was found and said so far was never the web site.
    gateway.signal("-TERM");
    let ended = gateway.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert_eq!(ended.stderr.matches(&format!("on port {port};")).count(), 1, "{}", ended.stderr);
}
