//! Which keys hold secrets, by their name, and how a source line is masked before it is shown.
//!
//! One rule for error messages, diffs and digests: a value is secret when the key it stands under, or one further up,
//! is named like a secret. Types cannot help here: a message may concern a file that does not parse.

/// Endings of keys whose value is a secret.
const SECRET_ENDINGS: &[&str] = &[
    "api-key",
    "api-keys",
    "secret",
    "secret-sha256",
    "password",
    "authorization",
    "cookie",
    "token",
    "private-key",
    "authentication",
    // Of proxies whose type is not built: they stand in the file all the same.
    "uuid",
    "psk",
    "pre-shared-key",
    "passphrase",
    "auth-str",
    "auth_str",
];

/// Keys that end like a secret and are none.
const NO_SECRETS: &[&str] = &["first-token"];

/// What may follow `auth` and is no secret: elsewhere in lists of proxies it is what one logs in with.
const SCHEMES: &[&str] = &["basic", "ntlm", "negotiate", "bearer", "x-api-key", "api-key", "none"];

/// Sections whose URLs are secrets: who knows the address of a subscription has it.
const LISTS: [&str; 2] = ["proxy-providers.", "rule-providers."];

/// Whether the values under this key are secret. Everything under `headers` is: tokens travel there.
pub(crate) fn is_secret_key(key: &str) -> bool {
    if NO_SECRETS.contains(&key) {
        return false;
    }
    let key = key.to_ascii_lowercase();
    matches!(key.as_str(), "headers" | "header") || SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Whether a step of this path, `providers[0].api-keys[1]`, is named like a secret.
pub(crate) fn is_secret_path(path: &str) -> bool {
    path.split(['.', '[', ']']).any(is_secret_key) || is_subscription(path) || is_of_state(path)
}

/// Whether this is the address of the store of state, which may have a password in it, or a key that state is sealed with,
/// or below one.
pub(crate) fn is_of_state(path: &str) -> bool {
    let is_key = |rest: &str| rest.split(['.', '[']).any(|step| step == "key");
    path == "store" || path.strip_prefix("state.encryption").is_some_and(is_key)
}

/// Whether this is the path of the URL of a list from elsewhere.
pub(crate) fn is_subscription(path: &str) -> bool {
    let of_list = LISTS.iter().any(|section| path.starts_with(section));
    of_list && path.ends_with(".url") && !path.ends_with(".health-check.url")
}

/// Whether `text`, under the key `auth`, is what one logs in with, and not the name of a way to do so.
pub(crate) fn is_login(key: &str, text: &str) -> bool {
    let mut words = text.split([',', '[', ']', '{', '}', ' ', '"', '\'']).filter(|word| !word.is_empty());
    key == "auth" && !words.next().is_none_or(|word| SCHEMES.contains(&word))
}

/// The characters of `line`, with the values of secret keys replaced by `*`; columns stay what they were.
///
/// `path` is where the problem is: when it is a secret itself, the `length` characters from `column` (from 0) on are
/// masked too, which covers an item of a list that stands on its own line.
pub(crate) fn mask_line(line: &str, path: &str, column: usize, length: usize) -> Vec<char> {
    let mut characters: Vec<char> = line.chars().collect();
    let mut at = 0;
    while let Some((key_start, colon)) = next_key(&characters, at) {
        let key: String = characters[key_start..colon].iter().collect();
        at = colon + 1;
        let key = key.trim_matches(['"', '\'', ' ']);
        // `headers` holds further keys on the same line or lines of its own; its values are masked one by one.
        if matches!(key, "headers" | "header") {
            at = mask_values_of_map(&mut characters, at);
            continue;
        }
        let is_url = key == "url" && LISTS.iter().any(|section| path.starts_with(section))
            || key == "key" && path.starts_with("state.encryption");
        let is_login = is_login(key, &characters[at..].iter().collect::<String>());
        if is_secret_key(key) || is_url || is_login {
            at = mask_value(&mut characters, at);
        }
    }
    mask_credentials(&mut characters);
    if is_secret_path(path) {
        // A key of the header map is no secret; a problem with a key points at it, and a colon follows.
        let end = column.saturating_add(length).min(characters.len());
        let is_key = characters.get(end) == Some(&':');
        if column < end && !is_key {
            mask(&mut characters[column..end]);
        }
    }
    characters
}

/// Masks the user name and password of URLs, `https://name:password@host`, and their queries.
fn mask_credentials(characters: &mut [char]) {
    for start in 0..characters.len().saturating_sub(2) {
        if characters[start..start + 3] != [':', '/', '/'] {
            continue;
        }
        let authority = start + 3;
        let ends = |character: &char| matches!(character, '/' | '?' | '#' | '"' | '\'') || character.is_whitespace();
        let end = characters[authority..].iter().position(ends).map_or(characters.len(), |length| authority + length);
        if let Some(at) = characters[authority..end].iter().rposition(|character| *character == '@') {
            characters[authority..authority + at].fill('*');
        }
        if characters.get(end) == Some(&'?') || characters.get(end) == Some(&'/') {
            let ends =
                |character: &char| matches!(character, '"' | '\'' | ',' | '}' | ']') || character.is_whitespace();
            let until = characters[end..].iter().position(ends).map_or(characters.len(), |length| end + length);
            if let Some(query) = characters[end..until].iter().position(|character| *character == '?') {
                characters[end + query + 1..until].fill('*');
            }
        }
    }
}

/// The next `key:` from `from` on: where the key begins, and where its colon stands.
fn next_key(characters: &[char], from: usize) -> Option<(usize, usize)> {
    let mut start = from;
    for index in from..characters.len() {
        match characters[index] {
            '{' | '[' | ',' | ' ' | '\t' => start = index + 1,
            ':' if characters.get(index + 1).is_none_or(|next| next.is_whitespace())
                || (index > from && matches!(characters[index - 1], '"' | '\'')) =>
            {
                return Some((start, index));
            }
            _ => {}
        }
    }
    None
}

/// Masks the values of the flow map that begins at `from`, if one does; returns where to go on.
fn mask_values_of_map(characters: &mut [char], from: usize) -> usize {
    let start =
        characters[from..].iter().position(|character| !character.is_whitespace()).map(|skipped| from + skipped);
    let Some(start) = start.filter(|start| characters[*start] == '{') else { return from };
    let length = characters[start..].iter().position(|character| *character == '}');
    let end = length.map_or(characters.len(), |length| start + length);
    let mut at = start + 1;
    while let Some((_, colon)) = next_key(&characters[..end], at) {
        at = mask_value(&mut characters[..end], colon + 1);
    }
    end
}

/// Masks the scalar or flow collection that begins at `from`; returns where to go on.
fn mask_value(characters: &mut [char], from: usize) -> usize {
    let Some(skipped) = characters[from..].iter().position(|character| !character.is_whitespace()) else {
        return characters.len();
    };
    let start = from + skipped;
    let (closing, start): (&[char], usize) = match characters[start] {
        '[' => (&[']'], start + 1),
        '{' => (&['}'], start + 1),
        '"' => (&['"'], start + 1),
        '\'' => (&['\''], start + 1),
        // Outside of a flow collection only the end of the line ends a value.
        _ if characters[..from].iter().any(|character| matches!(character, '{' | '[')) => (&[',', '}', ']'], start),
        _ => (&[], start),
    };
    let mut end = start;
    while end < characters.len() && !closing.contains(&characters[end]) {
        let is_reference = characters[end..].starts_with(&['$', '{']);
        let length = characters[end..].iter().position(|character| is_reference && *character == '}').unwrap_or(0);
        end += length + 1;
    }
    let end = end.min(characters.len());
    mask(&mut characters[start..end]);
    end
}

/// Replaces what may be secret; a plain `${VARIABLE}` is not, and says what to look at.
fn mask(characters: &mut [char]) {
    let text: String = characters.iter().collect();
    let bare = text.trim_matches(['"', '\'', ' ']);
    let is_reference = bare.starts_with("${")
        && bare.ends_with('}')
        && bare[2..bare.len() - 1].chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if is_reference {
        return;
    }
    for character in characters {
        if !matches!(character, ' ' | ',' | '"' | '\'') {
            *character = '*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str, path: &str, column: usize, length: usize) -> String {
        mask_line(line, path, column, length).into_iter().collect()
    }

    #[test]
    fn secrets_on_a_shown_line_are_masked() {
        for (line, shown) in [
            ("  api-key: sk-123", "  api-key: ******"),
            ("  api-key: \"sk-123\"", "  api-key: \"******\""),
            ("{name: a, api-key: sk-1, dialct: x}", "{name: a, api-key: ****, dialct: x}"),
            ("{name: a, api-keys: [one, two], x: y}", "{name: a, api-keys: [***, ***], x: y}"),
            ("{\"api-key\": sk-1}", "{\"api-key\": ****}"),
            ("{\"api-key\":\"sk-1\"}", "{\"api-key\":\"****\"}"),
            ("api-key: ${KEY}", "api-key: ${KEY}"),
            ("api-key: sk-${KEY}", "api-key: *********"),
            ("{api-key: ${KEY}, a: b}", "{api-key: ${KEY}, a: b}"),
            ("{api-key: sk-${KEY}, a: b}", "{api-key: *********, a: b}"),
            ("api-key: a,b}c", "api-key: *,***"),
            ("   api-key: sk-1, a: b}", "   api-key: ****, ** **"),
            ("headers: {Authorization: Bearer abc}", "headers: {Authorization: ****** ***}"),
            ("timeouts: {first-token: 8s}", "timeouts: {first-token: 8s}"),
            ("base-url: http://a:1/x", "base-url: http://a:1/x"),
            ("base-url: \"http://me:pw@a:1/x@y\"", "base-url: \"http://*****@a:1/x@y\""),
            ("secret:", "secret:"),
            ("{name: ci, secret-sha256: ab12, rpm: 5}", "{name: ci, secret-sha256: ****, rpm: 5}"),
            ("tls: {cert: a.pem, key: b.pem}", "tls: {cert: a.pem, key: b.pem}"),
            ("- {name: a, type: vmess, uuid: 1-2, tfo: x}", "- {name: a, type: vmess, uuid: ***, tfo: x}"),
            ("- {name: a, auth: ntlm, password: p}", "- {name: a, auth: ntlm, password: *}"),
            ("- {name: a, auth: [negotiate, ntlm]}", "- {name: a, auth: [negotiate, ntlm]}"),
            ("- {name: a, auth: abc, up: 1}", "- {name: a, auth: ***, up: 1}"),
            ("url: \"https://h/sub?token=abc\"", "url: \"https://h/sub?*********\""),
            ("{url: https://h/sub?token=abc, type: http}", "{url: https://h/sub?*********, type: http}"),
            ("header: {X-Token: [abc]}", "header: {X-Token: [***]}"),
            ("{headers: {x-team: a, b: 'c d'}, tfo: x}", "{headers: {x-team: *, b: '* *'}, tfo: x}"),
        ] {
            assert_eq!(masked(line, "", 0, 0), shown);
        }
    }

    #[test]
    fn addresses_of_subscriptions_are_masked() {
        let line = "  p: {type: http, url: \"https://h/link/abc\", interval: x}";
        let shown = "  p: {type: http, url: \"******************\", interval: x}";
        assert_eq!(masked(line, "proxy-providers.p.interval", 52, 1), shown);
        assert_eq!(masked("    url: https://h/abc", "proxy-providers.p.url", 9, 13), "    url: *************");
        assert_eq!(masked("    url: https://h/abc", "proxies[0].url", 9, 13), "    url: https://h/abc");
        for path in
            ["store", "state.encryption.key", "state.encryption.previous[0].key.file", "state.encryption.key[0]"]
        {
            assert!(is_secret_path(path), "{path}");
        }
        assert!(!is_secret_path("state.encryption.id") && !is_secret_path("state.keep") && !is_secret_path("tls.key"));
        assert!(is_secret_path("proxy-providers.p.url") && !is_secret_path("proxy-providers.p.health-check.url"));
    }

    #[test]
    fn a_secret_item_on_its_own_line_is_masked() {
        assert_eq!(masked("    - 12345", "providers[0].api-keys[1]", 6, 5), "    - *****");
        assert_eq!(masked("    x-team: abc", "providers[0].headers.x-team", 12, 3), "    x-team: ***");
        assert_eq!(masked("    x team: abc", "providers[0].headers.x team", 4, 6), "    x team: abc");
    }
}
