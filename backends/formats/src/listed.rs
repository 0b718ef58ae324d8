//! Encodings that are known by name and size, so that a file with such tensors can be listed, and are not decoded.

use crate::facts::{Facts, Use};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed(usize);

impl Listed {
    pub(crate) fn facts(self) -> &'static Facts {
        &LISTED[self.0]
    }

    pub(crate) fn of(is: impl Fn(&Facts) -> bool) -> Option<Listed> {
        LISTED.iter().position(is).map(Listed)
    }

    /// What stands for a type of safetensors files that has no row here.
    pub(crate) const UNKNOWN: Listed = Listed(0);
}

static LISTED: &[Facts] = &[
    safetensors("a type unknown here", "", 1, 1),
    safetensors("f8_e8m0", "F8_E8M0", 1, 1),
    safetensors("f6_e2m3", "F6_E2M3", 4, 3),
    safetensors("f6_e3m2", "F6_E3M2", 4, 3),
    safetensors("f4", "F4", 2, 1),
    ggml("q8_1", 9, 32, 36),
    ggml("q8_k", 15, 256, 292),
    ggml("iq2_xxs", 16, 256, 66),
    ggml("iq2_xs", 17, 256, 74),
    ggml("iq3_xxs", 18, 256, 98),
    ggml("iq1_s", 19, 256, 50),
    ggml("iq3_s", 21, 256, 110),
    ggml("iq2_s", 22, 256, 82),
    ggml("iq1_m", 29, 256, 56),
    ggml("tq1_0", 34, 256, 54),
    ggml("tq2_0", 35, 256, 66),
];

const fn ggml(name: &'static str, number: u32, block: usize, block_bytes: usize) -> Facts {
    Facts {
        usage: Use::Listed,
        ..Facts::ggml(name, number, block, block_bytes)
    }
}

const fn safetensors(name: &'static str, dtype: &'static str, block: usize, block_bytes: usize) -> Facts {
    Facts {
        name,
        usage: Use::Listed,
        block,
        block_bytes,
        ggml: None,
        safetensors: Some(dtype),
        decode: None,
    }
}
