//! Parts of a model that run at some tokens only: where they begin and end, and the streams that cross.

use super::builder::{Builder, Part, Stream};
use crate::{
    diag::{Diagnostic, Placed},
    elaborate::last_of_segment,
    model::{
        clock::{Clock, Condition, Otherwise},
        expand::Instance,
    },
};
use seqc_ir::{Between, Call, Clocked, Elem, Enter, Graph, Kind, KindId, Leave, StreamId};
use std::{collections::HashMap, sync::Arc};

impl Builder<'_> {
    /// Ends and begins parts, so that these are open; gives what the next layer reads, of what the last one gave. Nothing after an error.
    pub(super) fn at(&mut self, clocks: &[Arc<Clock>], mut last: Stream) -> Option<Stream> {
        let open = self.clocks.open.iter().zip(clocks);
        let same = open.take_while(|(part, clock)| self.clocks.parts[**part].clock.path == clock.path);
        let same = same.count();
        while self.clocks.open.len() > same {
            last = self.end(last)?;
        }
        for clock in &clocks[same..] {
            self.begin(clock, &last)?;
        }
        Some(last)
    }

    fn begin(&mut self, clock: &Arc<Clock>, last: &Stream) -> Option<()> {
        let condition = match &clock.condition {
            Condition::Every(period) => self.every(*period, &clock.path),
            Condition::Stream(name) => {
                let Some(stream) = self.streams.get(&name.text).cloned() else {
                    let d = Diagnostic::new(
                        "unknown-stream",
                        clock.place,
                        format!("there is no stream `{}` here", name.text),
                    );
                    let known: Vec<&str> = self.streams.keys().map(String::as_str).collect();
                    self.diagnostics.push(d.did_you_mean(&name.text, known));
                    return None;
                };
                let stream = self.here(&stream);
                let ty = stream.ty?;
                if stream.of_memory || ty.elem != Elem::F32 || !ty.dims.is_empty() {
                    let message = format!(
                        "`{}` is {ty}, a clock is one condition or number at every token",
                        name.text
                    );
                    let d = Diagnostic::new("clock-mismatch", clock.place, message);
                    self.diagnostics
                        .push(d.help("tap a condition, such as `on = score > 0.5`"));
                    return None;
                }
                stream.id
            }
        };
        let number = self.model.clocked.len();
        let start = self.model.calls.len();
        self.model.clocked.push(Clocked {
            name: clock.path.clone(),
            condition,
            calls: start..start,
            enter: Vec::new(),
            leave: Vec::new(),
        });
        let last = self.here(last);
        self.clocks.parts.push(Part {
            clock: clock.clone(),
            around: self.clocks.inner(),
            last,
            entered: HashMap::new(),
            left: HashMap::new(),
        });
        self.clocks.open.push(number);
        Some(())
    }

    /// Ends the innermost part, of which `last` is the result; gives that at the tokens around it.
    fn end(&mut self, last: Stream) -> Option<Stream> {
        let number = self.clocks.open.pop()?;
        self.model.clocked[number].calls.end = self.model.calls.len();
        let part = &self.clocks.parts[number];
        let between = match part.clock.otherwise {
            Otherwise::Hold => Between::Hold,
            Otherwise::Zero => Between::Zero,
            Otherwise::Pass => {
                let (ty, passes) = (last.ty.as_ref()?, part.last.ty.as_ref()?);
                if ty.sizes() != passes.sizes() || ty.elem != passes.elem {
                    let message = format!("{passes} cannot pass for a result {ty} of these entries");
                    let d = Diagnostic::new("clock-mismatch", part.clock.place, message);
                    let d = d.help("`otherwise: hold` gives the last result at other tokens, `otherwise: zero` zeros");
                    self.diagnostics.push(d);
                    return None;
                }
                Between::Pass(part.last.id)
            }
        };
        Some(self.leave(number, &last, between))
    }

    /// A stream where calls run now: held behind parts that have ended, and at the ticks of those that are open.
    pub(super) fn here(&mut self, stream: &Stream) -> Stream {
        let mut stream = stream.clone();
        if stream.of_memory {
            return stream;
        }
        while let Some(part) = stream.clock.filter(|part| !self.clocks.open.contains(part)) {
            stream = self.leave(part, &stream, Between::Hold);
        }
        let around = |part: &usize| stream.clock == Some(*part);
        let depth = self.clocks.open.iter().position(around).map_or(0, |at| at + 1);
        for at in depth..self.clocks.open.len() {
            stream = self.enter(self.clocks.open[at], stream);
        }
        stream
    }

    fn enter(&mut self, part: usize, stream: Stream) -> Stream {
        let from = stream.id;
        let to = match self.clocks.parts[part].entered.get(&from) {
            Some(to) => *to,
            None => {
                let to = self.model.new_stream();
                self.model.clocked[part].enter.push(Enter { from, to });
                self.clocks.parts[part].entered.insert(from, to);
                to
            }
        };
        Stream {
            id: to,
            clock: Some(part),
            ..stream
        }
    }

    fn leave(&mut self, part: usize, stream: &Stream, between: Between) -> Stream {
        let (from, around) = (stream.id, self.clocks.parts[part].around);
        let known = self.clocks.parts[part].left.get(&from).copied();
        let to = known.filter(|_| between == Between::Hold).unwrap_or_else(|| {
            let to = self.model.new_stream();
            self.model.clocked[part].leave.push(Leave { from, to, between });
            if between == Between::Hold {
                self.clocks.parts[part].left.insert(from, to);
            }
            to
        });
        Stream {
            id: to,
            clock: around,
            ..stream.clone()
        }
    }

    /// A stream of the open parts at every token: 0 where it has no value.
    pub(super) fn outside(&mut self, stream: StreamId) -> StreamId {
        let mut stream = Stream {
            id: stream,
            ty: None,
            of_memory: false,
            clock: self.clocks.inner(),
        };
        while let Some(part) = stream.clock {
            stream = self.leave(part, &stream, Between::Zero);
        }
        stream.id
    }

    /// A call that gives 1 at the last token of each segment of so many, else 0.
    fn every(&mut self, period: usize, path: &str) -> StreamId {
        let known = self.clocks.every.get(&period).copied();
        let kind = known.unwrap_or_else(|| {
            let kind = KindId(self.model.kinds.len() as u32);
            self.model.kinds.push(Kind {
                graph: every(period),
                encodings: Vec::new(),
            });
            self.clocks.every.insert(period, kind);
            kind
        });
        let result = self.model.new_stream();
        self.model.calls.push(Call {
            name: path.to_owned(),
            kind,
            args: Vec::new(),
            results: vec![result],
            params: Vec::new(),
        });
        result
    }

    /// What a layer that runs at ticks keeps does not depend on where a prompt ends: that is no tick.
    pub(super) fn check_ticks(&mut self, instance: &Instance, graph: &Graph) {
        let of_prompts = graph.policies().any(|policy| policy.prompt_matters()) || graph.together() > 1;
        if instance.clocks.is_empty() || !of_prompts {
            return;
        }
        let message = format!(
            "the cache policy of `{}` asks where the prompt ends, and its layer runs at some tokens only",
            instance.path
        );
        let d = Diagnostic::new("clock-mismatch", instance.layer.place, message);
        self.diagnostics
            .push(d.help("use a policy that decides at every token or every n, or name other layers with `on:`"));
    }
}

fn every(period: usize) -> Graph {
    let mut graph = Graph::new("every");
    let on = last_of_segment(&mut graph, period);
    let on = graph.cast(Elem::F32, on);
    graph.add_output("on", on);
    graph
}
