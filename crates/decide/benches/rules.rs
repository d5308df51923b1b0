//! What one match over ten thousand rules costs. Budget: 2 µs.

use std::fmt;
use std::net::IpAddr;

use divan::{Bencher, black_box};
use tradewind_decide::rules::{Geo, Lists, Meta, Resolved, RuleSet};
use tradewind_policy::ways::{KnownNames, Rule, Rules};

fn main() {
    divan::main();
}

/// Suffixes and ranges in turn, some of them exact names, ranges of the new kind and `no-resolve`; at last `MATCH`.
fn rules(count: u32) -> Rules {
    let line = |number: u32| {
        let (a, b) = (number / 200, number % 200);
        match number % 8 {
            0 | 2 | 4 => format!("DOMAIN-SUFFIX,site{number}.example{}.com,P{}", number % 7, number % 5),
            6 => format!("DOMAIN,www.name{number}.org,P{}", number % 5),
            1 | 3 => format!("IP-CIDR,{}.{b}.{}.0/24,P1", 20 + a % 180, number % 250),
            5 => format!("IP-CIDR,{}.{b}.0.0/16,P2,no-resolve", 20 + a % 180),
            _ => format!("IP-CIDR6,2001:db8:{number:x}::/48,P3"),
        }
    };
    let lines = (0..count - 1).map(line).chain(["MATCH,P0".to_owned()]);
    Rules { main: lines.map(|line| Rule::parse(&line, KnownNames::ANY).expect("a rule")).collect(), sub: Vec::new() }
}

struct Case(&'static str, Meta);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn cases() -> Vec<Case> {
    let to = |host: &str| Meta { host: Some(host.into()), ..Meta::default() };
    let known = |host: &str, address: [u8; 4]| Meta { resolved: Resolved::Ip(IpAddr::from(address)), ..to(host) };
    let address = |address: IpAddr| Meta { destination: Some(address), ..Meta::default() };
    vec![
        Case("name, an early suffix", to("a.b.site0.example0.com")),
        Case("name, asks for its address", to("cdn.assets.site8.example1.com")),
        Case("name with address, a late suffix", known("www.site9992.example3.com", [9, 9, 9, 9])),
        Case("name with address, none fits", known("api.some-service.eu-west-1.amazonaws.com", [9, 9, 9, 9])),
        Case("address, a range", address(IpAddr::from([69, 161, 161, 7]))),
        Case("address, none fits", address(IpAddr::from([9, 9, 9, 9]))),
        Case("address of the new kind", address("2001:db8:2707::1".parse().expect("an address"))),
    ]
}

/// One match, the hashing of the name included.
#[divan::bench(args = cases())]
fn one_match_over_10000_rules(bencher: Bencher<'_, '_>, case: &Case) {
    let set = RuleSet::new(&rules(10_000), &Lists::default(), &Geo::default()).expect("rules that need no data");
    bencher.bench_local(|| black_box(&set).first_match(black_box(&case.1)));
}

/// One match of each of four thousand connections in turn, so that hardly anything is in the caches of the processor that
/// the one before has left there.
#[divan::bench]
fn one_match_of_many(bencher: Bencher<'_, '_>) {
    let set = RuleSet::new(&rules(10_000), &Lists::default(), &Geo::default()).expect("rules that need no data");
    let mut random = fastrand::Rng::with_seed(1);
    let metas: Vec<Meta> = (0..4096)
        .map(|_| {
            let number = random.u32(..10_000);
            let host = format!("www.a{}.site{number}.example{}.com", random.u8(..), random.u32(..8));
            let address = IpAddr::from([random.u8(1..224), random.u8(..), random.u8(..), random.u8(..)]);
            Meta { host: Some(host.into()), resolved: Resolved::Ip(address), ..Meta::default() }
        })
        .collect();
    let mut next = metas.iter().cycle();
    bencher.bench_local(|| black_box(&set).first_match(next.next().expect("a cycle has no end")));
}

/// Compiling ten thousand rules, which happens when the document is loaded.
#[divan::bench]
fn compiling_10000_rules(bencher: Bencher<'_, '_>) {
    let rules = rules(10_000);
    bencher.bench_local(|| RuleSet::new(black_box(&rules), &Lists::default(), &Geo::default()));
}
