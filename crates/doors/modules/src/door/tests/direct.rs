//! Modules out of a git repository.

use std::path::Path;
use std::process::Command;

use super::rig::Rig;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args([
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "commit.gpgsign=false",
    ]);
    command
        .args(arguments)
        .env("GIT_AUTHOR_DATE", "2024-05-06T07:08:09Z")
        .env("GIT_COMMITTER_DATE", "2024-05-06T07:08:09Z");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// A repository with two modules and a branch, in the place of one at github.com.
fn repository(folder: &Path) -> String {
    let work = folder.join("work");
    write(
        &work,
        &[("go.mod", "module github.com/o/r\n\ngo 1.21\n"), ("r.go", "package r\n"), ("LICENSE", "MIT License\n")],
    );
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "one"]);
    git(&work, &["tag", "v1.0.0"]);
    write(
        &work,
        &[("sub/go.mod", "module github.com/o/r/sub\n"), ("sub/s.go", "package s\n"), ("vendor/x/x.go", "package x\n")],
    );
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "two"]);
    git(&work, &["tag", "sub/v0.1.0"]);
    git(&work, &["tag", "v2.0.0"]);
    write(&work, &[("r.go", "package r // changed\n")]);
    git(&work, &["commit", "--quiet", "-a", "-m", "three"]);
    git(&work, &["rev-parse", "HEAD"])
}

/// A mirror that has been fetched already, since no test asks github.com.
fn mirrored(rig: &Rig, folder: &Path) {
    let hash: String = ring::digest::digest(&ring::digest::SHA256, b"https://github.com/o/r").as_ref()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mirror = rig.folder.path().join("modules/git").join(format!("{hash}.git"));
    git(folder, &["init", "--quiet", "--bare", mirror.to_str().unwrap()]);
    let section = format!("url.{}.insteadOf", folder.join("work").display());
    git(&mirror, &["config", &section, "https://github.com/o/r"]);
}

#[tokio::test]
async fn versions_are_tags_and_commits() {
    let folder = tempfile::tempdir().unwrap();
    let head = repository(folder.path());
    let rig = Rig::start("{sumdb: off, upstream: direct, direct: git}").await;
    mirrored(&rig, folder.path());

    assert_eq!(rig.get("github.com/o/r/@v/list").await.text(), "v1.0.0\n", "v2.0.0 has a go.mod");
    let info: serde_json::Value = serde_json::from_slice(&rig.get("github.com/o/r/@v/v1.0.0.info").await.body).unwrap();
    assert_eq!((&info["Version"], &info["Time"]), (&"v1.0.0".into(), &"2024-05-06T07:08:09Z".into()));
    assert_eq!(info["Origin"]["Ref"], "refs/tags/v1.0.0");
    assert_eq!(rig.get("github.com/o/r/@v/v1.0.0.mod").await.text(), "module github.com/o/r\n\ngo 1.21\n");

    let short = &head[..12];
    let pseudo = format!("v1.0.1-0.20240506070809-{short}");
    for query in ["main", short, &head] {
        let got = rig.get(&format!("github.com/o/r/@v/{query}.info")).await;
        assert!(got.text().contains(&pseudo), "{query}: {got:?}");
    }
    let zip = rig.get(&format!("github.com/o/r/@v/{pseudo}.zip")).await;
    assert_eq!(zip.status, 200, "{zip:?}");
    let wrong = format!("v1.0.2-0.20240506070809-{short}");
    assert_eq!(rig.get(&format!("github.com/o/r/@v/{wrong}.info")).await.status, 404);
    let wrong = format!("v1.0.1-0.20240506070810-{short}");
    assert_eq!(rig.get(&format!("github.com/o/r/@v/{wrong}.info")).await.status, 404);

    assert!(rig.get("github.com/o/r/@latest").await.text().contains("\"v1.0.0\""));
    for path in
        ["github.com/@v/list", "github.com/o/@v/list", "github.com/o/r/none/@v/list", "github.com/o/r/v3/@v/list"]
    {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_zip_has_the_files_of_its_module() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let rig = Rig::start("{sumdb: off, upstream: direct, direct: git}").await;
    mirrored(&rig, folder.path());
    for (path, files) in [("github.com/o/r/@v/v1.0.0.zip", 3), ("github.com/o/r/sub/@v/v0.1.0.zip", 3)] {
        let got = rig.get(path).await;
        assert_eq!(got.status, 200, "{path}: {got:?}");
        // It was checked when it was stored; here it is looked at again.
        let of = crate::name::ModuleVersion::from_escaped(&path.replace("/@v/", "@").replace(".zip", "")).unwrap();
        let limits = crate::zip::ZipLimits::default();
        let facts = crate::zip::check_zip_in(std::io::Cursor::new(got.body), &of, &limits).unwrap();
        assert_eq!(facts.files, files, "{path}");
    }
    assert_eq!(rig.get("github.com/o/r/sub/@v/list").await.text(), "v0.1.0\n");
}

#[tokio::test]
async fn a_version_that_is_mirrored_needs_no_news() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let rig = Rig::start("{sumdb: off, upstream: direct, direct: git}").await;
    mirrored(&rig, folder.path());
    assert_eq!(rig.get("github.com/o/r/@v/list").await.status, 200);
    std::fs::rename(folder.path().join("work"), folder.path().join("gone")).unwrap();
    rig.clock.go(std::time::Duration::from_secs(120));
    assert_eq!(rig.get("github.com/o/r/@v/v1.0.0.mod").await.status, 200);
    let unknown = rig.get("github.com/o/r/@v/v1.0.1.mod").await;
    assert!(unknown.text().contains("git fetch: "), "it may be there by now, and is asked for: {unknown:?}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
async fn very_many_tags_of_later_major_versions_cost_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    write(&work, &[("r.go", "package r\n")]);
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "one"]);
    let without = git(&work, &["rev-parse", "HEAD"]);
    write(&work, &[("go.mod", "module github.com/o/r/v3\n")]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "two"]);
    let with = git(&work, &["rev-parse", "HEAD"]);
    let mut tags = format!("{with} refs/tags/v3.0.0\n");
    let mut listed = String::new();
    for number in 0..6000 {
        tags.push_str(&format!("{without} refs/tags/v2.0.{number}\n"));
        listed.push_str(&format!("v2.0.{number}+incompatible\n"));
    }
    std::fs::write(work.join(".git/packed-refs"), tags).unwrap();
    let rig = Rig::start("{sumdb: off, upstream: direct, direct: git}").await;
    mirrored(&rig, folder.path());
    assert_eq!(rig.get("github.com/o/r/@v/list").await.text(), listed);
}
