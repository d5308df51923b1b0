//! Routes against a real server: reuse of connections, the silent retry, cancelling, TLS, HTTP/2.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and makes its own files and tasks"
)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use tradewind_core::{Clock, FaultKind, Moment, UnixMillis};
use tradewind_egress::{Answer, Egress, EgressSettings, Http2, Origin, RequestBody, Roots, Route, Shards, Spawner};
use tradewind_sim::{BlackHole, RefusedPort, Sim, SimFault, SimOptions, SimStats, TlsOptions, UNRESOLVABLE_HOST};

const PATIENCE: Duration = Duration::from_secs(20);
const BODY: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A clock that stands still: nothing here depends on time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(0)
    }
}

fn egress() -> Arc<Egress> {
    // A test's runtime owns its tasks: they end with it.
    let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
    Egress::new(Arc::new(Still), spawner, EgressSettings::default())
}

fn route(egress: &Arc<Egress>, url: &str) -> Arc<Route> {
    egress.route(Origin::parse(url).unwrap(), Http2::Auto, &Roots::none(), "", None)
}

fn chat(body: &'static str) -> impl Fn() -> Request<RequestBody> + Send + Sync {
    move || {
        let mut request = Request::new(RequestBody::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        request
    }
}

async fn text(answer: Answer) -> String {
    String::from_utf8(answer.body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    let egress = egress();
    let route = route(&egress, &sim.base_url());
    for _ in 0..5 {
        let answer = route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap();
        assert!(text(answer).await.contains("alpha"));
    }
    assert_eq!((sim.stats().requests, sim.stats().connections), (5, 1));
    assert_eq!(egress.idle_connections(), 1);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once_and_silently() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    let route = route(&egress(), &sim.base_url());
    text(route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap()).await;
    sim.set_fault(SimFault::StaleKeepAlive).unwrap();
    // Closed as soon as the next request arrives on a kept connection; answered on a new one.
    let answer = route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap();
    assert!(text(answer).await.contains("alpha"));
    // A request with effects is not sent again, because it may have arrived.
    let fault = route.send(&chat(BODY), PATIENCE, false, 0).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Reset);
}

/// Two workers, played by one thread, so that the runtime of the other one certainly is not running.
#[test]
fn a_connection_of_another_worker_is_moved_to_the_one_that_takes_it() {
    thread_local! {
        static WORKER: Cell<usize> = const { Cell::new(0) };
    }
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let workers: [_; 2] =
        std::array::from_fn(|_| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    for (tls, http2) in [(None, Http2::Auto), (Some(TlsOptions { http2: false }), Http2::Auto)] {
        let options = SimOptions { tls, ..SimOptions::named("alpha") };
        let sim = elsewhere.block_on(Sim::start(options)).unwrap();
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let shards = Shards { count: 2, current: || Some(WORKER.get()) };
        let egress = Egress::new(Arc::new(Still), spawner, EgressSettings { shards, ..EgressSettings::default() });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let roots = sim.ca_pem().map_or_else(Roots::none, |pem| {
            std::fs::write(&file, pem).unwrap();
            Roots::from_file(&file).unwrap()
        });
        let route = egress.route(Origin::parse(&sim.base_url()).unwrap(), http2, &roots, "", None);
        for worker in [0, 1, 1, 0] {
            WORKER.set(worker);
            let asking = async {
                let answer = route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap();
                text(answer).await
            };
            let answered = workers[worker].block_on(async { tokio::time::timeout(PATIENCE, asking).await });
            assert!(answered.unwrap().contains("alpha"));
            assert_eq!((sim.stats().connections, egress.idle_connections()), (1, 1));
        }
    }
}

/// What the runtime of another worker has not noticed yet is noticed all the same when its connection is taken over.
#[test]
fn bytes_that_another_worker_has_not_seen_are_no_answer() {
    thread_local! {
        static WORKER: Cell<usize> = const { Cell::new(0) };
    }
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let workers: [_; 2] =
        std::array::from_fn(|_| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let sim = elsewhere.block_on(Sim::start(SimOptions::named("alpha"))).unwrap();
    sim.set_fault(SimFault::ContentLengthShort).unwrap();
    let shards = Shards { count: 2, current: || Some(WORKER.get()) };
    let settings = EgressSettings { shards, ..EgressSettings::default() };
    let egress = Egress::new(Arc::new(Still), Spawner::new(|task| drop(tokio::spawn(task))), settings);
    let route = route(&egress, &sim.base_url());
    for round in 0..20 {
        let worker = round % 2;
        WORKER.set(worker);
        let asking = async { text(route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap()).await };
        let answered = workers[worker].block_on(async { tokio::time::timeout(PATIENCE, asking).await }).unwrap();
        assert!(!answered.contains("smuggled"), "{answered}");
        let sent = |stats: &SimStats| stats.complete + stats.cancelled == round as u64 + 1;
        assert!(elsewhere.block_on(sim.wait_until(PATIENCE, sent)));
    }
    assert_eq!(sim.stats().connections, 20);
}

/// The runtimes of threads that are no workers, two of them here, share a place, but nothing in it without moving it.
#[test]
fn a_thread_that_is_no_worker_moves_each_connection_that_it_takes() {
    thread_local! {
        static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtimes: [_; 3] =
        std::array::from_fn(|_| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let sim = elsewhere.block_on(Sim::start(SimOptions::named("alpha"))).unwrap();
    let shards = Shards { count: 1, current: || WORKER.get() };
    let settings = EgressSettings { shards, ..EgressSettings::default() };
    let egress = Egress::new(Arc::new(Still), Spawner::new(|task| drop(tokio::spawn(task))), settings);
    let route = route(&egress, &sim.base_url());
    for (runtime, worker) in [(0, Some(0)), (1, None), (0, Some(0)), (2, None), (1, None), (1, None), (0, Some(0))] {
        WORKER.set(worker);
        let asking = async { text(route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap()).await };
        let answered = runtimes[runtime].block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        assert!(answered.unwrap().contains("alpha"), "{runtime} {worker:?}");
        assert_eq!((sim.stats().connections, egress.idle_connections()), (1, 1));
    }
}

#[tokio::test]
async fn dropping_an_answer_cancels_it_upstream() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    sim.set_fault(SimFault::Stall).unwrap();
    let egress = egress();
    let route = route(&egress, &sim.base_url());
    let mut answer = route.send(&chat(STREAM), PATIENCE, true, 0).await.unwrap();
    answer.body.frame().await.unwrap().unwrap();
    assert_eq!(sim.stats().open_connections, 1);
    drop(answer);
    assert!(sim.wait_until(PATIENCE, |stats| stats.open_connections == 0).await);
    assert_eq!(egress.idle_connections(), 0);
}

#[tokio::test]
async fn an_unread_rest_is_finished_in_the_background() {
    let sim = Sim::start(SimOptions::named("alpha")).await.unwrap();
    let egress = egress();
    let route = route(&egress, &sim.base_url());
    let answer = route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap();
    answer.body.finish_in_background();
    text(route.send(&chat(BODY), PATIENCE, true, 0).await.unwrap()).await;
    assert!(egress.idle_connections() >= 1);
}

#[tokio::test]
async fn each_way_of_not_connecting_has_its_name() {
    let egress = egress();
    let refused = RefusedPort::bind().unwrap();
    let black_hole = BlackHole::bind().unwrap();
    let table = [
        (format!("http://{}", refused.address()), PATIENCE, FaultKind::ConnectRefused),
        (format!("http://{}", black_hole.address().unwrap()), Duration::from_millis(300), FaultKind::ConnectTimeout),
        (format!("http://{UNRESOLVABLE_HOST}"), PATIENCE, FaultKind::Dns),
    ];
    for (url, limit, kind) in table {
        let sent = route(&egress, &url).send(&chat(BODY), limit, true, 0).await;
        let fault = sent.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (kind, true), "{url}: {fault}");
    }
}

#[tokio::test]
async fn http2_is_spoken_where_tls_agrees_on_it() {
    for http2 in [true, false] {
        let tls = Some(TlsOptions { http2 });
        let sim = Sim::start(SimOptions { tls, ..SimOptions::named("alpha") }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, sim.ca_pem().unwrap()).unwrap();
        let roots = Roots::from_file(&file).unwrap();
        let egress = egress();
        let trusting = egress.route(Origin::parse(&sim.base_url()).unwrap(), Http2::Auto, &roots, "sim", None);
        for _ in 0..3 {
            let answer = trusting.send(&chat(BODY), PATIENCE, true, 0).await.unwrap();
            assert_eq!(answer.head.version == http::Version::HTTP_2, http2);
            assert!(text(answer).await.contains("alpha"));
        }
        assert_eq!(sim.stats().connections, 1);
        // Who does not know the authority does not connect.
        let fault = route(&egress, &sim.base_url()).send(&chat(BODY), PATIENCE, true, 0).await.err().unwrap();
        assert_eq!((fault.kind, fault.never_sent), (FaultKind::Tls, true));
    }
}
