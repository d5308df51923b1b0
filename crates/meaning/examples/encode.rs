//! Reads texts from stdin, a JSON string a line, and prints the vector of each as JSON: what `tests/rigs/encoder_check.py`
//! compares with the Python package. The argument is the wheel.
#![expect(clippy::print_stdout, reason = "a tool that prints")]
#![expect(clippy::disallowed_methods, reason = "a tool that measures")]

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use tradewind_meaning::{Embedder, Encoder};

fn main() -> Result<(), Box<dyn Error>> {
    let wheel = std::fs::read(std::env::args().nth(1).ok_or("which wheel?")?)?;
    let begun = Instant::now();
    let encoder = Encoder::of_wheel(&wheel)?;
    drop(wheel);
    let loading = begun.elapsed();
    let (mut texts, mut embedding, mut fastest) = (0u32, Duration::ZERO, Duration::MAX);
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        let begun = Instant::now();
        let vector = encoder.embed(&text);
        let taken = begun.elapsed();
        embedding += taken;
        fastest = fastest.min(taken);
        texts += 1;
        println!("{}", serde_json::to_string(vector.values())?);
    }
    let mean = embedding / texts.max(1);
    writeln!(std::io::stderr(), "loaded in {loading:?}; {texts} texts, {mean:?} each, the fastest {fastest:?}")?;
    Ok(())
}
