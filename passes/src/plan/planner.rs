//! From stored values to kernels in order: which values one kernel computes, and the dependencies between kernels.

use super::{
    FormId, Settings, buffer_assignment,
    definitions::PlanBuilder,
    forms::{Misfits, Rejected},
    fuse_epilogues, head_parallel,
    materialize::{Materialize, native_params, of_params},
    types::{BufferId, Extent, Kernel, Plan},
};
use crate::{
    attention::analysis::analyses,
    recurrence::{is_summed, recurrences},
};
use seqc_ir::{Graph, Value};
use std::collections::{HashMap, HashSet};

/// Plans a graph: tries the best way to run each recurrence first, and the next one where it does not fit.
pub(super) fn plan(graph: &Graph, settings: &Settings) -> Plan {
    let order = graph.live_order();
    let stages = graph.stages();
    let recurrences = recurrences(graph);
    let of_params = of_params(graph, &order);
    let mut modes: Vec<FormId> = recurrences
        .iter()
        .map(|r| FormId::next(graph, r, &settings.machine, None))
        .collect();
    let mut rejected = Rejected::new();
    loop {
        let choose = Materialize {
            graph,
            rates: &settings.machine.rates,
            order: &order,
            stages: &stages,
            recurrences: &recurrences,
            modes: &modes,
            of_params: &of_params,
        };
        let attempt = PlanBuilder::new(graph, &choose, choose.stored(), settings);
        let misfits = match attempt.finish(&rejected) {
            Ok(plan) => return plan,
            Err(misfits) => misfits,
        };
        for (r, misfit) in misfits {
            assert!(
                modes[r].is_scan(),
                "a loop over tokens can run any recurrence: {misfit}\n{graph}"
            );
            rejected.insert((r, modes[r]), misfit);
            modes[r] = FormId::next(graph, &recurrences[r], &settings.machine, Some(modes[r]));
        }
    }
}

impl PlanBuilder<'_> {
    /// The plan, or the recurrences that must be run in another form. `rejected` are forms that did not fit before.
    fn finish(mut self, rejected: &Rejected) -> Result<Plan, Misfits> {
        self.check_scans()?;
        self.shrink_loop_states();
        let mut groups = self.groups()?;
        self.note_scan_reads();
        self.join_cycles(&mut groups)?;
        let kernels = self.arrange(&groups)?;
        self.plan.kernels = fuse_epilogues::fuse(self.graph, &self.plan, kernels);
        self.lay_out();
        self.shrink_rows_of_loops();
        let kernels = self.plan.kernels.iter();
        let placed: Vec<_> = kernels
            .flat_map(|kernel| head_parallel::in_place(self.graph, &self.plan, kernel))
            .collect();
        for (s, id) in placed {
            self.plan.buffers[id.0].state = Some(s);
        }
        self.decide(rejected.clone());
        self.plan.attentions = analyses(self.graph);
        self.plan.native_params = native_params(self.graph);
        Ok(self.plan)
    }

    /// Large next values of loops have one row instead of one for every token, unless a scan reads them: it runs when the loop
    /// is over.
    fn shrink_loop_states(&mut self) {
        let large = self.large_loop_states();
        if large.is_empty() {
            return;
        }
        self.note_scan_reads();
        // What reads later tokens needs all of them, too.
        let later = (0..self.definitions.len()).filter(|i| self.reads_later(*i));
        let of_all = later.flat_map(|i| &self.definitions[i].now).copied();
        let kept: HashSet<BufferId> = self.scan_reads.iter().flatten().copied().chain(of_all).collect();
        for id in large.into_iter().filter(|id| !kept.contains(id)) {
            self.plan.buffers[id.0].extent = Extent::Single;
        }
    }

    /// Large values that only one loop over tokens touches have one row, too.
    fn shrink_rows_of_loops(&mut self) {
        let mut touching: HashMap<BufferId, Vec<usize>> = HashMap::new();
        for (k, kernel) in self.plan.kernels.iter().enumerate() {
            for id in buffer_assignment::touched(self.graph, &self.plan, kernel) {
                touching.entry(id).or_default().push(k);
            }
        }
        for (id, kernels) in touching {
            let by_tokens = match kernels[..] {
                // A matrix form goes through all tokens at once.
                [k] => matches!(
                    self.plan.kernels[k],
                    Kernel::Loop(_) | Kernel::Heads { chunked: None, .. }
                ),
                _ => false,
            };
            if by_tokens && self.is_large(id) {
                self.plan.buffers[id.0].extent = Extent::Single;
            }
        }
    }

    /// True for a buffer with a row for every token that is large enough for one row to pay, and may have one.
    fn is_large(&self, id: BufferId) -> bool {
        self.is_longer(id, self.plan.settings.machine.memory.stored_state)
    }

    fn is_longer(&self, id: BufferId, entries: usize) -> bool {
        let buffer = self.plan.buffer(id);
        let own = buffer.history == 0 && buffer.output.is_none() && buffer.extent == Extent::PerToken;
        own && buffer.len > entries
    }

    /// The buffers of large next values of loops that nothing else needs a row of for every token.
    fn large_loop_states(&self) -> Vec<BufferId> {
        let loops = self.plan.recurrences.iter().enumerate();
        let loops = loops.filter(|(r, _)| !self.modes[*r].is_scan());
        let summed = self.plan.settings.machine.memory.summed_state;
        let mut found = Vec::new();
        for (_, recurrence) in loops {
            for state in &recurrence.states {
                let next = self.graph.states[state.0 as usize].next;
                let Some((v, id)) = next.and_then(|v| Some((v, *self.plan.stored.get(&v)?))) else {
                    continue;
                };
                let own = |user: Value| recurrence.members.contains(&user).then_some(true);
                if self.is_large(id) || self.is_longer(id, summed) && is_summed(self.graph, v, &own) {
                    found.push(id);
                }
            }
        }
        found
    }
}
