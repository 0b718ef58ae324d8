//! A stream as C reads its description.

use std::ffi::{CString, c_char};

use seqc_abi::{Elem, Stream};

use crate::streams::width;

/// `seqc_stream`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CStream {
    pub(super) size: usize,
    pub(super) name: *const c_char,
    pub(super) kind: i32,
    reserved: i32,
    pub(super) width: usize,
    pub(super) dimensions: usize,
    pub(super) shape: *const usize,
    pub(super) vocab: usize,
}

/// `SEQC_F32`.
pub(super) const F32: i32 = 1;
/// `SEQC_I64`.
pub(super) const I64: i32 = 2;

/// A stream with what its description leads to.
#[derive(Debug)]
pub(super) struct Described {
    name: CString,
    shape: Vec<usize>,
    kind: i32,
    width: usize,
    vocab: usize,
}

impl Described {
    pub(super) fn new(stream: &Stream) -> Described {
        Described {
            name: CString::new(&*stream.name).unwrap_or_default(),
            shape: stream.shape.clone(),
            kind: match stream.elem {
                Elem::F32 => F32,
                Elem::I64 => I64,
            },
            width: width(stream),
            vocab: stream.vocab.unwrap_or(0),
        }
    }

    pub(super) fn as_c(&self) -> CStream {
        CStream {
            size: size_of::<CStream>(),
            name: self.name.as_ptr(),
            kind: self.kind,
            reserved: 0,
            width: self.width,
            dimensions: self.shape.len(),
            shape: self.shape.as_ptr(),
            vocab: self.vocab,
        }
    }
}
