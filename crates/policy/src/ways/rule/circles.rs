//! Sub-rules that lead to themselves, or too far.

use std::collections::{HashMap, HashSet};

use super::{Rule, RuleError, RuleKind, Rules};

/// How many sub-rules may lead to each other in a row.
pub const MOST_SUB_RULES: usize = 32;

impl Rules {
    /// Whether no sub-rules lead to themselves, else a call could go round for ever, or further than [`MOST_SUB_RULES`].
    ///
    /// # Errors
    /// [`RuleError::Circle`] with the names on the way, or [`RuleError::TooManySubRules`].
    pub fn check_circles(&self) -> Result<(), RuleError> {
        let lists: HashMap<&str, &[Rule]> = self.sub.iter().map(|(name, rules)| (&**name, &**rules)).collect();
        // How many sub-rules in a row a name leads to, itself included, once that is known: no name is walked twice.
        let mut lengths: HashMap<&str, usize> = HashMap::new();
        for (name, _) in &self.sub {
            // The way here: each name, the place of the rule to look at next, and the longest way on so far.
            let mut way: Vec<(&str, usize, usize)> = vec![(name, 0, 0)];
            let mut on_way: HashSet<&str> = HashSet::from([&**name]);
            while let Some((name, place, longest)) = way.last_mut() {
                let next = lists.get(name).and_then(|rules| rules.get(*place));
                *place += 1;
                let Some(rule) = next else {
                    let (name, length) = (*name, *longest + 1);
                    if length > MOST_SUB_RULES {
                        return Err(RuleError::TooManySubRules);
                    }
                    lengths.insert(name, length);
                    on_way.remove(name);
                    way.pop();
                    if let Some((_, _, longest)) = way.last_mut() {
                        *longest = length.max(*longest);
                    }
                    continue;
                };
                let target = &*rule.target;
                if !matches!(rule.condition.kind, RuleKind::SubRules(_)) {
                    continue;
                }
                if let Some(length) = lengths.get(target) {
                    *longest = (*longest).max(*length);
                } else if on_way.insert(target) {
                    way.push((target, 0, 0));
                } else {
                    let names: Vec<&str> = way.iter().map(|(name, ..)| *name).chain([target]).collect();
                    return Err(RuleError::Circle(names.join("->").into()));
                }
            }
        }
        Ok(())
    }
}
