//! The kernels of a layer in order, for a chunk or for one token.

use super::{
    attend,
    chunked::{self, ByTokens},
    cx::Cx,
    governed, long_conv, nest, products, round,
    rows_of_sums::Loops,
    scan,
    tokens::{Tokens, on_first_thread},
};
use crate::{
    kernel::{Func, Val},
    schedule::{Threads, waves},
};
use seqc_ir::{StateId, Value};
use seqc_passes::plan::{Kernel, Nest};
use std::ops::Range;

/// What comes behind each kernel, by its number.
type After<'a> = &'a mut dyn FnMut(&Cx<'_>, &mut Func, usize);

/// Writes kernels, with a barrier after each. `after` is called behind each kernel, with its number.
pub(super) fn kernels(cx: &Cx<'_>, f: &mut Func, kernels: &[Kernel], tokens: Tokens, after: After<'_>) {
    let numbered: Vec<(usize, &Kernel)> = kernels.iter().enumerate().collect();
    cx.in_parts(f, &numbered, &tokens.numbers(), &mut |cx, f, part, numbers| {
        for (n, kernel) in part {
            let tokens = Tokens::of(numbers);
            if matches!((kernel, tokens), (Kernel::RoundRow(v), Tokens::One(_)) if round::by_products(cx, *v)) {
                after(cx, f, *n);
                continue;
            }
            match along(kernel) {
                Along::Rows => one_kernel(cx, f, kernel, tokens),
                Along::Sequence { meets } => cx.for_segments(f, meets, |cx, f| one_kernel(cx, f, kernel, tokens)),
            }
            cx.barrier(f);
            after(cx, f, *n);
        }
    });
}

/// The iteration of a kernel over rows.
enum Along {
    /// Each row independently: over the rows of all sequences.
    Rows,
    /// The tokens of a sequence in order, from its states. Where a kernel has barriers, or threads read scratch written by
    /// others, there is a barrier between sequences too.
    Sequence { meets: bool },
}

fn along(kernel: &Kernel) -> Along {
    match kernel {
        // Attention finds its segments itself.
        Kernel::Matmuls(_) | Kernel::Map(_) | Kernel::Attend(_) | Kernel::RoundRow(_) => Along::Rows,
        Kernel::Scan(_) | Kernel::Heads { .. } | Kernel::LongConv(_) => Along::Sequence { meets: false },
        Kernel::Reverse(_) => Along::Sequence { meets: false },
        Kernel::Loop(_) | Kernel::Commit(_) => Along::Sequence { meets: true },
    }
}

fn one_kernel(cx: &Cx<'_>, f: &mut Func, kernel: &Kernel, tokens: Tokens) {
    match kernel {
        Kernel::Matmuls(list) => products::products(cx, f, list, tokens),
        Kernel::Map(nests) => token_nests(cx, f, nests, tokens),
        Kernel::Scan(s) => match (s.products(), tokens) {
            (Some(_), Tokens::All) => {
                let by_tokens = ByTokens {
                    all: &|f| scan::scan(cx, f, s, tokens),
                    head: &|f, head, tokens| scan::head(cx, f, s, head, tokens),
                };
                chunked::chunk(cx, f, s, &by_tokens);
            }
            _ => scan::scan(cx, f, s, tokens),
        },
        Kernel::Attend(v) if cx.layer.schedule.attention(*v).spec.policy.is_some() => {
            governed::attend(cx, f, *v, tokens)
        }
        Kernel::Attend(v) => attend::attend(cx, f, *v, tokens),
        Kernel::LongConv(v) => long_conv::convolve(cx, f, *v, tokens),
        Kernel::Reverse(v) => reverse(cx, f, *v),
        Kernel::RoundRow(v) => round::rows(cx, f, *v, tokens),
        Kernel::Heads {
            heads,
            nests,
            states,
            chunked,
        } => {
            let of = HeadLoop {
                heads: *heads,
                nests,
                states,
            };
            match (chunked, tokens) {
                (Some(scan), Tokens::All) => {
                    let by_tokens = ByTokens {
                        all: &|f| by_heads(cx, f, of, tokens),
                        head: &|f, head, tokens| one_head(cx, f, of, head, tokens),
                    };
                    chunked::chunk(cx, f, scan, &by_tokens);
                }
                _ => by_heads(cx, f, of, tokens),
            }
        }
        Kernel::Loop(body) => token_loop(cx, f, body, tokens),
        Kernel::Commit(states) => commit(cx, f, states, tokens),
    }
}

fn token_loop(cx: &Cx<'_>, f: &mut Func, body: &[Kernel], tokens: Tokens) {
    match tokens {
        Tokens::One(_) => kernels(cx, f, body, tokens, &mut |_, _, _| {}),
        Tokens::All => {
            let rows = tokens.range(cx, f);
            f.for_each(rows.start, rows.end, 1, |f, t| {
                kernels(cx, f, body, Tokens::One(t), &mut |_, _, _| {})
            });
        }
    }
}

/// A recurrence that runs in parallel over heads.
#[derive(Clone, Copy)]
struct HeadLoop<'h> {
    /// Heads; 1: everything is one.
    heads: usize,
    /// What is computed for each token.
    nests: &'h [Nest],
    /// The states that change at its end.
    states: &'h [StateId],
}

/// Heads are split between the threads; each iterates over all tokens.
fn by_heads(cx: &Cx<'_>, f: &mut Func, of: HeadLoop<'_>, tokens: Tokens) {
    let count = f.i64(of.heads as i64);
    let mine = f.team_range(cx.args.team(), count, 1);
    let tokens = tokens.range(cx, f);
    f.team_for(mine, |f, head| one_head(cx, f, of, head, tokens));
}

/// One head over some tokens.
fn one_head(cx: &Cx<'_>, f: &mut Func, of: HeadLoop<'_>, head: Val, tokens: Range<Val>) {
    f.for_each(tokens.start, tokens.end, 1, |f, t| {
        cx.in_parts(f, of.nests, &[t, head], &mut |cx, f, nests, at| {
            for n in nests {
                match of.heads {
                    1 => nest::nest(cx, f, Some(at[0]), n, nest::Portion::All),
                    _ => nest::at_head(cx, f, at[0], n, at[1]),
                }
            }
        });
        cx.in_parts(f, of.states, &[t, head], &mut |cx, f, states, at| {
            for s in states {
                let state = &cx.graph().states[s.0 as usize];
                let part = f.i64((state.ty.len() / of.heads) as i64);
                let start = f.mul(at[1], part);
                store_state(cx, f, *s, at[0], Entries { start, count: part });
            }
        });
    });
}

/// Some entries of a state.
#[derive(Clone, Copy)]
struct Entries {
    start: Val,
    count: Val,
}

/// Copies entries of a state's next value to the memory of the state, if that is elsewhere.
fn store_state(cx: &Cx<'_>, f: &mut Func, s: StateId, token: Val, entries: Entries) {
    let next = cx.graph().states[s.0 as usize].next;
    let Some(id) = next.and_then(|v| cx.plan().stored.get(&v)) else {
        return;
    };
    if cx.plan().buffer(*id).state == Some(s) {
        return;
    }
    let (from, to) = (cx.row(f, *id, token), cx.state_base(f, s.0 as usize));
    let scalar = crate::kernel::Scalar::F32;
    let (from, to) = (f.gep(from, entries.start, scalar), f.gep(to, entries.start, scalar));
    f.call(crate::kernels::COPY, &[from, to, entries.count], None);
}

/// Copies the rows of a sequence in the order from its end, which the chunk holds as a whole.
fn reverse(cx: &Cx<'_>, f: &mut Func, v: Value) {
    let rows = cx.rows_of(f, cx.graph().operands(v)[0]);
    let id = cx.plan().stored[&v];
    let len = f.i64(cx.plan().buffer(id).len as i64);
    let (first, one) = (cx.args.first, f.i64(1));
    let end = f.add(first, cx.args.count);
    let last = f.sub(end, one);
    let sum = f.add(first, last);
    let mine = f.team_range(cx.args.team(), cx.args.count, 1);
    f.team_for(mine, |f, n| {
        let token = f.add(first, n);
        let mirrored = f.sub(sum, token);
        let (from, to) = (rows.at(f, mirrored), cx.row(f, id, token));
        f.call(crate::kernels::COPY, &[from, to, len], None);
    });
}

/// Nests one after another for each token. A chunk's tokens are split between the threads; the entries of one token
/// are where there are many.
fn token_nests(cx: &Cx<'_>, f: &mut Func, nests: &[Nest], tokens: Tokens) {
    match tokens {
        Tokens::All => {
            let mine = f.team_range(cx.args.team(), cx.args.count, 1);
            f.team_for(mine, |f, t| {
                cx.in_parts(f, nests, &[t], &mut |cx, f, nests, at| {
                    cx.at_row(f, at[0]);
                    for n in nests {
                        nest::nest(cx, f, Some(at[0]), n, nest::Portion::All);
                    }
                });
            });
        }
        Tokens::One(t) => cx.in_parts(f, nests, &[t], &mut |cx, f, part, at| {
            one_token(cx, f, part, at[0]);
            if part.len() < nests.len() {
                cx.barrier(f);
            }
        }),
    }
}

fn one_token(cx: &Cx<'_>, f: &mut Func, nests: &[Nest], t: Val) {
    let machine = cx.layer.machine();
    let whole = |n: &Nest| super::table::is_rows_of_table(cx, n);
    for (n, wave) in waves(cx.graph(), machine, nests, &whole).into_iter().enumerate() {
        if n > 0 {
            cx.barrier(f);
        }
        match wave.threads {
            Threads::All => {
                let loops = Loops::new(cx, &wave.nests[0]).sizes();
                let step = if loops.len() == 1 { i64::from(cx.lanes()) } else { 1 };
                let size = f.i64(loops[0] as i64);
                let mine = f.team_range(cx.args.team(), size, step);
                for n in wave.nests {
                    nest::nest(cx, f, Some(t), n, nest::Portion::Outermost(mine.low..mine.high));
                }
            }
            Threads::First => on_first_thread(cx, f, |f| {
                for n in wave.nests {
                    nest::nest(cx, f, Some(t), n, nest::Portion::All);
                }
            }),
        }
    }
}

/// Stores the next values of states, at the end of a token of a loop.
fn commit(cx: &Cx<'_>, f: &mut Func, states: &[StateId], tokens: Tokens) {
    let token = match tokens {
        Tokens::One(t) => t,
        Tokens::All => cx.args.first,
    };
    cx.in_parts(f, states, &[token], &mut |cx, f, states, at| {
        for s in states {
            let len = f.i64(cx.graph().states[s.0 as usize].ty.len() as i64);
            // Several lines each: a part is copied in whole vectors.
            let lines = 4 * cx.layer.machine().line_entries() as i64;
            let mine = f.team_range(cx.args.team(), len, lines);
            let count = f.sub(mine.high, mine.low);
            store_state(cx, f, *s, at[0], Entries { start: mine.low, count });
        }
    });
}
