//! What a commit costs the server: counted there.

use std::collections::BTreeMap;

use tradewind_store::Committed;
use tradewind_store::suite::{commit, following, key, record, run};

use crate::{fresh, server};

/// How often each command ran, those of scripts too.
fn commands(port: u16) -> BTreeMap<String, u64> {
    let about: String = server::ask(port, "INFO", &[b"commandstats"]);
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().unwrap()))
    };
    about.lines().filter_map(count).collect()
}

/// One commit that meets no other is one transaction and so one round trip: the record, and a script. In the script: a look
/// at the record and the head, then the change and the head. Of five, one begins another run of revisions.
#[test]
fn a_commit_is_one_call() {
    run(async {
        let (store, server) = fresh().await;
        let key = key("n", "k");
        let mut last = record(b"0");
        assert!(matches!(store.commit(commit(&key, &last)).await, Ok(Committed::Done(_))));
        server::tell(server.port(), &["CONFIG", "RESETSTAT"]);
        let before = commands(server.port());
        for number in 0..5_u8 {
            last = following(&last.meta, &[number]);
            assert!(matches!(store.commit(commit(&key, &last)).await, Ok(Committed::Done(_))));
        }
        let mut ran = commands(server.port());
        ran.retain(|name, count| {
            *count -= before.get(name).copied().unwrap_or_default();
            // This test's own questions.
            *count > 0 && !matches!(name.as_str(), "info" | "hello" | "select" | "client|setinfo" | "config|resetstat")
        });
        let each = ["multi", "exec", "evalsha", "hexists", "hmget", "xadd"].map(|name| (name, 5));
        let wanted = each.into_iter().chain([("hset", 11)]);
        assert_eq!(ran, wanted.map(|(name, count)| (name.to_owned(), count)).collect());
    });
}
