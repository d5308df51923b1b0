//! Routes by a way out: which connections are used again, and what goes over them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tradewind_core::FaultKind;
use tradewind_egress::{Egress, Http2, Origin, Outbound, RequestBody, Roots, Route};
use tradewind_policy::ways::{HttpProxy, ProxyAuth, ProxyKind};
use tradewind_sim::{Sim, SimOptions, TlsOptions};

use crate::support::{
    PATIENCE, Server, Table, direct, egress, head, http_proxy, mirror, serve, splice, through, way, with_basic,
};

/// An HTTP proxy that opens tunnels, and passes on requests in the absolute form to where they say.
async fn proxy(seen: Arc<AtomicUsize>) -> Server {
    serve(move |mut socket| {
        let seen = seen.clone();
        async move {
            loop {
                let asked = head(&mut socket).await;
                if asked.is_empty() {
                    return;
                }
                seen.fetch_add(1, Ordering::SeqCst);
                if let Some(to) = asked.strip_prefix("CONNECT ") {
                    let to = to.split(' ').next().unwrap().replace("sim.example", "127.0.0.1");
                    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    return splice(socket, to.parse().unwrap()).await;
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{asked}", asked.len());
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

fn get() -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::default());
    *request.uri_mut() = http::Uri::from_static("/x?y");
    request.headers_mut().insert("x-own", HeaderValue::from_static("1"));
    request
}

async fn text(route: &Arc<Route>, owner: u64) -> String {
    let answer = route.send(&get, PATIENCE, true, owner).await.unwrap();
    String::from_utf8(answer.body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn by(egress: &Arc<Egress>, url: &str, roots: &Roots) -> Arc<Route> {
    egress.route(Origin::parse(url).unwrap(), Http2::Auto, roots, "", Some(&"way-out".into()))
}

/// An egress whose `way-out` is `way` at first.
fn choosing(way: &Arc<Outbound>) -> (Arc<Egress>, Arc<Table>) {
    let (egress, table) = (egress(), Table::of([]));
    table.set("way-out", way.clone());
    egress.set_chooser(table.clone());
    (egress, table)
}

#[tokio::test]
async fn plain_http_goes_through_a_proxy_in_the_absolute_form() {
    let seen = Arc::new(AtomicUsize::new(0));
    let proxy = proxy(seen.clone()).await;
    let (egress, _) = choosing(&way("corp", with_basic(http_proxy(proxy.address), "a", "b")));
    let route = by(&egress, "http://nowhere.invalid:8080", &Roots::none());
    for _ in 0..3 {
        assert_eq!(
            text(&route, 0).await,
            "GET http://nowhere.invalid:8080/x?y HTTP/1.1\r\nhost: nowhere.invalid:8080\r\nproxy-authorization: Basic \
             YTpi\r\nx-own: 1\r\n\r\n"
        );
    }
    assert_eq!((seen.load(Ordering::SeqCst), proxy.connections()), (3, 1));
    assert_eq!(egress.idle_connections(), 1);
}

#[tokio::test]
async fn credentials_of_a_proxy_go_to_no_origin() {
    let mirror = mirror().await;
    let proxy = proxy(Arc::default()).await;
    let (egress, table) = choosing(&way("corp", with_basic(http_proxy(proxy.address), "a", "b")));
    let url = format!("http://{}", mirror.address);
    let route = by(&egress, &url, &Roots::none());
    assert!(text(&route, 0).await.contains("proxy-authorization"), "the proxy itself answers here");
    // The same request, directly: also where a caller has put such a header into it.
    table.set("way-out", direct());
    assert_eq!(text(&route, 0).await, format!("GET /x?y HTTP/1.1\r\nhost: {}\r\nx-own: 1\r\n\r\n", mirror.address));
    let build = || {
        let mut request = get();
        request.headers_mut().insert("proxy-authorization", HeaderValue::from_static("Basic eDp5"));
        request
    };
    let answer = route.send(&build, PATIENCE, true, 0).await.unwrap();
    let body = answer.body.collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("proxy-authorization"));
}

#[tokio::test]
async fn another_way_gets_other_connections_and_the_first_ones_are_kept_for_it() {
    let mirror = mirror().await;
    let (one, two) = (direct(), direct());
    let (egress, table) = choosing(&one);
    let route = by(&egress, &format!("http://{}", mirror.address), &Roots::none());
    let counted = |expected: usize| assert_eq!(mirror.connections(), expected);
    text(&route, 1).await;
    text(&route, 2).await;
    counted(1);
    table.set("way-out", two.clone());
    text(&route, 0).await;
    counted(2);
    table.set("way-out", one.clone());
    text(&route, 0).await;
    counted(2);
    assert_eq!(egress.idle_connections(), 2);
    egress.close_idle(Some(two.id()));
    assert_eq!(egress.idle_connections(), 1);
    egress.close_idle(None);
    assert_eq!(egress.idle_connections(), 0);
    text(&route, 0).await;
    counted(3);
    // A route without `via` shares nothing with it.
    let plain = egress.route(route.origin().clone(), Http2::Auto, &Roots::none(), "", None);
    text(&plain, 0).await;
    counted(4);
}

#[tokio::test]
async fn a_connection_that_a_login_belongs_to_is_used_for_one_caller_alone() {
    let mirror = mirror().await;
    // What a chain leads through is not known beforehand, so that it counts as bound.
    let hop = proxy(Arc::default()).await;
    let bound = through("corp", ProxyKind::Http(http_proxy(hop.address)), Some("DIRECT"));
    assert!(bound.is_login_bound());
    let ntlm = HttpProxy { auth: vec![ProxyAuth::Ntlm, ProxyAuth::Basic], ..http_proxy(hop.address) };
    assert!(way("corp", ProxyKind::Http(ntlm)).is_login_bound());
    assert!(!way("corp", with_basic(http_proxy(hop.address), "a", "b")).is_login_bound());
    let (egress, table) = choosing(&bound);
    table.set("DIRECT", direct());
    let route = by(&egress, &format!("http://{}", mirror.address), &Roots::none());
    for owner in [1, 2, 1, 2, 1] {
        text(&route, owner).await;
    }
    assert_eq!((hop.connections(), egress.idle_connections()), (2, 2));
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_http2_is_shared_by_way() {
    for http2 in [false, true] {
        let sim =
            Sim::start(SimOptions { tls: Some(TlsOptions { http2 }), ..SimOptions::named("alpha") }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), sim.ca_pem().unwrap()).unwrap();
        let roots = Roots::from_file(&folder.path().join("ca.pem")).unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let hop = proxy(seen.clone()).await;
        let corp = way("corp", ProxyKind::Http(http_proxy(hop.address)));
        let (egress, table) = choosing(&corp);
        let route = by(&egress, &sim.base_url(), &roots);
        let chat = || {
            let mut request =
                Request::new(RequestBody::from(r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
            request
        };
        let ask = async || {
            let answer = route.send(&chat, PATIENCE, true, 0).await.unwrap();
            assert_eq!(answer.head.version == http::Version::HTTP_2, http2);
            assert!(String::from_utf8_lossy(&answer.body.collect().await.unwrap().to_bytes()).contains("alpha"));
        };
        ask().await;
        ask().await;
        assert_eq!((seen.load(Ordering::SeqCst), sim.stats().connections), (1, 1));
        table.set("way-out", way("other", ProxyKind::Http(http_proxy(hop.address))));
        ask().await;
        assert_eq!((seen.load(Ordering::SeqCst), sim.stats().connections), (2, 2));
        table.set("way-out", corp);
        ask().await;
        assert_eq!(sim.stats().connections, 2, "the first one was kept");
    }
}

#[tokio::test]
async fn faults_of_the_way_come_through_and_nothing_is_sent_otherwise() {
    let mirror = mirror().await;
    let url = format!("http://{}", mirror.address);
    let wanting = serve(|mut socket| async move {
        head(&mut socket).await;
        let answer = b"HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";
        let _ = socket.write_all(answer).await;
    })
    .await;
    let nobody = tradewind_sim::RefusedPort::bind().unwrap();
    let table = [
        (way("node", ProxyKind::NotBuilt("vmess".into())), FaultKind::WayNotBuilt, "vmess"),
        (way("REJECT", ProxyKind::Reject), FaultKind::WayRejected, "REJECT"),
        (
            way("corp", ProxyKind::Http(http_proxy(wanting.address))),
            FaultKind::ProxyLogin,
            "status 407; it takes NTLM, Basic",
        ),
        (
            way("corp", ProxyKind::Http(http_proxy(nobody.address()))),
            FaultKind::ProxyUnreachable,
            "nobody listens there",
        ),
    ];
    for (way, kind, words) in table {
        let (egress, _) = choosing(&way);
        let fault = by(&egress, &url, &Roots::none()).send(&get, PATIENCE, true, 0).await.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (kind, true), "{fault}");
        assert!(fault.detail.contains(words), "{fault}");
    }
    // No chooser was set: there is no `way-out`.
    let fault = by(&egress(), &url, &Roots::none()).send(&get, PATIENCE, true, 0).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::WayBroken);
    assert_eq!(mirror.connections(), 0);
}

#[tokio::test]
async fn one_time_limit_lies_over_the_whole_chain_and_tls() {
    // A proxy that opens the tunnel and a server behind it that says nothing to the TLS handshake.
    let silent = serve(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let hop = proxy(Arc::default()).await;
    let (egress, _) = choosing(&way("corp", ProxyKind::Http(http_proxy(hop.address))));
    let route = by(&egress, &format!("https://{}", silent.address), &Roots::none());
    let fault = route.send(&get, Duration::from_secs(2), true, 0).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::TlsTimeout, "{fault}");
    assert!(fault.detail.ends_with("the TLS handshake did not end within 2s"), "{fault}");
}
