//! A whole store that is copied into an engine inside this process.

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tradewind_store::suite::run;
use tradewind_store::{Durability, Store};

use crate::copies;
use crate::support::{BOTH, Engine};

#[test]
fn a_copy_goes_there_and_back() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        run(copies::there_and_back(engine.open(folder.path(), Durability::Os)));
    }
}

#[test]
fn a_copy_that_is_broken_off_goes_on() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        run(copies::a_copy_that_is_broken_off_goes_on(engine.open(folder.path(), Durability::Fsync)));
    }
}

fn killed(test: &str, open: copies::OpenTarget) {
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        (folder.path().to_str().unwrap().to_owned(), folder)
    };
    copies::a_copy_that_is_killed_goes_on(test, start, open);
}

fn opened(engine: Engine, folder: &str) -> BoxFuture<'static, Arc<dyn Store>> {
    ready(engine.open(Path::new(folder), Durability::Fsync)).boxed()
}

#[test]
fn a_copy_into_sqlite_that_is_killed_goes_on() {
    let test = "copy::a_copy_into_sqlite_that_is_killed_goes_on";
    killed(test, |folder| opened(Engine::Sqlite, &folder));
}

#[test]
fn a_copy_into_wal_that_is_killed_goes_on() {
    killed("copy::a_copy_into_wal_that_is_killed_goes_on", |folder| opened(Engine::Wal, &folder));
}
