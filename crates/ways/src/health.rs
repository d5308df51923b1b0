//! What tests have shown about one way out: whether it lives, and how long an answer took.
//!
//! Kept by name over reloads. For each URL that it is tested with there is one account, because a group judges its
//! members by its own URL; the last test with any URL speaks for the way itself.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tradewind_core::UnixMillis;

/// Tests that are remembered for each URL.
pub const MOST_HISTORY: usize = 10;
/// URLs that are told apart; the account of the one that was not used for longest goes first.
pub const MOST_URLS: usize = 16;

/// One test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested {
    /// When.
    pub at: UnixMillis,
    /// Milliseconds until the answer, at least 1; 0 when there was none.
    pub delay: u16,
}

/// What one URL has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Whether the last test was answered.
    pub alive: bool,
    /// The last tests, the oldest first.
    pub history: VecDeque<Tested>,
}

/// The accounts of one way.
#[derive(Debug, Default)]
pub struct Health(RwLock<Vec<(Arc<str>, Account)>>);

impl Health {
    /// Enters a test with `url`.
    pub fn enter(&self, url: &str, tested: Tested) {
        let mut accounts = self.0.write();
        // The one used last stands last.
        let at = accounts.iter().position(|(known, _)| **known == *url);
        let (name, mut account) = at.map_or_else(|| (Arc::from(url), Account::default()), |at| accounts.remove(at));
        account.alive = tested.delay > 0;
        if account.history.len() == MOST_HISTORY {
            account.history.pop_front();
        }
        account.history.push_back(tested);
        if accounts.len() == MOST_URLS {
            accounts.remove(0);
        }
        accounts.push((name, account));
    }

    /// Whether the last test with `url` was answered; what was never tested counts as alive.
    #[must_use]
    pub fn is_alive(&self, url: &str) -> bool {
        self.0.read().iter().find(|(known, _)| **known == *url).is_none_or(|(_, account)| account.alive)
    }

    /// Milliseconds that the last test with `url` took; `u16::MAX` when it failed or there was none.
    #[must_use]
    pub fn delay(&self, url: &str) -> u16 {
        let accounts = self.0.read();
        let account = accounts.iter().find(|(known, _)| **known == *url).map(|(_, account)| account);
        account
            .filter(|account| account.alive)
            .and_then(|account| account.history.back())
            .map_or(u16::MAX, |last| last.delay)
    }

    /// Milliseconds that the last test with any URL took; nothing when it failed or there was none.
    #[must_use]
    pub fn last_delay(&self) -> Option<u16> {
        let accounts = self.0.read();
        let (_, account) = accounts.last().filter(|(_, account)| account.alive)?;
        account.history.back().map(|last| last.delay)
    }

    /// Whether the last test with any URL was answered.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        self.0.read().last().is_none_or(|(_, account)| account.alive)
    }

    /// All accounts, the one used last at the end.
    #[must_use]
    pub fn accounts(&self) -> Vec<(Arc<str>, Account)> {
        self.0.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1);

    #[test]
    fn what_was_never_tested_counts_as_alive_and_slow() {
        let health = Health::default();
        assert!(health.is_alive("http://a/") && health.was_answered());
        assert_eq!(health.delay("http://a/"), u16::MAX);
    }

    #[test]
    fn each_url_has_its_own_account_and_the_last_test_speaks_for_all() {
        let health = Health::default();
        health.enter("http://a/", Tested { at: AT, delay: 20 });
        health.enter("http://b/", Tested { at: AT, delay: 0 });
        assert!(health.is_alive("http://a/") && !health.is_alive("http://b/") && !health.was_answered());
        assert_eq!((health.delay("http://a/"), health.delay("http://b/")), (20, u16::MAX));
        health.enter("http://a/", Tested { at: AT, delay: 30 });
        assert!(health.was_answered());
    }

    #[test]
    fn both_limits_hold() {
        let health = Health::default();
        for round in 0..2 * MOST_HISTORY as u16 {
            health.enter("http://a/", Tested { at: AT, delay: round + 1 });
        }
        let account = &health.accounts()[0].1;
        assert_eq!((account.history.len(), account.history[0].delay), (MOST_HISTORY, MOST_HISTORY as u16 + 1));
        for url in 0..2 * MOST_URLS {
            health.enter(&format!("http://{url}/"), Tested { at: AT, delay: 1 });
        }
        let accounts = health.accounts();
        assert_eq!((accounts.len(), &*accounts[0].0), (MOST_URLS, "http://16/"));
    }
}
