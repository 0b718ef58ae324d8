//! Each law, broken by one fault in a plan that obeys all.

use super::*;
use crate::plan::{Kernel, Nest, Scan};
use crate::{
    machine::Machine,
    optimise,
    plan::{Chunked, Correction, Extent, Layout, Matmul, Settings, Term, layout},
};
use seqc_ir::Elem;
use std::collections::BTreeSet;

const PRODUCTS: &str = "graph products {
param 0 w : f32[8, 8] param 1 v : f32[8, 8] param 2 b : f32[8] param 3 s : f32[4, 8] input 0 x : f32[8]
%0 = input(0) : f32[8] %1 = param(0) : f32[8, 8] %2 = param(1) : f32[8, 8] %3 = param(2) : f32[8]
%4 = matvec %1, %0 : f32[8] %5 = matvec %2, %0 : f32[8] %6 = exp %3 : f32[8] %7 = add %4, %6 : f32[8]
%8 = sigmoid %7 : f32[8] %9 = mul %8, %5 : f32[8] %10 = delay(steps=2) %4 : f32[8] %11 = add %9, %10 : f32[8]
%12 = concat(axis=0) %11, %0 : f32[16] %13 = param(3) : f32[4, 8] %14 = matvec %13, %0 : f32[4]
output y %12 output z %14 }";

const DUALITY: &str = "graph duality {
input 0 v : f32[4, 32] input 1 k : f32[4, 16] input 2 q : f32[4, 16] input 3 a : f32[4]
state @0 S : f32[4, 32, 16] next %12
%0 = input(0) : f32[4, 32] %1 = input(1) : f32[4, 16] %2 = input(2) : f32[4, 16] %3 = input(3) : f32[4]
%4 = prev(@0) : f32[4, 32, 16] %5 = sigmoid %3 : f32[4] %6 = view(i0) %5 : f32[4, 32, 16]
%7 = view(i0, i1) %0 : f32[4, 32, 16] %8 = view(i0, i2) %1 : f32[4, 32, 16] %9 = view(i0, i2) %2 : f32[4, 32, 16]
%10 = mul %6, %4 : f32[4, 32, 16] %11 = mul %7, %8 : f32[4, 32, 16] %12 = add %10, %11 : f32[4, 32, 16]
%13 = mul %12, %9 : f32[4, 32, 16] %14 = reduce(sum, axes=1) %13 : f32[4, 32]
output y %14 }";

const DELTA: &str = "graph delta {
input 0 v : f32[2, 64] input 1 k : f32[2, 64] input 2 q : f32[2, 64] input 3 b : f32[2]
state @0 S : f32[2, 64, 64] next %16
%0 = input(0) : f32[2, 64] %1 = input(1) : f32[2, 64] %2 = input(2) : f32[2, 64] %3 = input(3) : f32[2]
%4 = prev(@0) : f32[2, 64, 64] %5 = view(i0, i2) %1 : f32[2, 64, 64] %6 = view(i0, i2, i1) %4 : f32[2, 64, 64]
%7 = mul %6, %5 : f32[2, 64, 64] %8 = reduce(sum, axes=1) %7 : f32[2, 64] %9 = sub %0, %8 : f32[2, 64]
%10 = sigmoid %3 : f32[2] %11 = view(i0) %10 : f32[2, 64] %12 = mul %11, %9 : f32[2, 64]
%13 = view(i0, i2) %12 : f32[2, 64, 64] %14 = view(i0, i1) %1 : f32[2, 64, 64] %15 = mul %14, %13 : f32[2, 64, 64]
%16 = add %4, %15 : f32[2, 64, 64] %17 = view(i0, i2, i1) %16 : f32[2, 64, 64]
%18 = view(i0, i2) %2 : f32[2, 64, 64] %19 = mul %17, %18 : f32[2, 64, 64] %20 = reduce(sum, axes=1) %19 : f32[2, 64]
output y %20 }";

const RECURRENT: &str = "graph recurrent { param 0 w : f32[8, 8] input 0 x : f32[8] state @0 h : f32[8] next %5
%0 = input(0) : f32[8] %1 = param(0) : f32[8, 8] %2 = prev(@0) : f32[8] %3 = matvec %1, %2 : f32[8]
%4 = add %3, %0 : f32[8] %5 = tanh %4 : f32[8]
output y %5 }";

const SLICE: &str = "graph slice { input 0 x : f32[64] state @0 h : f32[64] next %5
%0 = input(0) : f32[64] %1 = prev(@0) : f32[64] %2 = const(0.5) : f32 %3 = view() %2 : f32[64]
%4 = mul %1, %3 : f32[64] %5 = add %4, %0 : f32[64] %6 = view(i0) %5 : f32[32] %7 = exp %6 : f32[32]
output y %7 }";

const ATTENTION: &str = "graph attention { input 0 q : f32[2, 8] input 1 k : f32[2, 8] input 2 v : f32[2, 8]
%0 = input(0) : f32[2, 8] %1 = input(1) : f32[2, 8] %2 = input(2) : f32[2, 8] %3 = exp %0 : f32[2, 8]
%4 = attend(scale=1.0, normalise=softmax, causal=true) %3, %1, %2 : f32[2, 8]
output y %4 }";

/// A fault in the plan of a graph, and the laws that it breaks.
struct Case {
    laws: &'static [u8],
    graph: &'static str,
    fault: fn(&mut Plan),
}

const CASES: &[Case] = &[
    Case {
        laws: &[1],
        graph: PRODUCTS,
        fault: |plan| plan.buffers[1].len = 9,
    },
    Case {
        laws: &[1],
        graph: PRODUCTS,
        fault: |plan| plan.buffers[1].elem = Elem::I64,
    },
    Case {
        laws: &[1],
        graph: PRODUCTS,
        fault: |plan| plan.load[0].into.0 = 99,
    },
    Case {
        laws: &[2],
        graph: PRODUCTS,
        fault: |plan| plan.buffers[1].strides = vec![0],
    },
    Case {
        laws: &[3],
        graph: DUALITY,
        fault: |plan| plan.state_axes[0] = vec![0, 2, 2],
    },
    // A part of a concatenation is missing.
    Case {
        laws: &[4],
        graph: PRODUCTS,
        fault: |plan| maps(plan).truncate(1),
    },
    // Two parts overlap.
    Case {
        laws: &[4],
        graph: PRODUCTS,
        fault: |plan| maps(plan)[1].shift = Some((0, 7)),
    },
    // Nothing writes a constant.
    Case {
        laws: &[4, 6],
        graph: PRODUCTS,
        fault: |plan| plan.load.clear(),
    },
    Case {
        laws: &[5],
        graph: PRODUCTS,
        fault: |plan| plan.buffers[1].extent = Extent::Constant,
    },
    // Nests come before the products that they read.
    Case {
        laws: &[6],
        graph: PRODUCTS,
        fault: |plan| plan.kernels.swap(0, 1),
    },
    // Two tokens ago are read, one is kept.
    Case {
        laws: &[6],
        graph: PRODUCTS,
        fault: |plan| plan.buffers[0].history = 1,
    },
    Case {
        laws: &[7],
        graph: DUALITY,
        fault: |plan| plan.buffers[0].extent = Extent::Single,
    },
    // A loop changes no state.
    Case {
        laws: &[8],
        graph: RECURRENT,
        fault: |plan| body(plan).truncate(2),
    },
    // The state changes before its next value is there.
    Case {
        laws: &[6, 8],
        graph: RECURRENT,
        fault: |plan| body(plan).swap(1, 2),
    },
    // The state is overwritten, then read.
    Case {
        laws: &[6, 9],
        graph: DELTA,
        fault: |plan| heads(plan).swap(0, 1),
    },
    Case {
        laws: &[10],
        graph: PRODUCTS,
        fault: |plan| plan.buffers.iter_mut().for_each(|b| b.output = None),
    },
    // Products with eight and with four rows.
    Case {
        laws: &[11],
        graph: PRODUCTS,
        fault: |plan| {
            let other = matmuls(plan).pop().map(|m| m.products).unwrap_or_default();
            matmuls(plan)[0].products.extend(other);
        },
    },
    // A sum over earlier tokens and a copy stand behind a product.
    Case {
        laws: &[6, 12],
        graph: PRODUCTS,
        fault: |plan| {
            let nests = std::mem::take(maps(plan));
            matmuls(plan)[0].epilogue.extend(nests);
        },
    },
    Case {
        laws: &[13],
        graph: ATTENTION,
        fault: |plan| plan.buffers[0].strides = vec![1, 2],
    },
    Case {
        laws: &[14],
        graph: DUALITY,
        fault: |plan| the_scan(plan).block.entries = 8,
    },
    Case {
        laws: &[14],
        graph: DUALITY,
        fault: |plan| the_scan(plan).block.in_registers = true,
    },
    Case {
        laws: &[14],
        graph: DUALITY,
        fault: |plan| the_scan(plan).kept = vec![0, 2],
    },
    // The scan computes 64 entries of a result of 32.
    Case {
        laws: &[14],
        graph: SLICE,
        fault: |plan| {
            let nests = std::mem::take(maps(plan));
            the_scan(plan).outputs.extend(nests);
        },
    },
    Case {
        laws: &[15],
        graph: DUALITY,
        fault: |plan| form(plan).shared = 3,
    },
    Case {
        laws: &[15],
        graph: DUALITY,
        fault: |plan| {
            let write = &mut form(plan).writes[0];
            let value = write.value.as_mut().expect("a value");
            std::mem::swap(&mut write.key, &mut value.factors);
        },
    },
    Case {
        laws: &[15],
        graph: DUALITY,
        fault: |plan| {
            let form = form(plan);
            form.decay.extend(form.writes[0].key.clone());
        },
    },
    Case {
        laws: &[15],
        graph: DUALITY,
        fault: |plan| {
            let write = &mut form(plan).writes[0];
            write.correction = Some(Correction {
                gain: Term::default(),
                probe: write.key.clone(),
                after: 1,
            });
        },
    },
    Case {
        laws: &[16],
        graph: DELTA,
        fault: |plan| {
            for kernel in &mut plan.kernels {
                if let Kernel::Heads { heads, .. } = kernel {
                    *heads = 64;
                }
            }
        },
    },
    Case {
        laws: &[18],
        graph: PRODUCTS,
        fault: |plan| plan.native_params[2] = true,
    },
];

/// The nests of the last map.
fn maps(plan: &mut Plan) -> &mut Vec<Nest> {
    let maps = plan.kernels.iter_mut().filter_map(|kernel| match kernel {
        Kernel::Map(nests) => Some(nests),
        _ => None,
    });
    maps.last().expect("a map")
}

fn matmuls(plan: &mut Plan) -> &mut Vec<Matmul> {
    let matmuls = plan.kernels.iter_mut().find_map(|kernel| match kernel {
        Kernel::Matmuls(matmuls) => Some(matmuls),
        _ => None,
    });
    matmuls.expect("products")
}

fn body(plan: &mut Plan) -> &mut Vec<Kernel> {
    let body = plan.kernels.iter_mut().find_map(|kernel| match kernel {
        Kernel::Loop(body) => Some(body),
        _ => None,
    });
    body.expect("a loop")
}

fn heads(plan: &mut Plan) -> &mut Vec<Nest> {
    let nests = plan.kernels.iter_mut().find_map(|kernel| match kernel {
        Kernel::Heads { nests, .. } => Some(nests),
        _ => None,
    });
    nests.expect("heads")
}

fn the_scan(plan: &mut Plan) -> &mut Scan {
    let scan = plan.kernels.iter_mut().find_map(|kernel| match kernel {
        Kernel::Scan(scan) => Some(scan),
        _ => None,
    });
    scan.expect("a scan")
}

fn form(plan: &mut Plan) -> &mut Chunked {
    the_scan(plan).chunked.as_mut().expect("a matrix form")
}

fn planned(text: &str) -> (Graph, Plan) {
    let mut graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(seqc_ir::verify::verify(&graph), []);
    optimise(&mut graph);
    let plan = Plan::new(&graph, &Settings::of(&Machine::PORTABLE));
    (graph, plan)
}

fn laws(violations: &[Violation]) -> BTreeSet<u8> {
    violations.iter().map(|v| v.law).collect()
}

#[test]
fn each_fault_breaks_its_law() {
    let mut wrong = Vec::new();
    for (n, case) in CASES.iter().enumerate() {
        let (graph, mut plan) = planned(case.graph);
        assert_eq!(verify(&graph, &plan), [], "{}", plan.text(&graph));
        (case.fault)(&mut plan);
        let found = verify(&graph, &plan);
        if !laws(&found).into_iter().eq(case.laws.iter().copied()) {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            wrong.push(format!("case {n}, laws {:?}:\n{}", case.laws, found.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The layout follows from the plan: here it is given another one.
#[test]
fn buffers_at_one_place_break_law_17() {
    let (graph, plan) = planned(PRODUCTS);
    let mut report = Report {
        graph: &graph,
        plan: &plan,
        violations: Vec::new(),
    };
    let lives = order::check(&mut report);
    let sound = layout(&graph, &plan, 3);
    memory::check_layout(&mut report, &lives, 3, &sound);
    assert_eq!(report.violations, []);
    let offsets = sound.offsets.iter().map(|at| at.map(|_| 0)).collect();
    memory::check_layout(&mut report, &lives, 3, &Layout { offsets, ..sound });
    assert_eq!(laws(&report.violations), BTreeSet::from([17]));
}

#[test]
fn every_law_has_a_fault() {
    let broken: BTreeSet<u8> = CASES.iter().flat_map(|case| case.laws).copied().chain([17]).collect();
    assert!(broken.into_iter().eq(1..=18));
}
