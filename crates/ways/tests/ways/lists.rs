//! Lists of proxies and of rules: over reloads, beside each other, and after they have failed.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use crate::support::{Rig, answer, eventually, head, pages, proxies, serve, silent};

/// A document with a list of proxies and a list of rules from these servers, and a group that uses the first.
fn both(own: &str, rules: &str) -> String {
    format!(
        "proxy-providers:\n  own: {{type: http, url: 'http://{own}/own'}}\n\
         rule-providers:\n  sites: {{type: http, behavior: domain, format: text, url: 'http://{rules}/sites'}}\n\
         proxy-groups:\n  - {{name: g, type: select, use: [own]}}\nrules: ['RULE-SET,sites,g', 'MATCH,DIRECT']\n"
    )
}

#[tokio::test]
async fn lists_that_have_come_survive_a_reload() {
    let (own, _) = pages("200 OK", &proxies(&["a", "b"])).await;
    let (sites, _) = pages("200 OK", "one.test\ntwo.test\n").await;
    let document = both(&own.address.to_string(), &sites.address.to_string());
    let rig = Rig::start(&document);
    assert_eq!((rig.members("g").len(), rig.rule_count("sites")), (0, 0));
    rig.ways.keep_up();
    eventually("both have come", || (rig.members("g").len() == 2 && rig.rule_count("sites") == 2).then_some(())).await;
    // Nor is it by the copies on disk that they survive.
    for kept in ["proxies", "rules"] {
        let kept = rig.folder().join("data").join(kept);
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
        std::fs::remove_dir_all(kept).unwrap();
    }
    let asked = (own.counted.asked(), sites.counted.asked());
    rig.reload(&document.replace("MATCH,DIRECT", "MATCH,REJECT"));
    assert_eq!((rig.members("g"), rig.rule_count("sites")), (vec!["a".to_owned(), "b".to_owned()], 2));
    assert_eq!((own.counted.asked(), sites.counted.asked()), asked, "nothing was fetched anew");
    let other = document.replace("/own'", "/another'").replace("/sites'", "/others'");
    rig.reload(&other);
    assert_eq!((rig.members("g").len(), rig.rule_count("sites")), (0, 0), "other lists are other lists");
}

#[tokio::test]
async fn what_comes_between_two_documents_is_there_in_both() {
    let (own, own_page) = pages("200 OK", &proxies(&["a"])).await;
    let (sites, sites_page) = pages("200 OK", "one.test\n").await;
    let document = both(&own.address.to_string(), &sites.address.to_string());
    let rig = Rig::start(&document);
    rig.ways.update_provider("own").await.unwrap().unwrap();
    rig.ways.update_rule_list("sites").await.unwrap().unwrap();
    let prepared = rig.ways.prepare(crate::support::spec(&document)).unwrap();
    own_page.lock().1 = proxies(&["b", "c"]);
    sites_page.lock().1 = "one.test\ntwo.test\nthree.test\n".to_owned();
    rig.ways.update_provider("own").await.unwrap().unwrap();
    rig.ways.update_rule_list("sites").await.unwrap().unwrap();
    rig.ways.put_in_place(prepared);
    assert_eq!((rig.members("g"), rig.rule_count("sites")), (vec!["b".to_owned(), "c".to_owned()], 3));
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_other_list() {
    let silent = silent().await;
    let (own, _) = pages("200 OK", &proxies(&["a"])).await;
    let (sites, _) = pages("200 OK", "one.test\n").await;
    let hanging = format!("http://{}/x", silent.address);
    let document = both(&own.address.to_string(), &sites.address.to_string())
        .replace("providers:\n  own", &format!("providers:\n  hangs: {{type: http, url: '{hanging}'}}\n  own"))
        .replace(
            "providers:\n  sites",
            &format!("providers:\n  hangs: {{type: http, behavior: domain, url: '{hanging}'}}\n  sites"),
        );
    let rig = Rig::start(&document);
    rig.ways.keep_up();
    eventually("those come that can", || (rig.members("g").len() == 1 && rig.rule_count("sites") == 1).then_some(()))
        .await;
    let told = rig.provider("hangs").told();
    assert!(told.updated.is_none() && told.failed.is_none(), "it is waited for: {told:?}");
    assert_eq!(silent.counted.asked(), 2, "once for each list");
}

#[tokio::test]
async fn eight_lists_are_fetched_at_once() {
    // Nobody is answered but one after the other, when as many have asked as may.
    static GATE: Semaphore = Semaphore::const_new(0);
    let server = serve(|mut socket, counted| async move {
        while head(&mut socket).await.is_some() {
            let open = counted.open.fetch_add(1, Ordering::SeqCst) + 1;
            counted.most.fetch_max(open, Ordering::SeqCst);
            counted.asked.fetch_add(1, Ordering::SeqCst);
            GATE.acquire().await.unwrap().forget();
            counted.open.fetch_sub(1, Ordering::SeqCst);
            answer(&mut socket, "200 OK", &proxies(&["a"])).await;
        }
    })
    .await;
    let mut document = "proxy-providers:\n".to_owned();
    for list in 0..20 {
        writeln!(document, "  l{list}: {{type: http, url: 'http://{}/{list}'}}", server.address).unwrap();
    }
    let rig = Rig::start(&document);
    rig.ways.keep_up();
    for answered in 0..20 {
        let asked = (answered + 8).min(20);
        eventually("as many ask as may", || (server.counted.asked() >= asked).then_some(())).await;
        GATE.add_permits(1);
    }
    let is_there = |list: usize| rig.provider(&format!("l{list}")).told().updated.is_some();
    eventually("all come", || (0..20).all(is_there).then_some(())).await;
    assert_eq!((server.counted.asked(), server.counted.most.load(Ordering::SeqCst)), (20, 8));
}

#[tokio::test]
async fn a_file_that_is_repaired_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::write(folder.path(), "own.yaml", "proxies: [{name: broken");
    let rig = Rig::start_in(
        folder,
        "proxy-providers: {own: {type: file, path: own.yaml}}\nproxy-groups: [{name: g, type: select, use: [own]}]\n",
    );
    rig.ways.keep_up();
    // It waits to be tried again, longer than this test does.
    eventually("it has failed", || rig.provider("own").told().failed).await;
    rig.write("own.yaml", &proxies(&["a"]));
    eventually("it is read", || (rig.members("g") == ["a"]).then_some(())).await;
    assert_eq!(rig.provider("own").told().failed, None);
    rig.write("own.yaml", &proxies(&["a", "b"]));
    eventually("it is read again", || (rig.members("g") == ["a", "b"]).then_some(())).await;
}

#[tokio::test]
async fn another_document_fetches_at_once_what_has_failed() {
    let (server, page) = pages("503 Service Unavailable", "").await;
    let document = format!("proxy-providers: {{own: {{type: http, url: 'http://{}/token-7'}}}}\n", server.address);
    let rig = Rig::start(&document);
    rig.ways.keep_up();
    let failed = eventually("it has failed", || rig.provider("own").told().failed).await;
    assert!(failed.contains("503"), "{failed}");
    assert!(!failed.contains("token-7"), "whoever reads it has the subscription: {failed}");
    *page.lock() = ("200 OK", proxies(&["a"]));
    rig.reload(&format!("{document}rules: ['MATCH,DIRECT']\n"));
    eventually("it is fetched", || (rig.provider("own").nodes().len() == 1).then_some(())).await;
}
