//! Output files, on a system without files that have no names: written under another name, then put in place, and never over an input.
//!
//! The previous file is unchanged until [`Output::commit`]. Files are identified by device and inode, so that links to an input count as that
//! input.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, BufWriter, Write},
    mem::MaybeUninit,
    path::{Path, PathBuf},
};

pub use crate::output_error::{Error, reason};
use crate::{
    files::{folder_of, members},
    output_error::io_error,
};

/// Bytes collected before they are written.
const BUFFER: usize = 1 << 16;
/// The name that stands for standard output.
const STANDARD: &str = "-";

/// A file being written. Dropped without [`Output::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    /// As it was given.
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    Standard,
    /// A device or a pipe: what is written is there at once.
    Stream(File),
    File(BufWriter<File>, Part),
}

/// A file under another name, which is removed unless it gets its place.
#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // It is gone where it was put in place.
        let _ = fs::remove_file(&self.0);
    }
}

impl Output {
    /// Starts a file at `path`; `-` is standard output, and devices are written to as they are. Inputs are files, `-` for standard input, or
    /// folders of checkpoints.
    ///
    /// # Errors
    ///
    /// An output that is an input, a folder, in a folder that is missing, or that the system refuses.
    pub fn create(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<Output, Error> {
        check(path, inputs)?;
        let failed = |error| io_error(path, error);
        let to = if path.as_os_str() == STANDARD {
            To::Standard
        } else if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            To::Stream(File::options().write(true).open(path).map_err(failed)?)
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let part = Part(path.with_file_name(format!(".seqc-{name}.part")));
            let file = File::create(&part.0).map_err(failed)?;
            To::File(BufWriter::with_capacity(BUFFER, file), part)
        };
        Ok(Output {
            path: path.to_owned(),
            to,
        })
    }

    /// Puts the file in place, whole.
    ///
    /// # Errors
    ///
    /// What the system says; the place is then as it was.
    pub fn commit(self) -> Result<(), Error> {
        let Output { path, to } = self;
        let placed = match to {
            To::Standard => io::stdout().flush(),
            To::Stream(_) => Ok(()),
            To::File(buffered, part) => match buffered.into_inner() {
                Ok(file) => file.sync_all().and_then(|()| fs::rename(&part.0, &path)),
                Err(error) => Err(error.into_error()),
            },
        };
        placed.map_err(|error| io_error(&path, error))
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Standard => io::stdout().write(bytes),
            To::Stream(file) => file.write(bytes),
            To::File(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Standard => io::stdout().flush(),
            To::Stream(file) => file.flush(),
            To::File(file, _) => file.flush(),
        }
    }
}

/// Writes a whole file, see [`Output::create`].
///
/// # Errors
///
/// As [`Output::create`] and [`Output::commit`].
pub fn write(path: &Path, inputs: &[impl AsRef<Path>], bytes: &[u8]) -> Result<(), Error> {
    let mut output = Output::create(path, inputs)?;
    output.write_all(bytes).map_err(|error| io_error(path, error))?;
    output.commit()
}

/// Whether [`Output::create`] would refuse a path: asked before long work, and before inputs are opened.
///
/// # Errors
///
/// As [`Output::create`].
pub fn check(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<(), Error> {
    if path.as_os_str() == STANDARD {
        return Ok(());
    }
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::IsFolder { path: path.to_owned() });
    }
    if !folder_of(path).is_dir() {
        return Err(Error::NoFolder {
            path: path.to_owned(),
            folder: folder_of(path).to_owned(),
        });
    }
    let Some(identity) = identity(path) else {
        return Ok(());
    };
    match inputs.iter().find(|input| holds(input.as_ref(), identity)) {
        Some(input) => Err(Error::IsInput {
            path: path.to_owned(),
            input: input.as_ref().to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether two outputs would be the same file.
pub fn same_place(one: &Path, other: &Path) -> bool {
    one.as_os_str() != STANDARD
        && one.file_name() == other.file_name()
        && identity_of_any(folder_of(one)).is_some_and(|folder| Some(folder) == identity_of_any(folder_of(other)))
}

/// What identifies a file, whatever its name.
#[derive(Clone, Copy, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// That of a plain file.
fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).is_ok_and(|about| about.is_file()).then_some(())?;
    identity_of_any(path)
}

/// That of whatever stands there.
fn identity_of_any(path: &Path) -> Option<Identity> {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).ok()?;
    let mut about = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a C string and a place for the result, which live through the call; zeros are a valid result.
    let about = unsafe {
        if libc::stat(path.as_ptr(), about.as_mut_ptr()) != 0 {
            return None;
        }
        about.assume_init()
    };
    Some(Identity {
        device: about.st_dev,
        inode: about.st_ino,
    })
}

/// Whether an input is the file of that identity, or a folder of a checkpoint to which it belongs.
fn holds(input: &Path, wanted: Identity) -> bool {
    if !input.is_dir() {
        return identity(input) == Some(wanted);
    }
    members(input).any(|path| identity(&path) == Some(wanted))
}
