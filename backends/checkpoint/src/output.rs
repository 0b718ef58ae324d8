//! Output files: written without a name, then put in place whole, and never over an input.
//!
//! The previous file is unchanged until [`Output::commit`], whatever fails before: a full disk, a kill, an
//! error of the caller. Files are identified by device and inode, so that links to an input count as that input.

use std::{
    ffi::CString,
    fs::{self, File, Metadata, Permissions},
    io::{self, BufWriter, Write},
    os::{
        fd::{AsRawFd, BorrowedFd, RawFd},
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
        },
    },
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, TempPath};

pub use crate::output_error::{Error, reason};
use crate::{
    files::{folder_of, members},
    output_error::io_error,
};

/// Links to links beyond which a path is taken for a circle, as the system does.
const MOST_LINKS: usize = 40;
/// Bytes collected before they are written.
const BUFFER: usize = 1 << 16;
/// Open files of this process, by number.
const DESCRIPTORS: &str = "/proc/self/fd";
/// The name that stands for standard input or standard output.
const STANDARD: &str = "-";
/// A file being written. Dropped without [`Output::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    /// As it was given.
    path: PathBuf,
    to: BufWriter<File>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A device, a pipe or a descriptor of this process: what is written is there at once.
    Stream,
    /// A file without a name yet, for this place.
    Nameless(PathBuf),
    /// A file of a random name beside the place, on systems that know no files without names.
    Named(TempPath, PathBuf),
}

/// Where a path leads.
enum Place {
    Descriptor(RawFd),
    Stream,
    /// Where the file will stand, and what stands there.
    File(PathBuf, Option<Metadata>),
}

impl Output {
    /// Starts a file at `path`; `-` is standard output, and devices and pipes are written to as they are. Inputs are
    /// files, `-` for standard input, or folders of checkpoints.
    ///
    /// # Errors
    ///
    /// An output that is an input, a folder, in a folder that is missing, or that the system refuses.
    pub fn create(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<Output, Error> {
        Output::with_mode(path, inputs, 0o666)
    }

    /// [`Output::create`] of a file that can be executed.
    ///
    /// # Errors
    ///
    /// As [`Output::create`].
    pub fn create_program(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<Output, Error> {
        Output::with_mode(path, inputs, 0o777)
    }

    fn with_mode(path: &Path, inputs: &[impl AsRef<Path>], mode: u32) -> Result<Output, Error> {
        let failed = |error| io_error(path, error);
        let (file, kind) = match checked(path, inputs)? {
            Place::Descriptor(number) => (descriptor(number).map_err(failed)?, Kind::Stream),
            Place::Stream => (File::options().write(true).open(path).map_err(failed)?, Kind::Stream),
            Place::File(place, before) => part(place, before.as_ref(), mode).map_err(failed)?,
        };
        Ok(Output {
            path: path.to_owned(),
            to: BufWriter::with_capacity(BUFFER, file),
            kind,
        })
    }

    /// Puts the file in place, on the disk, whole.
    ///
    /// # Errors
    ///
    /// What the system says; the place is then as it was.
    pub fn commit(self) -> Result<(), Error> {
        let Output { path, to, kind } = self;
        let file = to.into_inner().map_err(|error| io_error(&path, error.into_error()))?;
        let placed = match kind {
            Kind::Stream => Ok(()),
            Kind::Nameless(place) => file.sync_all().and_then(|()| name(&file, &place)),
            Kind::Named(part, place) => file
                .sync_all()
                .and_then(|()| part.persist(place).map_err(|error| error.error)),
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
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
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
    checked(path, inputs).map(drop)
}

/// Whether two outputs would be the same file.
pub fn same_place(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| match place(path) {
        Ok(Place::File(place, _)) => Some((fs::canonicalize(folder_of(&place)).ok()?, place.file_name()?.to_owned())),
        _ => None,
    };
    real(one).is_some_and(|one| Some(one) == real(other))
}

fn checked(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<Place, Error> {
    let place = place(path)?;
    let about = match &place {
        Place::Descriptor(number) => descriptor(*number).and_then(|file| file.metadata()).ok(),
        Place::Stream => None,
        Place::File(_, before) => before.clone(),
    };
    let Some(identity) = about.as_ref().and_then(identity) else {
        return Ok(place);
    };
    match inputs.iter().find(|input| holds(input.as_ref(), identity)) {
        Some(input) => Err(Error::IsInput {
            path: path.to_owned(),
            input: input.as_ref().to_owned(),
        }),
        None => Ok(place),
    }
}

/// What identifies a plain file, whatever its name.
#[derive(Clone, Copy, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The identity of a plain file; others cannot be lost.
fn identity(about: &Metadata) -> Option<Identity> {
    about.is_file().then(|| Identity {
        device: about.dev(),
        inode: about.ino(),
    })
}

/// Whether an input is the file of that identity, or a folder of a checkpoint to which it belongs.
fn holds(input: &Path, wanted: Identity) -> bool {
    let is = |about: io::Result<Metadata>| about.is_ok_and(|about| identity(&about) == Some(wanted));
    if input.as_os_str() == STANDARD {
        return is(descriptor(0).and_then(|file| file.metadata()));
    }
    if !input.is_dir() {
        return is(fs::metadata(input));
    }
    members(input).any(|path| is(fs::metadata(path)))
}

fn place(path: &Path) -> Result<Place, Error> {
    if path.as_os_str() == STANDARD {
        return Ok(Place::Descriptor(1));
    }
    let about = match fs::metadata(path) {
        Ok(about) => Some(about),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // A file where a folder should be.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(no_folder(path, path)),
        Err(error) => return Err(io_error(path, error)),
    };
    let is_folder = about.as_ref().is_some_and(Metadata::is_dir);
    if is_folder || path.as_os_str().as_bytes().ends_with(b"/") || path.file_name().is_none() {
        return Err(Error::IsFolder { path: path.to_owned() });
    }
    if about.as_ref().is_some_and(|about| !about.is_file()) {
        return Ok(Place::Stream);
    }
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Some(number) = own_descriptor(&place) {
            return Ok(Place::Descriptor(number));
        }
        match fs::read_link(&place) {
            Ok(to) => place = folder_of(&place).join(to),
            Err(_) if folder_of(&place).is_dir() => return Ok(Place::File(place, about)),
            Err(_) => return Err(no_folder(path, &place)),
        }
    }
    Err(io_error(path, io::Error::from_raw_os_error(libc::ELOOP)))
}

fn no_folder(path: &Path, place: &Path) -> Error {
    Error::NoFolder {
        path: path.to_owned(),
        folder: folder_of(place).to_owned(),
    }
}

/// The number of an open file that a path such as `/dev/fd/3` names: it goes on where it stands, and is not replaced.
fn own_descriptor(path: &Path) -> Option<RawFd> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let here = |folder: &Path| fs::canonicalize(folder).ok();
    (here(folder_of(path))? == here(Path::new(DESCRIPTORS))?).then_some(number)
}

/// Another hold of an open file of this process.
fn descriptor(number: RawFd) -> io::Result<File> {
    // SAFETY: the number is used for this call alone, and a closed one is refused by the system.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned().map(File::from)
}

/// A file for a place, to be written before it has its name, with the permissions of what it will replace.
fn part(place: PathBuf, before: Option<&Metadata>, mode: u32) -> io::Result<(File, Kind)> {
    if before.is_some() {
        check_writable(&place)?;
    }
    let folder = folder_of(&place);
    let mut nameless = File::options();
    nameless.write(true).mode(mode).custom_flags(libc::O_TMPFILE);
    // A file gets its name by way of this folder, which not every container has.
    let opened = match Path::new(DESCRIPTORS).is_dir() {
        true => nameless.open(folder),
        false => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
    };
    let (file, kind) = match opened {
        Ok(file) => (file, Kind::Nameless(place)),
        // Some file systems know none, and say so in different ways.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
            ) =>
        {
            let (file, part) = builder()
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(folder)?
                .into_parts();
            (file, Kind::Named(part, place))
        }
        Err(error) => return Err(error),
    };
    if let Some(before) = before {
        let executable = mode & 0o111 & (before.mode() >> 2);
        file.set_permissions(Permissions::from_mode(before.mode() & 0o777 | executable))?;
    }
    Ok((file, kind))
}

/// Refuses a file that this user may not write: replacing it needs no leave of the file itself.
fn check_writable(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a C string that lives through the call.
    match unsafe { libc::access(path.as_ptr(), libc::W_OK) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".seqc-").suffix(".part");
    builder
}

/// Gives a file without a name its place, in one step where something stands there.
fn name(file: &File, place: &Path) -> io::Result<()> {
    let link = |path: &Path| -> io::Result<()> {
        let from = CString::new(format!("{DESCRIPTORS}/{}", file.as_raw_fd()))?;
        let to = CString::new(path.as_os_str().as_bytes())?;
        let (here, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
        // SAFETY: both are C strings that live through the call.
        match unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), follow) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // A link never replaces: it is made under a random name and moved.
    let linked: NamedTempFile<()> = builder().make_in(folder_of(place), link)?;
    linked.into_temp_path().persist(place).map_err(|error| error.error)
}

#[cfg(test)]
mod tests;
