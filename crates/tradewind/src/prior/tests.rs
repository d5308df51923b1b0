//! The poller against servers that answer, lie, hang, send without end, and disappear.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tradewind_core::Secret;
use tradewind_egress::{EgressSettings, Spawner};
use tradewind_policy::{BaseUrl, TimeSpan};
use tradewind_runtime::SystemClock;

use super::*;

/// What a server does with a request.
#[derive(Clone, Debug)]
enum Does {
    Says(u16, String),
    Hangs,
    HangsInTheMiddle,
    Closes,
    SendsForEver,
}

fn number(value: &str) -> Does {
    Does::Says(
        200,
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
        ),
    )
}

/// A server that does what it is told, by query, and remembers the heads of requests.
struct Server {
    address: SocketAddr,
    supervisor: Supervisor,
    does: Arc<Mutex<Vec<(&'static str, Does)>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(does: Vec<(&'static str, Does)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (supervisor, does) = (Supervisor::new(), Arc::new(Mutex::new(does)));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (spawner, script, seen) = (supervisor.clone(), does.clone(), heads.clone());
        supervisor.spawn(Kind::Upkeep, async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawner.spawn(Kind::Upkeep, serve(stream, script.clone(), seen.clone()));
            }
        });
        Self { address, supervisor, does, heads }
    }

    fn settings(&self) -> Prometheus {
        Prometheus {
            url: BaseUrl::parse(&format!("http://{}/prom", self.address)).unwrap(),
            interval: TimeSpan::from_millis(40),
            timeout: TimeSpan::from_secs(10),
            token: None,
            username: None,
            password: None,
            headers: Default::default(),
        }
    }

    /// Nobody listens there any more.
    async fn disappear(&self) {
        self.supervisor.stop(Duration::ZERO, Duration::ZERO).await;
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Vec<(&'static str, Does)>>>, seen: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let does = script
            .lock()
            .iter()
            .find(|(query, _)| head.contains(&format!("query={query}&")))
            .map(|(_, does)| does.clone());
        seen.lock().push(head);
        let sent = match does.expect("the query is in the script") {
            Does::Says(status, body) => {
                let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).await
            }
            Does::Hangs => std::future::pending().await,
            Does::HangsInTheMiddle => {
                let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{\"status\"").await;
                std::future::pending().await
            }
            Does::Closes => return,
            Does::SendsForEver => {
                let _ = stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n").await;
                while stream.write_all(&[b' '; 4096]).await.is_ok() {}
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

type Told = (String, Result<f64, PriorFailure>);

/// A poller, what it tells, and what it logs.
struct Polling {
    poller: PriorPoller,
    told: mpsc::UnboundedReceiver<Told>,
    lines: Arc<Mutex<Vec<String>>>,
    supervisor: Supervisor,
}

impl Polling {
    fn start() -> Self {
        let supervisor = Supervisor::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let spawning = supervisor.clone();
        let spawner = Spawner::new(move |task| spawning.spawn(Kind::Upkeep, task));
        let egress = Egress::new(clock.clone(), spawner, EgressSettings::default());
        let (tell, told) = mpsc::unbounded_channel();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = lines.clone();
        let poller = PriorPoller::start(
            egress,
            Roots::none(),
            &supervisor,
            clock,
            Box::new(move |target, _, answer| {
                let _ = tell.send((target.to_string(), answer.map_err(Clone::clone)));
            }),
            Box::new(move |line| log.lock().push(line.to_owned())),
        );
        Self { poller, told, lines, supervisor }
    }

    fn apply(&self, settings: &Prometheus, queries: &[&str]) {
        let query =
            |query: &&str| PriorQuery { target: TargetId::new(&format!("up/{query}")), query: (*query).to_owned() };
        self.poller.apply(Some(settings), queries.iter().map(query).collect()).unwrap();
    }

    /// Waits until `wanted` has been told of `target`.
    async fn until(
        &mut self,
        target: &str,
        wanted: impl Fn(&Result<f64, PriorFailure>) -> bool,
    ) -> Result<f64, PriorFailure> {
        let waiting = async {
            loop {
                let (who, answer) = self.told.recv().await.expect("the poller lives");
                if who == target && wanted(&answer) {
                    return answer;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it is told in time")
    }
}

#[tokio::test]
async fn numbers_are_handed_on_and_follow_their_source() {
    let server = Server::start(vec![("a", number("0.5")), ("b", number("2"))]).await;
    let mut polling = Polling::start();
    let mut settings = server.settings();
    settings.token = Some(Secret::new("secret-token".to_owned()));
    settings.headers.insert("x-scope-orgid".to_owned(), Secret::new("team".to_owned()));
    polling.apply(&settings, &["a", "b"]);
    assert_eq!(polling.until("up/a", |_| true).await, Ok(0.5));
    assert_eq!(polling.until("up/b", |_| true).await, Ok(2.0));
    server.does.lock()[0].1 = number("0.75");
    assert_eq!(polling.until("up/a", |answer| *answer != Ok(0.5)).await, Ok(0.75));
    let heads = server.heads.lock().clone();
    assert!(
        heads[0].starts_with("GET /prom/api/v1/query?query=a&limit=2&timeout=10000ms HTTP/1.1\r\n"),
        "{}",
        heads[0]
    );
    let head = heads[0].to_ascii_lowercase();
    assert!(head.contains("authorization: bearer secret-token") && head.contains("x-scope-orgid: team"), "{head}");
    assert_eq!(*polling.lines.lock(), [""; 0], "all is well");
    let stats = polling.poller.stats();
    assert!(stats.samples >= 3 && stats.failures == 0, "{stats:?}");
}

#[tokio::test]
async fn each_way_to_fail_has_its_name_and_the_others_go_on() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#;
    let two = r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}}"#;
    let server = Server::start(vec![
        ("good", number("1")),
        ("nan", number("NaN")),
        ("inf", number("+Inf")),
        ("several", Does::Says(200, two.to_owned())),
        ("none", Does::Says(200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned())),
        ("refused", Does::Says(422, refused.to_owned())),
        ("busy", Does::Says(503, "later".to_owned())),
        ("garbage", Does::Says(200, "<html>".to_owned())),
        ("endless", Does::SendsForEver),
        ("hangs", Does::Hangs),
        ("half", Does::HangsInTheMiddle),
        ("closes", Does::Closes),
    ])
    .await;
    let mut polling = Polling::start();
    for (query, failure) in [
        ("nan", PriorFailure::NotFinite),
        ("inf", PriorFailure::NotFinite),
        ("several", PriorFailure::Several),
        ("none", PriorFailure::NoSample),
        ("refused", PriorFailure::Refused("no such function".to_owned())),
        ("busy", PriorFailure::Status(503)),
        ("garbage", PriorFailure::Garbage),
        ("endless", PriorFailure::TooLarge),
        ("hangs", PriorFailure::TimedOut),
        ("half", PriorFailure::TimedOut),
    ] {
        let mut settings = server.settings();
        if failure == PriorFailure::TimedOut {
            settings.timeout = TimeSpan::from_secs(2);
        }
        polling.apply(&settings, &[query, "good"]);
        assert_eq!(polling.until(&format!("up/{query}"), |_| true).await, Err(failure), "{query}");
        assert_eq!(polling.until("up/good", |_| true).await, Ok(1.0), "beside {query}");
    }
    polling.apply(&server.settings(), &["closes", "good"]);
    let closed = polling.until("up/closes", |_| true).await;
    assert!(matches!(closed, Err(PriorFailure::Unreachable(_))), "{closed:?}");
    assert!(polling.poller.stats().failures >= 11);
}

#[tokio::test]
async fn one_that_disappears_is_told_once_and_so_is_its_return() {
    let server = Server::start(vec![("a", number("1")), ("b", number("1"))]).await;
    let mut polling = Polling::start();
    let settings = server.settings();
    polling.apply(&settings, &["a", "b"]);
    assert_eq!(polling.until("up/b", |_| true).await, Ok(1.0));
    server.disappear().await;
    for _ in 0..5 {
        assert!(polling.until("up/a", Result::is_err).await.is_err());
    }
    let lines = polling.lines.lock().clone();
    assert!(!lines.is_empty() && lines.len() <= 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("cannot be reached") || line.contains("not asked")), "{lines:?}");
    // Another one takes its place.
    let next = Server::start(vec![("a", number("3")), ("b", number("3"))]).await;
    polling.apply(&next.settings(), &["a", "b"]);
    assert_eq!(polling.until("up/b", Result::is_ok).await, Ok(3.0));
    assert_eq!(polling.until("up/b", Result::is_ok).await, Ok(3.0));
    let last = polling.lines.lock().last().cloned().unwrap();
    assert!(last.contains("answers again (about "), "{last}");
}

/// Where nobody answers, not every query has to wait for that; and each has its turn to be first.
#[tokio::test]
async fn a_server_that_hangs_is_not_asked_everything() {
    let names = ["a", "b", "c", "d", "e"];
    let server = Server::start(names.iter().map(|name| (*name, Does::Hangs)).collect()).await;
    let mut polling = Polling::start();
    let settings = Prometheus { timeout: TimeSpan::from_millis(20), ..server.settings() };
    polling.apply(&settings, &names);
    let mut seen: Vec<Told> = Vec::new();
    for _ in 0..10 {
        seen.push(polling.told.recv().await.unwrap());
    }
    let kinds: Vec<(&str, bool)> =
        seen.iter().map(|(who, answer)| (who.as_str(), *answer == Err(PriorFailure::TimedOut))).collect();
    let round = [("up/a", true), ("up/b", true), ("up/c", false), ("up/d", false), ("up/e", false)];
    let next = [("up/b", true), ("up/c", true), ("up/d", false), ("up/e", false), ("up/a", false)];
    assert_eq!(kinds, [round, next].concat());
    for name in names {
        let _ = polling.until(&format!("up/{name}"), |answer| *answer == Err(PriorFailure::TimedOut)).await;
    }
}

#[tokio::test]
async fn plans_change_and_end() {
    let server = Server::start(vec![("a", number("1")), ("b", number("1"))]).await;
    let mut polling = Polling::start();
    let settings = server.settings();
    polling.apply(&settings, &["a"]);
    assert_eq!(polling.until("up/a", |_| true).await, Ok(1.0));
    polling.apply(&settings, &["b"]);
    assert_eq!(polling.until("up/b", |_| true).await, Ok(1.0));
    polling.poller.apply(None, Vec::new()).unwrap();
    polling.poller.apply(Some(&settings), Vec::new()).unwrap();
    assert_eq!(polling.supervisor.count(Kind::Upkeep), 1);
    let Polling { poller, mut told, supervisor, .. } = polling;
    drop(poller);
    while told.recv().await.is_some() {}
    while supervisor.count(Kind::Upkeep) > 0 {
        tokio::task::yield_now().await;
    }
}
