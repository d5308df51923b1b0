//! How a connection is made, who may make one, and what the server knows of us then.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tradewind_core::Secret;
use tradewind_store::redis::{Redis, RedisSettings};
use tradewind_store::suite::{commit, following, key, record, run};
use tradewind_store::{Committed, StoreError};

use crate::servers::{PATIENCE, Pass, Proxy, faults};
use crate::{fresh, open, server, settings};

/// How often something is counted in what a server says of itself.
fn counted(port: u16, section: &str, name: &str) -> u64 {
    let about: String = server::ask(port, "INFO", &[section.as_bytes()]);
    let count = |line: &str| line.strip_prefix(name)?.split([',', '\r']).next()?.parse().ok();
    about.lines().find_map(count).unwrap_or_default()
}

/// An attempt to connect that its caller left has a time that runs on: whoever asks later has an attempt of their own.
#[test]
fn an_attempt_that_was_left_is_nobody_elses() {
    run(async {
        let server = server::start(&[]);
        let proxy = Proxy::to(server.port());
        let store = open(proxy.port()).await;
        let key = key("n", "k");
        proxy.pass(Pass::Refuse);
        let begun = Instant::now();
        while store.head(&key).await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
        }
        proxy.pass(Pass::All);
        let mut left = store.head(&key);
        assert!(left.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        // Longer than a connection may take to be made.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(store.head(&key).await, Ok(None));
        assert_eq!(left.await, Ok(None));
    });
}

/// A server that comes back knows no scripts: it is taught them before anything is written, so that no record lies there
/// whose script never ran.
#[test]
fn a_server_that_comes_back_is_taught_first() {
    run(async {
        let mut server = server::start(&[]);
        let store = open(server.port()).await;
        let key = key("n", "k");
        let first = record(b"first");
        faults::until_done(&*store, &key, &first).await;
        server.kill();
        server.start_again();
        faults::until_done(&*store, &key, &following(&first.meta, b"second")).await;
        assert_eq!(counted(server.port(), "errorstats", "errorstat_NOSCRIPT:count="), 0);
    });
}

/// Where scripts are forgotten in between, record and script go together again.
#[test]
fn a_forgotten_script_goes_with_its_record() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        server::tell(server.port(), &["SCRIPT", "FLUSH"]);
        server::tell(server.port(), &["CONFIG", "RESETSTAT"]);
        assert!(matches!(store.commit(commit(&key, &record(b"first"))).await, Ok(Committed::Done(_))));
        assert_eq!(counted(server.port(), "commandstats", "cmdstat_exec:calls="), 2);
        assert_eq!(counted(server.port(), "commandstats", "cmdstat_eval:calls="), 1);
    });
}

/// Commits are transactions with a script in them: whoever may not send one learns that at the start.
#[test]
fn a_user_without_transactions_or_scripts_is_told() {
    run(async {
        let server = server::start(&[]);
        let open = async |rule: &str| {
            server::tell(server.port(), &["ACL", "SETUSER", "some", "reset", "on", ">secret", "~tw:*", "+@all", rule]);
            let address = Secret::new(format!("redis://some:secret@127.0.0.1:{}", server.port()));
            Redis::open(&RedisSettings { address, roots: None }).await.err()
        };
        for command in ["multi", "eval", "evalsha"] {
            let refused = open(&format!("-{command}")).await;
            let quoted = format!("'{command}'");
            assert!(matches!(&refused, Some(StoreError::Unavailable(why)) if why.contains(&quoted)), "{refused:?}");
        }
        // What is only asked for more comfort.
        for rule in ["-config", "-script", "+@all"] {
            assert_eq!(open(rule).await, None, "{rule}");
        }
    });
}

/// Keys of a namespace lie together, but not all namespaces do.
#[test]
fn a_cluster_is_refused() {
    run(async {
        let server = server::start(&["--cluster-enabled", "yes"]);
        let refused = Redis::open(&settings(server.port())).await.err();
        assert!(matches!(refused, Some(StoreError::Unsupported(why)) if why.contains("cluster")), "{refused:?}");
    });
}
