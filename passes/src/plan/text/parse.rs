//! Parsing of plans: the header, buffers and the order of sections.

use crate::{
    attention::analysis::analyses,
    machine::Machine,
    plan::{
        Chunks, Settings,
        types::{Buffer, BufferId, Extent, Nest, Plan, row_major},
    },
    recurrence::recurrences,
};
use seqc_ir::{
    Elem, Graph, StateId, Value,
    text::{ParseError, Parser, Token},
};
use std::collections::HashMap;

impl Plan {
    /// Parses the text form of a plan of a graph for a machine. The text alone is checked, and that what it names is there:
    /// the plan may still be refused by the verifier.
    pub fn parse(text: &str, graph: &Graph, machine: &Machine) -> Result<Plan, ParseError> {
        let mut parser = PlanParser {
            text: Parser::new(text)?,
            graph,
            buffers: 0,
        };
        let plan = parser.plan(machine)?;
        parser.text.end()?;
        Ok(plan)
    }
}

/// A cursor over the text of a plan.
pub(super) struct PlanParser<'a> {
    pub(super) text: Parser,
    graph: &'a Graph,
    /// Buffers read so far: nothing else is stored into.
    buffers: usize,
}

impl PlanParser<'_> {
    /// `plan NAME for MACHINE { … }`
    fn plan(&mut self, machine: &Machine) -> Result<Plan, ParseError> {
        self.text.expect_word("plan")?;
        self.this_name("this graph", &self.graph.name.clone())?;
        self.text.expect_word("for")?;
        self.this_name("this machine", machine.name)?;
        self.text.expect('{')?;
        let graph = self.graph;
        let mut plan = Plan {
            settings: self.settings(machine)?,
            stages: graph.stages(),
            recurrences: recurrences(graph),
            decisions: Vec::new(),
            attentions: analyses(graph),
            buffers: Vec::new(),
            stored: HashMap::new(),
            load: Vec::new(),
            kernels: Vec::new(),
            native_params: self.native_params()?,
            state_axes: self.state_axes()?,
        };
        while let Some(id) = self.peek_buffer() {
            self.buffer(id, &mut plan)?;
        }
        plan.decisions = self.decisions(&plan)?;
        if self.text.eat_word("load") {
            self.text.expect('{')?;
            plan.load = self.nests()?;
            self.text.expect('}')?;
        }
        plan.kernels = self.kernels()?;
        self.text.expect('}')?;
        Ok(plan)
    }

    fn this_name(&mut self, what: &str, name: &str) -> Result<(), ParseError> {
        let place = self.text.here();
        match self.text.name()? == name {
            true => Ok(()),
            false => Err(self.text.error_at(place, format!("{what} is called `{name}`"))),
        }
    }

    /// `settings chunk=256 conv_block=16 chunks=cheapest`
    fn settings(&mut self, machine: &Machine) -> Result<Settings, ParseError> {
        self.text.expect_word("settings")?;
        let (max_chunk, conv_block) = (self.text.setting("chunk")?, self.text.setting("conv_block")?);
        self.text.expect_word("chunks")?;
        self.text.expect('=')?;
        Ok(Settings {
            machine: *machine,
            max_chunk,
            conv_block,
            chunks: self.text.one_of("a choice of chunks", Chunks::from_name)?,
        })
    }

    /// `native [0, 3]`
    fn native_params(&mut self) -> Result<Vec<bool>, ParseError> {
        let mut native = vec![false; self.graph.params.len()];
        if self.text.eat_word("native") {
            let place = self.text.here();
            for n in self.counts()? {
                let param = native.get_mut(n);
                *param.ok_or_else(|| self.text.error_at(place, format!("there is no parameter {n}")))? = true;
            }
        }
        Ok(native)
    }

    /// `state @0 axes [1, 0]`
    fn state_axes(&mut self) -> Result<Vec<Vec<usize>>, ParseError> {
        let states = self.graph.states.iter();
        let mut axes: Vec<Vec<usize>> = states.map(|s| (0..s.ty.rank()).collect()).collect();
        while self.text.eat_word("state") {
            let state = self.state()?;
            self.text.expect_word("axes")?;
            axes[state.0 as usize] = self.counts()?;
        }
        Ok(axes)
    }

    /// `b3 = %12 f32[64] per_token history=3 output=0 state=@1`
    fn buffer(&mut self, id: BufferId, plan: &mut Plan) -> Result<(), ParseError> {
        let place = self.text.here();
        if id.0 != plan.buffers.len() {
            let expected = BufferId(plan.buffers.len());
            return Err(self.text.error_at(
                place,
                format!("buffers are numbered in order: `{expected}` belongs here"),
            ));
        }
        self.text.advance();
        self.text.expect('=')?;
        let copy = self.text.eat_word("copy");
        let value = self.value()?;
        if !copy && plan.stored.insert(value, id).is_some() {
            return Err(self.text.error_at(place, format!("{value} is stored twice")));
        }
        let elem = self.text.one_of("an element type", Elem::from_name)?;
        self.text.expect('[')?;
        let len = self.text.count()?;
        self.text.expect(']')?;
        let extent = self.text.one_of("how often there is a row", Extent::from_name)?;
        let strides = match self.text.eat_word("strides") {
            true => self.text.list('[', ']', Parser::integer)?,
            false => row_major(&self.graph.ty(value).sizes()),
        };
        let history = self.option("history", |p| p.text.count())?.unwrap_or(0);
        let output = self.option("output", |p| p.text.count())?;
        let state = self.option("state", PlanParser::state)?;
        plan.buffers.push(Buffer {
            value,
            len,
            elem,
            strides,
            extent,
            history,
            output,
            state,
        });
        self.buffers = plan.buffers.len();
        Ok(())
    }

    /// Reads `name=…` if it is next.
    pub(super) fn option<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Option<T>, ParseError> {
        if !self.text.eat_word(name) {
            return Ok(None);
        }
        self.text.expect('=')?;
        read(self).map(Some)
    }

    /// Reads nests as long as there are any.
    pub(super) fn nests(&mut self) -> Result<Vec<Nest>, ParseError> {
        let mut nests = Vec::new();
        while let Some(into) = self.peek_buffer() {
            if into.0 >= self.buffers {
                return Err(self.text.error(format!("there is no buffer `{into}`")));
            }
            self.text.advance();
            let shift = match self.text.eat('[') {
                true => Some(self.part()?),
                false => None,
            };
            self.text.expect('=')?;
            let value = self.value()?;
            nests.push(Nest { value, into, shift });
        }
        Ok(nests)
    }

    /// `axis=0, from=4]`
    fn part(&mut self) -> Result<(usize, usize), ParseError> {
        let axis = self.text.setting("axis")?;
        self.text.expect(',')?;
        let from = self.text.setting("from")?;
        self.text.expect(']')?;
        Ok((axis, from))
    }

    fn peek_buffer(&self) -> Option<BufferId> {
        match self.text.peek() {
            Token::Word(word) => word.strip_prefix('b')?.parse().ok().map(BufferId),
            _ => None,
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, ParseError> {
        let place = self.text.here();
        let value = Value(self.text.sigil('%')?);
        match self.graph.contains(value) {
            true => Ok(value),
            false => Err(self.text.error_at(place, format!("{value} is not in the graph"))),
        }
    }

    pub(super) fn state(&mut self) -> Result<StateId, ParseError> {
        let place = self.text.here();
        let state = StateId(self.text.sigil('@')?);
        match (state.0 as usize) < self.graph.states.len() {
            true => Ok(state),
            false => Err(self.text.error_at(place, format!("{state} is not in the graph"))),
        }
    }

    /// `item, item, …`, at least one.
    pub(super) fn several<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = vec![item(self)?];
        while self.text.eat(',') {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `[0, 2]`
    pub(super) fn counts(&mut self) -> Result<Vec<usize>, ParseError> {
        self.text.list('[', ']', Parser::count)
    }
}
