//! The profile that is kept from one run to the next: where it is, and whether it is still good.

use super::{doubt, profile::Profile};
use serde_json::Value;
use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Seconds after which a profile is measured anew: memory and cooling, kernels and neighbours change.
const STALE: u64 = 30 * DAY;
const DAY: u64 = 24 * 60 * 60;
/// Bytes that no profile has.
const LARGEST: u64 = 1 << 16;

/// What was found where profiles are kept.
#[derive(Debug)]
pub enum Kept {
    /// A profile of this machine.
    Good(Box<Profile>),
    /// One that is not used, and why.
    Bad(String),
    /// None.
    Missing,
}

/// The profile that was kept.
pub fn read() -> Kept {
    match place() {
        Some(place) => read_at(&place),
        None => Kept::Missing,
    }
}

fn read_at(place: &Path) -> Kept {
    let folder = place.parent().unwrap_or(place);
    let Ok(about) = fs::symlink_metadata(folder) else {
        return Kept::Missing;
    };
    if !(about.is_dir() && is_private(&about)) {
        return Kept::Bad(format!("{}: other users can write to this directory", folder.display()));
    }
    let text = match File::open(place) {
        Ok(file) => text(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Kept::Missing,
        Err(e) => Err(e.to_string()),
    };
    let found = text.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()));
    match found.and_then(|v: Value| usable(&v)) {
        Ok(profile) => Kept::Good(Box::new(profile)),
        Err(reason) => Kept::Bad(reason),
    }
}

fn text(file: File) -> Result<String, String> {
    let about = file.metadata().map_err(|e| e.to_string())?;
    if !(about.is_file() && is_private(&about)) {
        return Err("other users can write to its file".to_owned());
    }
    let mut text = String::new();
    let read = file.take(LARGEST).read_to_string(&mut text);
    read.map(|_| text).map_err(|e| e.to_string())
}

/// A profile that can be used now, or why not.
fn usable(v: &Value) -> Result<Profile, String> {
    let profile = Profile::from_json(v).ok_or("it is of another version of seqc, or none")?;
    if !profile.is_of_this_machine() {
        return Err("it is of another machine".to_owned());
    }
    match profile.probed.as_ref().map(|probed| probed.age()) {
        Some(Some(age)) if age < STALE => {}
        Some(Some(age)) => return Err(format!("it is {} days old", age / DAY)),
        _ => return Err("it has no valid date".to_owned()),
    }
    match &doubt::doubts(&profile)[..] {
        [] => Ok(profile),
        doubts => Err(format!("it is not plausible: {}", doubts.join("; "))),
    }
}

/// Keeps a profile for later runs; the place, or why it could not be kept.
pub fn keep(profile: &Profile) -> Result<PathBuf, String> {
    let place = place().ok_or("neither XDG_CACHE_HOME nor HOME names a directory")?;
    write(&place, profile).map_err(|e| format!("{}: {e}", place.display()))?;
    Ok(place)
}

/// In one step, readable by this user alone.
fn write(place: &Path, profile: &Profile) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = fs::symlink_metadata(folder)?;
    if !(about.is_dir() && is_private(&about)) {
        return Err(io::Error::other("other users can write to this directory"));
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{:#}", profile.to_json())?;
    file.persist(place).map_err(|e| e.error)?;
    Ok(())
}

/// True for what belongs to this user and nobody else can write.
fn is_private(about: &Metadata) -> bool {
    let own = fs::metadata("/proc/self").map(|own| own.uid());
    own.is_ok_and(|own| own == about.uid()) && about.mode() & 0o022 == 0
}

/// `seqc/machine.json` in the user's folder for caches.
fn place() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("seqc").join("machine.json"))
}

#[cfg(test)]
mod tests;
