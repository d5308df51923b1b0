//! The network: who may say what it looks like, and what comes of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use tradewind_decide::network::{Context, PutAnswer, Why};
use tradewind_egress::{Http2, Origin as Server, RequestBody, Roots};
use tradewind_ways::Origin;

use crate::support::{PATIENCE, Rig, answer, eventually, head, proxies, serve, write};

const NETWORKS: &str = "networks:\n  - {name: office, match: {ssid: corp}}\n  - {name: home, match: {ssid: home}}\n";

fn context(ssid: &str, ttl: &str) -> String {
    format!(r#"{{"version":1,"interfaces":[{{"name":"wlan0","iface_type":"wifi","ssid":"{ssid}"}}]{ttl}}}"#)
}

impl Rig {
    fn push(&self, ssid: &str, ttl: &str) -> PutAnswer {
        self.ways.put_context(context(ssid, ttl).as_bytes()).unwrap()
    }

    fn sample(&self, ssid: &str) -> Option<PutAnswer> {
        self.ways.put_sample(Context::parse(context(ssid, "").as_bytes()).unwrap(), Vec::new())
    }

    /// What the network is taken for, and who said so.
    fn network(&self) -> (Option<String>, Option<Origin>) {
        (self.ways.network_name().map(|name| name.to_string()), self.ways.explain_context().map(|(_, origin)| origin))
    }
}

fn following() -> String {
    format!(
        "{}proxy-groups:\n  - {{name: g, type: select, proxies: [a, b], network-policy: {{office: b, default: a}}}}\n{NETWORKS}",
        proxies(&["a", "b"])
    )
}

#[tokio::test(start_paused = true)]
async fn a_pushed_context_wins_until_its_time_is_over() {
    let rig = Rig::start(&following());
    rig.ways.keep_up();
    assert!(rig.sample("home").is_some());
    assert_eq!(rig.network(), (Some("home".to_owned()), Some(Origin::Sampled)));
    rig.push("corp", r#","ttl":60"#);
    let office = (Some("office".to_owned()), Some(Origin::Pushed));
    assert_eq!((rig.network(), &*rig.uses("g")), (office.clone(), "b"));
    assert!(rig.sample("home").is_none(), "it is not heard");
    assert_eq!((rig.network(), &*rig.uses("g")), (office.clone(), "b"));

    // Renewed before its end, it stays beyond it.
    tokio::time::sleep(Duration::from_secs(59)).await;
    rig.push("corp", r#","ttl":60"#);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(rig.sample("home").is_none());
    assert_eq!(rig.network(), office);
    let freed = tokio::time::timeout(Duration::from_secs(2), rig.ways.context_freed()).await;
    assert!(freed.is_ok(), "whoever samples is told");
    assert_eq!((rig.network(), &*rig.uses("g")), ((None, None), "b"), "the group stays where it is");
    assert!(rig.sample("home").is_some());
    assert_eq!((rig.network().1, &*rig.uses("g")), (Some(Origin::Sampled), "a"));
}

#[tokio::test(start_paused = true)]
async fn a_pushed_context_wins_until_it_is_deleted() {
    let rig = Rig::start(&following());
    rig.ways.keep_up();
    rig.push("corp", "");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(rig.sample("home").is_none(), "without a time to live it stays");
    rig.ways.delete_context();
    tokio::time::timeout(Duration::from_secs(1), rig.ways.context_freed()).await.unwrap();
    assert_eq!((rig.network(), &*rig.uses("g")), ((None, None), "b"));
    assert!(rig.sample("home").is_some());
    assert_eq!(rig.uses("g"), "a");
}

#[tokio::test]
async fn to_select_what_is_used_already_holds_against_the_policy() {
    let rig = Rig::start(&following());
    rig.push("corp", "");
    assert_eq!(rig.uses("g"), "b");
    rig.ways.select("g", "b").unwrap();
    assert_eq!(rig.push("corp", "").applied[0].reason, Why::ManualLocked);
    let rig = rig.restart(&following());
    assert_eq!(rig.push("corp", "").applied[0].reason, Why::ManualLocked, "a restart forgets it not");
    // Another network is another matter.
    assert_eq!(rig.push("home", "").applied[0].reason, Why::Default);
    assert_eq!(rig.uses("g"), "a");
}

#[tokio::test]
async fn what_a_policy_selects_by_chance_again_is_remembered() {
    // The first member is what the policy wants: nothing moves, and it is kept all the same.
    let rig = Rig::start(&following());
    assert_eq!(rig.uses("g"), "a");
    let rig = rig.restart(&following().replace("proxies: [a, b]", "proxies: [b, a]"));
    assert_eq!(rig.uses("g"), "a");
}

#[tokio::test]
async fn a_policy_waits_for_the_member_that_a_list_brings() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "own.yaml", &proxies(&["x"]));
    let rig = Rig::start_in(
        folder,
        &format!(
            "proxy-providers: {{own: {{type: file, path: own.yaml}}}}\nproxy-groups:\n  \
             - {{name: g, type: select, proxies: [DIRECT], use: [own], network-policy: {{office: late, default: DIRECT}}}}\n{NETWORKS}"
        ),
    );
    let row = rig.push("corp", "").applied.remove(0);
    assert_eq!(
        (row.reason, row.target_proxy.as_deref(), &*rig.uses("g")),
        (Why::MissingTarget, Some("late"), "DIRECT")
    );
    rig.write("own.yaml", &proxies(&["x", "late"]));
    rig.ways.update_provider("own").await.unwrap().unwrap();
    assert_eq!(rig.uses("g"), "late", "nobody had to say it again");
}

#[tokio::test]
async fn idle_connections_are_closed_when_the_network_is_another() {
    // A proxy for plain requests that counts the connections that its callers hold.
    let proxy = serve(|mut socket, counted| async move {
        counted.open.fetch_add(1, Ordering::SeqCst);
        while head(&mut socket).await.is_some() {
            counted.asked.fetch_add(1, Ordering::SeqCst);
            answer(&mut socket, "200 OK", "hello").await;
        }
        counted.open.fetch_sub(1, Ordering::SeqCst);
    })
    .await;
    let rig = Rig::start(&format!(
        "proxies: [{{name: corp, type: http, server: 127.0.0.1, port: {}}}]\n\
         proxy-groups: [{{name: g, type: select, proxies: [corp]}}]\n{NETWORKS}",
        proxy.address.port()
    ));
    let egress = rig.ways.egress().clone();
    let origin = Server::parse("http://a.test").unwrap();
    let route = egress.route(origin, Http2::Never, &Roots::none(), "", Some(&"g".into()));
    let ask = async || {
        let got = route.send(&|| Request::new(RequestBody::default()), PATIENCE, true, 0).await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_bytes(), "hello");
    };
    let held = || (egress.idle_connections(), proxy.counted.open.load(Ordering::SeqCst));
    rig.push("corp", "");
    ask().await;
    ask().await;
    assert_eq!(held(), (1, 1), "the second used the first's");
    rig.push("corp", "");
    assert_eq!(held(), (1, 1), "the same network is no change");
    rig.push("home", "");
    eventually("the connection is closed", || (held() == (0, 0)).then_some(())).await;
    ask().await;
    assert_eq!(held(), (1, 1));
}
