//! Laws of what crosses into clocked parts and out of them.

use super::model::ModelReport;
use crate::{Between, Call, Elem, Graph};

impl ModelReport<'_> {
    /// Law 22 where parts begin with a call.
    pub(super) fn begin_parts(&mut self, call: usize) {
        while let Some(part) = self
            .model
            .clocked
            .get(self.clocks.begun)
            .filter(|part| part.calls.start == call)
        {
            let number = self.clocks.begun;
            let ty = self.streams.get(&part.condition);
            let is_number = ty.is_some_and(|ty| ty.elem == Elem::F32 && ty.dims.is_empty());
            self.require(is_number && self.clocks.fits(part.condition), 22, || {
                format!(
                    "the condition {} of `{}` is no real number around it",
                    part.condition, part.name
                )
            });
            let around = self.clocks.open.clone();
            self.clocks.begun += 1;
            for enter in &part.enter {
                self.clocks.open.clone_from(&around);
                let Some(ty) = self
                    .streams
                    .get(&enter.from)
                    .cloned()
                    .filter(|_| self.clocks.fits(enter.from))
                else {
                    self.require(false, 22, || {
                        format!("{} enters `{}` and is no stream around it", enter.from, part.name)
                    });
                    continue;
                };
                self.define(enter.to, ty);
                self.clocks.open.push(number);
                self.clocks.place(enter.to);
            }
            self.clocks.open = around;
            self.clocks.open.push(number);
        }
    }

    /// Law 22 where parts end with a call.
    pub(super) fn end_parts(&mut self, call: usize) {
        while let Some(number) = self.clocks.open.last().copied() {
            let part = &self.model.clocked[number];
            if part.calls.end != call + 1 {
                break;
            }
            self.clocks.open.pop();
            for leave in &part.leave {
                let own = self.clocks.of(leave.from) == Some(number);
                let Some(ty) = self.streams.get(&leave.from).cloned().filter(|_| own) else {
                    self.require(false, 22, || {
                        format!("{} leaves `{}` and is no stream of it", leave.from, part.name)
                    });
                    continue;
                };
                if let Between::Pass(stream) = leave.between {
                    let fits = self.streams.get(&stream) == Some(&ty) && self.clocks.fits(stream);
                    self.require(fits, 22, || {
                        format!("{stream} does not pass for {} at other tokens", leave.from)
                    });
                }
                self.define(leave.to, ty);
                self.clocks.place(leave.to);
            }
        }
    }

    /// Laws 22 and 23 for one call.
    pub(super) fn at_its_clock(&mut self, call: &Call) {
        let graph: &Graph = self.model.graph(call);
        for arg in &call.args {
            let fits = self.clocks.fits(*arg) || self.of_memory.contains(arg);
            self.require(fits, 22, || {
                format!("`{}` reads {arg}, which has values at other tokens", call.name)
            });
        }
        let of_prompts = graph.policies().any(|policy| policy.prompt_matters()) || graph.together() > 1;
        self.require(self.clocks.open.is_empty() || !of_prompts, 23, || {
            format!("`{}` runs at ticks, and what it keeps depends on the prompt", call.name)
        });
    }
}
