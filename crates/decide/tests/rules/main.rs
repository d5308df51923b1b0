//! Rules by destination, from the outside.

mod corpus;
mod equal;
mod geodata;
mod lists;
mod meaning;
mod plain;
mod support;
