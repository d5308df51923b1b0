//! What goes on beside the calls: members are tested when their time has come.

use std::time::Duration;

use crate::support::{Rig, eventually, pages};

#[tokio::test]
async fn members_are_tested_when_their_time_has_come() {
    let (up, _) = pages("204 No Content", "").await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rig = Rig::start(&format!(
        "proxies:\n  - {{name: dead, type: http, server: 127.0.0.1, port: {}}}\n  - {{name: up, type: http, server: 127.0.0.1, port: {}}}\n\
         proxy-groups:\n  - {{name: lazy, type: fallback, proxies: [up], url: 'http://lazy.test/', interval: 600}}\n  \
         - {{name: g, type: fallback, proxies: [dead, up], url: 'http://a.test/', interval: 600, lazy: false}}\n  \
         - {{name: by-hand, type: select, proxies: [up], url: 'http://hand.test/'}}\n",
        dead.port(),
        up.address.port()
    ));
    assert_eq!(rig.uses("g"), "dead", "what was never tested is taken to live");
    let tested = |url: &str, name: &str| {
        let accounts = rig.ways.set().get(name).unwrap().health().accounts();
        accounts.into_iter().find(|(known, _)| **known == *url).map_or(0, |(_, account)| account.history.len())
    };
    let rounds =
        || (tested("http://a.test/", "dead"), tested("http://a.test/", "up"), tested("http://lazy.test/", "up"));
    rig.ways.keep_up();
    eventually("all are tested once", || (rounds() == (1, 1, 1)).then_some(())).await;
    assert_eq!(rig.uses("g"), "up", "the group leaves what has not answered");

    // What is lazy waits until it is used.
    for round in 2..4 {
        rig.clock.forward(Duration::from_secs(600));
        eventually("the next round", || (rounds() == (round, round, 1)).then_some(())).await;
    }
    rig.choose("lazy").unwrap();
    eventually("it is used, and tested", || (rounds() == (3, 3, 2)).then_some(())).await;
    assert_eq!(tested("http://hand.test/", "up"), 0, "a group that picks by hand needs no tests");
}
