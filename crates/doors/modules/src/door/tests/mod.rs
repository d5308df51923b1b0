//! The door behind a real listener, with an upstream that is made up.

mod bounds;
mod chain;
mod changing;
mod direct;
mod disk;
mod fetching;
mod origin;
mod passed;
mod refused;
mod rig;
mod serving;
mod trusting;
