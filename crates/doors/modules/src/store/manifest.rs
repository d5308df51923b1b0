//! What is kept of one version: its info and its go.mod, which are small, the name of its zip, and how all of it was
//! checked.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tradewind_core::UnixMillis;

use super::blob::{Blob, Sha256};
use super::text::{self, Encoded};
use crate::hash::H1;
use crate::name::ModuleVersion;
use crate::rules::Licence;

/// The form of the file; a file of another is not read.
const FORMAT: u32 = 1;
/// The most bytes of a file: a go.mod of 16 MiB, with room for its escapes and everything else.
pub(super) const MOST_BYTES: u64 = 40 << 20;

/// One version of a module, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which one.
    pub of: ModuleVersion,
    /// The answer to `.info`: JSON as it came.
    pub info: Bytes,
    /// The answer to `.mod`.
    pub go_mod: Bytes,
    /// The answer to `.zip`.
    pub zip: Blob,
    /// The hash of the zip's files as it stands in a go.sum.
    pub h1: H1,
    /// The hash of the go.mod as it stands in a go.sum.
    pub mod_h1: H1,
    /// What the hashes were compared with.
    pub checked: Checked,
    /// When it came here.
    pub fetched: UnixMillis,
    /// Where it came from, without secrets.
    pub upstream: Arc<str>,
    /// When the version was made, by its info; `None` where that says nothing.
    pub time: Option<UnixMillis>,
    /// The licences that were found in it, by their SPDX names; empty where none is known.
    pub licences: Vec<String>,
}

/// What the hashes of a version were compared with before it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checked {
    /// With the record of this checksum database.
    Sumdb(String),
    /// With the lines of a go.sum, when it was imported.
    GoSum,
    /// With nothing: it is private, and no database has it.
    Private,
    /// With nothing: the database could not be reached, and need not be.
    Unreached,
    /// With nothing: checking is switched off.
    Off,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kept {
    format: u32,
    path: String,
    version: String,
    #[serde(flatten)]
    zip: Zip,
    h1: String,
    mod_h1: String,
    checked: Checked,
    fetched: String,
    upstream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    licences: Vec<String>,
    info_sha256: Sha256,
    info: Encoded,
    go_mod: Encoded,
}

#[derive(Serialize, Deserialize)]
struct Zip {
    zip: Blob,
}

/// What a walk over many versions needs of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) zip: Blob,
    /// When it came here.
    pub(super) fetched: UnixMillis,
    pub(super) time: Option<UnixMillis>,
    pub(super) licences: Vec<Licence>,
}

/// The fields of the file that it is made of.
#[derive(Deserialize)]
struct Outlined {
    zip: Blob,
    fetched: String,
    time: Option<String>,
    #[serde(default)]
    licences: Vec<Licence>,
}

impl Manifest {
    /// The text of its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let kept = Kept {
            format: FORMAT,
            path: self.of.path.as_str().to_owned(),
            version: self.of.version.as_str().to_owned(),
            zip: Zip { zip: self.zip },
            h1: self.h1.to_string(),
            mod_h1: self.mod_h1.to_string(),
            checked: self.checked.clone(),
            fetched: self.fetched.rfc3339(),
            upstream: self.upstream.to_string(),
            time: self.time.map(UnixMillis::rfc3339),
            licences: self.licences.clone(),
            info_sha256: Sha256::of(&self.info),
            info: Encoded::of(&self.info),
            go_mod: Encoded::of(&self.go_mod),
        };
        let mut json = serde_json::to_vec_pretty(&kept).expect("strings and numbers can be written as JSON");
        json.push(b'\n');
        json
    }

    /// Reads the file of `of`, and compares what it holds with the hashes that stand beside it. What a flipped bit can do
    /// to the rest is harmless, or found when the zip is opened or verified.
    pub(super) fn of_json(of: &ModuleVersion, json: &[u8]) -> Result<Self, String> {
        let kept: Kept = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if kept.format != FORMAT {
            return Err(format!("its format is {}, not {FORMAT}", kept.format));
        }
        if (kept.path.as_str(), kept.version.as_str()) != (of.path.as_str(), of.version.as_str()) {
            return Err(format!("it is about {}@{}", kept.path, kept.version));
        }
        let hash = |text: &str| H1::parse(text).map_err(|_| format!("`{text}` is no h1 hash"));
        let manifest = Self {
            of: of.clone(),
            info: kept.info.bytes()?,
            go_mod: kept.go_mod.bytes()?,
            zip: kept.zip.zip,
            h1: hash(&kept.h1)?,
            mod_h1: hash(&kept.mod_h1)?,
            checked: kept.checked,
            fetched: text::time(&kept.fetched)?,
            upstream: kept.upstream.into(),
            time: kept.time.as_deref().map(text::time).transpose()?,
            licences: kept.licences,
        };
        if H1::of_mod(&manifest.go_mod) != manifest.mod_h1 {
            return Err("its go.mod has another hash than when it was stored".to_owned());
        }
        if Sha256::of(&manifest.info) != kept.info_sha256 {
            return Err("its info has another hash than when it was stored".to_owned());
        }
        Ok(manifest)
    }

    /// The outline of one, out of its file.
    pub(super) fn outline(json: &[u8]) -> Option<Outline> {
        let Outlined { zip, fetched, time, licences } = serde_json::from_slice(json).ok()?;
        let fetched = text::time(&fetched).ok()?;
        Some(Outline { zip, fetched, time: time.as_deref().map(text::time).transpose().ok()?, licences })
    }

    /// The licences that were found in it. A name that is not known any more, as after going back to an older version, is
    /// [`Licence::UNKNOWN`].
    #[must_use]
    pub fn known_licences(&self) -> Vec<Licence> {
        self.licences.iter().map(|name| name.parse().unwrap_or(Licence::UNKNOWN)).collect()
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        const FIXED: usize = 512;
        let licences: usize = self.licences.iter().map(|name| name.len() + size_of::<String>()).sum();
        FIXED + self.info.len() + self.go_mod.len() + self.upstream.len() + licences
    }
}

#[cfg(test)]
pub(super) fn sample(module: &str, version: &str, zip: Blob) -> Manifest {
    let of = ModuleVersion::parse(&format!("{module}@{version}")).unwrap();
    let go_mod = Bytes::from(format!("module {module}\n"));
    Manifest {
        info: Bytes::from(format!(r#"{{"Version":"{version}","Time":"2024-05-06T07:08:09Z"}}"#)),
        mod_h1: H1::of_mod(&go_mod),
        h1: H1::of_mod(b"the files of a zip, for tests that read none"),
        go_mod,
        zip,
        checked: Checked::Sumdb("sum.golang.org".to_owned()),
        fetched: UnixMillis(1_795_294_621_123),
        upstream: "https://proxy.golang.org".into(),
        time: UnixMillis::parse_rfc3339("2024-05-06T07:08:09Z"),
        licences: vec!["MIT".to_owned()],
        of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zip() -> Blob {
        Blob { sha256: Sha256::of(b"zip"), size: 3 }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut manifest = sample("github.com/Azure/x", "v1.2.3", zip());
        for checked in [Checked::GoSum, Checked::Private, Checked::Unreached, Checked::Off] {
            manifest.checked = checked;
            let json = manifest.to_json();
            assert_eq!(Manifest::of_json(&manifest.of, &json).unwrap(), manifest);
            let outline = Manifest::outline(&json).unwrap();
            assert_eq!((outline.zip, outline.fetched, outline.time), (manifest.zip, manifest.fetched, manifest.time));
            assert_eq!(outline.licences, manifest.known_licences());
        }
        manifest.go_mod = Bytes::from_static(b"module x // \xff\xfe\n");
        manifest.mod_h1 = H1::of_mod(&manifest.go_mod);
        manifest.time = None;
        manifest.licences.clear();
        assert_eq!(Manifest::of_json(&manifest.of, &manifest.to_json()).unwrap(), manifest);
    }

    #[test]
    fn one_that_is_not_what_was_stored_is_not_read() {
        let manifest = sample("example.com/a", "v1.0.0", zip());
        let json = String::from_utf8(manifest.to_json()).unwrap();
        let refused = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            Manifest::of_json(&manifest.of, json.replacen(from, to, 1).as_bytes()).unwrap_err()
        };
        assert!(refused("module example.com/a", "module example.com/b").contains("go.mod has another hash"));
        assert!(refused("07:08:09Z\\\"", "07:08:10Z\\\"").contains("info has another hash"));
        assert!(refused("\"format\": 1", "\"format\": 2").contains("format is 2"));
        assert!(
            refused("\"version\": \"v1.0.0\"", "\"version\": \"v1.0.1\"").contains("is about example.com/a@v1.0.1")
        );
        assert!(refused("\"h1\": \"h1:", "\"h1\": \"h2:").contains("no h1 hash"));
        assert!(Manifest::of_json(&manifest.of, &json.as_bytes()[..json.len() / 2]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), place: usize, bit in 0u8..8) {
            let manifest = sample("example.com/a", "v1.0.0", zip());
            prop_assert!(Manifest::of_json(&manifest.of, &bytes).is_err());
            let mut json = manifest.to_json();
            let place = place % json.len();
            json[place] ^= 1 << bit;
            // Either it is found out, or go.mod and info, which are served as they are, are what they were.
            if let Ok(read) = Manifest::of_json(&manifest.of, &json) {
                prop_assert_eq!((read.go_mod, read.info), (manifest.go_mod, manifest.info));
            }
            let _ = Manifest::outline(&json);
        }
    }
}
