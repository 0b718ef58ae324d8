//! `seqc compare` and `seqc probe`: what models cost, side by side.

use super::{ModelArgs, OK, Session, WRONG};
use crate::{
    compare::{
        self,
        measure::{self, Subject},
        probe,
        profile::Profile,
        report::Report,
        total::Total,
    },
    model::Built,
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Longest context that can be asked for.
const LONGEST: usize = 1 << 30;

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The models
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Context lengths; k: times 1024
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', default_value = "1k,8k,64k")]
    at: Vec<String>,
    /// Build the programs and measure what is predicted
    #[arg(long)]
    measure: bool,
    /// How the result is laid out
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// A machine as `seqc probe --json` printed it, instead of this one
    #[arg(long, value_name = "FILE", conflicts_with = "measure")]
    profile: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Md,
    Json,
    Csv,
    Html,
}

impl Format {
    fn of(self) -> compare::Format {
        match self {
            Format::Table => compare::Format::Table,
            Format::Md => compare::Format::Markdown,
            Format::Json => compare::Format::Json,
            Format::Csv => compare::Format::Csv,
            Format::Html => compare::Format::Html,
        }
    }
}

pub(crate) fn compare(session: &mut Session, args: &CompareArgs) -> u8 {
    let lengths = match lengths(&args.at) {
        Ok(lengths) => lengths,
        Err(message) => {
            session.fail("bad-length", message);
            return WRONG;
        }
    };
    let (mut totals, mut subjects, mut status) = (Vec::new(), Vec::new(), OK);
    for file in &args.files {
        match session.model(file, &args.model) {
            Ok(built) => match subject(session, file, &args.model, &built) {
                Ok(subject) => {
                    totals.push(Total::new(&built));
                    subjects.push(subject);
                }
                Err(one) => return one,
            },
            Err(one) => status = status.max(one),
        }
    }
    if status != OK {
        return status;
    }
    let profile = match profile(session, args.profile.as_deref()) {
        Ok(profile) => profile,
        Err(status) => return status,
    };
    let mut report = Report::new(profile, totals, &lengths);
    if args.measure
        && let Err(e) = measure::measure(&mut report, &subjects, &mut |text| session.say(text))
    {
        return session.fail("backend", e);
    }
    session.print(&compare::written(&report, args.format.of()))
}

/// How a model's program is built and run.
fn subject(session: &Session, file: &Path, args: &ModelArgs, built: &Built) -> Result<Subject, u8> {
    let mut read = session.read_options(args)?;
    if built.meta.weights.is_none() && built.meta.random.is_none() {
        read.set.push(("weights.random".to_owned(), "1".to_owned()));
    }
    Ok(Subject {
        file: file.to_owned(),
        read,
    })
}

/// `1k,8k,512`: numbers of tokens, ascending.
fn lengths(words: &[String]) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for word in words {
        let text = word.trim().to_lowercase();
        let (digits, unit) = match text.strip_suffix(['k', 'm']) {
            Some(digits) if text.ends_with('k') => (digits, 1 << 10),
            Some(digits) => (digits, 1 << 20),
            None => (text.as_str(), 1),
        };
        let tokens = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(unit));
        match tokens {
            Some(n) if (1..=LONGEST).contains(&n) => all.push(n),
            _ => {
                return Err(format!(
                    "--at {word}: write numbers of tokens from 1 to 1024M, such as 512,8k"
                ));
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The machine's profile: the one that is named, or kept, or else measured now.
fn profile(session: &Session, named: Option<&Path>) -> Result<Profile, u8> {
    if let Some(path) = named {
        let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
        let found = read.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
        let profile = found.and_then(|v| {
            Profile::from_json(&v)
                .ok_or_else(|| "this is no profile of this version: see `seqc probe --json`".to_owned())
        });
        return profile.map_err(|e| {
            session.fail("profile", format!("{}: {e}", path.display()));
            WRONG
        });
    }
    if let Some(profile) = Profile::kept() {
        return Ok(profile);
    }
    session.say("this machine was not measured yet");
    measured(session)
}

fn measured(session: &Session) -> Result<Profile, u8> {
    let profile = probe::probe_machine(&mut |text| session.say(text)).map_err(|e| session.fail("backend", e))?;
    match profile.keep() {
        Ok(place) => session.say(&format!("kept in {}", place.display())),
        Err(e) => session.say(&format!("the profile is not kept: {e}")),
    }
    Ok(profile)
}

pub(crate) fn probe(session: &mut Session, args: &ProbeArgs) -> u8 {
    let profile = match measured(session) {
        Ok(profile) => profile,
        Err(status) => return status,
    };
    if args.json {
        return session.print(&format!("{:#}\n", profile.to_json()));
    }
    session.print(&compare::profile_text(&profile))
}
