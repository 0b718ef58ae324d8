//! How tensors are stored: the types of safetensors and of GGML.

use std::fmt;

use safetensors::Dtype;

/// Encoding of a stored tensor. Block formats are GGML's; their blocks lie along the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(non_camel_case_types)]
pub enum DType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
    /// IEEE binary64.
    F64,
    /// 64-bit signed integers.
    I64,
    /// 32-bit signed integers.
    I32,
    /// 16-bit signed integers.
    I16,
    /// 8-bit signed integers.
    I8,
    /// 8-bit unsigned integers.
    U8,
    /// Truth values, a byte each.
    Bool,
    /// 32 weights in 18 bytes: f16 `d`, nibbles; `w = d * (q - 8)`.
    Q4_0,
    /// 32 weights in 20 bytes: f16 `d` and `m`, nibbles; `w = d * q + m`.
    Q4_1,
    /// 32 weights in 22 bytes: f16 `d`, 32 high bits, nibbles; `w = d * (q - 16)`.
    Q5_0,
    /// 32 weights in 24 bytes: f16 `d` and `m`, 32 high bits, nibbles; `w = d * q + m`.
    Q5_1,
    /// 32 weights in 34 bytes: f16 `d`, signed bytes; `w = d * q`.
    Q8_0,
    /// 256 weights in 144 bytes: eight groups of 4-bit weights with 6-bit scales and minima.
    Q4_K,
    /// 256 weights in 176 bytes: as `Q4_K` with a fifth bit.
    Q5_K,
    /// 256 weights in 210 bytes: sixteen groups of 6-bit weights with 8-bit scales.
    Q6_K,
    /// Anything else, by its name: can be listed, not converted.
    Unknown(&'static str),
}

impl DType {
    /// Types whose tensors can be weights, the list that messages give.
    const READABLE: [DType; 12] = [
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::F64,
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
        DType::Q4_K,
        DType::Q5_K,
        DType::Q6_K,
    ];

    /// Whether a tensor of this type can be a weight. Integers never are: without the scales that lie elsewhere they are not
    /// the numbers that the model was trained with.
    pub fn is_weight(self) -> bool {
        DType::READABLE.contains(&self)
    }

    /// The names of the types that can be weights, for messages.
    pub fn readable() -> String {
        DType::READABLE.map(DType::name).join(", ")
    }

    /// Why a tensor of this type is no weight; `None` where it can be one.
    pub fn refusal(self) -> Option<String> {
        let why = match self {
            _ if self.is_weight() => return None,
            DType::Unknown(_) => "which cannot be read",
            _ => "whole numbers, which are no weights",
        };
        Some(format!(
            "is stored as {self}, {why}; types that can be read: {}",
            DType::readable()
        ))
    }

    /// The name users know: `f32`, `bf16`, `q4_1`, …
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F64 => "f64",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::Bool => "bool",
            DType::Q4_0 => "q4_0",
            DType::Q4_1 => "q4_1",
            DType::Q5_0 => "q5_0",
            DType::Q5_1 => "q5_1",
            DType::Q8_0 => "q8_0",
            DType::Q4_K => "q4_k",
            DType::Q5_K => "q5_k",
            DType::Q6_K => "q6_k",
            DType::Unknown(name) => name,
        }
    }

    pub(crate) fn of_safetensors(dtype: Dtype) -> DType {
        match dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            Dtype::I64 => DType::I64,
            Dtype::I32 => DType::I32,
            Dtype::I16 => DType::I16,
            Dtype::I8 => DType::I8,
            Dtype::U8 => DType::U8,
            Dtype::BOOL => DType::Bool,
            Dtype::U16 => DType::Unknown("u16"),
            Dtype::U32 => DType::Unknown("u32"),
            Dtype::U64 => DType::Unknown("u64"),
            Dtype::F8_E4M3 => DType::Unknown("f8_e4m3"),
            Dtype::F8_E5M2 => DType::Unknown("f8_e5m2"),
            Dtype::F8_E8M0 => DType::Unknown("f8_e8m0"),
            Dtype::F6_E2M3 => DType::Unknown("f6_e2m3"),
            Dtype::F6_E3M2 => DType::Unknown("f6_e3m2"),
            Dtype::F4 => DType::Unknown("f4"),
            _ => DType::Unknown("a type unknown here"),
        }
    }

    /// Type, weights per block and bytes per block of a GGML type number.
    pub(crate) fn of_ggml(number: u32) -> Option<(DType, usize, usize)> {
        Some(match number {
            0 => (DType::F32, 1, 4),
            1 => (DType::F16, 1, 2),
            2 => (DType::Q4_0, 32, 18),
            3 => (DType::Q4_1, 32, 20),
            6 => (DType::Q5_0, 32, 22),
            7 => (DType::Q5_1, 32, 24),
            8 => (DType::Q8_0, 32, 34),
            9 => (DType::Unknown("q8_1"), 32, 36),
            10 => (DType::Unknown("q2_k"), 256, 84),
            11 => (DType::Unknown("q3_k"), 256, 110),
            12 => (DType::Q4_K, 256, 144),
            13 => (DType::Q5_K, 256, 176),
            14 => (DType::Q6_K, 256, 210),
            15 => (DType::Unknown("q8_k"), 256, 292),
            16 => (DType::Unknown("iq2_xxs"), 256, 66),
            17 => (DType::Unknown("iq2_xs"), 256, 74),
            18 => (DType::Unknown("iq3_xxs"), 256, 98),
            19 => (DType::Unknown("iq1_s"), 256, 50),
            20 => (DType::Unknown("iq4_nl"), 32, 18),
            21 => (DType::Unknown("iq3_s"), 256, 110),
            22 => (DType::Unknown("iq2_s"), 256, 82),
            23 => (DType::Unknown("iq4_xs"), 256, 136),
            24 => (DType::I8, 1, 1),
            25 => (DType::I16, 1, 2),
            26 => (DType::I32, 1, 4),
            27 => (DType::I64, 1, 8),
            28 => (DType::F64, 1, 8),
            29 => (DType::Unknown("iq1_m"), 256, 56),
            30 => (DType::BF16, 1, 2),
            34 => (DType::Unknown("tq1_0"), 256, 54),
            35 => (DType::Unknown("tq2_0"), 256, 66),
            39 => (DType::Unknown("mxfp4"), 32, 17),
            _ => return None,
        })
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The IEEE half nearest below in magnitude; for values of ordinary size, as random weights are.
pub fn to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let exponent = (bits >> 23 & 0xff) as i32 - 112;
    match exponent {
        ..=0 => sign,
        31.. => sign | 0x7bff,
        _ => sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16,
    }
}
