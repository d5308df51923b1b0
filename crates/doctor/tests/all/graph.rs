//! Checks and what they need.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tradewind_doctor::{Cause, Check, Finding, Fix, Outcome};

use crate::machine::{Machine, run};

fn good(name: &'static str, needs: &'static [&'static str]) -> Check {
    Check::new(name, needs, |_| Box::pin(async { Outcome::good().fact("ran", true) }))
}

fn fatal(name: &'static str, needs: &'static [&'static str]) -> Check {
    Check::new(name, needs, |_| {
        Box::pin(async { Outcome::fatal(Finding::new(Cause::HostNotFound, "", Fix::by_hand("x"))) })
    })
}

#[test]
fn what_a_failed_check_makes_meaningless_is_not_run() {
    let world = Machine::new().world();
    let checks = [good("last", &["tls"]), fatal("lookup", &[]), good("tls", &["lookup"]), good("beside", &["unknown"])];
    let report = run(&world, &checks);
    assert_eq!(report.findings.len(), 1);
    let not_run: Vec<(&str, &str)> =
        report.not_run.iter().map(|not_run| (not_run.check.as_str(), not_run.because.as_str())).collect();
    assert_eq!(not_run, [("last", "the host's name does not resolve"), ("tls", "the host's name does not resolve")]);
    assert_eq!(report.facts["ran"], true);
}

#[test]
fn a_check_that_breaks_its_promise_is_left_behind() {
    let mut world = Machine::new().world();
    world.limits.total = Duration::from_millis(20);
    let hangs = Check::new("hangs", &[], |_| Box::pin(std::future::pending()));
    let report = run(&world, &[hangs, good("after", &["hangs"]), good("beside", &[])]);
    let names: Vec<&str> = report.not_run.iter().map(|not_run| not_run.check.as_str()).collect();
    assert_eq!(names, ["hangs", "after"]);
    assert!(report.not_run[0].because.contains("20ms"));
    assert!(report.facts.contains_key("ran"));
}

#[test]
fn findings_are_in_the_order_of_the_checks_and_what_breaks_comes_first() {
    let world = Machine::new().world();
    // The second ends when both others have.
    let others = Arc::new(Semaphore::new(0));
    let found = |name: &'static str, cause: Cause, warns: bool, waits: bool| {
        let others = Arc::clone(&others);
        Check::new(name, &[], move |_| {
            let others = Arc::clone(&others);
            Box::pin(async move {
                if waits {
                    others.acquire_many(2).await.expect("it is never closed").forget();
                } else {
                    others.add_permits(1);
                }
                let finding = Finding::new(cause, "", Fix::by_hand(name));
                Outcome::finding(if warns { finding.warns() } else { finding })
            })
        })
    };
    let checks = [
        found("a", Cause::OldGo, true, false),
        found("b", Cause::LoginPage, false, true),
        found("c", Cause::Gone, false, false),
    ];
    let causes: Vec<u8> = run(&world, &checks).findings.iter().map(|finding| finding.cause.number()).collect();
    assert_eq!(causes, [14, 66, 70]);
}
