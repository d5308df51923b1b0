//! Says on stderr that calls were refused with 401. They come to no door, so neither the journal nor the log has them.
//!
//! One line a second at most, however many calls there are: whoever has no key must not be able to fill a disk. What is
//! in it comes from the gateway and its keys, never from the refused call.

use std::sync::Arc;
use std::time::Duration;

use tradewind_door::{Front, Unauthorized, Why};

use crate::say;

/// How often something is said.
const EVERY: Duration = Duration::from_secs(1);
/// Keys that are named in one line.
const NAMED: usize = 5;

/// Says for ever what `front` has refused.
pub(super) async fn keep_telling(front: Arc<Front>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Some(line) = line(&front.take_unauthorized()) {
            // Whoever reads stderr may be slow.
            let _ = tokio::task::spawn_blocking(move || say::note(line)).await;
        }
    }
}

/// What is said of these; nothing when there were none.
fn line(refused: &Unauthorized) -> Option<String> {
    let mut parts = Vec::new();
    let (mut named, mut other_keys, mut other_calls) = (0, 0, 0);
    for (why, count) in refused {
        let whose = match why {
            Why::Missing => "without a key".to_owned(),
            Why::Unknown => "with an unknown key".to_owned(),
            Why::Revoked(_) | Why::Expired(_) if named == NAMED => {
                other_keys += 1;
                other_calls += count;
                continue;
            }
            Why::Revoked(name) => format!("with the revoked key `{name}`"),
            Why::Expired(name) => format!("with the expired key `{name}`"),
        };
        named += usize::from(!matches!(why, Why::Missing | Why::Unknown));
        parts.push(format!("{count} {whose}"));
    }
    if other_keys > 0 {
        parts.push(format!("{other_calls} with {other_keys} other revoked or expired keys"));
    }
    let all: u64 = refused.values().sum();
    let calls = if all == 1 { "call" } else { "calls" };
    (all > 0).then(|| format!("refused {all} {calls} with 401: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_how_many_and_whose() {
        assert_eq!(line(&Unauthorized::new()), None);
        let said = |refused: &[(Why, u64)]| line(&refused.iter().cloned().collect()).unwrap();
        assert_eq!(said(&[(Why::Missing, 1)]), "refused 1 call with 401: 1 without a key");
        let some =
            [(Why::Missing, 3), (Why::Unknown, 40_000), (Why::Revoked("ci".into()), 2), (Why::Expired("a".into()), 1)];
        assert_eq!(
            said(&some),
            "refused 40006 calls with 401: 3 without a key, 40000 with an unknown key, 2 with the revoked key `ci`, 1 with \
             the expired key `a`"
        );
        let many: Vec<_> = (0..10_000).map(|number| (Why::Revoked(format!("k{number:04}").into()), 2)).collect();
        let line = said(&many);
        assert!(line.ends_with("`k0004`, 19990 with 9995 other revoked or expired keys") && line.len() < 300, "{line}");
    }
}
