//! The tool calls of a conversation and their results: each call has one result, and each result a call.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::path::Path;
use super::question::CallIndex;
use super::reading::wrong;
use crate::wire::{Obstacle, Wire};

/// The calls made so far.
#[derive(Default)]
pub(super) struct Calls<'a> {
    /// The latest call of each id.
    by_id: HashMap<Cow<'a, str>, usize>,
    made: Vec<Made<'a>>,
    /// How many calls wait for their results.
    open: usize,
    /// Whether an id came again after its call had its result.
    has_reused: bool,
}

struct Made<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    /// Where its id stands.
    place: String,
    has_result: bool,
}

impl<'a> Calls<'a> {
    /// A call whose id stands at `path`.
    pub(super) fn call(&mut self, path: Path<'_>, id: Cow<'a, str>, name: Cow<'a, str>) -> Result<CallIndex, Obstacle> {
        if id.is_empty() {
            return Err(wrong(path, "is empty"));
        }
        let index = self.made.len();
        if let Some(earlier) = self.by_id.insert(id.clone(), index) {
            if !self.made[earlier].has_result {
                return Err(wrong(path, "is the id of an earlier tool call, too, which has no result yet"));
            }
            self.has_reused = true;
        }
        self.made.push(Made { id, name, place: path.to_string(), has_result: false });
        self.open += 1;
        Ok(CallIndex(index))
    }

    /// The result of the call `id`, which stands at `path`.
    pub(super) fn result(&mut self, path: Path<'_>, id: &str) -> Result<CallIndex, Obstacle> {
        let Some(index) = self.by_id.get(id) else {
            return Err(wrong(path, "is the id of no earlier tool call"));
        };
        let call = &mut self.made[*index];
        if std::mem::replace(&mut call.has_result, true) {
            return Err(wrong(path, "is the id of a tool call that has its result already"));
        }
        self.open -= 1;
        Ok(CallIndex(*index))
    }

    /// The name of the tool that was called.
    pub(super) fn name(&self, call: CallIndex) -> &str {
        &self.made[call.0].name
    }

    /// Somebody else speaks: all calls have to have their results.
    pub(super) fn settle(&self) -> Result<(), Obstacle> {
        if self.open == 0 {
            return Ok(());
        }
        let field = self.made.iter().find(|call| !call.has_result).map(|call| call.place.clone()).unwrap_or_default();
        Err(Obstacle { field, why: "is the id of a tool call without a result".into(), invalid: true })
    }

    /// The ids as `to` takes them. Anthropic takes letters, digits, `_` and `-`, and at most 64 of them, and each id once in
    /// a request; others are replaced by `call_tw_N`.
    pub(super) fn ids_for(self, to: Wire) -> Vec<Cow<'a, str>> {
        let is_fit = |id: &str| to != Wire::Messages || is_anthropic_id(id);
        if (to != Wire::Messages || !self.has_reused) && self.made.iter().all(|call| is_fit(&call.id)) {
            return self.made.into_iter().map(|call| call.id).collect();
        }
        let taken: HashSet<String> = self.by_id.into_keys().map(Cow::into_owned).collect();
        let mut written: HashSet<Cow<'a, str>> = HashSet::with_capacity(taken.len());
        let mut number = 0;
        let fit = self.made.into_iter().map(|call| {
            if is_fit(&call.id) && written.insert(call.id.clone()) {
                return call.id;
            }
            loop {
                number += 1;
                let made = format!("call_tw_{number}");
                if !taken.contains(&made) {
                    return Cow::Owned(made);
                }
            }
        });
        fit.collect()
    }
}

fn is_anthropic_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_one_result() {
        let path = Path::ROOT.key("id");
        let mut calls = Calls::default();
        let call = |calls: &mut Calls<'static>, id: &'static str| calls.call(path, id.into(), "f".into());
        let why = |result: Result<CallIndex, Obstacle>| result.map(|call| call.0).map_err(|obstacle| obstacle.why);
        assert_eq!(why(call(&mut calls, "a")), Ok(0));
        assert_eq!(why(call(&mut calls, "b")), Ok(1));
        assert_eq!(why(call(&mut calls, "")).unwrap_err(), "is empty");
        assert_eq!(why(calls.result(path, "c")).unwrap_err(), "is the id of no earlier tool call");
        assert_eq!(why(calls.result(path, "b")), Ok(1));
        assert_eq!(why(calls.result(path, "b")).unwrap_err(), "is the id of a tool call that has its result already");
        assert!(calls.settle().is_err());
        let twice = "is the id of an earlier tool call, too, which has no result yet";
        assert_eq!(why(call(&mut calls, "a")).unwrap_err(), twice);
    }

    #[test]
    fn an_id_may_come_again_once_its_call_has_its_result() {
        let calls_of = || {
            let mut calls = Calls::default();
            for id in ["a", "call_tw_1", "a", "a"] {
                let call = calls.call(Path::ROOT, id.into(), "f".into()).unwrap();
                assert_eq!(calls.result(Path::ROOT, id).unwrap().0, call.0);
            }
            calls
        };
        assert_eq!(calls_of().ids_for(Wire::Messages), ["a", "call_tw_1", "call_tw_2", "call_tw_3"]);
        assert_eq!(calls_of().ids_for(Wire::Chat), ["a", "call_tw_1", "a", "a"]);
    }

    #[test]
    fn odd_ids_are_replaced_and_never_taken() {
        let long = "x".repeat(65);
        let ids = ["toolu_1", "functions.f:0", "call_tw_1", &long, "ä"];
        let mut calls = Calls::default();
        for id in ids {
            calls.call(Path::ROOT, id.into(), "f".into()).unwrap();
        }
        assert_eq!(calls.ids_for(Wire::Messages), ["toolu_1", "call_tw_2", "call_tw_1", "call_tw_3", "call_tw_4"]);
        let mut calls = Calls::default();
        calls.call(Path::ROOT, "functions.f:0".into(), "f".into()).unwrap();
        assert_eq!(calls.ids_for(Wire::Chat), ["functions.f:0"]);
    }
}
