//! Filters over the past: short ones, and those as long as the sequence.

use super::{
    cx::Cx,
    dims::shown,
    shape::Shaped,
    val::{Tensor, Val},
};
use crate::diag::{Diagnostic, Placed};
use seqc_grammar::ast::{Expr, NamedArg, Span};
use seqc_ir::{BinaryOp, Dim, Elem, IndexExpr, Value, verify::MAX_LAGS};

/// Most taps of a short filter.
const MAX_TAPS: usize = 1 << 16;
/// Filters of at most so many taps are sums of delayed streams, longer ones sums over a window.
const WRITTEN_OUT: usize = 8;
/// A window of more taps is a long convolution where its filter is known when weights are loaded.
/// Measured on 768 channels: from here on both a prompt and a token are faster.
const WINDOW: usize = 32;

impl Cx<'_> {
    /// `y[c] = sum(l: f[c, l] * u[c] of l tokens ago)`
    pub(super) fn long_conv(&mut self, u: &Expr, f: &Expr, span: Span) -> Val {
        let (val, filter) = (self.expr(u), self.expr(f));
        let (Some(t), Some(w)) = (self.real(&val, u.span), self.real(&filter, f.span)) else {
            return Val::Poison;
        };
        let (channels, shape) = (self.dims(&t), self.dims(&w));
        if t.unknown {
            let lead = shape[..shape.len().saturating_sub(1)].to_vec();
            return Val::Tensor(Tensor::plain(self.filled(0.0, &lead)));
        }
        if !fits(&channels, &shape) {
            let takes = "`long_conv(u, f)` takes `u: [c]` and `f: [c, lag]`";
            return self.misfit(takes, Shaped::new(u.span, &channels), Shaped::new(f.span, &shape), span);
        }
        if self.clock(t.v).is_some() {
            let place = self.place(u.span);
            let d = Diagnostic::new("clock-mismatch", place, "a long filter runs over all tokens");
            return self
                .report(d.help("`hold(u)` gives a slower stream a value at every token; `causal_conv` filters ticks"));
        }
        let taps = shape[channels.len()].size;
        if taps > MAX_LAGS {
            let message = format!("a long filter has up to {MAX_LAGS} taps, this one {taps}");
            return self.error("too-large", span, message);
        }
        if !self.is_load(w.v) {
            let place = self.place(f.span);
            let d = Diagnostic::new(
                "not-known",
                place,
                "the filter of `long_conv` must be known when weights are loaded",
            );
            let d = d.says("depends on a stream").help(
                "make it from parameters and the lag, `f[c, lag] = …`; `causal_conv` takes a filter that changes from token to token",
            );
            return self.report(d);
        }
        Val::Tensor(self.convolved(&t, &w))
    }

    /// A long convolution over the variables of both; shapes fit.
    fn convolved(&mut self, t: &Tensor, f: &Tensor) -> Tensor {
        let (channels, shape) = (self.dims(t), self.dims(f));
        let mut vars = [&t.vars[..], &f.vars[..]].concat();
        vars.sort_unstable();
        vars.dedup();
        let (u, f) = (self.spread(t, &vars, &channels), self.spread(f, &vars, &shape));
        Tensor::over(self.graph.long_conv(u, f), vars)
    }

    /// Reports a filter that does not fit its stream.
    fn misfit(&mut self, takes: &str, stream: Shaped<'_>, filter: Shaped<'_>, span: Span) -> Val {
        let place = self.place(span);
        let mut d = Diagnostic::new("shape-mismatch", place, takes)
            .note(self.place(stream.at), format!("this is {}", shown(stream.dims)))
            .note(self.place(filter.at), format!("this is {}", shown(filter.dims)));
        d = self.dim_origins(d, stream.dims);
        d = self.dim_origins(d, filter.dims);
        self.report(d)
    }

    /// `y[c] = sum(k: w[c, k] * u[c] of (taps - 1 - k) * dilation tokens ago)`
    pub(super) fn causal_conv(&mut self, u: &Expr, w: &Expr, named: &[NamedArg], span: Span) -> Val {
        let (val, filter) = (self.expr(u), self.expr(w));
        let dilation = match named.first() {
            Some(option) => self.steps(&option.value, "a dilation"),
            None => Some(1),
        };
        let (Some(t), Some(f), Some(dilation)) = (self.real(&val, u.span), self.real(&filter, w.span), dilation) else {
            return Val::Poison;
        };
        let (channels, shape) = (self.dims(&t), self.dims(&f));
        if t.unknown {
            let lead = shape[..shape.len().saturating_sub(1)].to_vec();
            return Val::Tensor(Tensor::plain(self.filled(0.0, &lead)));
        }
        if !fits(&channels, &shape) || !f.vars.is_empty() {
            let takes = "`causal_conv(u, w)` takes `u: [c]` and `w: [c, taps]`";
            return self.misfit(takes, Shaped::new(u.span, &channels), Shaped::new(w.span, &shape), span);
        }
        let taps = shape[channels.len()].size;
        if let Some(clock) = self.clock(t.v) {
            return self.filtered_on_clock(&t, &f, clock, dilation, span);
        }
        let reach = (taps - 1)
            .checked_mul(dilation)
            .filter(|r| *r <= seqc_ir::verify::MAX_DELAY);
        if taps > MAX_TAPS || reach.is_none() {
            return self.error(
                "too-large",
                span,
                format!("a short filter has up to {MAX_TAPS} taps, this one {taps}"),
            );
        }
        Val::Tensor(self.filtered(&t, &f, dilation))
    }

    /// The same on a slower clock: taps are ticks.
    fn filtered_on_clock(&mut self, t: &Tensor, f: &Tensor, clock: Value, dilation: usize, span: Span) -> Val {
        let channels = self.dims(t);
        let taps = self.dims(f)[channels.len()].size;
        let reach = (taps - 1).saturating_mul(dilation);
        if reach > super::clock::MAX_STEPS {
            let most = super::clock::MAX_STEPS;
            let message = format!("on a slower clock a filter reaches up to {most} ticks back, not {reach}");
            return self.error("too-large", span, message);
        }
        let mut past = Val::Tensor(t.clone());
        let mut sum: Option<Val> = None;
        for k in (0..taps).rev() {
            let mut map: Vec<IndexExpr> = (0..channels.len()).map(IndexExpr::Axis).collect();
            map.push(IndexExpr::Const(k as i64));
            let weight = Val::Tensor(Tensor::plain(self.view(f.v, channels.clone(), map)));
            let term = self.binary(BinaryOp::Mul, weight.at(span), past.clone().at(span), span);
            sum = Some(match sum {
                None => term,
                Some(before) => self.binary(BinaryOp::Add, before.at(span), term.at(span), span),
            });
            if k > 0 {
                let Val::Tensor(now) = &past else {
                    return Val::Poison;
                };
                past = self.delayed_on_clock(&now.clone(), clock, dilation, span);
            }
        }
        sum.unwrap_or(past)
    }

    /// The sum over the taps of weight times delayed stream; shapes fit.
    fn filtered(&mut self, t: &Tensor, f: &Tensor, dilation: usize) -> Tensor {
        let channels = self.dims(t);
        let taps = self.dims(f)[channels.len()].size;
        if taps > WINDOW && dilation == 1 && self.is_load(f.v) {
            let mut by_lag: Vec<IndexExpr> = (0..channels.len()).map(IndexExpr::Axis).collect();
            let back = IndexExpr::Mul(Box::new(IndexExpr::Axis(channels.len())), -1);
            by_lag.push(IndexExpr::Add(
                Box::new(back),
                Box::new(IndexExpr::Const(taps as i64 - 1)),
            ));
            let dims = self.dims(f);
            let f = Tensor::plain(self.view(f.v, dims, by_lag));
            return self.convolved(t, &f);
        }
        if taps > WRITTEN_OUT {
            return self.windowed(t, f, dilation);
        }
        let mut sum = None;
        for k in 0..taps {
            let mut map: Vec<IndexExpr> = (0..channels.len()).map(IndexExpr::Axis).collect();
            map.push(IndexExpr::Const(k as i64));
            let weight = Tensor::plain(self.view(f.v, channels.clone(), map));
            let weight = self.spread(&weight, &t.vars, &channels);
            let steps = (taps - 1 - k) * dilation;
            let past = if steps == 0 { t.v } else { self.graph.delay(t.v, steps) };
            let term = self.graph.product_of(weight, past);
            sum = Some(match sum {
                None => term,
                Some(before) => self.graph.sum_of(before, term),
            });
        }
        // A filter has at least one tap: no axis is empty.
        Tensor::over(sum.unwrap_or(t.v), t.vars.clone())
    }

    /// `recent(x, n)`: the last `n` values as one tensor `[n, …]`, the oldest first, zeros before the start.
    pub(super) fn recent(&mut self, x: &Expr, n: &Expr, span: Span) -> Val {
        let (val, count) = (self.expr(x), self.size(n));
        let (Some(t), Some(count)) = (self.tensor(&val, x.span), count) else {
            return Val::Poison;
        };
        if t.unknown {
            return Val::Tensor(t);
        }
        if self.clock(t.v).is_some() {
            let place = self.place(x.span);
            let d = Diagnostic::new(
                "clock-mismatch",
                place,
                "`recent` reads the last tokens, this stream is on a slower clock",
            );
            return self.report(d.help("`hold(x)` gives it a value at every token; `delay(x, k)` counts ticks"));
        }
        let dims = [&[count.clone()][..], &self.dims(&t)].concat();
        if count.size > seqc_ir::verify::MAX_DELAY || !self.check_dims(&dims, span) {
            let message = format!("`recent` reaches up to {} tokens back", seqc_ir::verify::MAX_DELAY);
            return self.error("too-large", n.span, message);
        }
        let elem = self.elem(&t);
        let real = self.cast(&t, Elem::F32);
        let window = self.graph.window(real.v, count.size, 1);
        // The variables come first.
        let lead = t.vars.len();
        let mut all = self.graph.ty(real.v).dims.clone();
        all.insert(lead, count);
        let map = [lead].into_iter().chain((0..all.len()).filter(|n| *n != lead));
        let v = self.view(window, all, map.map(IndexExpr::Axis).collect());
        Val::Tensor(self.as_it_was(&Tensor::over(v, t.vars), elem))
    }

    /// The same as one sum over a window of the stream, for filters of many taps.
    fn windowed(&mut self, t: &Tensor, f: &Tensor, dilation: usize) -> Tensor {
        let (lead, channels) = (t.vars.len(), self.dims(t));
        let taps = self.dims(f)[channels.len()].size;
        let window = self.graph.window(t.v, taps, dilation);
        let mut dims = self.graph.ty(t.v).dims.clone();
        let rank = dims.len();
        dims.push(seqc_ir::Dim::new("", taps));
        let past = [rank].into_iter().chain(0..rank).map(IndexExpr::Axis).collect();
        let past = self.view(window, dims.clone(), past);
        let own = (0..=channels.len()).map(|n| IndexExpr::Axis(lead + n)).collect();
        let weight = self.view(f.v, dims, own);
        let product = self.graph.product_of(weight, past);
        Tensor::over(self.graph.reduce(seqc_ir::ReduceOp::Sum, product, 1), t.vars.clone())
    }
}

/// A filter has the axes of its stream and one more, over its taps.
fn fits(channels: &[Dim], filter: &[Dim]) -> bool {
    filter.split_last().is_some_and(|(_, lead)| lead == channels)
}
