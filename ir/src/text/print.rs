//! Printing of graphs and models.

use super::lex::is_word;
use crate::{
    AttendSpec, Call, Clock, Clocked, Elem, Enter, Graph, IndexExpr, Leave, Model, Normaliser, Op, PairExpr, Port, Ty,
    Value,
};
use seqc_formats::Encoding;
use std::{
    fmt::{self, Display, Formatter},
    ops::Range,
};

impl Display for Elem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Ty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.elem)?;
        if self.dims.is_empty() {
            return Ok(());
        }
        let dims = self.dims.iter().map(|d| match d.name.as_str() {
            "" => d.size.to_string(),
            name => format!("{}={}", Name(name), d.size),
        });
        write!(f, "[{}]", dims.collect::<Vec<_>>().join(", "))
    }
}

/// A name: bare when it is a plain word, else quoted.
pub struct Name<'a>(pub &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_word(self.0) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// A number that parses back to the same bits (all NaNs are one).
pub struct Number(pub f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() {
            f.write_str("nan")
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

impl Display for IndexExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sum = |e: &IndexExpr| matches!(e, IndexExpr::Add(..));
        let factor = |e: &IndexExpr| if sum(e) { format!("({e})") } else { e.to_string() };
        match self {
            IndexExpr::Axis(n) => write!(f, "i{n}"),
            IndexExpr::Const(c) => write!(f, "{c}"),
            IndexExpr::Add(a, b) => write!(f, "{a} + {}", factor(b)),
            IndexExpr::Mul(a, k) => write!(f, "{} * {k}", factor(a)),
            IndexExpr::Div(a, k) => write!(f, "{} / {k}", factor(a)),
            IndexExpr::Mod(a, k) => write!(f, "{} % {k}", factor(a)),
        }
    }
}

impl Display for PairExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            PairExpr::Score => f.write_str("s"),
            PairExpr::QueryPos => f.write_str("i"),
            PairExpr::KeyPos => f.write_str("j"),
            PairExpr::Head => f.write_str("head"),
            PairExpr::QueryStream(n) => write!(f, "q{n}"),
            PairExpr::KeyStream(n) => write!(f, "k{n}"),
            PairExpr::Table(n, indices) => write!(f, "t{n}({})", comma(indices)),
            PairExpr::Listed(n, x) => write!(f, "listed{n}({x})"),
            PairExpr::After(x) => write!(f, "after({x})"),
            PairExpr::Const(c) => write!(f, "{}", Number(*c)),
            PairExpr::Unary(op, x) => write!(f, "{}({x})", op.name()),
            PairExpr::Binary(op, x, y) => write!(f, "{}({x}, {y})", op.name()),
            PairExpr::Select(c, a, b) => write!(f, "select({c}, {a}, {b})"),
        }
    }
}

/// The operation with its constants, without operands.
impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Op::Param(n) | Op::Input(n) => write!(f, "({n})"),
            Op::Const(c) => write!(f, "({})", Number(*c)),
            Op::Iota { axis } | Op::Concat { axis } => write!(f, "(axis={axis})"),
            Op::View(map) => write!(f, "({})", comma(map)),
            Op::Reduce { op, axes } => write!(f, "({}, axes={axes})", op.name()),
            Op::Prev(state) => write!(f, "({state})"),
            Op::Delay { steps } => write!(f, "(steps={steps})"),
            Op::Window { taps, step } => write!(f, "(taps={taps}, step={step})"),
            Op::RoundRow(rounding) => write!(f, "({})", rounding.name()),
            Op::Attend(spec) => write!(f, "({spec})"),
            Op::Position | Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast => Ok(()),
            Op::Reshape | Op::Gather | Op::MatVec | Op::IndexedMatVec | Op::LongConv | Op::Reverse => Ok(()),
        }
    }
}

/// The constants of an attention, in the text form's order; what has its default is left out.
impl Display for AttendSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "scale={}", Number(self.scale))?;
        if let Some(predicate) = &self.predicate {
            write!(f, ", where={predicate}")?;
        }
        if let Some(score) = &self.score {
            write!(f, ", score={score}")?;
        }
        write!(f, ", normalise={}", self.normaliser.name())?;
        if let Normaliser::Top(n) = self.normaliser {
            write!(f, "({n})")?;
        }
        write!(f, ", causal={}", self.causal)?;
        if self.query_streams + self.key_streams > 0 {
            write!(f, ", query={}, key={}", self.query_streams, self.key_streams)?;
        }
        if self.tables > 0 {
            write!(f, ", tables={}", self.tables)?;
        }
        if self.together != 1 {
            write!(f, ", together={}", self.together)?;
        }
        if self.clock != Clock::Every {
            write!(f, ", clock={}", self.clock.name())?;
        }
        if self.log_sum {
            f.write_str(", log_sum=true")?;
        }
        if self.stored != Encoding::F32 {
            write!(f, ", stored={}", self.stored)?;
        }
        if let Some(policy) = &self.policy {
            write!(f, ", policy={policy}")?;
        }
        Ok(())
    }
}

/// One node as a line of the text form.
pub(crate) fn node_line(graph: &Graph, value: Value) -> String {
    let node = graph.node(value);
    let operands = comma(&graph.operands(value));
    let gap = if operands.is_empty() { "" } else { " " };
    let name = if node.name.is_empty() {
        String::new()
    } else {
        format!("  {:?}", node.name)
    };
    format!("{value} = {}{gap}{operands} : {}{name}", node.op, node.ty)
}

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {} {{", Name(&self.name))?;
        ports(f, "param", &self.params)?;
        ports(f, "input", &self.inputs)?;
        for (n, state) in self.states.iter().enumerate() {
            write!(f, "  state @{n} {} : {}", Name(&state.name), state.ty)?;
            match state.next {
                Some(next) => writeln!(f, " next {next}")?,
                None => writeln!(f)?,
            }
        }
        let mut order = self.order();
        // Nodes on a cycle have no place in the order; a refused graph is printed whole all the same.
        if order.len() < self.values().len() {
            let placed: std::collections::HashSet<_> = order.iter().copied().collect();
            order.extend(self.values().into_iter().filter(|v| !placed.contains(v)));
        }
        for value in order {
            writeln!(f, "  {}", node_line(self, value))?;
        }
        for (name, value) in &self.outputs {
            writeln!(f, "  output {} {value}", Name(name))?;
        }
        writeln!(f, "}}")
    }
}

fn ports(f: &mut Formatter<'_>, word: &str, ports: &[Port]) -> fmt::Result {
    for (n, port) in ports.iter().enumerate() {
        writeln!(f, "  {word} {n} {} : {}", Name(&port.name), port.ty)?;
    }
    Ok(())
}

impl Display for Model {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} streams {} {{", Name(&self.name), self.streams)?;
        for input in &self.memory.inputs {
            writeln!(
                f,
                "  memory input {} {} : {}",
                input.stream,
                Name(&input.name),
                input.ty
            )?;
        }
        for input in &self.inputs {
            writeln!(f, "  input {} {} : {}", input.stream, Name(&input.name), input.ty)?;
        }
        for (n, kind) in self.kinds.iter().enumerate() {
            let encodings: Vec<_> = kind.encodings.iter().map(|encoding| Name(encoding.name())).collect();
            write!(f, "  layer{n} encodings [{}] ", comma(&encodings))?;
            for (line, text) in kind.graph.to_string().lines().enumerate() {
                writeln!(f, "{}{text}", if line == 0 { "" } else { "  " })?;
            }
        }
        for (n, call) in self.calls.iter().enumerate() {
            f.write_str(if n < self.memory.calls {
                "  memory call"
            } else {
                "  call"
            })?;
            print_call(f, call)?;
        }
        self.clocked.iter().try_for_each(|part| print_clocked(f, part))?;
        for (name, stream) in &self.outputs {
            writeln!(f, "  output {} {stream}", Name(name))?;
        }
        writeln!(f, "}}")
    }
}

fn print_call(f: &mut Formatter<'_>, call: &Call) -> fmt::Result {
    let (results, args) = (comma(&call.results), comma(&call.args));
    writeln!(f, " {} {} ({args}) -> ({results}) {{", Name(&call.name), call.kind)?;
    for param in &call.params {
        let tensors: Vec<_> = param.tensors.iter().map(|t| Name(t)).collect();
        writeln!(f, "    param {} from [{}]", Name(&param.name), comma(&tensors))?;
    }
    writeln!(f, "  }}")
}

fn print_clocked(f: &mut Formatter<'_>, part: &Clocked) -> fmt::Result {
    let Range { start, end } = part.calls;
    let name = Name(&part.name);
    writeln!(f, "  clocked {name} calls {start} to {end} when {} {{", part.condition)?;
    for Enter { from, to } in &part.enter {
        writeln!(f, "    enter {from} -> {to}")?;
    }
    for Leave { from, to, between } in &part.leave {
        writeln!(f, "    leave {from} -> {to} {between}")?;
    }
    writeln!(f, "  }}")
}

fn comma<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
