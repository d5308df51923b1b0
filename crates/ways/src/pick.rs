//! How the groups that pick by themselves pick: by what tests have shown, among members in the order of the file.
//!
//! Pure. A member that is not built is never picked; when no member lives, the first that is built is, so that a fault
//! of its own is seen and not one of ours. `None` means that there is no member that could be picked.

use std::net::IpAddr;

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether its type is built.
    pub(crate) built: bool,
    /// Whether its last test was answered.
    pub(crate) alive: bool,
    /// Milliseconds; `u16::MAX` when unknown.
    pub(crate) delay: u16,
}

impl Seen {
    const fn can(self) -> bool {
        self.built && self.alive
    }
}

/// The first that lives.
pub(crate) fn first_alive(members: &[Seen]) -> Option<usize> {
    members.iter().position(|member| member.can()).or_else(|| first_built(members))
}

/// The first that is built.
pub(crate) fn first_built(members: &[Seen]) -> Option<usize> {
    members.iter().position(|member| member.built)
}

/// The fastest; `present` stays as long as none is faster by more than `tolerance` milliseconds.
pub(crate) fn fastest(members: &[Seen], present: Option<usize>, tolerance: u16) -> Option<usize> {
    let alive = (0..members.len()).filter(|index| members[*index].can());
    let fastest = alive.min_by_key(|index| members[*index].delay).or_else(|| first_built(members))?;
    let stays = present
        .filter(|index| members.get(*index).is_some_and(|member| member.can()))
        .filter(|index| u32::from(members[*index].delay) <= u32::from(members[fastest].delay) + u32::from(tolerance));
    Some(stays.unwrap_or(fastest))
}

/// The next that lives, after `turn` others.
pub(crate) fn in_turn(members: &[Seen], turn: usize) -> Option<usize> {
    let alive = members.iter().filter(|member| member.can()).count();
    if alive == 0 {
        return first_built(members);
    }
    (0..members.len()).filter(|index| members[*index].can()).nth(turn % alive)
}

/// How many places are tried before the first that lives is taken.
const REHASHES: u64 = 5;

/// The one that `key` falls on; few keys move when members come and go (Lamping and Veach, "A fast, minimal memory,
/// consistent hash algorithm", 2014).
pub(crate) fn by_key(members: &[Seen], key: u64) -> Option<usize> {
    let count = u32::try_from(members.len()).ok().filter(|count| *count > 0)?;
    let tried = (0..REHASHES).map(|round| jump(key.wrapping_add(round), count) as usize);
    tried.into_iter().find(|index| members[*index].can()).or_else(|| first_alive(members))
}

/// Jump consistent hashing: a bucket below `buckets`.
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0_u64, 0_u64);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let step = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * step) as u64;
    }
    u32::try_from(bucket).unwrap_or(0)
}

/// What calls to one site have in common: the registrable part of a name, by a rule of thumb and not by the public suffix
/// list (three labels under a second level such as `co.uk`, two otherwise), or the address.
pub(crate) fn site(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else { return host };
    let top = &host[last + 1..];
    let below = &host[second + 1..last];
    let is_second_level =
        top.len() == 2 && matches!(below, "co" | "com" | "org" | "net" | "gov" | "edu" | "ac" | "or" | "ne" | "go");
    match (is_second_level, dots.next()) {
        (false, _) => &host[second + 1..],
        (true, Some(third)) => &host[third + 1..],
        (true, None) => host,
    }
}

/// FNV-1a: stable over restarts and machines, so that a site stays where it was.
pub(crate) fn key_of(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seen(delay: u16) -> Seen {
        Seen { built: true, alive: delay > 0, delay: if delay == 0 { u16::MAX } else { delay } }
    }

    const NOT_BUILT: Seen = Seen { built: false, alive: true, delay: 1 };

    #[test]
    fn the_first_that_lives() {
        assert_eq!(first_alive(&[NOT_BUILT, seen(0), seen(9), seen(1)]), Some(2));
        assert_eq!(first_alive(&[NOT_BUILT, seen(0), seen(0)]), Some(1), "none lives");
        assert_eq!(first_alive(&[NOT_BUILT]), None);
        assert_eq!(first_alive(&[]), None);
    }

    #[test]
    fn the_fastest_and_the_present_one_within_tolerance() {
        let members = [seen(120), seen(100), NOT_BUILT, seen(0)];
        for (present, tolerance, picked) in [
            (None, 0, 1),
            (Some(0), 0, 1),
            (Some(0), 19, 1),
            (Some(0), 20, 0),
            (Some(2), 500, 1),
            (Some(3), 500, 1),
            (Some(9), 0, 1),
        ] {
            assert_eq!(fastest(&members, present, tolerance), Some(picked), "{present:?} {tolerance}");
        }
        assert_eq!(fastest(&[seen(0), seen(0)], Some(1), 50), Some(0), "none lives");
    }

    #[test]
    fn turns_go_over_those_that_live() {
        let members = [seen(1), NOT_BUILT, seen(0), seen(1), seen(1)];
        let turns: Vec<_> = (0..4).map(|turn| in_turn(&members, turn)).collect();
        assert_eq!(turns, [Some(0), Some(3), Some(4), Some(0)]);
    }

    #[test]
    fn keys_spread_evenly_and_few_move_when_a_member_comes() {
        let (nine, ten) = ([seen(1); 9], [seen(1); 10]);
        let mut counts = [0; 10];
        let mut moved = 0;
        for key in 0..10_000_u64 {
            let key = key_of(&[&key.to_be_bytes()]);
            let (before, after) = (by_key(&nine, key).unwrap(), by_key(&ten, key).unwrap());
            counts[after] += 1;
            moved += usize::from(before != after);
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert!((850..1150).contains(&moved), "a tenth moves: {moved}");
    }

    #[test]
    fn a_dead_member_gives_its_keys_to_others() {
        let mut members = [seen(1); 4];
        members[2] = seen(0);
        assert!((0..1000_u64).all(|key| matches!(by_key(&members, key_of(&[&key.to_be_bytes()])), Some(0 | 1 | 3))));
    }

    #[test]
    fn sites_are_registrable_names() {
        for (host, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("localhost", "localhost"),
            ("www.shop.co.uk", "shop.co.uk"),
            ("co.uk", "co.uk"),
            ("shop.co.uk", "shop.co.uk"),
            ("10.1.2.3", "10.1.2.3"),
            ("2001:db8::1", "2001:db8::1"),
            ("", ""),
            ("..", "."),
        ] {
            assert_eq!(site(host), expected, "{host}");
        }
    }
}
