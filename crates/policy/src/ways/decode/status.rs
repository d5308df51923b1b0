//! How the answer to a test is judged: `url` and `expected-status`.

use super::reader::{Fields, Reader};
use crate::node::Shortened;

/// How many ranges of statuses may be named.
const MOST_RANGES: usize = 28;

/// An `http` or `https` URL.
pub(super) fn url(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = reader.text(fields, key).filter(|text| !text.is_empty())?;
    let uri: Option<http::Uri> = text.parse().ok();
    let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
    let has_host = uri.as_ref().and_then(http::Uri::host).is_some_and(|host| !host.is_empty());
    if has_host && matches!(scheme, Some("http" | "https")) {
        return Some(text.as_ref().to_owned());
    }
    reader.refuse_at(fields, key, format!("`{key}` is no URL"), "write it like https://www.gstatic.com/generate_204");
    None
}

/// `expected-status` as written, checked; `*` when absent.
pub(super) fn expected(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> String {
    let any = || "*".to_owned();
    let Some(text) = reader.text(fields, "expected-status") else { return any() };
    if text.trim().is_empty() || text.trim() == "*" {
        return any();
    }
    if let Err(mut message) = check(&text) {
        if reader.is_from_outside(&text) {
            message = format!("invalid range: {}", reader.shown(&text));
        }
        let hint = "statuses and ranges, separated by /: 200/204/300-399; * for any";
        reader.refuse_at(fields, "expected-status", format!("{whose}: {message}"), hint);
        return any();
    }
    text.as_ref().to_owned()
}

/// Whether `text` is a list of statuses and ranges, separated by `/` or `,`.
fn check(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split(['/', ',']).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > MOST_RANGES {
        return Err(format!("too many ranges to use, maximum support {MOST_RANGES} ranges"));
    }
    for part in parts {
        let is_number = |text: &str| text.trim().parse::<u16>().is_ok();
        let is_range = match part.split_once('-') {
            Some((from, to)) => is_number(from) && is_number(to),
            None => is_number(part),
        };
        if !is_range {
            return Err(format!("invalid range: {}", Shortened(part)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_from_other_text() {
        for text in ["204", "200/204", "200,204", "200-299", "200/300-399/", " 200 / 204 ", "300-200"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, message) in [
            ("abc", "invalid range: abc"),
            ("200-", "invalid range: 200-"),
            ("200-300-400", "invalid range: 200-300-400"),
            ("*/200", "invalid range: *"),
            ("-1", "invalid range: -1"),
        ] {
            assert_eq!(check(text), Err(message.to_owned()), "{text}");
        }
        assert_eq!(check(&["1"; 28].join("/")), Ok(()));
        assert_eq!(check(&["1"; 29].join("/")), Err("too many ranges to use, maximum support 28 ranges".to_owned()));
    }
}
