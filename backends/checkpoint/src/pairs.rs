//! Tensors of eight bits and the factors that lie beside them.

use seqc_formats::Encoding;

use crate::{
    checkpoint::Checkpoint,
    entry::{Entry, Placed},
    scales::Grid,
};

/// What the name of the factors ends in, behind that of their tensor.
const ENDINGS: [&str; 2] = ["_scale_inv", "_scale"];

impl Checkpoint {
    /// Floats of eight bits without factors.
    pub fn without_factors(&self) -> impl Iterator<Item = &str> {
        let entries = self.tensors.iter();
        let bare = entries.filter(|(_, entry)| is_small(entry) && entry.scales.is_none());
        bare.map(|(name, _)| name.as_str())
    }

    /// Gives tensors of eight bits the factors that lie beside them, which are no tensors of their own from then on. Those that do not fit stay.
    pub(crate) fn pair_scales(&mut self) {
        self.join_blocks();
        let owners = self.tensors.iter().filter(|(_, entry)| is_small(entry));
        let owners: Vec<(String, Vec<usize>)> = owners
            .map(|(name, entry)| (name.clone(), entry.shape.clone()))
            .collect();
        for (owner, shape) in owners {
            let names = ENDINGS.map(|ending| format!("{owner}{ending}"));
            let fits = |name: &String| {
                let factors = self.tensors.get(name)?;
                let is_number = factors.encoding.is_weight() && factors.encoding.block() == 1 && !is_small(factors);
                Grid::of(&shape, &factors.shape).filter(|_| is_number)
            };
            let Some((name, grid)) = names.iter().find_map(|name| Some((name, fits(name)?))) else {
                continue;
            };
            if let Some(entry) = self.tensors.remove(name).map(Box::new)
                && let Some(owner) = self.tensors.get_mut(&owner)
            {
                owner.scales = Some(Placed { entry, grid });
            }
        }
    }
}

/// Whether numbers are floats of eight bits.
fn is_small(entry: &Entry) -> bool {
    matches!(entry.encoding, Encoding::F8_E4M3 | Encoding::F8_E5M2)
}
