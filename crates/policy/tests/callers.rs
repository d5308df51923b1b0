//! The sections `keys`, `tls`, `behind-tls` and `telemetry`.

use std::time::Duration;

use tradewind_core::{Device, UnixMillis};
use tradewind_policy::{
    KeyHash, LogFormat, LoggedCalls, Period, Problem, Problems, Root, Shared, Unpriced, diff, digest, schema,
};

const SECRET: &str = "tw-0123456789abcdef";

fn lookup(name: &str) -> Option<String> {
    match name {
        "KEY" => Some(SECRET.to_owned()),
        "DIGITS" => Some("0123456789012345".to_owned()),
        "SHORT" => Some("short".to_owned()),
        "HASH" => Some("ab".repeat(32)),
        _ => None,
    }
}

fn parse(text: &str) -> (Root, Shared, Problems) {
    let mut problems = Problems::new();
    let root = Root::parse(text, &lookup, &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    (root, shared, problems)
}

fn shared(text: &str) -> Shared {
    let (_, shared, problems) = parse(text);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    shared
}

/// All problems as `CODE path: message (hint)`.
fn refusals(text: &str) -> Vec<String> {
    let (_, _, problems) = parse(text);
    assert!(!problems.render("test.yaml", text).contains(SECRET), "no secret is shown");
    let line = |problem: &&Problem| {
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{} {}: {}{hint}", problem.code, problem.path, problem.message)
    };
    problems.list().iter().map(line).collect()
}

#[test]
fn keys_are_read() {
    let shared = shared(
        "keys:
  - name: ci
    secret: \"${KEY}\"
    tenant: build
    role: machine
    allow: [\"models/*\", \"modules/*\", control/read]
    budget: {usd: 50, per: month}
    unpriced: allow
    rpm: 600
    tpm: 200000
    expires: 2027-01-31T00:00:00Z
  - {name: laptop.of_ann-1, secret-sha256: \"${HASH}\"}
  - {name: digits, secret: \"${DIGITS}\", budget: {usd: 0.07, per: day}}
",
    );
    let [ci, laptop, digits] = &shared.keys[..] else { panic!("three keys") };
    assert_eq!(ci.hash(), Some(KeyHash::of(SECRET.as_bytes())));
    let terms = ci.terms();
    assert_eq!((terms.tenant.as_deref(), terms.role.as_deref()), (Some("build"), Some("machine")));
    assert_eq!(terms.allow.as_deref().map(<[String]>::len), Some(3));
    let budget = terms.budget.unwrap();
    assert_eq!((budget.amount().pico(), budget.per), (50_000_000_000_000, Period::Month));
    assert_eq!((terms.unpriced, terms.rpm, terms.tpm), (Unpriced::Allow, Some(600), Some(200_000)));
    assert_eq!(terms.expires.map(|time| time.0), UnixMillis::parse_rfc3339("2027-01-31T00:00:00Z"));
    assert_eq!(laptop.name.as_str(), "laptop.of_ann-1");
    assert_eq!(laptop.hash().map(|hash| hash.bytes()[0]), Some(0xab));
    assert_eq!((laptop.terms().allow, laptop.terms().unpriced), (None, Unpriced::Refuse));
    assert_eq!(digits.hash(), Some(KeyHash::of(b"0123456789012345")), "digits stay a secret");
    assert!(!format!("{shared:?}").contains(SECRET), "no secret in Debug");
}

#[test]
fn keys_that_cannot_work_are_refused() {
    let long = "x".repeat(65);
    let (hash, short_hash) = ("ab".repeat(32), "ab".repeat(31));
    for (fields, refusal) in [
        ("secret: \"${KEY}\"", "TW4003 keys[0]: `name` is missing".to_owned()),
        ("name: \"\", secret: \"${KEY}\"", "TW4003 keys[0].name: the name is empty (such as ci-build)".to_owned()),
        (
            "name: a/b, secret: \"${KEY}\"",
            "TW4003 keys[0].name: a key's name has letters, digits, dots, hyphens and underscores only (such as \
             ci-build)"
                .to_owned(),
        ),
        (
            &format!("name: {long}, secret: \"${{KEY}}\""),
            "TW4003 keys[0].name: a key's name has at most 64 characters (such as ci-build)".to_owned(),
        ),
        (
            "name: a",
            "TW4003 keys[0].secret: the key has no secret (add secret: \"${VARIABLE}\" or secret-sha256, or make the \
             key with `tradewind key create`)"
                .to_owned(),
        ),
        (
            &format!("name: a, secret: \"${{KEY}}\", secret-sha256: {hash}"),
            "TW4003 keys[0].secret-sha256: there is both a secret and a secret-sha256 (keep one of them)".to_owned(),
        ),
        (
            "name: a, secret: \"${SHORT}\"",
            "TW4003 keys[0].secret: the secret has fewer than 16 bytes: it could be guessed (`tradewind key create` \
             makes good ones)"
                .to_owned(),
        ),
        (
            "name: a, secret: \"sixteen bytes and spaces\"",
            "TW4003 keys[0].secret: the secret has characters that cannot be sent (is the variable that it comes from \
             set, and without spaces and line breaks?)"
                .to_owned(),
        ),
        (
            "name: a, secret: 1234567890123456",
            "TW4003 keys[0].secret: expected text, found a number (put it in quotes)".to_owned(),
        ),
        (
            &format!("name: a, secret-sha256: {short_hash}"),
            "TW4003 keys[0].secret-sha256: expected the 64 hexadecimal digits of a SHA-256, found text".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", allow: [\"models/*\", \"model/x\"]",
            "TW4003 keys[0].allow[1]: the pattern `model/x` does not begin with a door (did you mean `models/x`?)"
                .to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", allow: []",
            "TW4003 keys[0].allow: the key may use nothing (leave it out for everything but control, or name \
             something, such as models/*)"
                .to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", allow: \"models/*\"",
            "TW4003 keys[0].allow: expected a list, found the text `models/*`".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", budget: {usd: 0, per: day}",
            "TW4003 keys[0].budget.usd: a budget is more than nothing (revoke the key instead)".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", budget: {usd: 1000001, per: day}",
            "TW4003 keys[0].budget.usd: expected a number from 0 to 1000000, found the number 1000001".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", budget: {usd: .nan, per: day}",
            "TW4003 keys[0].budget.usd: expected a number from 0 to 1000000, found the number NaN".to_owned(),
        ),
        ("name: a, secret: \"${KEY}\", budget: {usd: 5}", "TW4003 keys[0].budget: `per` is missing".to_owned()),
        (
            "name: a, secret: \"${KEY}\", budget: {usd: 5, per: mnth}",
            "TW4003 keys[0].budget.per: expected one of day, week, month, total, found the text `mnth` (did you mean \
             `month`?)"
                .to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", rpm: 0",
            "TW4003 keys[0].rpm: `rpm` is zero: nothing could be called (leave it out for no limit)".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", tpm: -1",
            "TW4003 keys[0].tpm: expected a whole number, not negative, found the number -1".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", expires: tomorrow",
            "TW4003 keys[0].expires: expected a time like 2027-01-31T00:00:00Z, found the text `tomorrow`".to_owned(),
        ),
        (
            "name: a, secret: \"${KEY}\", tenant: \"\"",
            "TW4003 keys[0].tenant: a tenant has 1 to 64 characters, and no line breaks (leave it out, or give it a \
             short name)"
                .to_owned(),
        ),
        (
            "name: a, secert: \"${KEY}\"",
            "TW4002 keys[0].secert: unknown key `secert` (did you mean `secret`?)".to_owned(),
        ),
        (
            "name: a, secret: \"${NOT_SET}\"",
            "TW4004 keys[0].secret: the environment variable NOT_SET is not set (set it, or give a default: \
             ${NOT_SET:-value})"
                .to_owned(),
        ),
    ] {
        let found = refusals(&format!("keys: [{{{fields}}}]"));
        assert!(found.contains(&refusal), "{fields}: {found:#?}");
        let follow_up = usize::from(fields.contains("secert"));
        assert_eq!(found.len(), 1 + follow_up, "{fields}: {found:#?}");
    }
}

#[test]
fn names_and_secrets_are_one_keys_only() {
    assert_eq!(
        refusals("keys:\n  - {name: a, secret: \"${KEY}\"}\n  - {name: a, secret: \"${DIGITS}\"}"),
        ["TW4003 keys[1].name: a key named `a` is there already (give it another name; the first is on line 2)"]
    );
    let hash = serde_json::to_value(KeyHash::of(SECRET.as_bytes())).unwrap();
    for second in ["secret: \"${KEY}\"".to_owned(), format!("secret-sha256: {hash}")] {
        let term = second.split(':').next().unwrap();
        assert_eq!(
            refusals(&format!("keys:\n  - {{name: a, secret: \"${{KEY}}\"}}\n  - {{name: b, {second}}}")),
            [format!(
                "TW4003 keys[1].{term}: the keys `a` and `b` have the same secret (give each caller a secret of its \
                 own: `tradewind key create` makes them)"
            )]
        );
    }
}

#[test]
fn ten_thousand_keys_are_the_most() {
    let key = |number: usize| format!("  - {{name: k{number}, secret: tw-0123456789abcdef-{number}}}\n");
    let keys = |count| format!("keys:\n{}", (0..count).map(key).collect::<String>());
    assert_eq!(shared(&keys(10_000)).keys.len(), 10_000);
    assert_eq!(refusals(&keys(10_001)), ["TW4003 keys: there are 10001 keys, the most is 10000"]);
}

#[test]
fn an_open_listen_needs_keys_and_tls() {
    let keys = "keys: [{name: a, secret: \"${KEY}\"}]\n";
    let tls = "tls: {cert: c.pem, key: k.pem}\n";
    let open = "listen: 0.0.0.0:7080\n";
    assert_eq!(shared(&format!("{open}{keys}{tls}")).tls.unwrap().cert, "c.pem");
    assert!(shared(&format!("{open}{keys}behind-tls: true")).behind_tls);
    assert!(shared("tls: {cert: c.pem, key: k.pem}").keys.is_empty(), "TLS on loopback needs no keys");
    for (text, refusal) in [
        (
            format!("{open}{tls}"),
            "TW4006 listen: `0.0.0.0:7080` is open to other machines, and the file has no `keys` (add at least one \
             entry in `keys` (keys made with `tradewind key create` come in addition); or listen on 127.0.0.1:7080)",
        ),
        (
            format!("{open}{keys}"),
            "TW4006 listen: `0.0.0.0:7080` is open to other machines, and callers' keys would travel in the clear (add \
             `tls: {cert: …, key: …}`, or `behind-tls: true` when a proxy in front does TLS; or listen on \
             127.0.0.1:7080)",
        ),
        (
            format!("{open}{keys}behind-tls: false"),
            "TW4006 listen: `0.0.0.0:7080` is open to other machines, and callers' keys would travel in the clear (add \
             `tls: {cert: …, key: …}`, or `behind-tls: true` when a proxy in front does TLS; or listen on \
             127.0.0.1:7080)",
        ),
        (
            format!("{open}keys: []\n{tls}"),
            "TW4006 listen: `0.0.0.0:7080` is open to other machines, and the file has no `keys` (add at least one \
             entry in `keys` (keys made with `tradewind key create` come in addition); or listen on 127.0.0.1:7080)",
        ),
        (format!("{keys}tls: {{cert: c.pem}}"), "TW4003 tls: `key` is missing"),
        (format!("{keys}tls: {{cert: \"\", key: k.pem}}"), "TW4003 tls.cert: the name of the file is empty"),
        (
            format!("{keys}{tls}behind-tls: true"),
            "TW4003 behind-tls: there is both `tls` and `behind-tls` (keep `tls` when callers reach the gateway \
             itself, `behind-tls` when a proxy does)",
        ),
        (
            format!("{keys}behind-tls: yes"),
            "TW4003 behind-tls: expected true or false, found the text `yes` (write `true`)",
        ),
    ] {
        assert_eq!(refusals(&text), [refusal], "{text}");
    }
}

#[test]
fn telemetry_is_read() {
    let telemetry = shared(
        "telemetry:
  otlp: {endpoint: \"https://collector.example.com:4318/\", headers: {Authorization: \"${KEY}\"}, timeout: 3s, sample: 0.25}
  logs: {calls: all, format: json}
",
    )
    .telemetry;
    let otlp = telemetry.otlp.unwrap();
    assert_eq!(otlp.endpoint.as_str(), "https://collector.example.com:4318");
    assert_eq!(otlp.traces_path(), "/v1/traces");
    assert_eq!(otlp.headers["Authorization"].expose(), SECRET);
    assert_eq!((otlp.timeout.get(), otlp.sample), (Duration::from_secs(3), 0.25));
    assert_eq!((telemetry.logs.calls, telemetry.logs.format), (LoggedCalls::All, LogFormat::Json));

    let plain = shared("telemetry: {otlp: {endpoint: \"http://127.0.0.1:4318/x/v1/traces\"}}").telemetry;
    let otlp = plain.otlp.unwrap();
    assert_eq!(otlp.traces_path(), "/x/v1/traces");
    assert_eq!((otlp.timeout.get(), otlp.sample), (Duration::from_secs(10), 1.0));
    assert_eq!((plain.logs.calls, plain.logs.format), (LoggedCalls::Failed, LogFormat::Text));
    assert!(shared("").telemetry.otlp.is_none());
}

#[test]
fn telemetry_that_cannot_work_is_refused() {
    for (fields, refusal) in [
        ("otlp: {}", "TW4003 telemetry.otlp: `endpoint` is missing"),
        (
            "otlp: {endpoint: \"grpc://h:4317\"}",
            "TW4003 telemetry.otlp.endpoint: a base-url begins with https:// or http://",
        ),
        (
            "otlp: {endpoint: \"http://h\", sample: 1.5}",
            "TW4003 telemetry.otlp.sample: `sample` is 1.5 (a share from 0 to 1, such as 0.1)",
        ),
        (
            "otlp: {endpoint: \"http://h\", timeout: 0s}",
            "TW4003 telemetry.otlp.timeout: `timeout` is 0s (more than nothing, at most 5m)",
        ),
        (
            "otlp: {endpoint: \"http://h\", headers: {\"a b\": x}}",
            "TW4003 telemetry.otlp.headers.a b: `a b` is not the name of a header (letters, digits and hyphens)",
        ),
        (
            "otlp: {endpoint: \"http://h\", headers: {a: \"b\\nc\"}}",
            "TW4003 telemetry.otlp.headers.a: the value of the header `a` cannot be sent (no line breaks or control \
             characters)",
        ),
        (
            "logs: {calls: some}",
            "TW4003 telemetry.logs.calls: expected one of none, failed, all, found the text `some`",
        ),
        ("metrics: {}", "TW4002 telemetry.metrics: unknown key `metrics` (the keys here are otlp, logs)"),
    ] {
        assert_eq!(refusals(&format!("telemetry: {{{fields}}}")), [refusal], "{fields}");
    }
}

#[test]
fn a_provider_may_be_spared_the_question_for_usage() {
    let provider = |fields: &str| {
        shared(&format!("providers: [{{name: a, dialect: openai, base-url: http://h/v1{fields}}}]")).providers.remove(0)
    };
    assert!(provider("").stream_usage);
    assert!(!provider(", stream-usage: false").stream_usage);
}

#[test]
fn digest_diff_and_schema_show_no_secret() {
    let one = "keys: [{name: a, secret: \"${KEY}\", rpm: 5}]\n";
    let same = digest(&parse(one).0);
    let hash = "ab".repeat(32);
    for other in [
        one.replace("${KEY}", "another-secret-of-a"),
        format!("{one}behind-tls: true"),
        format!("{one}tls: {{cert: a, key: b}}"),
        format!("{one}telemetry: {{logs: {{calls: all}}}}"),
        one.replace("secret: \"${KEY}\"", &format!("secret-sha256: {hash}")),
    ] {
        assert_eq!(digest(&parse(&other).0), same, "{other}");
    }
    for (from, to) in
        [("rpm: 5", "rpm: 6"), ("name: a", "name: b"), ("rpm: 5", "allow: [models/*]"), ("rpm: 5", "tenant: x")]
    {
        assert_ne!(digest(&parse(&one.replace(from, to)).0), same, "{to}");
    }
    let new = one.replace("secret: \"${KEY}\"", &format!("secret-sha256: {hash}"));
    let changes: Vec<String> = diff(&parse(one).0, &parse(&new).0).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["- keys[a].secret: [secret]", "+ keys[a].secret-sha256: [secret]"]);
    let added: Vec<String> =
        diff(&parse("").0, &parse("telemetry: {otlp: {endpoint: \"http://h\", headers: {a: \"${KEY}\"}}}").0)
            .iter()
            .map(ToString::to_string)
            .collect();
    assert_eq!(added, ["+ telemetry: {otlp}"]);
    let schema = schema(&[]);
    let key = &schema["$defs"]["CallerKey"]["properties"];
    assert_eq!((&key["secret"]["writeOnly"], &key["secret-sha256"]["writeOnly"]), (&true.into(), &true.into()));
}

#[test]
fn problems_with_keys_show_their_line_and_no_secret() {
    let text = format!("keys:\n  - {{name: a, secret: {SECRET}, rmp: 5}}\n  - {{name: b, secret-sha256: abc}}\n");
    let (_, _, problems) = parse(&text);
    assert_eq!(
        problems.render("tradewind.yaml", &text),
        "\
error[TW4002]: unknown key `rmp`
 --> tradewind.yaml:2:44
  |
2 |   - {name: a, secret: *******************, rmp: 5}
  |                                            ^^^
  = at: keys[0].rmp
  = hint: did you mean `rpm`?

error[TW4003]: expected the 64 hexadecimal digits of a SHA-256, found text
 --> tradewind.yaml:3:30
  |
3 |   - {name: b, secret-sha256: ***}
  |                              ^^^
  = at: keys[1].secret-sha256
"
    );
}

#[test]
fn what_keys_say_of_their_callers_is_read_and_checked() {
    let shared =
        shared("keys: [{name: a, secret: \"${KEY}\", region: us-east-1, device: ci, tags: [batch, \u{591c}]}]");
    let terms = shared.keys[0].terms();
    assert_eq!((terms.region.as_deref(), terms.device), (Some("us-east-1"), Some(Device::Ci)));
    assert_eq!(terms.tags, ["batch", "\u{591c}"]);
    let (long, many) = ("x".repeat(65), (0..17).map(|number| format!("t{number}")).collect::<Vec<_>>().join(", "));
    for (fields, refusal) in [
        ("region: \"\"", "TW4003 keys[0].region: a region has 1 to 64 characters (such as eu or us-east-1)".to_owned()),
        (
            "region: \"a;b\"",
            "TW4003 keys[0].region: a region has no `;`, `,`, `=` or line breaks, and no spaces around it (such as eu or \
             us-east-1)"
                .to_owned(),
        ),
        (
            "device: phone",
            "TW4003 keys[0].device: expected one of mobile, desktop, server, ci, cli, found the text `phone`".to_owned(),
        ),
        (
            &format!("tags: [a, {long}]"),
            "TW4003 keys[0].tags[1]: a tag has 1 to 64 characters (such as batch)".to_owned(),
        ),
        ("tags: [a, b, a]", "TW4003 keys[0].tags[2]: the tag is there already (leave one of them out)".to_owned()),
        (
            &format!("tags: [{many}]"),
            "TW4003 keys[0].tags: a key has at most 16 tags (keep those that rules ask for)".to_owned(),
        ),
    ] {
        assert_eq!(refusals(&format!("keys: [{{name: a, secret: \"${{KEY}}\", {fields}}}]")), [refusal], "{fields}");
    }
}

#[test]
fn what_is_believed_of_callers_is_read_and_checked() {
    let defaults = shared("").context;
    assert_eq!((defaults.max_age.get(), defaults.trust_hints), (Duration::from_secs(300), false));
    assert!(defaults.signing_secret.is_none());
    let told = shared("context: {signing-secret: \"${HASH}\", max-age: 1d, trust-hints: true}");
    assert!(told.context.trust_hints && !format!("{told:?}").contains("abab"));
    let governed = |text: &str| digest(&parse(text).0);
    assert_ne!(governed("context: {trust-hints: true}"), governed("context: {trust-hints: false}"));
    assert_eq!(governed("context: {signing-secret: \"${HASH}\"}"), governed("context: {}"), "a secret decides nothing");
    for (fields, refusal) in [
        (
            "signing-secret: \"${KEY}\"",
            "TW4003 context.signing-secret: a secret for signatures has 32 to 512 bytes (`openssl rand -hex 32` makes a \
             good one)",
        ),
        (
            "signing-secret: \"0123456789abcdef 0123456789abcdef\"",
            "TW4003 context.signing-secret: the secret has spaces or line breaks (is the variable that it comes from \
             set, and without spaces and line breaks?)",
        ),
        ("max-age: 0s", "TW4003 context.max-age: `max-age` is 0s (from 1s to 1d, such as 5m)"),
        ("max-age: 25h", "TW4003 context.max-age: `max-age` is 25h (from 1s to 1d, such as 5m)"),
        ("trust-hint: true", "TW4002 context.trust-hint: unknown key `trust-hint` (did you mean `trust-hints`?)"),
    ] {
        assert_eq!(refusals(&format!("context: {{{fields}}}")), [refusal]);
    }
}
