//! What distinguishes one long convolution from another, and the sizes that follow.

use seqc_abi::PAGE_TOKENS;
use seqc_passes::{conv_partition::ConvPartition, machine::Machine};

/// Everything that distinguishes one long convolution from another.
#[derive(Clone, Debug)]
pub struct LongConv {
    /// Unique prefix of the names of its functions.
    pub name: String,
    /// Channels, each with a filter of its own.
    pub channels: usize,
    /// Taps of a filter, and how tokens are cut.
    pub blocks: ConvPartition,
    /// The processor.
    pub machine: Machine,
}

impl LongConv {
    /// Bytes for what is prepared when weights are loaded, a multiple of 64.
    pub fn prepared_bytes(&self) -> usize {
        self.panels() * self.prepared_rows() * self.lanes() as usize * 4
    }

    /// Bytes of scratch for each thread, a multiple of 64.
    pub fn scratch_bytes(&self) -> usize {
        2 * self.blocks.top() * self.lanes() as usize * 4
    }

    pub(super) fn panels(&self) -> usize {
        self.channels.div_ceil(self.lanes() as usize)
    }

    /// Rows of a panel's prepared memory: taps of the direct sum, spectra of the sizes below the top, then of the top.
    pub(super) fn prepared_rows(&self) -> usize {
        self.blocks.prepared()
    }

    /// Row of the spectrum that takes a block of `size` tokens to the next one.
    pub(super) fn size_row(&self, size: usize) -> usize {
        self.blocks.smallest + 2 * (size - self.blocks.smallest)
    }

    /// Row of the spectrum that takes a block of the top size to the one `distance` blocks behind it.
    pub(super) fn top_row(&self, distance: usize) -> usize {
        self.size_row(self.blocks.top()) + (distance - 1) * 2 * self.blocks.top()
    }

    /// Floats from a page of a state to the next one.
    pub(super) fn page(&self) -> usize {
        PAGE_TOKENS * self.panels() * self.lanes() as usize
    }
}
