//! Conditional requests and ranges (RFC 9110 §13 and §14), as far as files that never change need them.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// Whether the caller has it already: `If-None-Match` names its tag, which comes with its quotation marks.
pub(super) fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.trim() == "*"
            || value.split(',').any(|tag| {
                let tag = tag.trim();
                tag.strip_prefix("W/").unwrap_or(tag) == etag
            })
    })
}

/// Which part of a file of `length` bytes is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it. Also where several ranges are asked for, or ones of another unit: a server may ignore them.
    Whole,
    /// From the first byte up to before the second.
    Part(u64, u64),
    /// Nothing that there is: 416.
    Nothing,
}

/// Reads `Range`, which counts only where `If-Range`, if there is one, names this file.
pub(super) fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let Some(range) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Wanted::Whole };
    if let Some(only) = headers.get(IF_RANGE)
        && only.as_bytes() != etag.as_bytes()
    {
        return Wanted::Whole;
    }
    let range = range.trim();
    let Some((unit, set)) = range.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return Wanted::Whole;
    };
    let number = |text: &str| {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    match (number(first), number(last), first.trim().is_empty(), last.trim().is_empty()) {
        // The last so many bytes.
        (_, Some(0), true, _) => Wanted::Nothing,
        (_, Some(count), true, _) if length > 0 => Wanted::Part(length.saturating_sub(count), length),
        (_, Some(_), true, _) => Wanted::Nothing,
        (Some(first), _, _, true) if first < length => Wanted::Part(first, length),
        (Some(first), Some(last), ..) if first <= last && first < length => {
            Wanted::Part(first, last.saturating_add(1).min(length))
        }
        (Some(first), Some(last), ..) if first > last => Wanted::Whole,
        (Some(_), _, _, true) | (Some(_), Some(_), ..) => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const TAG: &str = "\"tag\"";

    fn asked(range: &str) -> Wanted {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        wanted(&headers, TAG, 100)
    }

    #[test]
    fn ranges_are_read() {
        for (range, expected) in [
            ("bytes=0-", Wanted::Part(0, 100)),
            ("bytes=10-19", Wanted::Part(10, 20)),
            ("bytes=10-1000", Wanted::Part(10, 100)),
            ("bytes=99-99", Wanted::Part(99, 100)),
            ("bytes=-10", Wanted::Part(90, 100)),
            ("bytes=-1000", Wanted::Part(0, 100)),
            ("Bytes = 5 - 6", Wanted::Part(5, 7)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=20-10", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("nonsense", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(asked(range), expected, "{range}");
        }
        assert_eq!(wanted(&HeaderMap::new(), TAG, 100), Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_file_is_none() {
        let headers = |only: &'static str| {
            HeaderMap::from_iter([
                (RANGE, HeaderValue::from_static("bytes=1-")),
                (IF_RANGE, HeaderValue::from_static(only)),
            ])
        };
        assert_eq!(wanted(&headers("\"tag\""), TAG, 10), Wanted::Part(1, 10));
        for other in ["\"other\"", "W/\"tag\"", "tag", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(wanted(&headers(other), TAG, 10), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        let has = |value: &'static str| {
            has_already(&HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]), TAG)
        };
        assert!(has("\"tag\"") && has("W/\"tag\"") && has("\"a\", \"tag\"") && has("*"));
        assert!(!has("tag") && !has("\"tags\"") && !has(""));
        assert!(!has_already(&HeaderMap::new(), TAG));
    }

    proptest! {
        #[test]
        fn parts_are_inside(range in "bytes=[-0-9, ]{0,30}", length in 0u64..1000) {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(&range).unwrap())]);
            if let Wanted::Part(from, until) = wanted(&headers, TAG, length) {
                prop_assert!(from < until && until <= length);
            }
        }
    }
}
