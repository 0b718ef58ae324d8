//! Rows of output streams to a file or standard output, chunk by chunk, as safetensors or JSON.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use seqc_abi::{Elem, Stream};
use seqc_checkpoint::output::Output;
use serde_json::{Map, json};

use super::{args::Format, common::is_standard, console::JSON_VERSION};
use crate::{
    Error, Result, finite,
    outputs::Outputs,
    streams::{TRACE, elem_name, row_bytes},
};

/// A file being written: the rows of some output streams.
///
/// The first stream's rows are written as they come, so that long outputs of one stream need no memory.
pub(crate) struct Tensors<'a> {
    to: To<'a>,
    format: Format,
    streams: Vec<(usize, &'a Stream)>,
    /// Rows of the streams after the first.
    kept: Vec<Vec<u8>>,
    /// Streams whose rows are known at the end.
    reports: Vec<Stream>,
    rows: usize,
    /// The first stream with numbers that are not finite.
    odd: Option<&'a Stream>,
}

/// Where tensors are written.
pub(crate) struct Place<'a> {
    /// A file or standard output.
    pub(crate) path: &'a Path,
    /// None: by the name of the file.
    pub(crate) format: Option<Format>,
    /// Files that are read, none of which the path may name.
    pub(crate) inputs: &'a [PathBuf],
}

/// What a file of tensors will hold.
pub(crate) struct Contents<'a> {
    /// Output streams, each with its number among the model's outputs.
    pub(crate) streams: Vec<(usize, &'a Stream)>,
    /// Streams whose rows are given at the end ([`Tensors::report`]).
    pub(crate) reports: Vec<Stream>,
    /// Rows of each.
    pub(crate) rows: usize,
}

/// What tensors are written to.
enum To<'a> {
    Standard(&'a mut dyn Write),
    File(Output),
}

impl To<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            To::Standard(out) => out.write_all(bytes),
            To::File(out) => out.write_all(bytes),
        }
    }

    fn name(&self) -> String {
        match self {
            To::Standard(_) => "standard output".to_owned(),
            To::File(out) => out.path().display().to_string(),
        }
    }
}

impl<'a> Tensors<'a> {
    /// Starts a file.
    pub(crate) fn create(place: &Place, contents: Contents<'a>, standard: &'a mut dyn Write) -> Result<Tensors<'a>> {
        let Contents { streams, reports, rows } = contents;
        let Place { path, format, inputs } = *place;
        let by_name = if is_standard(path) || path.extension().is_some_and(|ending| ending == "json") {
            Format::Json
        } else {
            Format::Safetensors
        };
        let to = if is_standard(path) {
            To::Standard(standard)
        } else {
            To::File(Output::create(path, inputs)?)
        };
        let mut tensors = Tensors {
            to,
            format: format.unwrap_or(by_name),
            kept: vec![Vec::new(); streams.len().saturating_sub(1)],
            reports,
            streams,
            rows: 0,
            odd: None,
        };
        let head = tensors.head(rows)?;
        tensors.write(&head)?;
        Ok(tensors)
    }

    /// All streams, in the order of the file.
    fn all(&self) -> Vec<&Stream> {
        let outputs = self.streams.iter().map(|(_, stream)| *stream);
        outputs.chain(&self.reports).collect()
    }

    /// Takes all rows of the reports.
    pub(crate) fn report(&mut self, rows: Vec<Vec<u8>>) {
        self.kept.extend(rows);
    }

    fn head(&self, rows: usize) -> Result<Vec<u8>> {
        match self.format {
            Format::Safetensors => safetensors_head(&self.all(), rows),
            Format::Json => {
                let streams = self.all().into_iter();
                let described: Map<String, _> = streams
                    .map(|stream| {
                        let shape = shape_of(stream, rows);
                        let about = json!({"shape": shape, "type": elem_name(stream.elem)});
                        (stream.name.clone(), about)
                    })
                    .collect();
                Ok(format!("{{\"version\":{JSON_VERSION},\"tensors\":{}", json!(described)).into_bytes())
            }
        }
    }

    /// Takes the rows of a chunk.
    pub(crate) fn take(&mut self, outputs: &Outputs) -> Result<()> {
        self.take_rows(outputs.rows(), |place| outputs.bytes(place))
    }

    /// Takes rows, whose bytes are given by the number of the output.
    pub(crate) fn take_rows<'o>(&mut self, rows: usize, bytes_of: impl Fn(usize) -> &'o [u8]) -> Result<()> {
        let Some(((first, stream), others)) = self.streams.split_first() else {
            return Ok(());
        };
        // The list that the first rows open is opened once.
        if rows == 0 {
            return Ok(());
        }
        let odd = |(place, stream): &&(usize, &Stream)| {
            stream.elem == Elem::F32 && !stream.name.starts_with(TRACE) && finite::odd_rows(stream, bytes_of(*place))
        };
        if self.odd.is_none() {
            self.odd = self.streams.iter().find(odd).map(|(_, stream)| *stream);
        }
        for ((place, _), kept) in others.iter().zip(&mut self.kept) {
            kept.extend_from_slice(bytes_of(*place));
        }
        let stream: &Stream = stream;
        let bytes = bytes_of(*first);
        match self.format {
            Format::Safetensors => self.write(bytes)?,
            Format::Json => {
                let text = json_rows(stream, bytes, self.rows == 0);
                self.write(text.as_bytes())?;
            }
        }
        self.rows += rows;
        Ok(())
    }

    /// Writes what is left, and puts the file in place. Gives the name of an output with numbers that are not finite.
    pub(crate) fn finish(mut self) -> Result<Option<String>> {
        let kept = std::mem::take(&mut self.kept);
        match self.format {
            Format::Safetensors => {
                for bytes in kept {
                    self.write(&bytes)?;
                }
            }
            Format::Json => {
                if let (Some((_, stream)), 0) = (self.streams.first().copied(), self.rows) {
                    self.write(json_rows(stream, &[], true).as_bytes())?;
                }
                // The first output's list is open; without outputs none is.
                let mut open = !self.streams.is_empty();
                let others: Vec<Stream> = self.all().into_iter().skip(usize::from(open)).cloned().collect();
                for (stream, bytes) in others.iter().zip(kept) {
                    if std::mem::replace(&mut open, true) {
                        self.write(b"]")?;
                    }
                    self.write(json_rows(stream, &bytes, true).as_bytes())?;
                }
                let end: &[u8] = if open { b"]}\n" } else { b"}\n" };
                self.write(end)?;
            }
        }
        match self.to {
            To::File(file) => file.commit()?,
            To::Standard(out) => out.flush().map_err(|error| Error::write("standard output", &error))?,
        }
        Ok(self.odd.map(|stream| stream.name.clone()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.to.write(bytes);
        written.map_err(|error| Error::write(&self.to.name(), &error))
    }
}

fn shape_of(stream: &Stream, rows: usize) -> Vec<usize> {
    std::iter::once(rows).chain(stream.shape.iter().copied()).collect()
}

/// Length of the header and the header, padded so that data is aligned.
fn safetensors_head(streams: &[&Stream], rows: usize) -> Result<Vec<u8>> {
    let mut header = Map::new();
    let mut start = 0_usize;
    for stream in streams {
        let bytes = row_bytes(stream).checked_mul(rows);
        let end = bytes.and_then(|bytes| start.checked_add(bytes));
        let end = end.ok_or_else(|| Error::input(format!("{rows} rows of `{}` are beyond all memory", stream.name)))?;
        let dtype = match stream.elem {
            Elem::F32 => "F32",
            Elem::I64 => "I64",
        };
        let about = json!({"dtype": dtype, "shape": shape_of(stream, rows), "data_offsets": [start, end]});
        header.insert(stream.name.clone(), about);
        start = end;
    }
    let mut text = json!(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.append(&mut text);
    Ok(head)
}

/// Rows as lists; the first ones open the stream's own list, which stays open.
fn json_rows(stream: &Stream, bytes: &[u8], first: bool) -> String {
    let mut text = String::new();
    if first {
        text.push_str(&format!(",{}:[", json!(stream.name)));
    }
    let rows = bytes.chunks(row_bytes(stream).max(1)).enumerate();
    for (number, row) in rows {
        text.push_str(if number == 0 && first { "\n" } else { ",\n" });
        let list = match stream.elem {
            Elem::F32 => serde_json::to_string(&elements(row, f32::from_le_bytes)),
            Elem::I64 => serde_json::to_string(&elements(row, i64::from_le_bytes)),
        };
        // Lists of numbers are always JSON.
        text.push_str(&list.unwrap_or_default());
    }
    text
}

fn elements<T, const N: usize>(row: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    row.as_chunks::<N>().0.iter().map(|bytes| element(*bytes)).collect()
}
