//! Budgets of models: beside those of keys, in one step with them.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use tradewind_access::{Access, Grant, ModelBudgets, OverLimit, Reach};
use tradewind_core::{Code, UnixMillis, Usd};
use tradewind_policy::{Amount, Budget, KeyTerms, Period};

use crate::support::{DAY, FRIDAY, at, budget, grant_of, one, stored, usd};

fn dollars(usd: f64, per: Period) -> Budget {
    Budget { usd: Amount(usd), per }
}

#[test]
fn both_budgets_have_to_hold_and_the_answer_says_which_does_not() {
    let (access, grant) = one(budget(1.0, Period::Month));
    let models = ModelBudgets::default();
    let assistant = models.of("assistant", dollars(0.5, Period::Day));
    let first = grant.reserve_at(Some(&assistant), 0, usd(40), at(0), FRIDAY).unwrap();
    let over = grant.reserve_at(Some(&assistant), 0, usd(20), at(0), FRIDAY).unwrap_err();
    assert_eq!(over.code(), Code::ModelBudgetSpent);
    assert_eq!(
        over.to_string(),
        "the budget of `assistant` is $0.5000 a day; $0.0000 is spent, $0.4000 is held for calls under way, and this \
         call may cost $0.2000; it begins anew in 1d"
    );
    assert_eq!(over.retry_after(), Some(Duration::from_secs(1)), "the other call may cost less");
    assert_eq!(access.shown(FRIDAY)[0].reserved, usd(40), "nothing was taken from the key either");
    first.settle(0, usd(45), at(0));
    let status = assistant.status(FRIDAY);
    assert_eq!((status.spent, status.reserved), (usd(45), usd(0)));
    assert_eq!(status.resets.map(|time| time.0.0), Some(FRIDAY.0 + DAY));
    assert_eq!(serde_json::to_value(&status).unwrap()["per"], "day");

    let over = grant.reserve_at(Some(&assistant), 0, usd(10), at(0), FRIDAY).unwrap_err();
    assert_eq!(over.retry_after(), Some(Duration::from_millis(DAY)));
    grant.reserve(0, usd(50), at(0), FRIDAY).unwrap().settle(0, usd(50), at(0));
    let over = grant.reserve_at(Some(&assistant), 0, usd(7), at(0), UnixMillis(FRIDAY.0 + DAY)).unwrap_err();
    assert_eq!(over.code(), Code::BudgetSpent, "the day is another one, and the month the same");
    assert!(over.to_string().ends_with("this call may cost $0.0700; it begins anew in 10d"), "{over}");
    assert_eq!(assistant.status(FRIDAY).reserved, usd(0), "nothing was taken from the model");
    assert_eq!(assistant.status(UnixMillis(FRIDAY.0 + DAY)).reserved, usd(0));
}

#[test]
fn a_caller_without_a_key_is_held_to_the_budget_of_the_model() {
    let models = ModelBudgets::default();
    let assistant = models.of("assistant", dollars(1.0, Period::Total));
    let anyone = Grant::anyone();
    let held = anyone.reserve_at(Some(&assistant), 5, usd(60), at(0), FRIDAY).unwrap();
    assert_eq!(held.day(), Some(20_777));
    let over = anyone.reserve_at(Some(&assistant), 5, usd(60), at(0), FRIDAY).unwrap_err();
    assert_eq!(over.code(), Code::ModelBudgetSpent);
    assert!(over.to_string().starts_with("the budget of `assistant` is $1.0000 in all; "), "{over}");
    assert!(!over.to_string().contains("anew"), "{over}");
    drop(held);
    assert_eq!(assistant.status(FRIDAY).reserved, usd(0));
    assert!(anyone.reserve_at(None, 5, usd(60_000), at(0), FRIDAY).is_ok());
}

#[test]
fn tokens_that_do_not_suffice_take_nothing_from_either_budget() {
    let (access, grant) = one(KeyTerms { tpm: Some(10), ..budget(1.0, Period::Day) });
    let models = ModelBudgets::default();
    let assistant = models.of("assistant", dollars(1.0, Period::Day));
    let over = grant.reserve_at(Some(&assistant), 11, usd(1), at(0), FRIDAY).unwrap_err();
    assert!(matches!(over, OverLimit::Tokens { .. }), "{over}");
    assert_eq!((access.shown(FRIDAY)[0].reserved, assistant.status(FRIDAY).reserved), (usd(0), usd(0)));
    // A budget that refuses takes no tokens of the minute.
    assert!(grant.reserve_at(Some(&assistant), 10, usd(101), at(0), FRIDAY).is_err());
    assert!(
        grant.reserve_at(Some(&models.of("small", dollars(0.01, Period::Day))), 10, usd(2), at(0), FRIDAY).is_err()
    );
    assert!(grant.reserve_at(Some(&assistant), 10, usd(1), at(0), FRIDAY).is_ok());
}

#[test]
fn counters_belong_to_the_name_and_outlive_reloads() {
    let models = ModelBudgets::default();
    models.restore("assistant", 20_776, usd(30)); // yesterday
    models.restore("assistant", 20_777, usd(30));
    models.restore("assistant", 20_777, usd(30)); // said twice
    let before = models.of("assistant", dollars(1.0, Period::Day));
    let grant = Grant::anyone();
    let running = grant.reserve_at(Some(&before), 0, usd(10), at(0), FRIDAY).unwrap();
    let after = models.of("assistant", dollars(0.5, Period::Week));
    assert_eq!((after.status(FRIDAY).spent, after.status(FRIDAY).reserved), (usd(60), usd(10)));
    assert!(grant.reserve_at(Some(&after), 0, usd(1), at(0), FRIDAY).is_err());
    running.settle(0, usd(5), at(0));
    assert_eq!(before.status(FRIDAY).spent, usd(35), "a call that began before is counted for the same name");
    models.restore("assistant", 20_777, usd(32));
    assert_eq!(before.status(FRIDAY).spent, usd(35), "what was counted since is not lost");
    assert_eq!(models.of("other", dollars(1.0, Period::Day)).status(FRIDAY).spent, usd(0));
}

#[test]
fn names_are_bounded_and_those_in_use_stay() {
    let models = ModelBudgets::default();
    let used = models.of("used", dollars(1.0, Period::Day));
    Grant::anyone().reserve_at(Some(&used), 0, usd(50), at(0), FRIDAY).unwrap().settle(0, usd(50), at(0));
    for number in 0..10_000 {
        models.restore(&format!("m{number}"), 20_777, usd(1));
    }
    let spent = |name: &str| models.of(name, dollars(1.0, Period::Day)).status(FRIDAY).spent;
    assert_eq!((spent("m0"), spent("used")), (usd(1), usd(50)));
    assert_eq!(spent("m9999"), usd(0), "there was no room for it");
    assert_eq!(spent("used"), usd(50));
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { key: usize, model: Option<usize>, cost: u64 },
    Settle { which: usize, cost: u64 },
    Drop { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, prop::option::of(0..2_usize), 0..60_u64).prop_map(|(key, model, cost)| Step::Reserve {
            key,
            model,
            cost
        }),
        (0..8_usize, 0..60_u64).prop_map(|(which, cost)| Step::Settle { which, cost }),
        (0..8_usize).prop_map(|which| Step::Drop { which }),
    ]
}

proptest! {
    /// Against a model that adds up by hand: a call is let through exactly when both budgets hold, and what is shown is
    /// what was settled and what is held.
    #[test]
    fn it_is_let_through_exactly_when_both_hold(steps in prop::collection::vec(step(), 0..60)) {
        let access = Access::new(Reach::Loopback);
        access.set_created(&[stored("k0", budget(1.0, Period::Day)), stored("k1", KeyTerms::default())]).unwrap();
        let models = ModelBudgets::default();
        let budgets = [models.of("m0", dollars(0.7, Period::Day)), models.of("m1", dollars(1.5, Period::Total))];
        let limits = HashMap::from([("k0", 100_u64), ("m0", 70), ("m1", 150)]);
        let mut spent: HashMap<&str, u64> = HashMap::new();
        let mut held = Vec::new();
        for step in steps {
            match step {
                Step::Reserve { key, model, cost } => {
                    let names: Vec<&str> = [Some(["k0", "k1"][key]), model.map(|model| ["m0", "m1"][model])].into_iter().flatten().collect();
                    let reserved = |name: &str| held.iter().filter(|(_, names, _): &&(_, Vec<&str>, u64)| names.contains(&name)).map(|(_, _, cost)| cost).sum::<u64>();
                    let fits = names.iter().all(|name| limits.get(name).is_none_or(|limit| {
                        spent.get(name).copied().unwrap_or(0) + reserved(name) + cost <= *limit
                    }));
                    let grant = grant_of(&access, ["k0", "k1"][key]);
                    let made = grant.reserve_at(model.map(|model| &budgets[model]), 0, usd(cost), at(0), FRIDAY);
                    prop_assert_eq!(made.is_ok(), fits);
                    if let Ok(made) = made {
                        held.push((made, names, cost));
                    }
                }
                Step::Settle { which, cost } if which < held.len() => {
                    let (made, names, _) = held.remove(which);
                    made.settle(0, usd(cost), at(0));
                    for name in names {
                        *spent.entry(name).or_default() += cost;
                    }
                }
                Step::Drop { which } if which < held.len() => drop(held.remove(which)),
                _ => {}
            }
            for (budget, name) in budgets.iter().zip(["m0", "m1"]) {
                let status = budget.status(FRIDAY);
                let reserved: u64 = held.iter().filter(|(_, names, _)| names.contains(&name)).map(|(_, _, cost)| cost).sum();
                prop_assert_eq!((status.spent, status.reserved), (usd(spent.get(name).copied().unwrap_or(0)), usd(reserved)));
            }
        }
        prop_assert!(Usd::default() <= access.shown(FRIDAY)[0].spent);
    }
}
