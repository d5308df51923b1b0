//! The controller without its listener: what is asked for, and what comes back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;
use tradewind_core::{Secret, UnixMillis};
use tradewind_decide::rules::Meta;
use tradewind_door::Response;
use tradewind_egress::{Egress, EgressSettings, Roots, Spawner};
use tradewind_policy::ways::{Cors, Ways as Spec};
use tradewind_policy::{Problems, Root};
use tradewind_runtime::{Supervisor, SystemClock};
use tradewind_ways::{Begun, Kept, Level, Needs, Ways};

use super::controller::{Controller, ControllerNeeds, ControllerSettings, NewDocument};
use super::frames::Closing;
use super::router;

const DOCUMENT: &str = r"
proxies:
  - {name: h, type: http, server: 127.0.0.1, port: 1}
  - {name: 'dead/x é', type: socks5, server: 127.0.0.1, port: 1, udp: true}
  - {name: v, type: vmess, server: a, port: 1, uuid: 00000000-0000-0000-0000-000000000000, alterId: 0, cipher: auto}
proxy-providers:
  inl: {type: inline, payload: [{name: p1, type: socks5, server: 127.0.0.1, port: 1}]}
rule-providers:
  rp: {type: inline, behavior: domain, payload: ['+.x.test']}
networks: [{name: office, match: {ssid: corp}}]
proxy-groups:
  - {name: out, type: select, proxies: [DIRECT, h, auto], network-policy: {office: h, default: DIRECT}}
  - {name: auto, type: url-test, proxies: [h, DIRECT], url: 'http://127.0.0.1:1/', interval: 300}
  - {name: lb, type: load-balance, proxies: [DIRECT], url: 'http://127.0.0.1:1/', hidden: true, icon: x}
  - {name: su, type: select, use: [inl]}
rules: ['RULE-SET,rp,out', 'MATCH,out']
";

/// A controller over real ways out, in a folder of its own.
pub(super) struct Rig {
    pub(super) controller: Controller,
    ways: Ways,
    asked: Arc<Mutex<Vec<NewDocument>>>,
    open: watch::Sender<()>,
    #[expect(dead_code, reason = "it is there as long as the test")]
    folder: tempfile::TempDir,
}

fn settings(secret: Option<&str>) -> ControllerSettings {
    let secret = secret.map(|secret| Secret::new(secret.to_owned()));
    ControllerSettings { secret, cors: Cors::default(), ui: None }
}

fn spec(text: &str) -> Spec {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| None, &[], &mut problems);
    let spec = Spec::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test", text));
    spec
}

pub(super) fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let egress = Egress::new(clock.clone(), Spawner::new(|_| {}), EgressSettings::default());
    let needs = Needs {
        clock,
        egress,
        supervisor: Supervisor::new(),
        roots: Roots::system(),
        folder: folder.path().to_owned(),
        base: folder.path().to_owned(),
    };
    let (ways, _) = Ways::start(spec(DOCUMENT), needs, Kept::default()).unwrap();
    let asked: Arc<Mutex<Vec<NewDocument>>> = Arc::default();
    let inbound = Arc::new(Mutex::new(ways.set().spec.inbound.clone()));
    let (shown, reloaded) = (inbound.clone(), asked.clone());
    let needs = ControllerNeeds {
        ways: ways.clone(),
        home: folder.path().to_owned(),
        inbound: Box::new(move || shown.lock().clone()),
        set_inbound: Box::new(move |next| {
            if next.mixed_port == Some(1) {
                return Err("port 1 is taken".to_owned());
            }
            *inbound.lock() = next;
            Ok(())
        }),
        reload: Box::new(move |document| {
            let wrong = matches!(&document, NewDocument::Text(text) if text == "wrong");
            reloaded.lock().push(document);
            if wrong { Err("line 1: wrong".to_owned()) } else { Ok(()) }
        }),
    };
    let controller = Controller::new(needs, settings(None));
    Rig { controller, ways, asked, open: watch::Sender::new(()), folder }
}

impl Rig {
    async fn send(&self, request: Request<Full<Bytes>>) -> Response {
        let locked = self.controller.inner().locked.subscribe();
        let closing = Closing { closed: self.open.subscribe(), locked };
        let mut socket = None;
        let response = router::answer(&self.controller, request, &closing, &mut socket).await;
        assert_eq!(socket.is_some(), response.status() == 101);
        response
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let response = self.send(request.body(Full::from(body.to_owned())).unwrap()).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}

#[tokio::test]
async fn members_are_selected_by_hand() {
    let rig = rig();
    let put = async |group: &str, body: &str| rig.ask("PUT", &format!("/proxies/{group}"), body).await;
    assert_eq!(put("out", r#"{"name":"h"} and more"#).await, (204, Value::Null));
    assert_eq!(rig.get("/proxies/out").await["now"], "h");
    let not_there = message("Selector update error: proxy not exist");
    assert_eq!(put("out", r#"{"name":"zz"}"#).await, (400, not_there.clone()));
    assert_eq!(put("out", "{}").await, (400, not_there));
    for wrong in ["", "{", "[]", r#"{"name":1}"#] {
        assert_eq!(put("out", wrong).await, (400, message("Body invalid")), "{wrong}");
    }
    assert_eq!(put("lb", r#"{"name":"h"}"#).await, (400, message("Must be a Selector")));
    assert_eq!(put("h", r#"{"name":"h"}"#).await, (400, message("Must be a Selector")));
    assert_eq!(put("zz", "{").await, (404, message("Resource not found")));
    assert_eq!(put("auto", r#"{"name":"h"}"#).await, (204, Value::Null));
    assert_eq!(rig.get("/group/auto").await["fixed"], "h");
    assert_eq!(rig.ask("DELETE", "/proxies/auto", "").await.0, 204);
    assert_eq!(rig.get("/proxies/auto").await["fixed"], "");
    assert_eq!(rig.ask("DELETE", "/proxies/out", "").await, (400, message("Body invalid")));
    assert_eq!(rig.ask("DELETE", "/proxies/zz", "").await.0, 404);
}

#[tokio::test]
async fn proxies_have_the_fields_of_their_kind_in_order() {
    let rig = rig();
    let response = rig.send(Request::get("/proxies").body(Full::default()).unwrap()).await;
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.ends_with("}\n"));
    let group = r#""out":{"alive":true,"all":["DIRECT","h","auto"],"dialer-proxy":"","emptyFallback":"COMPATIBLE","extra":{},"hidden":false,"history":[],"icon":"","interface":"","mptcp":false,"name":"out","now":"DIRECT","provider-name":"","routing-mark":0,"smux":false,"testUrl":"","tfo":false,"type":"Selector","udp":true,"uot":false,"xudp":false}"#;
    assert!(text.contains(group), "{text}");
    let names: Vec<String> = rig.get("/proxies").await["proxies"].as_object().unwrap().keys().cloned().collect();
    for name in ["COMPATIBLE", "DIRECT", "GLOBAL", "PASS", "PASS-RULE", "REJECT", "REJECT-DROP", "dead/x é", "lb"] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    assert!(!names.iter().any(|known| known == "p1"), "it is in its list");
    let lb = rig.get("/proxies/lb").await;
    assert_eq!((&lb["now"], &lb["hidden"], &lb["icon"]), (&Value::Null, &json!(true), &json!("x")));
    assert_eq!(rig.get("/proxies/dead%2Fx%20%C3%A9").await["type"], "Socks5");
    assert_eq!(rig.get("/proxies/v").await["alive"], false, "what is not built is never alive");
    assert_eq!(rig.get("/proxies/PASS").await["type"], "Pass");
    assert_eq!(rig.get("/providers/proxies/inl/p1").await["provider-name"], "inl");
    assert_eq!(rig.get("/group").await["proxies"].as_array().unwrap().len(), 5);
    let lists = rig.get("/providers/proxies").await;
    let lists: Vec<&String> = lists["providers"].as_object().unwrap().keys().collect();
    assert_eq!(lists, ["auto", "default", "inl", "lb", "out"]);
}

#[tokio::test]
async fn the_mode_and_the_ports_are_changed_together_or_not_at_all() {
    let rig = rig();
    let patch = async |body: &str| rig.ask("PATCH", "/configs", body).await;
    assert_eq!(patch(r#"{"mode":"global","mixed-port":7,"log-level":"debug"}"#).await.0, 204);
    let configs = rig.get("/configs").await;
    assert_eq!((&configs["mode"], &configs["mixed-port"]), (&json!("global"), &json!(7)));
    assert_eq!(configs["log-level"], "debug");
    assert_eq!(patch(r#"{"mode":"direct","mixed-port":1}"#).await, (400, message("port 1 is taken")));
    assert_eq!(patch(r#"{"mixed-port":8,"mode":"zz"}"#).await, (400, message("Body invalid")));
    let configs = rig.get("/configs").await;
    assert_eq!((&configs["mode"], &configs["mixed-port"]), (&json!("global"), &json!(7)));
}

#[tokio::test]
async fn another_document_is_handed_on() {
    let rig = rig();
    assert_eq!(rig.ask("PUT", "/configs?force=true", "{}").await.0, 204);
    assert_eq!(rig.ask("PUT", "/configs", r#"{"payload":"wrong"}"#).await, (400, message("line 1: wrong")));
    assert_eq!(rig.ask("PUT", "/configs", "").await, (400, message("Body invalid")));
    assert_eq!(*rig.asked.lock(), [NewDocument::Again, NewDocument::Text("wrong".to_owned())]);
}

#[tokio::test]
async fn the_secret_is_asked_for() {
    let rig = rig();
    rig.controller.set(settings(Some("s3")));
    let status = async |request: http::request::Builder| {
        rig.send(request.body(Full::default()).unwrap()).await.status().as_u16()
    };
    let get = |path: &str| Request::get(path);
    assert_eq!(status(get("/version").header("authorization", "Bearer s3")).await, 200);
    for wrong in ["Bearer s4", "Bearer ", "s3", "Bearer s3 ", "Basic s3"] {
        assert_eq!(status(get("/version").header("authorization", wrong)).await, 401, "{wrong}");
    }
    assert_eq!(status(get("/version")).await, 401);
    assert_eq!(status(get("/version?token=s3")).await, 401, "only for websockets");
    let socket = |path: &str| {
        let request = get(path).header("upgrade", "websocket").header("connection", "upgrade");
        request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    assert_eq!(status(socket("/traffic?token=s3")).await, 101);
    assert_eq!(status(socket("/traffic?token=s4")).await, 401);
    assert_eq!(status(socket("/traffic").header("authorization", "Bearer s3")).await, 101);
    assert_eq!(status(socket("/version?token=s3")).await, 200, "which is no stream");
    assert_eq!(status(get("/nothing")).await, 404, "told to everybody");
    assert_eq!(status(Request::post("/version")).await, 405);
    assert_eq!(status(Request::post("/proxies")).await, 401);
    assert_eq!(status(get("/ui/")).await, 404, "needs no secret, but there is none");
    let preflight =
        Request::options("/proxies").header("origin", "http://a").header("access-control-request-method", "PUT");
    assert_eq!(status(preflight).await, 200);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_where_origins_are_named() {
    let rig = rig();
    let cors = Cors { origins: vec!["http://good.test".to_owned()], private_network: false };
    rig.controller.set(ControllerSettings { cors, ..settings(None) });
    let put = |origin: &str| {
        let request = Request::put("/proxies/out").header("origin", origin).header("host", "127.0.0.1:9090");
        request.body(Full::from(r#"{"name":"h"}"#)).unwrap()
    };
    assert_eq!(rig.send(put("http://evil.test")).await.status(), 403);
    assert_eq!(rig.get("/proxies/out").await["now"], "DIRECT", "nothing was done");
    let allowed = rig.send(put("http://good.test")).await;
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "http://good.test");
    let preflight = Request::options("/proxies").header("origin", "http://good.test");
    let preflight = preflight
        .header("access-control-request-method", "put")
        .header("access-control-request-headers", "content-type, Authorization")
        .header("access-control-request-private-network", "true");
    let answer = rig.send(preflight.body(Full::default()).unwrap()).await;
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], "PUT");
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], "Content-Type, Authorization");
    assert!(!answer.headers().contains_key("access-control-allow-private-network"));
}

#[tokio::test]
async fn rules_are_switched_and_counted() {
    let rig = rig();
    let rules = rig.get("/rules").await;
    let extra = json!({"disabled": false, "hitCount": 0, "hitAt": "1970-01-01T00:00:00Z", "missCount": 0, "missAt": "1970-01-01T00:00:00Z"});
    let first = json!({"index": 0, "type": "RuleSet", "payload": "rp", "proxy": "out", "size": -1, "extra": extra});
    assert_eq!(rules["rules"][0], first);
    let switch = async |body: &str| rig.ask("PATCH", "/rules/disable", body).await.0;
    assert_eq!(switch(r#"{"0":true,"99":true,"-1":true}"#).await, 204);
    assert_eq!(rig.get("/rules").await["rules"][0]["extra"]["disabled"], true);
    for wrong in [r#"{"0":false,"x":true}"#, r#"{"0":0}"#, "[]", ""] {
        assert_eq!(switch(wrong).await, 400, "{wrong}");
    }
    assert_eq!(rig.get("/rules").await["rules"][0]["extra"]["disabled"], true, "wrong bodies change nothing");
    let list = &rig.get("/providers/rules").await["providers"]["rp"];
    let shown = json!({"behavior": "Domain", "format": "", "name": "rp", "ruleCount": 1, "type": "Rule", "vehicleType": "Inline", "updatedAt": list["updatedAt"], "payload": ["+.x.test"]});
    assert_eq!(*list, shown);
    assert_eq!(rig.ask("PUT", "/providers/rules/rp", "").await.0, 204);
    assert_eq!(rig.ask("PUT", "/providers/rules/zz", "").await.0, 404);
}

fn begun() -> Begun {
    let inbound_ip = Some("127.0.0.7".parse().unwrap());
    let host = Some(Arc::from("a.test"));
    let meta = Meta { host, destination_port: 443, source_port: 5, inbound_ip, ..Meta::default() };
    let chain = [Arc::from("p1"), Arc::from("su")].into_iter().collect();
    Begun { meta, remote: None, since: UnixMillis(1_500), chain, rule: "Match", payload: Arc::from("") }
}

#[tokio::test]
async fn connections_are_listed_and_closed() {
    let rig = rig();
    assert_eq!(rig.get("/connections").await["connections"], Value::Null);
    let open = rig.ways.connections().enter(begun());
    open.upload(3);
    open.download(4);
    let all = rig.get("/connections").await;
    assert_eq!((&all["uploadTotal"], &all["downloadTotal"]), (&json!(3), &json!(4)));
    let one = &all["connections"][0];
    assert_eq!(one["metadata"]["host"], "a.test");
    assert_eq!(one["metadata"]["destinationPort"], "443");
    assert_eq!(one["metadata"]["inboundIP"], "127.0.0.7");
    assert_eq!(one["start"], "1970-01-01T00:00:01.5Z");
    assert_eq!((&one["chains"], &one["providerChains"]), (&json!(["p1", "su"]), &json!(["inl", ""])));
    let id = one["id"].as_str().unwrap();
    assert_eq!(rig.ask("DELETE", "/connections/zz", "").await.0, 204);
    assert_eq!(rig.ask("DELETE", &format!("/connections/{id}"), "").await.0, 204);
    tokio::time::timeout(Duration::from_secs(5), open.connection().closed()).await.unwrap();
    let other = rig.ways.connections().enter(begun());
    assert_eq!(rig.ask("DELETE", "/connections", "").await.0, 204);
    tokio::time::timeout(Duration::from_secs(5), other.connection().closed()).await.unwrap();
}

/// The next line of a stream.
async fn line(body: &mut tradewind_door::Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(60), body.frame()).await.unwrap()?;
    let data = frame.unwrap().into_data().unwrap();
    assert!(data.ends_with(b"\n"));
    Some(serde_json::from_slice(&data).unwrap())
}

#[tokio::test(start_paused = true)]
async fn streams_tell_a_line_each_and_end_with_the_server() {
    let rig = rig();
    let stream = async |path: &str| {
        let response = rig.send(Request::get(path).body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), 200);
        response.into_body()
    };
    let mut traffic = stream("/traffic").await;
    let open = rig.ways.connections().enter(begun());
    open.upload(5);
    assert_eq!(line(&mut traffic).await, Some(json!({"up": 5, "down": 0, "upTotal": 5, "downTotal": 0})));
    assert_eq!(line(&mut traffic).await, Some(json!({"up": 0, "down": 0, "upTotal": 5, "downTotal": 0})));
    let mut memory = stream("/memory").await;
    assert_eq!(line(&mut memory).await, Some(json!({"inuse": 0, "oslimit": 0})));
    let mut logs = stream("/logs").await;
    let mut structured = stream("/logs?level=debug&format=structured").await;
    let mut silent = stream("/logs?level=silent").await;
    for level in [Level::Debug, Level::Warning] {
        rig.ways.logs().tell(level, UnixMillis(3_661_000), || level.name().to_owned());
    }
    assert_eq!(line(&mut logs).await, Some(json!({"type": "warning", "payload": "warning"})));
    let shown = json!({"time": "01:01:01", "level": "debug", "message": "debug", "fields": []});
    assert_eq!(line(&mut structured).await, Some(shown));
    assert_eq!(rig.ask("GET", "/logs?level=zz", "").await, (400, message("Body invalid")));
    drop(rig.open);
    for body in [&mut traffic, &mut memory, &mut logs, &mut silent] {
        assert_eq!(line(body).await, None);
    }
}

#[tokio::test]
async fn streams_of_an_old_secret_end() {
    let rig = rig();
    let response = rig.send(Request::get("/logs").body(Full::default()).unwrap()).await;
    let mut body = response.into_body();
    rig.controller.set(settings(None));
    rig.controller.set(settings(Some("new")));
    assert_eq!(line(&mut body).await, None);
}

#[tokio::test]
async fn the_network_is_told_and_asked_for() {
    let rig = rig();
    let path = "/network/context";
    let office = r#"{"version":1,"interfaces":[{"name":"wlan0","ssid":"corp"}]}"#;
    let (status, answer) = rig.ask("PUT", path, office).await;
    assert_eq!((status, &answer["matched_network"]), (200, &json!("office")));
    assert_eq!(answer["applied"][0]["applied_proxy"], "h");
    assert_eq!(rig.get(path).await["groups"][0]["selection_source"], "auto");
    assert_eq!(rig.get("/network/explain").await["origin"], "pushed");
    let (status, answer) = rig.ask("PUT", path, r#"{"version":2,"interfaces":[]}"#).await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_version")));
    let large = " ".repeat(tradewind_decide::network::MOST_BYTES + 1);
    let (status, answer) = rig.ask("PUT", path, &large).await;
    assert_eq!((status, &answer["code"]), (400, &json!("malformed_body")));
    for method in ["POST", "HEAD", "PATCH"] {
        assert_eq!(rig.ask(method, path, "").await.0, 405, "{method}");
    }
    assert_eq!(rig.ask("DELETE", path, "").await.0, 204);
    let (status, nothing) = rig.ask("GET", path, "").await;
    assert_eq!((status, &nothing["context"], &nothing["expires_at"]), (200, &Value::Null, &Value::Null));
    assert_eq!(rig.get("/network/explain").await["origin"], Value::Null);
    let without = rig.ways.prepare(spec("proxies: []")).unwrap();
    rig.ways.put_in_place(without);
    for body in [office, "{", &large] {
        let (status, answer) = rig.ask("PUT", path, body).await;
        assert_eq!((status, &answer["code"]), (503, &json!("internal_error")));
    }
    assert_eq!(rig.ask("GET", path, "").await.0, 200);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let rig = rig();
    let large = format!("\"{}\"", "a".repeat(super::answer::LARGEST_BODY));
    for (method, path) in [("PUT", "/configs"), ("PATCH", "/configs"), ("PUT", "/storage/x"), ("PUT", "/proxies/out")] {
        assert_eq!(rig.ask(method, path, &large).await.0, 413, "{method} {path}");
    }
    assert_eq!(rig.ask("PUT", "/storage/a%2Fb", "[1, 2 ]").await.0, 204);
    assert_eq!(rig.get("/storage/a%2Fb").await, json!([1, 2]));
    assert_eq!(rig.ask("PUT", "/storage/x", "1 2").await, (400, message("Body invalid")));
    assert_eq!(rig.ask("DELETE", "/storage/a%2Fb", "").await.0, 204);
    assert_eq!(rig.get("/storage/a%2Fb").await, Value::Null);
}

#[tokio::test]
async fn tests_fail_in_mihomos_words() {
    let rig = rig();
    let ask = async |path: &str| rig.ask("GET", path, "").await;
    for wrong in ["", "?url=http://a/", "?timeout=x", "?timeout=99999", "?timeout=5&expected=x"] {
        assert_eq!(ask(&format!("/proxies/h/delay{wrong}")).await, (400, message("Body invalid")), "{wrong}");
        assert_eq!(ask(&format!("/group/out/delay{wrong}")).await, (400, message("Body invalid")), "{wrong}");
    }
    let failed = message("An error occurred in the delay test");
    assert_eq!(ask("/proxies/h/delay?timeout=500&url=zz").await, (503, failed.clone()));
    assert_eq!(ask("/proxies/h/delay?timeout=500&url=http://127.0.0.1:1/").await, (503, failed));
    assert_eq!(ask("/proxies/h/delay?timeout=0&url=http://127.0.0.1:1/").await, (504, message("Timeout")));
    let none = message("get delay: all proxies timeout");
    assert_eq!(ask("/group/out/delay?timeout=500&url=http://127.0.0.1:1/").await, (504, none.clone()));
    assert_eq!(ask("/group/out/delay?timeout=-1&url=zz").await, (504, none));
    assert_eq!(ask("/group/h/delay?timeout=5").await.0, 404);
    assert_eq!(ask("/dns/query?name=a").await, (500, message("DNS section is disabled")));
    assert_eq!(rig.ask("POST", "/restart", "").await.0, 500);
    assert!(!Path::new("/restart").exists());
}

fn methods() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["GET", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS", "TRACE", "X"])
}

fn paths() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "proxies",
        "group",
        "providers",
        "rules",
        "configs",
        "connections",
        "network",
        "context",
        "explain",
        "storage",
        "cache",
        "dns",
        "query",
        "ui",
        "delay",
        "healthcheck",
        "out",
        "auto",
        "lb",
        "inl",
        "p1",
        "disable",
        "logs",
        "traffic",
        "%2e%2e",
        "..",
        "",
        "%zz",
        "%",
        "é",
        "a b",
        "GLOBAL",
        "default",
        "restart",
        "upgrade",
        "geo",
        "flush",
    ]);
    let queries = prop::sample::select(vec![
        "",
        "?",
        "?timeout=1&url=zz",
        "?timeout=-1",
        "?level=%ff",
        "?interval=-9&token=%",
        "?name=%00&type=AAAA",
        "?=&=",
    ]);
    (prop::collection::vec(parts, 0..6), queries).prop_map(|(parts, query)| format!("/{}{query}", parts.join("/")))
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        r#"{"name":"h"}"#,
        r#"{"mode":"rule","mixed-port":7}"#,
        r#"{"payload":"x","path":"/etc"}"#,
        r#"{"0":true}"#,
        r#"{"version":1,"interfaces":[{"name":"x","ssid":"corp"}],"ttl":1}"#,
        "null",
        "[[[[",
        "",
    ]);
    prop_oneof![known.prop_map(|text| text.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Nothing that comes in makes the controller fail by itself.
    #[test]
    fn every_request_has_an_answer(requests in prop::collection::vec((methods(), paths(), bodies(), any::<[bool; 3]>()), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let rig = rig();
            for (method, path, body, [socket, origin, whole]) in requests {
                let mut request = Request::builder().method(method).uri(&path);
                if socket {
                    request = request.header("upgrade", "websocket").header("connection", "upgrade");
                }
                if whole {
                    request = request.header("sec-websocket-version", "13");
                    request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
                }
                if origin {
                    request = request.header("origin", "null").header("access-control-request-method", "PUT");
                }
                // What is no URI never comes so far.
                let Ok(request) = request.body(Full::from(body)) else { continue };
                let response = rig.send(request).await;
                let status = response.status().as_u16();
                prop_assert!(
                    [101, 200, 204, 307, 400, 404, 405, 413, 426, 500, 503, 504].contains(&status),
                    "{} {}: {}", method, path, status
                );
            }
            Ok(())
        })?;
    }
}
