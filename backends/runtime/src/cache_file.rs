//! A file for the pages of caches: those that were used last are in memory, the others on the disk only.

pub(crate) mod keeper;
mod residency;
mod system;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    ptr::NonNull,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{Error, Result, memory::system_page};
use residency::Residency;
use system::{GRANULE, Memory, System};

/// Where caches lie that need not fit in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFile {
    /// A folder of a disk, in which a file without a name is made.
    pub folder: PathBuf,
    /// Bytes of the file that may be in memory, at least [`LEAST_RESIDENT`].
    pub resident: usize,
}

/// The least memory for a file of caches: with less, hardly anything is found in memory again.
pub const LEAST_RESIDENT: usize = 16 << 20;
/// The memory for a file of caches where nothing else is said.
pub const RESIDENT: usize = 1 << 30;

/// The most that a file can hold.
const MOST: u64 = 1 << 44;

/// The file, mapped as a whole.
#[derive(Debug)]
pub(crate) struct Store {
    file: File,
    folder: PathBuf,
    start: NonNull<u8>,
    /// Bytes that are mapped; the file is shorter.
    mapped: usize,
    slabs: Mutex<Slabs>,
    residency: Mutex<Residency>,
}

// SAFETY: the mapping is the store's own; parts of it are given to one slab each.
unsafe impl Send for Store {}
// SAFETY: what changes is behind locks.
unsafe impl Sync for Store {}

/// Which parts of the file are in use.
#[derive(Debug, Default)]
struct Slabs {
    /// Bytes of the file.
    end: usize,
    /// Offsets of parts that were given back, by their bytes.
    free: BTreeMap<usize, Vec<usize>>,
}

/// A part of the file.
#[derive(Debug)]
pub(crate) struct Slab {
    store: Arc<Store>,
    offset: usize,
    bytes: usize,
}

impl Store {
    /// An empty file.
    ///
    /// # Errors
    ///
    /// A folder that is missing, in which no file can be made, or whose files cannot be used so; too little memory.
    pub(crate) fn create(place: &CacheFile) -> Result<Store> {
        let refused = |why: String| Error::input(format!("{}: {why}", about(&place.folder)));
        if place.resident < LEAST_RESIDENT {
            return Err(Error::input(format!(
                "{} is {} bytes, but must be at least {}M",
                option("resident"),
                place.resident,
                LEAST_RESIDENT >> 20
            )));
        }
        if !place.folder.is_dir() {
            return Err(refused("no such folder: make it, or name another one".to_owned()));
        }
        let failed = |error: io::Error| refused(format!("no file can be made there: {error}"));
        let file = tempfile::tempfile_in(&place.folder).map_err(failed)?;
        let disk = disk(&file).map_err(failed)?;
        if disk.in_memory {
            let why = "its files are kept in memory, which a file of caches would not save: name a folder of a disk";
            return Err(refused(why.to_owned()));
        }
        // Both are needed later, when nobody could be told.
        let usable = reserve(&file, 0, GRANULE).and_then(|()| punch(&file, 0, GRANULE));
        usable.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => refused("the disk is full: name a folder of another one".to_owned()),
            _ => refused(format!(
                "its file system cannot reserve room in files: {error}; name a folder of another one"
            )),
        })?;
        Store::of(file, place, disk.bytes.min(MOST))
    }

    fn of(file: File, place: &CacheFile, most: u64) -> Result<Store> {
        let mapped = usize::try_from(most).unwrap_or(usize::MAX) / GRANULE * GRANULE;
        // SAFETY: a fresh mapping touches nothing of ours; what is behind the end of the file is not touched before it grows.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            )
        };
        let start = NonNull::new(start.cast::<u8>()).filter(|_| start != libc::MAP_FAILED);
        let start = start.ok_or_else(|| {
            let (error, place) = (io::Error::last_os_error(), about(&place.folder));
            Error::Failed(format!("{place}: no addresses for {mapped} bytes: {error}"))
        })?;
        let failed = |error| Error::Failed(format!("{}: {error}", about(&place.folder)));
        let (memory, system) = (Memory::new(&file, start, mapped), System::new(&file).map_err(failed)?);
        Ok(Store {
            residency: Mutex::new(Residency::new(memory, system, place.resident)),
            file,
            folder: place.folder.clone(),
            start,
            mapped,
            slabs: Mutex::default(),
        })
    }

    /// At least `bytes` zeros.
    ///
    /// # Errors
    ///
    /// A full disk.
    pub(crate) fn slab(self: &Arc<Store>, bytes: usize) -> Result<Slab> {
        self.hold(true);
        let bytes = bytes.max(1).saturating_add(GRANULE - 1) / GRANULE * GRANULE;
        let mut slabs = lock(&self.slabs);
        let again = slabs.free.get_mut(&bytes).and_then(Vec::pop);
        let offset = again.unwrap_or(slabs.end);
        let room = if bytes <= self.mapped - offset {
            reserve(&self.file, offset, bytes)
        } else {
            Err(io::ErrorKind::StorageFull.into())
        };
        if let Err(error) = room {
            if again.is_some() {
                slabs.free.entry(bytes).or_default().push(offset);
            }
            let used = slabs.end;
            return Err(self.no_room(used, &error));
        }
        slabs.end = slabs.end.max(offset + bytes);
        Ok(Slab {
            store: self.clone(),
            offset,
            bytes,
        })
    }

    fn no_room(&self, used: usize, error: &io::Error) -> Error {
        let why = match error.kind() {
            io::ErrorKind::StorageFull => "the disk is full".to_owned(),
            _ => error.to_string(),
        };
        Error::Failed(format!(
            "{}: no room for more after {} MiB: {why}; free some, or name a folder of another disk",
            about(&self.folder),
            used >> 20
        ))
    }

    /// Drops from memory what is too much. Whether memory has changed since the last call. Who writes `waits` for the disk.
    pub(crate) fn hold(&self, waits: bool) -> bool {
        let end = lock(&self.slabs).end;
        lock(&self.residency).hold(end, waits)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the range is ours and not used any more: slabs keep their store.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}

impl Slab {
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.store.start.as_ptr().wrapping_add(self.offset)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Gives a part back to memory and disk, as far as it is made of whole pages of the system.
    ///
    /// # Safety
    ///
    /// So many bytes belong to the slab, and nobody reads or writes them any more.
    pub(crate) unsafe fn release(&self, start: *mut u8, bytes: usize) {
        let from = start as usize - self.store.start.as_ptr() as usize;
        let page = system_page();
        let (first, end) = (from.next_multiple_of(page), (from + bytes) / page * page);
        if first < end {
            // Where the system refuses, room is freed with the slab.
            let _ = punch(&self.store.file, first, end - first);
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // Zeros for the next one. What cannot be freed is not used again.
        if punch(&self.store.file, self.offset, self.bytes).is_ok() {
            let mut slabs = lock(&self.store.slabs);
            slabs.free.entry(self.bytes).or_default().push(self.offset);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How users name a setting of the file.
fn option(what: &str) -> String {
    match cfg!(feature = "program") {
        true => format!("--cache-{what}"),
        false => format!("`cache_{what}`"),
    }
}

fn about(folder: &Path) -> String {
    format!("{} {}", option("file"), folder.display())
}

/// What is known of the file system of a file.
struct Disk {
    in_memory: bool,
    bytes: u64,
}

fn disk(file: &File) -> io::Result<Disk> {
    let mut about = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the structure is plain data with room for the answer.
    let status = unsafe { libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) };
    check(status)?;
    // SAFETY: the call filled it.
    let about = unsafe { about.assume_init() };
    Ok(Disk {
        // `tmpfs` and `ramfs`.
        in_memory: matches!(about.f_type, 0x0102_1994 | 0x8584_58f6),
        bytes: about.f_blocks.saturating_mul(about.f_bsize as u64),
    })
}

/// Reserves room on the disk, which is zeros where it was not reserved before: otherwise a full disk would end the program where memory is
/// written.
fn reserve(file: &File, offset: usize, bytes: usize) -> io::Result<()> {
    allocate(file, 0, offset, bytes)
}

/// Gives room back to the disk.
fn punch(file: &File, offset: usize, bytes: usize) -> io::Result<()> {
    allocate(
        file,
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        offset,
        bytes,
    )
}

fn allocate(file: &File, how: libc::c_int, offset: usize, bytes: usize) -> io::Result<()> {
    // SAFETY: the call changes the file only; memory of it that is in use is not in the range.
    check(unsafe { libc::fallocate(file.as_raw_fd(), how, offset as libc::off_t, bytes as libc::off_t) })
}

fn check(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
