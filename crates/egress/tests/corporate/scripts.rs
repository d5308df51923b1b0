//! Scripts that pick proxies, with proxies behind them: which are tried, and who gets a login.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::io::AsyncWriteExt;
use tradewind_core::{Fault, FaultKind};
use tradewind_egress::{Chooser, Chosen, Destination, Dialing, HttpHop, Outbound, Roots};
use tradewind_policy::ways::{PacProxy, Proxy, ProxyKind, Unreachable};

use crate::processes::folder;
use crate::support::{PATIENCE, Server, dialing, direct, echo, head, http_proxy, serve, splice, talk, way, with_basic};

/// A proxy that keeps what it was asked, and connects to `origin` whatever it was asked for.
async fn listening(origin: &Server) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let (keep, origin) = (heard.clone(), origin.address);
    let server = serve(move |mut socket| {
        let keep = keep.clone();
        async move {
            let asked = head(&mut socket).await;
            keep.lock().push(asked);
            if socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
                splice(socket, origin).await;
            }
        }
    })
    .await;
    (server, heard)
}

/// The document: one proxy, with a login.
struct Document(Arc<Outbound>);

impl Chooser for Document {
    fn choose(&self, _: &str, _: &Destination) -> Result<Chosen, Fault> {
        Ok(Chosen { outbound: self.0.clone(), chain: SmallVec::new() })
    }

    fn at(&self, server: &Destination) -> Option<Arc<Outbound>> {
        (self.0.server() == Some(server)).then(|| self.0.clone())
    }
}

/// A way by a script that always says the same, and its folder.
fn script(answer: &str) -> (Arc<Outbound>, tempfile::TempDir) {
    let folder = folder();
    let path = folder.path().join("proxy.pac");
    std::fs::write(&path, format!("function FindProxyForURL(url, host) {{ return {answer:?} }}")).unwrap();
    let url = format!("file://{}", path.display()).into();
    (way("auto", ProxyKind::Pac(PacProxy { url, unreachable: Unreachable::Fail })), folder)
}

fn in_document(corp: Arc<Outbound>, limit: Duration) -> Dialing {
    Dialing { chooser: Arc::new(Document(corp)), ..dialing(&[], limit) }
}

#[tokio::test]
async fn a_login_goes_to_no_proxy_that_only_the_script_names() {
    let echo = echo().await;
    let (ours, heard) = listening(&echo).await;
    let (hostile, stolen) = listening(&echo).await;
    let corp = way("corp", with_basic(http_proxy(ours.address), "alice", "s3cret"));
    let dialing = in_document(corp, PATIENCE);
    let to = Destination::new("example.test", 443);
    for (proxy, is_given) in [(&ours, true), (&hostile, false)] {
        let (auto, _folder) = script(&format!("PROXY {}", proxy.address));
        talk(&mut auto.connect(&to, &dialing).await.unwrap()).await;
        let HttpHop::Proxy { headers, .. } = auto.connect_http(&to, &dialing).await.unwrap() else {
            panic!("a proxy takes the absolute form")
        };
        assert_eq!((headers.each.is_some(), headers.once.is_some()), (is_given, false));
    }
    assert!(heard.lock()[0].contains("proxy-authorization: Basic "));
    let stolen = stolen.lock();
    assert!(
        !stolen.is_empty() && stolen.iter().all(|asked| !asked.to_lowercase().contains("authorization")),
        "{stolen:?}"
    );
}

#[tokio::test]
async fn the_next_step_is_taken_when_a_proxy_cannot_be_reached_and_not_when_it_says_no() {
    let echo = echo().await;
    let (good, _) = listening(&echo).await;
    let refusing = serve(|mut socket| async move {
        head(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let silent = serve(|mut socket| async move {
        head(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let to = Destination::new("example.test", 443);
    let refused = tradewind_sim::RefusedPort::bind().unwrap();
    let nobody = refused.address().port();
    let (auto, _folder) =
        script(&format!("PROXY 127.0.0.1:{nobody}; PROXY {}; PROXY {}", silent.address, good.address));
    let dialing = dialing(&[], Duration::from_secs(6));
    talk(&mut auto.connect(&to, &dialing).await.unwrap()).await;
    assert_eq!(silent.connections(), 1);
    // What did not work is behind the others for a while.
    talk(&mut auto.connect(&to, &dialing).await.unwrap()).await;
    assert_eq!((silent.connections(), good.connections()), (1, 2));
    let explained = auto.explain(&to, true, &dialing).await.unwrap();
    assert_eq!((&*explained.via, explained.proxy), ("auto", format!("PROXY {}", good.address)));
    assert!(
        explained.why.contains(&format!("PROXY {} could not be reached a moment ago", silent.address)),
        "{}",
        explained.why
    );
    // Another network: everything is tried again.
    auto.network_changed();
    talk(&mut auto.connect(&to, &dialing).await.unwrap()).await;
    assert_eq!(silent.connections(), 2);

    let (auto, _folder) = script(&format!("PROXY {}; DIRECT", refusing.address));
    let fault = auto.connect(&to, &dialing).await.err().unwrap();
    assert_eq!((fault.kind, fault.status), (FaultKind::ProxyFailed, Some(403)), "{fault}");
    assert!(fault.detail.contains("(the script file://"), "{fault}");
    // All of them fail: what each said.
    let (auto, _folder) = script(&format!("PROXY 127.0.0.1:{nobody}; SOCKS5 127.0.0.1:{nobody}"));
    let fault = auto.connect(&to, &dialing).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::ProxyUnreachable, "{fault}");
    assert_eq!(fault.detail.matches("nobody listens there").count(), 2, "{fault}");
}

#[tokio::test]
async fn a_script_of_a_server_is_fetched_and_what_is_no_script_is_not_used() {
    async fn server(answer: &'static str, body: String) -> Server {
        serve(move |mut socket| {
            let body = body.clone();
            async move {
                let asked = head(&mut socket).await;
                assert!(asked.starts_with("GET /proxy.pac?x=1 HTTP/1.1\r\n"), "{asked}");
                let _ = socket.write_all(format!("HTTP/1.1 {answer}\r\n\r\n{body}").as_bytes()).await;
            }
        })
        .await
    }
    let dialing = dialing(&[&direct()], PATIENCE);
    let to = Destination::new("example.test", 80);
    let good = "function FindProxyForURL(url, host) { return 'PROXY a:1' }".to_owned();
    let large = format!("/*{}*/{good}", "x".repeat(1024 * 1024));
    for (answer, body, outcome) in [
        ("200 OK", good.clone(), "PROXY a:1"),
        ("404 Not Found\r\ncontent-length: 0", String::new(), "answered with the status 404"),
        (
            "302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0",
            String::new(),
            "answered with the status 302",
        ),
        ("200 OK", large, "it has more than 1024 KiB"),
        ("200 OK\r\ncontent-length: 1000", good, "broke off"),
        ("200 OK", "<html>Log in to this network</html>".to_owned(), "unexpected token"),
    ] {
        let server = server(answer, body).await;
        let url = format!("http://{}/proxy.pac?x=1", server.address).into();
        let kind = ProxyKind::Pac(PacProxy { url, unreachable: Unreachable::Fail });
        let spec = Proxy { name: "auto".into(), kind, dialer: None, udp: false };
        let auto = Outbound::new(&spec, &Roots::none()).unwrap();
        match auto.explain(&to, false, &dialing).await {
            Ok(explained) => {
                assert_eq!(explained.proxy, outcome);
                auto.explain(&to, true, &dialing).await.unwrap();
                assert_eq!(server.connections(), 1, "it is fetched once");
            }
            Err(fault) => {
                assert_eq!(fault.kind, FaultKind::WayScript);
                assert!(fault.detail.contains(outcome), "{fault}");
            }
        }
    }
}

#[tokio::test]
async fn the_systems_settings_lead_through_their_proxy() {
    let echo = echo().await;
    let (proxy, heard) = listening(&echo).await;
    let value = format!("http://me:p%40ss@{}", proxy.address);
    let system = Outbound::system(&|name| (name == "https_proxy").then(|| value.clone()), &Roots::none());
    let dialing = dialing(&[], PATIENCE);
    talk(&mut system.connect(&Destination::new("example.test", 443), &dialing).await.unwrap()).await;
    assert!(heard.lock()[0].contains("proxy-authorization: Basic bWU6cEBzcw==\r\n"), "{:?}", heard.lock());
}
