//! What a reload must not do to calls under way, and what a gateway remembers of keys over a restart.

use std::path::PathBuf;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::BodyExt;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tradewind_access::Denied;
use tradewind_core::{UnixMillis, Usd};
use tradewind_egress::{AnswerBody, Http2, Origin, RequestBody};
use tradewind_sim::{Delay, Sim, SimOptions};

use super::*;

const LEAVING: &str = "secret-of-leaving-0123456789";
const STAYING: &str = "secret-of-staying-0123456789";

/// A folder with a certificate for 127.0.0.1.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&pair).unwrap();
        place.write("cert.pem", &certificate.pem());
        place.write("key.pem", &pair.serialize_pem());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "a test lays out its own files")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A document with these lines.
    fn document(&self, rest: &str) -> Document {
        let folder = self.0.path().display();
        let text =
            format!("listen: 127.0.0.1:0\ndata-dir: {folder}/data\n{rest}").replace("FOLDER", &folder.to_string());
        Document::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("test", &text)))
    }
}

fn bearer(secret: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Bearer {secret}")).unwrap()
}

fn ask(gateway: &Gateway, secret: &str) -> Result<(), Denied> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer(secret))]);
    gateway.access.authenticate(&headers, UnixMillis(1)).map(|_| ())
}

/// A stream of `model` over TLS, with the key of this secret.
async fn stream(gateway: &Gateway, place: &Place, secret: &str) -> AnswerBody {
    let supervisor = Supervisor::new();
    let spawner = Spawner::new(move |task| supervisor.spawn(Kind::Upkeep, task));
    let egress = Egress::new(Arc::new(SystemClock::new()), spawner, EgressSettings::default());
    let origin = Origin::parse(&format!("https://{}", gateway.address)).unwrap();
    let roots = Roots::from_file(&place.path("cert.pem")).unwrap();
    let route = egress.route(origin, Http2::Never, &roots, "test", None);
    let body = r#"{"model": "up/m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}"#;
    let build = || {
        let mut request = Request::new(RequestBody::new(Bytes::from_static(body.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/v1/chat/completions");
        request.headers_mut().insert(AUTHORIZATION, bearer(secret));
        request
    };
    let answer = route.send(&build, Duration::from_secs(20), true, 0).await.unwrap();
    assert_eq!(answer.head.status, 200);
    answer.body
}

async fn piece(body: &mut AnswerBody) -> Option<Bytes> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("the stream stands still");
    frame.map(|frame| frame.unwrap().into_data().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_fails_ends_no_key_and_no_stream() {
    let options = SimOptions {
        tokens_per_second: Some(100.0),
        answer_tokens: 100,
        first_token: Delay::default(),
        ..SimOptions::named("up")
    };
    let sim = Sim::start(options).await.unwrap();
    let place = Place::new();
    let providers = |more: &str| {
        format!(
            "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", discover: false{more}}}]\n",
            sim.base_url()
        )
    };
    let tls = |cert: &str| format!("tls: {{cert: FOLDER/{cert}, key: FOLDER/key.pem}}\n");
    let both = format!("keys: [{{name: leaving, secret: {LEAVING}}}, {{name: staying, secret: {STAYING}}}]\n");
    let one = format!("keys: [{{name: staying, secret: {STAYING}}}]\n");
    let gateway = Gateway::start(place.document(&[&*both, &tls("cert.pem"), &providers("")].concat())).await.unwrap();
    let mut running = stream(&gateway, &place, LEAVING).await;
    assert!(piece(&mut running).await.is_some());

    place.write("broken.pem", "nonsense");
    let bad_certificate = [&*one, &tls("broken.pem"), &providers("")].concat();
    let bad_provider = [&*one, &tls("cert.pem"), &providers(", tls-roots: FOLDER/broken.pem")].concat();
    for (bad, what) in [(bad_certificate, "certificate"), (bad_provider, "provider")] {
        let failed = gateway.reload(place.document(&bad)).err().unwrap();
        let is_that =
            matches!((&failed, what), (StartError::Tls(_), "certificate") | (StartError::Provider(_), "provider"));
        assert!(is_that, "{what}: {failed}");
        assert_eq!(ask(&gateway, LEAVING), Ok(()), "{what}");
    }
    let mut text = String::new();
    while let Some(piece) = piece(&mut running).await {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("error"), "{text}");

    // One that goes well ends both.
    let mut running = stream(&gateway, &place, LEAVING).await;
    assert!(piece(&mut running).await.is_some());
    gateway.reload(place.document(&[&*one, &tls("cert.pem"), &providers("")].concat())).unwrap();
    assert_eq!((ask(&gateway, LEAVING), ask(&gateway, STAYING)), (Err(Denied::Unknown), Ok(())));
    let mut text = String::new();
    while let Some(piece) = piece(&mut running).await {
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(text.contains("TW1016") && !text.contains("[DONE]"), "{text}");
    gateway.stop(Duration::ZERO).await;
    sim.stop().await;
}

#[tokio::test]
async fn a_key_that_comes_back_has_what_it_spent_before_the_start() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let place = Place::new();
    let provider = format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", discover: false}}]\n\
         models: [{{name: m, targets: [{{use: up/m, price: {{input: 1, output: 2}}}}]}}]\n",
        sim.base_url()
    );
    let with = format!(
        "keys: [{{name: leaving, secret: {LEAVING}, budget: {{usd: 5, per: total}}}}, \
         {{name: staying, secret: {STAYING}}}]\n{provider}"
    );
    let without = format!("keys: [{{name: staying, secret: {STAYING}}}]\n{provider}");
    let spent = |gateway: &Gateway| {
        let shown = gateway.access.shown(SystemClock::new().wall());
        shown.iter().find(|key| &*key.name == "leaving").map(|key| key.spent)
    };

    let gateway = Gateway::start(place.document(&with)).await.unwrap();
    let origin = Origin::parse(&format!("http://{}", gateway.address)).unwrap();
    let supervisor = Supervisor::new();
    let spawner = Spawner::new(move |task| supervisor.spawn(Kind::Upkeep, task));
    let egress = Egress::new(Arc::new(SystemClock::new()), spawner, EgressSettings::default());
    let route = egress.route(origin, Http2::Never, &Roots::none(), "", None);
    let build = || {
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": "hello"}]}"#;
        let mut request = Request::new(RequestBody::new(Bytes::from_static(body.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static("/v1/chat/completions");
        request.headers_mut().insert(AUTHORIZATION, bearer(LEAVING));
        request
    };
    let answer = route.send(&build, Duration::from_secs(20), true, 0).await.unwrap();
    assert_eq!(answer.head.status, 200);
    answer.body.collect().await.unwrap();
    gateway.stop(Duration::from_secs(20)).await;

    let gateway = Gateway::start(place.document(&without)).await.unwrap();
    assert_eq!(spent(&gateway), None);
    gateway.reload(place.document(&with)).unwrap();
    assert!(spent(&gateway).is_some_and(|spent| spent > Usd::default()), "{:?}", spent(&gateway));
    gateway.stop(Duration::ZERO).await;
    sim.stop().await;
}
