//! The `seqc` command and how a process that was run ended.

use std::{
    env,
    ffi::OsStr,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

/// What a finished process said.
#[derive(Debug)]
pub struct Answer {
    /// The command line, for messages.
    pub line: String,
    /// Exit status; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    fn of(line: String, output: &Output) -> Answer {
        Answer {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// This answer, if the process succeeded.
    pub fn ok(self) -> Answer {
        assert_eq!(
            self.code,
            Some(0),
            "{} failed:\n{}{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard error of a process that must have refused its input: exit status 1, a message, no panic.
    pub fn refused(self) -> String {
        assert_eq!(
            self.code,
            Some(1),
            "{} should be refused:\n{}{}",
            self.line,
            self.stdout,
            self.stderr
        );
        assert!(
            !self.stderr.trim().is_empty(),
            "{} is refused without a word",
            self.line
        );
        assert!(!self.stderr.contains("panicked at"), "{}:\n{}", self.line, self.stderr);
        self.stderr
    }
}

/// Runs a program to its end with nothing on standard input.
pub fn run<S: AsRef<OsStr>>(program: &Path, args: &[S]) -> Answer {
    run_in(&crate::root(), program, args)
}

/// [`run`] in a directory.
pub fn run_in<S: AsRef<OsStr>>(dir: &Path, program: &Path, args: &[S]) -> Answer {
    finished(Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()))
}

fn finished(command: &mut Command) -> Answer {
    let line = format!("{command:?}");
    let output: Output = started(|| command.output()).unwrap_or_else(|error| panic!("{line}: {error}"));
    Answer::of(line, &output)
}

/// Starts a program that this process may just have written: a test beside this one that starts another at that moment holds
/// the open file until its own program begins, and the system refuses to run what is open for writing.
fn started<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..50 {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    start()
}

/// [`run`] with a text on standard input.
pub fn run_with_input<S: AsRef<OsStr>>(program: &Path, args: &[S], input: &str) -> Answer {
    run_with_bytes(program, args, input.as_bytes())
}

/// [`run`] with these bytes on standard input.
pub fn run_with_bytes<S: AsRef<OsStr>>(program: &Path, args: &[S], input: &[u8]) -> Answer {
    let mut command = Command::new(program);
    command.args(args).current_dir(crate::root());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let line = format!("{command:?}");
    let mut child = started(|| command.spawn()).unwrap_or_else(|error| panic!("{line}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that fails early does not read on; its answer says why.
        let _ = stdin.write_all(input);
    }
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    Answer::of(line, &output)
}

/// Runs `seqc` with these arguments.
pub fn seqc<S: AsRef<OsStr>>(args: &[S]) -> Answer {
    let mut command = Command::new(seqc_binary());
    command.env("SEQC_RUNTIMES", runtimes());
    finished(command.args(args).current_dir(crate::root()).stdin(Stdio::null()))
}

/// The `seqc` binary of this build, or the one that the variable `SEQC` names.
pub fn seqc_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("SEQC") {
        Some(path) => PathBuf::from(path),
        None => build_seqc(),
    })
}

/// Cargo's target directory: the test binary lies in `TARGET/PROFILE/deps`.
pub fn target_dir() -> PathBuf {
    profile_dir()
        .parent()
        .map(Path::to_owned)
        .unwrap_or_else(|| crate::root().join("target"))
}

/// Where the tests' own copies of runtimes for other processors are: they are optimised less than those that users make.
pub fn runtimes() -> PathBuf {
    target_dir().join("lib").join("seqc-quick")
}

fn profile_dir() -> PathBuf {
    let exe = env::current_exe().unwrap_or_else(|error| panic!("where is this test? {error}"));
    exe.ancestors()
        .nth(2)
        .map(Path::to_owned)
        .unwrap_or_else(|| panic!("{} lies in no target directory", exe.display()))
}

/// Cargo builds no other crate's binaries for a test, so they are asked for here; a moment when they are fresh.
fn build_seqc() -> PathBuf {
    let dir = profile_dir();
    let release = dir.file_name() == Some(OsStr::new("release"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(crate::root())
        .args(["build", "--quiet", "--package", "seqc", "--bin", "seqc"]);
    cargo.arg("--target-dir").arg(target_dir());
    if release {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap_or_else(|error| panic!("cargo build: {error}"));
    assert!(
        output.status.success(),
        "seqc does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    dir.join("seqc")
}
