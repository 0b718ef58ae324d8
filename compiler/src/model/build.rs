//! Layers to a model: types flow down the stack, equal layers share a graph.

use super::{
    expand::Instance,
    unread::{self, Reading},
    values::{self, Names},
    weights::{self, Tensors},
};
use crate::{
    diag::{Diagnostic, Placed},
    elaborate::{self, Elaborated, Part, Request},
    library::Library,
    source::{FileId, Place},
};
use seqc_formats::Encoding;
use seqc_grammar::{
    ast::{Expr, ExprKind},
    model::{InputTy, ModelFile},
};
use seqc_ir::{Call, Dim, Elem, Graph, Kind, KindId, Model, ModelInput, ParamSource, StreamId, Ty};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write,
};

/// Most numbers in all parameters of a model, some ten times the largest that is published: beyond it a size is a slip.
const MAX_PARAMETERS: usize = 1 << 43;

/// Most tensors of a checkpoint that a model names.
const MAX_TENSORS: usize = 1 << 22;

/// Most operations in the distinct layers of a model: each has code of its own. Layers with equal settings count once.
const MAX_OPERATIONS: usize = 1 << 20;

/// A stream between layers; without a type after an error.
#[derive(Clone, Debug)]
struct Stream {
    id: StreamId,
    ty: Option<Ty>,
}

/// Values of all settings of one call.
pub type CallSettings = Vec<Vec<(String, crate::known::Known)>>;

pub(super) struct Builder<'a> {
    library: &'a Library,
    file: &'a ModelFile,
    names: &'a Names,
    tensors: &'a Tensors,
    model: Model,
    /// Model inputs and taps by name.
    streams: HashMap<String, Stream>,
    /// Graphs by what they were made of; `None` after an error.
    graphs: HashMap<String, Option<usize>>,
    elaborated: Vec<Elaborated>,
    kinds: HashMap<(usize, Vec<Encoding>), KindId>,
    /// Settings of each call: of its blocks from the outside in, then of its layer.
    settings: Vec<CallSettings>,
    /// Parameters looked for so far.
    wanted: usize,
    /// What the model has come to so far.
    total: Total,
    /// Problems of parameters that are known already: place and message.
    known: HashSet<(Option<Place>, String)>,
    warnings: Vec<Diagnostic>,
    /// How each tensor was read first.
    readings: HashMap<String, Reading>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What a description gives.
pub(super) struct Outcome {
    pub(super) model: Model,
    pub(super) settings: Vec<CallSettings>,
    /// What is probably not meant.
    pub(super) warnings: Vec<Diagnostic>,
    /// What is wrong.
    pub(super) problems: Vec<Diagnostic>,
}

/// Sums over a model that have a bound.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// Numbers in all parameters.
    numbers: usize,
    /// Tensors that parameters are loaded from.
    tensors: usize,
    /// Operations of distinct layers.
    operations: usize,
}

impl Total {
    /// What there is too much of, if there is.
    fn excess(self) -> Option<String> {
        let bounds = [
            (self.numbers, MAX_PARAMETERS, "numbers in its parameters"),
            (self.tensors, MAX_TENSORS, "tensors"),
            (self.operations, MAX_OPERATIONS, "operations in layers that differ"),
        ];
        let (_, most, what) = bounds.into_iter().find(|(count, most, _)| count > most)?;
        Some(format!("with this layer the model has more than {most} {what}"))
    }
}

/// The model of expanded layers, with everything that is wrong with it.
pub(super) fn build(
    library: &Library,
    file: &ModelFile,
    names: &Names,
    tensors: &Tensors,
    instances: &[Instance],
) -> Outcome {
    let mut b = Builder {
        library,
        file,
        names,
        tensors,
        model: Model {
            name: file.name.value.clone(),
            ..Model::default()
        },
        streams: HashMap::new(),
        graphs: HashMap::new(),
        elaborated: Vec::new(),
        kinds: HashMap::new(),
        settings: Vec::new(),
        wanted: 0,
        total: Total::default(),
        known: HashSet::new(),
        warnings: Vec::new(),
        readings: HashMap::new(),
        diagnostics: Vec::new(),
    };
    b.stack(instances);
    b.refuse_quantised();
    let renamed = b.renamed();
    weights::fold(&mut b.diagnostics, b.wanted, renamed);
    Outcome {
        model: b.model,
        settings: b.settings,
        warnings: b.warnings,
        problems: b.diagnostics,
    }
}

impl Builder<'_> {
    fn stack(&mut self, instances: &[Instance]) {
        let Some((mut last, from_tokens)) = self.inputs() else {
            return;
        };
        let taps = all_taps(self.names.file, instances);
        for instance in instances {
            let Some(next) = self.instance(instance, &last, &taps) else {
                return;
            };
            last = next;
        }
        let default = if from_tokens { "logits" } else { "y" };
        let name = self.file.output.as_ref().map_or(default, |o| &o.value).to_owned();
        self.model.outputs.insert(0, (name, last.id));
    }

    /// Declares the model's inputs; gives the first, and whether it is integers.
    fn inputs(&mut self) -> Option<(Stream, bool)> {
        if self.file.inputs.is_empty() {
            let ty = Ty::scalar(Elem::I64);
            return Some((self.input("tokens", ty), true));
        }
        let mut first = None;
        for (key, ty) in &self.file.inputs {
            match self.input_type(ty) {
                Ok(ty) => {
                    let tokens = ty.elem == Elem::I64;
                    let stream = self.input(&key.text, ty);
                    first.get_or_insert((stream, tokens));
                }
                Err(d) => self.diagnostics.push(d),
            }
        }
        if self.diagnostics.is_empty() { first } else { None }
    }

    fn input(&mut self, name: &str, ty: Ty) -> Stream {
        let id = self.model.new_stream();
        self.model.inputs.push(ModelInput {
            name: name.to_owned(),
            ty: ty.clone(),
            stream: id,
        });
        let stream = Stream { id, ty: Some(ty) };
        self.streams.insert(name.to_owned(), stream.clone());
        stream
    }

    fn input_type(&self, ty: &InputTy) -> Result<Ty, Diagnostic> {
        let names: Vec<&str> = self.names.sizes.keys().map(String::as_str).collect();
        let mut dims = Vec::new();
        for e in ty.shape.iter().flat_map(|s| &s.dims) {
            let known = values::evaluate(self.names.file, e, self.names, &names)?;
            let Some(size) = known.size().filter(|n| *n > 0) else {
                let message = format!("a size is a whole number from 1, not {known}");
                return Err(Diagnostic::new(
                    "bad-size",
                    Place::new(self.names.file, e.span),
                    message,
                ));
            };
            let name = if let ExprKind::Name(name) = &e.kind {
                name.as_str()
            } else {
                ""
            };
            dims.push(Dim::new(name, size));
        }
        let total = dims.iter().try_fold(1_usize, |n, d| n.checked_mul(d.size));
        if total.is_none_or(|n| n > seqc_ir::verify::MAX_ELEMENTS) {
            let place = Place::new(self.names.file, ty.span);
            return Err(Diagnostic::new(
                "too-large",
                place,
                "a stream of this shape is too large",
            ));
        }
        Ok(Ty::new(if ty.int { Elem::I64 } else { Elem::F32 }, dims))
    }

    /// Adds one layer; gives its result, or nothing after an error that hides what follows.
    fn instance(&mut self, instance: &Instance, last: &Stream, taps: &Taps) -> Option<Stream> {
        let args = self.arguments(instance, last)?;
        let inputs: Option<Vec<Ty>> = args.iter().map(|s| s.ty.clone()).collect();
        let inputs = inputs?;
        let wanted = taps.get(&describe(instance)).cloned().unwrap_or_default();
        let key = format!("{} {inputs:?}", describe(instance));
        let found = match self.graphs.get(&key) {
            Some(found) => *found,
            None => {
                let found = self.elaborate(instance, &inputs, &wanted);
                self.graphs.insert(key, found);
                found
            }
        };
        let Some(at) = found else {
            for (stream, _) in &instance.taps {
                let unknown = Stream {
                    id: self.model.new_stream(),
                    ty: None,
                };
                self.streams.insert(stream.text.clone(), unknown);
            }
            return self.result_after_error(instance, &inputs[0]);
        };
        let Elaborated { graph, settings, .. } = self.elaborated[at].clone();
        self.settings.push(settings);
        let (params, encodings) = self.params(instance, &graph);
        if let Some(message) = self.total.excess() {
            let d = Diagnostic::new("too-large", instance.layer.place, message);
            self.diagnostics.push(d.help("smaller sizes, fewer layers"));
            return None;
        }
        let kind = self.kind(at, &graph, encodings);
        let results: Vec<StreamId> = graph.outputs.iter().map(|_| self.model.new_stream()).collect();
        let ty = |n: usize| graph.outputs.get(n).map(|(_, v)| graph.ty(*v).clone());
        for (stream, definition) in &instance.taps {
            let name = format!("tap.{}", definition.text);
            if let Some(n) = graph.outputs.iter().position(|(o, _)| *o == name) {
                let tapped = Stream {
                    id: results[n],
                    ty: ty(n),
                };
                self.streams.insert(stream.text.clone(), tapped);
            }
        }
        for ((name, _), stream) in graph.outputs.iter().zip(&results) {
            if let Some(name) = name.strip_prefix(elaborate::TRACE) {
                let name = format!("{}{}.{name}", elaborate::TRACE, instance.path);
                self.model.outputs.push((name, *stream));
            }
        }
        let result = Stream {
            id: results[0],
            ty: ty(0),
        };
        self.model.calls.push(Call {
            name: instance.path.clone(),
            kind,
            args: args.iter().map(|s| s.id).collect(),
            results,
            params,
        });
        Some(result)
    }

    /// Streams for the arguments, in the order of the graph's inputs.
    fn arguments(&mut self, instance: &Instance, last: &Stream) -> Option<Vec<Stream>> {
        let names = elaborate::stream_names(&instance.layer.definition, &instance.blocks);
        let mut fits = true;
        for (key, _) in &instance.streams {
            if !names.contains(&key.text) {
                let layer = &instance.layer.definition.def.name.text;
                let d = Diagnostic::new(
                    "unknown-stream",
                    Place::new(self.names.file, key.span),
                    format!("`{layer}` reads no stream `{}`", key.text),
                );
                self.diagnostics
                    .push(d.did_you_mean(&key.text, names.iter().map(String::as_str)));
                fits = false;
            }
        }
        if names.is_empty() {
            let d = Diagnostic::new(
                "wrong-arguments",
                instance.layer.place,
                "a layer reads at least one stream",
            );
            let def = &instance.layer.definition;
            self.diagnostics
                .push(d.note(Place::new(def.file, def.def.name.span), "defined here"));
            return None;
        }
        let mut args = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let given = instance.streams.iter().find(|(k, _)| k.text == *name);
            let (wanted, place) = match given {
                Some((_, stream)) => (stream.text.clone(), Place::new(self.names.file, stream.span)),
                None if n == 0 => {
                    args.push(last.clone());
                    continue;
                }
                None => (name.clone(), instance.layer.place),
            };
            match self.streams.get(&wanted) {
                Some(stream) => args.push(stream.clone()),
                None => {
                    let layer = &instance.layer.definition.def.name.text;
                    let message = match given {
                        Some(_) => format!("there is no stream `{wanted}` here"),
                        None => format!("`{layer}` also reads `{name}`"),
                    };
                    let known: Vec<&str> = self.streams.keys().map(String::as_str).collect();
                    let d = Diagnostic::new("unknown-stream", place, message);
                    let d = match given {
                        Some(_) => d.did_you_mean(&wanted, known),
                        None => d.help(format!(
                            "say which stream: `in: {{{name}: …}}`; a stream is an input of the model or a `tap` above"
                        )),
                    };
                    self.diagnostics.push(d);
                    fits = false;
                }
            }
        }
        fits.then_some(args)
    }

    fn elaborate(&mut self, instance: &Instance, inputs: &[Ty], taps: &[(String, Place)]) -> Option<usize> {
        let request = Request {
            library: self.library,
            sizes: &self.names.sizes,
            layer: instance.layer.clone(),
            blocks: instance.blocks.clone(),
            inputs: inputs.to_vec(),
            taps: taps.to_vec(),
        };
        match elaborate::elaborate(&request) {
            Ok(elaborated) => {
                let new = elaborated.warnings.iter().filter(|d| !self.warnings.contains(d));
                let new: Vec<Diagnostic> = new.cloned().collect();
                self.warnings.extend(new);
                self.total.operations += elaborated.graph.node_count();
                self.elaborated.push(elaborated);
                Some(self.elaborated.len() - 1)
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

    /// A stream to go on with after an error in a layer that gives what it takes.
    fn result_after_error(&mut self, instance: &Instance, input: &Ty) -> Option<Stream> {
        let outer = instance.blocks.first().unwrap_or(&instance.layer);
        let def = &outer.definition.def;
        let takes = def.streams.first().and_then(|s| match &s.ty {
            seqc_grammar::ast::StreamTy::Real(shape) => Some(shape),
            _ => None,
        })?;
        let name = |e: &Expr| match &e.kind {
            ExprKind::Name(n) => Some(n.clone()),
            _ => None,
        };
        let names = |s: &seqc_grammar::ast::Shape| s.dims.iter().map(name).collect::<Option<Vec<_>>>();
        let fits = takes.dims.len() == input.rank();
        (fits && names(takes)? == names(def.result.as_ref()?)?).then(|| Stream {
            id: self.model.new_stream(),
            ty: Some(input.clone()),
        })
    }

    /// Weights that need their scales: which tensors are missing beside them only follows.
    fn refuse_quantised(&mut self) {
        if let Some(d) = unread::quantised(self.tensors, &self.model, (self.names.file, self.file)) {
            self.diagnostics
                .retain(|d| !matches!(d.code, "missing-tensor" | "bad-tensor"));
            self.diagnostics.push(d);
        }
    }

    /// Where the checkpoint has all that is missing, under names that differ by what they begin with.
    fn renamed(&self) -> Option<String> {
        let checkpoint = self.tensors.checkpoint.as_ref()?;
        let params = self.model.calls.iter().flat_map(|call| &call.params);
        let names = params.flat_map(|p| &p.tensors).map(String::as_str);
        let missing: Vec<&str> = names.filter(|name| checkpoint.get(name).is_none()).collect();
        unread::prefix(checkpoint, &missing)
    }

    /// Compares how a parameter's tensors are read with how they were read before, where no file says what they are.
    fn readings(&mut self, (source, place): (&ParamSource, Place), sizes: &[usize], encoding: Encoding) {
        if self.tensors.checkpoint.is_some() {
            return;
        }
        let stacked = source.tensors.len() > 1;
        let shape = if stacked {
            sizes.get(1..).unwrap_or_default()
        } else {
            sizes
        };
        let random = self.tensors.path.is_none();
        for tensor in &source.tensors {
            let reading = Reading {
                shape: shape.to_vec(),
                whole: (source.tensors.clone(), sizes.to_vec()),
                encoding: encoding.name(),
                param: source.name.clone(),
                place,
            };
            let Some(before) = self.readings.get(tensor) else {
                self.readings.insert(tensor.clone(), reading);
                continue;
            };
            self.diagnostics.extend(reading.conflict(before, tensor, random));
        }
    }

    /// Sources and encodings of the parameters.
    fn params(&mut self, instance: &Instance, graph: &Graph) -> (Vec<ParamSource>, Vec<Encoding>) {
        let mut sources = Vec::new();
        let mut encodings = Vec::new();
        for (n, port) in graph.params.iter().enumerate() {
            self.wanted += 1;
            self.total.numbers = self.total.numbers.saturating_add(port.ty.len());
            match self.tensors.source(instance, &port.name) {
                Ok((source, place)) => {
                    let encoding = self.tensors.store(graph, n, (&source, place), &mut self.diagnostics);
                    self.readings((&source, place), &port.ty.sizes(), encoding);
                    encodings.push(encoding);
                    self.total.tensors += source.tensors.len();
                    sources.push(source);
                }
                Err(d) => {
                    if self.known.insert((d.place(), d.message.clone())) {
                        self.diagnostics.push(d);
                    }
                }
            }
        }
        (sources, encodings)
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

/// Definitions that some layer of a description hands on.
type Taps = HashMap<String, Vec<(String, Place)>>;

fn all_taps(file: FileId, instances: &[Instance]) -> Taps {
    let mut taps: Taps = HashMap::new();
    for instance in instances.iter().filter(|i| !i.taps.is_empty()) {
        let list = taps.entry(describe(instance)).or_default();
        for (_, definition) in &instance.taps {
            let name = &definition.text;
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
    instance.blocks.iter().for_each(part);
    out
}
