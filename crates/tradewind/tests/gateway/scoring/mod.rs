//! The strategy `score` in a running gateway: who is asked by meaning, load and cost, who is not asked at all, what keeps
//! calls together, and that all of it is told.

mod affinity;
mod encoder;
mod filters;
mod load;
mod meaning;
mod nested;
mod told;
mod world;
