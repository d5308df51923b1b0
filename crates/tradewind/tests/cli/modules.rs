//! `tradewind modules`: a gateway's store, looked after and carried elsewhere.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Ended, Place, Program};

#[path = "../../../doors/modules/src/bundle/tests/zip.rs"]
mod zip;

const OF: &str = "example.com/Some/thing@v1.0.0";

/// A gateway's document whose modules come from the folder `tree`, unverified.
fn document(place: &Place, name: &str, upstream: &str) {
    let upstream = upstream.replace("TREE", &place.path().join("tree").display().to_string());
    place.file(
        &format!("{name}.yaml"),
        &format!(
            "listen: 127.0.0.1:0\ndata-dir: {name}\nmodules:\n  upstream: \"{upstream}\"\n  verify: off\n  cache: \
             {{pins: [example.com/pinned]}}\n"
        ),
    );
}

fn add(place: &Place, module: &str, version: &str, text: &str) {
    let go_mod = format!("module {module}\n");
    let escaped: String = module
        .chars()
        .map(|letter| if letter.is_uppercase() { format!("!{}", letter.to_lowercase()) } else { letter.to_string() })
        .collect();
    let base = format!("tree/{escaped}/@v/{version}");
    place.file(&format!("{base}.mod"), &go_mod);
    place.file(&format!("{base}.info"), &format!("{{\"Version\":\"{version}\",\"Time\":\"2024-05-06T07:08:09Z\"}}"));
    let zip = zip::zip(&format!("{module}@{version}"), &[("go.mod", &go_mod), ("x.go", text)]);
    std::fs::write(place.path().join(format!("{base}.zip")), zip).unwrap();
}

fn modules(place: &Place, arguments: &[&str]) -> Ended {
    place.tradewind(&[&["modules"], arguments].concat())
}

fn good(place: &Place, arguments: &[&str]) -> Ended {
    let ended = modules(place, arguments);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&good(place, arguments).stdout).unwrap()
}

/// The one file below a folder.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = paths.filter_map(|path| if path.is_dir() { only_file(&path) } else { Some(path) });
    let file = files.next();
    assert_eq!(files.next(), None);
    file
}

#[test]
fn versions_are_warmed_listed_explained_and_carried_elsewhere() {
    let place = Place::new();
    add(&place, "example.com/Some/thing", "v1.0.0", "package thing");
    add(&place, "example.com/pinned", "v0.1.0", "package pinned");
    document(&place, "here", "file://TREE");
    let mut gateway = Program::start(place.command(&["run", "-f", "here.yaml"]));
    let url = format!("http://{}", gateway.address());

    let warmed = good(&place, &["warm", OF, "--url", &url]);
    assert!(warmed.stderr.starts_with("1 version in the gateway's store, "), "{}", warmed.stderr);
    let failed = modules(&place, &["warm", OF, "example.com/none@v1.0.0", "--url", &url]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("example.com/none@v1.0.0: 404: "), "{}", failed.stderr);
    assert!(failed.stderr.ends_with("error: 1 version could not be had\n"), "{}", failed.stderr);

    let listed = good(&place, &["list", "-f", "here.yaml"]);
    assert!(listed.stdout.starts_with("VERSION                             SIZE  LAST USED\n"), "{}", listed.stdout);
    assert!(listed.stdout.contains(OF) && listed.stderr.starts_with("1 version, "), "{listed:?}");
    let rows = json(&place, &["list", "-f", "here.yaml", "--json"]);
    assert_eq!((&rows[0]["module"], &rows[0]["tree"]), (&"example.com/Some/thing".into(), &"go".into()));
    assert_eq!(json(&place, &["list", "example.com/other", "-f", "here.yaml", "--json"]), Value::Array(Vec::new()));
    let why = good(&place, &["why", OF, "-f", "here.yaml"]);
    assert!(why.stdout.contains("is kept (tree go)\n  checked    not: verification is off\n"), "{}", why.stdout);

    // The second one is not kept: the gateway, which runs, fetches it.
    place.file("go.list", &format!("example.com/main\n{OF}\nexample.com/pinned v0.1.0\n"));
    let offline = modules(&place, &["export", "--list", "go.list", "-o", "b.tar", "-f", "here.yaml", "--offline"]);
    assert!(offline.stderr.starts_with("error: not kept: example.com/pinned@v0.1.0\n  = hint: "), "{}", offline.stderr);
    let exported = good(&place, &["export", "--list", "go.list", "-o", "b.tar", "-f", "here.yaml", "--url", &url]);
    assert!(exported.stderr.contains("wrote b.tar: 2 versions, 0 proven, "), "{}", exported.stderr);
    let again = modules(&place, &["export", "--all", "-o", "b.tar", "-f", "here.yaml"]);
    assert!(again.stderr.starts_with("error: b.tar is there already\n"), "{}", again.stderr);

    document(&place, "there", "off");
    let imported = good(&place, &["import", "b.tar", "-f", "there.yaml", "--offline"]);
    assert_eq!(imported.stderr, "2 versions imported\n");
    let imported = good(&place, &["import", "b.tar", "-f", "there.yaml", "--offline"]);
    assert_eq!(imported.stderr, "0 versions imported, 2 there already\n");
    // Without a configuration Go's own database has to have them.
    let refused = modules(&place, &["import", "b.tar", "--data-dir", "strict", "--offline"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(&format!("refused {OF}: nobody vouches for it: ")), "{}", refused.stderr);
    assert!(refused.stderr.contains("error: 2 versions refused, now in quarantine\n  = hint: "), "{}", refused.stderr);
    let why = good(&place, &["why", OF, "--data-dir", "strict"]);
    assert!(why.stdout.starts_with(&format!("{OF} was refused on ")), "{}", why.stdout);
    good(&place, &["import", "b.tar", "--data-dir", "strict", "--offline", "--private", "example.com"]);
    let traces = json(&place, &["why", OF, "--data-dir", "strict", "--json"]);
    assert_eq!(traces[0]["kept"]["checked"], "private");
    assert!(traces[0]["refused"]["reason"].as_str().is_some());

    let served = crate::program::get(url[7..].parse().unwrap(), "/go/example.com/pinned/@v/v0.1.0.mod");
    assert_eq!((served.status, served.body.as_str()), (200, "module example.com/pinned\n"));
}

#[test]
fn the_toolchain_of_a_go_mod_is_in_no_go_sum_and_is_said_or_taken() {
    let place = Place::new();
    add(&place, "example.com/Some/thing", "v1.0.0", "package thing");
    add(&place, "golang.org/toolchain", "v0.0.1-go1.25.3.linux-amd64", "package toolchain");
    document(&place, "here", "off");
    good(&place, &["import", "tree", "-f", "here.yaml", "--offline"]);
    // A go.sum of which only the go.mod is needed, whose hash is that of the file.
    let mod_h1 = "h1:yxsz0M26bC6eQtUrKBnRO/QwK65A/BwatF4U3/Dxe8Q=";
    place.file("m/go.sum", &format!("example.com/Some/thing v1.0.0/go.mod {mod_h1}\n"));
    place.file("m/go.mod", "module m\n\ngo 1.24.0\n\ntoolchain go1.25.3\n");
    let export = |more: &[&str]| {
        let fixed = ["export", "--go-sum", "m/go.sum", "--force", "-o", "b.tar", "-f", "here.yaml", "--offline"];
        modules(&place, &[&fixed, more].concat())
    };
    let without = export(&[]);
    assert_eq!(without.code, Some(0), "{}", without.stderr);
    assert!(without.stderr.contains("note: m/go.mod wants go1.25.3, which no go.sum names: with --toolchain"));
    assert!(without.stderr.contains("wrote b.tar: 1 version, "), "{}", without.stderr);
    let with = export(&["--toolchain", "linux-amd64"]);
    assert!(with.stderr.contains("wrote b.tar: 2 versions, "), "{}", with.stderr);
    assert!(!with.stderr.contains("no go.sum names"), "{}", with.stderr);
    let other = export(&["--toolchain", "windows-amd64"]);
    assert!(other.stderr.contains("not kept: golang.org/toolchain@v0.0.1-go1.25.3.windows-amd64"), "{}", other.stderr);
    place.file("m/go.mod", "module m\n\ngo 1.20\n");
    assert!(export(&["--toolchain", "linux-amd64"]).stderr.contains("error: no toolchain is named in m/go.mod\n"));
    assert!(!export(&[]).stderr.contains("no go.sum names"));
}

#[test]
fn damage_is_found_and_what_is_too_much_is_removed() {
    let place = Place::new();
    add(&place, "example.com/Some/thing", "v1.0.0", "package thing");
    add(&place, "example.com/pinned", "v0.1.0", "package pinned");
    document(&place, "here", "off");
    good(&place, &["import", "tree", "-f", "here.yaml", "--offline"]);
    let verified = good(&place, &["verify", "-f", "here.yaml"]);
    assert!(verified.stderr.starts_with("2 versions as stored, "), "{}", verified.stderr);

    let would = json(&place, &["prune", "--to", "0", "--dry-run", "-f", "here.yaml", "--json"]);
    assert_eq!(would["removed"].as_array().unwrap().len(), 1, "the other is pinned: {would}");
    let other = good(&place, &["prune", "--to", "0", "--dry-run", "--data-dir", "here"]);
    assert!(
        other.stderr.starts_with("note: without a configuration nothing is known to be pinned"),
        "{}",
        other.stderr
    );
    assert!(other.stderr.contains("2 versions would go, "), "{}", other.stderr);
    let removed = good(&place, &["prune", "--to", "0", "-f", "here.yaml"]);
    assert_eq!(removed.stdout, format!("{OF}\n"));
    assert!(modules(&place, &["prune", "--to", "much", "-f", "here.yaml"]).stderr.contains("a size like 500MiB"));

    let blob = only_file(&place.path().join("here/modules/blobs")).unwrap();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let verified = modules(&place, &["verify", "-f", "here.yaml", "--json"]);
    assert_eq!(verified.code, Some(1));
    let found: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!((&found["good"], &found["damaged"][0]["module"]), (&0.into(), &"example.com/pinned".into()));
    assert!(
        verified.stderr.starts_with("error: 1 version damaged, now in quarantine\n  = hint: "),
        "{}",
        verified.stderr
    );
    assert!(good(&place, &["verify", "-f", "here.yaml"]).stderr.starts_with("0 versions as stored"));
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new();
    for (arguments, said) in [
        (&["list", "--data-dir", "none"][..], "error: no modules are kept in none\n  = hint: "),
        (&["why", "example.com/a", "--data-dir", "none"], "has no version: write MODULE@VERSION"),
        (&["warm", OF, "--url", "http://127.0.0.1:1"], "error: no gateway answers: "),
        (&["warm"], "error: no version is named\n  = hint: name some as MODULE@VERSION, "),
        (&["import", "none.tar", "--data-dir", "x"], "error: none.tar cannot be read or written: No such file"),
        (&["import", "--data-dir", "x"], "required arguments were not provided"),
        (&["import", "athens", "none", "--data-dir", "x"], "error: none cannot be read or written: No such file"),
        (&["export", "--all", "-o", "b.tar", "--data-dir", "none", "--offline"], "error: no modules are kept in none"),
    ] {
        let ended = modules(&place, arguments);
        assert_ne!(ended.code, Some(0), "{arguments:?}");
        assert!(ended.stderr.contains(said), "no `{said}` in\n{}", ended.stderr);
    }
    std::fs::create_dir(place.path().join("athens")).unwrap();
    let empty = modules(&place, &["import", "athens", "athens", "--data-dir", "x", "--offline"]);
    assert!(empty.stderr.starts_with("error: athens has no versions\n  = hint: "), "{}", empty.stderr);
}
