//! The files of a commit, and which of them belong to a module: the rules of `golang.org/x/mod/zip` for making a zip.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;

use super::mirror::{odd, storage};
use super::pack::Packer;
use super::program::{command, run};
use crate::failure::Failure;
use crate::name::ModuleVersion;

/// The most bytes of a module, unpacked.
const MOST_BYTES: u64 = 500 << 20;
/// The first version that leaves `vendor` out as it was always meant to be (golang/go#37397).
const VENDOR_MEANT: (u64, u64) = (1, 24);

/// One file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path below the folder.
    pub(super) path: String,
    pub(super) object: String,
    pub(super) size: u64,
    /// Whether it is a plain file: no link, no repository of its own.
    pub(super) is_plain: bool,
}

/// The files below `folder` of a commit.
pub(super) async fn files(repository: &Path, commit: &str, folder: &str) -> Result<Vec<Entry>, Failure> {
    let tree = format!("{commit}:{folder}");
    let printed = run(repository, &["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", &tree]).await?;
    let text = String::from_utf8(printed).map_err(|_| odd("the repository has a file whose name is not UTF-8"))?;
    text.split_terminator('\0')
        .map(|line| entry(line).ok_or_else(|| odd("git printed what is no list of files")))
        .collect()
}

fn entry(line: &str) -> Option<Entry> {
    let (facts, path) = line.split_once('\t')?;
    let mut words = facts.split_whitespace();
    let (mode, kind, object, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Entry {
        path: path.to_owned(),
        object: object.to_owned(),
        size: size.parse().unwrap_or(0),
        is_plain: kind == "blob" && mode.starts_with("100"),
    })
}

/// The files that belong to the module whose go.mod says that it needs `go` at least.
pub(super) fn belonging(entries: Vec<Entry>, go: Option<(u64, u64)>) -> Vec<Entry> {
    let folder = |path: &str| path.rfind('/').map(|end| path[..end].to_owned());
    let is_mod = |path: &str| path.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("go.mod"));
    let others: HashSet<String> =
        entries.iter().filter(|entry| is_mod(&entry.path)).filter_map(|entry| folder(&entry.path)).collect();
    let in_other = |path: &str| path.match_indices('/').any(|(end, _)| others.contains(&path[..end]));
    let belongs = |entry: &Entry| entry.is_plain && !in_other(&entry.path) && !is_vendored(&entry.path, go);
    entries.into_iter().filter(belongs).collect()
}

/// Whether a file is one of a vendored package, by the version of Go that the module is for.
fn is_vendored(path: &str, go: Option<(u64, u64)>) -> bool {
    let as_meant = go.is_some_and(|go| go >= VENDOR_MEANT);
    if as_meant && path == "vendor/modules.txt" {
        return true;
    }
    let mark = "/vendor/";
    let behind = if path.starts_with("vendor/") {
        "vendor/".len()
    } else {
        match path.find(mark) {
            Some(at) if as_meant => at + mark.len(),
            // What older versions did: hashes of zips that were made by them depend on it.
            Some(_) => mark.len(),
            None => return false,
        }
    };
    path.get(behind..).is_some_and(|rest| rest.contains('/'))
}

/// Writes the zip of a module; gives the file and its length. Blocks.
pub(super) fn pack(
    repository: &Path,
    beside: &Path,
    of: &ModuleVersion,
    entries: &[Entry],
) -> Result<(File, u64), Failure> {
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    if total > MOST_BYTES {
        return Err(odd(format_args!("{of} has {total} bytes, and a module has 500 MiB at most")));
    }
    let packing = || -> io::Result<(File, u64)> {
        let mut packer = Packer::new(tempfile::tempfile_in(beside)?);
        let mut reading = command(repository);
        let mut child = reading.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let (Some(mut ask), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("git has no input or output"));
        };
        let mut said = BufReader::new(said);
        for entry in entries {
            writeln!(ask, "{}", entry.object)?;
            let mut header = String::new();
            said.read_line(&mut header)?;
            let size: Option<u64> = header.split_whitespace().nth(2).and_then(|size| size.parse().ok());
            if size != Some(entry.size) {
                return Err(io::Error::other("git does not have a file that it listed"));
            }
            packer.add(&format!("{of}/{}", entry.path), &mut (&mut said).take(entry.size))?;
            let mut end = [0];
            said.read_exact(&mut end)?;
        }
        drop(ask);
        let _ = child.wait(); // it has nothing more to say
        packer.finish()
    };
    packing().map_err(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(paths: &[&str], go: Option<(u64, u64)>) -> Vec<String> {
        let plain = |path: &&str| Entry { path: (*path).to_owned(), object: String::new(), size: 0, is_plain: true };
        belonging(paths.iter().map(plain).collect(), go).into_iter().map(|entry| entry.path).collect()
    }

    #[test]
    fn lists_are_read() {
        let entry = entry("100644 blob 0123abcd      17\tsub/a b.go").unwrap();
        assert_eq!((entry.path.as_str(), entry.object.as_str(), entry.size), ("sub/a b.go", "0123abcd", 17));
        assert!(entry.is_plain);
        assert!(!super::entry("120000 blob 0123       4\tlink").unwrap().is_plain);
        assert!(!super::entry("160000 commit 0123       -\tsubmodule").unwrap().is_plain);
        assert!(super::entry("nonsense").is_none());
    }

    #[test]
    fn other_modules_and_vendored_packages_are_left_out() {
        let paths = ["go.mod", "a.go", "sub/go.mod", "sub/x/b.go", "subway/c.go", "tools/GO.MOD", "tools/t.go"];
        assert_eq!(kept(&paths, None), ["go.mod", "a.go", "subway/c.go"]);
        // As the tables of golang/go#37397 have it.
        let paths = ["vendor/modules.txt", "vendor/a/a.go", "vendor/v.go", "pkg/vendor/vendor.go", "pkg/vendor/x/x.go"];
        assert_eq!(kept(&paths, Some((1, 24))), ["vendor/v.go", "pkg/vendor/vendor.go"]);
        assert_eq!(kept(&paths, Some((1, 23))), ["vendor/modules.txt", "vendor/v.go"]);
        assert_eq!(kept(&paths, None), ["vendor/modules.txt", "vendor/v.go"]);
    }
}
