//! The process that watches: starts workers, counts how cases end, keeps what breaks them.

use crate::{target::Target, worker};
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Findings after which a run stops: what comes behind is mostly the same.
const ENOUGH: usize = 20;

/// How much is tried.
pub(crate) struct Bounds {
    /// Seconds of wall time.
    pub(crate) seconds: Option<u64>,
    /// Cases; without either bound 1000.
    pub(crate) cases: Option<u64>,
    /// Number of the first case.
    pub(crate) first: u64,
}

/// A case that broke something.
pub(crate) struct Finding {
    case: u64,
    message: String,
    /// Its files.
    kept: PathBuf,
}

/// What a run of a target came to.
pub(crate) struct Report {
    target: &'static str,
    seed: u64,
    endings: BTreeMap<String, u64>,
    /// What broke something.
    pub(crate) findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, seed) = (self.target, self.seed);
        let cases: u64 = self.endings.values().sum::<u64>() + self.findings.len() as u64;
        write!(f, "{target}: {cases} cases of seed {seed}")?;
        for (word, count) in &self.endings {
            write!(f, ", {count} {word}")?;
        }
        write!(f, ", {} findings", self.findings.len())?;
        for finding in &self.findings {
            let (case, kept) = (finding.case, finding.kept.display());
            write!(f, "\n  {}", finding.message.replace("\\n", "\n  "))?;
            write!(
                f,
                "\n    again: fuzz {target} --seed {seed} --case {case}; its files: {kept}"
            )?;
        }
        Ok(())
    }
}

/// Tries cases of a target within the bounds.
pub(crate) fn run(target: &'static Target, seed: u64, bounds: &Bounds, keep: Option<&Path>) -> io::Result<Report> {
    let end = bounds.seconds.map(|s| Instant::now() + Duration::from_secs(s));
    let cases = match (bounds.seconds, bounds.cases) {
        (Some(_), _) => u64::MAX,
        (None, cases) => cases.unwrap_or(1000),
    };
    let mut report = Report {
        target: target.name,
        seed,
        endings: BTreeMap::new(),
        findings: Vec::new(),
    };
    // No other user can read it or create files in it.
    let private = tempfile::tempdir()?;
    let mut run = Run {
        files: private.path().join("cases"),
        next: bounds.first,
        last: bounds.first.saturating_add(cases),
        end,
        keep: keep.map_or_else(|| std::env::temp_dir().join("seqc-fuzz-findings"), Path::to_owned),
        report: &mut report,
    };
    while run.goes_on() {
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                target.name,
                "--seed",
                &seed.to_string(),
                "--worker",
                &run.next.to_string(),
            ])
            .arg("--files")
            .arg(&run.files)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let listened = run.listen(&mut child);
        let _ = child.kill();
        child.wait()?;
        listened?;
    }
    Ok(report)
}

struct Run<'r> {
    /// Where workers have a directory for each case.
    files: PathBuf,
    /// The next case.
    next: u64,
    /// Behind the last case.
    last: u64,
    end: Option<Instant>,
    keep: PathBuf,
    report: &'r mut Report,
}

impl Run<'_> {
    fn goes_on(&self) -> bool {
        let early = self.end.is_none_or(|end| Instant::now() < end);
        early && self.next < self.last && self.report.findings.len() < ENOUGH
    }

    /// Reads the reports of a worker until it ends or enough cases were run.
    fn listen(&mut self, child: &mut Child) -> io::Result<()> {
        let Some(out) = child.stdout.take() else { return Ok(()) };
        let mut running = None;
        for line in BufReader::new(out).lines() {
            let line = line?;
            let mut words = line.splitn(3, ' ');
            let (verb, case) = (words.next(), words.next().and_then(|n| n.parse().ok()));
            let (Some(verb), Some(case)) = (verb, case) else {
                continue;
            };
            let rest = words.next().unwrap_or_default();
            if verb == "start" {
                if !self.goes_on() {
                    return Ok(());
                }
                running = Some(case);
                continue;
            }
            running = None;
            self.next = case + 1;
            match verb {
                "end" => {
                    *self.report.endings.entry(rest.to_owned()).or_default() += 1;
                    // What stays goes with the whole directory, when the run ends.
                    let _ = fs::remove_dir_all(self.files_of(case));
                }
                _ => self.found(case, rest.to_owned())?,
            }
        }
        if let Some(case) = running {
            self.next = case + 1;
            let message = match child.wait()?.code() {
                Some(3) => format!("more than {} seconds of processor time", worker::SECONDS),
                Some(code) => format!("the process ended with status {code}"),
                None => format!(
                    "killed: memory beyond {} bytes, a stack that is full, or a fault",
                    worker::MEMORY
                ),
            };
            self.found(case, message)?;
        }
        Ok(())
    }

    /// The directory of a case.
    fn files_of(&self, case: u64) -> PathBuf {
        self.files.join(case.to_string())
    }

    /// Keeps the files of a case.
    fn found(&mut self, case: u64, message: String) -> io::Result<()> {
        let kept = self
            .keep
            .join(format!("{}-{}-{case}", self.report.target, self.report.seed));
        fs::create_dir_all(&kept)?;
        for entry in fs::read_dir(self.files_of(case)).into_iter().flatten().flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), kept.join(entry.file_name()))?;
            }
        }
        self.report.findings.push(Finding { case, message, kept });
        Ok(())
    }
}
