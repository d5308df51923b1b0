//! Where a redirect leads (RFC 9110 §10.2.2, RFC 3986 §5.2), for the two schemes there are.

use tradewind_egress::Origin;

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRedirect {
    /// No `Location`, or one that cannot be read.
    #[error("it redirects to nowhere")]
    Nowhere,
    /// From https to http: what was encrypted would be no more.
    #[error("it redirects from https to http")]
    Downgrade,
}

/// Origin and request target of `location`, which came as an answer to a request for `target` at `origin`.
pub(super) fn resolve(origin: &Origin, target: &str, location: &str) -> Result<(Origin, String), BadRedirect> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let absolute = match location.strip_prefix("//") {
        Some(rest) => Some(format!("{}://{rest}", if origin.tls { "https" } else { "http" })),
        None if has_scheme(location) => Some(location.to_owned()),
        None => None,
    };
    let Some(absolute) = absolute else {
        let path = target.split('?').next().unwrap_or_default();
        let target = match location.chars().next() {
            None => return Err(BadRedirect::Nowhere),
            Some('/') => without_dots(location),
            Some('?') => format!("{path}{location}"),
            Some(_) => without_dots(&format!("{}{location}", &path[..=path.rfind('/').unwrap_or(0)])),
        };
        return checked(origin.clone(), target);
    };
    let next = Origin::parse(&absolute).map_err(|_| BadRedirect::Nowhere)?;
    if origin.tls && !next.tls {
        return Err(BadRedirect::Downgrade);
    }
    let behind = absolute.split_once("://").map_or("", |(_, rest)| rest);
    let target = behind.find(['/', '?']).map_or("/", |start| &behind[start..]);
    let target = if target.starts_with('?') { format!("/{target}") } else { without_dots(target) };
    checked(next, target)
}

/// Whether it begins with a scheme (RFC 3986 §3.1), and not only has one in its query.
fn has_scheme(location: &str) -> bool {
    let is_scheme = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

fn checked(origin: Origin, target: String) -> Result<(Origin, String), BadRedirect> {
    let is_target = target.parse::<http::uri::PathAndQuery>().is_ok() && target.starts_with('/');
    if is_target { Ok((origin, target)) } else { Err(BadRedirect::Nowhere) }
}

/// Takes the elements `.` and `..` out of a path; its query stays.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let elements: Vec<&str> = path.split('/').skip(1).collect();
    for (place, element) in elements.iter().enumerate() {
        let is_last = place + 1 == elements.len();
        match *element {
            "." | ".." => {
                if *element == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let path = format!("/{}", kept.join("/"));
    query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn locations_are_resolved() {
        let origin = Origin::parse("https://a.example").unwrap();
        for (location, expected) in [
            ("https://b.example/x?y=z#f", "https://b.example /x?y=z"),
            ("//b.example:81", "https://b.example:81 /"),
            ("https://b.example?q", "https://b.example /?q"),
            ("/x/./y/../z", "https://a.example /x/z"),
            ("../w", "https://a.example /m/w"),
            ("w?u=http://c/", "https://a.example /m/v/w?u=http://c/"),
            ("?q", "https://a.example /m/v/list?q"),
            ("/../..", "https://a.example /"),
        ] {
            let (origin, target) = resolve(&origin, "/m/v/list?old", location).unwrap();
            assert_eq!(format!("{origin} {target}"), expected, "{location}");
        }
        for (location, error) in [
            ("", BadRedirect::Nowhere),
            ("#x", BadRedirect::Nowhere),
            ("http://b.example/", BadRedirect::Downgrade),
            ("ftp://b.example/", BadRedirect::Nowhere),
            ("/a b", BadRedirect::Nowhere),
        ] {
            assert_eq!(resolve(&origin, "/m", location), Err(error), "{location}");
        }
        let plain = Origin::parse("http://a.example").unwrap();
        assert!(resolve(&plain, "/m", "https://b.example/").is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_said_leads_to_a_target_or_nowhere(location in "(https?:|ftp:|//|/|[.]|[.][.]|\\?|#|é|a| |:){0,12}") {
            let origin = Origin::parse("https://a.example").unwrap();
            if let Ok((next, target)) = resolve(&origin, "/m/list?q", &location) {
                prop_assert!(next.tls && target.starts_with('/'), "{} {}", next, target);
                prop_assert!(!target.split('?').next().unwrap_or_default().split('/').any(|part| part == ".."));
            }
        }
    }
}
