//! `seqc tasks`: tasks for programs, as files.

use super::session::{OK, Session};
use crate::tasks::Passkeys;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Longest text that can be asked for, in words, and most tasks for a depth.
const LONGEST: usize = 1 << 24;
const MOST: usize = 1 << 16;

#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A number hidden in a long text, and the question for it
    Passkey(PasskeyArgs),
}

#[derive(Debug, Args)]
struct PasskeyArgs {
    /// Words of each text
    #[arg(long, value_name = "N", default_value_t = 1000)]
    length: usize,
    /// Where in the text the number stands: 0 is the beginning, 1 the end
    #[arg(
        long,
        value_name = "X[,X...]",
        value_delimiter = ',',
        default_value = "0,0.25,0.5,0.75,1"
    )]
    depth: Vec<f64>,
    /// Tasks for each depth
    #[arg(long, value_name = "N", default_value_t = 4)]
    count: usize,
    /// Seed of the texts and numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The file to write, a JSON object on each line; default: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

pub(crate) fn tasks(session: &mut Session, args: &TasksArgs) -> u8 {
    match &args.task {
        Task::Passkey(args) => passkey(session, args),
    }
}

fn passkey(session: &Session, args: &PasskeyArgs) -> u8 {
    let wrong = |message: String| session.fail("usage", message);
    if let Some(depth) = args.depth.iter().find(|depth| !(0.0..=1.0).contains(*depth)) {
        return wrong(format!("--depth {depth}: depths are numbers from 0 to 1"));
    }
    if args.length > LONGEST || args.count > MOST {
        return wrong(format!(
            "texts have at most {LONGEST} words, and each depth at most {MOST} tasks"
        ));
    }
    let wanted = Passkeys {
        length: args.length,
        depths: args.depth.clone(),
        count: args.count,
        seed: args.seed,
    };
    let lines = wanted.lines();
    let Some(path) = &args.output else {
        return session.print(&lines);
    };
    if let Err(status) = session.may_replace(path, &[], None, args.force) {
        return status;
    }
    let status = session.write(path, &[], lines.as_bytes());
    if status == OK {
        session.say(&format!("wrote {} tasks to {}", lines.lines().count(), path.display()));
    }
    status
}
