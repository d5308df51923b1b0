//! Which licence a text is.
//!
//! Phrases that only one licence has are looked for, in a text of which only words are left (`phrases.rs`). A text without
//! any is unknown: nothing is guessed by likeness. A file with the licences of others too gives them all, and one with many
//! words beyond its licences, which may be terms of its own, is unknown as well.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::phrases::{KNOWN, Known};

/// How much of a licence file is looked at, in bytes; the longest of the texts, GPL-3.0, has 35,000.
pub(crate) const LONGEST_LICENCE: usize = 256 << 10;

/// How many words a licence file may have that belong to none of the licences in it.
const OTHER_WORDS: usize = 100;

/// A licence by its SPDX identifier. Where a text does not say whether later versions of it may be chosen, as with the GNU
/// licences, the identifier does not either: `GPL-3.0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Licence(u8);

/// Why a text is not the name of a licence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a licence that can be recognised{}", hint(.nearest))]
pub struct BadLicence {
    /// The text, cut.
    pub name: String,
    /// What it may have been meant to be.
    pub nearest: Option<&'static str>,
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

impl Licence {
    /// Another text, or more of it than the known licences have.
    pub const UNKNOWN: Self = Self(u8::MAX);

    /// The licences that the text is, in alphabetical order. `UNKNOWN` alone when it is none of the known ones, and last when
    /// the text has much more in it than those. Of a long text the first 256 KiB are looked at.
    #[must_use]
    pub fn recognise(text: &[u8]) -> Vec<Self> {
        let words = words(&text[..text.len().min(LONGEST_LICENCE)]);
        let is = |known: &Known| {
            let has = |phrase: &&str| words.contains(phrase);
            known.any.iter().any(|all| all.iter().all(has)) && !known.none.iter().any(has)
        };
        let mut found: Vec<Self> = Self::all().filter(|licence| licence.known().is_some_and(is)).collect();
        let explained: usize = found.iter().filter_map(|licence| licence.known()).map(|known| known.words).sum();
        // A fifth more, and some lines about who holds the copyright; more than that may be terms of its own.
        if words.matches(' ').count() > explained + explained / 5 + OTHER_WORDS || found.is_empty() {
            found.push(Self::UNKNOWN);
        }
        found
    }

    /// All that can be recognised.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KNOWN.len()).map(|number| Self(u8::try_from(number).expect("fewer than 256 licences are known")))
    }

    /// The SPDX identifier, or `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.known().map_or("unknown", |known| known.name)
    }

    /// What is known of it, by its number in the table.
    fn known(self) -> Option<&'static Known> {
        KNOWN.get(usize::from(self.0))
    }
}

impl fmt::Display for Licence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Licence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Licence {
    type Err = BadLicence;

    /// In any case, and also with the `-only` and `-or-later` that SPDX has for the GNU licences.
    fn from_str(name: &str) -> Result<Self, BadLicence> {
        let plain = name.strip_suffix("-only").or_else(|| name.strip_suffix("-or-later")).unwrap_or(name);
        if plain.eq_ignore_ascii_case("unknown") {
            return Ok(Self::UNKNOWN);
        }
        Self::all().find(|licence| licence.name().eq_ignore_ascii_case(plain)).ok_or_else(|| BadLicence {
            name: name.chars().take(80).collect(),
            nearest: tradewind_core::nearest(name, Self::all().map(Self::name)),
        })
    }
}

impl serde::Serialize for Licence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Licence {
    /// A name that is not known any more, as after going back to an older version, is `UNKNOWN`.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(name.parse().unwrap_or(Self::UNKNOWN))
    }
}

/// Whether a file at the top of a module is where its licence is looked for.
pub(crate) fn is_licence_file(name: &str) -> bool {
    const STEMS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "UNLICENCE"];
    const NOT_TEXT: [&str; 12] = ["CSV", "GO", "JS", "JSON", "MOD", "PY", "SH", "SUM", "TMPL", "TOML", "YAML", "YML"];
    let name = name.to_ascii_uppercase();
    let is_text = name.rsplit_once('.').is_none_or(|(_, extension)| !NOT_TEXT.contains(&extension));
    let is_stem = |stem: &&str| {
        let behind = name.strip_prefix(*stem).map(|rest| rest.starts_with(['.', '-', '_']) || rest.is_empty());
        let before = [format!("-{stem}"), format!("_{stem}")].iter().any(|end| {
            name.ends_with(end.as_str())
                || name.rsplit_once('.').is_some_and(|(front, _)| front.ends_with(end.as_str()))
        });
        behind == Some(true) || before
    };
    is_text && STEMS.iter().any(is_stem)
}

/// The words of a text in lower case with one space between them, and at both ends. Punctuation, line breaks and the marks
/// of comments are gone; letters of other scripts stay.
fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut words = String::with_capacity(text.len() + 2);
    words.push(' ');
    for character in text.chars() {
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}
