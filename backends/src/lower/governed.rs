//! Attention over a cache that a policy governs: each thread runs some of the key heads of all segments.

use super::{
    attend::{Attention, stack_table},
    cx::{Cx, Scope},
    tokens::{Tokens, on_first_thread},
};
use crate::{
    kernel::{Func, Val},
    kernels::{Arguments, Governed, Part},
};
use seqc_ir::Value;

/// Writes one attention.
pub(super) fn attend(cx: &Cx<'_>, f: &mut Func, v: Value, tokens: Tokens) {
    let together = cx.scope() == Scope::Rows;
    let each = |f: &mut Func, write: fn(&Attention<'_, '_>, &mut Func)| {
        cx.for_segments(f, false, |cx, f| write(&Attention::new(cx, f, v, tokens, together), f));
    };
    each(f, run);
    cx.barrier(f);
    each(f, settle);
}

fn run(attention: &Attention<'_, '_>, f: &mut Func) {
    let Some(governed) = attention.kernel.governed() else {
        return;
    };
    let (cx, spec) = (attention.cx, &attention.kernel.spec);
    let out = attention.results(f);
    let rows = [attention.row(f, 0), attention.row(f, 1), attention.row(f, 2), out];
    let states: Vec<Val> = (0..governed.slots().len())
        .map(|n| cx.state_base(f, attention.first + n))
        .collect();
    let angles = spec.angles().map(|n| attention.row(f, n).0);
    let [sights, observed] = [(), ()].map(|()| table(attention, &governed, f, &states));
    let of_blocks = governed.block_parts().into_iter();
    let of_blocks: Vec<Val> = of_blocks
        .filter_map(|part| Some(states[governed.entry(part)?]))
        .collect();
    // Where there are none, it is not read.
    let blocks = if of_blocks.is_empty() {
        sights
    } else {
        stack_table(f, of_blocks)
    };
    let tables = [sights, observed, blocks];
    let given = Arguments {
        rows,
        states,
        angles,
        tables,
        numbers: [attention.position, cx.prompt(f), attention.count],
        reads: attention.reads_another(f),
        scratch: cx.args.scratch,
        team: [attention.turn.tid, attention.turn.threads],
        thread: cx.args.tid,
        barrier: cx.args.barrier,
    };
    let list = governed.arguments(&given);
    f.call(&attention.name("govern"), &list, None);
}

/// When all threads are done: what the runtime reads.
fn settle(attention: &Attention<'_, '_>, f: &mut Func) {
    on_first_thread(attention.cx, f, |f| {
        let words = attention.cx.state_base(f, attention.first);
        f.call(&attention.name("settle"), &[words], None);
    });
}

/// The table of the sights: pages of each array of numbers of entries, row and stride of each query stream, room for as many numbers of
/// the cache, then the tables, and row and stride of each stream at the key.
fn table(attention: &Attention<'_, '_>, governed: &Governed<'_>, f: &mut Func, states: &[Val]) -> Val {
    let spec = &attention.kernel.spec;
    let zero = f.i64(0);
    let mut slots = Vec::new();
    for n in 0..governed.streams() {
        let entry = governed.entry(Part::Numbers(n));
        slots.push(entry.map_or(zero, |entry| states[entry]));
    }
    for operand in spec.query_operands() {
        let (start, stride) = attention.row(f, operand);
        slots.extend([start, stride]);
    }
    slots.resize(slots.len() + 2 * governed.numbers(), zero);
    for operand in spec.table_operands() {
        slots.push(attention.row(f, operand).0);
    }
    for operand in spec.key_operands() {
        let (start, stride) = attention.row(f, operand);
        slots.extend([start, stride]);
    }
    stack_table(f, slots)
}
