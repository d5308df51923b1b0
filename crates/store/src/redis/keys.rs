//! The names of what lies in Redis.
//!
//! Everything of a namespace begins with `tw:{NAMESPACE}:`: `heads`, a hash of what the head of each name is, and of how many
//! changes there were; `records`, a hash of all records; `k:NAME`, a hash for each key that says where the records of its revisions are;
//! `names`, a sorted set of names; `due`, the times at which heads expire; `changes`, a stream; `pieces` and `refs`, the
//! pieces and how many revisions name them, in threes. `tw:namespaces` is the set of namespaces that have a key.

use crate::name::{Key, Namespace};

/// The namespaces that have a key.
pub(super) const NAMESPACES: &str = "tw:namespaces";

/// What the names of every namespace's keys look like, for `SCAN`.
pub(super) const NAMES: &str = "tw:{*}:names";

/// The namespace whose names lie under this.
pub(super) fn namespace_of(names: &str) -> Option<Namespace> {
    Namespace::stored(names.strip_prefix("tw:{")?.strip_suffix("}:names")?).ok()
}

/// The names of one namespace.
pub(super) struct Space {
    prefix: String,
}

impl Space {
    pub(super) fn of(namespace: &Namespace) -> Self {
        Self { prefix: ["tw:{", namespace.as_str(), "}:"].concat() }
    }

    /// What scripts make further names from.
    pub(super) fn prefix(&self) -> &[u8] {
        self.prefix.as_bytes()
    }

    pub(super) fn key(&self, key: &Key) -> Vec<u8> {
        self.key_named(key.name())
    }

    pub(super) fn key_named(&self, name: &str) -> Vec<u8> {
        [self.prefix(), b"k:", name.as_bytes()].concat()
    }

    pub(super) fn heads(&self) -> Vec<u8> {
        [self.prefix(), b"heads"].concat()
    }

    pub(super) fn records(&self) -> Vec<u8> {
        [self.prefix(), b"records"].concat()
    }

    pub(super) fn names(&self) -> Vec<u8> {
        [self.prefix(), b"names"].concat()
    }

    pub(super) fn due(&self) -> Vec<u8> {
        [self.prefix(), b"due"].concat()
    }

    pub(super) fn changes(&self) -> Vec<u8> {
        [self.prefix(), b"changes"].concat()
    }

    pub(super) fn pieces(&self) -> Vec<u8> {
        [self.prefix(), b"pieces"].concat()
    }
}

/// Where a range of names begins, as `ZRANGEBYLEX` wants it: with the prefix, or behind `after` where that is later.
pub(super) fn range_start(prefix: &str, after: Option<&str>) -> Vec<u8> {
    match after {
        Some(after) if after >= prefix => [b"(", after.as_bytes()].concat(),
        _ if prefix.is_empty() => b"-".to_vec(),
        _ => [b"[", prefix.as_bytes()].concat(),
    }
}

/// Where the names that begin with `prefix` end: no byte of UTF-8 is 255.
pub(super) fn range_end(prefix: &str) -> Vec<u8> {
    if prefix.is_empty() { b"+".to_vec() } else { [b"(", prefix.as_bytes(), b"\xff"].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_names_with_the_prefix_behind_the_last_one() {
        for (prefix, after, start, end) in [
            ("", None, "-", &b"+"[..]),
            ("", Some("a"), "(a", b"+"),
            ("a/", None, "[a/", b"(a/\xff"),
            ("a/", Some("a/b"), "(a/b", b"(a/\xff"),
            ("a/", Some("Z"), "[a/", b"(a/\xff"),
            ("a/", Some("b"), "(b", b"(a/\xff"),
        ] {
            assert_eq!((range_start(prefix, after).as_slice(), range_end(prefix).as_slice()), (start.as_bytes(), end));
        }
    }
}
