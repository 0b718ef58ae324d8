//! The text form.

use insta::assert_snapshot;
use seqc_kernel::{Cache, Func, Module, Scalar, Ty};

#[test]
fn every_kind_of_constant_and_access_has_a_text() {
    let mut module = Module::default();
    module.declare("elsewhere", &[Ty::GENERIC, Ty::F32], Some(Ty::I64));
    module.add_table("numbers", &[1, -2]);
    module.add_own_bytes("bytes", b"abc");
    let mut f = Func::exported("accesses", &[Ty::GLOBAL, Ty::I64]);
    let (p, n) = (f.param(0), f.param(1));
    let (table, memory) = (f.address_of("numbers"), f.stack(4));
    let (mask, third) = (f.tail_mask(n, 4), f.float(Ty::V(4, Scalar::F32), 1.0 / 3.0));
    let x = f.masked_load(p, mask, third.ty);
    let x = f.fma(x, third, x);
    let places = f.lanes(Scalar::I32, &[3, 2, 1, 0]);
    let (entries, targets) = (f.gep(table, places, Scalar::F32), f.gep(p, places, Scalar::F32));
    let y = f.gather(entries, mask, Scalar::F32);
    f.scatter(x, targets, mask);
    let (low, inf) = (f.extract(y, 0), f.f32(f32::INFINITY));
    let count = f.call("elsewhere", &[memory, low], Some(Ty::I64)).unwrap_or(n);
    let small = f.int(Ty::S(Scalar::I16), -1);
    f.store(small, memory);
    let (zero, one, truth) = (f.i64(0), f.i64(1), f.i1(true));
    f.for_loop(zero..count, one, &[low], |f, i, sums| {
        let q = f.gep(memory, i, Scalar::F32);
        f.prefetch(q, Cache::Second);
        let pick = |f: &mut Func| vec![f.max_number(sums[0], inf)];
        f.if_else(truth, pick, |_| vec![sums[0]])
    });
    module.add(f);
    assert_snapshot!(module.to_string());
}
