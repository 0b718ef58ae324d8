//! Where files are read from: the disk, or a bundle at the end of a program.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{bundle::Bundle, error::Error, mapping::Mapping};

/// A file or a folder.
#[derive(Clone, Debug)]
pub enum Source {
    /// On the disk.
    Disk(PathBuf),
    /// Inside a program, under a name such as `weights/model.safetensors`.
    Inside(Arc<Bundle>, String),
}

impl Source {
    /// What messages call it.
    pub fn shown(&self) -> PathBuf {
        match self {
            Source::Disk(path) => path.clone(),
            Source::Inside(bundle, name) => format!("{name} inside {}", bundle.path().display()).into(),
        }
    }

    /// Whether there is such a file or folder.
    pub fn exists(&self) -> bool {
        match self {
            Source::Disk(path) => path.exists(),
            Source::Inside(bundle, name) => bundle.range(name).is_some() || bundle.has_folder(name),
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        match self {
            Source::Disk(path) => path.is_dir(),
            Source::Inside(bundle, name) => bundle.has_folder(name),
        }
    }

    /// Whether the name has this ending.
    pub(crate) fn ends_with(&self, ending: &str) -> bool {
        match self {
            Source::Disk(path) => path.as_os_str().as_encoded_bytes().ends_with(ending.as_bytes()),
            Source::Inside(_, name) => name.ends_with(ending),
        }
    }

    /// A file of this folder.
    pub fn join(&self, name: &str) -> Source {
        match self {
            Source::Disk(path) => Source::Disk(path.join(name)),
            Source::Inside(bundle, folder) => Source::Inside(bundle.clone(), format!("{folder}/{name}")),
        }
    }

    /// A file in the same folder as this one.
    pub fn beside(&self, name: &str) -> Source {
        match self {
            Source::Disk(path) => Source::Disk(path.with_file_name(name)),
            Source::Inside(bundle, this) => {
                let folder = this.rsplit_once('/').map_or("", |(folder, _)| folder);
                Source::Inside(bundle.clone(), format!("{folder}/{name}"))
            }
        }
    }

    /// Whether the file begins with these bytes.
    pub fn starts_with(&self, magic: &[u8]) -> bool {
        let mut found = vec![0; magic.len()];
        let read = match self {
            Source::Disk(path) => File::open(path).and_then(|mut file| file.read_exact(&mut found)).ok(),
            Source::Inside(bundle, name) => bundle.range(name).and_then(|(start, bytes)| {
                found = bundle.read(start, bytes.min(magic.len() as u64)).ok()?;
                Some(())
            }),
        };
        read.is_some() && found == magic
    }

    /// All bytes of a file, if they are at most so many: no device or pipe fills the memory.
    ///
    /// # Errors
    ///
    /// A file that is missing, cannot be read or is longer.
    pub fn read(&self, most: u64) -> Result<Vec<u8>, Error> {
        let read = match self {
            Source::Disk(path) => read_at_most(path, most),
            Source::Inside(bundle, _) => {
                let (start, bytes) = self.range()?;
                bundle.read(start, bytes.min(most.saturating_add(1)))
            }
        };
        let bytes = read.map_err(|error| self.failed(error))?;
        if bytes.len() as u64 > most {
            return Err(self.failed(too_long(most)));
        }
        Ok(bytes)
    }

    /// Refuses pipes and devices before they are opened, since opening a pipe may wait for ever, and empty files.
    ///
    /// # Errors
    ///
    /// A file that is missing, empty or no plain file.
    pub fn check_plain(&self) -> Result<(), Error> {
        let Source::Disk(path) = self else { return Ok(()) };
        let about = fs::metadata(path).map_err(|error| self.failed(error))?;
        if !about.is_file() {
            return Err(Error::broken(path, "not a plain file: give one"));
        }
        if about.len() == 0 {
            return Err(Error::broken(path, "the file is empty: fetch or write it again"));
        }
        Ok(())
    }

    /// The file's bytes.
    pub(crate) fn map(&self) -> Result<Arc<Mapping>, Error> {
        let map = match self {
            Source::Disk(path) => {
                self.check_plain()?;
                let file = File::open(path).map_err(|error| self.failed(error))?;
                Mapping::of(&file)
            }
            Source::Inside(bundle, _) => {
                let (start, bytes) = self.range()?;
                Mapping::of_part(bundle.file(), start..start + bytes)
            }
        };
        map.map(Arc::new).map_err(|error| self.failed(error))
    }

    fn range(&self) -> Result<(u64, u64), Error> {
        let found = match self {
            Source::Disk(_) => None,
            Source::Inside(bundle, name) => bundle.range(name),
        };
        found.ok_or_else(|| self.failed(io::Error::from_raw_os_error(libc::ENOENT)))
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::Io {
            path: self.shown(),
            error,
        }
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Source {
        Source::Disk(path.to_owned())
    }
}

/// All bytes of a file on the disk, if they are at most so many: no device or pipe fills the memory.
///
/// # Errors
///
/// What the system says, or that the file is longer.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let claimed = file.metadata().map_or(0, |about| about.len());
    if claimed > most {
        return Err(too_long(most));
    }
    take_at_most(file, most)
}

/// All bytes that come, if they are at most so many.
///
/// # Errors
///
/// What the system says, or that there are more.
pub fn take_at_most(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_long(most));
    }
    Ok(bytes)
}

fn too_long(most: u64) -> io::Error {
    let message = format!("this is longer than {most} bytes, more than is read here");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Files of a model's folder that are read with a tokenizer or a configuration, under fixed names.
pub const COMPANIONS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Those of [`COMPANIONS`] that a folder has.
pub fn companions(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let all = COMPANIONS.iter().map(|name| folder.join(name));
    all.filter(|path| fs::metadata(path).is_ok_and(|about| about.is_file()))
}

/// Files of a folder that belong to a checkpoint there: its weights, and [`COMPANIONS`].
pub(crate) fn members(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let members = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        COMPANIONS.contains(&&*name)
            || name.starts_with("model") && (name.ends_with(".safetensors") || name.ends_with(".index.json"))
    });
    members.map(|entry| entry.path())
}

/// The folder in which a path names a file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_never_end_are_read_up_to_the_bound() {
        for most in [0, 1, 1 << 20] {
            let said = read_at_most(Path::new("/dev/zero"), most)
                .expect_err("too long")
                .to_string();
            assert!(said.contains("longer than"), "{said}");
        }
        assert!(read_at_most(Path::new("/dev/null"), 0).expect("nothing").is_empty());
        assert_eq!(take_at_most(&b"abc"[..], 3).expect("all"), b"abc");
    }
}
