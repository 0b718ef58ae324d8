//! A model: distinct layer graphs and the calls that stack them.

use crate::{Activations, Clocked, Elem, Graph, KindId, StreamId, Ty, graph::common_multiple};
use seqc_formats::Encoding;

/// A layer graph shared by all calls with the same definition, settings and shapes.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The graph; its taps are a superset of what any call uses.
    pub graph: Graph,
    /// Encodings of the parameters, in graph order: generated code depends on them.
    pub encodings: Vec<Encoding>,
}

/// Where a parameter of a call is found in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSource {
    /// Path for messages: `layers.3.attention.q_proj`.
    pub name: String,
    /// Tensor names; more than one are stacked along a new first axis.
    pub tensors: Vec<String>,
}

/// One layer instance.
#[derive(Clone, Debug)]
pub struct Call {
    /// Path for messages and the state manifest: `layers.3.attention`.
    pub name: String,
    /// Which graph.
    pub kind: KindId,
    /// Argument streams, one per graph input.
    pub args: Vec<StreamId>,
    /// Result streams, one per graph output.
    pub results: Vec<StreamId>,
    /// One per graph parameter.
    pub params: Vec<ParamSource>,
}

/// An input stream of the model.
#[derive(Clone, Debug)]
pub struct ModelInput {
    /// Name.
    pub name: String,
    /// Type; token ids are an I64 scalar.
    pub ty: Ty,
    /// The stream.
    pub stream: StreamId,
}

/// What is read of another sequence, whole and before the first token: the memory that the model's tokens attend to.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    /// Inputs of that sequence.
    pub inputs: Vec<ModelInput>,
    /// So many of the model's calls, the first ones, run over its rows. Their streams have a value for each row and none at a token: other
    /// calls read them as keys of [`Clock::Memory`](crate::Clock::Memory) alone.
    pub calls: usize,
}

/// A whole model at one set of sizes.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Name.
    pub name: String,
    /// Distinct layers.
    pub kinds: Vec<Kind>,
    /// Instances, in order of execution.
    pub calls: Vec<Call>,
    /// Parts of the calls that run at some tokens only, in the order of their first calls; one around another comes first.
    pub clocked: Vec<Clocked>,
    /// Inputs.
    pub inputs: Vec<ModelInput>,
    /// Another sequence that is read before.
    pub memory: MemorySource,
    /// Outputs by name.
    pub outputs: Vec<(String, StreamId)>,
    /// Number of streams.
    pub streams: u32,
    /// What is rounded before products with stored weights.
    pub activations: Activations,
}

impl Model {
    /// A fresh stream.
    pub fn new_stream(&mut self) -> StreamId {
        self.streams += 1;
        StreamId(self.streams - 1)
    }

    /// Types of all streams, of a model whose calls read what is defined before.
    pub fn stream_types(&self) -> Vec<Ty> {
        let mut types = vec![Ty::scalar(Elem::F32); self.streams as usize];
        for input in self.inputs.iter().chain(&self.memory.inputs) {
            types[input.stream.0 as usize] = input.ty.clone();
        }
        for call in &self.calls {
            let graph = self.graph(call);
            for (stream, (_, v)) in call.results.iter().zip(&graph.outputs) {
                types[stream.0 as usize] = graph.ty(*v).clone();
            }
        }
        let enters = self.clocked.iter().flat_map(|part| &part.enter);
        // What leaves an inner part may leave the one around it.
        let leaves = self.clocked.iter().rev().flat_map(|part| &part.leave);
        let crossings = leaves.map(|l| (l.from, l.to)).chain(enters.map(|e| (e.from, e.to)));
        for (from, to) in crossings {
            types[to.0 as usize] = types[from.0 as usize].clone();
        }
        types
    }

    /// The graph of a call.
    pub fn graph(&self, call: &Call) -> &Graph {
        &self.kinds[call.kind.0 as usize].graph
    }

    /// Whether what a layer keeps depends on where a prompt ends ([`crate::policy::Policy::prompt_matters`]).
    pub fn prompt_matters(&self) -> bool {
        let kinds = self.kinds.iter();
        kinds
            .flat_map(|kind| kind.graph.policies())
            .any(|policy| policy.prompt_matters())
    }

    /// Tokens of a prompt whose queries choose together, at positions from a multiple of it on: a common multiple over all layers.
    pub fn together(&self) -> usize {
        let kinds = self.kinds.iter().map(|kind| kind.graph.together());
        kinds.fold(1, common_multiple)
    }

    /// Calls that run over the rows of the memory.
    pub fn memory_calls(&self) -> &[Call] {
        &self.calls[..self.memory.calls]
    }

    /// Calls that run over tokens.
    pub fn token_calls(&self) -> &[Call] {
        &self.calls[self.memory.calls..]
    }

    /// Whether there is another sequence, which is read before the first token.
    pub fn has_memory(&self) -> bool {
        !self.memory.inputs.is_empty()
    }

    /// False when a layer of the tokens reads later ones: the model has no decode step.
    pub fn is_causal(&self) -> bool {
        self.token_calls().iter().all(|call| !self.graph(call).reads_later())
    }
}
