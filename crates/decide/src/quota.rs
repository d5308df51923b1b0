//! What a provider says about its limits in the headers of an answer, and how much of them is left now.
//!
//! Read are `x-ratelimit-*` (OpenAI, with resets like `6m0s`), `anthropic-ratelimit-*` (RFC 3339), and `ratelimit` with
//! `ratelimit-policy` in the two forms that its drafts had (draft-ietf-httpapi-ratelimit-headers: `limit=100, remaining=50,
//! reset=30` up to 07, `"name";r=50;t=30` later). Of several limits the one with the least left counts. What makes no
//! sense is as good as absent; nothing here refuses a call.

use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Moment, UnixMillis};

use crate::retry_after::{ABSURD_SECONDS, number, written_out};

/// When a limit does not say when it is full again: the limits of providers are by the minute.
const USUAL_RESET: f64 = 60.0;

/// A header that is longer is not looked at.
const LONGEST_HEADER: usize = 512;

/// More limits than this are not looked at.
const MOST_LIMITS: usize = 8;

/// What was left of the scarcest limit when an answer came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// The share that was left, 0 to 1.
    share: f64,
    seen: Moment,
    resets_at: Moment,
}

/// What is left of a provider's limits at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaView {
    /// The share, 0 to 1.
    pub left: f64,
    /// Until it is 1 again.
    pub resets_in: Duration,
}

impl Quota {
    /// Whether a header of this name, in lower case, may say something about limits.
    #[must_use]
    pub fn is_read_from(name: &str) -> bool {
        name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-") || name.starts_with("ratelimit")
    }

    /// Reads the headers of an answer that came at `now`, `wall` by the wall clock. Names are lower-case. `None` when no
    /// limit is complete enough to know a share of it.
    pub fn read<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: Moment,
        wall: UnixMillis,
    ) -> Option<Self> {
        let mut limits: Limits<'a> = SmallVec::new();
        for (name, value) in headers {
            if value.len() > LONGEST_HEADER {
                continue;
            }
            if let Some(rest) = name.strip_prefix("x-ratelimit-") {
                if let Some((field, kind)) = rest.split_once('-') {
                    set(&mut limits, (Vendor::OpenAi, kind), field, value, wall);
                }
            } else if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
                if let Some((kind, field)) = rest.rsplit_once('-') {
                    set(&mut limits, (Vendor::Anthropic, kind), field, value, wall);
                }
            } else if name == "ratelimit" || name == "ratelimit-policy" {
                draft(&mut limits, value);
            }
        }
        let scarcest =
            limits.iter().filter_map(|(_, limit)| Some((limit.share()?, limit.resets_in()))).min_by(|a, b| {
                // Of two with as little left, the one that takes longer.
                a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1))
            });
        let (share, resets_in) = scarcest?;
        Some(Self { share, seen: now, resets_at: now + Duration::from_secs_f64(resets_in) })
    }

    /// What is left now: the limit fills steadily until its reset (both vendors' are token buckets). `None` once it is
    /// full, when there is nothing more to say.
    #[must_use]
    pub fn at(&self, now: Moment) -> Option<QuotaView> {
        let resets_in = self.resets_at.since(now);
        if resets_in.is_zero() || self.share >= 1.0 {
            return None;
        }
        let whole = self.resets_at.since(self.seen).as_secs_f64();
        let missing = (1.0 - self.share) * (resets_in.as_secs_f64() / whole).min(1.0);
        Some(QuotaView { left: 1.0 - missing, resets_in })
    }
}

type Limits<'a> = SmallVec<[((Vendor, &'a str), Limit); MOST_LIMITS]>;

/// Whose way of naming limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    OpenAi,
    Anthropic,
    Draft,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    most: Option<f64>,
    remaining: Option<f64>,
    /// Seconds.
    reset: Option<f64>,
}

impl Limit {
    fn share(&self) -> Option<f64> {
        let (most, remaining) = (self.most.filter(|most| *most > 0.0)?, self.remaining?);
        Some((remaining / most).clamp(0.0, 1.0))
    }

    fn resets_in(&self) -> f64 {
        self.reset.unwrap_or(USUAL_RESET)
    }
}

/// The limit of this name, new if need be; `None` when there are too many.
fn limit<'l, 'a>(limits: &'l mut Limits<'a>, name: (Vendor, &'a str)) -> Option<&'l mut Limit> {
    let place = match limits.iter().position(|(known, _)| *known == name) {
        Some(place) => place,
        None if limits.len() < MOST_LIMITS => {
            limits.push((name, Limit::default()));
            limits.len() - 1
        }
        None => return None,
    };
    Some(&mut limits[place].1)
}

/// One header of a vendor: `field` is `limit`, `remaining` or `reset`.
fn set<'a>(limits: &mut Limits<'a>, name: (Vendor, &'a str), field: &str, value: &str, wall: UnixMillis) {
    if !matches!(name.1, "requests" | "tokens" | "input-tokens" | "output-tokens") {
        return;
    }
    let value = value.trim();
    let Some(limit) = limit(limits, name) else { return };
    match field {
        "limit" => limit.most = amount(value),
        "remaining" => limit.remaining = amount(value),
        "reset" => limit.reset = reset(value, wall),
        _ => {}
    }
}

/// `ratelimit` or `ratelimit-policy`: a list of items with parameters, or of pairs.
fn draft<'a>(limits: &mut Limits<'a>, value: &'a str) {
    for item in split(value, b',').take(MOST_LIMITS) {
        let mut pieces = split(item, b';');
        let head = pieces.next().unwrap_or("");
        // `limit=100` stands alone; `"name";q=100` and `100;w=60` have a head of their own.
        let (name, first) = if head.contains('=') && !head.starts_with('"') { ("", Some(head)) } else { (head, None) };
        // The policy of the older form, `100;w=60`, repeats what `limit=` says.
        if name.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for (key, text) in first.into_iter().chain(pieces).take(MOST_LIMITS).filter_map(|pair| pair.split_once('=')) {
            let Some(number) = amount(text.trim()) else { continue };
            let key = key.trim();
            if !matches!(key, "limit" | "q" | "remaining" | "r" | "reset" | "t") {
                continue;
            }
            let Some(limit) = limit(limits, (Vendor::Draft, name)) else { continue };
            match key {
                "limit" | "q" => limit.most = Some(number),
                "remaining" | "r" => limit.remaining = Some(number),
                _ => limit.reset = sane(number),
            }
        }
    }
}

/// The pieces between separators outside of quotes, trimmed.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let ends = byte == separator && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim())
    })
}

/// A number from 0 on.
fn amount(text: &str) -> Option<f64> {
    number(text).filter(|amount| *amount >= 0.0 && amount.is_finite())
}

/// Seconds until a reset: a duration, seconds, or a time.
fn reset(text: &str, wall: UnixMillis) -> Option<f64> {
    let until = |at: UnixMillis| (at.0 as f64 - wall.0 as f64) / 1e3;
    number(text).or_else(|| written_out(text)).or_else(|| UnixMillis::parse_rfc3339(text).map(until)).and_then(sane)
}

fn sane(seconds: f64) -> Option<f64> {
    (0.0..=ABSURD_SECONDS).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-21T20:57:01Z.
    const WALL: UnixMillis = UnixMillis(1_795_294_621_000);

    const NOW: Moment = Moment::from_micros(50_000_000);

    /// What is left, and seconds to the reset, at once.
    fn read(headers: &[(&str, &str)]) -> Option<(f64, f64)> {
        let view = Quota::read(headers.iter().copied(), NOW, WALL)?.at(NOW)?;
        Some(((view.left * 1e6).round() / 1e6, view.resets_in.as_secs_f64()))
    }

    #[test]
    fn what_providers_write_is_understood() {
        let openai = [
            ("content-type", "application/json"),
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-requests", "45"),
            ("x-ratelimit-remaining-tokens", "15000"),
            ("x-ratelimit-reset-requests", "20ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(read(&openai), Some((0.1, 360.0)), "tokens are scarcer");
        assert_eq!(read(&openai[..6]), Some((0.1, 60.0)), "without a reset it is a minute");
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T20:57:11Z"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-input-tokens-remaining", "10000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T20:57:31Z"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "0"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-21T20:57:02.500Z"),
        ];
        assert_eq!(read(&anthropic), Some((0.0, 1.5)));
        assert_eq!(read(&anthropic[..6]), Some((0.25, 30.0)));
        for (headers, wanted) in [
            (
                vec![("ratelimit-policy", r#""default";q=100;w=60"#), ("ratelimit", r#""default";r=50;t=30"#)],
                (0.5, 30.0),
            ),
            (
                vec![
                    ("ratelimit", r#""a, b";r=9;t=5, "day";r=100;t=500"#),
                    ("ratelimit-policy", r#""a, b";q=10;w=60;qu="requests", "day";q=1000"#),
                ],
                (0.1, 500.0),
            ),
            (vec![("ratelimit", "limit=100, remaining=25, reset=50"), ("ratelimit-policy", "100;w=60")], (0.25, 50.0)),
            (vec![("ratelimit", "remaining=25;limit=100;reset=7")], (0.25, 7.0)),
        ] {
            assert_eq!(read(&headers), Some(wanted), "{headers:?}");
        }
    }

    #[test]
    fn nonsense_is_as_good_as_nothing() {
        for value in ["", "-1", "NaN", "inf", "1e3", "ten", "0x10", "--", "9".repeat(600).as_str()] {
            let headers = [("x-ratelimit-limit-requests", value), ("x-ratelimit-remaining-requests", "5")];
            assert_eq!(read(&headers), None, "{value}");
            let headers = [("x-ratelimit-limit-requests", "5"), ("x-ratelimit-remaining-requests", value)];
            assert_eq!(read(&headers), None, "{value}");
            let limit = [("x-ratelimit-limit-tokens", "10"), ("x-ratelimit-remaining-tokens", "5")];
            let reset = ("x-ratelimit-reset-tokens", value);
            assert_eq!(read(&[limit[0], limit[1], reset]), Some((0.5, 60.0)), "{value}");
        }
        for headers in [
            vec![],
            vec![("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")],
            vec![("x-ratelimit-limit-bananas", "10"), ("x-ratelimit-remaining-bananas", "1")],
            vec![("x-ratelimit-", "1"), ("anthropic-ratelimit-", "1"), ("ratelimit", "\"")],
            vec![("ratelimit", r#""a";r=1;t=5"#), ("ratelimit-policy", r#""b";q=10"#)],
            vec![("ratelimit", ";;;,,,=;=,\"\\")],
        ] {
            assert_eq!(read(&headers), None, "{headers:?}");
        }
        // More left than there is: full.
        assert_eq!(read(&[("x-ratelimit-limit-requests", "5"), ("x-ratelimit-remaining-requests", "9")]), None);
    }

    #[test]
    fn it_fills_until_its_reset() {
        let headers = [
            ("x-ratelimit-limit-tokens", "100"),
            ("x-ratelimit-remaining-tokens", "20"),
            ("x-ratelimit-reset-tokens", "40s"),
        ];
        let quota = Quota::read(headers, NOW, WALL).unwrap();
        for (seconds, left) in [(0, 0.2), (10, 0.4), (20, 0.6), (39, 0.98)] {
            let view = quota.at(NOW + Duration::from_secs(seconds)).unwrap();
            assert!((view.left - left).abs() < 1e-9 && view.resets_in == Duration::from_secs(40 - seconds), "{view:?}");
        }
        assert_eq!(quota.at(NOW + Duration::from_secs(40)), None);
        assert!((quota.at(Moment::START).unwrap().left - 0.2).abs() < 1e-9, "time that runs backwards");
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "(x-ratelimit-(limit|remaining|reset)-(requests|tokens))",
            "(anthropic-ratelimit-(requests|tokens|input-tokens)-(limit|remaining|reset))",
            "ratelimit(-policy)?",
            "[a-z-]{0,30}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_header_makes_reading_it_panic(
            headers in proptest::collection::vec((name(), prop_oneof![".{0,40}", "[0-9]{1,25}", "[a-z0-9\"=;, \\\\]{0,40}"]), 0..20),
            later in any::<u64>(),
        ) {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Some(quota) = Quota::read(pairs, NOW, WALL) {
                for at in [NOW, NOW + Duration::from_secs(1), Moment::from_micros(later)] {
                    let left = quota.at(at).map_or(1.0, |view| view.left);
                    prop_assert!((0.0..=1.0).contains(&left));
                }
            }
        }
    }
}
