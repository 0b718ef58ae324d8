//! The encoder: layers over another sequence, and what the model's own layers compute of its rows.

use super::{Taps, builder::Builder};
use crate::{
    diag::{Diagnostic, Placed},
    model::expand::Instance,
    source::Place,
};
use seqc_ir::{Call, StreamId};

/// The stream that an encoder gives, unless it says another name.
const MEMORY: &str = "memory";

/// The stream that an encoder reads, unless it says others.
const SOURCE: &str = "source";

impl Builder<'_> {
    /// Adds the layers of the encoder, if there is one: all of its streams are rows of the memory to the layers behind it. Nothing after an error
    /// that hides what follows.
    pub(super) fn encoder(&mut self, instances: &[Instance], taps: &Taps) -> Option<()> {
        let Some(encoder) = &self.file.encoder else {
            return Some(());
        };
        let (mut last, _) = self.declare(&encoder.inputs, SOURCE)?;
        for instance in instances {
            last = self.instance(instance, &last, taps)?;
        }
        let name = encoder.output.as_ref().map_or(MEMORY, |name| &name.value);
        if self.streams.contains_key(name) {
            let span = encoder.output.as_ref().map_or(encoder.span, |name| name.span);
            let message = format!("the encoder has a stream `{name}` beside its result of that name");
            let d = Diagnostic::new("defined-twice", Place::new(self.names.file, span), message);
            self.diagnostics
                .push(d.help("give one of them another name: `output: encoded`"));
        }
        self.streams.insert(name.to_owned(), last);
        for stream in self.streams.values_mut() {
            stream.of_memory = true;
        }
        self.model.memory.inputs = std::mem::take(&mut self.model.inputs);
        self.model.memory.calls = self.model.calls.len();
        Some(())
    }

    /// Adds what a layer computes for each row of the memory, the graph with the number `at`; gives its results.
    pub(super) fn rows(&mut self, instance: &Instance, at: usize, args: Vec<StreamId>) -> Vec<StreamId> {
        let graph = self.elaborated[at].graph.clone();
        let (params, encodings) = self.params(instance, at);
        let kind = self.kind(at, &graph, encodings);
        let results: Vec<StreamId> = graph.outputs.iter().map(|_| self.model.new_stream()).collect();
        self.rows.push(Call {
            name: instance.path.clone(),
            kind,
            args,
            results: results.clone(),
            params,
        });
        results
    }

    /// An encoder is there to be attended to.
    pub(super) fn check_memory(&mut self) {
        let unread = self.rows.is_empty() && self.diagnostics.is_empty();
        if let Some(encoder) = self.file.encoder.as_ref().filter(|_| unread) {
            let place = Place::new(self.names.file, encoder.span);
            let d = Diagnostic::new(
                "memory-mismatch",
                place,
                "no layer attends to the memory of this encoder",
            );
            let help = "a layer reads it as an argument of that name, `layer cross(x: [d], memory: [e]) …`, or by `in: {m: memory}`";
            self.diagnostics.push(d.help(help));
        }
    }

    /// Puts the calls for rows of the memory behind those of the encoder; gives the number of each layer's call.
    pub(super) fn join(&mut self) -> Vec<usize> {
        let first = self.model.memory.calls;
        let rows = std::mem::take(&mut self.rows);
        let more = rows.len();
        self.model.calls.splice(first..first, rows);
        self.model.memory.calls += more;
        for part in &mut self.model.clocked {
            part.calls = part.calls.start + more..part.calls.end + more;
        }
        let calls = std::mem::take(&mut self.calls).into_iter();
        calls.map(|n| if n < first { n } else { n + more }).collect()
    }
}
