//! What has to hold for any bytes at all that a host pushes as its network context. A broken rule is a panic.

use tradewind_decide::network::{Context, ContextCode, LONGEST_TTL, MOST_INTERFACES, explain, matched};

/// The longest message of a refusal, in bytes: nothing of the body is repeated at length.
const LONGEST_MESSAGE: usize = 400;

/// A body.
pub(crate) fn context(bytes: &[u8]) {
    let context = match Context::parse(bytes) {
        Ok(context) => context,
        Err(error) => {
            assert!(!error.message.is_empty() && error.message.len() <= LONGEST_MESSAGE, "{}", error.message);
            assert!(!error.message.contains(error.code.name()), "{}", error.message);
            let is_of_field = matches!(error.code, ContextCode::InvalidField | ContextCode::InvalidGatewayCombo);
            assert_eq!(is_of_field, error.message.starts_with("field: "), "{}", error.message);
            return;
        }
    };
    assert!(context.interfaces.len() <= MOST_INTERFACES);
    assert!(context.ttl.is_none_or(|ttl| (1..=LONGEST_TTL).contains(&ttl)));
    assert!(context.dns_suffix.is_sorted_by(|one, next| one < next));
    for interface in &context.interfaces {
        assert!((1..=255).contains(&interface.name.len()));
        assert!(interface.gateway_ip.is_some() || interface.gateway_mac.is_none());
        assert!(interface.subnets.is_sorted_by(|one, next| one.text() < next.text()));
        assert_eq!(context.interfaces.iter().filter(|other| other.name == interface.name).count(), 1);
    }
    // What is shown may be pushed again, and is then the same.
    let shown = serde_json::to_vec(&context).expect("a context can be written");
    let again = Context::parse(&shown).expect("what is shown may be pushed");
    assert_eq!(again.fingerprint(), context.fingerprint());
    assert_eq!(again, Context { ttl: None, ..context.clone() });
    assert!(matched(&[], &context).is_none() && explain(&[], &context, &[]).networks.is_empty());
}
