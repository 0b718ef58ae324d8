//! Which weights a model was given: a digest of the names, types, shapes and bytes of its tensors.

use std::collections::BTreeMap;

use seqc_checkpoint::{Checkpoint, TensorRef};

/// Bytes of tensors up to which every byte counts. Beyond, samples of each tensor do, so that a large file is not read whole.
const ALL: usize = 64 << 20;
/// Samples of a tensor, and the bytes of each: the first and the last ones are among them.
const SAMPLES: usize = 64;
const SAMPLE: usize = 1024;

/// The digest of tensors of a checkpoint; names that it lacks are left out. How they are spread over files does not count.
pub(crate) fn digest<'a>(checkpoint: &Checkpoint, wanted: impl Iterator<Item = &'a String>) -> String {
    let tensors: BTreeMap<&str, TensorRef> = wanted
        .filter_map(|name| Some((name.as_str(), checkpoint.get(name)?)))
        .collect();
    let total: usize = tensors.values().map(|tensor| tensor.bytes.len()).sum();
    let mut sum = crc32fast::Hasher::new();
    for (name, tensor) in &tensors {
        sum.update(format!("{name}\0{}{:?}", tensor.encoding, tensor.shape).as_bytes());
        if total <= ALL {
            sum.update(tensor.bytes);
        } else {
            samples(tensor.bytes).for_each(|bytes| sum.update(bytes));
        }
        if let Some(scales) = &tensor.scales {
            sum.update(scales.bytes());
        }
        if let Some(exponents) = tensor.exponents {
            sum.update(exponents);
        }
    }
    format!("{}-{total}-{:08x}", tensors.len(), sum.finalize())
}

/// Evenly spaced parts of the bytes; all of them where they are few.
fn samples(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (count, length) = match bytes.len() <= SAMPLES * SAMPLE {
        true => (1, bytes.len()),
        false => (SAMPLES, SAMPLE),
    };
    let reach = bytes.len() - length;
    (0..count).map(move |n| {
        let start = reach * n / (count - 1).max(1);
        &bytes[start..start + length]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_reach_from_the_first_byte_to_the_last() {
        for length in [0, 1, SAMPLES * SAMPLE, SAMPLES * SAMPLE + 1, 10_000_019] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let taken: Vec<&[u8]> = samples(&bytes).collect();
            assert_eq!(taken.first().and_then(|part| part.first()), bytes.first());
            assert_eq!(taken.last().and_then(|part| part.last()), bytes.last());
            assert!(taken.iter().map(|part| part.len()).sum::<usize>() <= SAMPLES * SAMPLE);
        }
    }
}
