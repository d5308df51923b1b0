//! Where pip's index is, what its pages say, and downloading from one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::download::{Pinned, download, percent_decoded, sha256};
use super::index::{index_url, join, place_of};
use super::progress::bar;

#[test]
fn pips_configuration_names_the_index() {
    let text = "# mine\n[install]\nindex-url = https://no\n[global]\ntimeout = 60\nindex-url = https://mirror/simple\n";
    assert_eq!(index_url(text).as_deref(), Some("https://mirror/simple"));
    assert_eq!(index_url("[global]\nindex_url=https://a\n[list]\nindex-url=b").as_deref(), Some("https://a"));
    assert_eq!(index_url("index-url = https://outside\n[global]\nindex-url =\n"), None);
}

#[test]
fn a_file_is_found_in_either_kind_of_page() {
    let json = r#"{"files": [{"filename": "a-1.whl", "url": "../a"}, {"filename": "b-1.whl", "url": "../b-1.whl"}]}"#;
    assert_eq!(place_of("b-1.whl", json).as_deref(), Some("../b-1.whl"));
    let html =
        r#"<a href="x/a-1.whl#sha256=0">a</a><a data-x="1" href='https://h/p/b-1.whl?k=1&amp;l=2#sha256=1'>b</a>"#;
    assert_eq!(place_of("b-1.whl", html).as_deref(), Some("https://h/p/b-1.whl?k=1&l=2#sha256=1"));
    for page in ["", "{", "{\"files\": 1}", "<a href=", "<a href=\"\">", "nothing"] {
        assert_eq!(place_of("b-1.whl", page), None, "{page}");
    }
}

#[test]
fn references_are_joined_as_rfc_3986_says() {
    let base = "https://host:8/root/simple/package/".parse().unwrap();
    for (reference, expected) in [
        ("https://other/x#sha256=1", "https://other/x"),
        ("//other/x", "https://other/x"),
        ("/x/y", "https://host:8/x/y"),
        ("../../files/x", "https://host:8/root/files/x"),
        ("./x?a=b", "https://host:8/root/simple/package/x?a=b"),
        ("../../../../../x", "https://host:8/x"),
    ] {
        assert_eq!(join(&base, reference).unwrap().to_string(), expected, "{reference}");
    }
}

#[test]
fn a_bar_is_as_full_as_the_download() {
    assert_eq!(bar(0, 0), "downloading 0.0 MB");
    assert_eq!(
        bar(15_000_000, 30_000_000),
        format!("downloading [{}{}] 15.0 MB of 30.0 MB", "#".repeat(15), " ".repeat(15))
    );
    assert!(bar(40, 30).contains(&"#".repeat(30)));
}

#[test]
fn names_and_passwords_are_decoded() {
    assert_eq!(percent_decoded("me%40home:p%25%3a"), b"me@home:p%:");
    assert_eq!(percent_decoded("%4%zz%"), b"%4%zz%");
}

/// A server that answers each request by its path, and hands over the requests that it got.
fn serve(answers: Vec<(&'static str, String)>) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let mut requests = Vec::new();
        while requests.len() < answers.len() {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split(' ').nth(1).unwrap();
            let (_, answer) = answers.iter().find(|(known, _)| *known == path).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            requests.push(request);
        }
        requests
    });
    (address, serving)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// SHA-256 of `the wheel`.
const PINNED: Pinned = Pinned { package: "pack-age", file: "pack_age-1.whl", sha256: "" };

const PAGE: &str = r#"{"files": [{"filename": "pack_age-1.whl", "url": "../../files/pack_age-1.whl"}]}"#;

#[test]
fn a_pinned_file_is_downloaded_and_checked() {
    let moved = "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: /moved\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (address, serving) =
        serve(vec![("/simple/pack-age/", ok(PAGE)), ("/files/pack_age-1.whl", moved), ("/moved", ok("the wheel"))]);
    let sha256: &'static str = sha256(b"the wheel").leak();
    let wheel = download(&format!("http://me:secret@{address}/simple/"), &Pinned { sha256, ..PINNED }).unwrap();
    assert_eq!(wheel, b"the wheel");
    let requests = serving.join().unwrap();
    assert!(requests[0].contains("application/vnd.pypi.simple.v1+json"), "{}", requests[0]);
    assert!(requests[0].to_lowercase().contains("authorization: basic bwu6c2vjcmv0"), "{}", requests[0]);
}

#[test]
fn another_file_is_refused() {
    let (address, serving) = serve(vec![("/simple/pack-age/", ok(PAGE)), ("/files/pack_age-1.whl", ok("another"))]);
    let error = download(&format!("http://{address}/simple"), &Pinned { sha256: "00", ..PINNED }).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("pack_age-1.whl is another file: its SHA-256 is ") && text.contains("= hint:"), "{text}");
    serving.join().unwrap();
}

#[test]
fn an_index_without_the_file_is_named() {
    let (address, serving) = serve(vec![("/simple/pack-age/", ok("{\"files\": []}"))]);
    let error = download(&format!("http://me:secret@{address}/simple"), &PINNED).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("127.0.0.1 does not have pack_age-1.whl") && !text.contains("secret"), "{text}");
    serving.join().unwrap();
    let missing = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (address, serving) = serve(vec![("/simple/pack-age/", missing)]);
    let error = download(&format!("http://{address}/simple"), &PINNED).unwrap_err();
    assert!(format!("{error:#}").starts_with("127.0.0.1 answered 404"), "{error:#}");
    serving.join().unwrap();
}
