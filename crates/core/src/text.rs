//! Texts as people and clients write them: durations, hexadecimal digits, percent-encoding.

use std::fmt;
use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number and a unit, like 250ms, 8s, 5m, 1h or 2d")]
pub struct ParseDurationError(String);

/// Parses `250ms`, `1.5s`, `5m`, `1h`, `2d`; a bare number means seconds. At most 365 days, never negative.
///
/// # Errors
/// When there is no number, the unit is not one of `us`, `ms`, `s`, `m`, `h`, `d`, or the value is out of bounds.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let refused = || ParseDurationError(text.chars().take(40).collect());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| refused())?;
    let unit_seconds = match unit.trim() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(refused()),
    };
    let seconds = number * unit_seconds;
    if !(0.0..=365.0 * 86_400.0).contains(&seconds) {
        return Err(refused());
    }
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

/// The shortest text that [`parse_duration`] reads back: `250ms`, `8s`, `1.5s`, `5m`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    for (unit, size) in [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)]
    {
        if micros >= size && micros.is_multiple_of(size) {
            return format!("{}{unit}", micros / size);
        }
    }
    match micros {
        0 => "0s".to_owned(),
        1..1000 => format!("{micros}us"),
        1000..1_000_000 => format!("{:.1}ms", micros as f64 / 1e3),
        _ => format!("{:.2}s", micros as f64 / 1e6),
    }
}

/// Bytes as hexadecimal digits, in lower case.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    write_hex(bytes, &mut digits).expect("writing to a String does not fail");
    digits
}

/// Writes what [`to_hex`] gives.
///
/// # Errors
/// Those of `out`.
pub fn write_hex(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // In strokes of the length of a SHA-256: a write of each byte costs ten times as much.
    let mut stroke = [0; 64];
    for bytes in bytes.chunks(stroke.len() / 2) {
        for (pair, byte) in stroke.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out.write_str(std::str::from_utf8(&stroke[..2 * bytes.len()]).expect("digits are ASCII"))?;
    }
    Ok(())
}

/// `2 N` hexadecimal digits as `N` bytes, in upper or lower case; nothing when they are more, fewer or others.
#[must_use]
pub fn from_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

/// Undoes percent-encoding (RFC 3986 §2.1). What is not valid encoding stays as it is.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or(b'%'));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_written_and_read_back() {
        for length in [0, 1, 31, 32, 33, 200] {
            let bytes: Vec<u8> = (0..=255).rev().cycle().take(length).collect();
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(to_hex(&bytes), expected, "{length}");
        }
        assert_eq!(from_hex(to_hex(&[0x0f, 0xa0, 7]).as_bytes()), Some([0x0f, 0xa0, 7]));
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [("250ms", 250), ("8s", 8000), ("1.5s", 1500), ("5m", 300_000), ("20", 20_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "1e9", "8 parsecs", "1.2.3s", "99999d", "NaN"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_short() {
        for text in ["250ms", "8s", "5m", "2h", "3d", "0s", "17us"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn hex_is_read_in_either_case_and_nothing_else_is() {
        assert_eq!(from_hex(b"00fFA1"), Some([0x00, 0xff, 0xa1]));
        assert_eq!(from_hex(b""), Some([]));
        for wrong in ["00ffa", "00ffa100", "00ff", "", "00ffg1", "0xffa1", "+0ffa1", " 0ffa1", "00ff\u{e9}"] {
            assert_eq!(from_hex::<3>(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_and_nonsense_stays() {
        assert_eq!(percent_decoded("hub%2Forg%2fmodel%"), "hub/org/model%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
