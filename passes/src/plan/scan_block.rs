//! Where a scan keeps its state while it goes through the tokens, for vectors of so many lanes.

use super::Scan;
use seqc_ir::Graph;

/// Lanes of a block where the entries fill them. An entry is a long chain of operations that wait for each other: several
/// vectors side by side keep the processor busy, share what they read of a token, and use whole cache lines.
const WIDE: u32 = 32;

impl Scan {
    /// Entries of a lane: what the outputs reduce over, of all states.
    pub fn entries(&self, graph: &Graph) -> usize {
        let sizes = self.sizes(graph);
        self.reduced.iter().map(|a| sizes[*a]).product::<usize>() * self.states.len()
    }

    /// Lanes of a block, which goes through all tokens by itself, on a processor whose vectors have `native` lanes.
    pub fn lanes(&self, graph: &Graph, native: u32) -> u32 {
        if self.row(graph).is_multiple_of(WIDE as usize) {
            WIDE
        } else {
            native
        }
    }

    /// Half of the registers hold the state of a block when it is this small; else every token reads it from memory and
    /// writes it there.
    pub fn in_registers(&self, graph: &Graph, native: u32) -> bool {
        let vectors = (self.lanes(graph, native) / native) as usize;
        self.entries(graph) * vectors <= if native == 16 { 16 } else { 8 }
    }

    /// Bytes of the state of a block.
    pub fn block_bytes(&self, graph: &Graph, native: u32) -> usize {
        4 * self.entries(graph) * self.lanes(graph, native) as usize
    }

    /// Bytes from one row of a block to the next, see [`Plan::state_axes`](super::Plan::state_axes).
    pub fn row_distance(&self, graph: &Graph) -> usize {
        4 * self.row(graph)
    }

    fn row(&self, graph: &Graph) -> usize {
        let sizes = self.sizes(graph);
        self.kept.last().map_or(1, |lane| sizes[*lane])
    }

    fn sizes(&self, graph: &Graph) -> Vec<usize> {
        graph.states[self.states[0].0 as usize].ty.sizes()
    }
}
