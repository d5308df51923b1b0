//! Where a call comes from: what is believed of whom, and that no header raises anybody.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use ring::hmac;
use tradewind_access::{Access, BadContext, Grant, Reach};
use tradewind_core::{Code, Context, Device, SaidBy, Secret};
use tradewind_policy::{ContextSettings, KeyTerms};

use crate::support::{FRIDAY, grant_of, stored};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn settings(secret: bool, trust_hints: bool) -> ContextSettings {
    ContextSettings {
        signing_secret: secret.then(|| Secret::new(SECRET.to_owned())),
        trust_hints,
        ..ContextSettings::default()
    }
}

/// A gateway with a key that says everything, and one that says nothing.
fn access(settings: &ContextSettings) -> Access {
    let access = Access::new(Reach::Loopback);
    let full = KeyTerms {
        tenant: Some("build".to_owned()),
        role: Some("machine".to_owned()),
        region: Some("eu".to_owned()),
        device: Some(Device::Ci),
        tags: vec!["batch".to_owned()],
        ..KeyTerms::default()
    };
    access.set_created(&[stored("full", full), stored("plain", KeyTerms::default())]).unwrap();
    access.set_context(settings);
    access
}

fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// The headers of a context that is signed now.
fn signed(value: &str) -> HeaderMap {
    let time = (FRIDAY.0 / 1000).to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), format!("{time}.{value}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    headers(&[("x-tradewind-context", value), ("x-tradewind-context-signature", &format!("t={time},v1={digits}"))])
}

fn context(settings: &ContextSettings, key: &str, headers: &HeaderMap) -> Result<Context, BadContext> {
    let access = access(settings);
    access.context(&grant_of(&access, key), headers, FRIDAY)
}

fn shown(context: &Context) -> String {
    serde_json::to_string(context).unwrap()
}

#[test]
fn without_headers_it_is_what_the_key_says() {
    for settings in [settings(false, false), settings(true, true)] {
        let full = context(&settings, "full", &HeaderMap::new()).unwrap();
        assert_eq!(
            shown(&full),
            r#"{"role":"machine","tenant":"build","region":"eu","device":"ci","tags":["batch"],"said_by":{"role":"key","region":"key","device":"key","tags":["key"]}}"#
        );
        assert!(context(&settings, "plain", &HeaderMap::new()).unwrap().is_empty());
        let agent = headers(&[("user-agent", "curl/8.5.0")]);
        let plain = context(&settings, "plain", &agent).unwrap();
        assert_eq!(shown(&plain), r#"{"device":"cli","said_by":{"device":"user_agent"}}"#);
        assert_eq!(context(&settings, "full", &agent).unwrap(), full, "the key knows better");
    }
    let anyone = Access::new(Reach::Loopback).context(&Grant::anyone(), &HeaderMap::new(), FRIDAY);
    assert_eq!(shown(&anyone.unwrap()), "{}");
}

#[test]
fn a_signature_settles_what_the_key_leaves_open() {
    let settings = settings(true, false);
    let mut headers = signed("role=admin;device=mobile;region=us;tags=a,b;key=plain");
    headers.insert("user-agent", HeaderValue::from_static("curl/8.5.0"));
    assert_eq!(
        shown(&context(&settings, "plain", &headers).unwrap()),
        r#"{"role":"admin","region":"us","device":"mobile","tags":["a","b"],"said_by":{"role":"signature","region":"signature","device":"signature","tags":["signature","signature"]}}"#
    );
    let anyone = access(&settings).context(&Grant::anyone(), &signed("role=admin"), FRIDAY).unwrap();
    assert_eq!((anyone.role(), anyone.tenant()), (Some("admin"), None));
}

#[test]
fn what_the_key_says_wins_and_the_rest_is_noted() {
    let headers = signed("role=admin;device=mobile;region=us;tags=a,batch");
    let context = context(&settings(true, false), "full", &headers).unwrap();
    assert_eq!(
        shown(&context),
        r#"{"role":"machine","tenant":"build","region":"eu","device":"ci","tags":["batch","a"],"said_by":{"role":"key","region":"key","device":"key","tags":["key","signature"]},"overruled":["device","role","region"]}"#
    );
    let same = signed("role=machine;device=ci;region=eu");
    assert!(self::context(&settings(true, false), "full", &same).unwrap().overruled().is_empty());
}

#[test]
fn a_header_that_is_not_believed_is_refused() {
    let (none, secret, hints, both) =
        (settings(false, false), settings(true, false), settings(false, true), settings(true, true));
    let plain = |value| headers(&[("x-tradewind-context", value)]);
    let mut twice = signed("role=admin");
    twice.append("x-tradewind-context", HeaderValue::from_static("role=admin"));
    let mut two_signatures = signed("role=admin");
    let other = two_signatures["x-tradewind-context-signature"].clone();
    two_signatures.append("x-tradewind-context-signature", other);
    let mut changed = signed("role=dev");
    changed.insert("x-tradewind-context", HeaderValue::from_static("role=admin"));
    let alone = headers(&[("x-tradewind-context-signature", "t=1,v1=00")]);
    for (settings, headers, code, said) in [
        (&none, plain("device=mobile"), Code::ContextRefused, "has no signature"),
        (&secret, plain("device=mobile"), Code::ContextRefused, "has no signature"),
        (&hints, plain("role=admin"), Code::ContextRefused, "`role` in `x-tradewind-context` needs a signature"),
        (&both, plain("device=mobile;tags=a"), Code::ContextRefused, "`tags` in `x-tradewind-context` needs"),
        (&hints, plain("region=eu;key=plain"), Code::ContextRefused, "`key` in `x-tradewind-context` needs"),
        (&hints, plain("tenant=build"), Code::BadHeader, "it is that of the caller's key"),
        (&none, signed("device=mobile"), Code::ContextRefused, "the gateway has no context.signing-secret"),
        (&hints, signed("device=mobile"), Code::ContextRefused, "the gateway has no context.signing-secret"),
        (&both, changed, Code::ContextRefused, "is not the signature of this"),
        (&both, signed("role=admin;key=full"), Code::ContextRefused, "was made for another key"),
        (&both, twice, Code::BadHeader, "there is more than one `x-tradewind-context`"),
        (&both, two_signatures, Code::BadHeader, "there is more than one `x-tradewind-context-signature`"),
        (&both, alone, Code::BadHeader, "has nothing to sign"),
        (&both, plain(""), Code::BadHeader, "one of them has no `=`"),
    ] {
        let bad = context(settings, "plain", &headers).unwrap_err();
        assert_eq!(bad.code(), code, "{bad}");
        assert!(bad.to_string().contains(said), "{bad}");
        assert!(!bad.to_string().contains(SECRET));
    }
    let nameless = access(&both).context(&Grant::anyone(), &signed("role=admin;key=plain"), FRIDAY);
    assert_eq!(nameless, Err(BadContext::OtherKey), "who has no key is not the one it was made for");
}

#[test]
fn hints_say_device_and_region_only() {
    let hinted = headers(&[("x-tradewind-context", "device=mobile;region=eu"), ("user-agent", "curl/8")]);
    let plain = context(&settings(false, true), "plain", &hinted).unwrap();
    assert_eq!(shown(&plain), r#"{"region":"eu","device":"mobile","said_by":{"region":"hint","device":"hint"}}"#);
    let full = context(&settings(false, true), "full", &hinted).unwrap();
    assert_eq!(full.device(), Some((Device::Ci, SaidBy::Key)));
    assert_eq!(full.overruled(), ["device"]);
}

#[test]
fn what_is_believed_changes_with_the_document() {
    let access = access(&settings(false, true));
    let (grant, hint) = (grant_of(&access, "plain"), headers(&[("x-tradewind-context", "device=mobile")]));
    assert!(access.context(&grant, &hint, FRIDAY).is_ok());
    access.set_context(&settings(true, false));
    assert_eq!(access.context(&grant, &hint, FRIDAY), Err(BadContext::NotSigned));
    assert!(access.context(&grant, &signed("role=a"), FRIDAY).is_ok());
}

proptest! {
    /// Whatever stands in headers that nobody signed: role, tenant and tags are the key's, and nothing else.
    #[test]
    fn no_header_raises_anybody(
        parts in prop::collection::vec(("(role|device|region|tags|key|tenant)", "(admin|mobile|eu|a,b|full|plain)"), 0..4),
        signature in prop::option::of("t=[0-9]{1,12},v1=[0-9a-f]{64}"),
        agent in "[ -~]{0,40}", full: bool, hints: bool, secret: bool,
    ) {
        let value: Vec<String> = parts.iter().map(|(name, text)| format!("{name}={text}")).collect();
        let mut headers = headers(&[("user-agent", &agent)]);
        if !parts.is_empty() {
            headers.insert("x-tradewind-context", HeaderValue::from_str(&value.join(";")).unwrap());
        }
        if let Some(signature) = &signature {
            headers.insert("x-tradewind-context-signature", HeaderValue::from_str(signature).unwrap());
        }
        let settings = settings(secret, hints);
        let key = if full { "full" } else { "plain" };
        let own = context(&settings, key, &HeaderMap::new()).unwrap();
        if let Ok(context) = context(&settings, key, &headers) {
            prop_assert_eq!((context.role(), context.tenant(), context.tags()), (own.role(), own.tenant(), own.tags()));
            prop_assert!(own.region().is_none() || context.region() == own.region());
            prop_assert!(own.device().is_none() || context.device() == own.device());
            prop_assert!(own.region().is_some() || context.region().is_none_or(|(_, by)| !by.is_proven()));
        }
    }
}
