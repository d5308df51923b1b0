//! What the engines inside this process share: a folder that belongs to one process, one thread that writes in groups, and
//! the feed of changes.

mod feed;
mod folder;
mod task;
mod writer;

pub(crate) use feed::{Feed, Older, Past};
pub(crate) use folder::{claim, sync_folder};
pub(crate) use task::{Outcome, Task, brings_all_pieces};
pub(crate) use writer::{Backend, Waiting, Writing};
