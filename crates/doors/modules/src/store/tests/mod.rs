//! Tests of the store as a whole.

mod basics;
mod damage;
mod full;
mod kept;
mod kill;
mod prune;
mod scale;
mod support;
