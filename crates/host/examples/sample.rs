//! Shows what the sampler sees: `cargo run -p tradewind-host --example sample`, and with `-- watch` each change too.

use std::io::{self, Write};

use tradewind_host::network::{Sampler, system};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sampler = system()?;
    let mut changes = sampler.changes()?;
    show(&*sampler)?;
    if std::env::args().nth(1).as_deref() != Some("watch") {
        return Ok(());
    }
    loop {
        let change = changes.next().await?;
        writeln!(io::stdout(), "{change:?}")?;
        show(&*sampler)?;
    }
}

fn show(sampler: &dyn Sampler) -> Result<(), Box<dyn std::error::Error>> {
    let sample = sampler.sample()?;
    writeln!(io::stdout(), "{}", String::from_utf8(sample.body(None))?)?;
    for note in &sample.notes {
        writeln!(io::stderr(), "{}: {}", note.interface, note.why)?;
    }
    Ok(())
}
