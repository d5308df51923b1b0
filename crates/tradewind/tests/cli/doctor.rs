//! `tradewind doctor` on machines without a network: what it prints, its exit code, and what it changes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::program::{Ended, Place, Program};

/// A go command that only knows how to forget its settings, in a GOROOT whose module proxy is an empty folder.
fn place_with_go() -> Place {
    let place = Place::new();
    place.file("go/VERSION", "go1.27.3\n");
    place.file("go/pkg/tool/x", "");
    let proxy = place.path().join("proxy").display().to_string();
    place.file("go/go.env", &format!("GOPROXY=file://{proxy}\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n"));
    let go = place
        .file("go/bin/go", "#!/bin/sh\n[ \"$1 $2\" = 'env -u' ] && echo forgotten && rm \"$HOME/.config/go/env\"\n");
    std::fs::set_permissions(go, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.file("go.mod", "module example.com/app\n\ngo 1.20\n\nrequire corp.example.com/x v1.0.0\n");
    place
}

fn doctor(place: &Place, arguments: &[&str]) -> Ended {
    Program::start(command(place, arguments)).end()
}

fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(&[&["doctor"], arguments].concat());
    let path = format!("{}:/usr/bin:/bin", place.path().join("go/bin").display());
    command.env("PATH", path).env("SHELL", "/bin/sh");
    for name in [
        "GOPROXY",
        "GOFLAGS",
        "GOSUMDB",
        "GOENV",
        "GOROOT",
        "GOPATH",
        "GOMODCACHE",
        "GOPRIVATE",
        "GONOSUMDB",
        "GONOPROXY",
        "GOTOOLCHAIN",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "http_proxy",
        "no_proxy",
        "all_proxy",
        "XDG_CONFIG_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name);
    }
    command
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn an_error_text_is_explained_without_asking_anybody() {
    let place = Place::new();
    let text = "go: x.example.com/a@v1.0.0: Get \"https://mod.example.com/a\": Proxy Authentication Required";
    let ended = doctor(&place, &["--explain", text]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("1. the HTTP proxy wants a login (on CONNECT) (cause 21)\n"), "{}", ended.stdout);
    let ended = doctor(&place, &["--explain", text, "--json"]);
    assert_eq!(json(&ended)["findings"][0]["cause"], 21);

    let unknown = doctor(&place, &["--explain", "all is well"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(unknown.stderr.contains("hint: paste the whole output"), "{}", unknown.stderr);
}

#[test]
fn a_setting_that_forbids_downloads_is_found_told_and_undone() {
    let place = place_with_go();
    let file = place.file(".config/go/env", "GOPROXY=off\n");
    let found = doctor(&place, &["--go", "--json"]);
    assert_eq!((found.code, found.stderr.as_str()), (Some(1), ""));
    let report = json(&found);
    let first = &report["findings"][0];
    assert_eq!((&first["cause"], &first["automatic"]), (&38.into(), &true.into()));
    assert_eq!(first["fix"], "go env -u GOPROXY");
    assert!(first["evidence"][0].as_str().unwrap().contains(".config/go/env"), "{first}");
    assert!(file.exists(), "looking changes nothing");
    let not_run = report["not_run"].as_array().unwrap();
    assert!(not_run.iter().any(|one| one["because"] == "GOPROXY=off forbids all downloads"), "{report}");

    let fixed = doctor(&place, &["--go", "--fix", "--json"]);
    assert!(
        fixed.stderr.contains("GOPROXY=off forbids all downloads\n  running: go env -u GOPROXY\nforgotten\n  done\n"),
        "what a fix prints is not the report: {fixed:?}"
    );
    assert!(!file.exists());
    let causes: Vec<Value> =
        json(&fixed)["findings"].as_array().unwrap().iter().map(|one| one["cause"].clone()).collect();
    assert!(!causes.contains(&38.into()), "{fixed:?}");
}

#[test]
fn providers_are_asked_along_their_way() {
    let answers = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = answers.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = answers.accept().unwrap();
        let mut head = [0; 4096];
        let length = stream.read(&mut head).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"data\":[]}")
            .unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let refused = tradewind_sim::RefusedPort::bind().unwrap();
    let closed = refused.address();
    let place = Place::new();
    let document = |providers: &str| format!("data-dir: data\nproviders:\n{providers}");
    let provider = |name: &str, address| {
        format!("  - {{name: {name}, dialect: openai, base-url: \"http://{address}/v1\", api-key: sk-secret-1}}\n")
    };
    place.file("good.yaml", &document(&provider("good", good)));
    let ended = doctor(&place, &["--models", "-f", "good.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "nothing is wrong\n"), "{ended:?}");
    let asked = server.join().unwrap().to_lowercase();
    assert!(asked.starts_with("get /v1/models http/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: bearer sk-secret-1"), "{asked}");

    place.file("bad.yaml", &document(&provider("closed", closed)));
    let ended = doctor(&place, &["--models", "-f", "bad.yaml", "--json"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(json(&ended)["findings"][0]["cause"], 3, "{ended:?}");
    assert!(!ended.stdout.contains("sk-secret"), "{ended:?}");

    let none = doctor(&place, &["--models"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("hint: name one with -f FILE"), "{none:?}");
}

#[test]
fn what_was_found_is_told_in_spite_of_a_broken_configuration() {
    let place = place_with_go();
    place.file(".config/go/env", "GOPROXY=off\n");
    place.file("tradewind.yaml", "providers: nonsense\n");
    let ended = doctor(&place, &["--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let report = json(&ended);
    assert_eq!(report["findings"][0]["cause"], 38, "{report}");
    let last = report["findings"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["cause"], &last["title"]), (&0.into(), &"the configuration cannot be used".into()));
    assert!(last["evidence"][0].as_str().unwrap().contains("tradewind.yaml"), "{last}");
    let not_run = report["not_run"].as_array().unwrap();
    assert!(not_run.iter().any(|one| one["check"] == "providers"), "{report}");
    // Whoever asks for the providers alone gets what is wrong with the configuration alone.
    let models = doctor(&place, &["--models"]);
    assert_eq!((models.code, models.stdout.as_str()), (Some(1), ""));
    assert!(models.stderr.contains("providers"), "{models:?}");
}

#[test]
fn providers_are_asked_side_by_side() {
    // Nobody is answered before both have asked.
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let streams = listeners.map(|listener| {
            let (mut stream, _) = listener.accept().unwrap();
            let length = stream.read(&mut [0; 4096]).unwrap();
            assert!(length > 0);
            stream
        });
        for mut stream in streams {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n";
            stream.write_all(format!("{head}{{\"data\":[]}}").as_bytes()).unwrap();
        }
    });
    let place = Place::new();
    let provider = |name: &str, address| {
        format!("  - {{name: {name}, dialect: openai, base-url: \"http://{address}/v1\", api-key: sk-secret-1}}\n")
    };
    let providers = format!("{}{}", provider("one", addresses[0]), provider("two", addresses[1]));
    place.file("both.yaml", &format!("data-dir: data\nproviders:\n{providers}"));
    let ended = doctor(&place, &["--models", "-f", "both.yaml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "nothing is wrong\n"), "{ended:?}");
    server.join().unwrap();
}

#[test]
fn an_http_proxy_of_the_command_line_is_gone_through() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut heads = Vec::new();
        // It wants a login; what follows tells nothing new.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            if length == 0 {
                return heads;
            }
            heads.push(String::from_utf8_lossy(&head[..length]).into_owned());
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n\
                          Content-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
        heads
    });
    let place = place_with_go();
    let url = format!("http://{proxy}");
    let mut command = command(&place, &["--proxy", &url, "--json"]);
    // Without --proxy this one would be asked.
    command
        .env("GOPROXY", "http://modules.test")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("HTTPS_PROXY", "http://127.0.0.1:1");
    let ended = Program::start(command).end();
    // An empty connection ends the server.
    drop(std::net::TcpStream::connect(proxy).unwrap());
    let heads = server.join().unwrap();
    assert!(heads[0].starts_with("GET http://modules.test/corp.example.com/x/@v/"), "{heads:?}");
    let report = json(&ended);
    assert_eq!((ended.code, &report["findings"][0]["cause"]), (Some(1), &22.into()), "{report}");
    assert!(report["findings"][0]["check"].as_str().unwrap().contains(&url), "{report}");
}
