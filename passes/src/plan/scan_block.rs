//! The block of a scan: the entries that run through the tokens together, and whether their state is in registers.

use crate::machine::Machine;
use seqc_ir::{Graph, StateId};

/// The part of a scan's state that goes through all tokens by itself: some lanes along the last kept axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanBlock {
    /// Its lanes.
    pub lanes: u32,
    /// Entries of a lane: what the outputs reduce over, of all states.
    pub entries: usize,
    /// It fits the registers that the machine has for states; else every token reads it from memory and writes it there.
    pub in_registers: bool,
}

impl ScanBlock {
    /// The block of a scan over states of one shape, which keeps some of their axes and reduces over the others.
    pub(super) fn new(
        graph: &Graph,
        states: &[StateId],
        kept: &[usize],
        reduced: &[usize],
        machine: &Machine,
    ) -> ScanBlock {
        let sizes = graph.states[states[0].0 as usize].ty.sizes();
        let row = kept.last().map_or(1, |axis| sizes[*axis]);
        let lanes = match row.is_multiple_of(machine.scan_lanes as usize) {
            true => machine.scan_lanes,
            false => machine.lanes,
        };
        let entries = reduced.iter().map(|a| sizes[*a]).product::<usize>() * states.len();
        let vectors = (lanes / machine.lanes) as usize;
        ScanBlock {
            lanes,
            entries,
            in_registers: entries.saturating_mul(vectors) <= machine.state_registers(),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> usize {
        4 * self.entries * self.lanes as usize
    }
}
