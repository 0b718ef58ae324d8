//! The class of each recurrence, the forms that were considered, and the reason for the choice.

use seqc_ir::{Graph, StateId, Value};
use seqc_passes::{
    cost,
    plan::{Candidate, Chunked, Decision, Extent, Form, FormId, Plan, Scan, Settings, Verdict},
    recurrence::Recurrence,
};
use std::{collections::HashMap, fmt::Write};

/// Lines about all recurrences of a layer.
pub(super) fn describe(out: &mut String, graph: &Graph, plans: &[&Plan]) {
    let scans: Vec<HashMap<StateId, &Scan>> = plans.iter().map(|plan| plan.scans_by_state()).collect();
    for (n, recurrence) in plans[0].recurrences.iter().enumerate() {
        let one = One {
            graph,
            plans,
            scans: &scans,
            recurrence,
        };
        one.describe(out, plans[0].decision(n));
    }
}

/// A recurrence in the plans of several machines.
struct One<'a> {
    graph: &'a Graph,
    plans: &'a [&'a Plan],
    /// Scans of each plan.
    scans: &'a [HashMap<StateId, &'a Scan>],
    recurrence: &'a Recurrence,
}

impl One<'_> {
    fn describe(&self, out: &mut String, decision: Option<&Decision>) {
        let (graph, recurrence) = (self.graph, self.recurrence);
        let states = recurrence.states.iter().map(|s| &graph.states[s.0 as usize]);
        let names: Vec<String> = states.map(|s| format!("{} {:?}", s.name, s.ty.sizes())).collect();
        let _ = writeln!(out, "recurrence {}: {}", names.join(", "), recurrence.class.name());
        let bytes = 4 * recurrence.states.iter().map(|s| self.entries(*s)).sum::<usize>();
        let chosen: Vec<String> = decision.map_or_else(Vec::new, |d| self.chosen(d));
        let stored = self.stored_rows();
        let _ = writeln!(out, "  chosen: {}; {bytes} bytes of state, {stored}", chosen.join("; "));
        considered(out, decision);
        let operations = cost::of_recurrence(graph, self.plans[0], recurrence);
        let _ = writeln!(
            out,
            "  cost: about {operations:.0} operations per token; {} bytes of state read and written in decoding",
            2 * bytes
        );
    }

    fn entries(&self, s: StateId) -> usize {
        self.graph.states[s.0 as usize].ty.len()
    }

    /// The forms that are taken, those for the longest chunks first.
    fn chosen(&self, decision: &Decision) -> Vec<String> {
        let chosen = decision.chosen();
        let several = chosen.len() > 1;
        let of = |(candidate, from): (&Candidate, usize)| {
            let when = match (from, several) {
                (1, true) => "for shorter chunks and decoding ".to_owned(),
                (1, false) => String::new(),
                _ => format!("for chunks of {from} tokens or more "),
            };
            format!("{when}{}", self.form(candidate))
        };
        chosen.into_iter().rev().map(of).collect()
    }

    /// A form and its resources: the block of the state, or the block of tokens.
    fn form(&self, candidate: &Candidate) -> String {
        let Some(form) = Form::named(candidate.form) else {
            return candidate.form.to_owned();
        };
        let says = form.says;
        let scan = |n: usize| self.scans[n].get(&self.recurrence.states[0]).copied();
        match form.id {
            FormId::FusedScan | FormId::ReducedScan | FormId::StoredScan => {
                let of_plan = |n: usize| Some((self.plans[n].settings.machine.name, scan(n)?));
                let scans: Vec<(&str, &Scan)> = (0..self.plans.len()).filter_map(of_plan).collect();
                format!("{says}, {}", block(&scans))
            }
            FormId::StateSpaceDuality | FormId::Wy => {
                let form = scan(0).and_then(|scan| scan.chunked.as_ref());
                form.map_or_else(|| says.to_owned(), |form| format!("{says}{}", matrices(form)))
            }
            FormId::HeadParallel | FormId::TokenLoop => says.to_owned(),
        }
    }

    /// What a chunk stores of the state for each of its tokens.
    fn stored_rows(&self) -> String {
        let largest = self.recurrence.states.iter().map(|s| self.entries(*s)).max();
        let rows = |v: &Value| {
            let plan = self.plans[0];
            let buffer = plan.stored.get(v).map(|id| plan.buffer(*id))?;
            let stored = buffer.extent == Extent::PerToken && Some(buffer.len) >= largest;
            stored.then_some(buffer.len * buffer.entry_bytes())
        };
        match self.recurrence.members.iter().filter_map(rows).sum::<usize>() {
            0 => "not materialised per token".to_owned(),
            bytes => format!("{bytes} bytes of it materialised for every token of a chunk"),
        }
    }
}

/// What a matrix form multiplies, where that is more than one product a token with one decay, and its block of tokens.
fn matrices(form: &Chunked) -> String {
    let decay = if form.diagonal { ", a decay for each key" } else { "" };
    let (writes, corrected) = (form.writes.len(), form.corrected());
    let several = match (writes, corrected) {
        (1, _) => String::new(),
        (_, 0) => format!(", {writes} writes a token"),
        _ => format!(", {writes} writes a token, {corrected} of them corrected"),
    };
    let reads = match form.queries.len() {
        1 => String::new(),
        reads => format!(", {reads} reads a token"),
    };
    format!("{decay}{several}{reads}, blocks of {} tokens", form.block)
}

/// The block of the state of a scan and its memory: on the first machine, and on others that differ.
fn block(scans: &[(&str, &Scan)]) -> String {
    let of = |scan: &Scan| {
        let (block, axis) = (scan.block, scan.kept.last().copied().unwrap_or(0));
        let place = match block.in_registers {
            true => "in registers".to_owned(),
            false => format!("in memory ({} bytes)", block.bytes()),
        };
        format!(
            "blocks of {} entries along axis {axis}, block of the state {place}",
            block.lanes
        )
    };
    let mut said = scans.iter().map(|(name, scan)| (name, of(scan)));
    let Some((_, first)) = said.next() else {
        return String::new();
    };
    let others = said
        .filter(|(_, other)| *other != first)
        .map(|(name, other)| format!(" ({name}: {other})"));
    let others: String = others.collect();
    first + &others
}

/// All candidates of a decision, what each costs, and why it was not taken.
pub(super) fn considered(out: &mut String, decision: Option<&Decision>) {
    let Some(decision) = decision else { return };
    let _ = writeln!(
        out,
        "  candidates, with their cost in additions per token for chunks of {} tokens:",
        Settings::CHUNK
    );
    for candidate in &decision.candidates {
        let form = Form::named(candidate.form);
        let says = form.map_or(candidate.form, |form| form.says);
        let cost = candidate.cost.map_or_else(String::new, |cost| format!("{cost:.0}, "));
        let _ = match candidate.verdict {
            Verdict::Chosen { from: 1 } => writeln!(out, "    {says}: {cost}chosen"),
            Verdict::Chosen { from } => writeln!(out, "    {says}: {cost}chosen for chunks of {from} tokens or more"),
            Verdict::Costlier => writeln!(out, "    {says}: {cost}not chosen, higher cost"),
            Verdict::Later => writeln!(out, "    {says}: {cost}not tried, an earlier form applies"),
            Verdict::Unfit(misfit) => writeln!(out, "    {says}: not applicable, {misfit}"),
        };
    }
}
