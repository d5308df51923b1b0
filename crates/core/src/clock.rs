//! Time as a value. Only `runtime` reads a clock; everything else is handed a [`Moment`] or a [`Clock`].

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the process's monotonic clock, in microseconds since an origin that only the clock knows.
///
/// A jump of the wall clock does not move it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The origin.
    pub const START: Self = Self(0);

    /// The moment `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Wall time in milliseconds since the Unix epoch: for records that people read, never for measuring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// RFC 3339 in UTC with milliseconds, `2026-11-21T20:57:01.123Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1000 % 60, millis % 1000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }

    /// Reads RFC 3339 with `Z` or an offset; years from 1970 on.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        millis_of_rfc3339(text).and_then(|millis| u64::try_from(millis).ok()).map(Self)
    }
}

/// An RFC 3339 time with `Z` or an offset, in milliseconds since the epoch.
fn millis_of_rfc3339(text: &str) -> Option<i64> {
    let field = |from: usize, length: usize, least: i64, most: i64| -> Option<i64> {
        let digits = text.get(from..from + length).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok().filter(|value| (least..=most).contains(value))
    };
    let separators = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if separators.iter().any(|(place, mark)| text.get(*place..place + 1) != Some(mark))
        || !matches!(text.get(10..11)?, "T" | "t" | " ")
    {
        return None;
    }
    let (year, month, day) = (field(0, 4, 1970, 9999)?, field(5, 2, 1, 12)?, field(8, 2, 1, 31)?);
    let (hour, minute, second) = (field(11, 2, 0, 23)?, field(14, 2, 0, 59)?, field(17, 2, 0, 60)?);
    let mut rest = text.get(19..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let end = fraction.find(|c: char| !c.is_ascii_digit())?;
        millis = (format!("0.{}", &fraction[..end]).parse::<f64>().ok()? * 1e3) as i64;
        rest = &fraction[end..];
    }
    let offset_minutes = match rest {
        "Z" | "z" => 0,
        _ => {
            let place = text.len() - rest.len();
            let (hours, minutes) = (field(place + 1, 2, 0, 23)?, field(place + 4, 2, 0, 59)?);
            if rest.len() != 6 || rest.get(3..4) != Some(":") {
                return None;
            }
            match rest.get(..1)? {
                "+" => hours * 60 + minutes,
                "-" => -(hours * 60 + minutes),
                _ => return None,
            }
        }
    };
    let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    Some((minutes * 60 + second) * 1000 + millis)
}

/// Days since 1970-01-01, by Howard Hinnant's `days_from_civil` (public domain description); years from 1970 on.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year / 400;
    let year_of_era = shifted_year % 400;
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Days since 1970-01-01 to (year, month, day), by Howard Hinnant's `civil_from_days` (public domain description).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Where time comes from. The real one lives in `runtime`; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The present on the monotonic clock.
    fn now(&self) -> Moment;
    /// The present on the wall clock.
    fn wall(&self) -> UnixMillis;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_reads_as_rfc3339() {
        assert_eq!(UnixMillis(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis(951_782_400_000).rfc3339(), "2000-02-29T00:00:00.000Z");
        assert_eq!(UnixMillis(1_795_294_621_123).rfc3339(), "2026-11-21T20:57:01.123Z");
    }

    #[test]
    fn wall_time_is_read_from_rfc3339() {
        let at = UnixMillis(1_795_294_621_123);
        assert_eq!(UnixMillis::parse_rfc3339("2026-11-21T20:57:01.123Z"), Some(at));
        assert_eq!(UnixMillis::parse_rfc3339("2026-11-21T22:57:01.123+02:00"), Some(at));
        for text in [
            "",
            "2026-11-21",
            "2026-13-21T20:57:01Z",
            "2026-11-21T20:57:01",
            "1969-12-31T23:59:59Z",
            "é026-11-21T20:57:01Z",
        ] {
            assert_eq!(UnixMillis::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn moments_never_run_backwards() {
        let (early, late) = (Moment::from_micros(5), Moment::from_micros(9));
        assert_eq!(late.since(early), Duration::from_micros(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Moment::from_micros(u64::MAX) + Duration::MAX, Moment::from_micros(u64::MAX));
    }
}
