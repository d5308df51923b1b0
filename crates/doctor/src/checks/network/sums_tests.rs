//! A checksum database of one record, right and wrong in each way, and downloads that differ.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use tradewind_ledger::Hash;

use super::testing::*;
use crate::checks::settings::zip;

/// A database that has the hashes of [`MODULE`].
struct Log {
    key: Ed25519KeyPair,
    name: String,
    record: String,
}

impl Log {
    fn new(name: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let record = lines(&zip_hash(&zip_bytes()), &zip::h1_of_mod(go_mod().as_bytes()));
        Self { key, name: name.to_owned(), record }
    }

    fn id(&self) -> ([u8; 4], Vec<u8>) {
        let mut public = vec![1];
        public.extend_from_slice(self.key.public_key().as_ref());
        let mut hashed = format!("{}\n", self.name).into_bytes();
        hashed.extend_from_slice(&public);
        let digest = ring::digest::digest(&ring::digest::SHA256, &hashed);
        (digest.as_ref()[..4].try_into().unwrap(), public)
    }

    /// GOSUMDB.
    fn verifier(&self) -> String {
        let (hash, public) = self.id();
        format!("{}+{:08x}+{}", self.name, u32::from_be_bytes(hash), STANDARD.encode(public))
    }

    /// A signed head of a tree with this root.
    fn note(&self, size: u64, root: &Hash) -> String {
        let text = format!("go.sum database tree\n{size}\n{root}\n");
        let mut signature = self.id().0.to_vec();
        signature.extend_from_slice(self.key.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(signature))
    }

    fn root(&self) -> Hash {
        Hash::of_record(self.record.as_bytes())
    }

    /// What it answers to a path behind its base; `None` when it has not got it.
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let head = self.note(1, &self.root());
        match path {
            "supported" => Some(answer("200 OK", "", "")),
            "latest" => Some(answer("200 OK", "", head)),
            "tile/8/0/000.p/1" => Some(answer("200 OK", "", self.root().as_bytes())),
            _ if path == format!("lookup/{MODULE}@{VERSION}") => {
                Some(answer("200 OK", "", format!("0\n{}\n{head}", self.record)))
            }
            _ => None,
        }
    }
}

fn lines(zip: &str, go_mod: &str) -> String {
    format!("{MODULE} {VERSION} {zip}\n{MODULE} {VERSION}/go.mod {go_mod}\n")
}

fn zip_bytes() -> Vec<u8> {
    super::testing::zip()
}

fn zip_hash(bytes: &[u8]) -> String {
    zip::read_from(&mut std::io::Cursor::new(bytes)).unwrap().h1
}

/// A module proxy that passes a database on.
fn with_database(log: Log) -> Server {
    Server::http(move |head| {
        let rest = path(head).strip_prefix(&format!("/sumdb/{}/", log.name));
        rest.and_then(|rest| log.answer(rest)).unwrap_or_else(|| healthy(head))
    })
}

fn rig(server: &Server, gosumdb: &str) -> Rig {
    Rig::new(&server.url("http")).set("GOSUMDB", gosumdb)
}

/// A module proxy whose go.mod has a line more.
fn changed(head: &str) -> Vec<u8> {
    if path(head).ends_with(".mod") { answer("200 OK", "", go_mod() + "// more\n") } else { healthy(head) }
}

#[test]
fn a_proven_module_is_nothing_to_tell() {
    let log = Log::new("sum.test");
    let key = log.verifier();
    let server = with_database(log);
    let report = rig(&server, &key).report();
    assert!(report.findings.is_empty(), "{report:?}");
    assert_eq!(report.facts["checksum database"], format!("{}/sumdb/sum.test", server.url("http")));
    // With everything in go.sum nobody asks it.
    let offline = Server::http(healthy);
    let sum = lines(&zip_hash(&zip_bytes()), &zip::h1_of_mod(go_mod().as_bytes()));
    assert_eq!(rig(&offline, &key).file("go.sum", &sum).causes(), [0_u8; 0]);
}

#[test]
fn a_database_that_is_not_reached() {
    let key = Log::new("sum.invalid").verifier();
    let server = Server::http(healthy);
    let report = rig(&server, &key).report();
    assert_eq!(report.findings[0].cause.number(), 50);
    assert!(report.findings[0].evidence.iter().any(|line| line.contains("sum.invalid")), "{report:?}");

    // Its own URL is not reached, and the module proxy passes it on.
    let log = Log::new("sum.test");
    let key = log.verifier();
    let server = with_database(log);
    let report = rig(&server, &format!("{key} https://sum.invalid")).report();
    assert_eq!(report.findings[0].cause.number(), 50);
    assert_eq!(report.findings[0].fix.text, format!("export GOSUMDB={key}"));
}

#[test]
fn a_module_proxy_that_fails_for_the_database() {
    let broken = Server::http(|head| match path(head).starts_with("/sumdb/") {
        true => answer("503 Service Unavailable", "", ""),
        false => healthy(head),
    });
    let report = rig(&broken, &Log::new("sum.invalid").verifier()).report();
    assert_eq!(report.findings[0].cause.number(), 51, "{report:?}");
    // Direct it works.
    let tls = Tls::usual();
    let mut log = Log::new("");
    let listening = std::sync::Arc::new(std::sync::Mutex::new(None::<Log>));
    let shared = listening.clone();
    let database = Server::https(&tls, move |head| {
        let log = shared.lock().unwrap();
        let answered = log.as_ref().and_then(|log| log.answer(path(head).trim_start_matches('/')));
        answered.unwrap_or_else(|| answer("404 Not Found", "", ""))
    });
    log.name = format!("localhost:{}", database.address.port());
    let (key, name) = (log.verifier(), log.name.clone());
    *listening.lock().unwrap() = Some(log);
    let report = rig(&broken, &key).trusting(&tls).report();
    assert_eq!(report.findings[0].cause.number(), 51, "{report:?}");
    assert_eq!(report.findings[0].fix.text, format!("export GOSUMDB='{key} https://{name}'"));
    // GOSUMDB with its URL goes around the module proxy.
    assert_eq!(rig(&broken, &format!("{key} https://{name}")).trusting(&tls).causes(), [0_u8; 0]);
}

#[test]
fn a_database_that_lies() {
    // Signed by somebody else.
    let (log, other) = (Log::new("sum.test"), Log::new("sum.test"));
    let key = other.verifier();
    assert_eq!(rig(&with_database(log), &key).causes(), [58]);
    // Another tree was seen before.
    let log = Log::new("sum.test");
    let (key, before) = (log.verifier(), log.note(1, &Hash::of_record(b"another record\n")));
    let report = rig(&with_database(log), &key).file("go/pkg/sumdb/sum.test/latest", &before).report();
    assert_eq!(report.findings[0].cause.number(), 58);
    assert!(report.findings[0].evidence[0].contains("neither is the beginning of the other"), "{report:?}");
    // The same tree was seen before.
    let log = Log::new("sum.test");
    let (key, before) = (log.verifier(), log.note(1, &log.root()));
    assert_eq!(rig(&with_database(log), &key).file("go/pkg/sumdb/sum.test/latest", &before).causes(), [0_u8; 0]);
}

#[test]
fn a_module_proxy_that_lies_about_the_database() {
    let tls = Tls::usual();
    let mut log = Log::new("");
    let shared = std::sync::Arc::new(std::sync::Mutex::new(None::<Log>));
    let honest = shared.clone();
    let database = Server::https(&tls, move |head| {
        let log = honest.lock().unwrap();
        let answered = log.as_ref().and_then(|log| log.answer(path(head).trim_start_matches('/')));
        answered.unwrap_or_else(|| answer("404 Not Found", "", ""))
    });
    log.name = format!("localhost:{}", database.address.port());
    let (key, name) = (log.verifier(), log.name.clone());
    // The proxy gives other hashes, and the head of the honest tree with them.
    let forged = format!("0\n{}\n{}", log.record.replace("h1:", "h1:x"), log.note(1, &log.root()));
    let passed = shared.clone();
    let lookup = format!("lookup/{MODULE}@{VERSION}");
    let proxy = Server::http(move |head| {
        let start = format!("/sumdb/{}/", passed.lock().unwrap().as_ref().unwrap().name);
        match path(head).strip_prefix(&start) {
            Some(rest) if rest == lookup => answer("200 OK", "", &forged),
            Some(rest) => passed.lock().unwrap().as_ref().unwrap().answer(rest).unwrap(),
            None => healthy(head),
        }
    });
    *shared.lock().unwrap() = Some(log);
    let report = rig(&proxy, &key).trusting(&tls).report();
    assert_eq!(report.findings[0].cause.number(), 58, "{report:?}");
    assert_eq!(report.findings[0].fix.text, format!("export GOSUMDB='{key} https://{name}'"));
    // Where it cannot be asked itself, everything stops.
    let alone = rig(&proxy, &key).report();
    assert_eq!(alone.findings[0].cause.number(), 58, "{alone:?}");
    assert!(!alone.findings[0].fix.is_automatic(), "{alone:?}");
}

#[test]
fn a_download_that_differs_from_the_database() {
    let mut log = Log::new("sum.test");
    log.record = lines(&zip_hash(&zip_bytes()), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let key = log.verifier();
    let report = rig(&with_database(log), &key).report();
    assert_eq!(report.findings[0].cause.number(), 57);
    // The next entry has the right one.
    let log = Log::new("sum.test");
    let key = log.verifier();
    let (bad, good) = (Server::http(changed), with_database(log));
    let list = format!("{},{}", bad.url("http"), good.url("http"));
    let report = Rig::new(&list).set("GOSUMDB", &key).report();
    assert_eq!(report.findings[0].cause.number(), 57, "{report:?}");
    assert_eq!(report.findings[0].fix.text, format!("export GOPROXY={},{}", good.url("http"), bad.url("http")));
}

#[test]
fn a_download_that_differs_from_go_sum() {
    let stale = lines(&zip_hash(&zip_bytes()), "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let log = Log::new("sum.test");
    let key = log.verifier();
    let report = rig(&with_database(log), &key).file("go.sum", &stale).report();
    assert_eq!(report.findings[0].cause.number(), 56, "{report:?}");
    assert!(report.findings[0].fix.text.starts_with("sed -i.bak -E '/^example\\.com\\/quote v1\\.5\\.2"), "{report:?}");
    // The proxy gives another one, and the database agrees with go.sum.
    let right = lines(&zip_hash(&zip_bytes()), &zip::h1_of_mod(go_mod().as_bytes()));
    let (bad, good) = (Server::http(changed), Server::http(healthy));
    let report = rig(&bad, "off").file("go.sum", &right).report();
    assert_eq!(report.findings[0].cause.number(), 56);
    assert!(!report.findings[0].fix.is_automatic(), "{report:?}");
    let list = format!("{},{}", bad.url("http"), good.url("http"));
    let report = Rig::new(&list).file("go.sum", &right).report();
    assert_eq!(report.findings[0].fix.text, format!("export GOPROXY={},{}", good.url("http"), bad.url("http")));
}

#[test]
fn a_cached_copy_that_differs_from_go_sum() {
    let log = Log::new("sum.test");
    let key = log.verifier();
    let server = with_database(log);
    let right = lines(&zip_hash(&zip_bytes()), &zip::h1_of_mod(go_mod().as_bytes()));
    let other = zip_of("module example.com/quote // more\n");
    let place = format!("go/pkg/mod/cache/download/{MODULE}/@v/{VERSION}");
    let cached = |bytes: &[u8], sum: &str| {
        let rig = rig(&server, &key).file(&format!("{place}.zip"), bytes).file("go.sum", sum);
        let report = rig.file(&format!("{place}.ziphash"), zip_hash(bytes)).report();
        report.findings.into_iter().find(|finding| finding.cause == crate::Cause::GoSumMismatch)
    };
    assert_eq!(cached(&zip_bytes(), &right), None);
    let changed = cached(&other, &right).unwrap();
    assert!(changed.evidence[1].contains("the copy is a changed one") && changed.fix.is_automatic(), "{changed:?}");
    let stale = cached(&zip_bytes(), &lines(&zip_hash(&other), &zip::h1_of_mod(go_mod().as_bytes()))).unwrap();
    assert!(stale.fix.text.starts_with("sed -i.bak"), "{stale:?}");
}

#[test]
fn lines_of_one_module_are_taken_out_of_go_sum() {
    let rig = Rig::new("off").file(
        "go.sum",
        "example.com/quote v1.5.2 h1:x\nexample.com/quote v1.5.20 h1:y\nexample.com/quote v1.5.2/go.mod h1:z\n",
    );
    let module = rig.world().settings.project.unwrap().needed().remove(0);
    let fix = super::sums::forget(&rig.world(), &module).text;
    let command = fix.split(" && ").next().unwrap();
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    let left = tradewind_runtime::files::read_text(&rig.folder.path().join("go.sum"), 4096).unwrap();
    assert_eq!(left, "example.com/quote v1.5.20 h1:y\n");
}

#[test]
fn private_modules_that_the_database_cannot_know() {
    let log = Log::new("sum.test");
    let key = log.verifier();
    let server = Server::http(move |head| {
        let own = "/test.example/other/@v/v1.0.0";
        let rest = path(head).strip_prefix("/sumdb/sum.test/");
        match path(head).strip_prefix(own) {
            Some(".info") => answer("200 OK", "", "{\"Version\":\"v1.0.0\"}"),
            Some(".mod") => answer("200 OK", "", "module test.example/other\n"),
            Some(".zip") => answer("200 OK", "", zip_bytes()),
            _ => rest.and_then(|rest| log.answer(rest)).unwrap_or_else(|| answer("404 Not Found", "", "")),
        }
    });
    let rig = || rig(&server, &key).file("go.mod", "module test.example/app\n\nrequire test.example/other v1.0.0\n");
    let report = rig().report();
    assert_eq!(report.findings[0].cause.number(), 43, "{report:?}");
    assert_eq!(report.findings[0].fix.text, "export GONOSUMDB=test.example");
    assert_eq!(rig().set("GONOSUMDB", "test.example").causes(), [0_u8; 0]);
}

/// A go command of this version, as far as the doctor looks at one.
fn with_go(rig: Rig, version: &str) -> Rig {
    let root = rig.folder.path().join("goroot");
    std::fs::create_dir_all(root.join("pkg/tool")).unwrap();
    let rig = rig.file("goroot/bin/go", "#!/bin/sh\n").file("goroot/VERSION", format!("go{version}\n"));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(root.join("bin/go"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = root.join("bin").display().to_string();
    rig.set("PATH", &path).set("GOTOOLCHAIN", "auto")
}

#[test]
fn a_toolchain_that_is_nowhere() {
    let key = Log::new("sum.test").verifier();
    let server = Server::http(healthy);
    let of = |lines: &str| {
        let rig = rig(&server, &key).file("go.mod", format!("module test.example/app\n\n{lines}\n"));
        with_go(rig, "1.27.3")
    };
    let report = of("go 1.99").report();
    assert_eq!(report.findings[0].cause.number(), 54, "{report:?}");
    assert!(!report.findings[0].fix.is_automatic());
    let report = of("go 1.21\ntoolchain go1.99.1").report();
    assert_eq!(report.findings[0].cause.number(), 54);
    assert_eq!(report.findings[0].fix.text, "export GOTOOLCHAIN=local");
    assert_eq!(of("go 1.27").causes(), [0_u8; 0]);
    assert!(server.asked().iter().any(|head| path(head).starts_with("/golang.org/toolchain/@v/v0.0.1-go1.99.0.")));
}
