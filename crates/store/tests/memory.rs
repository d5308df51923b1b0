//! The oracle passes the suite that it is the oracle of.

use std::sync::Arc;

use tradewind_store::Store;
use tradewind_store::suite::Memory;

async fn open() -> (Arc<dyn Store>, ()) {
    (Arc::new(Memory::new()), ())
}

tradewind_store::engine_suite!(open());
