//! The seeds of the fuzz targets, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../../fuzz/seeds.rs"]
mod all;
#[path = "../../../../../fuzz/checks/modules.rs"]
mod modules;

#[test]
fn paths_hold_the_rules() {
    all::replay("module_path", 8, usize::MAX, modules::path);
}

#[test]
fn versions_hold_the_rules() {
    all::replay("module_version", 8, usize::MAX, modules::version);
}

#[test]
fn requests_hold_the_rules() {
    all::replay("module_request", 8, usize::MAX, modules::request);
}

#[test]
fn zips_hold_the_rules() {
    all::replay("module_zip", 8, usize::MAX, modules::zip);
}

#[test]
fn sums_hold_the_rules() {
    all::replay("go_sum", 8, usize::MAX, modules::go_sum);
}
