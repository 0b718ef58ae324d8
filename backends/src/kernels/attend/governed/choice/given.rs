//! Memories at a token whose queries choose: updated by the weights that each query head gave.

use super::super::{
    super::layout::{PAGE, page_at, row_at},
    Governed,
    args::Args,
    entries::{Lanes, Numbers},
};
use crate::kernel::{Func, Module, Scalar, Ty, Val};

impl Governed<'_> {
    /// Pointer to the weights that a query head gives a page's entries.
    pub(super) fn given_row(&self, f: &mut Func, args: &Args, head: Val, page: Val) -> Val {
        let arrays = self.block_arrays();
        let pages = f.load_slot(args.blocks, arrays.count + arrays.vectors.len(), Ty::GLOBAL);
        let page = page_at(f, pages, page);
        row_at(f, page, head, PAGE)
    }

    /// No weights of the entries up to `last`.
    pub(super) fn clear_given(&self, f: &mut Func, args: &Args, head: Val, last: Val) {
        let (zero, one, size) = (f.i64(0), f.i64(1), f.i64(PAGE as i64));
        let entries = f.add(last, one);
        let pages = f.ceil_div(entries, size);
        let none = f.zero(self.vector());
        f.for_each(zero, pages, 1, |f, page| {
            let row = self.given_row(f, args, head, page);
            f.for_each(zero, size, i64::from(self.attend.lanes()), |f, start| {
                let p = f.gep(row, start, Scalar::F32);
                f.store(none, p);
            });
        });
    }

    /// Adds `fn NAME_remember(arguments…, group, row)`: updates all memories of a key head.
    pub(super) fn add_remember(&self, module: &mut Module) {
        if self.policy.memories.is_empty() {
            return;
        }
        let (mut function, args, own) = self.function("remember", &[Ty::I64; 2]);
        let f = &mut function;
        let [group, row] = [own[0], own[1]];
        let (last, one) = (f.add(args.position, row), f.i64(1));
        let numbers = Numbers::load(self, f, &args, row, group, last);
        let entries = f.add(last, one);
        self.each_vector(f, entries, |f, at| self.remember_given(f, &numbers, at));
        module.add(function);
    }

    fn remember_given(&self, f: &mut Func, numbers: &Numbers, at: Lanes) {
        let (one, ratio) = (f.i64(1), f.i64(self.attend.ratio() as i64));
        let first = f.mul(numbers.group, ratio);
        let behind = f.add(first, ratio);
        let none = f.zero(self.vector());
        let given = |f: &mut Func, head: Val| {
            let row = self.given_row(f, &numbers.args, head, at.page);
            let p = f.gep(row, at.start, Scalar::F32);
            f.load(p, self.vector())
        };
        let sum = f.for_loop(first..behind, one, &[none], |f, head, sum| {
            let x = given(f, head);
            vec![f.add(sum[0], x)]
        });
        let inside = self.inside(f, at, numbers.last);
        let shared = self.next_memories(f, numbers, at, None, sum[0]);
        f.for_each(first, behind, 1, |f, head| {
            let weight = given(f, head);
            let own = self.next_memories(f, numbers, at, Some(head), weight);
            self.store_memories(f, numbers, at, head, inside, own);
        });
        self.store_memories(f, numbers, at, numbers.group, inside, shared);
    }

    /// Next values of the memories that query head `of` has, or that all share.
    fn next_memories(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        at: Lanes,
        of: Option<Val>,
        weight: Val,
    ) -> Vec<(usize, Val)> {
        let mut pairs = self.pairs(f, numbers, at, Some(weight));
        let memories = self.policy.memories.iter().enumerate();
        let memories: Vec<_> = memories.filter(|(_, m)| m.each == of.is_some()).collect();
        if let Some(head) = of {
            for (n, _) in &memories {
                let array = self.first_memory() + n;
                let p = self.vector_of(f, &numbers.args, array, head, at);
                pairs.key_streams[array] = f.load(p, self.vector());
            }
        }
        let next = memories.into_iter().map(|(n, m)| {
            let x = pairs.real(f, &self.of_entry(&m.next));
            (self.first_memory() + n, x)
        });
        next.collect()
    }

    #[expect(clippy::too_many_arguments, reason = "which entries of which head")]
    fn store_memories(
        &self,
        f: &mut Func,
        numbers: &Numbers,
        at: Lanes,
        row: Val,
        inside: Val,
        next: Vec<(usize, Val)>,
    ) {
        for (array, x) in next {
            let p = self.vector_of(f, &numbers.args, array, row, at);
            let old = f.load(p, self.vector());
            let x = f.select(inside, x, old);
            f.store(x, p);
        }
    }
}
