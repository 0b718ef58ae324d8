//! What is said of an encoding: its name, its blocks, its numbers in files, how it is decoded and what it is good for.

use crate::{block::Block, float8::Float8, native::Native};

/// What a tensor of an encoding can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Weights that generated code reads as they are stored.
    Native(Native),
    /// Weights that are put into blocks when they are loaded, where their rows are whole blocks; otherwise they are converted.
    Regrouped(Float8),
    /// Weights that are converted to f32 when they are loaded.
    Converted,
    /// Whole numbers: token ids and positions. Never weights: without the scales that lie elsewhere they are not the
    /// numbers that a model was trained with.
    Integers,
    /// Nothing: the encoding is known by name and size, not decoded.
    Listed,
}

/// Appends the numbers of whole blocks to a list.
pub(crate) type Decode = fn(&[u8], &mut Vec<f32>);

/// What a file of this crate says of its encoding.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The name that users write and read: `f32`, `q4_1`.
    pub(crate) name: &'static str,
    pub(crate) usage: Use,
    /// Numbers in a block; 1 where each is stored by itself.
    pub(crate) block: usize,
    /// Bytes of a block.
    pub(crate) block_bytes: usize,
    /// The number of the type in GGUF files.
    pub(crate) ggml: Option<u32>,
    /// The name of the type in safetensors files.
    pub(crate) safetensors: Option<&'static str>,
    pub(crate) decode: Option<Decode>,
}

impl Facts {
    /// An encoding of GGML whose blocks are decoded.
    pub(crate) const fn ggml(name: &'static str, number: u32, block: usize, block_bytes: usize) -> Facts {
        Facts {
            name,
            usage: Use::Converted,
            block,
            block_bytes,
            ggml: Some(number),
            safetensors: None,
            decode: None,
        }
    }

    /// An encoding of GGML whose blocks generated code reads as they are stored.
    pub(crate) const fn native(
        name: &'static str,
        number: u32,
        block: usize,
        block_bytes: usize,
        structure: &'static Block,
    ) -> Facts {
        Facts {
            usage: Use::Native(Native::Block(structure)),
            ..Facts::ggml(name, number, block, block_bytes)
        }
    }

    /// An encoding of safetensors files: floats of eight bits by themselves.
    pub(crate) const fn float8(name: &'static str, dtype: &'static str, kind: Float8) -> Facts {
        Facts {
            name,
            usage: Use::Regrouped(kind),
            block: 1,
            block_bytes: 1,
            ggml: None,
            safetensors: Some(dtype),
            decode: None,
        }
    }

    /// Blocks of such floats.
    pub(crate) const fn float8_blocks(name: &'static str, kind: Float8) -> Facts {
        Facts {
            name,
            usage: Use::Native(Native::Float8(kind)),
            block: Float8::LENGTH,
            block_bytes: Float8::BLOCK_BYTES,
            ggml: None,
            safetensors: None,
            decode: None,
        }
    }
}
