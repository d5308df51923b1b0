//! Names of things in the configuration. Cheap to clone: one reference count.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name that has been checked where it came in.
            #[must_use]
            pub fn new(name: &str) -> Self {
                Self(Arc::from(name))
            }

            /// The name as a text that is shared, not copied.
            #[must_use]
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of an entry of `providers`.
    ProviderName
}
name! {
    /// The name of an entry of `models`: what callers put into `"model"`.
    ModelName
}
name! {
    /// One model at one provider, `provider/model`; the model part may hold further slashes.
    TargetId
}

/// Why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a target: write provider/model")]
pub struct ParseTargetError(String);

impl TargetId {
    /// Reads `provider/model`, split at the first slash; neither part may be empty.
    ///
    /// # Errors
    /// When there is no slash or a part is empty.
    pub fn parse(text: &str) -> Result<Self, ParseTargetError> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => Ok(Self::new(text)),
            _ => Err(ParseTargetError(text.to_owned())),
        }
    }

    /// The part before the first slash.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(provider, _)| provider)
    }

    /// The part after the first slash: the model's name as its provider knows it.
    #[must_use]
    pub fn model(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, model)| model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_split_at_the_first_slash() {
        let target = TargetId::parse("hub/org/model:7b").unwrap();
        assert_eq!((target.provider(), target.model()), ("hub", "org/model:7b"));
        for text in ["", "hub", "/model", "hub/"] {
            assert!(TargetId::parse(text).is_err(), "{text}");
        }
    }
}
