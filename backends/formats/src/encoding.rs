//! The table of encodings, and what can be asked of one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    bfloat16::{self, from_bf16, nearest_bf16},
    binary16, binary32, binary64, f8_e4m3, f8_e5m2,
    facts::{Facts, Use},
    float8::Float8,
    half::{from_f16, nearest_f16},
    integers, iq4_nl, iq4_xs,
    listed::Listed,
    mxfp4,
    native::Native,
    q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0,
};

/// Makes the type from the table: a row is what the encoding is called here and the facts of its file.
macro_rules! encodings {
    ($($name:ident: $facts:path, $doc:literal;)*) => {
        /// How the numbers of a tensor are stored.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)]
        pub enum Encoding {
            $(#[doc = $doc] $name,)*
            /// Known by name and size, not decoded.
            Listed(Listed),
        }

        impl Encoding {
            /// All encodings that are decoded.
            pub const ALL: &[Encoding] = &[$(Encoding::$name),*];

            fn facts(self) -> &'static Facts {
                match self {
                    $(Encoding::$name => &$facts,)*
                    Encoding::Listed(listed) => listed.facts(),
                }
            }
        }
    };
}

encodings! {
    F32: binary32::FACTS, "IEEE binary32.";
    F16: binary16::FACTS, "IEEE binary16.";
    Bf16: bfloat16::FACTS, "bfloat16, the upper half of a binary32.";
    F64: binary64::FACTS, "IEEE binary64.";
    F8_E4M3: f8_e4m3::FACTS, "Floats of eight bits: a sign, four bits of exponent, three of mantissa; no infinities.";
    F8_E5M2: f8_e5m2::FACTS, "Floats of eight bits: a sign, five bits of exponent, two of mantissa.";
    I64: integers::I64, "64-bit signed integers.";
    I32: integers::I32, "32-bit signed integers.";
    I16: integers::I16, "16-bit signed integers.";
    I8: integers::I8, "8-bit signed integers.";
    U64: integers::U64, "64-bit unsigned integers.";
    U32: integers::U32, "32-bit unsigned integers.";
    U16: integers::U16, "16-bit unsigned integers.";
    U8: integers::U8, "8-bit unsigned integers.";
    Bool: integers::BOOL, "Truth values, a byte each.";
    Q4_0: q4_0::FACTS, "32 weights in 18 bytes: f16 `d`, nibbles; `w = d * (q - 8)`.";
    Q4_1: q4_1::FACTS, "32 weights in 20 bytes: f16 `d` and `m`, nibbles; `w = d * q + m`.";
    Q5_0: q5_0::FACTS, "32 weights in 22 bytes: f16 `d`, 32 high bits, nibbles; `w = d * (q - 16)`.";
    Q5_1: q5_1::FACTS, "32 weights in 24 bytes: f16 `d` and `m`, 32 high bits, nibbles; `w = d * q + m`.";
    Q8_0: q8_0::FACTS, "32 weights in 34 bytes: f16 `d`, signed bytes; `w = d * q`.";
    Q2_K: q2_k::FACTS, "256 weights in 84 bytes: sixteen groups of 2-bit weights with 4-bit scales and minima.";
    Q3_K: q3_k::FACTS, "256 weights in 110 bytes: sixteen groups of 3-bit weights with 6-bit scales.";
    Q4_K: q4_k::FACTS, "256 weights in 144 bytes: eight groups of 4-bit weights with 6-bit scales and minima.";
    Q5_K: q5_k::FACTS, "256 weights in 176 bytes: as `Q4_K` with a fifth bit.";
    Q6_K: q6_k::FACTS, "256 weights in 210 bytes: sixteen groups of 6-bit weights with 8-bit scales.";
    Iq4_Nl: iq4_nl::FACTS, "32 weights in 18 bytes: f16 `d`, nibbles that name one of 16 levels; `w = d * level`.";
    Iq4_Xs: iq4_xs::FACTS, "256 weights in 136 bytes: eight groups of the levels of `Iq4_Nl` with 6-bit scales.";
    F8_E4M3_32: f8_e4m3::BLOCKS, "32 weights in 36 bytes: f32 `d`, floats of eight bits; `w = d * q`. How programs hold `F8_E4M3`.";
    F8_E5M2_32: f8_e5m2::BLOCKS, "32 weights in 36 bytes: f32 `d`, floats of eight bits; `w = d * q`. How programs hold `F8_E5M2`.";
    Mxfp4: mxfp4::FACTS, "32 weights in 17 bytes: a power of two, and floats of four bits.";
}

impl Encoding {
    /// The encoding of a name that [`Encoding::name`] gives; `None` for names that are only listed.
    pub fn named(name: &str) -> Option<Encoding> {
        Encoding::find(|encoding| encoding.name() == name)
    }

    /// The encoding of a GGML type number.
    pub fn of_ggml(number: u32) -> Option<Encoding> {
        let is = |facts: &Facts| facts.ggml == Some(number);
        Encoding::find(|encoding| is(encoding.facts())).or_else(|| Listed::of(is).map(Encoding::Listed))
    }

    /// The encoding of a `dtype` of a safetensors file.
    pub fn of_safetensors(dtype: &str) -> Encoding {
        let is = |facts: &Facts| facts.safetensors == Some(dtype);
        let listed = || Encoding::Listed(Listed::of(is).unwrap_or(Listed::UNKNOWN));
        Encoding::find(|encoding| is(encoding.facts())).unwrap_or_else(listed)
    }

    fn find(is: impl Fn(Encoding) -> bool) -> Option<Encoding> {
        Encoding::ALL.iter().copied().find(|encoding| is(*encoding))
    }

    /// The encodings that generated code reads as they are stored.
    pub fn all_native() -> impl Iterator<Item = Encoding> {
        Encoding::ALL.iter().copied().filter(|encoding| encoding.is_native())
    }

    /// The name users write and read: `f32`, `bf16`, `q4_1`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The `dtype` of safetensors files; `None` where they do not hold this encoding.
    pub fn safetensors(self) -> Option<&'static str> {
        self.facts().safetensors
    }

    /// What a tensor of this encoding can be used for.
    pub fn usage(self) -> Use {
        self.facts().usage
    }

    /// The encoding for kernels, which read it as it is stored; `None` where weights are converted, or this holds none.
    pub fn native(self) -> Option<Native> {
        match self.usage() {
            Use::Native(native) => Some(native),
            Use::Regrouped(_) | Use::Converted | Use::Integers | Use::Listed => None,
        }
    }

    /// The encoding of blocks of floats of eight bits.
    pub fn of_float8(kind: Float8) -> Encoding {
        match kind {
            Float8::E4m3 => Encoding::F8_E4M3_32,
            Float8::E5m2 => Encoding::F8_E5M2_32,
        }
    }

    /// The encoding in which programs hold weights of this one, with rows of so many.
    pub fn held(self, row: usize) -> Encoding {
        let held = match self.usage() {
            Use::Native(_) => self,
            Use::Regrouped(kind) => Encoding::of_float8(kind),
            Use::Converted | Use::Integers | Use::Listed => Encoding::F32,
        };
        held.row_bytes(row).map_or(Encoding::F32, |_| held)
    }

    /// Whether generated code reads weights of this encoding as they are stored.
    pub fn is_native(self) -> bool {
        self.native().is_some()
    }

    /// Whether a tensor of this encoding can be a weight.
    pub fn is_weight(self) -> bool {
        match self.usage() {
            Use::Native(_) | Use::Regrouped(_) | Use::Converted => true,
            Use::Integers | Use::Listed => false,
        }
    }

    /// The number of this encoding that is nearest to a number, ties to even; `None` where numbers are not encoded by
    /// themselves.
    pub fn nearest(self) -> Option<fn(f32) -> f32> {
        match self {
            Encoding::F32 => Some(|x| x),
            Encoding::F16 => Some(|x| from_f16(nearest_f16(x))),
            Encoding::Bf16 => Some(|x| from_bf16(nearest_bf16(x))),
            _ => None,
        }
    }

    /// The number of the type in GGUF files; `None` where they do not have it.
    pub fn ggml(self) -> Option<u32> {
        self.facts().ggml
    }

    /// Numbers per block; 1 where each is stored by itself.
    pub fn block(self) -> usize {
        self.facts().block
    }

    /// Bytes per block.
    pub fn block_bytes(self) -> usize {
        self.facts().block_bytes
    }

    /// Bytes of a row of `n` numbers; `None` when `n` is not a whole number of blocks or overflows.
    pub fn row_bytes(self, n: usize) -> Option<usize> {
        n.is_multiple_of(self.block())
            .then_some(n / self.block())?
            .checked_mul(self.block_bytes())
    }

    /// Appends the numbers of whole blocks to a list, as f32. False, and nothing appended, where the encoding is not
    /// decoded.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) -> bool {
        let decode = self.facts().decode;
        decode.inspect(|decode| decode(bytes, out)).is_some()
    }

    /// The names of the encodings that weights can have, for messages.
    pub fn readable() -> String {
        let is_in_files = |encoding: &Encoding| encoding.ggml().is_some() || encoding.safetensors().is_some();
        let is_readable = |encoding: &&Encoding| encoding.is_weight() && is_in_files(encoding);
        let readable = Encoding::ALL.iter().filter(is_readable);
        readable.map(|encoding| encoding.name()).collect::<Vec<_>>().join(", ")
    }

    /// Why a tensor of this encoding is no weight; `None` where it can be one.
    pub fn refusal(self) -> Option<String> {
        let why = match self.usage() {
            Use::Native(_) | Use::Regrouped(_) | Use::Converted => return None,
            Use::Integers => "integers, which are not weights",
            Use::Listed => "which cannot be read",
        };
        Some(format!(
            "is stored as {self}, {why}; types that can be read: {}",
            Encoding::readable()
        ))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoding, D::Error> {
        let name = String::deserialize(deserializer)?;
        Encoding::named(&name).ok_or_else(|| D::Error::custom(format!("there is no encoding `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Encoding;

    #[test]
    fn names_and_numbers_lead_back_to_their_encoding() {
        for encoding in Encoding::ALL {
            let facts = encoding.facts();
            assert_eq!(Encoding::named(facts.name), Some(*encoding));
            assert!(facts.ggml.is_none_or(|n| Encoding::of_ggml(n) == Some(*encoding)));
            assert!(
                facts
                    .safetensors
                    .is_none_or(|n| Encoding::of_safetensors(n) == *encoding)
            );
        }
        let numbers: Vec<Encoding> = (0..64).filter_map(Encoding::of_ggml).collect();
        let distinct: HashSet<&Encoding> = numbers.iter().collect();
        assert_eq!((numbers.len(), distinct.len()), (32, 32));
        assert_eq!(Encoding::of_ggml(39).map(Encoding::name), Some("mxfp4"));
        assert_eq!(Encoding::of_safetensors("F8_E4M3").name(), "f8_e4m3");
        assert_eq!(Encoding::of_safetensors("F9").name(), "a type unknown here");
    }

    #[test]
    fn every_encoding_decodes_as_many_numbers_as_its_blocks_hold() {
        for encoding in Encoding::ALL {
            let mut out = Vec::new();
            assert!(
                encoding.decode(&vec![0; 2 * encoding.block_bytes()], &mut out),
                "{encoding}"
            );
            assert_eq!(out, vec![0.0; 2 * encoding.block()], "{encoding}");
            assert_eq!(
                encoding.row_bytes(3 * encoding.block()),
                Some(3 * encoding.block_bytes())
            );
        }
        let listed = Encoding::of_safetensors("F4");
        assert!(!listed.decode(&[0], &mut Vec::new()));
    }

    #[test]
    fn integers_and_listed_encodings_are_no_weights() {
        assert_eq!(Encoding::Bf16.refusal(), None);
        let refusal = |encoding: Encoding| encoding.refusal().unwrap_or_default();
        assert!(refusal(Encoding::I8).contains("is stored as i8, integers"));
        assert!(refusal(Encoding::of_safetensors("F8_E8M0")).contains("f8_e8m0, which cannot be read"));
    }
}
