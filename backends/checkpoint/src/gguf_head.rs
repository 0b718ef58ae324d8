//! The head of a GGUF file that is written: keys with values, and where tensors will lie.

use crate::gguf::{ARRAY, Metadata, STRING};
use seqc_formats::Encoding;

const VERSION: u32 = 3;
const UINT8: u32 = 0;
const UINT32: u32 = 4;
const FLOAT32: u32 = 6;
const BOOL: u32 = 7;
/// Alignment of tensors where the keys do not give another.
const ALIGNMENT: usize = 32;

/// A tensor that will be written.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// Its name.
    pub name: &'a str,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// How it will be stored.
    pub encoding: Encoding,
}

impl Planned<'_> {
    /// Bytes of its data; `None` where rows are not whole blocks.
    pub fn bytes(&self) -> Option<usize> {
        let (last, outer) = self
            .shape
            .split_last()
            .map_or((1, &[][..]), |(last, outer)| (*last, outer));
        let rows = outer.iter().try_fold(1_usize, |rows, size| rows.checked_mul(*size))?;
        self.encoding.row_bytes(last)?.checked_mul(rows)
    }
}

/// Keys and values of a GGUF file that is written.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    count: u64,
    bytes: Vec<u8>,
    alignment: Option<usize>,
}

impl Keys {
    /// Those of another file, but for some.
    pub fn of(metadata: &Metadata, but: &[&str]) -> Keys {
        let mut keys = Keys {
            alignment: metadata.uint("general.alignment").map(|n| n as usize),
            ..Keys::default()
        };
        for key in metadata.keys().filter(|key| !but.contains(key)) {
            if let Some((kind, value)) = metadata.raw(key) {
                keys.push(key, kind, value);
            }
        }
        keys
    }

    fn push(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.count += 1;
        put_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(value);
    }

    /// Adds a text.
    pub fn push_text(&mut self, key: &str, text: &str) {
        let mut value = Vec::new();
        put_text(&mut value, text);
        self.push(key, STRING, &value);
    }

    /// Adds a whole number.
    pub fn push_number(&mut self, key: &str, number: u32) {
        self.push(key, UINT32, &number.to_le_bytes());
    }

    /// Adds a truth value.
    pub fn push_bool(&mut self, key: &str, truth: bool) {
        self.push(key, BOOL, &[u8::from(truth)]);
    }

    /// Adds a list of texts.
    pub fn push_texts<'t>(&mut self, key: &str, texts: impl ExactSizeIterator<Item = &'t str>) {
        let mut list = list_of(STRING, texts.len());
        texts.for_each(|text| put_text(&mut list, text));
        self.push(key, ARRAY, &list);
    }

    /// Adds a list of reals.
    pub fn push_reals(&mut self, key: &str, reals: impl ExactSizeIterator<Item = f32>) {
        let mut list = list_of(FLOAT32, reals.len());
        reals.for_each(|real| list.extend(real.to_le_bytes()));
        self.push(key, ARRAY, &list);
    }

    /// Adds a list of whole numbers.
    pub fn push_numbers(&mut self, key: &str, numbers: impl ExactSizeIterator<Item = u32>) {
        let mut list = list_of(UINT32, numbers.len());
        numbers.for_each(|number| list.extend(number.to_le_bytes()));
        self.push(key, ARRAY, &list);
    }

    /// Adds a list of bytes.
    pub fn push_bytes(&mut self, key: &str, bytes: &[u8]) {
        let mut list = list_of(UINT8, bytes.len());
        list.extend(bytes);
        self.push(key, ARRAY, &list);
    }

    /// Bytes to which each tensor's data is filled up.
    pub fn alignment(&self) -> usize {
        self.alignment.unwrap_or(ALIGNMENT)
    }

    /// The head of a file with these tensors, whose data follows in this order, each filled up to [`Keys::alignment`]. Errors are
    /// messages.
    ///
    /// # Errors
    ///
    /// A tensor of a type that GGUF files do not have, or whose rows are not whole blocks of it.
    pub fn head(&self, tensors: &[Planned]) -> Result<Vec<u8>, String> {
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        head.extend(self.count.to_le_bytes());
        head.extend(&self.bytes);
        let mut offset = 0_u64;
        for tensor in tensors {
            let Planned { name, shape, encoding } = tensor;
            let refused = || format!("`{name}` {shape:?} cannot be stored as {encoding} in a GGUF file");
            let (kind, bytes) = encoding.ggml().zip(tensor.bytes()).ok_or_else(refused)?;
            put_text(&mut head, name);
            head.extend((shape.len() as u32).to_le_bytes());
            // The file lists the innermost axis first.
            shape
                .iter()
                .rev()
                .for_each(|size| head.extend((*size as u64).to_le_bytes()));
            head.extend(kind.to_le_bytes());
            head.extend(offset.to_le_bytes());
            offset += bytes.next_multiple_of(self.alignment()) as u64;
        }
        head.resize(head.len().next_multiple_of(self.alignment()), 0);
        Ok(head)
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A list without its entries: of which type they are, and how many.
fn list_of(kind: u32, count: usize) -> Vec<u8> {
    let mut list = kind.to_le_bytes().to_vec();
    list.extend((count as u64).to_le_bytes());
    list
}
