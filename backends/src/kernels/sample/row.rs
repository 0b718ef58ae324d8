//! A row of logits, and its vectors in groups.

use crate::kernel::{Func, Scalar, Ty, Val};

/// A row of logits, as the functions here are written for it.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Tokens.
    pub(super) vocab: usize,
    /// Lanes of vectors.
    pub(super) lanes: u32,
}

impl Row {
    /// How many groups are searched, a multiple of the lanes.
    pub(super) fn groups(self) -> usize {
        let lanes = self.lanes as usize;
        let vectors = self.vocab.div_ceil(lanes);
        vectors.next_multiple_of(lanes).min(seqc_abi::decoding::GROUPS)
    }

    /// Runs `body` for each vector of logits of a group: with the first token, the mask of those that there are, and the logits, minus infinity elsewhere.
    pub(super) fn vectors(
        self,
        f: &mut Func,
        logits: Val,
        group: Val,
        init: &[Val],
        body: impl FnOnce(&mut Func, Logits, &[Val]) -> Vec<Val>,
    ) -> Vec<Val> {
        let (vectors, lanes) = (self.vocab.div_ceil(self.lanes as usize), i64::from(self.lanes));
        let (end, step, lanes) = (f.i64(vectors as i64), f.i64(self.groups() as i64), f.i64(lanes));
        let vocab = f.i64(self.vocab as i64);
        f.for_loop(group..end, step, init, |f, vector, carried| {
            let first = f.mul(vector, lanes);
            let left = f.sub(vocab, first);
            let mask = f.tail_mask(left, self.lanes);
            let ty = Ty::V(self.lanes, Scalar::F32);
            let (p, nothing) = (f.gep(logits, first, Scalar::F32), f.float(ty, f32::NEG_INFINITY));
            let values = f.masked_load(p, mask, ty);
            let values = f.select(mask, values, nothing);
            body(f, Logits { first, mask, values }, carried)
        })
    }
}

/// A vector of a row.
#[derive(Clone, Copy)]
pub(super) struct Logits {
    pub(super) first: Val,
    pub(super) mask: Val,
    pub(super) values: Val,
}
