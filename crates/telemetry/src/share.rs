//! Who used what in a call: the one place where usage and cost are put down to targets, so that metrics and the spend book
//! agree to the last token.

use smallvec::SmallVec;
use tradewind_core::{Usage, Usd};

use crate::record::Record;

/// What one attempt used, or, without an attempt, the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// The attempt, by its place in the record.
    pub(crate) attempt: Option<usize>,
    pub(crate) usage: Usage,
    /// `None` when the target has no price.
    pub(crate) cost: Option<Usd>,
}

/// What the attempts of `record` used: those that know it themselves, and what is left of the call's total at whoever
/// answered, else at the last one tried. Together they are the total.
pub(crate) fn shares(record: &Record) -> SmallVec<[Share; 2]> {
    let mut shares: SmallVec<[Share; 2]> = SmallVec::new();
    for (number, attempt) in record.attempts.iter().enumerate() {
        if let Some(usage) = attempt.usage {
            shares.push(Share { attempt: Some(number), usage, cost: attempt.cost });
        }
    }
    let Some(total) = record.usage else { return shares };
    let Some(rest) = rest_of(record, total, &shares) else { return shares };
    let attempts = &record.attempts;
    let answered = record.chosen.as_ref().and_then(|chosen| attempts.iter().rposition(|one| one.target == *chosen));
    let at = answered.or_else(|| attempts.len().checked_sub(1));
    match shares.iter_mut().find(|share| share.attempt == at) {
        Some(share) => {
            share.usage = share.usage.plus(rest.0);
            share.cost = share.cost.zip(rest.1).map(|(cost, more)| cost + more);
        }
        None => shares.push(Share { attempt: at, usage: rest.0, cost: rest.1 }),
    }
    shares
}

/// What the attempts do not account for; `None` when that is nothing.
fn rest_of(record: &Record, total: Usage, shares: &[Share]) -> Option<(Usage, Option<Usd>)> {
    if shares.is_empty() {
        return Some((total, record.cost));
    }
    let mut rest = total;
    let mut cost = record.cost.map(Usd::pico);
    for share in shares {
        rest.input = rest.input.saturating_sub(share.usage.input);
        rest.output = rest.output.saturating_sub(share.usage.output);
        rest.cached = rest.cached.saturating_sub(share.usage.cached);
        rest.reasoning = rest.reasoning.saturating_sub(share.usage.reasoning);
        cost = cost.map(|cost| cost.saturating_sub(share.cost.map_or(0, Usd::pico)));
    }
    let nothing = rest.input == 0 && rest.output == 0 && cost.unwrap_or(0) == 0;
    (!nothing).then_some((rest, cost.map(Usd::from_pico)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tradewind_core::TargetId;

    use super::*;
    use crate::record::Attempt;
    use crate::support::record;

    const fn used(input: u64, output: u64) -> Usage {
        Usage { input, output, cached: 0, cache_written: 0, reasoning: 0, estimated: false }
    }

    #[test]
    fn a_call_that_only_knows_its_total_puts_it_down_to_who_answered() {
        let mut made = record(0);
        made.attempts.push(Attempt::new(TargetId::new("b/c"), true, Duration::ZERO));
        let expected = Share { attempt: Some(0), usage: made.usage.unwrap(), cost: made.cost };
        assert_eq!(shares(&made).as_slice(), [expected]);
        made.chosen = None;
        assert_eq!(shares(&made)[0].attempt, Some(1));
        made.attempts.clear();
        assert_eq!(shares(&made)[0].attempt, None);
        made.usage = None;
        assert!(shares(&made).is_empty());
    }

    #[test]
    fn attempts_that_know_their_own_share_keep_it_and_the_sum_is_the_total() {
        let mut made = record(0);
        made.attempts.push(Attempt::new(TargetId::new("b/c"), true, Duration::ZERO));
        made.attempts[1].usage = Some(used(10, 0));
        made.attempts[1].cost = Some(Usd::from_pico(7));
        made.usage = Some(used(22, 9));
        made.cost = Some(Usd::from_pico(107));
        let both = shares(&made);
        assert_eq!(both[0], Share { attempt: Some(1), usage: used(10, 0), cost: Some(Usd::from_pico(7)) });
        assert_eq!(both[1], Share { attempt: Some(0), usage: used(12, 9), cost: Some(Usd::from_pico(100)) });
        made.cost = None;
        assert_eq!(shares(&made)[1].cost, None, "an attempt without a price leaves the others theirs");
        assert_eq!(shares(&made)[0].cost, Some(Usd::from_pico(7)));
    }

    #[test]
    fn attempts_that_account_for_everything_leave_nothing() {
        let mut made = record(0);
        made.attempts[0].usage = made.usage;
        made.attempts[0].cost = made.cost;
        assert_eq!(shares(&made).len(), 1);
        assert_eq!(shares(&made)[0].usage, made.usage.unwrap());
    }
}
