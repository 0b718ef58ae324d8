//! The state of one elaboration: the graph so far, the definitions being inlined, and what is wrong.

use super::{
    clocks::{ClockName, Clocks},
    compact::Declared,
    direction::{Backward, Way},
    limits::MAX_NODES,
    policy::Making,
    request::Request,
    val::{Score, Tensor, Turned, Val, Var},
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    library::Definition,
    source::{FileId, Place},
};
use seqc_grammar::ast::{Expr, ParamDecl, Span};
use seqc_ir::{Dim, Graph, StateId, Value};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Most messages about one layer.
const MAX_MESSAGES: usize = 40;

/// Most steps of the chain that led to a message.
const MAX_TRACE: usize = 10;

/// What a name of a definition stands for.
#[derive(Clone, Debug)]
pub(super) enum Binding {
    /// A size, setting or `dim`.
    Known(Known),
    /// A stream, or a definition that is complete.
    Value(Val),
    /// A declared parameter, and its node once it is used.
    Param(ParamDecl, Option<Tensor>),
    /// A definition that stands below (statement number), or is being read now.
    Pending(usize),
    /// The layer that a block wraps.
    Inner,
}

/// A binding and where it was made.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) binding: Binding,
    pub(super) place: Place,
}

/// A definition that is being inlined.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) definition: Arc<Definition>,
    pub(super) names: HashMap<String, Bound>,
    /// Index variables, innermost last; they hide names.
    pub(super) vars: Vec<(String, Var)>,
    /// Parameters of `where` and `score`; they hide everything.
    pub(super) lambda: Vec<(String, Score)>,
    /// Where this definition was called.
    pub(super) called_at: Option<Place>,
    /// Identifies the chain of calls that led here, the same in every pass.
    pub(super) path: u64,
    /// In front of the names of parameters and states.
    pub(super) prefix: String,
    /// Number of the part of the request; functions have none.
    pub(super) part: Option<usize>,
    /// It has refused its settings: what else is wrong may only follow.
    pub(super) refused: bool,
}

/// An index variable.
#[derive(Clone, Debug)]
pub(super) struct VarInfo {
    pub(super) name: String,
    pub(super) size: usize,
    /// Where the size was found.
    pub(super) place: Place,
    /// The size was taken from the first use rather than stated or named.
    pub(super) inferred: bool,
}

/// A recurrence.
#[derive(Clone, Debug)]
pub(super) struct StateInfo {
    /// One state, or those of the real and the imaginary part.
    pub(super) ids: Vec<StateId>,
    /// The value one token before, or after.
    pub(super) value: Val,
    pub(super) way: Way,
    pub(super) unknown: bool,
    pub(super) place: Place,
}

/// Identifies a recurrence in every pass: the chain of calls and the name.
pub(super) type StateKey = (u64, String);

/// What earlier passes found of recurrences.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// How many there were.
    pub(super) passes: usize,
    /// Their shapes.
    pub(super) shapes: HashMap<StateKey, Vec<Dim>>,
    /// Those that are taken for scalars because they met nothing with a shape.
    pub(super) assumed: HashSet<StateKey>,
    /// Those that are complex.
    pub(super) complex: HashSet<StateKey>,
    /// Those on a slower clock, and which.
    pub(super) clocks: HashMap<StateKey, ClockName>,
}

/// Streams that the functions of an `attend` use.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    pub(super) query: Vec<Value>,
    pub(super) key: Vec<Value>,
    /// Tensors that are the same for all tokens, read at computed indices.
    pub(super) tables: Vec<Value>,
    /// Terms of reductions written out so far.
    pub(super) terms: usize,
    pub(super) heads: usize,
    /// Clocks of the queries and of the keys.
    pub(super) clocks: (Option<Value>, Option<Value>),
}

/// Why the expression at hand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// It counts: it stands in no `if`, or in branches that were taken.
    Taken,
    /// The tokens decide whether it counts.
    Tokens,
    /// A condition around it is wrong.
    Wrong,
}

pub(super) struct Cx<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) graph: Graph,
    pub(super) inputs: Vec<Value>,
    /// Where the graph's parameters are declared, in the order in which they were met.
    pub(super) declared: Vec<Declared>,
    /// Settings of each part of the request.
    pub(super) settings: Vec<Vec<(String, Known)>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What is probably not meant.
    pub(super) warnings: Vec<Diagnostic>,
    /// Names that have been reported as not known, by the chain of calls of their definition.
    pub(super) unknown: HashSet<StateKey>,
    /// Real quotients of integers, and where they stand.
    pub(super) quotients: HashMap<Value, Place>,
    /// Powers of integers, which are real.
    pub(super) powers: HashSet<Value>,
    pub(super) frames: Vec<Frame>,
    pub(super) vars: Vec<VarInfo>,
    pub(super) states: HashMap<StateKey, StateInfo>,
    /// Names of states in the graph, and how many have had each.
    pub(super) state_names: HashMap<String, usize>,
    /// What earlier passes found, and this one adds.
    pub(super) learnt: Learnt,
    /// This pass found that a recurrence is complex, or its clock.
    pub(super) found_kind: bool,
    /// Shapes that this pass found; `None`: still open.
    pub(super) found: HashMap<StateKey, Option<Vec<Dim>>>,
    /// Above 0: messages are dropped, because something is only tried.
    pub(super) quiet: usize,
    /// Nesting of expressions.
    pub(super) depth: usize,
    /// Definitions inlined so far.
    pub(super) inlined: usize,
    /// Inside index brackets: quotients are rounded down.
    pub(super) whole: bool,
    pub(super) branch: Branch,
    pub(super) pairs: Option<Pairs>,
    /// What is being reported as no size.
    pub(super) sized: Option<Expr>,
    /// Blocks that have called the layer they wrap, and where.
    pub(super) inner_calls: Vec<(usize, Place)>,
    /// Shapes of what stands before index brackets, by frame, place and index variables in scope.
    pub(super) shapes: HashMap<(u64, Span, Vec<String>), Option<Vec<Dim>>>,
    /// Index combinations that may still be tried.
    pub(super) tries: usize,
    pub(super) clocks: Clocks,
    pub(super) backward: Backward,
    /// What is constant for `grad`.
    pub(super) stopped: HashSet<Value>,
    /// Stages of attentions so far.
    pub(super) stages: usize,
    /// What rotary positions turned, by the result.
    pub(super) turned: HashMap<Value, Turned>,
    /// The cache policy that is being elaborated.
    pub(super) policy: Option<Making>,
    /// Values of its settings.
    pub(super) policy_settings: Vec<(String, Known)>,
    /// In definitions and clauses of a cache: quotients of integers are rounded down.
    pub(super) whole_numbers: bool,
    load: Vec<bool>,
}

impl<'a> Cx<'a> {
    pub(super) fn new(request: &'a Request<'a>, learnt: Learnt) -> Cx<'a> {
        Cx {
            request,
            graph: Graph::new(request.layer.definition.def.name.text.clone()),
            inputs: Vec::new(),
            declared: Vec::new(),
            settings: vec![Vec::new(); request.blocks.len() + 1],
            diagnostics: Vec::new(),
            warnings: Vec::new(),
            unknown: HashSet::new(),
            quotients: HashMap::new(),
            powers: HashSet::new(),
            frames: Vec::new(),
            vars: Vec::new(),
            states: HashMap::new(),
            state_names: HashMap::new(),
            learnt,
            found_kind: false,
            found: HashMap::new(),
            quiet: 0,
            depth: 0,
            inlined: 0,
            whole: false,
            branch: Branch::Taken,
            pairs: None,
            sized: None,
            inner_calls: Vec::new(),
            shapes: HashMap::new(),
            tries: super::affine::BUDGET,
            clocks: Clocks::default(),
            backward: Backward::default(),
            stopped: HashSet::new(),
            stages: 0,
            turned: HashMap::new(),
            policy: None,
            policy_settings: Vec::new(),
            whole_numbers: false,
            load: Vec::new(),
        }
    }

    /// The file of the definition that is being inlined.
    pub(super) fn file(&self) -> FileId {
        self.frames.last().map_or(FileId::default(), |f| f.definition.file)
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place::new(self.file(), span)
    }

    /// The innermost definition. There always is one while expressions are read.
    pub(super) fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Reports a problem with the chain of calls that led to it.
    pub(super) fn report(&mut self, mut diagnostic: Diagnostic) -> Val {
        let follows = diagnostic.code != "refused" && self.frames.iter().any(|f| f.refused);
        if self.quiet == 0 && !follows && self.diagnostics.len() < MAX_MESSAGES {
            diagnostic = self.chain_of_shapes(diagnostic);
            let Some(told) = self.for_the_user(diagnostic) else {
                return Val::Poison;
            };
            let diagnostic = self.chain_of_calls(told.diagnostic, told.frames);
            self.diagnostics.push(diagnostic);
        }
        Val::Poison
    }

    /// Notes what is probably not meant, once for each place.
    pub(super) fn warn(&mut self, diagnostic: Diagnostic) {
        let known = |d: &Diagnostic| d.code == diagnostic.code && d.place() == diagnostic.place();
        if self.quiet == 0 && self.warnings.len() < MAX_MESSAGES && !self.warnings.iter().any(known) {
            let diagnostic = self.chain_of_calls(diagnostic, self.frames.len());
            self.warnings.push(diagnostic);
        }
    }

    /// Adds the calls of so many outer definitions, which led to a message.
    fn chain_of_calls(&self, mut diagnostic: Diagnostic, frames: usize) -> Diagnostic {
        let frames = &self.frames[..frames];
        let inside = frames.iter().any(|f| f.called_at.is_some());
        for frame in frames.iter().rev() {
            if let Some(place) = frame.called_at {
                let name = &frame.definition.def.name.text;
                let step = format!("in `{name}`, called here");
                let step = seqc_grammar::Label::new(place.file, place.span, step, false);
                if !diagnostic.trace.contains(&step) && diagnostic.trace.len() < MAX_TRACE {
                    diagnostic.trace.push(step);
                }
            }
        }
        let used = self.request.layer.place;
        if !inside && diagnostic.place().map(|p| p.file) != Some(used.file) {
            let name = &self.request.layer.definition.def.name.text;
            diagnostic = diagnostic.trace(used.file, used.span, format!("`{name}` is used here"));
        }
        diagnostic
    }

    /// Reports a problem at a part of the definition being inlined.
    pub(super) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Val {
        let place = self.place(span);
        self.report(Diagnostic::new(code, place, message))
    }

    /// True when a value depends on parameters alone.
    pub(super) fn is_load(&mut self, v: Value) -> bool {
        for n in self.load.len() as u32..=v.0 {
            let node = Value(n);
            let operands = self.graph.operands(node);
            let known = !self.graph.op(node).is_of_token() && operands.iter().all(|o| self.load[o.0 as usize]);
            self.load.push(known);
        }
        self.load[v.0 as usize]
    }

    /// A fresh index variable.
    pub(super) fn new_var(&mut self, info: VarInfo) -> Var {
        self.vars.push(info);
        Var(self.vars.len() as u32 - 1)
    }

    /// The axis that an index variable runs over.
    pub(super) fn var_dim(&self, var: Var) -> Dim {
        let info = &self.vars[var.0 as usize];
        Dim::new(info.name.clone(), info.size)
    }

    /// Refuses shapes that no memory holds, and layers without end.
    pub(super) fn check_dims(&mut self, dims: &[Dim], span: Span) -> bool {
        let nodes = self.graph_size();
        if nodes > MAX_NODES {
            if !self.diagnostics.iter().any(|d| d.code == "too-large") {
                self.error(
                    "too-large",
                    span,
                    format!("this layer has more than {MAX_NODES} operations"),
                );
            }
            return false;
        }
        let total = dims
            .iter()
            .try_fold(1_usize, |n, d| n.checked_mul(d.size))
            .filter(|n| *n <= seqc_ir::verify::MAX_ELEMENTS);
        if total.is_none() {
            let shape = super::dims::shown(dims);
            self.error("too-large", span, format!("a tensor of shape {shape} is too large"));
            return false;
        }
        if let Some(empty) = dims.iter().find(|d| d.size == 0) {
            let name = if empty.name.is_empty() {
                "an axis".to_owned()
            } else {
                format!("`{}`", empty.name)
            };
            self.error("bad-size", span, format!("{name} has size 0"));
            return false;
        }
        true
    }

    fn graph_size(&self) -> usize {
        self.graph.node_count()
    }
}
