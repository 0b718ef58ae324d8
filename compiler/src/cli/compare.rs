//! `seqc compare` and `seqc probe`: what models cost, side by side.

use super::{
    policies::{self, Policy},
    session::{ModelArgs, OK, Session, WRONG},
};
use crate::{
    compare::{
        self, Step, doubt,
        kept::{self, Kept},
        measure::{self, Subject},
        probe,
        profile::Profile,
        report::Report,
        total::Total,
    },
    import,
};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest context that can be asked for.
const LONGEST: usize = 1 << 30;

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The models
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Cache policies that every model is compared with: a list of NAME:setting=value,…, `none` for a cache of all tokens, and
    /// none:type=f16 for its type; may be given several times
    #[arg(long, value_name = "POLICIES")]
    cache: Vec<String>,
    /// Context lengths; `k` multiplies by 1024
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',', default_value = "1k,8k,64k")]
    at: Vec<String>,
    /// Build and run the programs, and print measured times beside predicted ones
    #[arg(long)]
    measure: bool,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Predict for a machine profile written by `seqc probe --json`
    #[arg(long, value_name = "FILE", conflicts_with = "measure")]
    profile: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Print one JSON object instead of text
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
    let policies = match policies::of(&args.cache) {
        Ok(policies) => policies,
        Err(diagnostic) => return session.report(&[diagnostic]),
    };
    for file in &args.files {
        let rows = policies.iter().map(|policy| row(session, file, &args.model, policy));
        let mut rows: Vec<_> = rows.filter_map(Result::transpose).collect();
        if rows.is_empty() {
            session.say(&format!(
                "{}: no attention, to which cache policies make no difference",
                file.display()
            ));
            rows.extend(row(session, file, &args.model, &Policy::OF_THE_MODEL).transpose());
        }
        for row in rows {
            match row {
                Ok((total, subject)) => {
                    totals.push(total);
                    subjects.push(subject);
                }
                Err(one) => status = status.max(one),
            }
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
    if args.measure {
        let progress = Progress::new(session);
        let measured = measure::measure(&mut report, &subjects, &mut |step| progress.show(step));
        progress.end();
        if let Err(e) = measured {
            return session.fail("backend", e);
        }
    }
    session.print(&compare::written(&report, args.format.of()))
}

/// A model with a policy, and how its program is built and run; `None` for policies of a model without attention.
fn row(session: &mut Session, file: &Path, args: &ModelArgs, policy: &Policy) -> Result<Option<(Total, Subject)>, u8> {
    let mut read = session.read_options(args)?;
    if policy.name.is_some() && !policies::has_attention(&session.model(file, args)?) {
        return Ok(None);
    }
    read.set
        .extend(policy.entry.iter().map(|entry| ("cache".to_owned(), entry.clone())));
    let built = import::read(file, &mut session.sources, &read).map_err(|d| session.report(&d))?;
    if built.meta.weights.is_none() && built.meta.random.is_none() {
        read.set.push(("weights.random".to_owned(), "1".to_owned()));
    }
    let mut total = Total::new(&built);
    if let Some(name) = &policy.name {
        total.name = format!("{}, {name}", total.name);
    }
    let file = file.to_owned();
    Ok(Some((total, Subject { file, read })))
}

/// `1k,8k,512`: numbers of tokens, ascending.
fn lengths(words: &[String]) -> Result<Vec<usize>, String> {
    let mut all = Vec::new();
    for word in words {
        all.push(length(word).map_err(|why| format!("--at {word}: {why}, such as 512,8k"))?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// `8k`: a number of tokens.
pub(super) fn length(word: &str) -> Result<usize, String> {
    let text = word.trim().to_lowercase();
    let (digits, unit) = match text.strip_suffix(['k', 'm']) {
        Some(digits) if text.ends_with('k') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (text.as_str(), 1),
    };
    let tokens = digits.parse::<usize>().ok().and_then(|n| n.checked_mul(unit));
    tokens
        .filter(|n| (1..=LONGEST).contains(n))
        .ok_or_else(|| "write numbers of tokens from 1 to 1024M".to_owned())
}

/// The machine's profile: the one that is named, or kept, or else measured now.
fn profile(session: &Session, named: Option<&Path>) -> Result<Profile, u8> {
    if let Some(path) = named {
        return read_profile(path).map_err(|e| {
            session.fail("profile", format!("{}: {e}", path.display()));
            WRONG
        });
    }
    match kept::read() {
        Kept::Good(profile) => return Ok(*profile),
        Kept::Bad(reason) => session.say(&format!(
            "the machine is measured again; the stored profile is not used: {reason}"
        )),
        Kept::Missing => session.say("this machine was not measured yet"),
    }
    measured(session)
}

fn read_profile(path: &Path) -> Result<Profile, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let found = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let profile = Profile::from_json(&found).ok_or("this is not a profile of this version: see `seqc probe --json`")?;
    match &doubt::doubts(&profile)[..] {
        [] => Ok(profile),
        doubts => Err(format!(
            "these rates are not plausible: {}; measure that machine again with `seqc probe`, while nothing else runs",
            doubts.join("; ")
        )),
    }
}

fn measured(session: &Session) -> Result<Profile, u8> {
    let progress = Progress::new(session);
    let found = probe::probe_machine(&mut |step| progress.show(step));
    progress.end();
    let profile = found.map_err(|e| session.fail("backend", e))?;
    let doubts = doubt::doubts(&profile);
    if !doubts.is_empty() {
        session.say(&format!(
            "warning: the rates are doubtful and are not stored: {}; measure again on an idle machine",
            doubts.join("; ")
        ));
        return Ok(profile);
    }
    match kept::keep(&profile) {
        Ok(place) => session.say(&format!("kept in {}", place.display())),
        Err(e) => session.say(&format!("the profile is not stored: {e}")),
    }
    Ok(profile)
}

/// A bar on standard error, where that is a terminal.
struct Progress(ProgressBar);

impl Progress {
    fn new(session: &Session) -> Progress {
        let bar = if session.global.quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress(bar)
    }

    fn show(&self, step: Step<'_>) {
        self.0.set_length(step.of as u64);
        self.0.set_position(step.done as u64);
        self.0.set_message(step.text.to_owned());
    }

    fn end(self) {
        self.0.finish_and_clear();
    }
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
