//! The fault matrix: one test for each row of the fault table, for both dialects, streaming and not. A name begins with
//! its row.
//!
//! Rows that concern other parts are not here: 47 and 48 (tool servers), 52 (there is no metrics sink yet), 53 (there are
//! no plug-ins yet).

mod memory;
mod rows_01_to_09_connections;
mod rows_10_to_22_streams;
mod rows_11_and_15_hedging;
mod rows_23_to_37_answers;
mod rows_29_to_35_refusals;
mod rows_38_to_46_behaviour;
mod rows_50_to_56_gateway;
mod table;
