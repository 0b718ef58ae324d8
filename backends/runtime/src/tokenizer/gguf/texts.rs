//! Many short texts in one block of memory, found by number and by text: a file's vocabulary without a copy of each word.

use std::hash::{BuildHasher, RandomState};

use seqc_checkpoint::{Array, Value};

/// Numbers are 32 bits, and so are offsets.
const MOST_BYTES: usize = u32::MAX as usize;

/// Texts by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    /// The texts of a list; `None` where it holds anything else, or too much.
    pub(super) fn of(list: &Array) -> Option<Texts> {
        let mut texts = Texts::default();
        for value in list.iter() {
            let Value::Str(text) = value else { return None };
            if !texts.push(text) {
                return None;
            }
        }
        Some(texts)
    }

    /// Adds a text, if there is room for it.
    pub(super) fn push(&mut self, text: &str) -> bool {
        let fits = self.all.len() + text.len() <= MOST_BYTES;
        if fits {
            self.all.push_str(text);
            self.ends.push(self.all.len() as u32);
        }
        fits
    }

    /// Bytes that the texts and their places take.
    pub(super) fn bytes(&self) -> usize {
        self.all.len() + 16 * self.ends.len()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.all.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0_u32..).zip((0..self.len()).filter_map(|number| self.get(number)))
    }
}

/// Numbers by text. Hashes are seeded, so that no file can make all of them collide.
#[derive(Debug)]
pub(super) struct Index {
    hasher: RandomState,
    /// Number + 1, or 0 for an empty place; a power of two of places, at least half of them empty.
    places: Vec<u32>,
}

impl Index {
    /// Of equal texts the first one is found.
    pub(super) fn of(texts: &Texts) -> Index {
        let size = (2 * texts.len()).next_power_of_two();
        let mut index = Index {
            hasher: RandomState::new(),
            places: vec![0; size],
        };
        for (number, text) in texts.iter() {
            if let Err(place) = index.find(texts, text.as_bytes()) {
                index.places[place] = number + 1;
            }
        }
        index
    }

    pub(super) fn get(&self, texts: &Texts, text: &[u8]) -> Option<u32> {
        self.find(texts, text).ok()
    }

    /// The number of a text, or the place where it belongs.
    fn find(&self, texts: &Texts, text: &[u8]) -> Result<u32, usize> {
        let mask = self.places.len() - 1;
        let mut place = self.hasher.hash_one(text) as usize & mask;
        loop {
            let Some(number) = self.places[place].checked_sub(1) else {
                return Err(place);
            };
            if texts.get(number as usize).is_some_and(|found| found.as_bytes() == text) {
                return Ok(number);
            }
            place = (place + 1) & mask;
        }
    }
}
