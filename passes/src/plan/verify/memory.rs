//! Law 17: buffers that are needed at the same time do not overlap.

use super::{order::Lives, report::Report};
use crate::plan::{
    Layout, layout,
    types::{BufferId, Extent},
};
use std::collections::BTreeMap;

pub(super) fn check(report: &mut Report<'_>, lives: &Lives) {
    for rows in [1, report.plan.settings.max_chunk] {
        let layout = layout(report.graph, report.plan, rows);
        check_layout(report, lives, rows, &layout);
    }
}

/// Bytes of a buffer, and the kernels that it is needed from and up to.
struct Space {
    id: BufferId,
    from: usize,
    to: usize,
    first: usize,
    last: usize,
}

/// Checks the places of buffers for chunks of so many tokens.
pub(super) fn check_layout(report: &mut Report<'_>, lives: &Lives, rows: usize, layout: &Layout) {
    let plan = report.plan;
    let (mut constants, mut activations) = (Vec::new(), Vec::new());
    for (n, buffer) in plan.buffers.iter().enumerate() {
        let id = BufferId(n);
        let elsewhere = buffer.output.is_some() || buffer.state.is_some();
        let Some(from) = layout.offsets[n] else {
            report.require(elsewhere, 17, id, || "has no place in memory".to_owned());
            continue;
        };
        let constant = buffer.extent == Extent::Constant;
        let count = if buffer.extent == Extent::PerToken {
            rows + buffer.history
        } else {
            1
        };
        let (first, last) = match lives[n] {
            (first, last) if buffer.history == 0 && !constant && first <= last => (first, last),
            _ => (0, plan.kernels.len()),
        };
        let to = from + buffer.len * buffer.entry_bytes() * count;
        let arena = if constant { layout.constants } else { layout.arena };
        report.require(to <= arena, 17, id, || format!("ends at {to} in an arena of {arena}"));
        let spaces = if constant { &mut constants } else { &mut activations };
        spaces.push(Space {
            id,
            from,
            to,
            first,
            last,
        });
    }
    apart(report, constants);
    apart(report, activations);
}

/// Follows the kernels and keeps what is needed, by where it begins.
fn apart(report: &mut Report<'_>, mut spaces: Vec<Space>) {
    spaces.sort_by_key(|space| space.first);
    let mut leaves: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut needed: BTreeMap<usize, (usize, BufferId)> = BTreeMap::new();
    for space in spaces.into_iter().filter(|space| space.to > space.from) {
        while let Some(((last, from), _)) = leaves.first_key_value().map(|(k, v)| (*k, *v))
            && last < space.first
        {
            leaves.remove(&(last, from));
            needed.remove(&from);
        }
        let before = needed.range(..space.to).next_back();
        let overlap = before.filter(|(_, (to, _))| *to > space.from).map(|(_, (_, id))| *id);
        report.require(overlap.is_none(), 17, space.id, || {
            overlap.map_or(String::new(), |id| format!("overlaps {id}"))
        });
        if overlap.is_none() {
            leaves.insert((space.last, space.from), space.to);
            needed.insert(space.from, (space.to, space.id));
        }
    }
}
