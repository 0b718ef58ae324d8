//! GGUF: keys with typed values, then tensors, read without copying or trusting any count.

use std::{collections::BTreeMap, sync::Arc};

use crate::{entry::Entry, mapping::Mapping};
use seqc_formats::Encoding;

/// Arrays inside arrays deeper than this are refused.
const DEEPEST: u32 = 4;
/// Axes of a tensor.
const MOST_AXES: u32 = 8;
pub(crate) const STRING: u32 = 8;
pub(crate) const ARRAY: u32 = 9;

/// Keys and values of a GGUF file, read where they lie.
#[derive(Debug)]
pub struct Metadata {
    map: Arc<Mapping>,
    entries: BTreeMap<String, (u32, usize)>,
}

/// One value of a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An unsigned integer of any width.
    Uint(u64),
    /// A signed integer of any width.
    Int(i64),
    /// A number of either width.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A text.
    Str(&'a str),
    /// A list of values of one type.
    Array(Array<'a>),
}

/// A list inside a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    kind: u32,
    len: usize,
    bytes: &'a [u8],
}

impl Metadata {
    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        let (kind, start) = *self.entries.get(key)?;
        // The value was validated when the file was opened.
        Reader::at(&self.map, start).value(kind, 0).ok()
    }

    /// The value of a key as it is stored: its type and its bytes.
    pub(crate) fn raw(&self, key: &str) -> Option<(u32, &[u8])> {
        let (kind, start) = *self.entries.get(key)?;
        let mut reader = Reader::at(&self.map, start);
        // The value was validated when the file was opened.
        reader.skip_value(kind, 0).ok()?;
        Some((kind, &self.map[start..reader.at]))
    }

    /// A text.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An integer that is not negative, of any width.
    pub fn uint(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_uint()
    }

    /// A number; integers count.
    pub fn float(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_float()
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A list.
    pub fn array(&self, key: &str) -> Option<Array<'_>> {
        match self.get(key)? {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }
}

impl Value<'_> {
    /// An integer that is not negative.
    pub fn as_uint(&self) -> Option<u64> {
        match *self {
            Value::Uint(value) => Some(value),
            Value::Int(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// A number; integers count.
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Value::Float(value) => Some(value),
            Value::Uint(value) => Some(value as f64),
            Value::Int(value) => Some(value as f64),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut reader = Reader::at(self.bytes, 0);
        let kind = self.kind;
        (0..self.len).map_while(move |_| reader.value(kind, 0).ok())
    }

    /// The texts of a list of texts.
    pub fn strings(&self) -> Option<Vec<&'a str>> {
        let text = |value| match value {
            Value::Str(text) => Some(text),
            _ => None,
        };
        self.iter().map(text).collect()
    }
}

/// Reads the head of a file: its keys and where its tensors lie. Errors are messages.
pub(crate) fn read(map: Arc<Mapping>) -> Result<(Metadata, BTreeMap<String, Entry>), String> {
    let mut reader = Reader::at(&map, 4);
    let version = reader.u32()?;
    if (1..=0xffff).contains(&version.swap_bytes()) {
        return Err(
            "this is a big-endian GGUF file; only little-endian ones are read, convert it \
                    (`gguf_convert_endian.py FILE little` of the GGUF tools)"
                .to_owned(),
        );
    }
    if !(2..=3).contains(&version) {
        return Err(format!(
            "GGUF version {version}; versions 2 and 3 are read: convert the original weights again"
        ));
    }
    let (tensors, keys) = (reader.u64()?, reader.u64()?);
    let entries = read_keys(&mut reader, keys)?;
    let headers = read_tensors(&mut reader, tensors)?;
    let at = reader.at;
    let metadata = Metadata {
        map: map.clone(),
        entries,
    };
    let align = metadata.uint("general.alignment").unwrap_or(32);
    let align = usize::try_from(align).ok().filter(|a| a.is_power_of_two());
    let align = align.ok_or("`general.alignment` is no power of two: the file is damaged, fetch it again")?;
    let start = at.checked_next_multiple_of(align).ok_or("the alignment is too large")?;
    let tensors = place(headers, start, map.len())?;
    Ok((metadata, tensors))
}

fn read_keys(reader: &mut Reader, count: u64) -> Result<BTreeMap<String, (u32, usize)>, String> {
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let key = reader.str().map_err(|error| format!("a key: {error}"))?;
        let kind = reader.u32()?;
        let start = reader.at;
        reader
            .skip_value(kind, 0)
            .map_err(|error| format!("`{key}`: {error}"))?;
        if entries.insert(key.to_owned(), (kind, start)).is_some() {
            return Err(format!(
                "the key `{key}` occurs twice: the file is damaged, fetch it again"
            ));
        }
    }
    Ok(entries)
}

/// A tensor as listed: where it lies is not checked yet.
struct Header {
    name: String,
    dims: Vec<usize>,
    kind: u32,
    offset: u64,
}

fn read_tensors(reader: &mut Reader, count: u64) -> Result<Vec<Header>, String> {
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = reader
            .str()
            .map_err(|error| format!("a tensor's name: {error}"))?
            .to_owned();
        let axes = reader.u32()?;
        if axes > MOST_AXES {
            return Err(format!(
                "tensor `{name}` has {axes} axes, at most {MOST_AXES} are read: the file is damaged, fetch it again"
            ));
        }
        let mut dims = Vec::new();
        for _ in 0..axes {
            let size = usize::try_from(reader.u64()?);
            dims.push(size.map_err(|_| format!("tensor `{name}` is too large"))?);
        }
        // The file lists the innermost axis first.
        dims.reverse();
        let (kind, offset) = (reader.u32()?, reader.u64()?);
        headers.push(Header {
            name,
            dims,
            kind,
            offset,
        });
    }
    Ok(headers)
}

fn place(headers: Vec<Header>, start: usize, size: usize) -> Result<BTreeMap<String, Entry>, String> {
    let mut tensors = BTreeMap::new();
    for header in headers {
        let name = header.name.clone();
        let entry = locate(header, start, size)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(format!(
                "tensor `{name}` occurs twice: the file is damaged, fetch it again"
            ));
        }
    }
    check_overlap(&tensors)?;
    Ok(tensors)
}

fn locate(header: Header, start: usize, size: usize) -> Result<Entry, String> {
    let Header {
        name,
        dims,
        kind,
        offset,
    } = header;
    let encoding = Encoding::of_ggml(kind).ok_or_else(|| {
        format!(
            "tensor `{name}` is of GGML's type number {kind}, which cannot be read; {} can: quantise it again to one of these",
            Encoding::readable()
        )
    })?;
    let (last, block) = (dims.last().copied().unwrap_or(1), encoding.block());
    if !last.is_multiple_of(block) {
        return Err(format!(
            "tensor `{name}`: rows of {last} are not whole blocks of {block} ({encoding})"
        ));
    }
    let count = dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim));
    let bytes = count.and_then(|count| (count / block).checked_mul(encoding.block_bytes()));
    let start = usize::try_from(offset)
        .ok()
        .and_then(|offset| start.checked_add(offset));
    let end = start.zip(bytes).and_then(|(start, bytes)| start.checked_add(bytes));
    match (start, bytes, end) {
        (Some(start), Some(bytes), Some(end)) if end <= size => Ok(Entry {
            scales: None,
            exponents: None,
            file: 0,
            start,
            bytes,
            encoding,
            shape: dims,
        }),
        (_, _, Some(end)) => Err(format!(
            "tensor `{name}` ends {} bytes behind the file's end: it was cut, fetch it again",
            end - size
        )),
        _ => Err(format!(
            "tensor `{name}` lies outside of the file: the file is damaged, fetch it again"
        )),
    }
}

fn check_overlap(tensors: &BTreeMap<String, Entry>) -> Result<(), String> {
    let mut spans: Vec<(usize, usize, &str)> = tensors
        .iter()
        .filter(|(_, entry)| entry.bytes > 0)
        .map(|(name, entry)| (entry.start, entry.start + entry.bytes, name.as_str()))
        .collect();
    spans.sort_unstable();
    match spans.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => Err(format!(
            "tensors `{}` and `{}` overlap: the file is damaged, fetch it again",
            pair[0].2, pair[1].2
        )),
        None => Ok(()),
    }
}

/// A cursor that never leaves its bytes.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest.get(..count);
        let found = found.ok_or_else(|| {
            format!(
                "the file ends at byte {} in the middle of its head: it was cut, fetch it again",
                self.bytes.len()
            )
        })?;
        self.at += count;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<usize, String> {
        usize::try_from(self.u64()?)
            .map_err(|_| "a length beyond all memory: the file is damaged, fetch it again".to_owned())
    }

    fn str(&mut self) -> Result<&'a str, String> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map_err(|_| "a text that is not UTF-8: the file is damaged, fetch it again".to_owned())
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Value<'a>, String> {
        Ok(match kind {
            0 => Value::Uint(u64::from(self.array::<1>()?[0])),
            1 => Value::Int(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Uint(u64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Int(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Uint(u64::from(self.u32()?)),
            5 => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            STRING => Value::Str(self.str()?),
            ARRAY => Value::Array(self.list(depth)?),
            10 => Value::Uint(self.u64()?),
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => {
                return Err(format!(
                    "a value of the unknown type {other}: the file is damaged, fetch it again"
                ));
            }
        })
    }

    fn list(&mut self, depth: u32) -> Result<Array<'a>, String> {
        if depth >= DEEPEST {
            return Err(format!("lists nest deeper than {DEEPEST}"));
        }
        let (kind, len) = (self.u32()?, self.length()?);
        let start = self.at;
        match width(kind) {
            Some(width) => {
                let bytes = len
                    .checked_mul(width)
                    .ok_or("a list longer than all memory: the file is damaged, fetch it again")?;
                self.take(bytes)?;
            }
            None => {
                for _ in 0..len {
                    self.value(kind, depth + 1)?;
                }
            }
        }
        Ok(Array {
            kind,
            len,
            bytes: &self.bytes[start..self.at],
        })
    }

    fn skip_value(&mut self, kind: u32, depth: u32) -> Result<(), String> {
        self.value(kind, depth).map(drop)
    }
}

/// Bytes of a value whose size does not vary.
fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
