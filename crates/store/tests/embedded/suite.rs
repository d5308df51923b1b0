//! The suite that every engine passes unchanged, for both engines and both ways to acknowledge.

use std::sync::Arc;

use tradewind_store::{Durability, Store};

use crate::support::Engine;

fn open(engine: Engine, durability: Durability) -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (engine.open(&folder.path().join("state"), durability), folder)
}

mod sqlite_on_disk {
    use super::*;
    tradewind_store::engine_suite!(async { open(Engine::Sqlite, Durability::Fsync) });
}

mod sqlite_in_buffers {
    use super::*;
    tradewind_store::engine_suite!(async { open(Engine::Sqlite, Durability::Os) });
}

mod wal_on_disk {
    use super::*;
    tradewind_store::engine_suite!(async { open(Engine::Wal, Durability::Fsync) });
}

mod wal_in_buffers {
    use super::*;
    tradewind_store::engine_suite!(async { open(Engine::Wal, Durability::Os) });
}
