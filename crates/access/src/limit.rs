//! Which limit of a key or of a model is reached, and when there is room again.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Code, Usd, format_duration};
use tradewind_policy::Period;

/// A limit of a key or of a model that a call would go over. The message is for whoever called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    /// Requests a minute.
    #[error("the key's {limit} requests a minute are used up; there is room again in {}", rounded(*retry_after))]
    Requests {
        /// The limit.
        limit: u64,
        /// When the next request fits.
        retry_after: Duration,
    },
    /// Tokens a minute.
    #[error("{}", tokens_message(*limit, *wanted, *retry_after))]
    Tokens {
        /// The limit.
        limit: u64,
        /// What the call may need.
        wanted: u64,
        /// When the call fits; `None` when it is larger than the limit.
        retry_after: Option<Duration>,
    },
    /// A budget.
    #[error("{}", budget_message(self))]
    Budget {
        /// The entry of `models` whose budget it is; `None` for that of the key.
        model: Option<Arc<str>>,
        /// The budget.
        budget: Usd,
        /// What was spent in this period.
        spent: Usd,
        /// What calls under way may still cost.
        reserved: Usd,
        /// What the call may cost.
        wanted: Usd,
        /// The period.
        per: Period,
        /// When the next period begins; `None` for a budget that never begins anew.
        resets_in: Option<Duration>,
    },
}

/// What is waited for when only calls under way are in the way of another one.
const SOON: Duration = Duration::from_secs(1);

impl OverLimit {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Requests { .. } => Code::RequestRate,
            Self::Tokens { .. } => Code::TokenRate,
            Self::Budget { model: None, .. } => Code::BudgetSpent,
            Self::Budget { model: Some(_), .. } => Code::ModelBudgetSpent,
        }
    }

    /// When it is worth trying again; `None` for never.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Requests { retry_after, .. } => Some(*retry_after),
            Self::Tokens { retry_after, .. } => *retry_after,
            Self::Budget { budget, wanted, .. } if wanted > budget => None,
            Self::Budget { budget, spent, wanted, .. } if *spent + *wanted <= *budget => Some(SOON),
            Self::Budget { resets_in, .. } => *resets_in,
        }
    }
}

/// Whole seconds, rounded up, as `Retry-After` says it.
fn rounded(wait: Duration) -> String {
    format_duration(Duration::from_millis(wait.as_millis().div_ceil(1000) as u64 * 1000))
}

fn tokens_message(limit: u64, wanted: u64, retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => {
            format!("the key's {limit} tokens a minute are used up; there is room again in {}", rounded(wait))
        }
        None => format!("this call may need {wanted} tokens, and the key has {limit} a minute: ask for fewer"),
    }
}

fn budget_message(over: &OverLimit) -> String {
    let OverLimit::Budget { model, budget, spent, reserved, wanted, per, resets_in } = over else {
        return String::new();
    };
    let dollars = |amount: &Usd| format!("${:.4}", amount.dollars());
    let whose =
        model.as_ref().map_or_else(|| "the key's budget".to_owned(), |model| format!("the budget of `{model}`"));
    let whole = match per {
        Period::Total => format!("{} in all", dollars(budget)),
        _ => format!("{} a {}", dollars(budget), per.name()),
    };
    let mut said = format!("{whose} is {whole}; {} is spent", dollars(spent));
    if *reserved > Usd::default() {
        said.push_str(&format!(", {} is held for calls under way", dollars(reserved)));
    }
    said.push_str(&format!(", and this call may cost {}", dollars(wanted)));
    if let Some(left) = resets_in {
        said.push_str(&format!("; it begins anew in {}", coarse(*left)));
    }
    said
}

/// A wait in its largest two units, rounded up to the smaller one: `3d 4h`, `5h 12m`, `42s`.
fn coarse(wait: Duration) -> String {
    let seconds = wait.as_millis().div_ceil(1000) as u64;
    let (large, small, size) = match seconds {
        86_400.. => ("d", "h", 3600),
        3600.. => ("h", "m", 60),
        60.. => ("m", "s", 1),
        _ => return format!("{seconds}s"),
    };
    let whole = if large == "d" { 24 } else { 60 };
    let count = seconds.div_ceil(size);
    match (count / whole, count % whole) {
        (many, 0) => format!("{many}{large}"),
        (many, rest) => format!("{many}{large} {rest}{small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_short_to_read() {
        for (seconds, said) in [
            (0, "0s"),
            (42, "42s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3599, "59m 59s"),
            (3600, "1h"),
            (3601, "1h 1m"),
            (86_399, "24h"),
            (86_400, "1d"),
            (90_000, "1d 1h"),
            (2_678_400, "31d"),
        ] {
            assert_eq!(coarse(Duration::from_secs(seconds)), said);
        }
        assert_eq!(coarse(Duration::from_millis(41_001)), "42s");
    }
}
