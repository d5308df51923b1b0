//! Which way out of the network a call took.

use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A way out, and how it was come by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The proxy first, then the groups that led to it, the outermost last.
    pub chain: Vec<Arc<str>>,
    /// The rule that decided: its type and its payload; nothing where no rule was asked.
    #[serde(serialize_with = "rule", skip_serializing_if = "Option::is_none")]
    pub rule: Option<(&'static str, Arc<str>)>,
}

#[expect(clippy::ref_option, reason = "serde hands over the field")]
fn rule<S: Serializer>(rule: &Option<(&'static str, Arc<str>)>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Rule<'a> {
        r#type: &'a str,
        payload: &'a str,
    }
    rule.as_ref().map(|(r#type, payload)| Rule { r#type, payload }).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_read_like_this() {
        let chain = vec![Arc::from("corp"), Arc::from("way-out")];
        let way = Way { chain, rule: Some(("DomainSuffix", Arc::from("example.com"))) };
        let json = serde_json::to_string(&way).unwrap();
        assert_eq!(json, r#"{"chain":["corp","way-out"],"rule":{"type":"DomainSuffix","payload":"example.com"}}"#);
        let json = serde_json::to_string(&Way { rule: None, ..way }).unwrap();
        assert_eq!(json, r#"{"chain":["corp","way-out"]}"#);
    }
}
