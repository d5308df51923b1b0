//! NTLM, judged by pyspnego.

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tradewind_core::{FaultKind, Secret};
use tradewind_egress::{Destination, Http2, HttpHop, Origin, Outbound, RequestBody, Roots};
use tradewind_policy::ways::{HttpProxy, ProxyAuth, ProxyKind};

use crate::processes::{Peer, exchange, folder, installed, local};
use crate::rigs;
use crate::support::{PATIENCE, Server, Table, dialing, echo, egress, head, http_proxy, mirror, serve, talk, way};

/// The proxy, and the folder with its users.
struct Ntlm {
    proxy: Peer,
    port: u16,
    _folder: TempDir,
}

fn ntlm_proxy() -> Ntlm {
    let folder = folder();
    let users = folder.path().join("users");
    std::fs::write(&users, "CORP:bob:pä$$w0rd\nCORP:Jürgen:pw\n:ann@corp.example:pw\n").unwrap();
    let mut command = installed("python/bin/python");
    command.arg(rigs().join("ntlm_proxy.py")).arg(&users).args(["--host", "only.corp.test=127.0.0.1"]);
    let proxy = Peer::start(&mut command);
    let port = proxy.said("its port", |log| log.split_once('\n')?.0.parse().ok());
    Ntlm { proxy, port, _folder: folder }
}

fn corp(port: u16, user: &str, password: &str, auth: &[ProxyAuth]) -> Arc<Outbound> {
    let spec = HttpProxy {
        username: Some(user.into()),
        password: Some(Secret::new(password.to_owned())),
        auth: auth.to_vec(),
        ..http_proxy(local(port))
    };
    way("corp", ProxyKind::Http(spec))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_is_opened_for_the_right_password_alone() {
    let ntlm = ntlm_proxy();
    let echo = echo().await;
    // A name that only the proxy knows.
    let to = Destination::new("only.corp.test", echo.address.port());
    let dialing = dialing(&[], PATIENCE);
    for (user, password) in [("CORP\\bob", "wrong"), ("CORP\\nobody", "pw"), ("bob", "pä$$w0rd")] {
        let fault = corp(ntlm.port, user, password, &[ProxyAuth::Ntlm]).connect(&to, &dialing).await.err().unwrap();
        assert_eq!((fault.kind, fault.status, fault.never_sent), (FaultKind::ProxyLogin, Some(407), true), "{fault}");
        assert!(
            fault.detail.ends_with(
                "it does not accept the login of the document: status 407; it takes NTLM; ntlm: the user name or the password is \
                 not accepted"
            ),
            "{fault}"
        );
        assert!(!fault.detail.contains(password), "{fault}");
    }
    for (user, password) in [("CORP\\bob", "pä$$w0rd"), ("CORP\\Jürgen", "pw"), ("ann@corp.example", "pw")] {
        let corp = corp(ntlm.port, user, password, &[ProxyAuth::Ntlm]);
        assert!(corp.is_login_bound());
        let mut stream = corp.connect(&to, &dialing).await.unwrap_or_else(|fault| panic!("{user}: {fault}"));
        talk(&mut stream).await;
        ntlm.proxy.until(&format!("accepted {user} CONNECT only.corp.test"));
    }
    let log = ntlm.proxy.until("accepted ann@corp.example CONNECT only.corp.test");
    assert_eq!(log.matches("refused").count(), 3, "a password that is not accepted is not sent again: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_goes_over_the_connection_that_logged_in() {
    let ntlm = ntlm_proxy();
    let mirror = mirror().await;
    let to = Destination::new("only.corp.test", mirror.address.port());
    let dialing = dialing(&[], PATIENCE);
    let corp = corp(ntlm.port, "CORP\\bob", "pä$$w0rd", &[ProxyAuth::Ntlm]);
    let HttpHop::Proxy { mut stream, headers } = corp.connect_http(&to, &dialing).await.unwrap() else {
        panic!("the proxy takes the absolute form")
    };
    assert!(headers.each.is_none());
    let login = headers.once.unwrap();
    for (path, login) in [("a", format!("proxy-authorization: {}\r\n", login.to_str().unwrap())), ("b", String::new())]
    {
        let request = format!("GET http://{to}/{path} HTTP/1.1\r\nhost: {to}\r\n{login}\r\n");
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(!answer.contains("proxy-authorization"), "the proxy keeps it to itself: {answer}");
    }
    let [first, last] = ["a", "b"].map(|path| format!("accepted CORP\\bob GET http://{to}/{path}"));
    let log = ntlm.proxy.until(&last);
    assert_eq!(log.lines().collect::<Vec<_>>(), [&ntlm.port.to_string(), "connected", &first, &last]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemes_are_tried_in_their_order_and_each_says_why_not() {
    let ntlm = ntlm_proxy();
    let echo = echo().await;
    let to = Destination::new("only.corp.test", echo.address.port());
    let dialing = dialing(&[], PATIENCE);
    let all = [ProxyAuth::Negotiate, ProxyAuth::Ntlm, ProxyAuth::Basic];
    talk(&mut corp(ntlm.port, "CORP\\bob", "pä$$w0rd", &all).connect(&to, &dialing).await.unwrap()).await;
    // Basic first: said without being asked, refused, and then NTLM all the same.
    let basic_first = [ProxyAuth::Basic, ProxyAuth::Ntlm];
    talk(&mut corp(ntlm.port, "CORP\\bob", "pä$$w0rd", &basic_first).connect(&to, &dialing).await.unwrap()).await;
    let fault = corp(ntlm.port, "CORP\\bob", "wrong", &all).connect(&to, &dialing).await.err().unwrap();
    assert!(
        fault.detail.ends_with(
            "it takes NTLM; negotiate: the proxy does not offer it; ntlm: the user name or the password is not accepted; basic: the \
             proxy does not offer it"
        ),
        "{fault}"
    );
    // The same before the first request of plain HTTP, so that what is left can still be tried.
    let fault = corp(ntlm.port, "CORP\\bob", "wrong", &all).connect_http(&to, &dialing).await.err().unwrap();
    assert!(fault.detail.ends_with("basic: the proxy does not offer it"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_logged_in_belongs_to_one_caller() {
    let ntlm = ntlm_proxy();
    let mirror = mirror().await;
    let egress = egress();
    egress.set_chooser(Table::of([corp(ntlm.port, "CORP\\bob", "pä$$w0rd", &[ProxyAuth::Ntlm])]));
    let origin = Origin::parse(&format!("http://only.corp.test:{}", mirror.address.port())).unwrap();
    let route = egress.route(origin, Http2::Never, &Roots::none(), "", Some(&"corp".into()));
    for (calls, (owner, connections)) in (1..).zip([(1, 1), (1, 1), (2, 2), (1, 2), (2, 2), (3, 3)]) {
        let build = || Request::get("/").body(RequestBody::default()).unwrap();
        let mut answer =
            route.send(&build, PATIENCE, true, owner).await.unwrap_or_else(|fault| panic!("{owner}: {fault}"));
        assert_eq!(answer.head.status, 200);
        while answer.body.frame().await.is_some_and(|frame| frame.is_ok()) {}
        let log = ntlm.proxy.said("that it has accepted this call", |log| {
            (log.matches("accepted").count() >= calls).then(|| log.to_owned())
        });
        assert_eq!(log.matches("connected").count(), connections, "{log}");
        assert!(!log.contains("protest"), "{log}");
    }
}

/// Somebody whose requests log in connections, and who closes the connection behind a HEAD.
async fn closing_behind_head() -> Server {
    serve(|mut socket| async move {
        let mut is_known = false;
        loop {
            let asked = head(&mut socket).await;
            let said = asked.split("proxy-authorization: NTLM ").nth(1).unwrap_or_default();
            // The messages of the first and of the third kind.
            is_known |= said.starts_with("TlRMTVNTUAADAAAA");
            let answer = if is_known && asked.starts_with("HEAD") {
                "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\n"
            } else if is_known {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            } else if said.starts_with("TlRMTVNTUAABAAAA") {
                "HTTP/1.1 407 x\r\ncontent-length: 0\r\nproxy-authenticate: NTLM \
                 TlRMTVNTUAACAAAAAQEBAQEBAQEBAQEBAQEBAQEBAQE=\r\n\r\n"
            } else {
                "HTTP/1.1 407 x\r\ncontent-length: 0\r\nproxy-authenticate: NTLM\r\n\r\n"
            };
            let is_open = socket.write_all(answer.as_bytes()).await.is_ok();
            if asked.is_empty() || !is_open || answer.contains("close") {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_login_whose_connection_is_closed_is_made_again() {
    let proxy = closing_behind_head().await;
    // As something is left to try, the login is made with a request of its own, and its answer closes the connection.
    let corp = corp(proxy.address.port(), "CORP\\bob", "pw", &[ProxyAuth::Ntlm, ProxyAuth::Basic]);
    let to = Destination::new("example.test", 80);
    let HttpHop::Proxy { mut stream, headers } = corp.connect_http(&to, &dialing(&[], PATIENCE)).await.unwrap() else {
        panic!("the proxy takes the absolute form")
    };
    assert_eq!(proxy.connections(), 2);
    let login = headers.once.expect("the connection is not logged in yet");
    let login = login.to_str().unwrap();
    let request = format!("GET http://{to}/ HTTP/1.1\r\nhost: {to}\r\nproxy-authorization: {login}\r\n\r\n");
    assert!(exchange(&mut stream, &request).await.ends_with("ok"));
}
