//! Bundles as a whole: there and back, and what must not get through.

mod bad;
mod round;
mod world;
mod zip;
