//! Programs that are built for measuring, in a folder that goes away.

use crate::{
    driver::{self, Emit, Failure, Request},
    model::ReadOptions,
    source::Sources,
};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A folder of this run, removed with everything in it at the end.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Folder, String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("seqc-compare-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Folder(path))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a text.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.file(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Builds a model into a program.
pub(super) fn build(model: &Path, read: &ReadOptions, output: PathBuf) -> Result<PathBuf, String> {
    let request = Request {
        read: read.clone(),
        emit: Emit::Exe,
        target: "native".to_owned(),
        output: output.clone(),
    };
    match driver::build(model, &request, &mut Sources::default(), &mut |_, _, _| {}) {
        Ok(_) => Ok(output),
        Err(Failure::Stage(message)) => Err(message),
        Err(Failure::Input(found)) => Err(found.first().map_or_else(String::new, |d| d.message.clone())),
    }
}

/// Runs a program with words and text on its standard input; the JSON that it prints.
pub(super) fn run(program: &Path, words: &[String], input: &str) -> Result<Value, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", program.display());
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the program failed: {}", said.trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("the program printed no JSON: {e}"))
}

/// Seconds a token of the fastest repetition of one test of `bench`: `pp512`, `tg64`.
pub(super) fn seconds(found: &Value, test: &str) -> Option<f64> {
    let row = found["results"].as_array()?.iter().find(|r| r["test"] == test)?;
    let times = row["milliseconds"].as_array()?.iter().filter_map(Value::as_f64);
    Some(times.fold(f64::INFINITY, f64::min) / 1e3 / row["tokens"].as_f64()?).filter(|s| s.is_finite() && *s > 0.0)
}

/// Seconds of reading the tokens before those that a test of `bench` generated.
pub(super) fn before(found: &Value, test: &str) -> Option<f64> {
    let row = found["results"].as_array()?.iter().find(|r| r["test"] == test)?;
    Some(row["depth_milliseconds"].as_f64()? / 1e3)
}
