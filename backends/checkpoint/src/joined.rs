//! Blocks of numbers of four bits whose exponents lie in a tensor of their own, as gpt-oss is published (OCP Microscaling Formats 1.0): `NAME_blocks`
//! and `NAME_scales` are one tensor `NAME`.

use seqc_formats::Encoding;

use crate::{blocks::NUMBERS, checkpoint::Checkpoint, entry::Entry};

/// Numbers of a block.
const LENGTH: usize = 2 * NUMBERS;

impl Checkpoint {
    /// Makes one tensor of numbers and their exponents. Those that do not fit each other stay.
    pub(crate) fn join_blocks(&mut self) {
        let stems = self.tensors.keys().filter_map(|name| name.strip_suffix("_blocks"));
        let stems: Vec<String> = stems.map(str::to_owned).collect();
        for stem in stems {
            let [blocks, scales] = ["_blocks", "_scales"].map(|ending| format!("{stem}{ending}"));
            let Some(shape) = self.joined_shape(&blocks, &scales) else {
                continue;
            };
            if self.tensors.contains_key(&stem) {
                continue;
            }
            if let (Some(numbers), Some(exponents)) = (self.tensors.remove(&blocks), self.tensors.remove(&scales)) {
                let joined = Entry {
                    encoding: Encoding::Mxfp4,
                    shape,
                    exponents: Some(Box::new(exponents)),
                    ..numbers
                };
                self.tensors.insert(stem, joined);
            }
        }
    }

    fn joined_shape(&self, blocks: &str, scales: &str) -> Option<Vec<usize>> {
        let (blocks, scales) = (self.tensors.get(blocks)?, self.tensors.get(scales)?);
        let [outer @ .., count, NUMBERS] = &blocks.shape[..] else {
            return None;
        };
        let bytes = [blocks, scales].iter().all(|entry| entry.encoding == Encoding::U8);
        let fits = bytes && scales.shape.split_last() == Some((count, outer));
        fits.then(|| Some([outer, &[count.checked_mul(LENGTH)?]].concat()))?
    }
}
