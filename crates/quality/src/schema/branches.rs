//! How much work compiling a schema makes beside reading it once.
//!
//! The compiler looks at the alternatives of each `anyOf` and `oneOf` for a member that tells them apart, and follows
//! references and `allOf` for that, up to a depth, each time anew: references that are used twice at each step make the
//! work grow exponentially. It is counted here in the same way, within a bound.

use serde_json::{Map, Value};

use super::cost::{Refusal, TOO_MUCH_WORK, resolve};

/// How many steps the compiler follows.
const DEEPEST: usize = 16;
/// The most steps for one schema.
const MOST_STEPS: u64 = 100_000;

/// Counts for one schema.
pub(super) struct Branches<'a> {
    root: &'a Value,
    steps: u64,
}

impl<'a> Branches<'a> {
    pub(super) const fn new(root: &'a Value) -> Self {
        Self { root, steps: 0 }
    }

    /// Adds the work for the alternatives of `schema`.
    pub(super) fn add(&mut self, schema: &'a Map<String, Value>) -> Result<(), Refusal> {
        for key in ["anyOf", "oneOf"] {
            let Some(Value::Array(alternatives)) = schema.get(key) else { continue };
            for one in alternatives {
                let (mut required, mut lists) = (0, 0);
                self.follow(one, 0, &mut required, &mut lists)?;
                // Each name that is required is looked for in each list of properties.
                self.take(required * lists)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, steps: u64) -> Result<(), Refusal> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MOST_STEPS { Err(TOO_MUCH_WORK) } else { Ok(()) }
    }

    fn follow(&mut self, schema: &'a Value, depth: usize, required: &mut u64, lists: &mut u64) -> Result<(), Refusal> {
        let Value::Object(map) = schema else { return Ok(()) };
        self.take(1)?;
        if depth > DEEPEST {
            return Ok(());
        }
        if let Some(target) = map.get("$ref").and_then(Value::as_str).and_then(|to| resolve(self.root, to)) {
            self.follow(target, depth + 1, required, lists)?;
        }
        if let Some(Value::Array(names)) = map.get("required") {
            *required += names.len() as u64;
            self.take(names.len() as u64)?;
        }
        *lists += u64::from(map.get("properties").is_some_and(Value::is_object));
        if let Some(Value::Array(all)) = map.get("allOf") {
            for one in all {
                self.follow(one, depth + 1, required, lists)?;
            }
        }
        Ok(())
    }
}
