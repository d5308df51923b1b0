//! The decision core as its callers see it: cases, properties, and a simulation in virtual time.

mod properties;
mod scores;
mod simulation;
mod strategies;
mod support;
