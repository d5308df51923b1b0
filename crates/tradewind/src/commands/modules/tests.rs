//! What is printed.

use super::progress::{Unit, bar};
use super::{minute, size};
use tradewind_core::UnixMillis;

#[test]
fn sizes_and_times_are_short() {
    for (bytes, text) in
        [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (31_700_000, "31.7 MB"), (2_500_000_000, "2.5 GB")]
    {
        assert_eq!(size(bytes), text);
    }
    assert_eq!(minute(UnixMillis(1_795_294_621_123)), "2026-11-21 20:57");
}

#[test]
fn a_bar_fills_as_work_is_done() {
    assert_eq!(bar("warming", Unit::Versions, 0, 4), format!("warming [{}] 0 of 4", " ".repeat(30)));
    assert_eq!(
        bar("verifying", Unit::Bytes, 15_000_000, 30_000_000),
        format!("verifying [{}{}] 15.0 MB of 30.0 MB", "#".repeat(15), " ".repeat(15))
    );
    assert_eq!(bar("importing", Unit::Bytes, 0, 0), format!("importing [{}] 0 B of 0 B", "#".repeat(30)));
    assert!(bar("importing", Unit::Bytes, 9, 3).contains(&"#".repeat(30)), "more than was expected");
}
