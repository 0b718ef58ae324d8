//! Puts a graph into the form that plans expect: reals beside attention, no delays of what never changes.
//! Does not change what is computed; does not make anything faster.

use seqc_ir::{BinaryOp, Elem, Graph, Op, Stage, Ty};

/// Integer streams of attention become reals: caches hold nothing else. Exact up to 2^24.
pub fn real_streams(graph: &mut Graph) {
    for v in graph.order() {
        if !matches!(graph.op(v), Op::Attend(_)) {
            continue;
        }
        for (slot, o) in graph.operands(v).into_iter().enumerate().skip(3) {
            if graph.ty(o).elem != Elem::F32 {
                let ty = Ty::new(Elem::F32, graph.ty(o).dims.clone());
                let real = graph.add(Op::Cast, ty, &[o]);
                graph.set_operand(v, slot, real);
            }
        }
    }
}

/// A delayed load-stage value is itself from token `steps` on, and zeros before.
pub fn delays_of_constants(graph: &mut Graph) {
    let stages = graph.stages();
    for v in graph.order() {
        let Op::Delay { steps } = *graph.op(v) else { continue };
        let x = graph.operands(v)[0];
        if stages[x.0 as usize] != Stage::Load {
            continue;
        }
        let ty = graph.ty(v).clone();
        let scalar = Ty::scalar(Elem::I64);
        let position = graph.add(Op::Position, scalar.clone(), &[]);
        let steps = graph.add(Op::Const(steps as f64), scalar, &[]);
        let there = graph.add(Op::Binary(BinaryOp::Ge), Ty::scalar(Elem::Bool), &[position, steps]);
        let there = graph.add(Op::View(Vec::new()), Ty::new(Elem::Bool, ty.dims.clone()), &[there]);
        let zero = graph.add(Op::Const(0.0), ty.clone(), &[]);
        let new = graph.add(Op::Select, ty, &[there, x, zero]);
        graph.replace(v, new);
    }
}
