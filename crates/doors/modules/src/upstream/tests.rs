//! Upstreams that are slow, cannot be reached, or say more than is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tradewind_core::{Clock, FaultKind, Moment};
use tradewind_egress::{Egress, EgressSettings, Roots, Spawner};
use tradewind_runtime::SystemClock;

use super::{Chain, Mirrors, Netrc, Reaching, SumdbSource};
use crate::failure::FailureKind;
use crate::name::Asked;
use crate::section::{SumdbSettings, Upstreams};

/// Longer than anything here may take; the time is made up.
const LONG: Duration = Duration::from_secs(24 * 3600);
const KEY: &str = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6";

/// With what upstreams are reached, without a door.
struct World {
    clock: Arc<dyn Clock>,
    egress: Arc<Egress>,
    mirrors: Arc<Mirrors>,
    roots: Roots,
    netrc: Netrc,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let egress = Egress::new(clock.clone(), spawner, EgressSettings::default());
        let mirrors = Arc::new(Mirrors::new("nowhere".into(), clock.clone()));
        Self { clock, egress, mirrors, roots: Roots::none(), netrc: Netrc::default() }
    }

    fn reaching(&self) -> Reaching<'_> {
        Reaching {
            egress: &self.egress,
            clock: &self.clock,
            roots: &self.roots,
            tls_roots: None,
            via: None,
            auth: None,
            netrc: &self.netrc,
            mirrors: &self.mirrors,
        }
    }

    fn chain(&self, upstreams: &str) -> Chain {
        Chain::new(&Upstreams::parse(upstreams).unwrap(), &self.reaching()).unwrap()
    }

    fn sumdb(&self, upstreams: &str) -> SumdbSource {
        let settings = SumdbSettings { verifier: KEY.to_owned(), url: None };
        SumdbSource::new(&settings, Arc::new(self.chain(upstreams)), &self.reaching()).unwrap()
    }

    fn since(&self, began: Moment) -> u64 {
        self.clock.now().since(began).as_secs()
    }
}

fn list() -> Asked {
    Asked::parse("example.com/a/@v/list").unwrap()
}

/// A server that does `answer` with each request, one a connection; its URL, and how many there were.
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn server<W>(answer: impl Fn(usize, String, TcpStream) -> W + Send + 'static) -> (String, Arc<AtomicUsize>)
where
    W: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counting = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let number = counting.fetch_add(1, Ordering::Relaxed);
            // The caller may hang up.
            tokio::spawn({
                let answering = answer(number, path, stream);
                async move { drop(answering.await) }
            });
        }
    });
    (url, count)
}

async fn say(mut stream: TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the answers of a server")]
fn hang_up(stream: TcpStream) -> std::io::Result<()> {
    drop(stream);
    Ok(())
}

/// A server whose body is `piece` again and again, each after a while.
async fn dripping(piece: usize, every: Duration) -> String {
    let drip = move |_, _, mut stream: TcpStream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        loop {
            sleep(every).await;
            stream.write_all(format!("{piece:x}\r\n{}\r\n", "x".repeat(piece)).as_bytes()).await?;
        }
    };
    server(drip).await.0
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_drop_by_drop_is_given_up() {
    let world = World::new();
    let chain = world.chain(&dripping(1, Duration::from_secs(20)).await);
    let began = world.clock.now();
    let mut opened = chain.walk().open(&list()).await.unwrap();
    let read = async {
        loop {
            if let Err(failure) = opened.piece().await {
                return failure;
            }
        }
    };
    let failure = timeout(LONG, read).await.expect("it is read for ever");
    assert_eq!(failure.kind, FailureKind::Upstream(FaultKind::IdleTimeout));
    assert!(failure.reason.contains("less than 8 KiB came in a second"), "{}", failure.reason);
    assert_eq!(world.since(began), 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_fast_enough_may_take_long() {
    let world = World::new();
    let chain = world.chain(&dripping(160 << 10, Duration::from_secs(10)).await);
    let began = world.clock.now();
    let mut opened = chain.walk().open(&list()).await.unwrap();
    let read = async {
        while world.since(began) < 1000 {
            opened.piece().await.unwrap();
        }
    };
    timeout(LONG, read).await.expect("it is read for ever");
}

#[tokio::test(start_paused = true)]
async fn a_small_answer_is_here_in_time_or_never() {
    let world = World::new();
    let chain = world.chain(&dripping(160 << 10, Duration::from_secs(10)).await);
    let began = world.clock.now();
    let failure = timeout(LONG, chain.get(&list(), 8 << 20)).await.expect("it is read for ever").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Upstream(FaultKind::IdleTimeout));
    assert!(failure.reason.contains("not here whole after"), "{}", failure.reason);
    assert_eq!(world.since(began), 120);
}

#[tokio::test]
async fn what_an_upstream_says_at_length_is_told_from_its_beginning() {
    let world = World::new();
    let (url, _) = server(|_, _, stream| async move {
        let body = format!("not found: example.com/a: unknown revision\n{}", "remote: a line of git\n".repeat(2000));
        say(stream, 404, "content-type: text/plain\r\n", &body).await
    })
    .await;
    let failure = world.chain(&url).get(&list(), 1000).await.unwrap_err();
    assert!(failure.is_missing() && failure.reason.starts_with("not found: example.com/a: unknown"), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_that_cannot_be_reached_who_has_another() {
    let world = World::new();
    let (gone, asked) = server(|_, _, stream| async move { hang_up(stream) }).await;
    let (second, _) = server(|_, path, stream| async move {
        let status = if path.contains("missing") { 404 } else { 200 };
        say(stream, status, "", "v1.0.0\n").await
    })
    .await;
    let chain = world.chain(&format!("{gone}|{second}"));
    assert!(!chain.is_down());
    chain.get(&list(), 1000).await.unwrap();
    let before = asked.load(Ordering::Relaxed);
    assert!(before > 0);
    chain.get(&list(), 1000).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before, "it was asked a moment ago");
    // What nobody else has is asked for there all the same, and that it failed is what is told.
    let missing = Asked::parse("example.com/missing/@v/list").unwrap();
    let failure = chain.get(&missing, 1000).await.unwrap_err();
    assert!(asked.load(Ordering::Relaxed) > before && failure.is_upstreams(), "{failure:?}");
    sleep(Duration::from_secs(11)).await;
    let before = asked.load(Ordering::Relaxed);
    chain.get(&list(), 1000).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > before, "it may be there again");

    let alone = world.chain(&gone);
    alone.get(&list(), 1000).await.unwrap_err();
    assert!(alone.is_down() && !chain.is_down());
    let before = asked.load(Ordering::Relaxed);
    alone.get(&list(), 1000).await.unwrap_err();
    assert!(asked.load(Ordering::Relaxed) > before, "there is nobody else");
}

#[tokio::test(start_paused = true)]
async fn who_reaches_the_database_is_not_decided_by_one_mishap() {
    let world = World::new();
    // The first request breaks off.
    let (first, _) = server(|number, path, stream| async move {
        match (number, path.ends_with("/supported")) {
            (0, _) => hang_up(stream),
            (_, true) => say(stream, 200, "", "").await,
            (_, false) => say(stream, 200, "", "from the first").await,
        }
    })
    .await;
    let (second, _) = server(|_, _, stream| say(stream, 404, "", "")).await;
    let sumdb = world.sumdb(&format!("{first}|{second}"));
    sumdb.ask("latest").await.expect_err("the database itself cannot be reached");
    assert_eq!(sumdb.ask("latest").await.unwrap(), "from the first");
}

#[tokio::test(start_paused = true)]
async fn another_one_is_asked_for_the_database_when_the_first_fails() {
    let world = World::new();
    let (first, _) = server(|number, _, stream| async move {
        if number < 2 { say(stream, 200, "", "from the first").await } else { hang_up(stream) }
    })
    .await;
    let (second, _) = server(|_, _, stream| say(stream, 200, "", "from the second")).await;
    let sumdb = world.sumdb(&format!("{first}|{second}"));
    assert_eq!(sumdb.ask("latest").await.unwrap(), "from the first");
    assert_eq!(sumdb.ask("latest").await.unwrap(), "from the second");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
async fn a_folder_has_what_a_database_says_of_names_in_capitals() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sumdb/localhost.localdev/sumdb");
    std::fs::create_dir_all(place.join("lookup/example.com")).unwrap();
    std::fs::write(place.join("supported"), "").unwrap();
    std::fs::write(place.join("lookup/example.com/!a@v1.0.0"), "a record").unwrap();
    let sumdb = World::new().sumdb(&format!("file://{}", folder.path().display()));
    for path in ["lookup/example.com/%21a@v1.0.0", "lookup/example.com/!a@v1.0.0"] {
        assert_eq!(sumdb.ask(path).await.unwrap(), "a record", "{path}");
    }
}
