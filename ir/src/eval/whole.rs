//! All tokens of a sequence at once: what reads later tokens waits until every token is there.

use super::{
    Tensor,
    attend::Keys,
    data::Data,
    kernel::convolve,
    plan::{Item, Kernel, Plan},
    tensor::{EvalError, check},
};
use crate::Clock;
use std::{collections::HashSet, sync::Arc};

/// Results of every token. `load` holds the load-stage values.
pub(super) fn run(
    plan: &Plan,
    load: &[Option<Data>],
    memory: &[Keys],
    inputs: &[Vec<Tensor>],
) -> Result<Vec<Vec<Tensor>>, EvalError> {
    for token in inputs {
        check(&plan.name, "input", &plan.inputs, token)?;
    }
    let mut sequence = Sequence {
        plan,
        load,
        memory,
        inputs,
        tokens: vec![Vec::new(); plan.slots],
        keys: Default::default(),
    };
    let mut left: Vec<&Item> = plan.token.iter().collect();
    while !left.is_empty() {
        let (blocked, free) = sequence.split(left);
        if free.is_empty() {
            return Err(EvalError::Circular {
                graph: plan.name.clone(),
            });
        }
        for t in 0..inputs.len() {
            for item in &free {
                let value = sequence.value(item, t);
                sequence.tokens[item.slot].push(value);
            }
        }
        left = blocked;
    }
    let outputs = |t| {
        plan.outputs
            .iter()
            .map(|o| o.tensor(sequence.operand(o.slot, t)))
            .collect()
    };
    Ok((0..inputs.len()).map(outputs).collect())
}

struct Sequence<'a> {
    plan: &'a Plan,
    load: &'a [Option<Data>],
    /// By cache, the keys of attentions to a memory.
    memory: &'a [Keys],
    inputs: &'a [Vec<Tensor>],
    /// Values by slot, then token.
    tokens: Vec<Vec<Data>>,
    /// Keys by cache, then token.
    keys: std::collections::HashMap<usize, Keys>,
}

impl<'a> Sequence<'a> {
    /// Items that must wait for what reads later tokens, and those that can be computed now for all tokens.
    fn split(&self, left: Vec<&'a Item>) -> (Vec<&'a Item>, Vec<&'a Item>) {
        let pending: HashSet<usize> = left.iter().map(|i| i.slot).collect();
        let mut blocked: HashSet<usize> = HashSet::new();
        loop {
            let before = blocked.len();
            for item in &left {
                let needs_all = match &item.kernel {
                    Kernel::Attend { attend, .. } => attend.reads_later(),
                    kernel => matches!(kernel, Kernel::Reverse),
                };
                let waits = |o: &usize| blocked.contains(o) || (needs_all && pending.contains(o));
                if item.operands.iter().any(waits) || self.next(item).is_some_and(|n| blocked.contains(&n)) {
                    blocked.insert(item.slot);
                }
            }
            if blocked.len() == before {
                break;
            }
        }
        left.into_iter().partition(|i| blocked.contains(&i.slot))
    }

    /// The value that an item reads one token late.
    fn next(&self, item: &Item) -> Option<usize> {
        match item.kernel {
            Kernel::Prev(state) => self.plan.states[state].next,
            _ => None,
        }
    }

    fn operand(&self, slot: usize, t: usize) -> Data {
        self.tokens[slot]
            .get(t)
            .or(self.load[slot].as_ref())
            .cloned()
            .unwrap_or_default()
    }

    fn value(&mut self, item: &Item, t: usize) -> Data {
        let zeros = || Arc::new(vec![0.0; item.len()]);
        match &item.kernel {
            Kernel::Input(n) => Arc::new(self.inputs[t][*n].data.clone()),
            Kernel::Position => Arc::new(vec![t as f64]),
            Kernel::Prev(_) => match self.next(item) {
                Some(next) if t > 0 => self.operand(next, t - 1),
                _ => zeros(),
            },
            Kernel::Delay { steps, .. } if t < *steps => zeros(),
            Kernel::Delay { steps, .. } => self.operand(item.operands[0], t - steps),
            Kernel::Window { taps, step, .. } => {
                let past = |k: usize| Some(self.operand(item.operands[0], t.checked_sub((taps - 1 - k) * step)?));
                let len = item.len() / taps.max(&1);
                let rows = (0..*taps).map(|k| past(k).unwrap_or_else(|| Arc::new(vec![0.0; len])));
                Arc::new(rows.flat_map(|row| row.to_vec()).collect())
            }
            Kernel::LongConv { taps, .. } => {
                let f = self.operand(item.operands[1], t);
                let past: Vec<_> = (0..(*taps).min(t + 1))
                    .map(|lag| self.operand(item.operands[0], t - lag))
                    .collect();
                Arc::new(convolve(&f, *taps, past.iter()))
            }
            Kernel::Reverse => self.operand(item.operands[0], self.inputs.len() - 1 - t),
            Kernel::Attend { cache, attend } => {
                if attend.spec.clock == Clock::Memory {
                    let operands: Vec<_> = item.operands.iter().map(|o| self.operand(*o, t)).collect();
                    return Arc::new(attend.run(t, &operands, &self.memory[*cache]));
                }
                let operands = |s: &Sequence<'_>, t| item.operands.iter().map(|o| s.operand(*o, t)).collect::<Vec<_>>();
                let last = if attend.spec.causal { t } else { self.inputs.len() - 1 };
                let have = self.keys.get(cache).map_or(0, Keys::tokens);
                let fresh: Vec<_> = (have..=last).map(|j| operands(self, j)).collect();
                let keys = self.keys.entry(*cache).or_default();
                fresh.iter().for_each(|token| attend.push(keys, token));
                Arc::new(attend.run(t, &operands(self, t), &self.keys[cache]))
            }
            kernel => {
                let operands: Vec<_> = item.operands.iter().map(|o| self.operand(*o, t)).collect();
                kernel.run(item, &operands)
            }
        }
    }
}
