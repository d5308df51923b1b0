//! When two values are the same.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::json::{Reader, read_string};
use super::tree::{Budget, Halt};

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// By what they are: 1, 1.0 and 10e-1 are equal. RFC 6902, section 4.6.
    ByValue,
    /// As they are written, since a reader may tell 1 from 1.0.
    AsWritten,
}

/// Whether two values, without white space around them, are the same: strings by what they say, arrays by their elements in
/// order, objects by their members in any order.
pub(super) fn equal(left: &str, right: &str, numbers: Numbers, budget: &mut Budget) -> Result<bool, Halt> {
    same(left, right, numbers, 0, budget)
}

fn same(left: &str, right: &str, numbers: Numbers, depth: usize, budget: &mut Budget) -> Result<bool, Halt> {
    // Bytes are compared eight times as fast as they are read.
    budget.work(1 + left.len().min(right.len()) / 8)?;
    if left == right {
        return Ok(true);
    }
    let (Some(first), Some(other)) = (left.bytes().next(), right.bytes().next()) else { return Ok(false) };
    let both = |byte: u8| first == byte && other == byte;
    if both(b'"') {
        return Ok(read_string(left) == read_string(right));
    }
    let containers = both(b'[') || both(b'{');
    if containers && depth < MAX_DEPTH {
        budget.work(left.len() + right.len())?;
    }
    match (Reader::new(left), Reader::new(right)) {
        (Some(mut left), Some(mut right)) if both(b'[') && depth < MAX_DEPTH => loop {
            match (left.next(), right.next()) {
                (Ok(left), Ok(right)) => {
                    if !same(left.value, right.value, numbers, depth + 1, budget)? {
                        return Ok(false);
                    }
                }
                (Err(_), Err(_)) => return Ok(true),
                _ => return Ok(false),
            }
        },
        (Some(left), Some(right)) if both(b'{') && depth < MAX_DEPTH => {
            let (left, right) = (members(left, budget)?, members(right, budget)?);
            if left.len() != right.len() {
                return Ok(false);
            }
            for ((name, value), (other, with)) in left.iter().zip(&right) {
                if name != other || !same(value, with, numbers, depth + 1, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (None, None) if numbers == Numbers::ByValue => Ok(number(left).is_some_and(|left| Some(left) == number(right))),
        _ => Ok(false),
    }
}

/// What a name says, and a value.
type Member<'a> = (Cow<'a, [u8]>, &'a str);

/// Names and values of an object, by name.
fn members<'a>(mut reader: Reader<'a>, budget: &mut Budget) -> Result<Vec<Member<'a>>, Halt> {
    let mut members = Vec::new();
    while let Ok(part) = reader.next() {
        budget.part()?;
        members.push((part.name.map_or(Cow::Borrowed(&[][..]), |(name, _)| read_string(name)), part.value));
    }
    members.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(members)
}

/// A number as sign, digits without zeros at either end, and the power of ten behind the last one; `None` for what is none,
/// and where the exponent itself is out of all bounds.
fn number(text: &str) -> Option<(bool, Vec<u8>, i128)> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut exponent = exponent.parse::<i64>().ok()?.into();
    let mut digits = [whole, fraction].concat().into_bytes();
    exponent -= fraction.len() as i128;
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    digits.truncate(digits.len() - zeros);
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    exponent += zeros as i128;
    if digits.is_empty() { Some((false, digits, 0)) } else { Some((is_negative, digits, exponent)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, numbers: Numbers) -> bool {
        let there = equal(left, right, numbers, &mut Budget::new()).unwrap();
        assert_eq!(there, equal(right, left, numbers, &mut Budget::new()).unwrap(), "either way round");
        there
    }

    #[test]
    fn numbers_are_equal_by_value_where_a_test_asks() {
        for (left, right) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("100", "1E+2"),
            ("0", "-0.00e7"),
            ("12345678901234567890123", "1.2345678901234567890123e22"),
            ("[1,{\"a\":2}]", "[1.0,{\"a\":2.0}]"),
        ] {
            assert!(check(left, right, Numbers::ByValue), "{left} {right}");
            assert!(!check(left, right, Numbers::AsWritten), "{left} {right}");
        }
        for (left, right) in [
            ("1", "2"),
            ("1", "-1"),
            ("1", "10"),
            ("12345678901234567890123", "12345678901234567890124"),
            ("1e400", "1e401"),
            ("1e99999999999999999999", "1e99999999999999999998"),
            ("1", "true"),
            ("0", "null"),
            ("true", "false"),
            ("\"1\"", "1"),
        ] {
            assert!(!check(left, right, Numbers::ByValue), "{left} {right}");
        }
    }

    #[test]
    fn strings_and_members_are_equal_by_what_they_say() {
        for (left, right) in [
            (r#""\u0041\n\ud83d\ude00\/""#, "\"A\\n😀/\""),
            (r#""\ud83d""#, r#""\uD83D""#),
            (r#"{"a":1,"b":[ 2 , 3 ]}"#, r#"{ "b" : [2,3] , "\u0061" : 1 }"#),
            ("[]", "[ ]"),
            ("{}", "{\n}"),
        ] {
            assert!(check(left, right, Numbers::AsWritten), "{left} {right}");
        }
        for (left, right) in [
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("[]", "{}"),
            (r#""\ud83d""#, r#""\ud83e""#),
        ] {
            assert!(!check(left, right, Numbers::ByValue), "{left} {right}");
        }
    }
}
