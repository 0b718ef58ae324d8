//! Rows of output streams to a file or standard output, chunk by chunk, as safetensors or JSON.

use std::{
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use seqc_abi::{Elem, Stream};
use serde_json::{Map, json};

use super::{JSON_VERSION, args::Format, common::is_standard};
use crate::{Error, Result, session::Outputs, session::row_bytes, streams::elem_name};

/// A file being written: the rows of some output streams.
///
/// The first stream's rows are written as they come, so that long outputs of one stream need no memory.
pub(crate) struct Tensors<'a> {
    file: Box<dyn Write + 'a>,
    /// For messages and removal; `None` is standard output.
    path: Option<PathBuf>,
    format: Format,
    streams: Vec<(usize, &'a Stream)>,
    /// Rows of the streams after the first.
    kept: Vec<Vec<u8>>,
    rows: usize,
}

impl<'a> Tensors<'a> {
    /// Starts a file of `rows` rows of the given output streams, each with its place among the model's outputs.
    pub(crate) fn create(
        (path, format): (&Path, Option<Format>),
        streams: Vec<(usize, &'a Stream)>,
        rows: usize,
        standard: &'a mut dyn Write,
    ) -> Result<Tensors<'a>> {
        let by_name = if is_standard(path) || path.extension().is_some_and(|ending| ending == "json") {
            Format::Json
        } else {
            Format::Safetensors
        };
        let file: Box<dyn Write + 'a> = if is_standard(path) {
            Box::new(standard)
        } else {
            let file = fs::File::create(path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
            Box::new(BufWriter::with_capacity(1 << 16, file))
        };
        let mut tensors = Tensors {
            file,
            path: (!is_standard(path)).then(|| path.to_owned()),
            format: format.unwrap_or(by_name),
            kept: vec![Vec::new(); streams.len().saturating_sub(1)],
            streams,
            rows: 0,
        };
        let head = tensors.head(rows)?;
        tensors.write(&head)?;
        Ok(tensors)
    }

    fn head(&self, rows: usize) -> Result<Vec<u8>> {
        match self.format {
            Format::Safetensors => safetensors_head(&self.streams, rows),
            Format::Json => {
                let streams = self.streams.iter();
                let described: Map<String, _> = streams
                    .map(|(_, stream)| {
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
        let Some(((first, stream), others)) = self.streams.split_first() else {
            return Ok(());
        };
        for ((place, _), kept) in others.iter().zip(&mut self.kept) {
            kept.extend_from_slice(outputs.bytes(*place));
        }
        let stream: &Stream = stream;
        let bytes = outputs.bytes(*first);
        match self.format {
            Format::Safetensors => self.write(bytes)?,
            Format::Json => {
                let text = json_rows(stream, bytes, self.rows == 0);
                self.write(text.as_bytes())?;
            }
        }
        self.rows += outputs.rows();
        Ok(())
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> Result<()> {
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
                for (number, bytes) in kept.into_iter().enumerate() {
                    let (_, stream) = self.streams[number + 1];
                    self.write(b"]")?;
                    self.write(json_rows(stream, &bytes, true).as_bytes())?;
                }
                let end: &[u8] = if self.streams.is_empty() { b"}\n" } else { b"]}\n" };
                self.write(end)?;
            }
        }
        let flushed = self.file.flush();
        flushed.map_err(|error| Error::write(&self.name(), &error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| Error::write(&self.name(), &error))
    }

    fn name(&self) -> String {
        let path = self.path.as_ref();
        path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
    }
}

fn shape_of(stream: &Stream, rows: usize) -> Vec<usize> {
    std::iter::once(rows).chain(stream.shape.iter().copied()).collect()
}

/// Length of the header and the header, padded so that data is aligned.
fn safetensors_head(streams: &[(usize, &Stream)], rows: usize) -> Result<Vec<u8>> {
    let mut header = Map::new();
    let mut start = 0_usize;
    for (_, stream) in streams {
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
