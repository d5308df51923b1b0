//! A door over a store in memory, a clock that is moved by hand, and a caller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tradewind_access::{Access, Grant, Reach};
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_door::Response;
use tradewind_door_state::{Needs, StateDoor, openapi};
use tradewind_policy::{Problems, Root, Shared};
use tradewind_runtime::Stages;
use tradewind_store::suite::Memory;
use tradewind_store::{Namespace, NamespaceSettings, OnConflict, Settings, State};

const START: u64 = 1_795_294_621_000;

#[derive(Debug)]
pub(crate) struct TestClock {
    wall: AtomicU64,
    /// How far each look at the wall moves it.
    step: AtomicU64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.wall.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// From now on each look at the wall finds it so much later.
    pub(crate) fn hurry(&self, by: Duration) {
        self.step.store(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment::START + Duration::from_millis(self.wall.load(Ordering::Relaxed) - START)
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.wall.fetch_add(self.step.load(Ordering::Relaxed), Ordering::Relaxed))
    }
}

pub(crate) struct World {
    pub(crate) door: StateDoor,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Arc<Memory>,
    pub(crate) stages: Stages,
    described: Value,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The public code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn has(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), Memory::new())
    }

    /// With namespaces `short`, whose values live for a minute, `merged`, and `small`, whose values have 100 bytes at most.
    pub(crate) fn with_rules() -> Self {
        let mut namespaces = BTreeMap::new();
        let mut add = |name: &str, settings| namespaces.insert(Namespace::parse(name).unwrap(), settings);
        add("short", NamespaceSettings { ttl: Some(Duration::from_secs(60)), ..NamespaceSettings::default() });
        add("merged", NamespaceSettings { on_conflict: OnConflict::Merge, ..NamespaceSettings::default() });
        add("small", NamespaceSettings { max_value: Some(100), keep: Some(2), ..NamespaceSettings::default() });
        Self::with(Settings { namespaces, max_value: 1000, ..Settings::default() }, Memory::new())
    }

    pub(crate) fn with(settings: Settings, store: Memory) -> Self {
        let clock = Arc::new(TestClock { wall: AtomicU64::new(START), step: AtomicU64::new(0) });
        let (store, stages) = (Arc::new(store), Stages::default());
        let state = State::new(store.clone(), settings.clone(), clock.clone(), None);
        let needs = Needs { clock: clock.clone(), stages: stages.clone(), records: None };
        let door = StateDoor::new(Arc::new(state), &settings, "policy", needs);
        Self { door, clock, store, stages, described: serde_json::from_str(openapi()).unwrap() }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        self.ask_as(&Grant::anyone(), method, path, headers, body).await
    }

    /// Asks, and checks that the description of the API knows the answer.
    pub(crate) async fn ask_as(
        &self,
        grant: &Grant,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answered {
        let (head, body) = self.open_as(grant, method, path, headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(crate) async fn open_as(
        &self,
        grant: &Grant,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let response = self.door.answer_here(&head, Bytes::copy_from_slice(body.as_bytes()), grant).await;
        self.is_described(method, path, &response);
        response
    }

    /// A path that the description has takes the method, and may answer with the status. Found here by segments, and not by
    /// the code that the door finds it with.
    fn is_described(&self, method: &str, path: &str, response: &Response) {
        let status = response.status().as_u16();
        let path = path.split('?').next().unwrap();
        let method = if method == "HEAD" { "get" } else { &method.to_ascii_lowercase() };
        if status == 405 {
            assert!(response.headers().contains_key("allow"), "405 without `Allow`: {path}");
            return;
        }
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let words = ["history", "diff", "fork", "pin", "prune", "restore", "handoff"];
        let template = match segments[2..] {
            ["openapi.json"] | ["handoff", "redeem"] | ["state"] => path.to_owned(),
            ["state", _] => "/api/v1/state/{namespace}".to_owned(),
            ["state", _, "watch"] => "/api/v1/state/{namespace}/watch".to_owned(),
            ["state", _, _, .., word] if words.contains(&word) => format!("/api/v1/state/{{namespace}}/{{key}}/{word}"),
            _ => "/api/v1/state/{namespace}/{key}".to_owned(),
        };
        let operation = &self.described["paths"][&template][method];
        assert!(operation.is_object(), "{method} {template} is not described");
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{status} of {method} {template} is not described");
    }

    /// Writes a JSON value that is not there yet.
    pub(crate) async fn create(&self, key: &str, json: &str) -> Answered {
        let headers = [("if-none-match", "*"), ("content-type", "application/json")];
        self.ask("PUT", &format!("/api/v1/state/{key}"), &headers, json).await.has(201)
    }

    /// Replaces a JSON value.
    pub(crate) async fn replace(&self, key: &str, rev: u64, json: &str) -> Answered {
        let tag = format!("\"{rev}\"");
        let headers = [("if-match", tag.as_str()), ("content-type", "application/json")];
        self.ask("PUT", &format!("/api/v1/state/{key}"), &headers, json).await
    }

    pub(crate) async fn read(&self, path: &str) -> Answered {
        self.ask("GET", &format!("/api/v1/state/{path}"), &[], "").await
    }
}

/// A caller whose key may use what `allow` says.
pub(crate) fn caller(name: &str, allow: &[&str]) -> Grant {
    access(name, allow).1
}

/// The same, with what the key can be revoked by.
pub(crate) fn access(name: &str, allow: &[&str]) -> (Access, Grant) {
    let secret = "0123456789abcdef0123456789abcdef";
    let text = format!("keys:\n  - {{name: {name}, secret: {secret}, allow: {allow:?}}}\n");
    let mut problems = Problems::new();
    let root = Root::parse(&text, &|_| None, &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("keys", &text));
    let access = Access::new(Reach::Loopback);
    access.set_document(&shared.keys).unwrap();
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap())]);
    let grant = access.authenticate(&headers, UnixMillis(START)).unwrap();
    (access, grant)
}
