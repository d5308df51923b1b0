//! Which logins a server or proxy asks for: `WWW-Authenticate` and `Proxy-Authenticate` (RFC 9110, section 11.6.1).

/// One way to log in that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// `Basic`, `Negotiate`, `NTLM`, as it is written.
    pub(crate) scheme: String,
    /// What the login is for, if that is said.
    pub(crate) realm: Option<String>,
}

/// The challenges in the values of one header.
///
/// Commas separate challenges and the parameters of one: a part that begins with a word and no `=` begins a challenge.
pub(crate) fn challenges<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    for value in values {
        for part in parts(value) {
            let part = part.trim();
            let end = part.find(|c: char| !is_token(c)).unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            let rest = rest.trim_start();
            if word.is_empty() {
                continue;
            }
            let is_parameter = rest.starts_with('=');
            let parameter = if is_parameter { part } else { rest };
            if !is_parameter {
                found.push(Challenge { scheme: word.to_owned(), realm: None });
            }
            if let (Some(challenge), Some((name, value))) = (found.last_mut(), parameter.split_once('='))
                && name.trim().eq_ignore_ascii_case("realm")
            {
                challenge.realm = Some(value.trim().trim_matches('"').replace('\\', ""));
            }
        }
    }
    found
}

/// The schemes, for a person.
pub(crate) fn told(challenges: &[Challenge]) -> String {
    let one = |challenge: &Challenge| match &challenge.realm {
        Some(realm) => format!("{} ({realm})", challenge.scheme),
        None => challenge.scheme.clone(),
    };
    challenges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether `scheme` is offered.
pub(crate) fn offers(challenges: &[Challenge], scheme: &str) -> bool {
    challenges.iter().any(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The value cut at the commas that stand in no quotes.
fn parts(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (place, letter) in value.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&value[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_told_apart() {
        for (values, expected) in [
            (vec!["Basic realm=\"Corp, Inc\""], "Basic (Corp, Inc)"),
            (vec!["Negotiate", "NTLM", "Basic realm=\"x\", charset=\"UTF-8\""], "Negotiate, NTLM, Basic (x)"),
            (vec!["Negotiate, NTLM"], "Negotiate, NTLM"),
            (vec!["Digest realm=\"a\", nonce=\"b,c\", qop=auth, Basic realm=d"], "Digest (a), Basic (d)"),
            (vec!["NTLM TlRMTVNTUAACAAAA=="], "NTLM"),
            (vec!["Bearer error=\"x\", realm=\"y\\\"z\""], "Bearer (y\"z)"),
            (vec![""], ""),
            (vec![], ""),
        ] {
            assert_eq!(told(&challenges(values.iter().copied())), expected, "{values:?}");
        }
        assert!(offers(&challenges(["negotiate"]), "Negotiate"));
    }

    proptest! {
        #[test]
        fn no_value_is_too_strange(value in "[a-zA-Z=,\" \\\\ü]{0,40}") {
            let _ = challenges([value.as_str()]);
        }
    }
}
