//! What the system knows of the memory of a mapped file, and does with it.

use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    ops::Range,
    os::{
        fd::{AsRawFd, RawFd},
        linux::fs::MetadataExt,
        unix::fs::FileExt,
    },
    ptr::NonNull,
};

use crate::memory::system_page;

/// Bytes that are in memory or not: about those of a page of a cache.
pub(super) const GRANULE: usize = 128 << 10;
/// Granules whose entries in the system's table of pages are read at once.
const AT_ONCE: usize = 1024;
/// Bytes that are read around a page, where the system does not say how many.
const READ_AROUND: usize = 1 << 20;

/// Pages of the system in a granule.
pub(super) fn granule_pages() -> usize {
    GRANULE / system_page()
}

/// The mapped file.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    /// Bytes that are mapped; the file is shorter.
    mapped: usize,
    /// Open as long as the store.
    file: RawFd,
}

// SAFETY: an address, of which nothing is read or written here.
unsafe impl Send for Memory {}

impl Memory {
    /// A file of which `mapped` bytes are mapped at `start`.
    pub(super) fn new(file: &File, start: NonNull<u8>, mapped: usize) -> Memory {
        Memory {
            start,
            mapped,
            file: file.as_raw_fd(),
        }
    }

    /// Unmaps granules, which stay in memory.
    pub(super) fn unmap(&self, run: Range<usize>) {
        let start = self.start.as_ptr().wrapping_add(run.start * GRANULE);
        // SAFETY: of a shared mapping, contents stay in the file, where whoever uses them finds them.
        unsafe { libc::madvise(start.cast(), run.len() * GRANULE, libc::MADV_DONTNEED) };
    }

    /// Whether the system reads around pages.
    pub(super) fn read_around(&self, around: bool) {
        let how = if around { libc::MADV_NORMAL } else { libc::MADV_RANDOM };
        // SAFETY: contents are not changed.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.mapped, how) };
    }

    /// Begins to write what differs from the disk.
    pub(super) fn write(&self, run: Range<usize>) {
        self.sync(run, libc::SYNC_FILE_RANGE_WRITE);
    }

    /// Waits until it is written.
    pub(super) fn wait(&self, run: Range<usize>) {
        self.sync(run, libc::SYNC_FILE_RANGE_WAIT_BEFORE);
    }

    /// Drops granules from memory, as far as they are written and not mapped.
    pub(super) fn drop(&self, run: Range<usize>) {
        let (offset, bytes) = part(run);
        // SAFETY: contents are not changed.
        unsafe { libc::posix_fadvise(self.file, offset, bytes, libc::POSIX_FADV_DONTNEED) };
    }

    /// Whether anything of a granule is in memory.
    pub(super) fn holds(&self, granule: usize) -> bool {
        let mut pages = vec![0; granule_pages()];
        let start = self.start.as_ptr().wrapping_add(granule * GRANULE);
        // SAFETY: there is a byte for each page.
        let status = unsafe { libc::mincore(start.cast(), GRANULE, pages.as_mut_ptr()) };
        status == 0 && pages.iter().any(|page| page & 1 != 0)
    }

    fn sync(&self, run: Range<usize>, how: libc::c_uint) {
        let (offset, bytes) = part(run);
        // SAFETY: contents are not changed.
        unsafe { libc::sync_file_range(self.file, offset, bytes, how) };
    }
}

/// Offset and length of granules in the file.
fn part(run: Range<usize>) -> (libc::off_t, libc::off_t) {
    (
        (run.start * GRANULE) as libc::off_t,
        (run.len() * GRANULE) as libc::off_t,
    )
}

/// What the system counts of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Pages of files that are mapped and in memory.
    pub(super) mapped: usize,
    /// How often something was read from a disk because it was used.
    pub(super) faults: usize,
}

/// What the system says of the memory of this process.
#[derive(Debug)]
pub(super) struct System {
    sizes: File,
    table: File,
    /// Pages that are read with one that is used.
    pub(super) read_around: usize,
}

impl System {
    pub(super) fn new(file: &File) -> io::Result<System> {
        let open =
            |path: &str| File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")));
        Ok(System {
            sizes: open("/proc/self/statm")?,
            table: open("/proc/self/pagemap")?,
            read_around: (read_around(file).unwrap_or(READ_AROUND) / system_page()).max(1),
        })
    }

    pub(super) fn counts(&mut self) -> Counts {
        let mut text = [0; 128];
        let bytes = self.sizes.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..bytes]).unwrap_or_default();
        // Size, resident, shared: pages of files.
        let pages = text.split(' ').nth(2).and_then(|pages| pages.parse::<usize>().ok());
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: plain data with room for the answer, for which zeros are valid.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            usage.assume_init()
        };
        Counts {
            mapped: pages.unwrap_or(0),
            faults: usage.ru_majflt as usize,
        }
    }

    /// How many pages of each granule are mapped; all are, where the system does not say.
    pub(super) fn mapped(&self, memory: &Memory, granules: usize) -> Vec<usize> {
        let per_granule = granule_pages();
        let mut entries = vec![0; AT_ONCE.min(granules) * per_granule * 8];
        let mut mapped = Vec::with_capacity(granules);
        while mapped.len() < granules {
            let entries = &mut entries[..AT_ONCE.min(granules - mapped.len()) * per_granule * 8];
            let first = (memory.start.as_ptr() as usize / system_page() + mapped.len() * per_granule) * 8;
            if self.table.read_exact_at(entries, first as u64).is_err() {
                mapped.resize(granules, per_granule);
                break;
            }
            // The highest bit of an entry: the page is there.
            let pages = |granule: &[u8]| {
                granule
                    .iter()
                    .skip(7)
                    .step_by(8)
                    .filter(|byte| **byte & 0x80 != 0)
                    .count()
            };
            mapped.extend(entries.chunks_exact(per_granule * 8).map(pages));
        }
        mapped
    }
}

/// Bytes that the system reads around a page of a file.
fn read_around(file: &File) -> Option<usize> {
    let device = file.metadata().ok()?.st_dev();
    let device = format!("{}:{}", libc::major(device), libc::minor(device));
    let places = [
        format!("/sys/class/bdi/{device}/read_ahead_kb"),
        format!("/sys/dev/block/{device}/../queue/read_ahead_kb"),
    ];
    let text = places.iter().find_map(|path| std::fs::read_to_string(path).ok())?;
    text.trim().parse::<usize>().ok()?.checked_mul(1 << 10)
}
