//! The seeds of the fuzz target `translate_stream`, through the same checks: what the fuzzer was given once is tried by
//! every test run.

#[path = "../../../fuzz/checks/answers.rs"]
mod answers;
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

/// Runs the check on each seed, and on each seed cut off at every eighth of its length, with every pair of wire formats.
#[test]
fn translated_streams_hold_the_rules() {
    seeds::replay("translate_stream", 20, 8, |piece| {
        answers::translate_stream(piece);
        let mut piece = piece.to_vec();
        for wires in 0..9 {
            if let Some(first) = piece.first_mut() {
                *first = wires;
            }
            answers::translate_stream(&piece);
        }
    });
}
