//! The forms of recurrences: what each is, which recurrences it fits, what it costs, and what it needs in memory.
//!
//! A form is one row of [`FORMS`]. The planner takes the first one in that order that fits, and the next one where planning
//! finds that it does not; matrix forms are taken for chunks of the length from which on they are cheaper. What was considered
//! and why stands in the plan, see [`Decision`](super::Decision).

use super::Misfit;
use crate::{machine::Machine, recurrence::Recurrence};
use seqc_ir::Graph;
use std::collections::BTreeMap;

/// A form, by the name of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FormId {
    /// Entries are independent: some lanes go through all tokens with their state, and consumers run inside.
    FusedScan,
    /// The same, but consumers run inside up to their reductions.
    ReducedScan,
    /// The same, and the states are stored for every token.
    StoredScan,
    /// Heads are independent: each goes through all tokens by itself.
    HeadParallel,
    /// Everything else: token by token, entries in parallel.
    TokenLoop,
    /// Matrix products over blocks of tokens (Dao & Gu 2024, arXiv:2405.21060).
    StateSpaceDuality,
    /// The same with a triangular system for corrected values (Yang et al. 2024, arXiv:2406.06484): delta rules, also with a decay for
    /// each key, keys that are removed and others that are added, or several writes a token.
    Wy,
}

/// How a form is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowering {
    /// As a scan of independent entries, whose states and consumers are not stored but for these.
    Scan(Stores),
    /// As a loop over tokens, which stores the next values of states.
    Loop,
    /// As matrix products over blocks of tokens, beside the form that single tokens have.
    Matrix,
}

/// What a scan leaves in memory for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// Results that are made of its state inside.
    Results,
    /// The first reductions over what is computed inside.
    Reductions,
    /// The states.
    States,
}

/// One form.
pub struct Form {
    /// Which.
    pub id: FormId,
    /// Its name in plans.
    pub name: &'static str,
    /// Its description in messages.
    pub says: &'static str,
    /// How it is planned.
    pub lowering: Lowering,
    /// Whether a recurrence has it, as far as that is known before anything is planned.
    pub fits: fn(&Graph, &Recurrence, &Machine) -> Result<(), Misfit>,
    /// Additions of a token of a long chunk.
    pub cost: fn(&FormCost<'_>) -> f64,
}

/// What the cost of a form depends on.
#[derive(Clone, Copy)]
pub struct FormCost<'m> {
    /// Additions of a token in the values of the recurrence.
    pub work: f64,
    /// Entries of its states.
    pub entries: f64,
    /// The last axis of the state fills the lanes of a scan.
    pub wide: bool,
    /// Kernels of its loop.
    pub kernels: f64,
    /// Entries that a scan up to its reductions stores.
    pub results: f64,
    /// What the matrix form costs, where there is one.
    pub matrix: Option<f64>,
    /// The cost of the form that single tokens use: a scan, or heads in parallel.
    pub beside: Option<f64>,
    /// The processor.
    pub machine: &'m Machine,
}

/// All forms, those to be preferred first: in the order of [`FormId`].
pub const FORMS: &[Form] = &[
    Form {
        id: FormId::FusedScan,
        name: "fused_scan",
        says: "fused scan",
        lowering: Lowering::Scan(Stores::Results),
        fits: elementwise,
        cost: scan_cost,
    },
    Form {
        id: FormId::ReducedScan,
        name: "reduced_scan",
        says: "fused scan up to the first reductions",
        lowering: Lowering::Scan(Stores::Reductions),
        fits: elementwise,
        cost: |c| scan_cost(c) + 2.0 * c.machine.rates.memory * c.results,
    },
    Form {
        id: FormId::StoredScan,
        name: "stored_scan",
        says: "scan with the state stored for every token",
        lowering: Lowering::Scan(Stores::States),
        fits: |graph, recurrence, machine| {
            elementwise(graph, recurrence, machine).and_then(|()| small(graph, recurrence, machine))
        },
        cost: |c| scan_cost(c) + 2.0 * c.machine.rates.memory * c.entries,
    },
    Form {
        id: FormId::HeadParallel,
        name: "head_parallel",
        says: "heads in parallel, tokens in sequence",
        lowering: Lowering::Loop,
        fits: |_, _, _| Ok(()),
        cost: |c| c.beside.unwrap_or_else(|| loop_cost(c)),
    },
    Form {
        id: FormId::TokenLoop,
        name: "token_loop",
        says: "token loop, entries in parallel",
        lowering: Lowering::Loop,
        fits: |_, _, _| Ok(()),
        cost: |c| c.beside.unwrap_or_else(|| loop_cost(c)) + c.machine.rates.nest * c.kernels,
    },
    Form {
        id: FormId::StateSpaceDuality,
        name: "state_space_duality",
        says: "chunked matrix form (state-space duality)",
        lowering: Lowering::Matrix,
        fits: one_state,
        cost: |c| c.matrix.unwrap_or(f64::INFINITY),
    },
    Form {
        id: FormId::Wy,
        name: "wy",
        says: "chunked WY form",
        lowering: Lowering::Matrix,
        fits: one_state,
        cost: |c| c.matrix.unwrap_or(f64::INFINITY),
    },
];

impl Form {
    /// The form of this name.
    pub fn named(name: &str) -> Option<&'static Form> {
        FORMS.iter().find(|form| form.name == name)
    }
}

impl FormId {
    /// Its row.
    pub fn form(self) -> &'static Form {
        &FORMS[self as usize]
    }

    /// True for scans of independent entries.
    pub(super) fn is_scan(self) -> bool {
        matches!(self.form().lowering, Lowering::Scan(_))
    }

    /// The form that is tried after `before` where that does not fit, or first. How a loop runs is found while it is planned.
    pub(super) fn next(graph: &Graph, recurrence: &Recurrence, machine: &Machine, before: Option<FormId>) -> FormId {
        let tried = FORMS
            .iter()
            .filter(|form| form.id.is_scan() && before.is_none_or(|id| form.id > id));
        let mut fitting = tried.filter(|form| (form.fits)(graph, recurrence, machine).is_ok());
        fitting.next().map_or(FormId::TokenLoop, |form| form.id)
    }
}

fn elementwise(_: &Graph, recurrence: &Recurrence, _: &Machine) -> Result<(), Misfit> {
    recurrence.elementwise.then_some(()).ok_or(Misfit::EntriesDepend)
}

fn small(graph: &Graph, recurrence: &Recurrence, machine: &Machine) -> Result<(), Misfit> {
    let states = recurrence.states.iter();
    let fits = |entries: usize| entries <= machine.memory.stored_state;
    let all = states.map(|s| graph.states[s.0 as usize].ty.len()).all(fits);
    all.then_some(()).ok_or(Misfit::LargeState)
}

fn one_state(_: &Graph, recurrence: &Recurrence, _: &Machine) -> Result<(), Misfit> {
    (recurrence.states.len() == 1)
        .then_some(())
        .ok_or(Misfit::SeveralStates)
}

fn scan_cost(c: &FormCost<'_>) -> f64 {
    let narrow = if c.wide { 1.0 } else { c.machine.rates.narrow };
    c.beside.unwrap_or(c.work * narrow)
}

fn loop_cost(c: &FormCost<'_>) -> f64 {
    c.work * c.machine.rates.head_entry / c.machine.rates.scan_entry
}

/// Recurrences that cannot run in the form that was tried, and why; at least one.
pub(super) type Misfits = BTreeMap<usize, Misfit>;

/// Forms that were found not to fit.
pub(super) type Rejected = BTreeMap<(usize, FormId), Misfit>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_one_row_in_the_order_of_preference() {
        assert!(FORMS.iter().all(|form| form.id.form().name == form.name));
        let ids: Vec<FormId> = FORMS.iter().map(|form| form.id).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids.last(), Some(&FormId::Wy));
        assert_eq!(ids.len(), FormId::Wy as usize + 1);
    }
}
