//! Settings that are the root cause only when something fails.

use tradewind_doctor::{Cause, Check, Finding, Fix, Instead, Outcome, Subject, Tried, Url, settings_checks};

use crate::machine::{Machine, run};

/// What is found when the lookup of the module proxy's host fails, and nothing else was tried.
fn unreachable(machine: &Machine) -> (u8, String) {
    after(machine, Cause::HostNotFound, Subject::Host("mod.example.com".to_owned()), None)
}

/// The check of that finding.
fn check_of(machine: &Machine) -> String {
    let mut checks = settings_checks();
    checks.push(Check::new("network", &[], |_| {
        let finding = Finding::new(Cause::HostNotFound, "", Fix::by_hand("look")).at("mod.example.com");
        Box::pin(async move { Outcome::finding(finding) })
    }));
    run(&machine.world(), &checks).findings[0].check.clone()
}

/// The first finding when `subject` fails with `cause`, and `tried` says what else was tried.
fn after(machine: &Machine, cause: Cause, subject: Subject, tried: Option<(Instead, bool)>) -> (u8, String) {
    let mut checks = settings_checks();
    checks.push(Check::new("network", &[], move |_| {
        let mut finding = Finding::new(cause, "", Fix::by_hand("look")).seen("it failed");
        finding.subject = Some(subject.clone());
        let tried = tried.clone().map(|(instead, reached)| Tried { subject: subject.clone(), instead, reached });
        Box::pin(async move {
            Outcome { findings: vec![finding], tried: tried.into_iter().collect(), ..Outcome::default() }
        })
    }));
    let report = run(&machine.world(), &checks);
    let first = &report.findings[0];
    assert_eq!(report.findings.len(), 1, "{}", report.text(true));
    assert!(first.evidence.iter().any(|seen| seen == "it failed"), "{}", report.text(true));
    (first.cause.number(), first.fix.text.clone())
}

fn proxy(url: &str) -> Instead {
    Instead::HttpProxy(Url::parse(url).unwrap())
}

#[test]
fn without_a_suspect_the_failure_is_the_cause() {
    assert_eq!(unreachable(&Machine::new()), (1, "look".to_owned()));
    // Loopback is reached directly whatever is set.
    let local = Machine::new().with("GOPROXY", "http://127.0.0.1:1").with("ALL_PROXY", "http://proxy:1");
    let subject = Subject::Host("127.0.0.1".to_owned());
    assert_eq!(after(&local, Cause::ConnectionRefused, subject, None).0, 3);
    // Another host is another matter.
    let other = Machine::new().with("HTTPS_PROXY", "http://proxy:1").with("NO_PROXY", "other.example.com");
    assert_eq!(unreachable(&other).0, 1);
}

#[test]
fn variables_that_go_does_not_read() {
    let all = Machine::new().with("ALL_PROXY", "http://proxy:1");
    assert_eq!(unreachable(&all), (29, "export HTTPS_PROXY=http://proxy:1".to_owned()));
    let secret = Machine::new().with("all_proxy", "http://me:secret99@proxy:1");
    assert_eq!(unreachable(&secret), (29, "export HTTPS_PROXY=\"$all_proxy\"".to_owned()));
    assert!(check_of(&secret).contains("-x \"$all_proxy\" "), "{}", check_of(&secret));
    assert!(check_of(&all).contains("-x http://proxy:1 "), "{}", check_of(&all));
    let http = Machine::new().with("HTTP_PROXY", "http://proxy:1");
    assert_eq!(unreachable(&http), (30, "export HTTPS_PROXY=http://proxy:1".to_owned()));
    let https = Machine::new().with("HTTPS_PROXY", "http://proxy:1").with("GOPROXY", "http://mod.example.com");
    assert_eq!(unreachable(&https), (30, "export HTTP_PROXY=http://proxy:1".to_owned()));
}

#[test]
fn a_suspect_is_cleared_or_proven_by_trying() {
    let machine = Machine::new().with("ALL_PROXY", "http://proxy:1");
    let host = || Subject::Host("mod.example.com".to_owned());
    assert_eq!(after(&machine, Cause::HostNotFound, host(), Some((proxy("http://proxy:1"), false))).0, 1);
    assert_eq!(after(&machine, Cause::HostNotFound, host(), Some((proxy("http://proxy:1"), true))).0, 29);
    let local = Machine::new().with("GOPROXY", "http://localhost:1").with("HTTP_PROXY", "http://proxy:1");
    let host = || Subject::Host("localhost".to_owned());
    assert_eq!(after(&local, Cause::ConnectionRefused, host(), None).0, 3);
    assert_eq!(after(&local, Cause::ConnectionRefused, host(), Some((proxy("http://proxy:1"), true))).0, 33);
}

#[test]
fn no_proxy_that_names_the_host() {
    let set = |list: &str| Machine::new().with("HTTPS_PROXY", "http://proxy:1").with("NO_PROXY", list);
    assert_eq!(unreachable(&set(".example.com")), (32, "unset NO_PROXY".to_owned()));
    assert_eq!(unreachable(&set("a.test, example.com ,b.test")), (32, "export NO_PROXY=a.test,b.test".to_owned()));
    let both = set("*").with("no_proxy", "*");
    assert_eq!(unreachable(&both), (32, "unset NO_PROXY && unset no_proxy".to_owned()));
}

#[test]
fn proxies_that_others_know() {
    let profile = Machine::new().file("home/.bashrc", "alias x=y\nexport HTTPS_PROXY='http://proxy:1'\n");
    assert_eq!(unreachable(&profile), (41, "export HTTPS_PROXY=http://proxy:1".to_owned()));
    let settings = "org.gnome.system.proxy mode 'manual'\\norg.gnome.system.proxy.https host 'proxy'\\n\
                    org.gnome.system.proxy.https port 8080\\n";
    let desktop = Machine::new().script("bin/gsettings", &format!("printf \"{settings}\""));
    assert_eq!(unreachable(&desktop), (31, "export HTTPS_PROXY=http://proxy:8080".to_owned()));
    let git = Machine::new().script("bin/git", "printf 'file:x\\0http.proxy\\nhttp://proxy:1\\0'");
    assert_eq!(unreachable(&git), (48, "export HTTPS_PROXY=http://proxy:1".to_owned()));
}

#[test]
fn two_spellings_of_one_variable() {
    let machine = Machine::new().with("HTTPS_PROXY", "http://dead.test:1").with("https_proxy", "http://proxy:1");
    let subject = Subject::Host("dead.test".to_owned());
    assert_eq!(
        after(&machine, Cause::DeadHttpProxy, subject, None),
        (34, "export HTTPS_PROXY=http://proxy:1".to_owned())
    );
}

#[test]
fn a_value_of_go_env_w_that_is_hidden() {
    let hidden = Machine::new().go_env("GOPROXY=https://good.example.com\n");
    assert_eq!(unreachable(&hidden), (40, "unset GOPROXY".to_owned()));
    let good = Instead::ModuleProxy(Url::parse("https://good.example.com").unwrap());
    let subject = || Subject::Host("mod.example.com".to_owned());
    assert_eq!(after(&hidden, Cause::HostNotFound, subject(), Some((good, false))).0, 1);
    let same = Machine::new().go_env("GOPROXY=https://mod.example.com,direct\n");
    assert_eq!(unreachable(&same).0, 1);
}

#[test]
fn private_modules_that_only_the_proxy_has() {
    let machine = Machine::new().with("GOPRIVATE", "corp.example.com");
    let subject = || Subject::Host("corp.example.com".to_owned());
    let fix = "go env -w GONOPROXY=none".to_owned();
    assert_eq!(after(&machine, Cause::HostNotFound, subject(), None), (44, fix));
    // Nobody outside has it.
    let public = machine.with("GOPROXY", "https://proxy.golang.org");
    assert_eq!(after(&public, Cause::HostNotFound, subject(), None).0, 1);
}

#[test]
fn patterns_that_do_not_match() {
    let module = || Subject::Module("corp.example.com/Team/x".to_owned());
    let machine = Machine::new().go_env("GOPRIVATE=https://corp.example.com\n");
    let fix = "go env -w GOPRIVATE=corp.example.com".to_owned();
    assert_eq!(after(&machine, Cause::PrivateModulePublicProxy, module(), None), (45, fix));
    let other = Machine::new().with("GOPRIVATE", "other.example.org");
    assert_eq!(after(&other, Cause::PrivateModulePublicProxy, module(), None).0, 42);
}

#[test]
fn what_no_proxy_has_is_fetched_by_git() {
    let module = || Subject::Module("corp.example.com/Team/x".to_owned());
    let machine = Machine::new().with("GOPROXY", "https://mod.example.com,direct");
    assert_eq!(after(&machine, Cause::NoSuchVersion, module(), None).0, 63);
    machine.remove("bin/git");
    assert_eq!(after(&machine, Cause::NoSuchVersion, module(), None).0, 46);
}
