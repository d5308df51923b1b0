//! How many tokens a request is, before a provider has said so.
//!
//! [`Features`] are found in one pass over a request's bytes; [`Estimator`] turns them into tokens with weights of the
//! model's family of tokenizers, and learns from what providers report. Where OpenAI's tokenizers fit, it can count by
//! them instead. Pure: no clock, no files, no network. Every count from here is an estimate for whoever reads it.

mod calibration;
mod estimator;
mod family;
mod features;
mod media;
mod request;
mod states;
mod tokenizer;
mod weights;

pub use estimator::{Estimate, Estimator, ModelTokens};
pub use features::Features;
