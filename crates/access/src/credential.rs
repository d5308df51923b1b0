//! The secret that a request carries, wherever its client puts it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

/// A header longer than this carries no key: it is not hashed.
const LONGEST: usize = 1024;
/// Where clients put a key: OpenAI's and Anthropic's, and Azure's.
const PLAIN: [&str; 2] = ["x-api-key", "api-key"];

/// The secrets of a request, in the order in which they are tried: some clients send a placeholder in one header and
/// the key in another.
pub(crate) fn secrets(headers: &HeaderMap) -> Presented {
    let mut presented = Presented::default();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        presented.any = true;
        presented.push(authorization(value.as_bytes()));
    }
    for name in PLAIN {
        if let Some(value) = headers.get(name) {
            presented.any = true;
            presented.push(Some(value.as_bytes().trim_ascii().to_vec()));
        }
    }
    presented
}

/// What a request carries.
#[derive(Default)]
pub(crate) struct Presented {
    /// Whether there was a header for a key at all.
    pub(crate) any: bool,
    /// The secrets; at most three.
    pub(crate) secrets: Vec<Vec<u8>>,
}

impl Presented {
    fn push(&mut self, secret: Option<Vec<u8>>) {
        self.secrets.extend(secret.filter(|secret| !secret.is_empty() && secret.len() <= LONGEST));
    }
}

/// The secret of an `Authorization` header: a bearer token (RFC 6750), or the password of Basic (RFC 7617), whose user
/// name may be anything.
fn authorization(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() > LONGEST {
        return None;
    }
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let decoded = STANDARD.decode(rest).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        return Some(decoded[colon + 1..].to_vec());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn found(headers: &[(&'static str, &[u8])]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_bytes(value).unwrap());
        }
        secrets(&map).secrets.into_iter().map(|secret| String::from_utf8_lossy(&secret).into_owned()).collect()
    }

    #[test]
    fn keys_are_found_where_clients_put_them() {
        assert_eq!(found(&[("authorization", b"Bearer tw-1")]), ["tw-1"]);
        assert_eq!(found(&[("authorization", b"bEARER   tw-1 ")]), ["tw-1"]);
        assert_eq!(found(&[("x-api-key", b"tw-2")]), ["tw-2"]);
        assert_eq!(found(&[("api-key", b"tw-3")]), ["tw-3"]);
        assert_eq!(found(&[("authorization", b"Basic YW55Ym9keTp0dy00OjU=")]), ["tw-4:5"]);
        assert_eq!(
            found(&[("api-key", b"c"), ("x-api-key", b"b"), ("authorization", b"Bearer a")]),
            ["a", "b", "c"],
            "in a fixed order"
        );
    }

    #[test]
    fn what_is_no_key_is_none() {
        let (long, none): (Vec<u8>, [&str; 0]) = (vec![b'a'; LONGEST + 1], []);
        let bearer = [b"Bearer ", long.as_slice()].concat();
        for value in [
            &b""[..],
            b"Bearer",
            b"Bearer ",
            b"tw-1",
            b"Digest username=\"x\"",
            b"Basic !!!",
            b"Basic YWJj",
            b"Basic YWJjOg==",
            &bearer,
        ] {
            assert_eq!(found(&[("authorization", value)]), none, "{value:?}");
        }
        assert_eq!(found(&[("x-api-key", &long)]), none);
        assert_eq!(found(&[("x-api-key", b"")]), none);
        assert_eq!(found(&[("x-api-key", b"\xff\xfe")]).len(), 1, "bytes are bytes");
        assert!(!secrets(&HeaderMap::new()).any);
    }
}
