//! The door behind a real listener, with an upstream that is made up.

mod chain;
mod direct;
mod fetching;
mod origin;
mod rig;
mod serving;
