//! Names, hashes, zips and rules, from outside: compared with Go's own answers, by properties, and with zips made to deceive.

mod evil;
mod go;
mod licences;
mod properties;
mod requests;
mod seeds;
mod zipper;
