//! What is added up, and how it looks.

use tradewind_core::{UnixMillis, Usd};
use tradewind_telemetry::{Day, Totals};

use super::book::{Line, Where};
use super::print::Page;
use super::{By, distinct, first_day};

const NOON: UnixMillis = UnixMillis(1_795_176_000_000); // 2026-11-20T12:00:00Z

fn line(day: &str, model: &str, key: &str, target: &str, cents: u64, estimated: u64, unpriced: u64) -> Line {
    let totals = Totals {
        calls: 2,
        input: 900,
        output: 100,
        cached: 50,
        reasoning: 7,
        estimated,
        cost: Usd::from_pico(cents * 10_000_000_000),
        unpriced,
    };
    let [day, model, key, target] = [day, model, key, target].map(str::to_owned);
    Line { day, model, key, target, totals }
}

fn lines() -> Vec<Line> {
    vec![
        line("2026-11-20", "assistant", "ci", "openai/gpt-5-mini", 125, 0, 0),
        line("2026-11-20", "assistant", "ci", "anthropic/claude", 1, 5, 0),
        line("2026-11-19", "private", "", "onprem/llama-70b", 0, 1000, 2),
    ]
}

fn days() -> (Day, Day) {
    (Day::parse("2026-11-14").unwrap(), Day::parse("2026-11-20").unwrap())
}

#[test]
fn the_table_adds_up_and_says_what_is_not_certain() {
    let (lines, (from, to)) = (lines(), days());
    let page = Page::new(&lines, &[By::Day, By::Model, By::Key], from, to);
    assert_eq!(
        page.table(),
        "\
DAY         MODEL      KEY       CALLS    IN  OUT  CACHED  REASONING  ESTIMATED      COST
2026-11-19  private    (no key)      2   900  100      50          7       100%     $0 +?
2026-11-20  assistant  ci            4  1800  200     100         14        <1%     $1.26
total                                6  2700  300     150         21        33%  $1.26 +?

ESTIMATED: the share of the tokens that the gateway counted itself, and with it of the cost

+?: without what these targets cost, which have no price: onprem/llama-70b (2 uses)
"
    );
}

#[test]
fn columns_come_in_the_order_that_was_asked_for() {
    let (lines, (from, to)) = (&lines()[..1], days());
    let by = distinct(&[By::Target, By::Key, By::Target]);
    assert_eq!(
        Page::new(lines, &by, from, to).table(),
        "\
TARGET             KEY  CALLS   IN  OUT  CACHED  REASONING  ESTIMATED   COST
openai/gpt-5-mini  ci       2  900  100      50          7          -  $1.25
"
    );
}

#[test]
fn json_is_exact() {
    let (lines, (from, to)) = (lines(), days());
    let page = Page::new(&lines, &[By::Key], from, to);
    let json = page.as_json(&Where::Gateway("http://127.0.0.1:7080".to_owned()));
    assert_eq!(json["source"], serde_json::json!({"gateway": "http://127.0.0.1:7080"}));
    assert_eq!((&json["from"], &json["to"]), (&"2026-11-14".into(), &"2026-11-20".into()));
    assert_eq!(json["rows"][0]["key"], serde_json::Value::Null);
    assert_eq!(json["rows"][1]["usd"], 1.26);
    assert_eq!(json["total"]["calls"], 6);
    assert_eq!(json["total"]["usd"], 1.26);
    assert_eq!(json["unpriced"], serde_json::json!([{"target": "onprem/llama-70b", "uses": 2}]));
}

#[test]
fn names_cannot_draw_on_the_terminal_and_unpriced_ones_are_bounded() {
    let long = "x".repeat(100);
    let mut lines = vec![line("", "a\u{1b}[31m", "", &long, 0, 0, 0)];
    lines.extend((0..12).map(|number| line("", "b", "", &format!("p/m{number:02}"), 0, 0, 1)));
    let (from, to) = days();
    let table = Page::new(&lines, &[By::Model, By::Target], from, to).table();
    assert!(table.contains("a?[31m") && !table.contains('\u{1b}'), "{table}");
    assert!(table.contains(&format!("{}\u{2026}", "x".repeat(60))), "{table}");
    assert!(table.ends_with("p/m09 (1 use), and 2 more\n"), "{table}");
}

#[test]
fn sums_of_anything_saturate() {
    let most = Totals {
        calls: u64::MAX,
        input: u64::MAX,
        output: u64::MAX,
        cached: 0,
        reasoning: 0,
        estimated: u64::MAX,
        cost: Usd::from_pico(u64::MAX),
        unpriced: 1,
    };
    let lines = vec![Line { totals: most, ..Line::default() }; 2];
    let (from, to) = days();
    assert!(Page::new(&lines, &[By::Day], from, to).table().contains("100%"));
}

#[test]
fn days_are_counted_with_today() {
    for (text, day) in [
        ("7d", "2026-11-14"),
        ("1d", "2026-11-20"),
        ("3h", "2026-11-20"),
        ("25h", "2026-11-19"),
        ("0s", "2026-11-20"),
        ("365d", "2025-11-21"),
        ("2026-11-01", "2026-11-01"),
        ("2026-11-20", "2026-11-20"),
    ] {
        assert_eq!(first_day(text, NOON).unwrap().to_string(), day, "{text}");
    }
    for (text, said) in [
        ("7", "is not understood"),
        ("soon", "is not understood"),
        ("366d", "is not understood"),
        ("2026-02-30", "is not understood"),
        ("", "is not understood"),
        ("2026-11-21", "lies ahead"),
    ] {
        assert!(first_day(text, NOON).unwrap_err().to_string().contains(said), "{text}");
    }
}
