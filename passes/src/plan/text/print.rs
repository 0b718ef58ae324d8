//! Printing of plans.

use crate::{
    attention::caches::{CacheId, Site},
    plan::{
        Chunked, Factor, Term, Write,
        types::{Buffer, BufferId, Kernel, Matmul, Nest, Plan, Scan, row_major},
    },
    planned::PlannedModel,
};
use seqc_ir::{
    Graph, StateId, Value,
    text::{Name, Number},
};
use std::fmt::{self, Display, Formatter};

/// Width of what stands before comments, where a line is not longer.
const COMMENTS: usize = 42;

impl Display for BufferId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Plan {
    /// The plan as text, for `Display`.
    pub fn text<'a>(&'a self, graph: &'a Graph) -> PlanText<'a> {
        PlanText { plan: self, graph }
    }
}

/// See [`Plan::text`].
#[derive(Clone, Copy, Debug)]
pub struct PlanText<'a> {
    plan: &'a Plan,
    graph: &'a Graph,
}

impl Display for PlanText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut printer = Printer {
            plan: self.plan,
            graph: self.graph,
            f,
            depth: 0,
        };
        printer.plan()
    }
}

/// The plans of all kinds of layers of a model, and its caches.
#[derive(Clone, Copy, Debug)]
pub struct PlannedText<'a>(pub &'a PlannedModel<'a>);

impl Display for PlannedText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let planned = self.0;
        let calls = &planned.model.calls;
        for (n, plan) in planned.plans.iter().enumerate() {
            let mut of_kind = calls.iter().filter(|call| call.kind.0 as usize == n);
            let first = of_kind.next().map_or("not called", |call| call.name.as_str());
            write!(f, "// layer{n}: {first}")?;
            match of_kind.count() {
                0 => writeln!(f)?,
                more => writeln!(f, ", and {more} more")?,
            }
            write!(f, "{}", plan.text(planned.graph(n)))?;
        }
        let name = |site: &Site| format!("{} {}", calls[site.call].name, site.value);
        for (n, cache) in planned.caches.all.iter().enumerate() {
            let id = CacheId(n);
            let kind = calls[cache.owner.call].kind.0 as usize;
            let ticks = planned.rate(cache.owner.call);
            let kept = planned.plans[kind].attentions[&cache.owner.value].kept(ticks);
            write!(f, "// cache {id} of {}: {kept}", name(&cache.owner))?;
            if !cache.readers.is_empty() {
                let readers: Vec<String> = cache.readers.iter().map(name).collect();
                write!(f, "; read by {}", readers.join(", "))?;
            }
            if let Some((other, why)) = cache.beside {
                write!(f, "; not {other}: {why}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

pub(super) struct Printer<'a, 'f, 'b> {
    pub(super) plan: &'a Plan,
    pub(super) graph: &'a Graph,
    f: &'f mut Formatter<'b>,
    pub(super) depth: usize,
}

impl Printer<'_, '_, '_> {
    /// One line, with what it is about behind it.
    pub(super) fn line(&mut self, text: &str, comment: &str) -> fmt::Result {
        let text = format!("{:indent$}{text}", "", indent = 2 * self.depth);
        match comment {
            "" => writeln!(self.f, "{text}"),
            comment => writeln!(self.f, "{text:<COMMENTS$}  // {comment}"),
        }
    }

    /// `head { … }`
    fn block(&mut self, head: &str, body: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        self.line(&format!("{head} {{"), "")?;
        self.depth += 1;
        body(self)?;
        self.depth -= 1;
        self.line("}", "")
    }

    fn plan(&mut self) -> fmt::Result {
        let (plan, settings) = (self.plan, &self.plan.settings);
        let head = format!("plan {} for {}", Name(&self.graph.name), Name(settings.machine.name));
        self.block(&head, |p| {
            p.line(
                &format!(
                    "settings chunk={} conv_block={} chunks={}",
                    settings.max_chunk,
                    settings.conv_block,
                    settings.chunks.name()
                ),
                "",
            )?;
            p.native_params()?;
            p.state_axes()?;
            for (n, buffer) in plan.buffers.iter().enumerate() {
                p.buffer(BufferId(n), buffer)?;
            }
            plan.decisions.iter().try_for_each(|decision| p.decision(decision))?;
            if !plan.load.is_empty() {
                p.block("load", |p| p.nests(&plan.load))?;
            }
            plan.kernels.iter().try_for_each(|kernel| p.kernel(kernel))
        })
    }

    fn native_params(&mut self) -> fmt::Result {
        let native = self.plan.native_params.iter().enumerate();
        let which: Vec<usize> = native.filter(|(_, native)| **native).map(|(n, _)| n).collect();
        if which.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = which.iter().map(|n| self.graph.params[*n].name.as_str()).collect();
        self.line(&format!("native {which:?}"), &names.join(", "))
    }

    fn state_axes(&mut self) -> fmt::Result {
        for (n, order) in self.plan.state_axes.iter().enumerate() {
            if !order.iter().copied().eq(0..order.len()) {
                let name = &self.graph.states[n].name;
                self.line(&format!("state {} axes {order:?}", StateId(n as u32)), name)?;
            }
        }
        Ok(())
    }

    fn buffer(&mut self, id: BufferId, buffer: &Buffer) -> fmt::Result {
        let value = buffer.value;
        let copy = if self.plan.stored.get(&value) == Some(&id) {
            ""
        } else {
            "copy "
        };
        let extent = buffer.extent.name();
        let mut text = format!("{id} = {copy}{value} {}[{}] {extent}", buffer.elem, buffer.len);
        if buffer.strides != row_major(&self.graph.ty(value).sizes()) {
            text += &format!(" strides {:?}", buffer.strides);
        }
        if buffer.history > 0 {
            text += &format!(" history={}", buffer.history);
        }
        if let Some(n) = buffer.output {
            text += &format!(" output={n}");
        }
        if let Some(s) = buffer.state {
            text += &format!(" state={s}");
        }
        self.line(&text, &self.what(value))
    }

    /// The operation of a value, and its name.
    pub(super) fn what(&self, value: Value) -> String {
        let node = self.graph.node(value);
        match node.name.as_str() {
            "" => node.op.word().to_owned(),
            name => format!("{} {name:?}", node.op.word()),
        }
    }

    fn nests(&mut self, nests: &[Nest]) -> fmt::Result {
        nests.iter().try_for_each(|nest| self.nest(nest))
    }

    fn nest(&mut self, nest: &Nest) -> fmt::Result {
        let part = match nest.shift {
            Some((axis, from)) => format!("[axis={axis}, from={from}]"),
            None => String::new(),
        };
        let text = format!("{}{part} = {}", nest.into, nest.value);
        self.line(&text, &self.what(nest.value))
    }

    fn kernel(&mut self, kernel: &Kernel) -> fmt::Result {
        match kernel {
            Kernel::Matmuls(matmuls) => self.block("matmuls", |p| matmuls.iter().try_for_each(|m| p.matmul(m))),
            Kernel::Map(nests) => self.block("map", |p| p.nests(nests)),
            Kernel::Scan(scan) => self.scan(scan),
            Kernel::Attend(v) => {
                let known = self.plan.attentions.get(v).map(ToString::to_string);
                self.line(&format!("attend {v}"), &known.unwrap_or_default())
            }
            Kernel::LongConv(v) => self.line(&format!("long_conv {v}"), &self.what(*v)),
            Kernel::Reverse(v) => self.line(&format!("reverse {v}"), &self.what(*v)),
            Kernel::RoundRow(v) => self.line(&format!("round_row {v}"), &self.what(*v)),
            Kernel::Heads {
                heads,
                nests,
                states,
                chunked,
            } => self.block(&format!("heads {heads} {}", comma(states)), |p| {
                p.nests(nests)?;
                chunked.iter().try_for_each(|scan| p.scan(scan))
            }),
            Kernel::Loop(body) => self.block("loop", |p| body.iter().try_for_each(|kernel| p.kernel(kernel))),
            Kernel::Commit(states) => self.line(&format!("commit {}", comma(states)), ""),
        }
    }

    fn matmul(&mut self, matmul: &Matmul) -> fmt::Result {
        let text = format!("product {}", comma(&matmul.products));
        if matmul.epilogue.is_empty() {
            let what: Vec<_> = matmul.products.iter().map(|v| self.what(*v)).collect();
            return self.line(&text, &what.join(", "));
        }
        self.block(&text, |p| p.nests(&matmul.epilogue))
    }

    fn scan(&mut self, scan: &Scan) -> fmt::Result {
        let block = &scan.block;
        let head = format!(
            "scan {} kept {:?} reduced {:?} lanes={} entries={}{}",
            comma(&scan.states),
            scan.kept,
            scan.reduced,
            block.lanes,
            block.entries,
            if block.in_registers { " in_registers" } else { "" }
        );
        self.block(&head, |p| {
            p.nests(&scan.outputs)?;
            scan.chunked.iter().try_for_each(|form| p.matrix_form(form))
        })
    }

    fn matrix_form(&mut self, form: &Chunked) -> fmt::Result {
        let mut head = format!("matrix shared={} block={}", form.shared, form.block);
        if let Some(shortest) = form.shortest {
            head += &format!(" shortest={shortest}");
        }
        let (by_tokens, products) = (Number(form.costs.by_tokens), Number(form.costs.products));
        head += &format!(" by_tokens={by_tokens} products={products}");
        if form.diagonal {
            head += " diagonal";
        }
        self.block(&head, |p| {
            p.factors("decay", &form.decay)?;
            for query in &form.queries {
                let of = if query.reads_previous { " of previous" } else { "" };
                p.factors(&format!("query {}{of}", query.sum), &query.factors)?;
            }
            form.writes.iter().try_for_each(|write| p.write(write))
        })
    }

    fn write(&mut self, write: &Write) -> fmt::Result {
        self.factors("key", &write.key)?;
        write.value.iter().try_for_each(|value| self.term("value", value))?;
        let Some(correction) = &write.correction else {
            return Ok(());
        };
        self.term("gain", &correction.gain)?;
        self.factors("probe", &correction.probe)?;
        match correction.after {
            0 => Ok(()),
            after => self.line(&format!("after={after}"), ""),
        }
    }

    fn term(&mut self, name: &str, term: &Term) -> fmt::Result {
        self.factors(
            &format!("{name}{}", if term.negative { " minus" } else { "" }),
            &term.factors,
        )
    }

    fn factors(&mut self, name: &str, factors: &[Factor]) -> fmt::Result {
        let product: Vec<_> = factors.iter().map(Factor::to_string).collect();
        let product = if product.is_empty() {
            "1".to_owned()
        } else {
            product.join(" * ")
        };
        let what: Vec<_> = factors.iter().map(|x| self.what(x.value)).collect();
        self.line(&format!("{name} = {product}"), &what.join(", "))
    }
}

impl Display for Factor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.value, comma(&self.coords))?;
        match self.keeps {
            Some(kept) => write!(f, " is {kept}"),
            None => Ok(()),
        }
    }
}

fn comma<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
