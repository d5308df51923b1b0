//! What a caller says about kept answers in `cache-control` of its request.

use std::time::Duration;

/// Whether a caller takes a kept answer, and whether its own may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerWish {
    /// Whether it takes a kept answer.
    pub take: bool,
    /// Whether its answer may be kept.
    pub keep: bool,
    /// How old a kept answer may be at most.
    pub max_age: Option<Duration>,
}

impl Default for CallerWish {
    fn default() -> Self {
        Self { take: true, keep: true, max_age: None }
    }
}

impl CallerWish {
    /// Reads a `cache-control` header of a request (RFC 9111 §5.2.1): `no-store` keeps the call out of the caches
    /// altogether, `no-cache` asks again and keeps the new answer, `max-age=SECONDS` takes what is not older. Everything
    /// else in it says nothing here.
    #[must_use]
    pub fn of_header(cache_control: &str) -> Self {
        let mut wish = Self::default();
        for directive in cache_control.split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => (wish.take, wish.keep) = (false, false),
                "no-cache" => wish.take = false,
                "max-age" => {
                    // A delta-seconds that cannot be read counts as stale (RFC 9111 §4.2.1).
                    let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                    wish.max_age = Some(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
        wish
    }

    /// Whether an answer of this age is taken.
    #[must_use]
    pub fn takes(&self, age: Duration) -> bool {
        self.take && self.max_age.is_none_or(|most| age <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_can_keep_out_of_the_cache() {
        for (header, take, keep, max_age) in [
            ("", true, true, None),
            ("no-store", false, false, None),
            ("No-Cache", false, true, None),
            ("max-age=30, no-transform", true, true, Some(30)),
            ("max-age=soon", true, true, Some(0)),
            ("max-age=\"7\" , no-cache", false, true, Some(7)),
            ("only-if-cached", true, true, None),
        ] {
            let expected = CallerWish { take, keep, max_age: max_age.map(Duration::from_secs) };
            assert_eq!(CallerWish::of_header(header), expected, "{header}");
        }
        let wish = CallerWish::of_header("max-age=30");
        assert!(wish.takes(Duration::from_secs(30)) && !wish.takes(Duration::from_secs(31)));
        assert!(!CallerWish::of_header("no-store").takes(Duration::ZERO));
    }
}
