//! Reads a JSON list of texts from stdin and prints, for each, how often the automaton reached each of its states: what
//! `tests/rigs/tokens.py` fits the weights on.
#![expect(clippy::print_stdout, reason = "a tool that prints")]

use tradewind_tokens::Features;

fn main() -> Result<(), serde_json::Error> {
    let texts: Vec<String> = serde_json::from_reader(std::io::stdin().lock())?;
    for text in texts {
        let counts: Vec<String> = Features::of_text(&text).states().iter().map(u32::to_string).collect();
        println!("{}", counts.join(" "));
    }
    Ok(())
}
