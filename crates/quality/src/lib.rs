//! Quality gates: whether an answer is fit to give, judged by rules that need no reference and no other model. And BLEU-4,
//! for comparing with golden answers offline.
//!
//! Pure: settings, what a request asks for ([`tradewind_core::RequestView`]) and what an answer says
//! ([`tradewind_core::AnswerView`]) come in, a [`Verdict`] goes out. A verdict never holds text of an answer: it names
//! gates, rules, counts, and places in the caller's own schemas.
//!
//! The way of a call: [`Gates::new`] once for a model, [`Gates::expect`] once for a call, [`Gates::judge`] for each whole
//! answer, or a [`StreamGate`] for each stream. When in doubt a gate says nothing, and the verdict notes why: a false alarm
//! costs the caller a second answer and its money, a miss costs what there would be without gates.

mod arguments;
mod bleu;
mod gates;
mod language;
mod looping;
mod phrases;
mod prose;
mod schema;
mod settings;
mod stream;
mod verdict;

pub use bleu::{corpus_bleu4, sentence_bleu4};
pub use gates::{Expected, Gates};
pub use language::languages_of;
pub use schema::SchemaCache;
pub use settings::{
    Confidence, DEFAULT_CONFIDENCE, DEFAULT_HOLD, FinishName, LanguageRule, Length, QualitySettings, SettingProblem,
    StreamMode,
};
pub use stream::{Ending, Step, StreamGate};
pub use verdict::{Failure, Gate, Note, Verdict};
