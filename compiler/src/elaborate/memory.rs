//! Streams of another sequence, the memory: on a clock of their own, apart from all tokens.
//!
//! While a layer is elaborated they are streams on one more clock, which ticks at each row. It is never joined with that of the tokens: only
//! attention reads one from the other. Then the graph is cut in two: what is computed of rows alone, up to the keys and values that
//! attentions of tokens keep, and the rest. Both are ordinary graphs; a row is a token of the first. What depends on positions and parameters alone
//! is in both.

use super::{
    compact::{Declared, compact},
    cx::Cx,
    val::Val,
};
use crate::{
    diag::{Diagnostic, Placed},
    source::Place,
};
use seqc_ir::{Clock, Elem, Graph, Op, Ty, Value};

impl Cx<'_> {
    /// The clock of rows of the memory.
    pub(super) fn rows_of_memory(&mut self) -> Value {
        if let Some(clock) = self.clocks.memory {
            return clock;
        }
        let clock = self.graph.constant(1.0, Ty::scalar(Elem::Bool));
        self.clocks.memory = Some(clock);
        clock
    }

    pub(super) fn is_memory(&self, clock: Value) -> bool {
        self.clocks.memory == Some(clock)
    }

    /// Whether a value is one of tokens: neither of rows of the memory, nor known from the position.
    pub(super) fn is_of_token(&mut self, v: Value) -> bool {
        self.clock(v);
        self.clocks.of_token[v.0 as usize]
    }

    /// The same of the next node that a clock is found for.
    pub(super) fn depends_on_token(&self, node: Value, clock: Option<Value>) -> bool {
        if clock.is_some_and(|clock| self.is_memory(clock)) {
            return false;
        }
        let op = self.graph.op(node);
        // What a recurrence is of shows when it is complete.
        let own = op.is_of_token() && !matches!(op, Op::Position | Op::Prev(_));
        own || self
            .graph
            .operands(node)
            .iter()
            .any(|o| self.clocks.of_token[o.0 as usize])
    }

    pub(super) fn joined_with_memory(&mut self, place: Place) -> Val {
        let message = "this joins rows of the encoder's memory with tokens, which are other sequences";
        let d = Diagnostic::new("memory-mismatch", place, message);
        self.report(
            d.help("attend to the memory: `attend(q, k, v)` with queries of the tokens, keys and values of the memory"),
        )
    }

    pub(super) fn not_of_tokens(&mut self, place: Place, what: &str) -> Val {
        let message = format!("{what} has a value at every token, this has one for each row of the encoder's memory");
        let d = Diagnostic::new("memory-mismatch", place, message);
        self.report(
            d.help(
                "only attention reads the memory; what is computed of rows alone can also be a layer of the encoder",
            ),
        )
    }
}

/// A graph in two parts.
pub(super) struct Cut {
    /// What is computed at tokens; its inputs are those of tokens, then the results of `rows`.
    pub(super) graph: Graph,
    /// What is computed for each row of the memory from the inputs of the memory, where there is anything.
    pub(super) rows: Option<Graph>,
}

/// Cuts a graph whose inputs `of_memory` have a value for each row of the memory; `None` where rows and tokens are joined by anything but
/// attention.
pub(super) fn cut(graph: &Graph, order: &[Declared], of_memory: &[bool]) -> Option<Cut> {
    let is_row = |n: &usize| of_memory.get(*n) == Some(&true);
    let (of_rows, mut of_tokens): (Vec<usize>, Vec<usize>) = (0..graph.inputs.len()).partition(is_row);
    if of_rows.is_empty() {
        let graph = compact(graph, order, &of_tokens);
        return Some(Cut { graph, rows: None });
    }
    let (mut tokens, mut rows) = (graph.clone(), graph.clone());
    rows.outputs.clear();
    let mut kept: Vec<(Value, Value)> = Vec::new();
    for v in graph.live_order() {
        let Op::Attend(spec) = graph.op(v) else { continue };
        if spec.clock != Clock::Memory {
            continue;
        }
        let operands = graph.operands(v);
        for at in spec.read_at_keys() {
            let row = operands[at];
            let known = kept.iter().find(|(of, _)| *of == row).map(|(_, input)| *input);
            let input = known.unwrap_or_else(|| {
                let input = add_row(&mut tokens, &mut rows, row);
                of_tokens.push(tokens.inputs.len() - 1);
                kept.push((row, input));
                input
            });
            tokens.set_operand(v, at, input);
        }
    }
    if !reads_only(&tokens, &of_tokens) || !reads_only(&rows, &of_rows) {
        return None;
    }
    Some(Cut {
        graph: compact(&tokens, order, &of_tokens),
        rows: (!kept.is_empty()).then(|| compact(&rows, order, &of_rows)),
    })
}

/// Whether a graph's results need no other inputs than these.
fn reads_only(graph: &Graph, inputs: &[usize]) -> bool {
    let live = graph.live_order().into_iter();
    let mut live = live.map(|v| graph.op(v));
    live.all(|op| {
        if let Op::Input(n) = op {
            inputs.contains(n)
        } else {
            true
        }
    })
}

/// Makes a value a result of the rows and an input of the tokens, as a real stream.
fn add_row(tokens: &mut Graph, rows: &mut Graph, row: Value) -> Value {
    let dims = rows.ty(row).dims.clone();
    let real = Ty::new(Elem::F32, dims);
    let result = match rows.ty(row).elem {
        Elem::F32 => row,
        Elem::I64 | Elem::Bool => rows.add(Op::Cast, real.clone(), &[row]),
    };
    let name = format!("memory{}", rows.outputs.len());
    let known = rows.node(row).name.clone();
    rows.add_output(name.clone(), result);
    let mut port = if known.is_empty() {
        name
    } else {
        format!("memory.{known}")
    };
    while tokens.inputs.iter().any(|input| input.name == port) {
        port.push('_');
    }
    tokens.add_input(port, real)
}
