//! The table of policies for a simulated fleet: one hour of virtual time for each, or as many seconds as the first
//! argument says.

#[path = "../tests/decide/simulation/fleet.rs"]
mod fleet;
#[expect(dead_code, reason = "tests ask more of it")]
#[path = "../tests/decide/simulation/gateway.rs"]
mod gateway;
#[expect(dead_code, reason = "tests ask more of it")]
#[path = "../tests/decide/simulation/report.rs"]
mod report;
#[path = "../tests/decide/simulation/scraped.rs"]
mod scraped;
#[expect(dead_code, reason = "tests ask more of it")]
#[path = "../tests/decide/simulation/world.rs"]
mod world;

use fleet::{OURS, PEERS, Row, table};

#[expect(clippy::print_stdout, reason = "the table is all there is to it")]
fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3600);
    let rows: Vec<Row> = PEERS.iter().chain(&OURS).map(|picker| Row::of(*picker, seconds, 1)).collect();
    println!("{}", table(&rows));
}
