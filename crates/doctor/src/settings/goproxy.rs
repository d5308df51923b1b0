//! GOPROXY, split as the go command splits it.

use std::path::Path;

use crate::{BadUrl, Url};

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is asked.
    pub source: Source,
    /// When the next entry is asked.
    pub then: Then,
}

/// What an entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A module proxy.
    Proxy(Url),
    /// A module proxy as a folder: `file://…`.
    Folder(Url),
    /// The version control system of the module. Ends the list.
    Direct,
    /// Nobody: it fails. Ends the list.
    Off,
}

/// When the entry after this one is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// When this one has not got the module: 404 and 410. A comma, or the end.
    WhenNotFound,
    /// After any error: `|`.
    AfterAnyError,
}

/// Why the go command refuses the list before it asks anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGoproxy {
    /// No entries, and also none by default.
    #[error("GOPROXY list is not the empty string, but contains no entries")]
    Empty,
    /// An entry is no URL.
    #[error("parse \"{}\": {error}", shown(text))]
    Url {
        /// The entry.
        text: String,
        /// Why.
        error: BadUrl,
    },
    /// An entry without a scheme.
    #[error("invalid proxy URL missing scheme: {}", shown(.0))]
    NoScheme(String),
    /// An entry with a scheme that go does not speak.
    #[error("invalid proxy URL scheme (must be https, http, file): {}", shown(.0))]
    Scheme(String),
    /// A folder with more than a path.
    #[error("invalid file:// proxy URL with non-path elements: {}", shown(.0))]
    FileElements(String),
}

fn shown(text: &str) -> String {
    super::redact::redacted(text)
}

/// Splits the value of GOPROXY.
///
/// # Errors
/// What go says before it asks anybody: it stops at the first entry that is no good, even when an entry before that would
/// have had the module.
pub fn parse(list: &str) -> Result<Vec<Entry>, BadGoproxy> {
    let mut entries = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.find([',', '|']);
        let then = match end {
            Some(place) if rest[place..].starts_with('|') => Then::AfterAnyError,
            _ => Then::WhenNotFound,
        };
        let text = rest[..end.unwrap_or(rest.len())].trim();
        rest = end.map_or("", |place| &rest[place + 1..]);
        let source = match text {
            "" => continue,
            "off" => Source::Off,
            "direct" => Source::Direct,
            _ => url_entry(text)?,
        };
        let is_last = matches!(source, Source::Off | Source::Direct);
        entries.push(Entry { source, then });
        if is_last {
            break;
        }
    }
    if entries.is_empty() { Err(BadGoproxy::Empty) } else { Ok(entries) }
}

fn url_entry(text: &str) -> Result<Source, BadGoproxy> {
    let is_path = text.starts_with('/') || Path::new(text).is_absolute();
    let text = if text.contains(['.', ':', '/']) && !text.contains(":/") && !is_path {
        format!("https://{text}")
    } else {
        text.to_owned()
    };
    let url = Url::parse(&text).map_err(|error| BadGoproxy::Url { text: text.clone(), error })?;
    match url.scheme.as_str() {
        "http" | "https" => Ok(Source::Proxy(url)),
        "file" => {
            let only_path = url.user.is_none()
                && url.host.is_empty()
                && url.port.is_none()
                && url.query.is_none()
                && url.fragment.is_none()
                && url.path.starts_with('/');
            if only_path { Ok(Source::Folder(url)) } else { Err(BadGoproxy::FileElements(text)) }
        }
        "" => Err(BadGoproxy::NoScheme(text)),
        _ => Err(BadGoproxy::Scheme(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(list: &str) -> String {
        match parse(list) {
            Err(error) => error.to_string(),
            Ok(entries) => entries
                .iter()
                .map(|entry| {
                    let source = match &entry.source {
                        Source::Proxy(url) => url.to_string(),
                        Source::Folder(url) => format!("folder {}", url.path),
                        Source::Direct => "direct".to_owned(),
                        Source::Off => "off".to_owned(),
                    };
                    source + if entry.then == Then::AfterAnyError { "|" } else { "," }
                })
                .collect(),
        }
    }

    #[test]
    fn lists_are_split_as_go_splits_them() {
        for (list, expected) in [
            ("https://proxy.golang.org,direct", "https://proxy.golang.org,direct,"),
            (" https://a.example.com | https://b.example.com/x ", "https://a.example.com|https://b.example.com/x,"),
            ("proxy.example.com", "https://proxy.example.com,"),
            ("a.example.com:8080/go", "https://a.example.com:8080/go,"),
            (",,https://a.example.com,", "https://a.example.com,"),
            ("off,https://a.example.com", "off,"),
            ("direct|nonsense://", "direct|"),
            ("file:///srv/go", "folder /srv/go,"),
            (",", "GOPROXY list is not the empty string, but contains no entries"),
            ("", "GOPROXY list is not the empty string, but contains no entries"),
            ("goproxy", "invalid proxy URL missing scheme: goproxy"),
            ("/srv/go", "invalid proxy URL missing scheme: /srv/go"),
            ("ftp://a/b", "invalid proxy URL scheme (must be https, http, file): ftp://a/b"),
            ("file://host/srv", "invalid file:// proxy URL with non-path elements: file://host/srv"),
            ("https://a.example.com;direct", "https://a.example.com;direct,"),
            (
                "'https://a.example.com,direct'",
                r#"parse "'https://a.example.com": first path segment in URL cannot contain colon"#,
            ),
        ] {
            assert_eq!(told(list), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn no_list_is_too_strange(list in "[a-z:/.,|\\\\;'\" %#@0-9，]{0,40}") {
            let _ = told(&list);
        }
    }
}
