//! How long a provider asks to be left alone, read from the headers of its 429 or 503; and how long to leave it alone
//! when it does not say.
//!
//! Sources: `Retry-After` of RFC 9110 §10.2.3 (seconds or an HTTP date), `retry-after-ms` (Azure and OpenAI),
//! `x-ratelimit-reset-requests` and `-tokens` (OpenAI: `1s`, `6m0s`, `250ms`), `anthropic-ratelimit-*-reset` (RFC 3339).

use std::time::{Duration, UNIX_EPOCH};

use tradewind_core::UnixMillis;

/// The longest that a provider's word is followed. What asks for more is tried again after this, at the cost of one
/// refused attempt.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// Anything beyond is nonsense rather than a request.
pub(crate) const ABSURD_SECONDS: f64 = 86_400.0;

/// The longest wait of [`backoff`].
const BACKOFF_CAP: Duration = Duration::from_secs(60);

/// How long the provider asks to be left alone; `wall` is the present.
///
/// The first of `retry-after-ms`, `retry-after` and the vendors' reset headers that makes sense counts. Zero, negative,
/// past, unreadable, and more than a day are taken as absent; up to a day is capped at [`RETRY_AFTER_CAP`]. `header`
/// looks a header up by its lower-case name.
pub fn retry_after<'a>(header: impl Fn(&str) -> Option<&'a str>, wall: UnixMillis) -> Option<Duration> {
    let millis = || header("retry-after-ms").and_then(number).map(|millis| millis / 1e3).and_then(sane);
    let standard = || {
        let text = header("retry-after")?.trim();
        number(text).or_else(|| http_date(text).map(|at| seconds_from(wall, at))).and_then(sane)
    };
    millis().or_else(standard).or_else(|| vendor_reset(&header, wall))
}

/// How long to wait after `consecutive` refusals in a row (0 for the first) when the provider does not say: up to one
/// second, doubling, up to a minute, with full jitter above a tenth of a second.
///
/// Full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
pub fn backoff(consecutive: u32, random: &mut fastrand::Rng) -> Duration {
    let most = Duration::from_secs(1 << consecutive.min(16)).min(BACKOFF_CAP);
    most.mul_f64(random.f64()).max(Duration::from_millis(100))
}

/// The reset of the limit that is exhausted; where no limit says so, the nearest reset.
fn vendor_reset<'a>(header: &impl Fn(&str) -> Option<&'a str>, wall: UnixMillis) -> Option<Duration> {
    const LIMITS: [(&str, &str); 6] = [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
        ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ];
    let mut exhausted: Option<Duration> = None;
    let mut nearest: Option<Duration> = None;
    for (remaining, reset) in LIMITS {
        let Some(text) = header(reset).map(str::trim) else { continue };
        let seconds = number(text)
            .or_else(|| written_out(text))
            .or_else(|| UnixMillis::parse_rfc3339(text).map(|at| seconds_from(wall, at.0 as i64)));
        let Some(wait) = seconds.and_then(sane) else { continue };
        if header(remaining).and_then(number) == Some(0.0) {
            exhausted = Some(exhausted.map_or(wait, |known| known.max(wait)));
        }
        nearest = Some(nearest.map_or(wait, |known| known.min(wait)));
    }
    exhausted.or(nearest)
}

fn sane(seconds: f64) -> Option<Duration> {
    (seconds > 0.0 && seconds <= ABSURD_SECONDS).then(|| Duration::from_secs_f64(seconds).min(RETRY_AFTER_CAP))
}

fn seconds_from(wall: UnixMillis, at_millis: i64) -> f64 {
    (at_millis as f64 - wall.0 as f64) / 1e3
}

/// A plain decimal number, possibly negative. Not what `f64` reads besides: `inf`, `nan`, exponents.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if plain { text.parse().ok() } else { None }
}

/// Go's way of writing durations: `1s`, `6m0s`, `250ms`, `1h2m3.5s`; in seconds.
pub(crate) fn written_out(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (amount, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let unit_seconds = match unit {
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += amount.parse::<f64>().ok()? * unit_seconds;
        rest = after;
    }
    (!text.is_empty()).then_some(seconds)
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7), in milliseconds since the epoch.
fn http_date(text: &str) -> Option<i64> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T20:57:01Z.
    const WALL: UnixMillis = UnixMillis(1_795_294_621_000);

    fn read(headers: &[(&str, &'static str)]) -> Option<f64> {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        retry_after(find, WALL).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn what_providers_write_is_understood() {
        let table = [
            ("retry-after", "20", 20.0),
            ("retry-after", " 1.5 ", 1.5),
            ("retry-after", "Sat, 21 Nov 2026 20:57:31 GMT", 30.0),
            ("retry-after", "Saturday, 21-Nov-26 20:57:31 GMT", 30.0),
            ("retry-after", "Sat Nov 21 20:57:31 2026", 30.0),
            ("retry-after", "3600", 600.0),
            ("retry-after", "86400", 600.0),
            ("retry-after-ms", "250", 0.25),
            ("x-ratelimit-reset-requests", "1s", 1.0),
            ("x-ratelimit-reset-requests", "6m0s", 360.0),
            ("x-ratelimit-reset-tokens", "250ms", 0.25),
            ("x-ratelimit-reset-tokens", "1m2.5s", 62.5),
            ("x-ratelimit-reset-tokens", "17", 17.0),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T20:57:11Z", 10.0),
            ("anthropic-ratelimit-tokens-reset", "2026-11-21T20:57:11.500Z", 10.5),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T21:57:11+01:00", 10.0),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-21T15:27:11-05:30", 10.0),
        ];
        for (name, value, seconds) in table {
            assert_eq!(read(&[(name, value)]), Some(seconds), "{name}: {value}");
        }
    }

    #[test]
    fn nonsense_is_as_good_as_nothing() {
        for value in [
            "",
            "0",
            "-5",
            "1e9",
            "inf",
            "NaN",
            "86401",
            "999999999999999999999999",
            "soon",
            "--",
            "1.2.3",
            "Sat, 21 Nov 2026 20:56:31 GMT",
            "Sat, 21 Nov 1726 20:56:31 GMT",
            "Sat, 31 Feb 2026 99:99:99 GMT",
        ] {
            assert_eq!(read(&[("retry-after", value)]), None, "{value}");
        }
        for value in ["", "s", "5", "1y", "1s1", "..s", "99999h", "2026-11-21", "2026-11-21T20:57:00Z", "äöü-äöü"]
        {
            let expected = (value == "5").then_some(5.0);
            assert_eq!(read(&[("x-ratelimit-reset-tokens", value)]), expected, "{value}");
        }
        for value in [
            "2026-11-21T20:57:11",
            "2026-11-21T20:57:11.Z5",
            "2026-11-21T20:57:11.5",
            "2026-13-21T20:57:11Z",
            "2026-11-21T20:57:11+1:00",
            "2026-11-21T20:57:11+01:000",
            "2026-11-21T20:57:11é01:00",
            "2026-11-21T2+:57:11Z",
        ] {
            assert_eq!(read(&[("anthropic-ratelimit-tokens-reset", value)]), None, "{value}");
        }
    }

    #[test]
    fn the_exhausted_limit_counts() {
        let headers = [
            ("x-ratelimit-remaining-requests", "99"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(read(&headers), Some(360.0));
        assert_eq!(read(&headers[1..2]), Some(1.0));
        assert_eq!(read(&[("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "9s")]), Some(1.0));
        assert_eq!(read(&[("retry-after", "-1"), ("x-ratelimit-reset-tokens", "9s")]), Some(9.0));
        assert_eq!(read(&[("retry-after", "3"), ("retry-after-ms", "2500")]), Some(2.5));
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn backoff_doubles_to_a_minute_with_full_jitter() {
        let mut random = fastrand::Rng::with_seed(9);
        for (consecutive, most) in [(0, 1.0), (1, 2.0), (3, 8.0), (6, 60.0), (u32::MAX, 60.0)] {
            let waits: Vec<f64> = (0..1000).map(|_| backoff(consecutive, &mut random).as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.1..=most).contains(wait)), "{consecutive}");
            let mean = waits.iter().sum::<f64>() / 1000.0;
            assert!((mean / (most / 2.0) - 1.0).abs() < 0.1, "{consecutive}: {mean}");
        }
    }
}
