//! Times as Go writes them.

use tradewind_core::UnixMillis;

/// What Go writes for a time that was never set.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 in UTC without zeros at the end of the fraction, `2026-11-21T20:57:01.12Z`.
pub(crate) fn go_time(at: UnixMillis) -> String {
    let text = at.rfc3339();
    let Some((seconds, fraction)) = text.trim_end_matches('Z').split_once('.') else { return text };
    match fraction.trim_end_matches('0') {
        "" => format!("{seconds}Z"),
        fraction => format!("{seconds}.{fraction}Z"),
    }
}

/// `20:57:01` in UTC.
pub(crate) fn clock_time(at: UnixMillis) -> String {
    at.rfc3339().get(11..19).unwrap_or("00:00:00").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_does() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (1_120, "1970-01-01T00:00:01.12Z"),
            (60_000, "1970-01-01T00:01:00Z"),
        ] {
            assert_eq!(go_time(UnixMillis(millis)), text);
        }
        assert_eq!(clock_time(UnixMillis(3_661_999)), "01:01:01");
    }
}
