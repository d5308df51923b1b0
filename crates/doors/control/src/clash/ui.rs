//! `external-ui`: the files of a dashboard under `/ui`.
//!
//! Only files are served, and only those that really lie below the folder: a link that leads out of it is not followed, and
//! folders are not listed.

use std::path::{Path, PathBuf};

use http::{HeaderValue, header};
use tradewind_door::{Body, Response, text_response};
use tradewind_runtime::files;

use super::answer::Wrong;

/// The largest file that is served.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// The start page, one level up, so that relative links of the page lead below `/ui/`.
pub(crate) fn start() -> Response {
    let mut response = text_response(307, "<a href=\"/ui/\">Temporary Redirect</a>.\n\n");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::LOCATION, HeaderValue::from_static("/ui/"));
    response
}

/// A file below `root`.
pub(crate) async fn file(root: PathBuf, parts: Vec<String>) -> Result<Response, Wrong> {
    let reading = tokio::task::spawn_blocking(move || read(&root, &parts));
    reading.await.unwrap_or(Err(Wrong::Path))
}

fn read(root: &Path, parts: &[String]) -> Result<Response, Wrong> {
    let root = root.canonicalize().map_err(|_| Wrong::Path)?;
    let mut path = root.clone();
    for part in parts {
        // Decoded: a part may have anything in it.
        let is_name = !matches!(part.as_str(), "." | "..") && !part.contains(['/', '\\', '\0', ':']);
        if !is_name {
            return Err(Wrong::Path);
        }
        path.push(part);
    }
    if parts.last().is_none_or(String::is_empty) {
        path.push("index.html");
    }
    let real = path.canonicalize().map_err(|_| Wrong::Path)?;
    if !real.starts_with(&root) || !real.is_file() {
        return Err(Wrong::Path);
    }
    let bytes = files::read_bytes(&real, LARGEST_FILE).map_err(|_| Wrong::Path)?;
    let mut response = Response::new(Body::whole(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&real)));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(at) = files::modified(&real) {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.0);
        if let Ok(at) = HeaderValue::from_str(&httpdate::fmt_http_date(at)) {
            headers.insert(header::LAST_MODIFIED, at);
        }
    }
    Ok(response)
}

/// What a browser has to know to use a file, by its ending.
fn content_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(root: &Path, path: &str) -> Option<Response> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        read(root, &parts).ok()
    }

    #[test]
    fn only_files_of_the_folder_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("ui");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        for (path, bytes) in [("ui/index.html", "start"), ("ui/sub/a.js", "x"), ("secret.txt", "top")] {
            files::write_private(&folder.path().join(path), bytes.as_bytes()).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path(), root.join("out")).unwrap();
            std::os::unix::fs::symlink(root.join("sub"), root.join("in")).unwrap();
            assert!(asked(&root, "in/a.js").is_some());
        }
        let start = asked(&root, "").unwrap();
        assert_eq!(start.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let script = asked(&root, "sub/a.js").unwrap();
        assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(script.headers().contains_key(header::LAST_MODIFIED));
        for refused in [
            "../secret.txt",
            "sub/../../secret.txt",
            "..",
            "sub/..",
            "out/secret.txt",
            "sub",
            "sub/",
            "zz",
            "sub\\a.js",
            "\0",
            "sub/./a.js",
            "..\\secret.txt",
            "C:/x",
        ] {
            assert!(asked(&root, refused).is_none(), "{refused}");
        }
        let escaped = vec!["../secret.txt".to_owned()];
        assert!(matches!(read(&root, &escaped), Err(Wrong::Path)));
        let gone = folder.path().join("gone");
        assert!(asked(&gone, "").is_none());
    }
}
