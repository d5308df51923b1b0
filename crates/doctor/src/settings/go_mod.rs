//! The lines of `go.mod` and `go.work` that matter on the way out.

/// What a `go.mod` or a `go.work` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// Its path.
    pub module: Option<String>,
    /// The version of Go that it wants.
    pub go: Option<String>,
    /// The toolchain that it suggests.
    pub toolchain: Option<String>,
    /// What it requires.
    pub requires: Vec<Require>,
    /// What stands in for what.
    pub replaces: Vec<Replace>,
    /// Folders of the modules, in a `go.work`.
    pub uses: Vec<String>,
}

/// A required module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// Its path.
    pub path: String,
    /// At least this version.
    pub version: String,
    /// Marked `// indirect`.
    pub indirect: bool,
}

/// A replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// The path that is replaced.
    pub old: String,
    /// Only at this version, if one is named.
    pub old_version: Option<String>,
    /// The module or folder in its place.
    pub new: String,
    /// Its version; `None` for a folder.
    pub new_version: Option<String>,
}

/// Why a file is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(super) struct BadGoMod {
    /// The line, from 1.
    line: usize,
    /// What is wrong with it.
    what: &'static str,
}

impl GoMod {
    /// What is downloaded for `path` at `version`; `None` when a folder stands in.
    #[must_use]
    pub fn replaced<'a>(&'a self, path: &'a str, version: &'a str) -> Option<(&'a str, &'a str)> {
        let of_version = |replace: &&Replace| replace.old == path && replace.old_version.as_deref() == Some(version);
        let of_all = |replace: &&Replace| replace.old == path && replace.old_version.is_none();
        let replace = self.replaces.iter().find(of_version).or_else(|| self.replaces.iter().find(of_all));
        match replace {
            None => Some((path, version)),
            Some(replace) => replace.new_version.as_deref().map(|version| (replace.new.as_str(), version)),
        }
    }
}

/// Reads a `go.mod` or `go.work`. Directives that do not matter here are passed over.
///
/// # Errors
/// When a line that matters cannot be read.
pub(super) fn parse(text: &str) -> Result<GoMod, BadGoMod> {
    let mut file = GoMod::default();
    let mut block: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |what| BadGoMod { line: index + 1, what };
        let (line, comment) = line.split_once("//").map_or((line, ""), |(line, comment)| (line, comment));
        let words = words(line).ok_or_else(|| wrong("a quote that is not closed"))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (&block, words.as_slice()) {
            (_, []) => {}
            (Some(_), [")"]) => block = None,
            (Some(directive), words) => {
                let directive = directive.clone();
                file.directive(&directive, words, comment).map_err(wrong)?;
            }
            (None, [directive, "("]) => block = Some((*directive).to_owned()),
            (None, [directive, "(", ")"]) if !directive.is_empty() => {}
            (None, [directive, words @ ..]) => file.directive(directive, words, comment).map_err(wrong)?,
        }
    }
    match block {
        Some(_) => Err(BadGoMod { line: text.lines().count(), what: "a block that is not closed" }),
        None => Ok(file),
    }
}

impl GoMod {
    fn directive(&mut self, directive: &str, words: &[&str], comment: &str) -> Result<(), &'static str> {
        let owned = |word: &str| word.to_owned();
        match (directive, words) {
            ("module", [path]) => self.module = Some(owned(path)),
            ("go", [version]) => self.go = Some(owned(version)),
            ("toolchain", [name]) => self.toolchain = Some(owned(name)),
            ("use", [folder]) => self.uses.push(owned(folder)),
            ("require", [path, version]) => {
                let indirect = comment.trim() == "indirect" || comment.trim().starts_with("indirect;");
                self.requires.push(Require { path: owned(path), version: owned(version), indirect });
            }
            ("replace", words) => {
                let arrow = words.iter().position(|word| *word == "=>").ok_or("a replacement without =>")?;
                let (old, old_version) = path_and_version(&words[..arrow])?;
                let (new, new_version) = path_and_version(&words[arrow + 1..])?;
                self.replaces.push(Replace { old, old_version, new, new_version });
            }
            ("module" | "go" | "toolchain" | "use" | "require", _) => return Err("too few or too many words"),
            _ => {}
        }
        Ok(())
    }
}

fn path_and_version(words: &[&str]) -> Result<(String, Option<String>), &'static str> {
    match words {
        [path] => Ok(((*path).to_owned(), None)),
        [path, version] => Ok(((*path).to_owned(), Some((*version).to_owned()))),
        _ => Err("a replacement that is not a path and a version"),
    }
}

/// The words of a line; quotes of either kind go around a word. `None` when one is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '`' {
            let end = rest[1..].find(first)?;
            words.push(rest[1..=end].to_owned());
            rest = &rest[end + 2..];
        } else if first == '(' || first == ')' {
            words.push(first.to_string());
            rest = &rest[1..];
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '(' || c == ')').unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_matters_is_read() {
        let file = parse(
            "module \"example.com/app\" // comment\n\ngo 1.24\ntoolchain go1.27.3\n\nrequire example.com/one v1.0.0\n\
             require (\n\texample.com/Two v2.0.0+incompatible // indirect\n\texample.com/three v0.0.1 // indirect; x\n)\n\
             replace example.com/one => ../one\nreplace (\n\texample.com/Two v2.0.0+incompatible => example.com/2 v2.1.0\n)\n\
             exclude example.com/four v1.0.0\nretract [v1.0.0, v1.1.0] // why\ntool example.com/tool\n",
        )
        .unwrap();
        assert_eq!(file.module.as_deref(), Some("example.com/app"));
        assert_eq!((file.go.as_deref(), file.toolchain.as_deref()), (Some("1.24"), Some("go1.27.3")));
        assert_eq!(file.requires.len(), 3);
        assert!(file.requires[1].indirect && file.requires[2].indirect && !file.requires[0].indirect);
        assert_eq!(file.replaced("example.com/one", "v1.0.0"), None);
        assert_eq!(file.replaced("example.com/Two", "v2.0.0+incompatible"), Some(("example.com/2", "v2.1.0")));
        assert_eq!(file.replaced("example.com/Two", "v9.0.0"), Some(("example.com/Two", "v9.0.0")));
        let work = parse("go 1.27\nuse ./a\nuse (\n./b\n)\n").unwrap();
        assert_eq!(work.uses, ["./a", "./b"]);
    }

    #[test]
    fn what_cannot_be_read_has_its_line() {
        for (text, line) in [("module a\nrequire b\n", 2), ("require (\n a v1\n", 2), ("module \"a\n", 1)] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_file_is_too_strange(text in "(module|require|replace|=>|[(]|[)]|\"|`|//| |\n|[a-z.]{1,4}|ü){0,40}") {
            let _ = parse(&text);
        }
    }
}
