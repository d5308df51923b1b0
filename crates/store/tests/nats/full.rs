//! A NATS on a disk that is full, a real one.

use tradewind_store::StoreError;
use tradewind_store::suite::run;

use crate::disk::{Ballast, on_a_small_disk};
use crate::servers::full::fill;
use crate::{open, server};

/// It answers no write any more, by its own design, until it is started again; reads go on, and nothing that it has
/// acknowledged is lost. With a bound of its own below the size of the disk it refuses, which is tested beside this.
#[test]
fn a_stream_on_a_full_disk() {
    on_a_small_disk(24, "full::a_stream_on_a_full_disk", |folder| {
        run(async {
            let ballast = Ballast::new(folder, 12);
            let mut server = server::start_with(", max_file_store: 1GB, sync_interval: always", |_| String::new());
            let store = open(server.port()).await;
            let mut filled = fill(&*store).await;
            for refused in [&filled.refused, &filled.again(&*store).await] {
                assert!(matches!(refused, StoreError::Unknown(_)), "{refused:?}");
            }
            filled.is_not_there(&*store).await;
            filled.all_is_there(&*store).await;
            drop(ballast);
            server.kill();
            server.start_again();
            filled.goes_on(&*store).await;
        });
    });
}
