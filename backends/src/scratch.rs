//! Folders that nobody else can look into or plant files in, and the processes that run meanwhile; both end with this
//! process, also when a signal ends it.

use seqc_abi::machine::field;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tempfile::TempDir;

/// Attempts to remove a folder that a process which is ending still writes to.
const ATTEMPTS: usize = 10;

/// What a signal has to clear up.
struct Open {
    folders: Vec<PathBuf>,
    processes: Vec<u32>,
}

static OPEN: Mutex<Open> = Mutex::new(Open {
    folders: Vec::new(),
    processes: Vec::new(),
});

fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of a random name that only this user can enter, removed with everything in it at the end.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// Makes one where the system keeps temporary files.
    ///
    /// # Errors
    ///
    /// What the system says, with the place.
    pub fn new() -> io::Result<Folder> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("seqc-").permissions(Permissions::from_mode(0o700));
        // A signal that comes now waits, and knows of the folder then.
        let mut open = open();
        let folder = builder.tempdir()?;
        open.folders.push(folder.path().to_owned());
        Ok(Folder(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a new file.
    ///
    /// # Errors
    ///
    /// What the system says; also where there is one of that name.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.file(name);
        File::create_new(&path)?.write_all(bytes)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut open = open();
        open.folders.retain(|path| path != self.0.path());
        // The folder itself goes away when this field is dropped, with the lock held: a signal finds it or does not.
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}

/// Runs a process to its end; nothing is on its standard input, and a signal that ends this process ends it, too.
///
/// # Errors
///
/// What the system says when it cannot be started.
pub fn run(command: &mut Command) -> io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child: Child = {
        let mut open = open();
        let child = command.spawn()?;
        open.processes.push(child.id());
        child
    };
    let process = child.id();
    let output = child.wait_with_output();
    open().processes.retain(|other| *other != process);
    output
}

/// From now on a signal that ends this process first ends the processes of [`run`] and removes the folders.
///
/// # Errors
///
/// What the system says; signals then end this process at once.
pub fn end_on_signals() -> io::Result<()> {
    // Those that are ignored (`nohup`, a shell's background) stay so.
    let heard = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(heard)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // Held to the end: nothing new is started, and a killed process is not reported as a failure.
            let open = open();
            clear(&open);
            // It ends this process.
            let _ = low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = field(&status, "SigIgn");
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

fn clear(open: &Open) {
    for process in &open.processes {
        let process = i32::try_from(*process).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(process) = process {
            // One that has ended is gone already.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    }
    for folder in &open.folders {
        for _ in 0..ATTEMPTS {
            if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_private_and_go_away() {
        let (first, second) = (Folder::new().expect("a folder"), Folder::new().expect("a folder"));
        assert_ne!(first.path(), second.path());
        let about = first.path().metadata().expect("there");
        assert_eq!(about.permissions().mode() & 0o777, 0o700);
        let file = first.write("a", b"text").expect("written");
        assert_eq!(std::fs::read(&file).expect("read"), b"text");
        // A file that is there already is none of ours.
        assert!(first.write("a", b"other").is_err());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
        assert!(!open().folders.contains(&path));
    }

    #[test]
    fn what_is_open_is_cleared() {
        let folder = Folder::new().expect("a folder");
        folder.write("a", b"text").expect("written");
        let mut child = Command::new("sleep").arg("60").spawn().expect("started");
        clear(&Open {
            folders: vec![folder.path().to_owned()],
            processes: vec![child.id()],
        });
        assert!(!folder.path().exists());
        assert!(!child.wait().expect("ended").success());
    }
}
