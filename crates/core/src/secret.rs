//! A value that cannot be printed, logged or serialised by accident.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Holds a secret. There is no `Display`, no `Serialize`, and `Debug` prints `[secret]`.
///
/// ```compile_fail
/// println!("{}", tradewind_core::Secret::new("key"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself; every call of this is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

/// A secret may come in from a configuration; it never goes out again, so there is no `Serialize`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", Secret::new("sk-1234")), "[secret]");
    }
}
