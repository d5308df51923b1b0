//! Which repository a module is in: by its path for hosts that are known, by a `.git` in it, or by what the page at its path
//! says (`<meta name="go-import">`, `go help importpath`).

use std::sync::Arc;

use tradewind_egress::{Http2, Origin};

use super::Git;
use crate::failure::Failure;
use crate::name::ModulePath;
use crate::upstream::http::HttpSource;

/// Hosts whose repositories are named by the first two elements behind the host.
const KNOWN: [&str; 3] = ["github.com", "bitbucket.org", "gitlab.com"];
/// As much of a page is read; what is meant stands at its beginning.
const PAGE: usize = 512 * 1024;

/// Where a module is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The path that the root of the repository stands for.
    pub(super) root: String,
    /// The repository.
    pub(super) url: String,
    /// The folder of the repository that `root` means, without slashes around it.
    pub(super) folder: String,
}

impl Git {
    /// The repository of a module. Paths that cannot be one cost no request: the go command asks for each prefix.
    pub(super) async fn find(&self, path: &ModulePath) -> Result<Place, Failure> {
        match by_name(path.as_str()) {
            ByName::Found(place) => return Ok(place),
            ByName::TooShort => return Err(Failure::missing(format!("{path} is not the path of a repository"))),
            ByName::Unknown => {}
        }
        let (host, behind) = path.as_str().split_once('/').unwrap_or((path.as_str(), ""));
        let origin =
            Origin::parse(&format!("https://{host}")).map_err(|error| Failure::missing(format!("{path}: {error}")))?;
        let route = self.egress.route(origin, Http2::Auto, &self.roots, "", self.via.as_ref());
        let source = HttpSource::new(
            Arc::clone(&self.egress),
            self.mirrors.clock(),
            route,
            self.roots.clone(),
            String::new(),
            "".into(),
            http::HeaderMap::new(),
        );
        let page = source.open_page(&format!("{behind}?go-get=1")).await?.first(PAGE).await?;
        let text = String::from_utf8_lossy(&page);
        by_page(path.as_str(), &text).map_err(Failure::missing)
    }
}

/// What the path alone says.
#[derive(Debug, PartialEq, Eq)]
enum ByName {
    Found(Place),
    /// It is a prefix of what could be a repository there.
    TooShort,
    Unknown,
}

fn by_name(path: &str) -> ByName {
    let mut elements = path.split('/');
    let host = elements.next().unwrap_or_default();
    if KNOWN.contains(&host) {
        let (Some(owner), Some(repository)) = (elements.next(), elements.next()) else { return ByName::TooShort };
        let root = format!("{host}/{owner}/{repository}");
        let url = format!("https://{}", root.strip_suffix(".git").unwrap_or(&root));
        return ByName::Found(Place { root, url, folder: String::new() });
    }
    let end = path.find(".git/").map(|at| at + ".git".len()).or_else(|| path.ends_with(".git").then_some(path.len()));
    match end.filter(|end| path[..*end].contains('/')) {
        Some(end) => {
            let root = path[..end].to_owned();
            ByName::Found(Place { url: format!("https://{root}"), root, folder: String::new() })
        }
        None => ByName::Unknown,
    }
}

/// What a page says about the path.
fn by_page(path: &str, page: &str) -> Result<Place, String> {
    let mut found: Option<Place> = None;
    for content in imports(page) {
        let words: Vec<&str> = content.split_whitespace().collect();
        let (root, system, url, folder) = match words[..] {
            [root, system, url] => (root, system, url, ""),
            [root, system, url, folder] => (root, system, url, folder),
            _ => continue,
        };
        let covers = path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if !covers || system == "mod" {
            continue;
        }
        if system != "git" {
            return Err(format!("{path} is in a repository of {system}, and only git is asked"));
        }
        if !(url.starts_with("https://") || url.starts_with("ssh://") || url.starts_with("git+ssh://")) {
            return Err(format!("{path} is in a repository that is not reached over https or ssh"));
        }
        if found.is_some() {
            return Err(format!("{path}: the page names several repositories"));
        }
        let folder = folder.trim_matches('/').to_owned();
        if folder.split('/').any(|part| part == "..") {
            return Err(format!("{path}: the page names a folder outside of the repository"));
        }
        found = Some(Place { root: root.to_owned(), url: url.to_owned(), folder });
    }
    found.ok_or_else(|| format!("{path}: the page at this path names no repository (no go-import meta tag)"))
}

/// The contents of all `go-import` tags before the body.
fn imports(page: &str) -> Vec<String> {
    let lower = page.to_ascii_lowercase();
    let end = ["</head", "<body"].iter().filter_map(|mark| lower.find(mark)).min().unwrap_or(page.len());
    let mut contents = Vec::new();
    let mut at = 0;
    while let Some(start) = lower[at..end].find("<meta").map(|start| at + start) {
        let close = lower[start..end].find('>').map_or(end, |close| start + close);
        let tag = &page[start + "<meta".len()..close];
        if attribute(tag, "name").is_some_and(|name| name.eq_ignore_ascii_case("go-import")) {
            contents.extend(attribute(tag, "content"));
        }
        at = close;
    }
    contents
}

/// The value of an attribute of a tag, in quotes or without.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '=')?;
        let name = &rest[..name_end];
        rest = rest[name_end..].trim_start();
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value.trim_start();
        let (value, after) = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote)?,
            _ => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.replace("&amp;", "&"));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(root: &str, url: &str, folder: &str) -> Place {
        Place { root: root.to_owned(), url: url.to_owned(), folder: folder.to_owned() }
    }

    #[test]
    fn known_hosts_need_no_request() {
        assert_eq!(by_name("github.com"), ByName::TooShort);
        assert_eq!(by_name("github.com/a"), ByName::TooShort);
        let github = place("github.com/a/b", "https://github.com/a/b", "");
        assert_eq!(by_name("github.com/a/b/sub/v2"), ByName::Found(github));
        let own = place("git.example.com/x/y.git", "https://git.example.com/x/y.git", "");
        assert_eq!(by_name("git.example.com/x/y.git/z"), ByName::Found(own));
        assert_eq!(by_name("example.com/x"), ByName::Unknown);
        assert_eq!(by_name("example.git"), ByName::Unknown);
    }

    #[test]
    fn pages_name_repositories() {
        let page = r#"<!doctype html><html><head>
            <META content='example.com/a git https://git.example.com/a' name="go-import">
            <meta name=go-source content="x"><meta name="go-import" content="example.com/b git https://other/b"/>
            </head><body><meta name="go-import" content="example.com/a git https://evil/a">"#;
        let expected = Ok(place("example.com/a", "https://git.example.com/a", ""));
        assert_eq!(by_page("example.com/a", page), expected);
        assert_eq!(by_page("example.com/a/sub/v2", page), expected);
        for path in ["example.com/ab", "example.com", "example.com/c"] {
            assert!(by_page(path, page).unwrap_err().contains("no go-import"), "{path}");
        }
        let one = |content: &str| by_page("e.com/a", &format!("<meta name=\"go-import\" content=\"{content}\">"));
        assert_eq!(one("e.com git ssh://git@e.com/r go/src"), Ok(place("e.com", "ssh://git@e.com/r", "go/src")));
        for (content, what) in [
            ("e.com/a hg https://e.com/r", "of hg"),
            ("e.com/a git http://e.com/r", "not reached over https"),
            ("e.com/a git ext::sh%20-c", "not reached over https"),
            ("e.com/a git --upload-pack=x", "not reached over https"),
            ("e.com/a git https://e.com/r ../x", "outside"),
            ("e.com/a mod https://proxy", "no go-import"),
            ("e.com/a git", "no go-import"),
        ] {
            assert!(one(content).unwrap_err().contains(what), "{content}: {:?}", one(content));
        }
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in "(<meta|name=|content=|go-import|\"|'|>|</head>|é|[a-z ]){0,40}") {
            let _ = by_page("example.com/a", &page);
        }
    }
}
