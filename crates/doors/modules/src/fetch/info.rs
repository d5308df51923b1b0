//! What `.info`, `@latest` and the answer to a query say.

use serde::Deserialize;
use tradewind_core::UnixMillis;

use crate::name::{ModulePath, Version};

/// The most bytes of an answer; `Origin` takes some hundred.
pub(super) const LARGEST: usize = 1 << 20;

/// A version and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// Which version it is about.
    pub(crate) version: Version,
    /// When it was made, if it says so.
    pub(crate) time: Option<UnixMillis>,
}

/// The fields that are read; the others are passed on as they are.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    version: String,
    #[serde(default)]
    time: Option<String>,
}

impl Info {
    /// Reads an answer about a version of `path`.
    ///
    /// # Errors
    /// Why it is none, as a sentence goes on.
    pub(crate) fn parse(path: &ModulePath, json: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(json)
            .map_err(|error| format!("sent version information that is no JSON of it: {error}"))?;
        let version =
            Version::parse(&written.version).map_err(|error| format!("returned a version that is none: {error}"))?;
        if !version.fits(path) {
            return Err(format!("returned the version {version}, which {path} cannot have"));
        }
        Ok(Self { version, time: written.time.as_deref().and_then(UnixMillis::parse_rfc3339) })
    }
}

/// What stands for an info that no upstream has.
pub(super) fn made_up(version: &Version) -> String {
    serde_json::json!({ "Version": version.as_str() }).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers_are_read() {
        let path = ModulePath::parse("example.com/a").unwrap();
        let read = |json: &str| Info::parse(&path, json.as_bytes());
        let info = read(r#"{"Version":"v1.2.3","Time":"2024-05-06T07:08:09Z","Origin":{"VCS":"git"}}"#).unwrap();
        assert_eq!((info.version.as_str(), info.time), ("v1.2.3", UnixMillis::parse_rfc3339("2024-05-06T07:08:09Z")));
        assert_eq!(read(r#"{"Version":"v1.2.3"}"#).unwrap().time, None);
        for (json, what) in [
            ("", "no JSON"),
            ("<html>", "no JSON"),
            ("{}", "no JSON"),
            (r#"{"Version":"main"}"#, "is none"),
            (r#"{"Version":"v2.0.0"}"#, "cannot have"),
        ] {
            assert!(read(json).unwrap_err().contains(what), "{json}: {:?}", read(json));
        }
        let info = read(&made_up(&Version::parse("v1.0.0").unwrap())).unwrap();
        assert_eq!(info.version.as_str(), "v1.0.0");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let path = ModulePath::parse("example.com/a").unwrap();
            prop_assert!(Info::parse(&path, &bytes).is_err());
        }
    }
}
