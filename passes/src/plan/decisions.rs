//! What was decided about the recurrences and filters of a layer: the candidates, what each costs, and why it was not taken.

use super::{
    Chunked, FORMS, Form, FormCost, FormId, Lowering, Misfit,
    decision::{Candidate, DIRECT_SUM, Decision, PARTITIONED, Subject, Verdict},
    definitions::PlanBuilder,
    forms::Rejected,
    types::{Kernel, Plan, Scan},
};
use crate::{conv_partition::ConvPartition, recurrence::Recurrence};
use seqc_ir::{Graph, OpClass, StateId, Value};
use std::collections::HashSet;

impl PlanBuilder<'_> {
    /// Writes down what was decided. `rejected` are forms that earlier attempts found not to fit.
    pub(super) fn decide(&mut self, mut rejected: Rejected) {
        rejected.extend(std::mem::take(self.rejected.get_mut()));
        let (scans, heads) = (self.plan.scans_by_state(), head_parallel(&self.plan));
        let recurrences = self.plan.recurrences.iter().enumerate();
        let decisions = recurrences.map(|(r, recurrence)| {
            let state = &recurrence.states[0];
            let taken = match self.modes[r] {
                FormId::TokenLoop if heads.contains(state) => FormId::HeadParallel,
                mode => mode,
            };
            let case = Case {
                graph: self.graph,
                plan: &self.plan,
                number: r,
                recurrence,
                taken,
                scan: scans.get(state).copied(),
                rejected: &rejected,
            };
            case.decision()
        });
        let filters = self.filters();
        self.plan.decisions = decisions.chain(filters).collect();
    }

    fn filters(&self) -> Vec<Decision> {
        let kernels = super::types::flat(&self.plan.kernels).into_iter();
        let filters = kernels.filter_map(|kernel| match kernel {
            Kernel::LongConv(v) => Some(filter_decision(self.graph, &self.plan, *v)),
            _ => None,
        });
        filters.collect()
    }
}

fn filter_decision(graph: &Graph, plan: &Plan, v: Value) -> Decision {
    let channels = graph.ty(v).len();
    let partition = ConvPartition::of(graph, v, &plan.settings);
    let context = partition.taps as f64;
    let candidate = |form, operations: f64, verdict| Candidate {
        form,
        cost: Some(channels as f64 * operations),
        verdict,
    };
    Decision {
        about: Subject::Filter(v),
        candidates: vec![
            candidate(DIRECT_SUM, partition.plain_operations(context), Verdict::Costlier),
            candidate(PARTITIONED, partition.operations(context), Verdict::Chosen { from: 1 }),
        ],
    }
}

/// The states of loops that run in parallel over heads.
fn head_parallel(plan: &Plan) -> HashSet<StateId> {
    let states = super::types::flat(&plan.kernels)
        .into_iter()
        .filter_map(|kernel| match kernel {
            Kernel::Heads { heads, states, .. } if *heads > 1 => Some(states),
            _ => None,
        });
    states.flatten().copied().collect()
}

/// A recurrence whose candidates are listed.
struct Case<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    number: usize,
    recurrence: &'a Recurrence,
    /// The form of single tokens.
    taken: FormId,
    scan: Option<&'a Scan>,
    rejected: &'a Rejected,
}

impl Case<'_> {
    fn decision(&self) -> Decision {
        let cost = self.cost();
        let candidates = FORMS.iter().map(|form| {
            let verdict = self.verdict(form.id);
            let known = (form.cost)(&self.beside(form, cost));
            Candidate {
                form: form.name,
                cost: (known.is_finite() && !matches!(verdict, Verdict::Unfit(_))).then_some(known),
                verdict,
            }
        });
        Decision {
            about: Subject::Recurrence(self.number),
            candidates: candidates.collect(),
        }
    }

    fn verdict(&self, id: FormId) -> Verdict {
        if id == self.taken {
            return Verdict::Chosen { from: 1 };
        }
        let form = id.form();
        if let Some(misfit) = self.rejected.get(&(self.number, id)) {
            return Verdict::Unfit(*misfit);
        }
        if let Err(misfit) = (form.fits)(self.graph, self.recurrence, &self.plan.settings.machine) {
            return Verdict::Unfit(misfit);
        }
        match form.lowering {
            Lowering::Matrix => self.matrix_verdict(id),
            Lowering::Scan(_) | Lowering::Loop => Verdict::Later,
        }
    }

    fn matrix(&self) -> Option<&Chunked> {
        self.scan.and_then(|scan| scan.chunked.as_ref())
    }

    /// Of the two matrix forms a recurrence has at most one.
    fn matrix_verdict(&self, id: FormId) -> Verdict {
        let Some(form) = self.matrix() else {
            return Verdict::Unfit(Misfit::InsideLoop);
        };
        match (id == FormId::Wy, form.corrected() > 0) {
            (true, false) => Verdict::Unfit(Misfit::NotCorrected),
            (false, true) => Verdict::Unfit(Misfit::Corrected),
            _ => form.shortest.map_or(Verdict::Costlier, |from| Verdict::Chosen { from }),
        }
    }

    /// Where there is a matrix form, what the form that single tokens have beside it costs is known better.
    fn beside<'c>(&self, form: &Form, cost: FormCost<'c>) -> FormCost<'c> {
        let own = form.id.is_scan() == self.taken.is_scan();
        FormCost {
            beside: self.matrix().filter(|_| own).map(|matrix| matrix.costs.by_tokens),
            ..cost
        }
    }

    fn cost(&self) -> FormCost<'_> {
        let graph = self.graph;
        let machine = &self.plan.settings.machine;
        let members = self.recurrence.members.iter();
        let states = self.recurrence.states.iter();
        FormCost {
            work: members.clone().map(|v| self.work(*v)).sum(),
            entries: states.clone().map(|s| graph.states[s.0 as usize].ty.len() as f64).sum(),
            wide: self.scan.is_none_or(|scan| scan.block.lanes == machine.scan_lanes),
            kernels: members.filter(|v| self.plan.is_stored(**v)).count().max(1) as f64,
            results: self.scan.map_or(1.0, |scan| {
                scan.outputs.iter().map(|nest| graph.ty(nest.value).len() as f64).sum()
            }),
            matrix: self.matrix().map(|form| form.costs.products),
            beside: None,
            machine,
        }
    }

    /// Additions of a token in one value.
    fn work(&self, v: Value) -> f64 {
        let entries = self.graph.ty(v).len() as f64;
        match self.graph.op(v).row().class == OpClass::Product {
            true => entries * self.graph.columns(v) as f64,
            false => entries * self.graph.entry_cost(v),
        }
    }
}
