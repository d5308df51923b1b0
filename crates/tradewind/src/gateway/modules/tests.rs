//! The modules door comes and goes with the document, and so does its address.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Document, Gateway};

const LIST: &str = "example.com/a/@v/list";

#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
fn tree() -> TempDir {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("example.com/a/@v");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("list"), "v1.0.0\n").unwrap();
    folder
}

fn document(folder: &TempDir, modules: &str) -> Document {
    let text = format!("listen: 127.0.0.1:0\ndata-dir: {folder}/data\n{modules}", folder = folder.path().display())
        .replace("TREE", &folder.path().display().to_string());
    Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("test", &text)))
}

/// The status and the body of a GET; nothing when nobody listens.
async fn get(address: SocketAddr, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_and_its_address_follow_the_document() {
    let folder = tree();
    let list = Some(("200".to_owned(), "v1.0.0\n".to_owned()));
    let gateway = Gateway::start(document(&folder, "")).await.unwrap();
    let own = gateway.address;
    let (status, body) = get(own, &format!("/go/{LIST}")).await.unwrap();
    assert!(status == "404" && body.contains("TW1004"), "{status} {body}");
    assert_eq!(gateway.modules_address(), None);

    let port = tradewind_sim::free_port();
    let with = format!("modules: {{upstream: \"file://TREE\", sumdb: off, listen: \"127.0.0.1:{port}\"}}");
    gateway.reload(document(&folder, &with)).unwrap();
    let address = gateway.modules_address().unwrap();
    assert_eq!(address.port(), port);
    assert_eq!(get(own, &format!("/go/{LIST}")).await, list);
    assert_eq!(get(address, &format!("/{LIST}")).await, list);
    assert_eq!(get(address, "/v1/models").await.unwrap().0, "404", "no other door is there");

    // One that cannot be used leaves everything as it is.
    let bad = "modules: {upstream: \"https://a.example\", tls-roots: TREE/none.pem}";
    assert!(gateway.reload(document(&folder, bad)).unwrap_err().to_string().contains("tls-roots"));
    assert_eq!(get(address, &format!("/{LIST}")).await, list);

    gateway.reload(document(&folder, "modules: {upstream: off, sumdb: off}")).unwrap();
    assert_eq!(gateway.modules_address(), None);
    for _ in 0..500 {
        if get(address, &format!("/{LIST}")).await.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(get(address, &format!("/{LIST}")).await, None, "it is closed");
    assert_eq!(get(own, &format!("/go/{LIST}")).await, list, "it is kept from before");

    gateway.reload(document(&folder, "")).unwrap();
    assert_eq!(get(own, &format!("/go/{LIST}")).await.unwrap().0, "404");
    gateway.stop(Duration::ZERO).await;
}
