//! What tags and commits mean for a module: its versions, and the folder that one of them is in.

use std::fs::File;

use bytes::Bytes;
use serde_json::json;
use tradewind_core::UnixMillis;

use super::HEAD;
use super::discover::Place;
use super::mirror::{Mirror, odd};
use super::program::{line, run, run_with};
use super::tree::{belonging, files, pack};
use crate::failure::Failure;
use crate::name::{ModulePath, ModuleVersion, Version, pseudo_version};

/// Digits of a commit in a pseudo-version.
const SHORT: usize = 12;
/// The most bytes of a go.mod.
const LARGEST_MOD: u64 = 16 << 20;

/// A module in a repository.
pub(super) struct Code<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) place: &'a Place,
    pub(super) path: &'a ModulePath,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Commit {
    hash: String,
    time: UnixMillis,
}

impl Code<'_> {
    /// The folder of the module without its major version, and the major version as it stands in the path.
    fn folder(&self) -> (String, &str) {
        let (prefix, major) = self.path.split_major();
        let (prefix, major) = if self.place.root == self.path.as_str() && !major.starts_with('.') {
            (self.path.as_str(), if self.place.folder.is_empty() { major } else { "" })
        } else {
            (prefix, major)
        };
        let below = prefix.strip_prefix(&self.place.root).unwrap_or_default().trim_matches('/');
        let parts: Vec<&str> =
            [self.place.folder.as_str(), below].into_iter().filter(|part| !part.is_empty()).collect();
        (parts.join("/"), major)
    }

    /// What stands before a version in its tag.
    fn tag_prefix(&self) -> String {
        let (folder, _) = self.folder();
        if folder.is_empty() { folder } else { format!("{folder}/") }
    }

    fn tag_of(&self, version: &Version) -> String {
        let version = version.as_str().strip_suffix("+incompatible").unwrap_or(version.as_str());
        format!("{}{version}", self.tag_prefix())
    }

    /// The versions that these tags stand for, sorted; ones that a go.mod would have to be missing for are marked so.
    fn versions(&self, tags: &str) -> Vec<Version> {
        let prefix = self.tag_prefix();
        let mut versions: Vec<Version> = tags
            .lines()
            .filter_map(|tag| tag.strip_prefix(&prefix))
            .filter_map(|tag| {
                let version =
                    Version::parse(tag).ok().filter(|version| version.as_str() == tag && !version.is_pseudo())?;
                if version.fits(self.path) {
                    return Some(version);
                }
                Version::parse(&format!("{tag}+incompatible")).ok().filter(|version| version.fits(self.path))
            })
            .collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    async fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        let printed = run(&self.mirror.folder, arguments).await?;
        String::from_utf8(printed).map_err(|_| odd("git printed what is not UTF-8"))
    }

    /// The tagged versions. Those of a major version that the path does not name count only where the latest of the others
    /// has no go.mod (`go help modules`, "+incompatible").
    async fn tagged(&self) -> Result<Vec<Version>, Failure> {
        let tags = self.git(&["for-each-ref", "--format=%(refname:strip=2)", "refs/tags"]).await?;
        let versions = self.versions(&tags);
        let (incompatible, compatible): (Vec<Version>, Vec<Version>) =
            versions.into_iter().partition(Version::is_incompatible);
        if incompatible.is_empty() {
            return Ok(compatible);
        }
        let mut all = compatible;
        let latest_is_module = match all.last() {
            None => false,
            Some(latest) => match self.commit(&format!("refs/tags/{}", self.tag_of(latest))).await? {
                Some(commit) => self.read_mod(&commit, &self.folder().0).await?.is_some(),
                None => false,
            },
        };
        if !latest_is_module {
            // Those with a go.mod would be modules of another path. One process for all: there may be very many tags.
            let go_mod = in_folder(&self.folder().0);
            let objects = incompatible.iter().map(|version| {
                let tag = format!("refs/tags/{}", self.tag_of(version));
                format!("{tag}^{{commit}}\n{tag}:{go_mod}\n")
            });
            let arguments = ["cat-file", "--batch-check=%(objecttype)"];
            let printed = run_with(&self.mirror.folder, &arguments, objects.collect::<String>().into()).await?;
            let said = String::from_utf8_lossy(&printed);
            let mut kinds = said.lines();
            for version in incompatible {
                let (Some(commit), Some(go_mod)) = (kinds.next(), kinds.next()) else {
                    return Err(odd("git said nothing of some tags"));
                };
                if commit == "commit" && go_mod != "blob" {
                    all.push(version);
                }
            }
        }
        Ok(all)
    }

    /// The answer to `list`.
    pub(super) async fn list(&self) -> Result<String, Failure> {
        let tagged = self.tagged().await?;
        if tagged.is_empty() {
            // A repository without the module is not one with a module without tags.
            let head = self.head().await?;
            self.directory(&head, None).await?;
        }
        Ok(tagged.iter().map(|version| format!("{version}\n")).collect())
    }

    /// The answer to `@latest`.
    pub(super) async fn latest(&self) -> Result<String, Failure> {
        let tagged = self.tagged().await?;
        let release = tagged.iter().rev().find(|version| !version.is_prerelease()).or_else(|| tagged.last());
        match release {
            Some(version) => self.info(version).await,
            None => {
                let head = self.head().await?;
                self.directory(&head, None).await?;
                let version = self.version_of(&head).await?;
                Ok(self.info_of(&version, &head, Some("HEAD")))
            }
        }
    }

    /// The answer to `.info` of a version.
    pub(super) async fn info(&self, version: &Version) -> Result<String, Failure> {
        let commit = self.commit_of(version).await?;
        self.directory(&commit, Some(version)).await?;
        let tag = (!version.is_pseudo()).then(|| format!("refs/tags/{}", self.tag_of(version)));
        Ok(self.info_of(version, &commit, tag.as_deref()))
    }

    /// The answer to `.info` of a branch, a tag or a commit.
    pub(super) async fn query(&self, query: &str) -> Result<String, Failure> {
        let is_hash = (7..=40).contains(&query.len()) && query.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut names = vec![format!("refs/tags/{query}"), format!("refs/heads/{query}")];
        if is_hash {
            names.push(query.to_owned());
        }
        // What leads git from one commit to another (gitrevisions(7)) is in no name.
        if query.contains(['~', '^', ':', '{', '[']) || query.contains("..") {
            names.clear();
        }
        if query == "HEAD" {
            names.push(HEAD.to_owned());
        }
        for name in &names {
            if let Some(commit) = self.commit(name).await? {
                self.directory(&commit, None).await?;
                let version = self.version_of(&commit).await?;
                let reference =
                    if name == HEAD { Some(query) } else { name.starts_with("refs/").then_some(name.as_str()) };
                return Ok(self.info_of(&version, &commit, reference));
            }
        }
        Err(Failure::missing(format!("{}@{query}: unknown revision {query}", self.path)))
    }

    fn info_of(&self, version: &Version, commit: &Commit, reference: Option<&str>) -> String {
        // To the second, as git has it.
        let time = commit.time.rfc3339().replace(".000Z", "Z");
        let mut origin = json!({ "VCS": "git", "URL": self.place.url, "Hash": commit.hash });
        if let (Some(origin), Some(reference)) = (origin.as_object_mut(), reference) {
            origin.insert("Ref".to_owned(), reference.into());
        }
        let (folder, _) = self.folder();
        if let (Some(origin), false) = (origin.as_object_mut(), folder.is_empty()) {
            origin.insert("Subdir".to_owned(), folder.into());
        }
        json!({ "Version": version.as_str(), "Time": time, "Origin": origin }).to_string()
    }

    /// The go.mod of a version; made up for a repository that has none.
    pub(super) async fn go_mod(&self, version: &Version) -> Result<Bytes, Failure> {
        let commit = self.commit_of(version).await?;
        let (_, go_mod) = self.directory(&commit, Some(version)).await?;
        Ok(go_mod.unwrap_or_else(|| format!("module {}\n", self.path).into()))
    }

    /// The zip of a version, and its length.
    pub(super) async fn zip(&self, of: &ModuleVersion) -> Result<(File, u64), Failure> {
        let commit = self.commit_of(&of.version).await?;
        let (folder, go_mod) = self.directory(&commit, Some(&of.version)).await?;
        let go = go_mod.as_deref().and_then(needed_go);
        let mut entries = belonging(files(&self.mirror.folder, &commit.hash, &folder).await?, go);
        let has_licence = entries.iter().any(|entry| entry.path == "LICENSE");
        if !folder.is_empty() && !has_licence {
            let top = files(&self.mirror.folder, &commit.hash, "").await?;
            entries.extend(top.into_iter().find(|entry| entry.path == "LICENSE" && entry.is_plain));
        }
        let (repository, beside, of) = (self.mirror.folder.clone(), self.mirror.beside.clone(), of.clone());
        let packing = tokio::task::spawn_blocking(move || pack(&repository, &beside, &of, &entries));
        packing.await.map_err(|_| Failure::internal("making the zip broke off"))?
    }

    async fn head(&self) -> Result<Commit, Failure> {
        let head = self.commit(HEAD).await?;
        head.ok_or_else(|| Failure::missing(format!("{}: the repository is empty", self.path)))
    }

    /// The commit of a name, if there is one.
    async fn commit(&self, name: &str) -> Result<Option<Commit>, Failure> {
        let name = format!("{name}^{{commit}}");
        let verified = ["rev-parse", "--verify", "--quiet", "--end-of-options", name.as_str()];
        let Some(hash) = line(&self.mirror.folder, &verified).await? else { return Ok(None) };
        let said = self.git(&["log", "-1", "--no-show-signature", "--format=%ct", "--end-of-options", &hash]).await?;
        let seconds: u64 = said.trim().parse().map_err(|_| odd("the commit has no time"))?;
        Ok(Some(Commit { hash, time: UnixMillis(seconds.saturating_mul(1000)) }))
    }

    /// The commit of a version. A pseudo-version has to be the one that its commit has by one of the tags before it.
    async fn commit_of(&self, version: &Version) -> Result<Commit, Failure> {
        let unknown = || Failure::missing(format!("{}@{version}: unknown revision", self.path));
        let Some(revision) = version.pseudo_revision() else {
            let tag = format!("refs/tags/{}", self.tag_of(version));
            return self.commit(&tag).await?.ok_or_else(unknown);
        };
        if !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let commit = self.commit(revision).await?.ok_or_else(unknown)?;
        let bases = self.bases(&commit).await?;
        let possible = bases.iter().map(Some).chain([None]).filter_map(|base| self.pseudo(base, &commit));
        if possible.into_iter().any(|one| one == *version) {
            return Ok(commit);
        }
        Err(Failure::missing(format!(
            "{}@{version}: invalid pseudo-version: its time, its revision or the tag before it is another",
            self.path
        )))
    }

    /// The tagged versions in the history of a commit, sorted.
    async fn bases(&self, commit: &Commit) -> Result<Vec<Version>, Failure> {
        let tags = self.git(&["tag", "--merged", &commit.hash]).await?;
        Ok(self.versions(&tags))
    }

    fn pseudo(&self, base: Option<&Version>, commit: &Commit) -> Option<Version> {
        let (_, major) = self.folder();
        let major = major.trim_start_matches(['/', '.']).trim_end_matches("-unstable");
        let major = if major.is_empty() { "v0" } else { major };
        pseudo_version(major, base, commit.time, commit.hash.get(..SHORT)?).ok()
    }

    /// The version of a commit: its highest tag, or a pseudo-version behind the highest before it.
    async fn version_of(&self, commit: &Commit) -> Result<Version, Failure> {
        let tags = self.git(&["tag", "--points-at", &commit.hash]).await?;
        if let Some(version) = self.versions(&tags).into_iter().rev().find(|version| !version.is_incompatible()) {
            return Ok(version);
        }
        let bases = self.bases(commit).await?;
        let base = bases.iter().rev().find(|version| !version.is_incompatible());
        self.pseudo(base, commit).ok_or_else(|| odd("the commit has no version"))
    }

    /// The folder of the module in a commit, and its go.mod there.
    async fn directory(&self, commit: &Commit, version: Option<&Version>) -> Result<(String, Option<Bytes>), Failure> {
        let (folder, major) = self.folder();
        let found = self.read_mod(commit, &folder).await?;
        let names = |go_mod: &Bytes| module_line(go_mod).is_some_and(|name| name == self.path.as_str());
        if let Some(number) = major.strip_prefix('/') {
            if let Some(go_mod) = found.filter(names) {
                return Ok((folder, Some(go_mod)));
            }
            let below = if folder.is_empty() { number.to_owned() } else { format!("{folder}/{number}") };
            if let Some(go_mod) = self.read_mod(commit, &below).await?.filter(names) {
                return Ok((below, Some(go_mod)));
            }
            return Err(Failure::missing(format!("{}: no go.mod of the repository names this module", self.path)));
        }
        match found {
            Some(_) if version.is_some_and(Version::is_incompatible) => Err(Failure::missing(format!(
                "{}: invalid version: module contains a go.mod file, so the module path must name its major version",
                self.path
            ))),
            Some(go_mod) => Ok((folder, Some(go_mod))),
            None if folder.is_empty() => Ok((folder, None)),
            None => Err(Failure::missing(format!("{}: the repository has no {folder}/go.mod", self.path))),
        }
    }

    async fn read_mod(&self, commit: &Commit, folder: &str) -> Result<Option<Bytes>, Failure> {
        let path = in_folder(folder);
        let object = format!("{}:{path}", commit.hash);
        let Some(size) = line(&self.mirror.folder, &["cat-file", "-s", &object]).await? else { return Ok(None) };
        if size.parse::<u64>().map_or(true, |size| size > LARGEST_MOD) {
            return Err(odd(format_args!("{path} has more than 16 MiB")));
        }
        Ok(Some(run(&self.mirror.folder, &["cat-file", "blob", &object]).await?.into()))
    }
}

/// The path of the go.mod in a folder.
fn in_folder(folder: &str) -> String {
    if folder.is_empty() { "go.mod".to_owned() } else { format!("{folder}/go.mod") }
}

/// The path behind `module` in a go.mod.
fn module_line(go_mod: &[u8]) -> Option<String> {
    directive(go_mod, "module")
}

/// The version behind `go`.
fn needed_go(go_mod: &[u8]) -> Option<(u64, u64)> {
    let version = directive(go_mod, "go")?;
    let mut numbers = version.split('.').map(|part| part.chars().take_while(char::is_ascii_digit).collect::<String>());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn directive(go_mod: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(go_mod);
    let words = text.lines().filter_map(|line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '\t', '"', '`']).then(|| rest.trim().trim_matches(['"', '`']).to_owned())
    });
    let mut words = words;
    words.next().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let go_mod = b"// module no\nmodule \"example.com/a/v2\" // yes\n\ngo 1.24.1\nrequire x v1\n";
        assert_eq!(module_line(go_mod).as_deref(), Some("example.com/a/v2"));
        assert_eq!(needed_go(go_mod), Some((1, 24)));
        assert_eq!(needed_go(b"module a\ngo 1.21rc1\n"), Some((1, 21)));
        assert_eq!((module_line(b"modules x"), needed_go(b"\xff\xfe")), (None, None));
    }

    fn code_in<T>(path: &str, root: &str, folder: &str, look: impl FnOnce(&Code<'_>) -> T) -> T {
        let mirror = Mirror::nowhere();
        let place = Place { root: root.to_owned(), url: String::new(), folder: folder.to_owned() };
        look(&Code { mirror: &mirror, place: &place, path: &ModulePath::parse(path).unwrap() })
    }

    #[test]
    fn paths_have_folders_and_tags() {
        for (path, root, inside, folder, tag) in [
            ("github.com/a/b", "github.com/a/b", "", "", "v1.0.0"),
            ("github.com/a/b/v2", "github.com/a/b", "", "", "v2.0.0"),
            ("github.com/a/b/sub", "github.com/a/b", "", "sub", "sub/v1.0.0"),
            ("github.com/a/b/sub/v3", "github.com/a/b", "", "sub", "sub/v3.0.0"),
            ("gopkg.in/yaml.v3", "gopkg.in/yaml.v3", "", "", "v3.0.0"),
            ("e.com/x/y", "e.com/x", "go", "go/y", "go/y/v1.0.0"),
        ] {
            let version = Version::parse(tag.rsplit('/').next().unwrap()).unwrap();
            code_in(path, root, inside, |code| {
                assert_eq!((code.folder().0.as_str(), code.tag_of(&version).as_str()), (folder, tag), "{path}");
                assert_eq!(code.versions(&format!("{tag}\nnonsense\nv1\nother/v1.0.0\n")), [version], "{path}");
            });
        }
    }
}
