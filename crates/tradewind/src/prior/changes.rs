//! What is worth a line: polls that begin to fail, fail in another way, or bring numbers again. Of many targets with the
//! same fate one line tells.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use tradewind_core::TargetId;

use super::{PriorFailure, PriorQuery};

/// How many targets a line names.
const MOST_NAMED: usize = 3;

/// How each target fared last, and what has changed since that was last told.
#[derive(Default)]
pub(super) struct Changes {
    last: HashMap<TargetId, Option<Discriminant<PriorFailure>>>,
    /// In the order in which they came up.
    news: Vec<(Option<PriorFailure>, Vec<TargetId>)>,
}

impl Changes {
    /// Forgets targets that nothing is asked about.
    pub(super) fn keep_only(&mut self, queries: &[PriorQuery]) {
        self.last.retain(|target, _| queries.iter().any(|query| query.target == *target));
        self.news.clear();
    }

    /// Takes note of a poll. A first one that is good is no news.
    pub(super) fn note(&mut self, target: &TargetId, answer: Result<f64, PriorFailure>) {
        let failure = answer.err();
        let kind = failure.as_ref().map(discriminant);
        let before = self.last.insert(target.clone(), kind);
        // Whether it was asked or only stood behind others that nobody answered makes no difference to its reader.
        if before == Some(kind) || (before.is_none() && kind.is_none()) || is_nobody(before) && is_nobody(Some(kind)) {
            return;
        }
        match self.news.iter_mut().find(|(known, _)| known.as_ref().map(discriminant) == kind) {
            Some((_, targets)) => targets.push(target.clone()),
            None => self.news.push((failure, vec![target.clone()])),
        }
    }

    /// What has changed, a line for each kind of change.
    pub(super) fn lines(&mut self, source: &str) -> Vec<String> {
        let news = std::mem::take(&mut self.news);
        news.into_iter()
            .map(|(failure, targets)| {
                let named: Vec<&str> = targets.iter().take(MOST_NAMED).map(TargetId::as_str).collect();
                let mut about = named.join(", ");
                if targets.len() > MOST_NAMED {
                    about.push_str(&format!(" and {} more", targets.len() - MOST_NAMED));
                }
                match failure {
                    Some(failure) => format!("prometheus: {source} {failure} (about {about})"),
                    None => format!("prometheus: {source} answers again (about {about})"),
                }
            })
            .collect()
    }
}

/// Whether nobody answered, at once or before.
fn is_nobody(kind: Option<Option<Discriminant<PriorFailure>>>) -> bool {
    let nobody = [PriorFailure::Unreachable(String::new()), PriorFailure::TimedOut, PriorFailure::NotAsked];
    kind.flatten().is_some_and(|kind| nobody.iter().any(|failure| discriminant(failure) == kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let mut changes = Changes::default();
        let mut round = |answers: &[Result<f64, PriorFailure>]| {
            for (number, answer) in answers.iter().enumerate() {
                changes.note(&TargetId::new(&format!("up/{number}")), answer.clone());
            }
            changes.lines("http://p")
        };
        let nobody = || Err(PriorFailure::TimedOut);
        let quiet: [&str; 0] = [];
        assert_eq!(round(&[Ok(1.0), Ok(1.0)]), quiet);
        let away = [nobody(), nobody(), Err(PriorFailure::NotAsked), Err(PriorFailure::NotAsked)];
        assert_eq!(
            round(&away),
            [
                "prometheus: http://p does not answer in time (about up/0, up/1)",
                "prometheus: http://p is not asked further: it does not answer (about up/2, up/3)",
            ]
        );
        let turned = [Err(PriorFailure::NotAsked), nobody(), nobody(), Err(PriorFailure::Unreachable("x".to_owned()))];
        assert_eq!(round(&turned), quiet, "in another order it is still the same");
        let odd = [Ok(1.0), Err(PriorFailure::NoSample), Ok(1.0), Ok(1.0)];
        assert_eq!(
            round(&odd),
            [
                "prometheus: http://p answers again (about up/0, up/2, up/3)",
                "prometheus: http://p has no sample for the query (about up/1)",
            ]
        );
        assert_eq!(round(&odd), quiet);
        let many: Vec<_> = (0..10).map(|_| Err(PriorFailure::Garbage)).collect();
        assert_eq!(
            round(&many),
            ["prometheus: http://p does not answer as Prometheus does (about up/0, up/1, up/2 and 7 more)"]
        );
    }

    #[test]
    fn what_is_not_asked_about_is_forgotten() {
        let mut changes = Changes::default();
        let target = TargetId::new("up/0");
        changes.note(&target, Err(PriorFailure::Garbage));
        changes.keep_only(&[PriorQuery { target: target.clone(), query: "up".to_owned() }]);
        changes.note(&target, Err(PriorFailure::Garbage));
        assert!(changes.lines("").is_empty());
        changes.keep_only(&[]);
        changes.note(&target, Err(PriorFailure::Garbage));
        assert_eq!(changes.lines("").len(), 1);
    }
}
