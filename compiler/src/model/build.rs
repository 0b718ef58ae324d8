//! Layers to a model: types flow down the stack, equal layers share a graph.

mod builder;
mod clocks;
mod memory;
mod params;
mod streams;
mod total;

use super::{
    expand::Instance,
    values::Names,
    weights::{self, Tensors},
};
use crate::{
    diag::{Diagnostic, Placed},
    elaborate::{self, CacheUse, Elaborated, Part, Request},
    known::Known,
    library::Library,
    source::{FileId, Place},
};
pub use builder::CallSettings;
use builder::{Builder, Found, Stream};
use seqc_formats::Encoding;
use seqc_grammar::{ast::Stmt, model::ModelFile};
use seqc_ir::{Call, Graph, Kind, KindId, Model, StreamId, Ty};
use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

/// What a description gives.
pub(super) struct Outcome {
    pub(super) model: Model,
    /// The number of each layer among its calls.
    pub(super) calls: Vec<usize>,
    pub(super) settings: Vec<CallSettings>,
    /// Settings of the policy of each layer's caches.
    pub(super) policies: Vec<Vec<(String, Known)>>,
    /// What is probably not meant.
    pub(super) warnings: Vec<Diagnostic>,
    /// What is wrong.
    pub(super) problems: Vec<Diagnostic>,
}

/// The model of expanded layers, with everything that is wrong with it.
pub(super) fn build(
    library: &Library,
    file: &ModelFile,
    names: &Names,
    tensors: &Tensors,
    instances: &[Instance],
) -> Outcome {
    let mut b = Builder::new(library, file, names, tensors);
    b.stack(instances);
    let calls = b.join();
    b.refuse_quantised();
    let renamed = b.renamed();
    weights::fold(&mut b.diagnostics, b.wanted, renamed);
    Outcome {
        model: b.model,
        calls,
        settings: b.settings,
        policies: b.policies,
        warnings: b.warnings,
        problems: b.diagnostics,
    }
}

impl Builder<'_> {
    fn stack(&mut self, instances: &[Instance]) {
        let taps = all_taps(self.names.file, instances);
        let of_encoder = instances.iter().filter(|instance| instance.of_encoder).count();
        let (encoder, own) = instances.split_at(of_encoder);
        if self.encoder(encoder, &taps).is_none() {
            return;
        }
        let Some((mut last, from_tokens)) = self.inputs() else {
            return;
        };
        for instance in own {
            let next = self.at(&instance.clocks, last);
            let Some(next) = next.and_then(|last| self.instance(instance, &last, &taps)) else {
                return;
            };
            last = next;
        }
        let Some(last) = self.at(&[], last) else {
            return;
        };
        let default = if from_tokens { "logits" } else { "y" };
        let name = self.file.output.as_ref().map_or(default, |o| &o.value).to_owned();
        self.model.outputs.insert(0, (name, last.id));
        self.check_memory();
    }

    /// Adds one layer; gives its result, or nothing after an error that hides what follows.
    fn instance(&mut self, instance: &Instance, last: &Stream, taps: &Taps) -> Option<Stream> {
        let args = self.arguments(instance, last)?;
        let inputs: Option<Vec<Ty>> = args.iter().map(|s| s.ty.clone()).collect();
        let inputs = inputs?;
        let of_memory: Vec<bool> = args.iter().map(|s| s.of_memory).collect();
        let wanted = taps.get(&describe(instance)).cloned().unwrap_or_default();
        let rows = if of_memory.contains(&true) {
            format!("{of_memory:?}")
        } else {
            String::new()
        };
        let key = format!("{} {inputs:?}{rows}", describe(instance));
        let found = match self.graphs.get(&key) {
            Some(found) => *found,
            None => {
                let found = self.elaborate(instance, &inputs, &of_memory, &wanted);
                self.graphs.insert(key, found);
                found
            }
        };
        let Some(Found { at, rows }) = found else {
            for (stream, _) in &instance.taps {
                let unknown = Stream {
                    id: self.model.new_stream(),
                    ty: None,
                    of_memory: false,
                    clock: self.clocks.inner(),
                };
                self.streams.insert(stream.text.clone(), unknown);
            }
            return self.result_after_error(instance, &inputs[0]);
        };
        let Elaborated {
            graph,
            settings,
            policy,
            ..
        } = self.elaborated[at].clone();
        self.settings.push(settings);
        self.policies.push(policy);
        let (params, encodings) = self.params(instance, at);
        if let Some(message) = self.total.excess() {
            let d = Diagnostic::new("too-large", instance.layer.place, message);
            self.diagnostics.push(d.help("smaller sizes, fewer layers"));
            return None;
        }
        let mut arguments: Vec<StreamId> = args.iter().filter(|s| !s.of_memory).map(|s| s.id).collect();
        if let Some(rows) = rows {
            let of_memory: Vec<StreamId> = args.iter().filter(|s| s.of_memory).map(|s| s.id).collect();
            arguments.extend(self.rows(instance, rows, of_memory));
        }
        self.check_ticks(instance, &graph);
        let kind = self.kind(at, &graph, encodings);
        let results: Vec<StreamId> = graph.outputs.iter().map(|_| self.model.new_stream()).collect();
        let ty = |n: usize| graph.outputs.get(n).map(|(_, v)| graph.ty(*v).clone());
        for (stream, definition) in &instance.taps {
            let name = format!("tap.{}", definition.text);
            let tapped = graph.outputs.iter().position(|(o, _)| *o == name);
            // The result of the entry, its blocks included, is the first.
            let n = tapped.or((definition.text == RESULT).then_some(0));
            if let Some(n) = n {
                let tapped = Stream {
                    id: results[n],
                    ty: ty(n),
                    of_memory: false,
                    clock: self.clocks.inner(),
                };
                self.streams.insert(stream.text.clone(), tapped);
            }
        }
        for ((name, _), stream) in graph.outputs.iter().zip(&results) {
            if let Some(name) = name.strip_prefix(elaborate::TRACE).filter(|_| !instance.of_encoder) {
                let name = format!("{}{}.{name}", elaborate::TRACE, instance.path);
                let traced = self.outside(*stream);
                self.model.outputs.push((name, traced));
            }
        }
        let result = Stream {
            id: results[0],
            ty: ty(0),
            of_memory: false,
            clock: self.clocks.inner(),
        };
        self.calls.push(self.model.calls.len());
        self.model.calls.push(Call {
            name: instance.path.clone(),
            kind,
            args: arguments,
            results,
            params,
        });
        Some(result)
    }

    fn elaborate(
        &mut self,
        instance: &Instance,
        inputs: &[Ty],
        of_memory: &[bool],
        taps: &[(String, Place)],
    ) -> Option<Found> {
        let request = Request {
            library: self.library,
            sizes: &self.names.sizes,
            layer: instance.layer.clone(),
            blocks: instance.blocks.clone(),
            cache: instance.cache.clone(),
            inputs: inputs.to_vec(),
            of_memory: of_memory.to_vec(),
            taps: taps.to_vec(),
        };
        match elaborate::elaborate(&request) {
            Ok(elaborated) => {
                let new = elaborated.warnings.iter().filter(|d| !self.warnings.contains(d));
                let new: Vec<Diagnostic> = new.cloned().collect();
                self.warnings.extend(new);
                let rows = elaborated.rows.clone().map(|rows| {
                    self.total.operations += rows.node_count();
                    self.elaborated.push(Elaborated {
                        graph: rows,
                        rows: None,
                        ..elaborated.clone()
                    });
                    self.elaborated.len() - 1
                });
                self.total.operations += elaborated.graph.node_count();
                self.elaborated.push(elaborated);
                let at = self.elaborated.len() - 1;
                Some(Found { at, rows })
            }
            Err(diagnostics) => {
                for d in diagnostics {
                    let again = |o: &Diagnostic| o.code == d.code && o.message == d.message && o.place() == d.place();
                    if !self.diagnostics.iter().any(again) {
                        self.diagnostics.push(d);
                    }
                }
                None
            }
        }
    }

    fn kind(&mut self, at: usize, graph: &Graph, encodings: Vec<Encoding>) -> KindId {
        if let Some(kind) = self.kinds.get(&(at, encodings.clone())) {
            return *kind;
        }
        let kind = KindId(self.model.kinds.len() as u32);
        self.model.kinds.push(Kind {
            graph: graph.clone(),
            encodings: encodings.clone(),
        });
        self.kinds.insert((at, encodings), kind);
        kind
    }
}

/// What an entry gives, where its layer defines nothing of this name.
const RESULT: &str = "result";

/// Definitions that some layer of a description hands on.
type Taps = HashMap<String, Vec<(String, Place)>>;

fn all_taps(file: FileId, instances: &[Instance]) -> Taps {
    let mut taps: Taps = HashMap::new();
    for instance in instances.iter().filter(|i| !i.taps.is_empty()) {
        let list = taps.entry(describe(instance)).or_default();
        for (_, definition) in &instance.taps {
            let name = &definition.text;
            let defines = |stmt: &Stmt| elaborate::defined(stmt).contains(name);
            if name == RESULT && !instance.layer.definition.def.body.iter().any(defines) {
                continue;
            }
            if !list.iter().any(|(n, _)| n == name) {
                list.push((name.clone(), Place::new(file, definition.span)));
            }
        }
        let names: BTreeSet<String> = list.iter().map(|(n, _)| n.clone()).collect();
        list.sort_by_key(|(n, _)| names.iter().position(|m| m == n));
    }
    taps
}

/// Definition, settings and blocks of a layer: with the types of its inputs, what its graph depends on.
fn describe(instance: &Instance) -> String {
    let mut out = String::new();
    let mut part = |p: &Part| {
        let mut settings: Vec<_> = p.settings.iter().map(|(n, g)| (n, &g.value)).collect();
        settings.sort_by(|a, b| a.0.cmp(b.0));
        // Writing to a string does not fail.
        let _ = write!(out, "{}{settings:?};", p.definition.def.name.text);
    };
    part(&instance.layer);
    instance.blocks.iter().for_each(&mut part);
    if let Some(CacheUse { ty, policy, .. }) = instance.cache.as_deref() {
        if let Some(policy) = policy {
            part(&policy.part);
            let which = elaborate::mentions(&policy.part.definition.def, "layer").then_some(policy.layer);
            let _ = write!(out, "{which:?} of {};", policy.layers);
        }
        let _ = write!(out, "{ty:?}");
    }
    out
}
