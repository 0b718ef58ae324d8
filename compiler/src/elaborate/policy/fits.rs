//! Which attentions can have a policy, and which policies an attention can have.

use super::{
    super::{cx::Cx, request::PolicyUse, val::Tensor},
    Attention,
};
use crate::diag::{Diagnostic, Placed};
use seqc_formats::Encoding;
use seqc_grammar::ast::Span;
use seqc_ir::{
    AttendSpec, Clock, Normaliser, Op, PairExpr, Value,
    policy::{Along, Kind, MAX_QUERIES, Policy, Sight},
};
use std::collections::HashSet;

/// Why an attention cannot have a policy.
struct Misfit {
    why: &'static str,
    help: &'static str,
}

/// What of an attention does not go with policies.
fn misfit(spec: &AttendSpec) -> Option<Misfit> {
    let (why, help) = if matches!(spec.normaliser, Normaliser::Top(_)) {
        (
            "`select` looks for keys in a cache of its own",
            "name other layers under `on:`",
        )
    } else if !spec.sums_behind().is_empty() {
        (
            "its scores add up what all later keys say (`after`)",
            "keys that leave would change the scores of those that stay: name other layers under `on:`",
        )
    } else if spec.normaliser != Normaliser::Softmax {
        (
            "its scores are not normalised by softmax",
            "name other layers under `on:`",
        )
    } else if spec.log_sum {
        (
            "its keys are seen in stages",
            "a policy says itself which keys are seen where: use a layer without stages",
        )
    } else if spec.clock == Clock::Memory {
        (
            "its keys are the rows of the encoder's memory",
            "a memory is read once and kept whole: name other layers under `on:`",
        )
    } else if !spec.causal {
        (
            "its queries see later tokens",
            "a policy decides token by token: the layer must be causal",
        )
    } else if spec.clock != Clock::Every {
        (
            "its keys are on a slower clock",
            "use a layer whose tokens are all keys",
        )
    } else {
        return None;
    };
    Some(Misfit { why, help })
}

impl Cx<'_> {
    /// Whether an attention can have a policy.
    pub(super) fn may_have_policy(&mut self, used: &PolicyUse, spec: &AttendSpec, of: &Attention<'_>) -> Option<()> {
        let Some(misfit) = misfit(spec) else {
            return Some(());
        };
        self.no_policy(used, of.span, &misfit)
    }

    fn no_policy<T>(&mut self, used: &PolicyUse, attention: Span, misfit: &Misfit) -> Option<T> {
        let attention = self.place(attention);
        let name = &used.part.definition.def.name.text;
        let message = format!("`{name}` cannot govern this attention: {}", misfit.why);
        let d = Diagnostic::new("no-policy", used.part.place, message).note(attention, "the attention");
        self.report(d.help(misfit.help));
        None
    }

    /// The policy with what turns queries and keys where they meet, the operands before they were turned, and the angles.
    pub(super) fn turned_by(
        &mut self,
        used: &PolicyUse,
        mut policy: Policy,
        of: &mut Attention<'_>,
    ) -> Option<(Policy, Option<Tensor>)> {
        let moves = |s: &Sight| s.query != PairExpr::QueryPos || s.key != PairExpr::KeyPos;
        let blocks = policy.blocks.as_ref();
        let stands = blocks.is_some_and(|b| b.key.is_some() || b.query.is_some());
        if !policy.sights.iter().any(moves) && !stands {
            return Some((policy, None));
        }
        let [queries, keys] = [0, 1].map(|n| self.turned.get(&of.operands[n].v).cloned());
        match (queries, keys) {
            // Without positions, distances do not matter.
            (None, None) => Some((policy, None)),
            (Some(queries), Some(keys))
                if queries.turn == keys.turn && self.is_same(queries.angles.v, keys.angles.v) =>
            {
                of.operands[0] = queries.raw;
                of.operands[1] = keys.raw;
                policy.turn = Some(queries.turn);
                Some((policy, Some(queries.angles)))
            }
            _ if self.is_given(of.operands[1].v) => {
                let why = "it changes at which positions queries and keys meet, and these keys come from another layer, where they got theirs";
                let help = "name layers under `on:` that make their keys themselves";
                self.no_policy(used, of.span, &Misfit { why, help })
            }
            (queries, keys) => {
                let place = self.place(of.span);
                let name = &used.part.definition.def.name.text;
                let message = format!(
                    "`{name}` changes at which positions queries and keys meet, and here they are turned differently"
                );
                let mut d = Diagnostic::new("no-policy", used.part.place, message).note(place, "the attention");
                for (turned, what, operand) in [(&queries, "queries", 0), (&keys, "keys", 1)] {
                    let how = if turned.is_some() {
                        "have rotary positions"
                    } else {
                        "have none"
                    };
                    let at = self.place(of.spans[operand]);
                    d = d.note(at, format!("{what} {how}"));
                }
                self.report(d.help(
                    "such policies take queries and keys that both have rotary positions with the same settings, or neither",
                ));
                None
            }
        }
    }

    /// Whether a value is what the layer is given of another one, whatever its shape.
    fn is_given(&self, mut v: Value) -> bool {
        while matches!(self.graph.op(v), Op::Reshape | Op::View(_)) {
            v = self.graph.operands(v)[0];
        }
        matches!(self.graph.op(v), Op::Input(n) if *n > 0)
    }

    /// Whether two values are computed in the same way from the same values.
    fn is_same(&self, a: Value, b: Value) -> bool {
        let (mut work, mut seen) = (vec![(a, b)], HashSet::new());
        while let Some((a, b)) = work.pop() {
            if a == b || !seen.insert((a, b)) {
                continue;
            }
            let (x, y) = (self.graph.operands(a), self.graph.operands(b));
            if self.graph.op(a) != self.graph.op(b)
                || self.graph.ty(a).sizes() != self.graph.ty(b).sizes()
                || x.len() != y.len()
            {
                return false;
            }
            work.extend(x.iter().copied().zip(y.iter().copied()));
        }
        true
    }

    /// Whether the parts of a policy go together.
    pub(super) fn check_policy(
        &mut self,
        used: &PolicyUse,
        policy: &Policy,
        spec: &AttendSpec,
        attention: Span,
    ) -> Option<()> {
        let codings = || [&policy.keys, &policy.values].into_iter().flatten();
        if spec.stored != Encoding::F32 && codings().next().is_some() {
            let why = "it says how keys and values are stored, and the entry has another `type`";
            return self.no_policy(
                used,
                attention,
                &Misfit {
                    why,
                    help: "leave `type` out",
                },
            );
        }
        let name = used.part.definition.def.name.text.clone();
        let (why, help) = if policy.evict.is_some() && codings().any(|c| c.along == Along::Tokens && c.bits != 32) {
            (
                "groups along tokens share a step, and `keep` may take single entries out of them",
                "store groups along channels: `along = \"channels\"`, or leave `keep` out",
            )
        } else if policy.turn.is_some() && codings().any(|c| c.channels.is_some()) {
            (
                "keys are turned when they are read, which takes both channels of each pair, and some channels are not stored",
                "leave `query` and `key` of `see` out, or `channels` of `keys`",
            )
        } else if codings().any(|c| c.channels.is_some() && c.along == Along::Channels && c.bits != 32) {
            (
                "groups along channels share a step, and some of the channels are not stored",
                "code groups along tokens, `along = \"tokens\"`, or leave `bits` out",
            )
        } else if policy.joins_heads() && codings().any(|c| c.channels.is_some()) {
            (
                "key heads decide together which entries leave, and each one chooses its channels when it codes entries",
                "leave `channels` of `keys` out, or `over = \"heads\"` and reductions over `heads`",
            )
        } else if policy.joins_heads() && !policy.evict.as_ref().is_some_and(|e| Policy::is_of_token(&e.at)) {
            (
                "key heads decide together which entries leave, and `at` reads what each of them has for itself",
                "`at` may read `i`, `reading`, `ended` and settings: `at = i % 16 == 0`",
            )
        } else if policy.evict.is_some() && (policy.blocks.is_some() || policy.sights.iter().any(|s| policy.gathers(s)))
        {
            (
                "queries choose among entries that stay where they are, and `keep` lets some leave",
                "leave `keep` out, or `blocks` and what counts the entries that are seen",
            )
        } else if policy.definitions.iter().any(|d| matches!(d.kind, Kind::Seen { .. }))
            && policy.sights.iter().any(|s| policy.gathers(s))
        {
            (
                "`seen` computes weights of earlier queries again, and what these chose is not known any more",
                "remember weights as they are given: `mass = prev(mass) + weight`",
            )
        } else if policy.blocks.as_ref().is_some_and(|b| b.together > 1) && !policy.counters.is_empty() {
            (
                "queries of several tokens choose together, and counters differ from token to token",
                "leave `together` out, or write conditions on `i`",
            )
        } else if policy.queries() > MAX_QUERIES {
            (
                "`seen(block)` keeps the queries of a block and of the entries behind it, more than 1024 tokens",
                "make `size` and `behind` smaller",
            )
        } else if policy.sights.is_empty() {
            ("no token sees any entry", "write a `see` whose condition can hold")
        } else {
            return Some(());
        };
        let definition = &used.part.definition;
        let place = crate::source::Place::new(definition.file, definition.def.name.span);
        let d = Diagnostic::new(
            "policy-parts",
            place,
            format!("the parts of `{name}` do not go together: {why}"),
        );
        self.report(d.help(help));
        None
    }
}
