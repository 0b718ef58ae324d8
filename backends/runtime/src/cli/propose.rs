//! `propose`: drafts tokens for another program, the most likely ones after the texts that it gives.

use std::io::BufRead;

use super::{args::Propose, common, console::Console, generate};
use crate::{
    Error, Result,
    code::Code,
    speculation::{Asks, Drafter, Hello, Proposer},
    streams::{self, width},
};

pub(crate) fn propose(code: Code, args: &Propose, console: &mut Console) -> Result<()> {
    let descriptor = code.describe()?;
    let logits = streams::logits(&descriptor)?;
    streams::check_no_source(&descriptor, "propose")?;
    let model = common::load(code, &args.loading, console)?;
    let mut proposer = Proposer::new(&model)?;
    let vocab = width(&descriptor.outputs[logits]);
    say(&Hello::new(descriptor.model.clone(), vocab), console)?;
    let wrong = |error: &dyn std::fmt::Display| Error::input(format!("standard input: {error}"));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| wrong(&error))?;
        let asks: Asks = serde_json::from_str(&line).map_err(|error| wrong(&error))?;
        say(&proposer.propose(&asks)?, console)?;
    }
    Ok(())
}

fn say(message: &impl serde::Serialize, console: &mut Console) -> Result<()> {
    // Serialising plain data to memory does not fail.
    let line = serde_json::to_string(message).unwrap_or_default();
    generate::print(console.result, &format!("{line}\n"))
}
