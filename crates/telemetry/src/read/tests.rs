//! Whatever the order in which records arrive: every one is found by its id, and lists are exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use rustc_hash::FxHashMap;

use super::*;
use crate::block::Packer;
use crate::file::JournalFile;
use crate::record::Record;
use crate::support::{START, busy_record, id};

const MODELS: [&str; 4] = ["assistant", "private", "assist", "a\"b\\c\nd"];
const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::Failed, Outcome::Partial];

/// The number of a call, its model, its outcome.
type Call = (u64, usize, usize);

fn made((number, model, outcome): Call) -> Box<Record> {
    let mut record = busy_record(number);
    record.model = Arc::from(MODELS[model]);
    record.outcome = OUTCOMES[outcome];
    Box::new(record)
}

/// A journal into which `batches` were written one after the other.
fn written(batches: &[Vec<Call>]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut file = JournalFile::open(folder.path()).unwrap();
    let mut packer = Packer::default();
    for batch in batches {
        file.append(&packer.pack(&mut batch.iter().copied().map(made).collect()), &FxHashMap::default()).unwrap();
    }
    folder
}

/// Calls in the order in which they end, in batches. One a millisecond or one a second: many or few share a block.
fn batches() -> impl Strategy<Value = Vec<Vec<Call>>> {
    let spread = prop_oneof![Just(1_u64), Just(100), Just(1000)];
    let calls = btree_map(0_u64..400, (0..MODELS.len(), 0..OUTCOMES.len()), 1..200);
    (spread, calls, vec(0_u64..300, 200), vec(1_usize..40, 200)).prop_map(|(spread, calls, lengths, sizes)| {
        let mut ended: Vec<(u64, Call)> = calls
            .into_iter()
            .zip(lengths)
            // Most calls are short, one in five is not.
            .map(|((number, (model, outcome)), length)| {
                let length = if length < 240 { length / 100 } else { length };
                (number + length, (number * spread, model, outcome))
            })
            .collect();
        ended.sort();
        let mut ended = ended.into_iter().map(|(_, call)| call).peekable();
        let mut batches = Vec::new();
        for size in sizes {
            if ended.peek().is_none() {
                break;
            }
            batches.push(ended.by_ref().take(size).collect());
        }
        batches
    })
}

/// Every page of `query`, and that each is as long as it says.
fn all_pages(folder: &Path, mut query: Query, bound: usize) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = list_within(folder, &query, bound).unwrap();
        assert!(page.records.len() <= query.limit());
        seen.extend(page.records);
        let Some(next) = page.next else { return seen };
        assert!(query.before.is_none_or(|before| next < before), "each page gets further");
        query.before = Some(next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lists_are_exact_and_every_record_is_found(
        batches in batches(),
        limit in 1_usize..60,
        bound in 0_usize..300,
        (since, before) in (any::<Index>(), any::<Index>()),
    ) {
        let folder = written(&batches);
        let calls: BTreeMap<u64, Call> = batches.concat().into_iter().map(|call| (call.0, call)).collect();
        for call in calls.values() {
            prop_assert_eq!(get(folder.path(), id(call.0)).unwrap(), Some(made(*call).to_json()));
        }
        prop_assert_eq!(get(folder.path(), id(calls.keys().max().unwrap() + 1)).unwrap(), None);
        let numbers: Vec<u64> = calls.keys().copied().collect();
        let (since, before) = (*since.get(&numbers), *before.get(&numbers));
        for model in [None, Some(0), Some(1), Some(2), Some(3)] {
            for outcome in [None, Some(0), Some(1), Some(2)] {
                for (since, before) in [(0, u64::MAX), (since, u64::MAX), (0, before), (since, before)] {
                    let query = Query {
                        model: model.map(|model| MODELS[model].to_owned()),
                        outcome: outcome.map(|outcome| OUTCOMES[outcome]),
                        key: None,
                        since: (since > 0).then_some(UnixMillis(START.0 + since)),
                        before: (before < u64::MAX).then(|| id(before)),
                        limit,
                    };
                    let expected: Vec<String> = calls
                        .range(since..before.max(since))
                        .rev()
                        .filter(|(_, call)| model.is_none_or(|model| call.1 == model))
                        .filter(|(_, call)| outcome.is_none_or(|outcome| call.2 == outcome))
                        .map(|(_, call)| made(*call).to_json())
                        .collect();
                    let first = list(folder.path(), &query).unwrap();
                    prop_assert_eq!(&first.records[..], &expected[..limit.min(expected.len())]);
                    prop_assert_eq!(all_pages(folder.path(), query, bound), expected);
                }
            }
        }
    }
}

#[test]
fn a_late_record_lies_in_a_block_of_its_own() {
    // Ten minutes, among calls of the last second.
    let mut batch: Vec<Box<Record>> = (600_000..600_100).map(|number| made((number, 0, 0))).collect();
    batch.push(made((3, 1, 1)));
    let blocks = Packer::default().pack(&mut batch);
    let counts: Vec<usize> = blocks.iter().map(|block| block.count).collect();
    assert_eq!(counts[0], 1);
    assert_eq!(counts.iter().sum::<usize>(), 101);
    assert!(blocks.iter().all(|block| block.last - block.first <= SPAN));
    assert_eq!(blocks[0].models.as_deref(), Some("\"private\""));
    assert_eq!(blocks[0].outcomes, outcome_bit(Outcome::Failed));
}

#[test]
fn more_models_than_are_listed_are_found_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch: Vec<Box<Record>> = (0..50).map(|number| made((number, 0, 0))).collect();
    for (index, record) in batch.iter_mut().enumerate() {
        record.model = format!("a model with a rather long name, number {index}").into();
    }
    let blocks = Packer::default().pack(&mut batch);
    assert_eq!(blocks.iter().map(|block| block.models.clone()).collect::<Vec<_>>(), [None]);
    JournalFile::open(folder.path()).unwrap().append(&blocks, &FxHashMap::default()).unwrap();
    let query = Query { model: Some("a model with a rather long name, number 49".to_owned()), ..Query::default() };
    assert_eq!(list(folder.path(), &query).unwrap().records.len(), 1);
}

#[test]
fn a_damaged_block_is_an_error_and_no_panic() {
    let folder = written(&[vec![(1, 0, 0)], vec![(2, 0, 0)]]);
    for damage in ["x'00'", "x'ffffffff00'", "x'0500000050' || zeroblob(5)", "zeroblob(0)", "x'0100000010' || 'x'"] {
        Connection::open(folder.path().join(FILE_NAME))
            .unwrap()
            .execute(
                &format!("UPDATE blocks SET packed = CAST({damage} AS BLOB) WHERE last = ?1"),
                [id(1).number().cast_signed()],
            )
            .unwrap();
        let listed = list(folder.path(), &Query { model: Some("assistant".to_owned()), ..Query::default() });
        assert!(matches!(listed, Err(JournalError::Damaged)), "{damage}: {listed:?}");
        assert!(get(folder.path(), id(2)).unwrap().is_some(), "the others are read");
    }
}
