//! What paths of requests ask for, kept for those that come again: reading one checks every letter of it, and many ask for
//! the same. A path asks for the same whatever was put in place meanwhile, so nothing has to be forgotten.
//!
//! Each thread keeps its own: nobody waits for anybody.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use tradewind_core::Recent;

use crate::name::{Asked, BadRequest, Query, SumdbAsked};

/// Bytes of paths that a thread keeps, with [`BESIDE`] for each.
const MOST: usize = 256 << 10;
/// What is kept beside a path takes about as much as the path twice, and this.
const BESIDE: usize = 256;

thread_local! {
    static KEPT: RefCell<Recent<Box<str>, Arc<Parsed>, FxBuildHasher>> = RefCell::new(Recent::new(MOST));
}

/// A path that was read.
pub(super) struct Parsed {
    /// What it asks for.
    pub(super) asked: Asked,
    /// What that is called in records and metrics.
    pub(super) operation: &'static str,
    /// What it is about, as people write it.
    pub(super) about: Arc<str>,
}

impl Parsed {
    /// [`Asked::parse`].
    pub(super) fn of(path: &str) -> Result<Arc<Self>, BadRequest> {
        if let Some(parsed) = KEPT.with_borrow_mut(|kept| kept.get(path)) {
            return Ok(parsed);
        }
        let asked = Asked::parse(path)?;
        let parsed = Arc::new(Self { operation: operation(&asked), about: about(&asked).into(), asked });
        KEPT.with_borrow_mut(|kept| kept.insert(path.into(), Arc::clone(&parsed), 3 * path.len() + BESIDE));
        Ok(parsed)
    }
}

const fn operation(asked: &Asked) -> &'static str {
    match asked {
        Asked::List(_) => "list",
        Asked::Latest(_) => "latest",
        Asked::Info(_, Query::Version(_)) => "info",
        Asked::Info(_, Query::Other(_)) => "query",
        Asked::Mod(_) => "mod",
        Asked::Zip(_) => "zip",
        Asked::Sumdb(_) => "sumdb",
    }
}

fn about(asked: &Asked) -> String {
    match asked {
        Asked::List(path) => path.to_string(),
        Asked::Latest(path) => format!("{path}@latest"),
        Asked::Info(path, query) => format!("{path}@{}", query.as_str()),
        Asked::Mod(of) | Asked::Zip(of) | Asked::Sumdb(SumdbAsked::Lookup { version: of, .. }) => of.to_string(),
        Asked::Sumdb(asked) => asked.name().as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_comes_again_asks_for_the_same() {
        for path in [
            "a.b/c/@v/v1.0.0.zip",
            "a.b/c/@v/v1.0.0.mod",
            "a.b/c/@v/main.info",
            "/a.b/c/@v/v1.0.0.zip",
            "a.b/c/@latest",
        ] {
            let asked = Asked::parse(path).unwrap();
            let (first, second) = (Parsed::of(path).unwrap(), Parsed::of(path).unwrap());
            assert_eq!((&first.asked, &second.asked), (&asked, &asked), "{path}");
            assert!(Arc::ptr_eq(&first, &second), "it is not read twice");
        }
        assert_eq!(&*Parsed::of("a.b/!c/@v/v1.0.0.zip").unwrap().about, "a.b/C@v1.0.0");
    }

    #[test]
    fn what_is_malformed_is_not_kept() {
        for _ in 0..2 {
            assert_eq!(Parsed::of("a.b/C/@v/v1.0.0.zip").err(), Asked::parse("a.b/C/@v/v1.0.0.zip").err());
        }
        assert!(Parsed::of("a.b/C/@v/v1.0.0.zip").is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let first = Parsed::of("a.b/c0/@v/list").unwrap();
        (1..10_000).for_each(|number| drop(Parsed::of(&format!("a.b/c{number}/@v/list")).unwrap()));
        assert_eq!(Arc::strong_count(&first), 1, "it was forgotten");
    }
}
