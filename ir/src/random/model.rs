//! Random stacks of random layers.

use super::{ROWS, RandomGraph, Range, Rng, SIZES, data, generate, policy};
use crate::{Call, Kind, KindId, Model, ModelInput, ParamSource, eval::Tensor};
use seqc_formats::Encoding;

/// A model and what to feed it.
#[derive(Clone, Debug)]
pub struct RandomModel {
    /// The model; the verifier accepts it. Every parameter is stored as `f32`.
    pub model: Model,
    /// Ranges of the inputs, in model order.
    pub inputs: Vec<Range>,
    /// Ranges of the parameters, by layer graph, in graph order.
    pub params: Vec<Vec<Range>>,
}

impl RandomModel {
    /// Parameters within their ranges, by call.
    pub fn param_values(&self, seed: u64) -> Vec<Vec<Tensor>> {
        let mut rng = Rng::new(seed);
        let call = |call: &Call| {
            let ports = self
                .model
                .graph(call)
                .params
                .iter()
                .zip(&self.params[call.kind.0 as usize]);
            ports.map(|(p, r)| r.tensor(&mut rng, &p.ty.sizes(), None)).collect()
        };
        self.model.calls.iter().map(call).collect()
    }

    /// Inputs of `rows` rows of the memory: `[row][input]`.
    pub fn memory_values(&self, seed: u64, rows: usize) -> Vec<Vec<Tensor>> {
        let ports = self.model.memory.inputs.iter().zip(data::ranges(ROWS));
        let fed = ports.map(|(input, range)| data::Fed {
            sizes: input.ty.sizes(),
            range,
        });
        let ports: Vec<_> = fed.collect();
        data::inputs(&ports, seed, rows)
    }

    /// Inputs of `tokens` tokens within their ranges: `[token][input]`.
    pub fn input_values(&self, seed: u64, tokens: usize) -> Vec<Vec<Tensor>> {
        let ports = self.model.inputs.iter().zip(&self.inputs);
        let fed = ports.map(|(input, range)| data::Fed {
            sizes: input.ty.sizes(),
            range: *range,
        });
        let ports: Vec<_> = fed.collect();
        data::inputs(&ports, seed, tokens)
    }
}

/// A model of `layers` calls of random causal graphs of `size` constructions each; some calls share a graph.
pub fn random_model(seed: u64, layers: usize, size: usize) -> RandomModel {
    stack(seed, layers, size, true)
}

/// The same of graphs that read later tokens.
pub fn random_model_whole(seed: u64, layers: usize, size: usize) -> RandomModel {
    stack(seed, layers, size, false)
}

fn stack(seed: u64, layers: usize, size: usize, causal: bool) -> RandomModel {
    let mut rng = Rng::new(seed);
    let d = *rng.choose(&SIZES[1..]);
    let mut random = RandomModel {
        model: Model::default(),
        inputs: Vec::new(),
        params: Vec::new(),
    };
    random.model.name = format!("random{seed}");
    for n in 0..layers {
        if n == 0 || rng.once_in(2) {
            add_kind(&mut random, generate(Rng::new(rng.bits()), size, d, causal));
        }
        let kind = KindId(rng.below(random.model.kinds.len()) as u32);
        add_call(&mut random.model, n, kind);
    }
    if let Some(last) = random.model.calls.last() {
        random.model.outputs.push(("y".to_owned(), last.results[0]));
    }
    random
}

/// A model of one attention whose inputs are queries, keys and values, with a random cache policy. What the policy decides by data
/// depends on rounding where numbers are close.
pub fn random_policy(seed: u64) -> RandomModel {
    let mut random = RandomModel {
        model: Model::default(),
        inputs: Vec::new(),
        params: Vec::new(),
    };
    random.model.name = format!("policy{seed}");
    add_kind(&mut random, policy::layer(seed));
    add_call(&mut random.model, 0, KindId(0));
    let results = random.model.calls.iter().flat_map(|call| &call.results);
    random.model.outputs = results.map(|stream| ("y".to_owned(), *stream)).collect();
    random
}

fn add_kind(random: &mut RandomModel, layer: RandomGraph) {
    let RandomGraph {
        mut graph,
        inputs,
        params,
    } = layer;
    graph.name = format!("random{}", random.model.kinds.len());
    if random.model.inputs.is_empty() {
        for port in &graph.inputs {
            let stream = random.model.new_stream();
            random.model.inputs.push(ModelInput {
                name: port.name.clone(),
                ty: port.ty.clone(),
                stream,
            });
        }
        random.inputs = inputs;
    }
    let encodings = vec![Encoding::F32; params.len()];
    random.params.push(params);
    random.model.kinds.push(Kind { graph, encodings });
}

/// Where a call of that name finds a parameter.
pub(super) fn source_of(call: &str, port: &crate::Port) -> ParamSource {
    let path = format!("{call}.{}", port.name);
    ParamSource {
        name: path.clone(),
        tensors: vec![path],
    }
}

/// The layer reads the result of the one before, and the integer streams of the model.
fn add_call(model: &mut Model, n: usize, kind: KindId) {
    let graph = &model.kinds[kind.0 as usize].graph;
    let name = format!("layers.{n}.{}", graph.name);
    let params = graph.params.iter().map(|port| source_of(&name, port)).collect();
    let results = graph.outputs.len();
    let mut args: Vec<_> = model.inputs.iter().map(|i| i.stream).collect();
    if let (Some(before), Some(x)) = (model.calls.last(), args.first_mut()) {
        *x = before.results[0];
    }
    let results = (0..results).map(|_| model.new_stream()).collect();
    model.calls.push(Call {
        name,
        kind,
        args,
        results,
        params,
    });
}
