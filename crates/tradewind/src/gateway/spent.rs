//! What keys and models have spent before: told to whoever counts their budgets, out of the spend book.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use tradewind_access::{Access, ModelBudgets};
use tradewind_core::Usd;
use tradewind_door_models::Models;
use tradewind_telemetry::{Day, GroupBy, JournalError, Spend, SpendRow};

/// What was spent under each name, on each day in its order.
type Spent = Vec<(Arc<str>, Vec<(Day, Usd)>)>;

/// Tells the keys what was spent with them before, those as well that are not there (now): they may come back. The ones
/// used last come first, since there is not room for any number of them.
pub(super) fn restore_keys(access: &Access, spend: &Spend) -> Result<(), JournalError> {
    for (key, days) in spent(spend, GroupBy { day: true, key: true, ..GroupBy::default() }, |row| row.key.take())? {
        for (day, spent) in days {
            access.restore(&key, day.0, spent);
        }
    }
    Ok(())
}

/// The same for the models of `next` that have a budget, and had none in `before`: theirs is counted already.
pub(super) fn restore_models(
    budgets: &ModelBudgets,
    before: Option<&Models>,
    next: &Models,
    spend: &Spend,
) -> Result<(), JournalError> {
    let budgeted = |models: &Models, name: &str| {
        models.entries.iter().any(|entry| entry.name.as_str() == name && entry.budget.is_some())
    };
    let is_new = |name: &str| budgeted(next, name) && !before.is_some_and(|before| budgeted(before, name));
    if !next.entries.iter().any(|entry| is_new(entry.name.as_str())) {
        return Ok(()); // reading the book may take a while
    }
    for (model, days) in spent(spend, GroupBy { day: true, model: true, ..GroupBy::default() }, |row| row.model.take())?
    {
        for (day, spent) in days.into_iter().filter(|_| is_new(&model)) {
            budgets.restore(&model, day.0, spent);
        }
    }
    Ok(())
}

/// What the book has under each name, the name used last first.
fn spent(
    spend: &Spend,
    group: GroupBy,
    name: impl Fn(&mut SpendRow) -> Option<Arc<str>>,
) -> Result<Spent, JournalError> {
    let mut names: HashMap<Arc<str>, Vec<(Day, Usd)>> = HashMap::new();
    for mut row in spend.query(Day::default(), Day(u32::MAX), None, group)? {
        if let (Some(day), Some(name)) = (row.day, name(&mut row).filter(|name| !name.is_empty())) {
            names.entry(name).or_default().push((day, row.totals.cost));
        }
    }
    let mut names: Spent = names.into_iter().collect();
    names.sort_by_key(|(_, days)| Reverse(days.last().map(|(day, _)| *day)));
    Ok(names)
}
