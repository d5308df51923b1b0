//! Module proxies that are found elsewhere than GOPROXY has them, and other versions.

use super::elsewhere::may_be_told;
use super::testing::*;

const PAGE: &str = "<html><title>Sign in</title></html>";

fn first(rig: &Rig) -> (u8, String) {
    let report = rig.report();
    let first = report.findings.first().unwrap_or_else(|| panic!("nothing is found: {report:?}"));
    (first.cause.number(), first.fix.text.clone())
}

/// What a healthy proxy answers below `prefix`; `None` for what is elsewhere.
fn below(prefix: &str, head: &str) -> Option<Vec<u8>> {
    let rest = path(head).strip_prefix(prefix)?;
    Some(healthy(&format!("GET {rest} HTTP/1.1")))
}

#[test]
fn the_page_of_a_repository_leads_to_the_repository() {
    let page = || answer("200 OK", "Content-Type: text/html\r\n", PAGE);
    let server = Server::http(move |head| below("/artifactory/api/go/all", head).unwrap_or_else(page));
    let place = |path: &str| format!("{}/artifactory/{path}", server.url("http"));
    let (cause, fix) = first(&Rig::new(&place("all")));
    assert_eq!((cause, fix), (14, format!("export GOPROXY={}", place("api/go/all"))));
    // A repository that is not there is not offered.
    let (cause, fix) = first(&Rig::new(&place("other")));
    assert_eq!((cause, fix.contains("log in")), (14, true), "{fix}");
}

#[test]
fn a_redirect_that_forgets_tls_says_where_the_proxy_is() {
    let tls = Tls::usual();
    let moved = |head: &str| {
        let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default().to_owned();
        answer("302 Found", &format!("Location: http://{host}/go{}\r\n", path(head)), "")
    };
    let server = Server::https(&tls, move |head| below("/go", head).unwrap_or_else(|| moved(head)));
    let (cause, fix) = first(&Rig::new(&server.local("https")).trusting(&tls));
    assert_eq!((cause, fix), (15, format!("export GOPROXY={}/go", server.local("https"))));
}

#[test]
fn a_version_that_may_not_be_given_has_a_next_one() {
    for (status, cause) in [("451 Unavailable For Legal Reasons", 66), ("403 Forbidden", 18)] {
        let server = |newer: &'static str| {
            Server::http(move |head: &str| match path(head) {
                asked if asked.contains(VERSION) => answer(status, "Content-Type: text/plain\r\n", "no"),
                asked if asked.ends_with("/@v/list") => {
                    answer("200 OK", "", format!("v1.5.1\n{VERSION}\n{newer}\nv1.6.0-rc.1\n"))
                }
                asked if asked.contains(newer) => healthy(&head.replace(newer, VERSION)),
                _ => healthy(head),
            })
        };
        let newer = server("v1.5.10");
        let found = first(&Rig::new(&newer.url("http")));
        assert_eq!(found, (cause, format!("go mod edit -require={MODULE}@v1.5.10")));
        // An older one, or one of a later test, is nobody's to choose but a person's.
        let older = server("v1.4.0");
        let report = Rig::new(&older.url("http")).report();
        assert_eq!(report.findings[0].cause.number(), cause);
        assert!(!report.findings[0].fix.is_automatic(), "{report:?}");
    }
}

#[test]
fn modules_that_may_be_private_are_told_to_nobody_else() {
    let told = |gosumdb: &str, private: &str, module: &str| {
        let rig = Rig::new("https://mod.test").set("GOSUMDB", gosumdb).set("GOPRIVATE", private);
        let rig = rig.file("go.mod", format!("module test.example/app\n\nrequire {module} {VERSION}\n"));
        let world = rig.world();
        let needed = world.settings.project.as_ref().unwrap().needed().remove(0);
        may_be_told(&world, &needed)
    };
    assert!(told("sum.golang.org", "", MODULE));
    assert!(!told("off", "", MODULE));
    assert!(!told("sum.golang.org", "example.com", MODULE));
    assert!(!told("sum.golang.org", "", "test.example/other"));
}
