//! Days and the periods of budgets, in UTC.

use std::ops::Range;

use tradewind_core::UnixMillis;
use tradewind_policy::Period;

/// Milliseconds of a day; there are no leap seconds in Unix time.
const DAY: u64 = 86_400_000;

/// Days since 1970-01-01.
pub(crate) fn day_of(wall: UnixMillis) -> u32 {
    u32::try_from(wall.0 / DAY).unwrap_or(u32::MAX)
}

/// When a day begins.
pub(crate) const fn start_of(day: u32) -> UnixMillis {
    UnixMillis(day as u64 * DAY)
}

/// The days of the period in which `day` lies; `None` for all days.
pub(crate) fn days_of(period: Period, day: u32) -> Option<Range<u32>> {
    let (first, next) = match period {
        Period::Day => (day, day.saturating_add(1)),
        Period::Week => {
            // 1970-01-01 was a Thursday.
            let since_monday = ((u64::from(day) + 3) % 7) as u32;
            (day.saturating_sub(since_monday), day.saturating_add(7 - since_monday))
        }
        Period::Month => {
            let first = first_of_month(day);
            (first, first_of_month(first.saturating_add(31)))
        }
        Period::Total => return None,
    };
    Some(first..next)
}

/// The first day of the month of `day`, by Howard Hinnant's `civil_from_days` (public domain description).
fn first_of_month(day: u32) -> u32 {
    let shifted = u64::from(day) + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5;
    day - u32::try_from(day_of_month).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> u32 {
        day_of(UnixMillis::parse_rfc3339(&format!("{text}T12:00:00Z")).unwrap())
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        for (period, within, first, next) in [
            (Period::Day, "2026-02-28", "2026-02-28", "2026-03-01"),
            (Period::Week, "2026-11-22", "2026-11-16", "2026-11-23"), // a Sunday
            (Period::Week, "2026-11-23", "2026-11-23", "2026-11-30"), // a Monday
            (Period::Week, "2027-01-01", "2026-12-28", "2027-01-04"),
            (Period::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
            (Period::Month, "2026-12-31", "2026-12-01", "2027-01-01"),
            (Period::Month, "2027-01-01", "2027-01-01", "2027-02-01"),
        ] {
            assert_eq!(days_of(period, day(within)), Some(day(first)..day(next)), "{period:?} {within}");
        }
        assert_eq!(days_of(Period::Total, 1), None);
        assert_eq!(days_of(Period::Week, 0), Some(0..4));
        assert_eq!(start_of(day("2026-11-21")).rfc3339(), "2026-11-21T00:00:00.000Z");
    }

    /// Each day lies in its period, periods touch, and no day is in two.
    #[test]
    fn periods_cover_each_day_once() {
        for period in [Period::Day, Period::Week, Period::Month] {
            let mut present = days_of(period, 0).unwrap();
            for day in 0..80_000 {
                let found = days_of(period, day).unwrap();
                assert!(found.contains(&day), "{period:?} {day}");
                if found != present {
                    assert_eq!(found.start, present.end, "{period:?} {day}");
                    present = found;
                }
            }
        }
        for period in [Period::Day, Period::Week, Period::Month] {
            assert!(days_of(period, u32::MAX).is_some(), "a clock that is far off is no reason to panic");
        }
    }
}
