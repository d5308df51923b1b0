//! Which package index to ask, as pip decides it, and where in its answer a file is.

use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;
use tradewind_runtime::{environment, files, home_dir};

/// The public index.
const PUBLIC: &str = "https://pypi.org/simple";
/// The largest configuration file of pip's that is read, in bytes.
const LARGEST_CONFIG: u64 = 64 * 1024;

/// The index that pip would use: of PIP_INDEX_URL, else of the last of its configuration files that names one, else the
/// public one.
pub(super) fn of_pip() -> String {
    if let Some(url) = environment("PIP_INDEX_URL") {
        return url;
    }
    let home = |path: &str| home_dir().map(|home| home.join(path));
    let user = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home(".config"));
    // The last word first.
    let config_files = [
        environment("PIP_CONFIG_FILE").map(PathBuf::from),
        user.map(|folder| folder.join("pip/pip.conf")),
        home(".pip/pip.conf"),
        Some(PathBuf::from("/etc/pip.conf")),
    ];
    let read = |path: PathBuf| files::read_text(&path, LARGEST_CONFIG).ok().and_then(|text| index_url(&text));
    config_files.into_iter().flatten().find_map(read).unwrap_or_else(|| PUBLIC.to_owned())
}

/// The index in a configuration file of pip's.
pub(super) fn index_url(text: &str) -> Option<String> {
    let mut global = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            global = section.trim_end_matches(']') == "global";
        } else if global
            && let Some((key, value)) = line.split_once('=')
            && matches!(key.trim(), "index-url" | "index_url")
        {
            found = Some(value.trim().to_owned()).filter(|url| !url.is_empty());
        }
    }
    found
}

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
}

/// The place of `file` in an index's page about its package: JSON (PEP 691), or HTML (PEP 503) of an index that knows no
/// JSON.
pub(super) fn place_of(file: &str, page: &str) -> Option<String> {
    if page.trim_start().starts_with('{') {
        let page: Page = serde_json::from_str(page).ok()?;
        return page.files.into_iter().find(|one| one.filename == file).map(|one| one.url);
    }
    let links = page.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    let mut named = links.filter(|link| {
        let path = link.split(['#', '?']).next().unwrap_or_default();
        path.rsplit('/').next() == Some(file)
    });
    named.next().map(|link| link.replace("&amp;", "&"))
}

/// What `reference` in the page at `base` means, without its fragment. (RFC 3986, section 5.2, for http.)
pub(super) fn join(base: &Uri, reference: &str) -> Option<Uri> {
    let reference = reference.split('#').next().unwrap_or_default();
    if reference.contains("://") {
        return reference.parse().ok();
    }
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    let folder =
        if reference.starts_with('/') { "" } else { base.path().rsplit_once('/').map_or("", |(before, _)| before) };
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.trim_start_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    format!("{scheme}://{authority}/{}", parts.join("/")).parse().ok()
}
