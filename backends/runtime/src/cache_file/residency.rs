//! Which parts of a mapped file are in memory: a bounded number, by the clock algorithm.
//!
//! The system does not say when a part was used, only whether it is mapped. So some of those that have been mapped longest are unmapped, but
//! stay in memory: those that are used again are mapped again at no cost worth mentioning; the others leave memory next time.

use std::ops::Range;

use super::system::{Counts, GRANULE, Memory, System, granule_pages};
use crate::memory::system_page;

/// Reading so much around one page takes about as long as reading one page by itself.
const WORTH: usize = 16;

/// Memory of a mapped file.
#[derive(Debug)]
pub(super) struct Residency {
    memory: Memory,
    /// Pages that may be in memory.
    most: usize,
    granules: Vec<Granule>,
    /// The next granule that is looked at.
    hand: usize,
    /// Whether pages are read one by one, as what is used lies far apart.
    sparse: bool,
    /// Pages in memory when they were last counted, and what the system counted then.
    counted: usize,
    then: Counts,
    /// What it counted in the last call.
    seen: Counts,
    system: System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Granule {
    place: Place,
    /// Pages in memory, as far as is known; the system may have read more than are mapped.
    pages: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Mapped.
    Used,
    /// In memory, not mapped: unmapped to see whether it is used again, or not written yet.
    Aging,
    /// On the disk.
    Out,
}

const OUT: Granule = Granule {
    place: Place::Out,
    pages: 0,
};

impl Residency {
    /// A mapped file, of which `bytes` may be in memory.
    pub(super) fn new(memory: Memory, mut system: System, bytes: usize) -> Residency {
        Residency {
            memory,
            most: bytes / system_page(),
            granules: Vec::new(),
            hand: 0,
            sparse: false,
            counted: 0,
            then: system.counts(),
            seen: system.counts(),
            system,
        }
    }

    /// Drops from memory what is too much, of a file of `end` bytes. Whether memory has changed since the last call. What is not written yet
    /// leaves memory when it is: now, if the caller `waits`.
    pub(super) fn hold(&mut self, end: usize, waits: bool) -> bool {
        let now = self.system.counts();
        let mapped = now.mapped.saturating_sub(self.then.mapped);
        let read = now.faults.saturating_sub(self.then.faults) * if self.sparse { 1 } else { self.system.read_around };
        if self.counted + mapped.max(read) > self.most {
            self.trim(end, waits);
        }
        std::mem::replace(&mut self.seen, now) != now
    }

    /// Counts what is in memory, and drops what is too much.
    pub(super) fn trim(&mut self, end: usize, waits: bool) {
        let count = end / (GRANULE);
        self.granules.resize(count, OUT);
        let (before, mapped) = (self.granules.clone(), self.system.mapped(&self.memory, count));
        for (granule, mapped) in self.granules.iter_mut().zip(mapped) {
            *granule = match granule.place {
                Place::Out if mapped > 0 && !self.sparse => Granule::used(granule_pages()),
                _ if mapped > 0 => Granule::used(mapped.max(granule.pages)),
                Place::Aging => *granule,
                Place::Used | Place::Out => OUT,
            };
        }
        self.choose_reading(&before);
        let counted = self.granules.clone();
        if self.pages() > self.most - self.most / 8 {
            self.evict(&before);
        }
        self.drop_others(waits);
        for (n, counted) in counted.into_iter().enumerate() {
            if counted != OUT && self.granules[n] == OUT && self.memory.holds(n) {
                self.granules[n] = Granule {
                    place: Place::Aging,
                    ..counted
                };
            }
        }
        self.counted = self.pages();
        self.then = self.system.counts();
    }

    /// Pages in memory.
    fn pages(&self) -> usize {
        self.granules.iter().map(|granule| granule.pages).sum()
    }

    /// Lets the system read around pages, unless what has come since the last time lies in runs that are so short that most of it would be in vain.
    fn choose_reading(&mut self, before: &[Granule]) {
        let came = |n: usize| before[n].place == Place::Out && self.granules[n].place == Place::Used;
        let (granules, runs) =
            runs(before.len(), came).fold((0, 0), |(granules, count), run| (granules + run.len(), count + 1));
        let sparse = granules * granule_pages() * WORTH < self.system.read_around * runs;
        if runs > 0 && sparse != self.sparse {
            self.sparse = sparse;
            self.memory.read_around(!sparse);
        }
    }

    /// Makes room for a quarter of what may be in memory: those leave that were not used since they were unmapped, and if these are too few, those
    /// that the hand meets first and that were not unmapped `before`. A quarter is unmapped.
    fn evict(&mut self, before: &[Granule]) {
        for granule in &mut self.granules {
            if granule.place == Place::Aging {
                *granule = OUT;
            }
        }
        let (count, part) = (self.granules.len(), self.most / 4);
        let used = self.pages();
        let mut out = used.saturating_sub(self.most - part);
        let mut aging = part.min(used - out);
        let mut unmapped = vec![false; count];
        for met in 0..2 * count {
            let n = self.hand % count;
            if out + aging == 0 {
                break;
            }
            self.hand = n + 1;
            let granule = &mut self.granules[n];
            let again = before[n].place == Place::Aging;
            if granule.place != Place::Used || out > 0 && again && met < count {
                continue;
            }
            unmapped[n] = true;
            if out > 0 {
                out = out.saturating_sub(granule.pages);
                *granule = OUT;
            } else {
                aging = aging.saturating_sub(granule.pages);
                granule.place = Place::Aging;
            }
        }
        runs(count, |n| unmapped[n]).for_each(|run| self.memory.unmap(run));
    }

    /// Drops what is not to be in memory, with what the system has read around the rest.
    fn drop_others(&self, waits: bool) {
        let others = || runs(self.granules.len(), |n| self.granules[n] == OUT);
        others().for_each(|run| self.memory.write(run));
        if waits {
            others().for_each(|run| self.memory.wait(run));
        }
        others().for_each(|run| self.memory.drop(run));
    }

    /// Bytes that the system reads with a page that is used.
    #[cfg(test)]
    pub(super) fn read_around(&self) -> usize {
        self.system.read_around * system_page()
    }
}

impl Granule {
    fn used(pages: usize) -> Granule {
        Granule {
            place: Place::Used,
            pages,
        }
    }
}

/// The longest runs of numbers below `count` that a condition holds for.
fn runs(count: usize, holds: impl Fn(usize) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = (next..count).find(|n| holds(*n))?;
        next = (start..count).find(|n| !holds(*n)).unwrap_or(count);
        Some(start..next)
    })
}
