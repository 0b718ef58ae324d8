//! Checkpoints that are cut into numbered files, `NAME-00001-of-00003.ENDING`, as GGUF and safetensors tools write them.

use std::path::Path;

use crate::{error::Error, files::Source};

/// Files of one checkpoint beyond this are refused.
const MOST_PARTS: usize = 10_000;

/// The place of a file among the parts of its checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    file: Source,
    /// What stands before the numbers.
    prefix: String,
    /// What stands after them, with its dot.
    ending: String,
    /// From 1.
    pub(crate) number: usize,
    /// How many parts there are.
    pub(crate) total: usize,
}

impl Part {
    /// Reads the numbers in a file's name; `None` for a name without them.
    pub(crate) fn of(file: &Source) -> Option<Part> {
        let path = match file {
            Source::Disk(path) => path,
            Source::Inside(_, name) => Path::new(name),
        };
        let name = path.file_name()?.to_str()?;
        let (stem, ending) = name.split_at(name.rfind('.')?);
        let (left, total) = stem.rsplit_once("-of-")?;
        let (prefix, number) = left.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(total) {
            return None;
        }
        let (number, total): (usize, usize) = (number.parse().ok()?, total.parse().ok()?);
        (1..=total).contains(&number).then(|| Part {
            file: file.clone(),
            prefix: prefix.to_owned(),
            ending: ending.to_owned(),
            number,
            total,
        })
    }

    /// The file of another number.
    fn numbered(&self, number: usize) -> Source {
        let name = format!("{}-{number:05}-of-{:05}{}", self.prefix, self.total, self.ending);
        self.file.beside(&name)
    }

    /// All files of the checkpoint in order, which must be there.
    pub(crate) fn all(&self) -> Result<Vec<Source>, Error> {
        let (number, total) = (self.number, self.total);
        let here = self.file.shown();
        if total > MOST_PARTS {
            let message = format!("part {number} of {total}; at most {MOST_PARTS} parts are read");
            return Err(Error::broken(&here, message));
        }
        let files: Vec<Source> = (1..=total).map(|number| self.numbered(number)).collect();
        let missing: Vec<&Source> = files.iter().filter(|file| !file.exists()).collect();
        let Some(first) = missing.first() else {
            return Ok(files);
        };
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(", nor are {more} more"),
        };
        let message = format!(
            "part {number} of {total}; the others are looked for beside it under the same name, and {} is not there{more}",
            first.shown().display()
        );
        Err(Error::broken(&here, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_names() {
        let part = |name: &str| Part::of(&Path::new(name).into());
        let second = part("dir/m-x-00002-of-00010.gguf").expect("a part");
        assert_eq!((second.number, second.total), (2, 10));
        assert_eq!(second.numbered(10).shown(), Path::new("dir/m-x-00010-of-00010.gguf"));
        for name in [
            "m.gguf",
            "m-00003-of-00002.gguf",
            "m-00000-of-00002.gguf",
            "m-1-of-2.gguf",
            "m-00001-of-00002",
            "00001-of-00002.gguf",
        ] {
            assert!(part(name).is_none(), "{name}");
        }
    }
}
