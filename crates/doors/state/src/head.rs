//! What the headers of a request say: conditions, times, schema, epoch and preferences.
//!
//! A header that cannot be read is refused, never passed over: a condition that is not understood would be a write without one.

use std::time::Duration;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use tradewind_core::{Code, parse_duration};
use tradewind_door::Refusal;
use tradewind_store::state::{Condition, Ttl};
use tradewind_store::{Epoch, Hash, Rev, Schema};

/// How long a value lives: `5m`, `5m; sliding`, or `none`.
pub(crate) const TTL: HeaderName = HeaderName::from_static("tradewind-ttl");
/// The schema of a value: `name@version`.
pub(crate) const SCHEMA: HeaderName = HeaderName::from_static("tradewind-schema");
/// The epoch of the writer, or of a value.
pub(crate) const EPOCH: HeaderName = HeaderName::from_static("tradewind-epoch");
/// Whether the body of a `PATCH` is appended.
pub(crate) const APPEND: HeaderName = HeaderName::from_static("tradewind-append");
/// SHA-256 of a value, in hexadecimal digits.
pub(crate) const HASH: HeaderName = HeaderName::from_static("tradewind-hash");
/// When a value is gone.
pub(crate) const EXPIRES: HeaderName = HeaderName::from_static("tradewind-expires-at");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was done about `Prefer` (RFC 7240 §3).
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The type of a value whose writer says none.
const UNSAID: &str = "application/octet-stream";

/// What a write says that it replaces.
///
/// # Errors
/// 428 without a condition, and with `If-Match: *`, which would replace whatever is there; 400 for what is no condition on
/// one revision.
pub(crate) fn precondition(headers: &HeaderMap) -> Result<Condition, Refusal> {
    match (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?) {
        (None, None) => Err(Refusal::new(
            Code::StateConditionless,
            "say what this write replaces: `If-None-Match: *` for a key that is not there, `If-Match: \"REV\"` for the \
             revision that you read",
        )),
        (Some("*"), None) => Err(Refusal::new(
            Code::StateConditionless,
            "`If-Match: *` would replace what you have not seen; send `If-Match: \"REV\"` with the revision that you read",
        )),
        (Some(tag), None) => tagged(tag)
            .map(Condition::At)
            .ok_or_else(|| bad(&IF_MATCH, "one revision as it stands in `ETag`, such as \"7\"")),
        (None, Some("*")) => Ok(Condition::Absent),
        (None, Some(_)) => Err(bad(&IF_NONE_MATCH, "`*` with a write")),
        (Some(_), Some(_)) => Err(bad(&IF_MATCH, "not sent together with `If-None-Match`")),
    }
}

/// Refuses a condition where none is looked at: a caller that sends one believes that it is.
///
/// # Errors
/// 400 with what to do `instead`.
pub(crate) fn unconditional(headers: &HeaderMap, instead: &'static str) -> Result<(), Refusal> {
    match [IF_MATCH, IF_NONE_MATCH].into_iter().find(|name| headers.contains_key(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("`{name}` is no condition of this operation: {instead}");
            Err(Refusal::new(Code::BadHeader, message).in_field(name.as_str().to_owned()))
        }
    }
}

/// Whether whoever reads has this revision already: `If-None-Match` names it (RFC 9110 §13.1.2).
pub(crate) fn has_already(headers: &HeaderMap, rev: Rev) -> bool {
    if !headers.contains_key(IF_NONE_MATCH) {
        return false;
    }
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tagged(tag.strip_prefix("W/").unwrap_or(tag)) == Some(rev))
}

/// Whether `If-Match` of a read, if there is one, names this revision.
pub(crate) fn is_wanted(headers: &HeaderMap, rev: Rev) -> bool {
    if !headers.contains_key(IF_MATCH) {
        return true;
    }
    let values = headers.get_all(IF_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|tag| tag == "*" || tagged(tag) == Some(rev))
}

fn tagged(tag: &str) -> Option<Rev> {
    Rev::parse(tag.strip_prefix('"')?.strip_suffix('"')?).ok()
}

/// The tag of a revision: its number.
pub(crate) fn etag(rev: Rev) -> HeaderValue {
    HeaderValue::try_from(format!("\"{rev}\"")).expect("digits between quotes are a header")
}

/// An epoch as a header.
pub(crate) fn epoch_value(epoch: Epoch) -> HeaderValue {
    if epoch == Epoch::FIRST { HeaderValue::from_static("0") } else { HeaderValue::from(epoch.get()) }
}

/// A hash as a header.
pub(crate) fn hash_value(hash: &Hash) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(hash.0) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    HeaderValue::from_bytes(&text).expect("hexadecimal digits are a header")
}

/// A content type as a header. It was checked when it was written.
pub(crate) fn type_value(content_type: &str) -> HeaderValue {
    match content_type {
        "application/json" => HeaderValue::from_static("application/json"),
        other => HeaderValue::from_str(other).unwrap_or(HeaderValue::from_static(UNSAID)),
    }
}

/// The shortest time to live.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// Reads `Tradewind-TTL`.
///
/// # Errors
/// 400 when it is something else than a time of 1 s to 365 days, `none`, or such a time with `; sliding`.
pub(crate) fn ttl(headers: &HeaderMap) -> Result<Option<Ttl>, Refusal> {
    let Some(text) = one(headers, &TTL)? else { return Ok(None) };
    if text == "none" {
        return Ok(Some(Ttl::Never));
    }
    let wrong = || bad(&TTL, "a time from 1s to 365d such as 90s, 15m or 30d, with `; sliding` behind it, or `none`");
    let (time, is_sliding) = match text.split_once(';') {
        Some((time, word)) if word.trim() == "sliding" => (time, true),
        Some(_) => return Err(wrong()),
        None => (text, false),
    };
    let time = parse_duration(time).ok().filter(|time| *time >= SHORTEST_TTL).ok_or_else(wrong)?;
    Ok(Some(if is_sliding { Ttl::Sliding(time) } else { Ttl::Fixed(time) }))
}

/// Reads `Tradewind-Epoch`.
///
/// # Errors
/// 400 when it is no number.
pub(crate) fn epoch(headers: &HeaderMap) -> Result<Option<Epoch>, Refusal> {
    let read = one(headers, &EPOCH)?.map(Epoch::parse).transpose();
    read.map_err(|_| bad(&EPOCH, "the number that a read or a redeemed token gave"))
}

/// Reads `Tradewind-Schema`.
///
/// # Errors
/// 400 when it is not `name@version`.
pub(crate) fn schema(headers: &HeaderMap) -> Result<Option<Schema>, Refusal> {
    let read = one(headers, &SCHEMA)?.map(Schema::parse).transpose();
    read.map_err(|error| {
        Refusal::new(Code::BadHeader, format!("`tradewind-schema`: {error}")).in_field("tradewind-schema")
    })
}

/// The type of the body.
///
/// # Errors
/// 400 when it is no printable text.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<&str, Refusal> {
    Ok(one(headers, &CONTENT_TYPE)?.unwrap_or(UNSAID))
}

/// Whether the body is to be appended.
///
/// # Errors
/// 400 when it is neither `true` nor `false`.
pub(crate) fn append(headers: &HeaderMap) -> Result<bool, Refusal> {
    match one(headers, &APPEND)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(bad(&APPEND, "`true` or `false`")),
    }
}

/// What a caller would like to have in the answer to a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Return {
    /// What was written, without its content.
    #[default]
    Usual,
    /// Nothing but the headers.
    Minimal,
    /// The content.
    Representation,
}

/// Reads `Prefer` (RFC 7240). What is not understood is passed over, as that RFC wants it.
pub(crate) fn preferred(headers: &HeaderMap) -> Return {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split([',', ';'])).map(str::trim);
    words
        .find_map(|word| match word {
            "return=representation" => Some(Return::Representation),
            "return=minimal" => Some(Return::Minimal),
            _ => None,
        })
        .unwrap_or_default()
}

/// The value of a header that stands once, or not at all.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad(name, "sent once"));
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| bad(name, "printable ASCII"))
}

fn bad(name: &HeaderName, what: &str) -> Refusal {
    Refusal::new(Code::BadHeader, format!("`{name}` is {what}")).in_field(name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn rev(number: u64) -> Rev {
        Rev::new(number).unwrap()
    }

    #[test]
    fn a_write_says_what_it_replaces() {
        assert_eq!(precondition(&headers(&[(IF_MATCH, "\"7\"")])).unwrap(), Condition::At(rev(7)));
        assert_eq!(precondition(&headers(&[(IF_NONE_MATCH, "*")])).unwrap(), Condition::Absent);
        for none in [&[][..], &[(IF_MATCH, "*")]] {
            assert_eq!(precondition(&headers(none)).unwrap_err().code, Code::StateConditionless);
        }
        for bad in [
            &[(IF_MATCH, "7")][..],
            &[(IF_MATCH, "W/\"7\"")],
            &[(IF_MATCH, "\"7\", \"8\"")],
            &[(IF_MATCH, "\"7\""), (IF_MATCH, "\"8\"")],
            &[(IF_MATCH, "\"0\"")],
            &[(IF_MATCH, "\"-1\"")],
            &[(IF_MATCH, "")],
            &[(IF_MATCH, "\"ä\"")],
            &[(IF_NONE_MATCH, "\"7\"")],
            &[(IF_NONE_MATCH, "")],
            &[(IF_NONE_MATCH, "*"), (IF_MATCH, "\"7\"")],
        ] {
            let refusal = precondition(&headers(bad)).expect_err("no condition on one revision");
            assert_eq!((refusal.code, refusal.status), (Code::BadHeader, 400), "{bad:?}");
        }
    }

    #[test]
    fn what_takes_no_condition_refuses_one() {
        assert!(unconditional(&HeaderMap::new(), "go on").is_ok());
        for name in [IF_MATCH, IF_NONE_MATCH] {
            let refusal = unconditional(&headers(&[(name.clone(), "*")]), "go on").unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::BadHeader, Some(name.as_str())));
            assert!(refusal.message.ends_with("go on"));
        }
    }

    #[test]
    fn tags_read_back() {
        for number in [1, 9, 10, 1_234_567_890, Rev::MAX] {
            let tag = etag(rev(number));
            assert_eq!(tag, format!("\"{number}\""));
            assert_eq!(tagged(tag.to_str().unwrap()), Some(rev(number)));
        }
    }

    #[test]
    fn reads_have_conditions_too() {
        for has in ["\"7\"", "W/\"7\"", "\"1\", \"7\"", "*"] {
            assert!(has_already(&headers(&[(IF_NONE_MATCH, has)]), rev(7)), "{has}");
        }
        for has_not in ["\"8\"", "7", "", "\"77\""] {
            assert!(!has_already(&headers(&[(IF_NONE_MATCH, has_not)]), rev(7)), "{has_not}");
        }
        assert!(!has_already(&HeaderMap::new(), rev(7)) && is_wanted(&HeaderMap::new(), rev(7)));
        assert!(is_wanted(&headers(&[(IF_MATCH, "\"7\"")]), rev(7)) && is_wanted(&headers(&[(IF_MATCH, "*")]), rev(7)));
        assert!(!is_wanted(&headers(&[(IF_MATCH, "\"8\"")]), rev(7)));
        assert!(!is_wanted(&headers(&[(IF_MATCH, "W/\"7\"")]), rev(7)), "weak tags never match strongly");
    }

    #[test]
    fn times_to_live_are_read() {
        let read = |text| ttl(&headers(&[(TTL, text)]));
        assert_eq!(read("90s").unwrap(), Some(Ttl::Fixed(Duration::from_secs(90))));
        assert_eq!(read("90").unwrap(), Some(Ttl::Fixed(Duration::from_secs(90))));
        assert_eq!(read("15m; sliding").unwrap(), Some(Ttl::Sliding(Duration::from_secs(900))));
        assert_eq!(read("none").unwrap(), Some(Ttl::Never));
        assert_eq!(ttl(&HeaderMap::new()).unwrap(), None);
        for bad in ["", "0", "999ms", "366d", "5m; slide", "5m;", "-1s", "soon", "NaN"] {
            assert_eq!(read(bad).expect_err(bad).code, Code::BadHeader, "{bad}");
        }
    }

    #[test]
    fn the_rest_is_read() {
        assert_eq!(epoch(&headers(&[(EPOCH, "3")])).unwrap(), Epoch::new(3));
        assert_eq!(schema(&headers(&[(SCHEMA, "thread@2")])).unwrap().unwrap().to_string(), "thread@2");
        assert!(append(&headers(&[(APPEND, "true")])).unwrap() && !append(&HeaderMap::new()).unwrap());
        assert_eq!(content_type(&HeaderMap::new()).unwrap(), UNSAID);
        assert_eq!(preferred(&headers(&[(PREFER, "respond-async, return=representation")])), Return::Representation);
        assert_eq!(preferred(&headers(&[(PREFER, "return=minimal; wait=3")])), Return::Minimal);
        assert_eq!(preferred(&headers(&[(PREFER, "return=everything")])), Return::Usual);
        for (name, bad) in [(EPOCH, "-1"), (EPOCH, "x"), (SCHEMA, "thread"), (SCHEMA, "thread@x"), (APPEND, "yes")] {
            let headers = headers(&[(name.clone(), bad)]);
            let refused = [epoch(&headers).err(), schema(&headers).err(), append(&headers).err()];
            assert_eq!(
                refused.into_iter().flatten().map(|refusal| refusal.code).collect::<Vec<_>>(),
                [Code::BadHeader]
            );
        }
    }

    proptest! {
        #[test]
        fn any_headers_are_read_or_refused(bytes in proptest::collection::vec(0x20u8..=0xff, 0..30)) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let names = [IF_MATCH, IF_NONE_MATCH, TTL, EPOCH, SCHEMA, APPEND, PREFER, CONTENT_TYPE];
            let headers: HeaderMap = names.into_iter().map(|name| (name, value.clone())).collect();
            let _ = (precondition(&headers), ttl(&headers), epoch(&headers), schema(&headers), append(&headers));
            let _ = (has_already(&headers, rev(7)), is_wanted(&headers, rev(7)), preferred(&headers), content_type(&headers));
        }
    }
}
