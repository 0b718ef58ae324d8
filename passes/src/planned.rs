//! A model whose layers are planned for a machine: what code generation, `explain`, `compare`, `inspect` and `init` read, so
//! that nothing is decided twice.

use crate::{
    attention::{
        caches::{Caches, Site},
        clock_rate::ClockRate,
    },
    clocked,
    plan::{Plan, Settings},
};
use seqc_ir::{Graph, Model, Value};

/// A model after the passes, with the plan of each kind of layer.
#[derive(Clone, Debug)]
pub struct PlannedModel<'m> {
    /// The model; its graphs went through the passes.
    pub model: &'m Model,
    /// What it is planned for.
    pub settings: Settings,
    /// The plan of each kind of layer, in the order of the model's kinds.
    pub plans: Vec<Plan>,
    /// What its attentions keep.
    pub caches: Caches,
    /// Ticks of each clocked part for each token around it, in the order of the model's parts.
    pub rates: Vec<ClockRate>,
}

impl<'m> PlannedModel<'m> {
    /// Plans every kind of layer of a model whose graphs went through [`optimise`](crate::optimise).
    pub fn new(model: &'m Model, settings: Settings) -> PlannedModel<'m> {
        let plans = model.kinds.iter().map(|kind| Plan::new(&kind.graph, &settings));
        let plans: Vec<Plan> = plans.collect();
        let attentions: Vec<_> = plans.iter().map(|plan| &plan.attentions).collect();
        PlannedModel {
            model,
            caches: Caches::new(model, &attentions),
            rates: clocked::rates(model),
            plans,
            settings,
        }
    }

    /// The graph of a kind of layer.
    pub fn graph(&self, kind: usize) -> &'m Graph {
        &self.model.kinds[kind].graph
    }

    /// Ticks of a call for each token. [`ClockRate::ALL`] where it runs at every token, or where data decide.
    pub fn rate(&self, call: usize) -> ClockRate {
        let parts = self.model.clocked.iter().zip(&self.rates);
        let around = parts.filter(|(part, _)| part.calls.contains(&call));
        around.fold(ClockRate::ALL, |rate, (_, of_part)| rate.of_those(*of_part))
    }

    /// Whether a call carries anything of its own from token to token.
    pub fn carries(&self, call: usize) -> bool {
        let kind = self.model.calls[call].kind.0 as usize;
        let elsewhere = |value| self.caches.elsewhere(Site { call, value }).is_some();
        self.plans[kind].carries(self.graph(kind), elsewhere)
    }

    /// The call from which on all map rows to rows: they carry nothing of their own from token to token.
    pub fn tail(&self) -> usize {
        let carries = (0..self.model.calls.len()).rposition(|n| self.carries(n));
        let clocked = self.model.clocked.iter().map(|part| part.calls.end);
        clocked.chain(carries.map(|last| last + 1)).max().unwrap_or(0)
    }

    /// Attentions of a kind that read another's cache in some call, at most as many as a word has bits for: what more there
    /// is appends the same rows once again.
    pub fn readers(&self, kind: usize) -> Vec<Value> {
        let calls = &self.model.calls;
        let of_kind = self
            .caches
            .readers()
            .filter(|site| calls[site.call].kind.0 as usize == kind);
        let mut found: Vec<Value> = of_kind.map(|site| site.value).collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(62);
        found
    }
}
