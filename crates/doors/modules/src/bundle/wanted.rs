//! What is to go into a bundle.

use std::collections::BTreeMap;

use crate::hash::{BadGoSum, GoSum, H1, SumOf};
use crate::name::{BadModuleVersion, ModulePath, ModuleVersion, Version};

/// Versions, with what of each is needed. A go.sum names many of which only the go.mod is read.
#[derive(Clone, Debug, Default)]
pub struct Wanted(pub(super) BTreeMap<ModuleVersion, Need>);

/// What is needed of one version.
#[derive(Clone, Debug, Default)]
pub(super) struct Need {
    /// Whether the zip is needed too.
    pub(super) zip: bool,
    /// The hashes that it has to have, where a go.sum names them.
    pub(super) h1: Option<H1>,
    pub(super) mod_h1: Option<H1>,
}

/// A text that does not say what is wanted.
#[derive(Debug, thiserror::Error)]
pub enum BadWanted {
    /// It is no go.sum.
    #[error(transparent)]
    GoSum(#[from] BadGoSum),
    /// A line of a list is no version.
    #[error("line {line}: {source}")]
    Line {
        /// Which one, from 1.
        line: usize,
        /// What is wrong with it.
        source: BadModuleVersion,
    },
    /// Two files want a version with different hashes.
    #[error("two go.sum files name different hashes of {0}")]
    Differing(ModuleVersion),
}

impl Wanted {
    /// How many versions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which versions, and whether their zips are wanted.
    pub fn iter(&self) -> impl Iterator<Item = (&ModuleVersion, bool)> {
        self.0.iter().map(|(of, need)| (of, need.zip))
    }

    /// Adds one whole version.
    pub fn add(&mut self, of: ModuleVersion) {
        self.0.entry(of).or_default().zip = true;
    }

    /// Adds what a build with this go.sum needs: the zips that it names, and the go.mod files.
    ///
    /// # Errors
    /// When it is none, or contradicts what was added before.
    pub fn add_go_sum(&mut self, text: &str) -> Result<(), BadWanted> {
        for line in GoSum::parse(text)?.lines {
            let need = self.0.entry(line.module.clone()).or_default();
            let known = match line.of {
                SumOf::Zip => {
                    need.zip = true;
                    &mut need.h1
                }
                SumOf::GoMod => &mut need.mod_h1,
            };
            if known.replace(line.h1).is_some_and(|before| before != line.h1) {
                return Err(BadWanted::Differing(line.module));
            }
        }
        Ok(())
    }

    /// Adds the versions of a list: `path@version` or `path version` on each line, `#` for remarks; what `go list -m all`
    /// says is one, its first line without a version being the module that it was said in.
    ///
    /// # Errors
    /// At the first line that is no version.
    pub fn add_list(&mut self, text: &str) -> Result<(), BadWanted> {
        for (place, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let of = match (words.next(), words.next()) {
                (None, _) => continue,
                (Some(path), None) if place == 0 && ModulePath::parse(path).is_ok() => continue,
                (Some(word), None) => ModuleVersion::parse(word),
                (Some(path), Some(version)) => of_words(path, version),
            };
            self.add(of.map_err(|source| BadWanted::Line { line: place + 1, source })?);
        }
        Ok(())
    }
}

/// The toolchain that a build with this go.mod fetches where the installed go command is older, such as `go1.25.3`: that of its
/// `toolchain` line, else that of its `go` line where this names a release. No go.sum names it.
#[must_use]
pub fn toolchain_of(go_mod: &str) -> Option<String> {
    let line = |keyword: &str| {
        let mut lines = go_mod.lines().map(|line| line.split("//").next().unwrap_or_default().split_whitespace());
        lines.find_map(|mut words| (words.next()? == keyword).then_some(words.next()?.to_owned()))
    };
    match line("toolchain") {
        Some(name) => (name != "default").then_some(name),
        None => {
            let go = line("go")?;
            let mut parts = go.split('.').map(str::parse::<u32>);
            // Older ones fetch none, and `1.25` is a language and no release.
            let (major, minor, _) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
            ((major, minor) >= (1, 21)).then(|| format!("go{go}"))
        }
    }
}

/// The version of `golang.org/toolchain` that is this toolchain for a platform such as `linux-amd64`.
///
/// # Errors
/// When the two make no version.
pub fn toolchain_version(name: &str, platform: &str) -> Result<ModuleVersion, BadModuleVersion> {
    of_words("golang.org/toolchain", &format!("v0.0.1-{name}.{platform}"))
}

fn of_words(path: &str, version: &str) -> Result<ModuleVersion, BadModuleVersion> {
    let path = ModulePath::parse(path)?;
    let version = Version::parse(version).map_err(|fault| BadModuleVersion::Version { path: path.clone(), fault })?;
    ModuleVersion::new(path, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_version_a_line() {
        let mut wanted = Wanted::default();
        wanted.add_list("example.com/main\nrsc.io/quote v1.5.2\n\n# a remark\nrsc.io/sampler@v1.3.0 # why\n").unwrap();
        let found: Vec<_> = wanted.iter().map(|(of, zip)| (of.to_string(), zip)).collect();
        assert_eq!(found, [("rsc.io/quote@v1.5.2".to_owned(), true), ("rsc.io/sampler@v1.3.0".to_owned(), true)]);
        let bad = wanted.add_list("rsc.io/quote v1.5.2\nexample.com/main\n").unwrap_err();
        assert!(bad.to_string().starts_with("line 2: "), "{bad}");
        assert!(wanted.add_list("rsc.io/quote v2.0.0").is_err(), "a version that it cannot have");
    }

    #[test]
    fn a_go_mod_says_which_toolchain_is_needed() {
        for (go_mod, toolchain) in [
            ("module m\n\ngo 1.24.0\n\ntoolchain go1.25.3 // newer\n", Some("go1.25.3")),
            ("module m\n\ngo 1.24.1\n", Some("go1.24.1")),
            ("module m\n\ngo 1.24rc1\n", None),
            ("module m\n\ngo 1.24\n", None),
            ("module m\n\ngo 1.20.5\n", None),
            ("module m\n\ngo 1.24.1\ntoolchain default\n", None),
            ("module m\n\nrequire go v1.0.0\n// go 1.24.1\n", None),
            ("", None),
        ] {
            assert_eq!(toolchain_of(go_mod).as_deref(), toolchain, "{go_mod}");
        }
        let of = toolchain_version("go1.25.3", "linux-amd64").unwrap();
        assert_eq!(of.to_string(), "golang.org/toolchain@v0.0.1-go1.25.3.linux-amd64");
        assert!(toolchain_version("go1.25.3", "linux/amd64").is_err());
    }

    #[test]
    fn a_go_sum_says_which_zips_are_needed() {
        let sum = |byte: &str| H1::of_mod(byte.as_bytes()).to_string();
        let text = format!("a.b/c v1.0.0 {0}\na.b/c v1.0.0/go.mod {1}\na.b/d v1.0.0/go.mod {1}\n", sum("1"), sum("2"));
        let mut wanted = Wanted::default();
        wanted.add_go_sum(&text).unwrap();
        wanted.add_go_sum(&text).unwrap();
        let found: Vec<_> = wanted.iter().map(|(of, zip)| (of.to_string(), zip)).collect();
        assert_eq!(found, [("a.b/c@v1.0.0".to_owned(), true), ("a.b/d@v1.0.0".to_owned(), false)]);
        let other = format!("a.b/d v1.0.0/go.mod {}\n", sum("3"));
        assert!(matches!(wanted.add_go_sum(&other), Err(BadWanted::Differing(_))));
    }
}
