//! What was found out about a set: from the decision upon each question to the numbers that table, JSON and picture show.
//!
//! The choice by meaning is the target whose meaning fits best, whatever its load and price, and *none* where meaning
//! abstains. The decision is the target that would be asked first. A question that no target is right for is answered
//! rightly when meaning abstains; who leads then is the default, which somebody has to be.

use std::collections::BTreeMap;

use serde::Serialize;
use tradewind_core::{TargetId, Usd};

use super::measures::{BINS, Bin, Point, Sure, area_under_curve, bins, calibration_error, curve, thinned};

/// What the row and column of no target are called.
pub(super) const NONE: &str = "none";

/// What would be decided upon one question.
#[derive(Clone, Debug, Default)]
pub(super) struct Decided {
    /// Who would be asked first; nobody when nobody could be.
    pub(super) chosen: Option<TargetId>,
    /// Where meaning was asked.
    pub(super) fitting: Option<Fitting>,
    /// What the call is expected to cost at the chosen one, where it has a price.
    pub(super) price: Option<Usd>,
    /// At the cheapest that could be asked.
    pub(super) cheapest: Option<Usd>,
    /// At the dearest that could be asked.
    pub(super) dearest: Option<Usd>,
    /// At each that could be asked and has a price.
    pub(super) prices: Vec<(TargetId, Usd)>,
}

/// What meaning says of one question.
#[derive(Clone, Debug)]
pub(super) struct Fitting {
    /// The target that fits best.
    pub(super) best: Option<TargetId>,
    /// How sure it is that this one fits, 0 to 1.
    pub(super) confidence: f64,
    /// Whether none was said to fit.
    pub(super) abstained: bool,
}

/// A question with its label and what was decided.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// The right targets; none when none is.
    pub(super) right: Vec<TargetId>,
    pub(super) decided: Decided,
}

/// What was evaluated.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct About {
    /// The file.
    pub(super) set: String,
    pub(super) model: String,
    pub(super) strategy: String,
    /// What compares questions; absent when nothing does.
    pub(super) embedder: Option<String>,
    /// Whether it would have had to be asked over the network, and was not.
    pub(super) embedder_not_asked: bool,
    /// What the comparisons rest on, and how many do.
    pub(super) bases: BTreeMap<String, usize>,
    pub(super) abstain_below: Option<f64>,
    pub(super) margin: Option<f64>,
}

/// So many, and so many right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) questions: usize,
    pub(super) right: usize,
}

impl Share {
    fn of<'j>(judged: impl Iterator<Item = &'j Judged>, is_right: impl Fn(&Judged) -> bool) -> Self {
        let mut share = Self::default();
        for judged in judged {
            share.questions += 1;
            share.right += usize::from(is_right(judged));
        }
        share
    }

    /// 0 when there are none.
    pub(super) fn accuracy(self) -> f64 {
        self.right as f64 / self.questions.max(1) as f64
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            questions: usize,
            right: usize,
            accuracy: f64,
        }
        Shown { questions: self.questions, right: self.right, accuracy: self.accuracy() }.serialize(serializer)
    }
}

/// How often the right one was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Accuracy {
    /// Of the questions that a target is right for: it fits best by meaning, whether or not meaning abstained.
    pub(super) top1_by_meaning: Option<Share>,
    /// Of all, with abstention: by meaning, or rightly none.
    pub(super) by_meaning: Option<Share>,
    /// Of all: by the decision.
    pub(super) by_decision: Share,
    /// Of the questions that a target is right for: by the decision.
    pub(super) by_decision_where_one_fits: Share,
    /// Of the questions that no target is right for: meaning abstained.
    pub(super) abstained_where_none_fits: Option<Share>,
}

/// What abstaining is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Abstention {
    /// Questions upon which meaning did not abstain, with the thresholds in effect, and how many of these were right.
    pub(super) answered: Share,
    /// The share of them.
    pub(super) coverage: f64,
    /// How often a question that a target is right for has a higher confidence than one that none is right for; absent
    /// where the set has not both.
    pub(super) auc: Option<f64>,
    /// Accuracy by meaning over coverage.
    pub(super) curve: Vec<Point>,
}

/// Whether confidences are what they say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Calibration {
    /// Expected calibration error over ten bins.
    pub(super) ece: f64,
    pub(super) bins: [Bin; BINS],
}

/// What the calls are expected to cost, in US dollars, over the questions whose chosen target has a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) questions: usize,
    /// Questions left out: their chosen target has no price, or nobody was chosen.
    pub(super) without_price: usize,
    #[serde(rename = "chosen_usd")]
    pub(super) chosen: Usd,
    #[serde(rename = "cheapest_usd")]
    pub(super) cheapest: Usd,
    #[serde(rename = "dearest_usd")]
    pub(super) dearest: Usd,
    /// The cheapest right one for each, the chosen one where none is right or has a price.
    #[serde(rename = "right_usd")]
    pub(super) right: Usd,
}

/// What was chosen in place of what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Confusion {
    /// Targets in the order of their names, then `none`.
    pub(super) labels: Vec<String>,
    /// A row for each right one, a column for each chosen one. Where several are right, the row is that of the chosen one
    /// if it is among them, else that of the first.
    pub(super) rows: Vec<Vec<usize>>,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) about: About,
    pub(super) questions: usize,
    /// Of these no target is right for.
    pub(super) none: usize,
    pub(super) accuracy: Accuracy,
    pub(super) abstention: Option<Abstention>,
    pub(super) calibration: Option<Calibration>,
    pub(super) cost: Option<Cost>,
    pub(super) confusion: Confusions,
}

/// By meaning, where it was asked, and by the decision.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Confusions {
    pub(super) by_meaning: Option<Confusion>,
    pub(super) by_decision: Confusion,
}

impl Judged {
    fn is_right(&self, target: Option<&TargetId>) -> bool {
        target.is_some_and(|target| self.right.contains(target))
    }

    /// The best by meaning, whether or not it abstained, is a right one.
    fn best_is_right(&self) -> bool {
        self.is_right(self.decided.fitting.as_ref().and_then(|fitting| fitting.best.as_ref()))
    }

    fn abstained(&self) -> bool {
        self.decided.fitting.as_ref().is_some_and(|fitting| fitting.abstained)
    }

    /// What meaning chooses.
    fn by_meaning(&self) -> Option<&TargetId> {
        self.decided.fitting.as_ref().filter(|fitting| !fitting.abstained)?.best.as_ref()
    }

    /// What counts as chosen by the decision.
    fn by_decision(&self) -> Option<&TargetId> {
        let rightly_none = self.right.is_empty() && self.abstained();
        self.decided.chosen.as_ref().filter(|_| !rightly_none)
    }

    /// Whether `chosen` is right: one of the right ones, or none where none is.
    fn agrees(&self, chosen: Option<&TargetId>) -> bool {
        if self.right.is_empty() { chosen.is_none() } else { self.is_right(chosen) }
    }
}

impl Report {
    pub(super) fn of(about: &About, judged: &[Judged]) -> Self {
        let asked: Vec<&Judged> = judged.iter().filter(|one| one.decided.fitting.is_some()).collect();
        let is_asked = !asked.is_empty();
        let asked = || asked.iter().copied();
        let all = || judged.iter();
        let fits = |one: &&Judged| !one.right.is_empty();
        let none = all().filter(|one| !fits(one)).count();
        Self {
            about: about.clone(),
            questions: judged.len(),
            none,
            accuracy: Accuracy {
                top1_by_meaning: is_asked.then(|| Share::of(asked().filter(fits), Judged::best_is_right)),
                by_meaning: is_asked.then(|| Share::of(asked(), |one| one.agrees(one.by_meaning()))),
                by_decision: Share::of(all(), |one| one.agrees(one.by_decision())),
                by_decision_where_one_fits: Share::of(all().filter(fits), |one| one.agrees(one.by_decision())),
                abstained_where_none_fits: (is_asked && none > 0)
                    .then(|| Share::of(asked().filter(|one| !fits(one)), Judged::abstained)),
            },
            abstention: is_asked.then(|| Abstention::of(asked())),
            calibration: is_asked.then(|| Calibration::of(&sure(asked()))),
            cost: Cost::of(judged),
            confusion: Confusions {
                by_meaning: is_asked.then(|| Confusion::of(asked(), Judged::by_meaning)),
                by_decision: Confusion::of(all(), Judged::by_decision),
            },
        }
    }

    /// The confusion that a person is shown, and by what was chosen.
    pub(super) fn shown_confusion(&self) -> (&'static str, &Confusion) {
        match &self.confusion.by_meaning {
            Some(confusion) => ("by meaning", confusion),
            None => ("by the decision", &self.confusion.by_decision),
        }
    }
}

fn sure<'j>(judged: impl Iterator<Item = &'j Judged>) -> Vec<Sure> {
    let one = |one: &Judged| {
        let confidence = one.decided.fitting.as_ref()?.confidence;
        Some(Sure { confidence, right: one.best_is_right() })
    };
    judged.filter_map(one).collect()
}

impl Abstention {
    fn of<'j>(judged: impl Iterator<Item = &'j Judged> + Clone) -> Self {
        let answered = Share::of(judged.clone().filter(|one| !one.abstained()), Judged::best_is_right);
        let confidences = |fits: bool| -> Vec<f64> {
            let these = judged.clone().filter(|one| one.right.is_empty() != fits);
            these.filter_map(|one| Some(one.decided.fitting.as_ref()?.confidence)).collect()
        };
        Self {
            answered,
            coverage: answered.questions as f64 / judged.clone().count().max(1) as f64,
            auc: area_under_curve(&confidences(true), &confidences(false)),
            curve: thinned(&curve(&sure(judged))),
        }
    }
}

impl Calibration {
    fn of(answers: &[Sure]) -> Self {
        let bins = bins(answers);
        Self { ece: calibration_error(&bins), bins }
    }
}

impl Cost {
    /// `None` where no target has a price.
    fn of(judged: &[Judged]) -> Option<Self> {
        let mut cost = Self::default();
        for Judged { right, decided } in judged {
            let (Some(price), Some(cheapest), Some(dearest)) = (decided.price, decided.cheapest, decided.dearest)
            else {
                cost.without_price += 1;
                continue;
            };
            let of_right = decided.prices.iter().filter(|(target, _)| right.contains(target)).map(|(_, price)| *price);
            cost.questions += 1;
            add(&mut cost.chosen, price);
            add(&mut cost.cheapest, cheapest);
            add(&mut cost.dearest, dearest);
            add(&mut cost.right, of_right.min().unwrap_or(price));
        }
        (cost.questions > 0).then_some(cost)
    }
}

fn add(sum: &mut Usd, price: Usd) {
    *sum = Usd::from_pico(sum.pico().saturating_add(price.pico()));
}

impl Confusion {
    fn of<'j>(judged: impl Iterator<Item = &'j Judged>, chosen: impl Fn(&'j Judged) -> Option<&'j TargetId>) -> Self {
        let mut counts: BTreeMap<(Option<&str>, Option<&str>), usize> = BTreeMap::new();
        for one in judged {
            let chosen = chosen(one);
            let right = if one.is_right(chosen) { chosen } else { one.right.first() };
            *counts.entry((right.map(TargetId::as_str), chosen.map(TargetId::as_str))).or_default() += 1;
        }
        let mut names: Vec<Option<&str>> = counts.keys().flat_map(|(right, chosen)| [*right, *chosen]).collect();
        names.sort_unstable_by_key(|name| (name.is_none(), *name));
        names.dedup();
        let count = |right, chosen| counts.get(&(right, chosen)).copied().unwrap_or(0);
        Self {
            labels: names.iter().map(|name| name.unwrap_or(NONE).to_owned()).collect(),
            rows: names.iter().map(|right| names.iter().map(|chosen| count(*right, *chosen)).collect()).collect(),
        }
    }
}
