//! Every seed of the fuzz target of records, whole and cut.

#[path = "../../../fuzz/checks/records.rs"]
mod records;
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn seeds_of_records() {
    seeds::replay("state_record", 5, usize::MAX, records::record);
}
