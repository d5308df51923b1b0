//! The seeds of the fuzz targets of this door, through the same checks: what the fuzzer was given once is tried by every
//! test run.

#[path = "../../../../fuzz/checks/models.rs"]
mod models;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn streams_hold_the_rules() {
    seeds::replay("sse", 8, 8, models::stream);
}

#[test]
fn openai_requests_hold_the_rules() {
    seeds::replay("openai_request", 8, 8, models::openai_request);
}

#[test]
fn anthropic_requests_hold_the_rules() {
    seeds::replay("anthropic_request", 8, 8, models::anthropic_request);
}
