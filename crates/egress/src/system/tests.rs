//! The settings as a whole: which proxy, and why.

use smallvec::SmallVec;
use tradewind_core::{Clock, UnixMillis};
use tradewind_policy::ways::{HttpProxy, ProxyAuth};

use super::*;
use crate::{Chooser, Chosen, Explained, Resolver};

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(0)
    }
}

/// A document with one proxy.
struct Document(Arc<Outbound>);

impl Chooser for Document {
    fn choose(&self, _: &str, _: &Destination) -> Result<Chosen, Fault> {
        Ok(Chosen { outbound: self.0.clone(), chain: SmallVec::new() })
    }

    fn at(&self, server: &Destination) -> Option<Arc<Outbound>> {
        (self.0.server() == Some(server)).then(|| self.0.clone())
    }
}

fn corp() -> Arc<Outbound> {
    let kind = ProxyKind::Http(HttpProxy {
        server: "proxy.corp.example".into(),
        port: 8080,
        username: Some("u".into()),
        password: None,
        auth: vec![ProxyAuth::Basic],
        spn: None,
        tls: false,
        sni: None,
        skip_cert_verify: false,
        headers: Vec::new(),
    });
    outbound("corp", kind, &Roots::none())
}

fn dialing() -> Dialing {
    let resolver = Arc::new(Resolver::new(Arc::new(Still)));
    Dialing { resolver, chooser: Arc::new(Document(corp())), limit: Duration::from_secs(5), forbid: None }
}

fn variables(list: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
    move |name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[tokio::test]
async fn the_environment_says_which_way_and_the_way_says_why() {
    let list = &[
        ("https_proxy", "http://proxy.corp.example:8080"),
        ("http_proxy", "https://other.example"),
        ("no_proxy", ".inside.example"),
    ];
    let system = Outbound::system(&variables(list), &Roots::none());
    assert_eq!((system.type_name(), &**system.name(), system.is_login_bound()), ("System", "system", true));
    for (to, tls, proxy, why) in [
        ("a.example", true, "PROXY proxy.corp.example:8080", "https_proxy of the environment"),
        ("a.example", false, "HTTPS other.example:443", "http_proxy of the environment"),
        ("a.inside.example", true, "DIRECT", "no_proxy of the environment has a.inside.example:443"),
        ("localhost", true, "DIRECT", "localhost is this machine, which is never reached through a proxy"),
    ] {
        let explained = system.explain(&Destination::new(to, 443), tls, &dialing()).await.unwrap();
        assert_eq!(explained, Explained { via: "system".into(), proxy: proxy.to_owned(), why: why.to_owned() });
    }
    let half = Outbound::system(&variables(&[("http_proxy", "a:1")]), &Roots::none());
    let explained = half.explain(&Destination::new("a.example", 443), true, &dialing()).await.unwrap();
    assert_eq!((&*explained.proxy, &*explained.why), ("DIRECT", "the environment names no proxy for https"));
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_fault_and_never_shown() {
    let system = Outbound::system(&variables(&[("all_proxy", "socks4://user:secret@a:1")]), &Roots::none());
    let fault = system.explain(&Destination::new("a.example", 443), true, &dialing()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::WayBroken);
    assert!(fault.detail.starts_with("`all_proxy` of the environment names no proxy: "), "{fault}");
    assert!(!fault.detail.contains("secret") && !fault.detail.contains("user"), "{fault}");
}

#[tokio::test]
async fn the_documents_login_is_used_for_the_documents_proxy_alone() {
    let pick = async |list: &'static [(&'static str, &'static str)]| {
        let system = System::new(&variables(list), &Roots::none());
        let picked = system.pick(&Destination::new("a.example", 443), true, &dialing()).await.unwrap();
        let PickedWay::One(way) = picked.way else { panic!("no script") };
        way.name().to_string()
    };
    assert_eq!(pick(&[("https_proxy", "http://proxy.corp.example:8080")]).await, "corp");
    assert_eq!(pick(&[("https_proxy", "http://proxy.corp.example:8081")]).await, "proxy.corp.example:8081");
    assert_eq!(pick(&[("https_proxy", "http://me:own@proxy.corp.example:8080")]).await, "proxy.corp.example:8080");
}

#[test]
fn the_desktop_has_proxies_by_scheme() {
    let system = System::new(&|_| None, &Roots::none());
    let named = |value: &str| environment::named(value).ok();
    let manual = |http, https, socks| Manual {
        http,
        https,
        socks,
        bypass: bypass::Bypass::of_gnome(&["*.inside.example".to_owned()]),
    };
    let name = |manual: &Manual, host: &str, tls| match system
        .by_desktop(manual, &Destination::new(host, 443), tls, &dialing())
        .way
    {
        PickedWay::One(way) => way.name().to_string(),
        PickedWay::Script(_) => panic!("no script"),
    };
    let both = manual(named("a:1"), None, named("socks5://s:3"));
    assert_eq!(name(&both, "x.example", false), "a:1");
    assert_eq!(name(&both, "x.example", true), "s:3");
    assert_eq!(name(&both, "x.inside.example", true), "DIRECT");
    assert_eq!(name(&manual(named("a:1"), None, None), "x.example", true), "DIRECT");
    assert_eq!(name(&manual(None, named("proxy.corp.example:8080"), None), "x.example", true), "corp");
}
