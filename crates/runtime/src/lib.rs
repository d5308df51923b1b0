//! The live side: the clock, the supervisor of all tasks, snapshots that are swapped whole, and what is known about
//! each target right now. The bans of the style guide (clock, spawn, environment, files) have their home here.

mod caller;
mod clock;
mod environment;
pub mod files;
mod keys;
mod live;
mod secret_file;
mod stage;
mod supervisor;
mod target;
mod workers;

pub use caller::Caller;
pub use clock::SystemClock;
pub use environment::{environment, home_dir};
pub use keys::{KeyRings, Keys};
pub use live::Live;
pub use secret_file::read_or_make_secret;
pub use stage::{Stage, Stages};
pub use supervisor::{Kind, Supervisor};
pub use target::{Entered, Target, Targets};
pub use workers::{Workers, current_worker};
