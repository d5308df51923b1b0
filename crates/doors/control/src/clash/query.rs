//! The part of an address behind the question mark.

use tradewind_core::percent_decoded;

/// The first value of `name`; `None` when it is not there.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut named = pairs.filter(|(key, _)| decoded(key) == name);
    named.next().map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        let query = Some("url=http%3A%2F%2Fa%2F%3Fx%3D1&timeout=5&e&n=a+b&timeout=6");
        assert_eq!(parameter(query, "url").as_deref(), Some("http://a/?x=1"));
        assert_eq!(parameter(query, "timeout").as_deref(), Some("5"));
        assert_eq!(parameter(query, "e").as_deref(), Some(""));
        assert_eq!(parameter(query, "n").as_deref(), Some("a b"));
        assert_eq!((parameter(query, "x"), parameter(None, "x")), (None, None));
    }
}
