//! The module, or the workspace, that the go command would work on here: `go.mod`, `go.sum`, `go.work`, `vendor`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tradewind_runtime::files;

use super::go_mod::{self, GoMod};
use super::go_version::GoVersion;

/// The largest file that is read: Go's own limit for a go.mod; a go.sum may be larger.
const MOST_GO_MOD: u64 = 16 << 20;
const MOST_GO_SUM: u64 = 64 << 20;

/// A module, or a workspace of modules.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The folder of the `go.mod`, or of the `go.work`.
    pub folder: PathBuf,
    /// The `go.work`, if one is in force.
    pub work: Option<PathBuf>,
    /// Its modules, in the order of the `go.work`; the only one without.
    pub modules: Vec<Member>,
    /// `go` of the workspace, or of the only module.
    pub go: Option<GoVersion>,
    /// `toolchain`, as written: `go1.27.3`, `default`.
    pub toolchain: Option<String>,
    /// A `vendor` folder with a `modules.txt`: what it says.
    pub vendor: Option<String>,
}

/// A module of the project.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its `go.mod`.
    pub file: PathBuf,
    /// What that says.
    pub go_mod: GoMod,
    /// Why it cannot be read, in the go command's words.
    pub broken: Option<String>,
    /// The hashes in `go.sum`, by `path version` and `path version/go.mod`.
    pub go_sum: BTreeMap<String, BTreeSet<String>>,
    /// Whether there is a `go.sum`.
    pub has_go_sum: bool,
}

/// A module at a version, as it is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// The module's path, after replacement.
    pub path: String,
    /// Its version.
    pub version: String,
    /// Whether the project's own packages need it.
    pub direct: bool,
}

impl Needed {
    /// The path of its files in a cache and at a proxy, without the ending: `github.com/!azure/x/@v/v1.0.0`.
    #[must_use]
    pub fn escaped(&self) -> String {
        format!("{}/@v/{}", escaped(&self.path), escaped(&self.version))
    }
}

/// `text` with `!` and the small letter for each capital one, as paths in caches and at proxies are written.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

impl Project {
    /// The project of `folder`: the nearest `go.mod` upwards, unless `work` names a `go.work` or one is found upwards.
    /// `work` is the value of GOWORK: `off` for none.
    #[must_use]
    pub fn find(folder: &Path, work: Option<&str>) -> Option<Self> {
        let work = match work {
            Some("off") => None,
            Some("auto") | None => upwards(folder, "go.work"),
            Some(path) => Some(PathBuf::from(path)),
        };
        if let Some(work) = work
            && let Some(project) = Self::of_workspace(work)
        {
            return Some(project);
        }
        let file = upwards(folder, "go.mod")?;
        let member = Member::read(file.clone());
        Some(Self {
            folder: file.parent()?.to_owned(),
            work: None,
            go: member.go_mod.go.as_deref().and_then(GoVersion::parse),
            toolchain: member.go_mod.toolchain.clone(),
            vendor: vendor(file.parent()?),
            modules: vec![member],
        })
    }

    fn of_workspace(file: PathBuf) -> Option<Self> {
        let text = files::read_text(&file, MOST_GO_MOD).ok()?;
        let folder = file.parent()?.to_owned();
        let work = go_mod::parse(&text).ok()?;
        let members = work.uses.iter().map(|used| Member::read(folder.join(used).join("go.mod"))).collect();
        Some(Self {
            work: Some(file),
            go: work.go.as_deref().and_then(GoVersion::parse),
            toolchain: work.toolchain,
            vendor: vendor(&folder),
            folder,
            modules: members,
        })
    }

    /// The modules that the go command may have to download, replacements applied, sorted. Modules of the workspace and
    /// replacements by folders are not among them.
    #[must_use]
    pub fn needed(&self) -> Vec<Needed> {
        let own: BTreeSet<&str> = self.modules.iter().filter_map(|member| member.go_mod.module.as_deref()).collect();
        let mut needed: BTreeMap<(String, String), bool> = BTreeMap::new();
        for member in &self.modules {
            for require in &member.go_mod.requires {
                if own.contains(require.path.as_str()) {
                    continue;
                }
                let Some((path, version)) = member.go_mod.replaced(&require.path, &require.version) else { continue };
                let direct = needed.entry((path.to_owned(), version.to_owned())).or_default();
                *direct |= !require.indirect;
            }
        }
        let needed = needed.into_iter();
        needed.map(|((path, version), direct)| Needed { path, version, direct }).collect()
    }

    /// Whether any `go.sum` of the project has a line for `key`: `path version` or `path version/go.mod`.
    #[must_use]
    pub fn has_sum(&self, key: &str) -> bool {
        self.modules.iter().any(|member| member.go_sum.contains_key(key))
    }
}

impl Member {
    fn read(file: PathBuf) -> Self {
        let mut member = Self { file, ..Self::default() };
        match files::read_text(&member.file, MOST_GO_MOD) {
            Ok(text) => match go_mod::parse(&text) {
                Ok(go_mod) => member.go_mod = go_mod,
                Err(error) => member.broken = Some(error.to_string()),
            },
            Err(error) => member.broken = Some(error.to_string()),
        }
        if let Ok(text) = files::read_text(&member.file.with_file_name("go.sum"), MOST_GO_SUM) {
            member.has_go_sum = true;
            for line in text.lines() {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if let [path, version, hash] = fields[..] {
                    member.go_sum.entry(format!("{path} {version}")).or_default().insert(hash.to_owned());
                }
            }
        }
        member
    }
}

fn upwards(folder: &Path, name: &str) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn vendor(folder: &Path) -> Option<String> {
    files::read_text(&folder.join("vendor").join("modules.txt"), MOST_GO_MOD).ok()
}
