//! The configuration document: any bytes may stand in the file. Nothing may panic, no value that came from outside may
//! be shown, and a document is the same as itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tradewind_policy::{Problems, Root, Shared, diff, digest};

/// What every variable is; no other part of a document can hold it by chance.
const FROM_OUTSIDE: &str = "\u{1f510}-from-outside-\u{1f510}";

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| Some(FROM_OUTSIDE.to_owned()), &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    let rendered = problems.render("fuzz.yaml", text);
    if !text.contains('\u{1f510}') {
        assert!(!rendered.contains(FROM_OUTSIDE), "{rendered}");
    }
    assert_eq!(problems.is_empty(), rendered.is_empty());
    assert_eq!(diff(&root, &root), []);
    assert_eq!(digest(&root), digest(&root.clone()));
    if problems.is_empty() {
        assert!(shared.listen.0.ip().is_loopback());
    }
});
