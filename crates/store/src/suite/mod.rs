//! The tests that every engine passes unchanged, and the oracle that they are compared with.
//!
//! An engine's tests say [`engine_suite!`](crate::engine_suite) with an expression that opens it over an empty place of its
//! own, and get one test for each case. What only one engine has, its files, its server, its faults, it tests itself;
//! [`race`] and [`Register`] are there for that too.
//!
//! All times lie around the year 2100, so that no engine whose server has a clock of its own finds anything expired.

mod agents;
mod commits;
mod damage;
mod keys;
mod memory;
mod model;
mod pieces;
mod races;
mod records;
mod states;
mod times;
mod watches;

use std::time::Duration;

pub use agents::{an_agent_goes_on_elsewhere, of_many_who_take_a_step_one_succeeds};
pub use commits::{
    a_commit_needs_its_head, a_history_is_bounded, a_parent_is_made_small, a_pin_is_of_one_life,
    a_record_comes_back_as_it_was, numbers_are_the_caller_s, pins_hold, the_largest_records_fit,
};
pub use damage::{ToHarm, a_damaged_earlier_revision_is_told, a_damaged_head_is_told, before_damage};
pub use keys::{keys_are_any_text, keys_are_listed, nothing_is_there};
pub use memory::Memory;
pub use model::it_does_what_the_oracle_does;
pub use pieces::{pieces_are_shared, pieces_stay_while_they_are_named};
pub use races::{Raced, Register, one_writer_wins, race, race_between, readers_see_no_step_back};
pub use records::{EPOCH, FakeClock, commit, following, key, record, tombstone};
pub use states::{
    a_clock_jumps, a_conversation_grows, a_state_expires, a_state_is_handed_over, a_state_is_written_and_read,
    a_state_keeps_its_history, a_state_that_is_sealed,
};
pub use times::{ends_are_moved, heads_are_due, tombstones_are_forgotten};
pub use watches::{
    a_closed_store_ends, a_quiet_watch_comes_along, a_watch_goes_on_where_it_stopped, a_watch_tells_everything_once,
    watches_keep_to_their_prefix,
};

/// How long a case may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a case on a runtime of its own.
///
/// # Panics
/// When the case fails or takes more than five minutes.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let in_time = runtime.block_on(async { tokio::time::timeout(LIMIT, case).await });
    assert!(in_time.is_ok(), "the case did not end");
}

/// One test for each case of the suite. `$open` is awaited for each and gives the engine as `Arc<dyn Store>`, and something
/// to hold until the case is over.
#[macro_export]
macro_rules! engine_suite {
    ($open:expr) => {
        $crate::engine_suite! { @each $open;
            nothing_is_there keys_are_listed keys_are_any_text
            a_record_comes_back_as_it_was a_commit_needs_its_head numbers_are_the_caller_s a_history_is_bounded pins_hold
            a_pin_is_of_one_life
            a_parent_is_made_small the_largest_records_fit
            pieces_are_shared pieces_stay_while_they_are_named
            ends_are_moved heads_are_due tombstones_are_forgotten
            watches_keep_to_their_prefix a_watch_goes_on_where_it_stopped a_quiet_watch_comes_along
            a_watch_tells_everything_once a_closed_store_ends
            one_writer_wins readers_see_no_step_back
            it_does_what_the_oracle_does
            a_state_is_written_and_read a_state_keeps_its_history a_state_expires a_clock_jumps a_state_is_handed_over
            a_state_that_is_sealed a_conversation_grows
            an_agent_goes_on_elsewhere of_many_who_take_a_step_one_succeeds
        }
    };
    (@each $open:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $crate::suite::run(async {
                let (store, _held) = $open.await;
                $crate::suite::$case(store).await;
            });
        })*
    };
}
