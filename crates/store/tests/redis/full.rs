//! A Redis on a disk that is full, a real one.

use tradewind_store::StoreError;
use tradewind_store::suite::run;

use crate::disk::{Ballast, on_a_small_disk};
use crate::servers::full::fill;
use crate::{open, server};

/// It refuses writes as soon as it has noticed, and goes on by itself.
#[test]
fn a_log_that_is_synced_each_second() {
    on_a_small_disk(24, "full::a_log_that_is_synced_each_second", |folder| {
        run(async {
            let ballast = Ballast::new(folder, 12);
            let mut server = server::start(&["--appendfsync", "everysec"]);
            let store = open(server.port()).await;
            let mut filled = fill(&*store).await;
            for refused in [&filled.refused, &filled.again(&*store).await] {
                assert!(matches!(refused, StoreError::Full(why) if why.contains("No space left")), "{refused:?}");
            }
            filled.is_not_there(&*store).await;
            filled.all_is_there(&*store).await;
            drop(ballast);
            filled.goes_on(&*store).await;
            server.stop();
            server.start_again();
            filled.all_is_there(&*open(server.port()).await).await;
        });
    });
}

/// It ends, by its own design: nothing that it has acknowledged is lost, and the same store goes on when it is back.
#[test]
fn a_log_that_is_synced_at_once() {
    on_a_small_disk(24, "full::a_log_that_is_synced_at_once", |folder| {
        run(async {
            let ballast = Ballast::new(folder, 12);
            let mut server = server::start(&[]);
            let store = open(server.port()).await;
            let mut filled = fill(&*store).await;
            assert!(matches!(filled.refused, StoreError::Unknown(_)), "{:?}", filled.refused);
            let refused = filled.again(&*store).await;
            assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
            server.kill();
            drop(ballast);
            server.start_again();
            filled.goes_on(&*store).await;
        });
    });
}
