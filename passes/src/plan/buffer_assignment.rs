//! Buffer assignment: offsets in the arena of activations; buffers whose live ranges do not overlap share memory.

use super::{
    contiguous_rows,
    inline::Walk,
    types::{BufferId, Extent, Kernel, Plan},
};
use seqc_ir::{Graph, Op, Value};
use std::collections::BTreeSet;

/// Byte offsets of buffers.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Offset of each buffer: in the arena of load-time constants for load-stage buffers, else in the activations. Buffers of layer
    /// results lie elsewhere and have none.
    pub offsets: Vec<Option<usize>>,
    /// Bytes of activations.
    pub arena: usize,
    /// Bytes of the arena of load-time constants.
    pub constants: usize,
}

/// Places the buffers of a plan for chunks of at most `rows` tokens.
pub fn layout(graph: &Graph, plan: &Plan, rows: usize) -> Layout {
    // Buffers begin at cache lines.
    let align = plan.settings.machine.memory.line;
    let mut layout = Layout {
        offsets: vec![None; plan.buffers.len()],
        arena: 0,
        constants: 0,
    };
    let lives = lifetimes(graph, plan);
    let whole = (0, plan.kernels.len());
    // Buffers that are live all the time come first; all others in the order of their first write.
    let mut order: Vec<usize> = (0..plan.buffers.len()).collect();
    order.sort_by_key(|i| (lives[*i] != whole, lives[*i].0, *i));
    let mut front = 0;
    // Ranges of bytes in use, ascending, and the last kernel that uses each.
    let mut used: Vec<(usize, usize, usize)> = Vec::new();
    for i in order {
        let buffer = &plan.buffers[i];
        let row = buffer.len * buffer.entry_bytes();
        let count = match buffer.extent {
            _ if buffer.output.is_some() || buffer.state.is_some() => continue,
            Extent::Constant => {
                layout.offsets[i] = Some(layout.constants);
                layout.constants = (layout.constants + row).next_multiple_of(align);
                continue;
            }
            Extent::Single => 1,
            Extent::PerToken => rows + buffer.history,
        };
        let bytes = (row * count).next_multiple_of(align).max(align);
        let at = if lives[i] == whole {
            front += bytes;
            front - bytes
        } else {
            let (first, last) = lives[i];
            used.retain(|(_, _, until)| *until >= first);
            let at = lowest(used.iter().map(|(from, to, _)| (*from, *to)), front, bytes);
            let place = used.partition_point(|(from, ..)| *from < at);
            used.insert(place, (at, at + bytes, last));
            at
        };
        layout.offsets[i] = Some(at);
        layout.arena = layout.arena.max(at + bytes);
    }
    layout
}

/// The lowest offset with room for `bytes` between the taken ranges.
pub fn free_place(mut taken: Vec<(usize, usize)>, bytes: usize) -> usize {
    taken.sort_unstable();
    lowest(taken.into_iter(), 0, bytes)
}

/// The lowest offset from `start` on with room for `bytes` between the taken ranges, which are in ascending order.
fn lowest(taken: impl Iterator<Item = (usize, usize)>, start: usize, bytes: usize) -> usize {
    let mut at = start;
    for (from, to) in taken {
        if from >= at + bytes {
            break;
        }
        at = at.max(to);
    }
    at
}

/// First and last kernel that touches each buffer; histories are touched before the first and after the last.
fn lifetimes(graph: &Graph, plan: &Plan) -> Vec<(usize, usize)> {
    let mut lives = vec![(usize::MAX, 0); plan.buffers.len()];
    for (k, kernel) in plan.kernels.iter().enumerate() {
        for b in touched(graph, plan, kernel) {
            lives[b.0] = (lives[b.0].0.min(k), lives[b.0].1.max(k));
        }
    }
    for (life, buffer) in lives.iter_mut().zip(&plan.buffers) {
        if buffer.history > 0 || life.0 == usize::MAX {
            *life = (0, plan.kernels.len());
        }
    }
    lives
}

/// Buffers that a kernel reads or writes.
pub(super) fn touched(graph: &Graph, plan: &Plan, kernel: &Kernel) -> BTreeSet<BufferId> {
    let mut found = BTreeSet::new();
    let mut nests = Vec::new();
    let rows = |values: Vec<Value>, found: &mut BTreeSet<BufferId>| {
        let rows = values
            .into_iter()
            .filter_map(|v| contiguous_rows::row_of(graph, &|at| plan.is_stored(at), v));
        found.extend(rows.filter_map(|row| plan.stored.get(&row.value)));
    };
    match kernel {
        Kernel::Matmuls(products) => {
            for matmul in products {
                for v in &matmul.products {
                    found.extend(plan.stored.get(v));
                    rows(contiguous_rows::read_by_product(graph, *v)[1..].to_vec(), &mut found);
                }
                nests.extend(&matmul.epilogue);
            }
        }
        Kernel::Map(tokens) => nests.extend(tokens),
        Kernel::Scan(scan) => {
            nests.extend(&scan.outputs);
            let nexts = scan.states.iter().filter_map(|s| graph.states[s.0 as usize].next);
            nexts.for_each(|v| reads(graph, plan, v, &mut found));
        }
        Kernel::Attend(v) | Kernel::LongConv(v) | Kernel::Reverse(v) | Kernel::RoundRow(v) => {
            found.extend(plan.stored.get(v));
            rows(graph.operands(*v), &mut found);
        }
        Kernel::Heads {
            nests: list, states, ..
        } => {
            nests.extend(list);
            let nexts = states.iter().filter_map(|s| graph.states[s.0 as usize].next);
            found.extend(nexts.filter_map(|v| plan.stored.get(&v)));
        }
        Kernel::Loop(body) => found.extend(body.iter().flat_map(|kernel| touched(graph, plan, kernel))),
        Kernel::Commit(states) => {
            let nexts = states.iter().filter_map(|s| graph.states[s.0 as usize].next);
            found.extend(nexts.filter_map(|v| plan.stored.get(&v)));
        }
    }
    for nest in nests {
        found.insert(nest.into);
        found.extend(plan.stored.get(&nest.value));
        reads(graph, plan, nest.value, &mut found);
    }
    found
}

impl Plan {
    /// Buffers that a kernel writes.
    pub fn writes(&self, kernel: &Kernel) -> BTreeSet<BufferId> {
        let nests = |list: &[super::types::Nest]| list.iter().map(|nest| nest.into).collect::<BTreeSet<_>>();
        match kernel {
            Kernel::Matmuls(products) => {
                let mut found: BTreeSet<BufferId> = products.iter().flat_map(|m| nests(&m.epilogue)).collect();
                found.extend(
                    products
                        .iter()
                        .flat_map(|m| &m.products)
                        .filter_map(|v| self.stored.get(v)),
                );
                found
            }
            Kernel::Map(list) => nests(list),
            Kernel::Scan(scan) => nests(&scan.outputs),
            Kernel::Attend(v) | Kernel::LongConv(v) | Kernel::Reverse(v) | Kernel::RoundRow(v) => {
                self.stored.get(v).copied().into_iter().collect()
            }
            Kernel::Heads { nests: list, .. } => nests(list),
            Kernel::Loop(body) => body.iter().flat_map(|kernel| self.writes(kernel)).collect(),
            Kernel::Commit(_) => BTreeSet::new(),
        }
    }
}

/// Buffers below a value, through the members of recurrences too.
fn reads(graph: &Graph, plan: &Plan, v: Value, found: &mut BTreeSet<BufferId>) {
    let stop = |at: Value| plan.is_stored(at);
    for leaf in (Walk { graph, stop: &stop }).leaves(v) {
        if !matches!(graph.op(leaf.value), Op::Prev(_)) || plan.is_stored(leaf.value) {
            found.extend(plan.stored.get(&leaf.value));
        }
    }
}
