//! The texts that messages point into.

use seqc_grammar::ast::Span;
use std::path::{Path, PathBuf};

/// A file of a [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A range of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
}

/// A file that was read: its name for messages and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name for messages: the path as the user gave it.
    pub name: String,
    /// Where paths inside the file start from.
    pub dir: PathBuf,
    /// The text.
    pub text: String,
}

/// All files of one compilation.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a file that lies at `path`.
    pub fn add(&mut self, path: &Path, text: String) -> FileId {
        self.files.push(Source {
            name: path.display().to_string(),
            dir: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            text,
        });
        FileId(self.files.len() as u32 - 1)
    }

    /// The file, if there is one with this id.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_column(&self, place: Place) -> (usize, usize) {
        let Some(source) = self.get(place.file) else {
            return (1, 1);
        };
        let mut at = (place.span.start as usize).min(source.text.len());
        while !source.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source.text[..at];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        (line, before[start..].chars().count() + 1)
    }
}

impl Place {
    /// A range of a file.
    pub fn new(file: FileId, span: Span) -> Place {
        Place { file, span }
    }
}
