//! Files inside a program, each at the start of a page, so that they are mapped from the program's own file: appended to what the
//! linker made, or in a section that it placed.
//!
//! ```text
//! program | padding | file | padding | file … | index, JSON | trailer: magic 8, place of the index u64, its length u64
//! ```

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{error::Error, mapping::read_at};

const MAGIC: &[u8; 8] = b"SEQCFILE";
const TRAILER: usize = 24;
/// What maps begin at, on every machine that programs are built for.
const PAGE: u64 = 4096;
/// Bytes of an index beyond which it is not read.
const LONGEST_INDEX: u64 = 1 << 24;

/// The files inside a program.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    file: File,
    /// Name to first byte and number of bytes.
    entries: BTreeMap<String, (u64, u64)>,
}

impl Bundle {
    /// The files at the end of the program at `path`; `None` when there are none.
    ///
    /// # Errors
    ///
    /// A program that cannot be read, or whose index contradicts its size.
    pub fn open(path: &Path) -> Result<Option<Bundle>, Error> {
        let size = std::fs::metadata(path).map_err(|error| Error::Io {
            path: path.to_owned(),
            error,
        });
        Bundle::open_part(path, 0..size?.len())
    }

    /// The files in a part of the program at `path`, which begins at a page; `None` when there are none.
    ///
    /// # Errors
    ///
    /// As [`Bundle::open`].
    pub fn open_part(path: &Path, part: Range<u64>) -> Result<Option<Bundle>, Error> {
        let failed = |error| Error::Io {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).map_err(failed)?;
        let size = part.end.saturating_sub(part.start);
        let Some(end) = size.checked_sub(TRAILER as u64) else {
            return Ok(None);
        };
        let mut trailer = [0; TRAILER];
        read_at(&file, &mut trailer, part.start + end).map_err(failed)?;
        let number = |at: usize| {
            trailer[at..]
                .first_chunk()
                .map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let (start, length) = (number(8), number(16));
        if !trailer.starts_with(MAGIC) {
            return Ok(None);
        }
        let damaged = || Error::broken(path, "the index of the files inside is damaged");
        if length > LONGEST_INDEX || start.checked_add(length) != Some(end) {
            return Err(damaged());
        }
        let mut index = vec![0; length as usize];
        read_at(&file, &mut index, part.start + start).map_err(failed)?;
        let mut entries = entries(&index, start)
            .filter(|_| part.start.is_multiple_of(PAGE))
            .ok_or_else(damaged)?;
        for (start, _) in entries.values_mut() {
            *start += part.start;
        }
        Ok(Some(Bundle {
            path: path.to_owned(),
            file,
            entries,
        }))
    }

    /// Appends files, each with the name it gets, after the `written` bytes of a program.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or a program that cannot be written.
    pub fn append(to: &mut impl Write, written: u64, files: &[(String, PathBuf)]) -> io::Result<()> {
        let (mut at, mut index) = (written, Vec::new());
        for (name, path) in files {
            let start = at.next_multiple_of(PAGE);
            to.write_all(&vec![0; (start - at) as usize])?;
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let bytes = io::copy(&mut File::open(path).map_err(named)?, to)?;
            index.push(json!({"name": name, "start": start, "bytes": bytes}));
            at = start + bytes;
        }
        let index = Value::from(index).to_string();
        to.write_all(index.as_bytes())?;
        to.write_all(MAGIC)?;
        to.write_all(&at.to_le_bytes())?;
        to.write_all(&(index.len() as u64).to_le_bytes())
    }

    /// The program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|(_, bytes)| bytes).sum()
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn range(&self, name: &str) -> Option<(u64, u64)> {
        self.entries.get(name).copied()
    }

    pub(crate) fn has_folder(&self, name: &str) -> bool {
        let inside = |entry: &String| entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        self.entries.keys().any(inside)
    }

    pub(crate) fn read(&self, start: u64, bytes: u64) -> io::Result<Vec<u8>> {
        // The range lies in the file, which was checked.
        let mut read = vec![0; usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?];
        read_at(&self.file, &mut read, start)?;
        Ok(read)
    }
}

/// What an index lists, if all of it lies before `end` and can be mapped.
fn entries(index: &[u8], end: u64) -> Option<BTreeMap<String, (u64, u64)>> {
    let listed: Value = serde_json::from_slice(index).ok()?;
    let entry = |entry: &Value| {
        let (start, bytes) = (entry["start"].as_u64()?, entry["bytes"].as_u64()?);
        let fits = start.is_multiple_of(PAGE) && start.checked_add(bytes)? <= end;
        fits.then(|| Some((entry["name"].as_str()?.to_owned(), (start, bytes))))?
    };
    listed.as_array()?.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;
    use crate::files::Source;

    #[test]
    fn files_come_back_from_behind_a_program() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let long = vec![7; 10_000];
        fs::write(at("a.bin"), &long).expect("a file");
        fs::write(at("b.json"), b"{}").expect("a file");
        let files = [
            ("weights/a.bin".to_owned(), at("a.bin")),
            ("tokenizer/b.json".to_owned(), at("b.json")),
        ];
        let mut program = b"program".to_vec();
        Bundle::append(&mut program, 7, &files).expect("appended");
        fs::write(at("program"), &program).expect("a file");
        let bundle = Arc::new(Bundle::open(&at("program")).expect("read").expect("files"));
        assert_eq!(bundle.bytes(), 10_002);
        let weights = Source::Inside(bundle.clone(), "weights".to_owned());
        assert!(weights.is_folder() && weights.exists());
        assert_eq!(&weights.join("a.bin").map().expect("mapped")[..], &long);
        assert_eq!(weights.join("a.bin").read(1 << 20).expect("read"), long);
        assert!(weights.join("a.bin").read(9999).is_err());
        let tokenizer = Source::Inside(bundle, "tokenizer/c.json".to_owned());
        assert!(!tokenizer.exists());
        assert_eq!(tokenizer.beside("b.json").read(2).expect("read"), b"{}");
        let part = [&[9; 4096][..], &program, b"more"].concat();
        fs::write(at("part"), &part).expect("a file");
        let end = 4096 + program.len() as u64;
        let bundle = Bundle::open_part(&at("part"), 4096..end).expect("read").expect("files");
        let weights = Source::Inside(Arc::new(bundle), "weights".to_owned());
        assert_eq!(&weights.join("a.bin").map().expect("mapped")[..], &long);
        assert!(Bundle::open_part(&at("part"), 4097..end).is_err(), "not at a page");
        fs::write(at("plain"), b"program without files, of more than a trailer").expect("a file");
        assert!(Bundle::open(&at("plain")).expect("read").is_none());
        for cut in [1, 8, 100] {
            fs::write(at("cut"), [&program[..7], &program[7 + cut..]].concat()).expect("a file");
            assert!(Bundle::open(&at("cut")).is_err(), "an index at another place");
        }
    }
}
