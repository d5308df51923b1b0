//! The context that is kept, and the light path.

use std::time::Duration;

use tradewind_core::{Moment, UnixMillis};
use tradewind_decide::network::Snapshot;

use crate::context;

const BODY: &str = r#"{"version":1,"interfaces":[{"name":"a","subnets":["10.0.0.0/8"]},{"name":"b"}],"ttl":60}"#;

fn at(seconds: u64) -> (Moment, UnixMillis) {
    (Moment::from_micros(seconds * 1_000_000), UnixMillis(1_800_000_000_000 + seconds * 1000 + 999))
}

fn kept(body: &str) -> Snapshot {
    let (now, wall) = at(100);
    Snapshot::new(context(body), now, wall, 1)
}

#[test]
fn the_light_path_has_five_conditions() {
    let same = context(r#"{"version":1,"interfaces":[{"name":"b"},{"name":"a","subnets":["10.9.9.9/8"]}],"ttl":5}"#);
    let sticky = context(&BODY.replace(r#","ttl":60"#, ""));
    let other = context(&BODY.replace("10.0.0.0/8", "10.0.0.0/9"));
    let snapshot = kept(BODY);
    assert!(snapshot.is_light(&same, true, true));
    assert!(!snapshot.is_light(&other, true, true), "another fingerprint");
    assert!(!snapshot.is_light(&sticky, true, true), "this body has no time to live");
    assert!(!kept(&BODY.replace(r#","ttl":60"#, "")).is_light(&same, true, true), "the kept one has no time to live");
    assert!(!snapshot.is_light(&same, false, true), "a group waits for its member");
    assert!(!snapshot.is_light(&same, true, false), "the members of a group have changed");
}

#[test]
fn renewing_moves_age_and_end_and_nothing_else() {
    let mut snapshot = kept(BODY);
    let before = snapshot.context.clone();
    assert_eq!((snapshot.expires_at(), snapshot.age_seconds(at(130).0)), (Some(1_800_000_160), 30));
    let (now, wall) = at(130);
    let next = context(r#"{"version":1,"interfaces":[{"name":"b"},{"name":"a","subnets":["10.0.0.0/8"]}],"ttl":5}"#);
    snapshot.renew(&next, now, wall, 2);
    assert_eq!((snapshot.expires_at(), snapshot.age_seconds(at(131).0)), (Some(1_800_000_135), 1));
    assert_eq!(snapshot.context, before);
}

#[test]
fn only_the_timer_of_this_generation_ends_it() {
    let mut snapshot = kept(BODY);
    assert!(!snapshot.is_over(1, at(159).0) && snapshot.is_over(1, at(160).0) && !snapshot.is_over(2, at(160).0));
    let (now, wall) = at(150);
    snapshot.renew(&context(BODY), now, wall, 2);
    assert!(!snapshot.is_over(1, at(500).0), "the old timer finds a renewed context");
    assert!(!snapshot.is_over(2, at(160).0) && snapshot.is_over(2, at(210).0));
    snapshot.rearm(3);
    assert!(!snapshot.is_over(2, at(210).0) && snapshot.is_over(3, at(210).0), "a reload gives it a new timer");
    assert_eq!(snapshot.remaining(at(200).0), Some(Duration::from_secs(10)));
    assert_eq!(snapshot.remaining(at(300).0), Some(Duration::ZERO));
}

#[test]
fn without_a_time_to_live_it_stays() {
    let snapshot = kept(r#"{"version":1,"interfaces":[]}"#);
    assert_eq!((snapshot.expires_at(), snapshot.remaining(at(100).0)), (None, None));
    assert!(!snapshot.is_over(1, at(4_000_000_000).0));
    assert_eq!(snapshot.age_seconds(at(0).0), 0, "the clock of another process");
}
