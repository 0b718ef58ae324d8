//! Cache policies: from the body of a `cache` to the [`Policy`] of an attention.
//!
//! The body is elaborated as functions of query and key are: a value is an expression over numbers of the token, of the cache and of
//! the entry. What `top`, `pool`, `seen` and reductions give are definitions of the policy; what `prev` remembers are its counters
//! and memories; everything else is inlined. A name may stand for different expressions where counters are updated, where memories
//! are, and after that: plain definitions are elaborated for each [`state::Stage`] in which they are used.

mod choose;
mod classes;
mod clauses;
mod finish;
mod fits;
mod heads;
mod over;
mod over_channels;
mod positions;
mod rank;
mod state;
mod value;
mod words;

pub(crate) use classes::mentions;
pub(super) use state::Making;

use super::{
    call::CallOf,
    cx::{Binding, Cx, Frame},
    request::PolicyUse,
    val::Tensor,
};
use crate::{
    diag::{Diagnostic, Placed},
    known::Known,
    library::Definition,
    source::Place,
};
use seqc_grammar::ast::{Def, Expr, ExprKind, Ident, Span, Stmt, Target};
use seqc_ir::{AttendSpec, PairExpr, policy::Policy};
use state::{Class, Level, List, Scope, Stage, Widths};
use std::collections::HashMap;

/// Most operations of one expression of a policy.
const MAX_OPERATIONS: usize = 10_000;

/// Tensors of an attention that gets a policy.
pub(super) struct Attention<'t> {
    /// Queries, keys and values.
    pub(super) operands: &'t mut Vec<Tensor>,
    /// Where they stand.
    pub(super) spans: &'t [Span],
    /// The call.
    pub(super) span: Span,
}

impl Cx<'_> {
    /// Gives an attention the policy that the model names for its layer. The angles by which queries and keys are turned where the
    /// policy turns them are one more operand, the last one.
    pub(super) fn give_policy(
        &mut self,
        used: &PolicyUse,
        spec: &mut AttendSpec,
        mut of: Attention<'_>,
    ) -> Option<Option<Tensor>> {
        self.may_have_policy(used, spec, &of)?;
        let policy = self.policy_of(used, of.operands)?;
        let span = of.span;
        let (policy, angles) = self.turned_by(used, policy, &mut of)?;
        self.check_policy(used, &policy, spec, span)?;
        spec.policy = Some(Box::new(policy));
        Some(angles)
    }

    /// The policy of a definition for attention over keys of these shapes; `None` where something is wrong, which is reported.
    fn policy_of(&mut self, used: &PolicyUse, operands: &[Tensor]) -> Option<Policy> {
        let [queries, keys, values] = [0, 1, 2].map(|n| self.dims(&operands[n]));
        let widths = Widths {
            key: keys[1].size,
            value: values[1].size,
        };
        let heads = [queries[0].size, queries[0].size / keys[0].size];
        let constants = [
            ("heads", keys[0].size),
            ("members", heads[1]),
            ("width", widths.key),
            ("layer", used.layer),
            ("layers", used.layers),
        ];
        let definition = used.part.definition.clone();
        let before = self.diagnostics.len();
        self.frames.push(Frame {
            definition: definition.clone(),
            names: HashMap::new(),
            vars: Vec::new(),
            lambda: Vec::new(),
            called_at: Some(used.part.place),
            path: 23,
            prefix: String::new(),
            part: None,
            refused: false,
        });
        let place = Place::new(definition.file, definition.def.name.span);
        for (name, n) in constants {
            self.bind(name, Binding::Known(Known::Num(n as f64)), place);
        }
        self.policy = Some(Making::new(classes::classes(&definition.def), widths, heads));
        let whole = std::mem::replace(&mut self.whole, false);
        let fits = self.cache_body(used, &definition.def);
        self.whole = whole;
        self.frames.pop();
        let making = self.policy.take()?;
        self.doubt_blocks(&definition);
        (fits && self.diagnostics.len() == before).then(|| finish::policy(making))
    }

    /// Warns of blocks of a user's cache among which no query chooses.
    fn doubt_blocks(&mut self, definition: &Definition) {
        let clauses = |wanted: &'static str| {
            let clauses = definition.def.body.iter().filter_map(|stmt| match stmt {
                Stmt::Clause(e) => Some(e),
                _ => None,
            });
            clauses.filter(move |e| matches!(&e.kind, ExprKind::Call { callee, .. } if callee.text == wanted))
        };
        let is_used = clauses("see").any(|see| classes::is_about_blocks(&definition.def, see));
        if let Some(blocks) = clauses("blocks")
            .next()
            .filter(|_| !is_used && !self.is_library(definition.file))
        {
            let place = Place::new(definition.file, blocks.span);
            let message = format!("nothing uses the blocks of `{}`", definition.def.name.text);
            let d = Diagnostic::warning("unused", message).label(place.file, place.span, "");
            self.warn(
                d.help("choose among them in `see`, as in `see(!closed || top(x; k = 8))`, or leave `blocks` out"),
            );
        }
    }

    fn cache_body(&mut self, used: &PolicyUse, def: &Def) -> bool {
        if !self.check_names(def) {
            return false;
        }
        let call = CallOf {
            definition: used.part.definition.clone(),
            args: Vec::new(),
            settings: used.part.settings.clone(),
            at: used.part.place,
            part: None,
        };
        if self.bind_arguments(&call).is_none() {
            return false;
        }
        let settings = def.settings.iter().map(|s| s.name.text.clone());
        let known: Vec<_> = settings
            .filter_map(|n| Some((n.clone(), self.known_name(&n)?.0)))
            .collect();
        self.policy_settings = known;
        for (at, stmt) in def.body.iter().enumerate() {
            self.making().at = at;
            match stmt {
                Stmt::Dim { name, value } => self.dim(name, value),
                Stmt::Let { target, value } => self.cache_definition(target, value),
                Stmt::Clause(e) => self.whole_clause(e),
                // The grammar has refused them.
                Stmt::Param(_) | Stmt::Trace { .. } | Stmt::Result(_) => {}
            }
        }
        true
    }

    fn whole_clause(&mut self, e: &Expr) {
        let whole = std::mem::replace(&mut self.whole_numbers, true);
        self.clause(e);
        self.whole_numbers = whole;
    }

    /// `x = …`, `x[c] = …`
    fn cache_definition(&mut self, target: &Target, value: &Expr) {
        let whole = std::mem::replace(&mut self.whole_numbers, true);
        match target {
            Target::Name { name, shape: None } => self.scalar_definition(name, value),
            Target::Indexed { name, vars } if vars.len() == 1 => self.channel_definition(name, &vars[0], value),
            Target::Name { name, .. } | Target::Indexed { name, .. } => {
                let place = self.place(name.span);
                let d = Diagnostic::new(
                    "wrong-rank",
                    place,
                    format!("`{}` is a number, or a number of each channel", name.text),
                );
                self.report(d.help("write `x = …` or `x[c] = …`"));
            }
            Target::Tuple(_) => {
                self.error("tuple-use", value.span, "a definition of a cache is one number");
            }
        }
        self.whole_numbers = whole;
    }

    fn scalar_definition(&mut self, name: &Ident, value: &Expr) {
        let Some(named) = self.making().names.get(&name.text).copied() else {
            return;
        };
        self.making().about = name.text.clone();
        self.making().each = named.each;
        let (stage, level) = match named.class {
            Class::Counter(_) => (Stage::Counters, Level::Cache),
            Class::Memory(_) => (Stage::Memories, Level::Entry),
            Class::Plain => {
                // What is wrong with it is said even if nothing uses it. What is about blocks is looked at where it is used.
                if !self.is_about_blocks(value) && !classes::mentions_query(value) {
                    self.plain(&name.text, named, Stage::Decide);
                }
                return;
            }
            Class::Channel | Class::BlockChannel => return,
        };
        let val = self.scoped(value, Scope::new(stage, level));
        let Some(score) = self.as_pair(&val.at(value.span)) else {
            return;
        };
        let next = match score.elem {
            seqc_ir::Elem::Bool => PairExpr::select(score.expr, PairExpr::Const(1.0), PairExpr::Const(0.0)),
            _ => score.expr,
        };
        if next.operations() > MAX_OPERATIONS {
            let message = format!(
                "the next value of `{}` has more than {MAX_OPERATIONS} operations",
                name.text
            );
            self.error("too-large", value.span, message);
            return;
        }
        self.making().next.insert(name.text.clone(), next);
    }

    fn channel_definition(&mut self, name: &Ident, variable: &Ident, value: &Expr) {
        self.making().about = name.text.clone();
        let of_block = self
            .making()
            .names
            .get(&name.text)
            .is_some_and(|n| n.class == Class::BlockChannel);
        let (stage, list) = match of_block {
            true => (Stage::Close, List::Closing),
            false => (Stage::Decide, List::Deciding),
        };
        if of_block && !self.has_blocks(&name.text, name.span) {
            return;
        }
        let scope = Scope {
            channel: Some(variable.text.clone()),
            ..Scope::new(stage, Level::Channel)
        };
        if let Some(number) = self.number(value, scope) {
            let id = self.making().define_last(list, seqc_ir::policy::Kind::Channel(number));
            self.making().channels.insert(name.text.clone(), id);
        }
    }

    /// Whether an expression, or a definition that it uses, is about blocks.
    fn is_about_blocks(&mut self, e: &Expr) -> bool {
        let body = self.frame().definition.clone();
        classes::is_about_blocks(&body.def, e)
    }

    /// Whether every name that a cache gives means one thing.
    fn check_names(&mut self, def: &Def) -> bool {
        let mut seen: HashMap<&str, &Ident> = HashMap::new();
        let settings = def.settings.iter().map(|s| &s.name);
        let defined = def.body.iter().filter_map(|stmt| match stmt {
            Stmt::Dim { name, .. } => Some(name),
            Stmt::Let { target, .. } => Self::target_name(target),
            _ => None,
        });
        let mut fits = true;
        for name in settings.chain(defined) {
            let place = self.place(name.span);
            if words::is_taken(&name.text) {
                let message = format!("`{}` has a meaning of its own in caches", name.text);
                self.report(Diagnostic::new("defined-twice", place, message).help("give it another name"));
                fits = false;
            } else if let Some(before) = seen.insert(&name.text, name) {
                let before = self.place(before.span);
                self.twice(name, before);
                fits = false;
            }
        }
        fits
    }
}
