//! Query strings: only what the operation's specification names, each once.

use std::borrow::Cow;

use tradewind_core::Code;
use tradewind_door::Refusal;
use tradewind_store::Rev;

use crate::route::{Operation, decoded};
use crate::spec::spec;

/// How many are listed when nothing is said, and at most.
const USUAL_LIMIT: usize = 100;
const MOST: usize = 1000;

/// A query that was read. More than eight pairs are not looked at by any operation.
#[derive(Debug, Default)]
pub(crate) struct Query<'q>(Vec<(&'q str, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Reads the query of a request for `operation`.
    ///
    /// # Errors
    /// 400 for a parameter that the operation does not have, or has twice, or that is needed and missing.
    pub(crate) fn read(text: Option<&'q str>, operation: Operation) -> Result<Self, Refusal> {
        let parameters = spec(operation).query;
        let mut pairs: Vec<(&str, Cow<'q, str>)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
                let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
                let name: String = name.chars().take(40).collect();
                let there =
                    if known.is_empty() { "there are none".to_owned() } else { format!("use {}", known.join(", ")) };
                return Err(Refusal::new(Code::BadField, format!("there is no parameter `{name}`: {there}")));
            };
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(bad(parameter.name, "is there twice"));
            }
            pairs.push((name, spaced(value)?));
        }
        let missing = parameters.iter().find(|one| one.required && !pairs.iter().any(|(name, _)| *name == one.name));
        match missing {
            Some(missing) => Err(bad(missing.name, "is missing")),
            None => Ok(Self(pairs)),
        }
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// A revision.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(crate) fn rev(&self, name: &'static str) -> Result<Option<Rev>, Refusal> {
        self.text(name).map(Rev::parse).transpose().map_err(|_| bad(name, "is a revision: a number from 1 on"))
    }

    /// How many are listed.
    ///
    /// # Errors
    /// 400 when it is no number from 1 to 1000.
    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.text("limit") else { return Ok(USUAL_LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| bad("limit", "is a number from 1 to 1000"))
    }
}

fn spaced(value: &str) -> Result<Cow<'_, str>, Refusal> {
    if !value.contains('+') {
        return decoded(value);
    }
    let value = value.replace('+', " ");
    Ok(Cow::Owned(decoded(&value)?.into_owned()))
}

fn bad(field: &'static str, what: &str) -> Refusal {
    Refusal::new(Code::BadField, format!("`{field}` {what}")).in_field(field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_those_of_the_operation() {
        let query = Query::read(Some("prefix=a%2Fb+c&after=&limit=7"), Operation::List).unwrap();
        assert_eq!((query.text("prefix"), query.text("after")), (Some("a/b c"), Some("")));
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(Query::read(None, Operation::List).unwrap().limit().unwrap(), 100);
        let query = Query::read(Some("rev=7"), Operation::Get).unwrap();
        assert_eq!(query.rev("rev").unwrap(), Rev::new(7));
        for (text, operation) in [
            ("revision=7", Operation::Get),
            ("rev=7&rev=7", Operation::Get),
            ("rev=7", Operation::Put),
            ("", Operation::Pin),
            ("to=1", Operation::Diff),
            ("prefix=%", Operation::List),
            ("prefix=%ff", Operation::List),
        ] {
            assert_eq!(Query::read(Some(text), operation).expect_err(text).status, 400, "{text}");
        }
        for text in ["limit=0", "limit=1001", "limit=", "limit=-1"] {
            assert!(Query::read(Some(text), Operation::List).unwrap().limit().is_err(), "{text}");
        }
        for text in ["rev=0", "rev=", "rev=x"] {
            assert!(Query::read(Some(text), Operation::Get).unwrap().rev("rev").is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(text in "([a-z%=&+]|rev|limit|[ -~]){0,30}") {
            if let Ok(query) = Query::read(Some(&text), Operation::List) {
                let _ = (query.limit(), query.rev("after"));
            }
        }
    }
}
