//! The computation of each stored value, and its dependencies.

use super::{
    FormId, Settings, contiguous_rows,
    forms::Rejected,
    inline::Walk,
    materialize::{Materialize, unshaped},
    scan::inner_values,
    types::{Buffer, BufferId, Extent, Nest, Plan, row_major},
};
use seqc_ir::{Graph, Op, Stage, Value};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
};

/// What computes one stored value.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Loops over entries.
    Nests(Vec<Nest>),
    /// A product with a matrix.
    Product(Value),
    /// Attention.
    Attend(Value),
    /// Long convolution.
    LongConv(Value),
    /// A stream from its end.
    Reverse(Value),
    /// Rounded rows.
    RoundRow(Value),
}

/// One stored value and what it waits for.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) work: Work,
    pub(super) into: BufferId,
    /// Buffers that are read at the same token.
    pub(super) now: BTreeSet<BufferId>,
    /// Buffers that are read at earlier tokens.
    pub(super) before: BTreeSet<BufferId>,
    /// Recurrences whose inner values are read.
    pub(super) inner: BTreeSet<usize>,
}

pub(super) struct PlanBuilder<'a> {
    pub(super) graph: &'a Graph,
    pub(super) modes: &'a [FormId],
    pub(super) plan: Plan,
    pub(super) definitions: Vec<Definition>,
    pub(super) settings: &'a Settings,
    /// The recurrence of each member and previous value.
    owners: HashMap<Value, usize>,
    /// Forms that were found not to fit, beside those that make another attempt necessary.
    pub(super) rejected: RefCell<Rejected>,
    /// Buffers that the members and the results of each scan read.
    pub(super) scan_reads: Vec<BTreeSet<BufferId>>,
}

impl<'a> PlanBuilder<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        choose: &Materialize<'a>,
        stored: HashSet<Value>,
        settings: &'a Settings,
    ) -> PlanBuilder<'a> {
        let mut attempt = PlanBuilder {
            graph,
            modes: choose.modes,
            plan: Plan {
                settings: settings.clone(),
                stages: choose.stages.to_vec(),
                recurrences: choose.recurrences.to_vec(),
                decisions: Vec::new(),
                buffers: Vec::new(),
                stored: HashMap::new(),
                load: Vec::new(),
                kernels: Vec::new(),
                attentions: HashMap::new(),
                state_axes: graph.states.iter().map(|s| (0..s.ty.rank()).collect()).collect(),
                native_params: Vec::new(),
            },
            definitions: Vec::new(),
            settings,
            owners: choose
                .recurrences
                .iter()
                .enumerate()
                .flat_map(|(r, recurrence)| inner_values(recurrence).into_iter().map(move |v| (v, r)))
                .collect(),
            rejected: RefCell::default(),
            scan_reads: Vec::new(),
        };
        let values: Vec<Value> = choose.order.iter().copied().filter(|v| stored.contains(v)).collect();
        for v in &values {
            attempt.add_buffer(*v);
        }
        attempt.add_histories(choose.order);
        let copies = attempt.place_outputs();
        for v in values {
            attempt.add_item(v);
        }
        for (v, into) in copies {
            attempt.add_whole(v, into);
        }
        attempt
    }

    pub(super) fn add_buffer(&mut self, v: Value) {
        let id = self.new_buffer(
            v,
            if self.plan.stage(v) == Stage::Load {
                Extent::Constant
            } else {
                Extent::PerToken
            },
        );
        self.plan.stored.insert(v, id);
    }

    pub(super) fn new_buffer(&mut self, v: Value, extent: Extent) -> BufferId {
        let ty = self.graph.ty(v);
        self.plan.buffers.push(Buffer {
            value: v,
            len: ty.len(),
            elem: ty.elem,
            strides: row_major(&ty.sizes()),
            extent,
            history: 0,
            output: None,
            state: None,
        });
        BufferId(self.plan.buffers.len() - 1)
    }

    pub(super) fn add_histories(&mut self, order: &[Value]) {
        for v in order {
            if let Some(steps) = self.graph.op(*v).reach() {
                let source = self.plan.stored[&self.graph.operands(*v)[0]];
                let history = &mut self.plan.buffers[source.0].history;
                *history = (*history).max(steps);
            }
        }
    }

    /// Lets stored values lie where the layer's results go; gives what has to be copied there.
    pub(super) fn place_outputs(&mut self) -> Vec<(Value, BufferId)> {
        let mut copies = Vec::new();
        for (n, (_, v)) in self.graph.outputs.iter().enumerate() {
            let source = unshaped(self.graph, *v);
            let own = self.plan.stored.get(&source).copied().filter(|id| {
                let b = &self.plan.buffers[id.0];
                b.extent == Extent::PerToken && b.history == 0 && b.output.is_none()
            });
            match own {
                Some(id) => self.plan.buffers[id.0].output = Some(n),
                None => {
                    let id = self.new_buffer(source, Extent::PerToken);
                    self.plan.buffers[id.0].output = Some(n);
                    copies.push((source, id));
                }
            }
        }
        copies
    }

    pub(super) fn add_item(&mut self, v: Value) {
        let into = self.plan.stored[&v];
        let operands = self.graph.operands(v);
        match self.graph.op(v) {
            Op::MatVec | Op::IndexedMatVec if self.plan.stage(v) == Stage::Token => {
                self.add_rows_item(Work::Product(v), into, &operands[1..])
            }
            Op::Attend(_) => self.add_rows_item(Work::Attend(v), into, &operands),
            Op::LongConv => self.add_rows_item(Work::LongConv(v), into, &operands),
            Op::Reverse => self.add_rows_item(Work::Reverse(v), into, &operands),
            Op::RoundRow(_) => self.add_rows_item(Work::RoundRow(v), into, &operands),
            Op::Concat { axis } => {
                let mut at = 0;
                let mut parts = Vec::new();
                for o in operands {
                    parts.push(Nest {
                        value: o,
                        into,
                        shift: Some((*axis, at)),
                    });
                    at += self.graph.ty(o).dims[*axis].size;
                }
                self.add_nests(parts, into);
            }
            Op::Param(_) | Op::Input(_) | Op::Const(_) | Op::Iota { .. } | Op::Position | Op::Prev(_) => {
                self.add_whole(v, into);
            }
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::View(_) | Op::Reshape | Op::Gather => {
                self.add_whole(v, into);
            }
            Op::Reduce { .. } | Op::MatVec | Op::IndexedMatVec | Op::Delay { .. } | Op::Window { .. } => {
                self.add_whole(v, into);
            }
        }
    }

    /// A value that one nest computes.
    fn add_whole(&mut self, value: Value, into: BufferId) {
        let nest = Nest {
            value,
            into,
            shift: None,
        };
        self.add_nests(vec![nest], into);
    }

    pub(super) fn add_nests(&mut self, nests: Vec<Nest>, into: BufferId) {
        if self.plan.buffers[into.0].extent == Extent::Constant {
            self.plan.load.extend(nests);
            return;
        }
        let mut definition = Definition {
            work: Work::Nests(nests.clone()),
            into,
            now: BTreeSet::new(),
            before: BTreeSet::new(),
            inner: BTreeSet::new(),
        };
        for nest in &nests {
            self.reads_of(nest, &mut definition);
        }
        self.definitions.push(definition);
    }

    pub(super) fn add_rows_item(&mut self, work: Work, into: BufferId, operands: &[Value]) {
        let rows = operands
            .iter()
            .filter_map(|o| contiguous_rows::row_of(self.graph, &|v| self.plan.is_stored(v), *o));
        let now = rows
            .filter_map(|row| self.plan.stored.get(&row.value).copied())
            .collect();
        self.definitions.push(Definition {
            work,
            into,
            now,
            before: BTreeSet::new(),
            inner: BTreeSet::new(),
        });
    }

    /// The recurrence that a value is a member or a previous value of.
    pub(super) fn owner(&self, v: Value) -> Option<usize> {
        self.owners.get(&v).copied()
    }

    /// The scan recurrence that a value is inside of.
    pub(super) fn scan_of(&self, v: Value) -> Option<usize> {
        self.owner(v).filter(|r| self.modes[*r].is_scan())
    }

    pub(super) fn reads_of(&self, nest: &Nest, definition: &mut Definition) {
        let elsewhere = |v: Value| self.plan.stored.get(&v).is_some_and(|b| *b != nest.into);
        if elsewhere(nest.value) {
            definition.now.extend(self.plan.stored.get(&nest.value));
            return;
        }
        if let Some(r) = self.inner_of(nest.value) {
            definition.inner.insert(r);
            return;
        }
        let stop = |v: Value| self.plan.is_stored(v) || self.scan_of(v).is_some();
        for leaf in (Walk {
            graph: self.graph,
            stop: &stop,
        })
        .leaves(nest.value)
        {
            match self.plan.stored.get(&leaf.value) {
                Some(b) if leaf.delay > 0 => definition.before.insert(*b),
                Some(b) => definition.now.insert(*b),
                None => {
                    definition.inner.extend(self.inner_of(leaf.value));
                    true
                }
            };
        }
    }

    /// The recurrence that an unstored value is inside of, or the loop whose previous value it is.
    pub(super) fn inner_of(&self, v: Value) -> Option<usize> {
        if let Op::Prev(_) = self.graph.op(v) {
            self.owner(v)
        } else {
            self.scan_of(v)
        }
    }
}
