//! Everything that is refused, by section.

mod chains;
mod general;
mod groups;
mod providers;
mod proxies;
mod rule_providers;
mod rules;
mod via;

fn check(text: &str, expected: &[&str]) {
    assert_eq!(crate::refusals(text), expected, "{text}");
}
