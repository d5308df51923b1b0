//! A whole store that is copied into a NATS.

use tradewind_store::nats::REVISIONS_PER_KEY;
use tradewind_store::state::{CopyError, copy};
use tradewind_store::suite::{Memory, commit, following, key, record, run};
use tradewind_store::{Commit, Committed, Store};

use crate::server::{self, Sync};
use crate::{copies, fresh, opened};

#[test]
fn a_copy_goes_there_and_back() {
    run(async {
        let (store, _server) = fresh().await;
        copies::there_and_back(store).await;
    });
}

#[test]
fn a_copy_that_is_broken_off_goes_on() {
    run(async {
        let (store, _server) = fresh().await;
        copies::a_copy_that_is_broken_off_goes_on(store).await;
    });
}

#[test]
fn a_copy_that_is_killed_goes_on() {
    let start = || {
        let server = server::start(Sync::Always);
        (server.port().to_string(), server)
    };
    let test = "copy::a_copy_that_is_killed_goes_on";
    copies::a_copy_that_is_killed_goes_on(test, start, |port| opened(port.parse().unwrap()));
}

/// A key with more revisions than a NATS keeps is not cut short without a word.
#[test]
fn a_history_that_is_too_long_is_refused() {
    run(async {
        let (from, (to, _server)) = (Memory::new(), fresh().await);
        let key = key("n", "k");
        assert_eq!(to.most_revisions(), Some(REVISIONS_PER_KEY));
        let mut last = record(b"0");
        for number in 1..=REVISIONS_PER_KEY {
            let committed = from.commit(Commit { keep: u32::MAX, ..commit(&key, &last) }).await;
            assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
            last = following(&last.meta, number.to_string().as_bytes());
        }
        let committed = from.commit(Commit { keep: u32::MAX, ..commit(&key, &last) }).await;
        assert!(matches!(committed, Ok(Committed::Done(_))), "{committed:?}");
        let refused = copy(&from, &*to, |_| ()).await.unwrap_err();
        assert_eq!(refused, CopyError::TooMany { key: key.clone(), most: REVISIONS_PER_KEY });
        assert!(refused.to_string().ends_with("prune it to 1024 first"), "{refused}");
        assert_eq!(to.namespaces().await.unwrap(), []);
        // Fewer than it may have, since it reads all of them for each.
        from.prune(&key, 200).await.unwrap();
        assert_eq!(copy(&from, &*to, |_| ()).await.unwrap().revisions, 200);
        assert_eq!(to.history(&key, None, 2_000).await, from.history(&key, None, 2_000).await);
    });
}
