//! Which limit of a key is reached, and when there is room again.

use std::time::Duration;

use tradewind_core::{Code, Usd, format_duration};
use tradewind_policy::Period;

/// A limit of a key that a call would go over. The message is for whoever called.
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
    /// The budget.
    #[error("{}", budget_message(*budget, *spent, *reserved, *wanted, *per))]
    Budget {
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
            Self::Budget { .. } => Code::BudgetSpent,
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

fn budget_message(budget: Usd, spent: Usd, reserved: Usd, wanted: Usd, per: Period) -> String {
    let dollars = |amount: Usd| format!("${:.4}", amount.dollars());
    let whole = match per {
        Period::Total => format!("{} in all", dollars(budget)),
        _ => format!("{} a {}", dollars(budget), per.name()),
    };
    let mut said = format!("the key's budget is {whole}; {} is spent", dollars(spent));
    if reserved > Usd::default() {
        said.push_str(&format!(", {} is held for calls under way", dollars(reserved)));
    }
    said.push_str(&format!(", and this call may cost {}", dollars(wanted)));
    said
}
