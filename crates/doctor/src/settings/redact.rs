//! Leaving passwords out of texts.

/// What stands in the place of a password, as Go's `Redacted` writes it.
pub(crate) const HIDDEN: &str = "xxxxx";
/// From this length on a user without a password is taken for a token.
const TOKEN: usize = 20;

/// Whether `name`, in the place of a user who has no password, is most likely a token.
pub(crate) fn is_token(name: &str) -> bool {
    name.len() >= TOKEN
}

/// `text` with the passwords of all URLs in it replaced. A password that was not encoded is cut generously: up to the last
/// `@` before a space or a quote.
#[must_use]
pub(crate) fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find("://") {
        let (before, after) = rest.split_at(place + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>')).unwrap_or(after.len());
        // Several URLs may stand in one word: `https://a@b,https://c`.
        let next = after[..end].find("://").unwrap_or(end);
        let word = &after[..next];
        match word.rfind('@') {
            Some(at) => {
                let name = word[..at].split(':').next().unwrap_or_default();
                if name.len() < at {
                    out.push_str(&format!("{name}:{HIDDEN}"));
                } else {
                    out.push_str(if is_token(name) { HIDDEN } else { name });
                }
                out.push_str(&word[at..]);
            }
            None => out.push_str(word),
        }
        rest = &after[next..];
    }
    out.push_str(rest);
    // `user:password@host` without a scheme, as proxies are written.
    if !out.contains("://")
        && let Some(at) = out.rfind('@')
        && let Some(colon) = out[..at].find(':')
        && !out[..at].contains(char::is_whitespace)
    {
        out = format!("{}:{HIDDEN}{}", &out[..colon], &out[at..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_left_out() {
        for (text, shown) in [
            ("https://me:secret@proxy.example.com,direct", "https://me:xxxxx@proxy.example.com,direct"),
            ("https://a:s1@b|http://c:s2@d:80/x", "https://a:xxxxx@b|http://c:xxxxx@d:80/x"),
            ("http://me:s@c#r/e?t@proxy:3128", "http://me:xxxxx@proxy:3128"),
            ("me:secret@proxy:3128", "me:xxxxx@proxy:3128"),
            ("https://me@host/x", "https://me@host/x"),
            ("https://ghp_0123456789abcdef0123@github.com/", "https://xxxxx@github.com/"),
            ("https://proxy.golang.org,direct", "https://proxy.golang.org,direct"),
            ("Get \"http://u:p@h/\": EOF", "Get \"http://u:xxxxx@h/\": EOF"),
            ("git@github.com:me/x.git", "git@github.com:me/x.git"),
            ("*.corp.example.com", "*.corp.example.com"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_password_gets_through(password in "[A-Z]{6}[ -~&&[^ \"'<>]]{0,6}", tail in "[a-z/,|]{0,8}") {
            let text = format!("http://user:{password}@host:1{tail}");
            prop_assume!(!password.contains("://"));
            prop_assert!(!redacted(&text).contains(&password[..6]));
        }

        #[test]
        fn any_text_can_be_redacted(text in ".{0,80}") {
            let _ = redacted(&text);
        }
    }
}
