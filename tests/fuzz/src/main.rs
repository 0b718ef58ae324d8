//! The fuzzer: random inputs for all parsers and readers.
//!
//!     cargo run -p seqc-fuzz --release -- layers --seconds 3600 --seed 1
//!
//! tries new cases for an hour and prints how many ended in which way. A case follows from the seed and its number alone:
//! `--case N` runs it again, and its files stay where the message says. A target is one file, see [`target`]: `layers`, and
//! `texts`, `checkpoints`, `imports` and `tokenizers`, which change valid files.

mod caches;
mod checkpoints;
mod containers;
mod ending;
mod gguf;
mod imports;
mod layers;
mod mutate;
mod target;
mod texts;
mod tokenizers;
mod watch;
mod worker;

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};
use target::{TARGETS, Target};

/// Tries random inputs on a part of seqc and reports what breaks it.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
struct Args {
    /// What is tried: one of the targets, or `all`
    target: String,
    /// How long, for each target
    #[arg(long)]
    seconds: Option<u64>,
    /// How many cases, for each target
    #[arg(long, conflicts_with = "seconds")]
    cases: Option<u64>,
    /// Where the cases come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs one case only
    #[arg(long, conflicts_with_all = ["seconds", "cases"])]
    case: Option<u64>,
    /// Where cases that break something are left
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Does the work: cases from this number on, told on standard output
    #[arg(long, hide = true, requires = "files")]
    worker: Option<u64>,
    /// Where a worker has the files of a case
    #[arg(long, hide = true, value_name = "DIR")]
    files: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|t| args.target == "all" || t.name == args.target)
        .collect();
    if chosen.is_empty() {
        eprintln!("error: there is no target `{}`:", args.target);
        for target in TARGETS {
            eprintln!("  {}  {}", target.name, target.about);
        }
        return ExitCode::from(2);
    }
    if let (Some(from), Some(files), [target]) = (args.worker, &args.files, &chosen[..]) {
        return worker::run(target, args.seed, from, files.clone());
    }
    let mut clean = true;
    for target in chosen {
        let bounds = watch::Bounds {
            seconds: args.seconds,
            cases: args.case.map(|_| 1).or(args.cases),
            first: args.case.unwrap_or(0),
        };
        match watch::run(target, args.seed, &bounds, args.keep.as_deref()) {
            Ok(report) => {
                println!("{report}");
                clean &= report.findings.is_empty();
            }
            Err(error) => {
                eprintln!("error: {}: {error}", target.name);
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(!clean))
}
