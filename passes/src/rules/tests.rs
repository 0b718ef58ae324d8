//! Every rule on a graph that it rewrites and on one that its condition keeps it from. What it rewrites means the same
//! before and after.

use super::*;
use crate::simplify::drop_dead;
use seqc_ir::{
    Elem, Op, Value,
    eval::{Evaluator, Tensor},
    random::Rng,
    verify::verify,
};

/// Two graphs for a rule. Each is a list of nodes after those of [`graph`], the last one called `%99`: the value that the
/// rule is tried on.
struct Case {
    rule: &'static str,
    rewrites: &'static str,
    leaves: &'static str,
}

/// Nodes that cases read: `%0`, `%1` parameters, `%2`, `%3` vectors, `%4` a matrix, `%5` a short vector, `%6`, `%7`
/// integers, `%8` a truth value of the token.
fn graph(nodes: &str) -> Graph {
    let text = format!(
        "graph g {{
        param 0 w : f32[3, 4] param 1 b : f32[3]
        input 0 x : f32[4] input 1 y : f32[4] input 2 m : f32[3, 4] input 3 r : f32[3] input 4 i : i64 input 5 j : i64
        %0 = param(0) : f32[3, 4] %1 = param(1) : f32[3]
        %2 = input(0) : f32[4] %3 = input(1) : f32[4] %4 = input(2) : f32[3, 4] %5 = input(3) : f32[3]
        %6 = input(4) : i64 %7 = input(5) : i64 %8 = lt %6, %7 : bool
        {nodes}
        output out %99 }}"
    );
    let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(verify(&graph), [], "{graph}");
    graph
}

const CASES: &[Case] = &[
    Case {
        rule: "function_of_const_is_const",
        rewrites: "%10 = const(2.0) : f32[4] %99 = rsqrt %10 : f32[4]",
        leaves: "%10 = const(2.0) : f32[4] %99 = sin %10 : f32[4]",
    },
    Case {
        rule: "function_of_consts_is_const",
        rewrites: "%10 = const(2.0) : f32 %11 = const(3.0) : f32 %99 = pow %10, %11 : f32",
        leaves: "%10 = const(2.0) : f32 %11 = const(3.0) : f32 %99 = mod %10, %11 : f32",
    },
    Case {
        rule: "cast_of_const_is_const",
        rewrites: "%10 = const(-2.5) : f32 %99 = cast %10 : i64",
        leaves: "%99 = cast %6 : f32",
    },
    Case {
        rule: "x_plus_zero_is_x",
        rewrites: "%10 = const(0.0) : f32[4] %99 = add %2, %10 : f32[4]",
        leaves: "%10 = const(1.0) : f32[4] %99 = add %2, %10 : f32[4]",
    },
    Case {
        rule: "zero_plus_x_is_x",
        rewrites: "%10 = const(0.0) : i64 %99 = add %10, %6 : i64",
        leaves: "%10 = const(0.0) : f32[4] %99 = add %2, %10 : f32[4]",
    },
    Case {
        rule: "x_minus_zero_is_x",
        rewrites: "%10 = const(0.0) : f32[4] %99 = sub %2, %10 : f32[4]",
        leaves: "%10 = const(0.0) : f32[4] %99 = sub %10, %2 : f32[4]",
    },
    Case {
        rule: "x_times_one_is_x",
        rewrites: "%10 = const(1.0) : f32[4] %99 = mul %2, %10 : f32[4]",
        leaves: "%10 = const(0.0) : f32[4] %99 = mul %2, %10 : f32[4]",
    },
    Case {
        rule: "one_times_x_is_x",
        rewrites: "%10 = const(1.0) : f32[4] %99 = mul %10, %2 : f32[4]",
        leaves: "%10 = const(1.0) : i64 %11 = const(2.0) : i64 %99 = mul %10, %11 : i64",
    },
    Case {
        rule: "x_over_one_is_x",
        rewrites: "%10 = const(1.0) : i64 %99 = div %6, %10 : i64",
        leaves: "%10 = const(1.0) : f32[4] %99 = div %10, %2 : f32[4]",
    },
    Case {
        rule: "x_to_one_is_x",
        rewrites: "%10 = const(1.0) : f32[4] %99 = pow %2, %10 : f32[4]",
        leaves: "%10 = const(1.5) : f32[4] %99 = pow %2, %10 : f32[4]",
    },
    Case {
        rule: "zero_minus_x_is_neg_x",
        rewrites: "%10 = const(0.0) : f32[4] %99 = sub %10, %2 : f32[4]",
        leaves: "%10 = const(0.0) : i64 %99 = sub %10, %6 : i64",
    },
    Case {
        rule: "x_over_power_of_two_is_product",
        rewrites: "%10 = const(-0.25) : f32[4] %99 = div %2, %10 : f32[4]",
        leaves: "%10 = const(3.0) : f32[4] %99 = div %2, %10 : f32[4]",
    },
    Case {
        rule: "rounded_quotient_of_integer_is_of_integers",
        rewrites: "%10 = const(3.0) : f32 %11 = cast %6 : f32 %12 = div %11, %10 : f32 %99 = cast %12 : i64",
        leaves: "%10 = const(2.5) : f32 %11 = cast %6 : f32 %12 = div %11, %10 : f32 %99 = cast %12 : i64",
    },
    Case {
        rule: "x_to_two_is_square",
        rewrites: "%10 = const(2.0) : f32[4] %99 = pow %2, %10 : f32[4]",
        leaves: "%10 = const(3.0) : f32[4] %99 = pow %2, %10 : f32[4]",
    },
    Case {
        rule: "x_to_half_is_sqrt",
        rewrites: "%10 = const(0.5) : f32[4] %99 = pow %2, %10 : f32[4]",
        leaves: "%10 = const(-0.5) : f32[4] %99 = pow %2, %10 : f32[4]",
    },
    Case {
        rule: "x_to_minus_half_is_rsqrt",
        rewrites: "%10 = const(-0.5) : f32[4] %99 = pow %2, %10 : f32[4]",
        leaves: "%10 = const(0.5) : f32[4] %99 = pow %2, %10 : f32[4]",
    },
    Case {
        rule: "x_over_repeated_y_is_x_times_repeated_inverse",
        rewrites: "%10 = view(i0) %5 : f32[3, 4] %99 = div %4, %10 : f32[3, 4]",
        // As many entries as there are results: nothing is saved.
        leaves: "%10 = view(i0 * -1 + 3) %2 : f32[4] %99 = div %3, %10 : f32[4]",
    },
    Case {
        rule: "factors_repeated_alike_are_multiplied_first",
        rewrites: "%10 = view(i0) %5 : f32[3, 4] %11 = view(i1) %2 : f32[3, 4] %12 = mul %10, %11 : f32[3, 4]
            %13 = exp %5 : f32[3] %14 = view(i0) %13 : f32[3, 4] %99 = mul %12, %14 : f32[3, 4]",
        // The product of the parameters is computed once.
        leaves: "%10 = view(i0) %1 : f32[3, 4] %12 = mul %10, %0 : f32[3, 4]
            %14 = view(i0) %5 : f32[3, 4] %99 = mul %12, %14 : f32[3, 4]",
    },
    Case {
        rule: "identity_view_is_x",
        rewrites: "%99 = view(i0, i1) %4 : f32[3, 4]",
        leaves: "%99 = view(i0, i1) %4 : f32[3, 3]",
    },
    Case {
        rule: "view_of_const_is_const",
        rewrites: "%10 = const(2.0) : f32 %99 = view() %10 : f32[4]",
        leaves: "%99 = view(i0 * -1 + 3) %2 : f32[4]",
    },
    Case {
        rule: "view_of_view_is_view",
        rewrites: "%10 = view(i1, i0) %4 : f32[4, 3] %99 = view(i0 * -1 + 3, i1) %10 : f32[4, 3]",
        leaves: "%10 = reshape %4 : f32[4, 3] %99 = view(i0 * -1 + 3, i1) %10 : f32[4, 3]",
    },
    Case {
        rule: "reshape_to_same_shape_is_x",
        rewrites: "%99 = reshape %4 : f32[3, 4]",
        leaves: "%99 = reshape %4 : f32[4, 3]",
    },
    Case {
        rule: "reshape_of_const_is_const",
        rewrites: "%10 = const(2.0) : f32[12] %99 = reshape %10 : f32[3, 4]",
        leaves: "%99 = reshape %4 : f32[12]",
    },
    Case {
        rule: "reshape_of_reshape_is_reshape",
        rewrites: "%10 = reshape %4 : f32[12] %99 = reshape %10 : f32[4, 3]",
        leaves: "%10 = view(i1, i0) %4 : f32[4, 3] %99 = reshape %10 : f32[12]",
    },
    Case {
        rule: "cast_to_same_type_is_x",
        rewrites: "%99 = cast %6 : i64",
        leaves: "%99 = cast %8 : i64",
    },
    Case {
        rule: "concat_of_one_is_x",
        rewrites: "%99 = concat(axis=0) %2 : f32[4]",
        leaves: "%99 = concat(axis=0) %2, %5 : f32[7]",
    },
    Case {
        rule: "select_by_const_is_branch",
        rewrites: "%10 = const(0.0) : bool %99 = select %10, %6, %7 : i64",
        leaves: "%99 = select %8, %6, %7 : i64",
    },
    Case {
        rule: "select_of_equals_is_branch",
        rewrites: "%99 = select %8, %6, %6 : i64",
        leaves: "%99 = select %8, %6, %7 : i64",
    },
    Case {
        rule: "param_factor_of_all_terms_is_factor_of_sum",
        // `sum(j: b[n] * w[n, j] * x[j])`
        rewrites: "%10 = view(i0) %1 : f32[3, 4] %11 = mul %10, %0 : f32[3, 4] %12 = view(i1) %2 : f32[3, 4]
            %13 = mul %11, %12 : f32[3, 4] %99 = reduce(sum, axes=1) %13 : f32[3]",
        // A factor of the token, which may be infinite.
        leaves: "%10 = view(i0) %5 : f32[3, 4] %11 = mul %10, %0 : f32[3, 4] %12 = view(i1) %2 : f32[3, 4]
            %13 = mul %11, %12 : f32[3, 4] %99 = reduce(sum, axes=1) %13 : f32[3]",
    },
    Case {
        rule: "sum_of_products_with_load_stage_is_matvec",
        rewrites: "%10 = view(i1) %2 : f32[3, 4] %11 = mul %10, %0 : f32[3, 4] %99 = reduce(sum, axes=1) %11 : f32[3]",
        // Two streams: no matrix that could be prepared.
        leaves: "%10 = view(i1) %2 : f32[3, 4] %11 = mul %10, %4 : f32[3, 4] %99 = reduce(sum, axes=1) %11 : f32[3]",
    },
    Case {
        rule: "sum_of_products_with_gathered_matrices_is_indexed_matvec",
        // `sum(c, k: w[index[c], n, k] * x[c, k])`
        rewrites: "%10 = reshape %0 : f32[3, 2, 2] %11 = reshape %6 : i64[1] %12 = reshape %7 : i64[1]
            %13 = concat(axis=0) %11, %12 : i64[2] %14 = gather %10, %13 : f32[2, 2, 2]
            %15 = view(i1, i0, i2) %14 : f32[2, 2, 2] %16 = reshape %2 : f32[2, 2] %17 = view(i1, i2) %16 : f32[2, 2, 2]
            %18 = mul %15, %17 : f32[2, 2, 2] %99 = reduce(sum, axes=2) %18 : f32[2]",
        // What it is multiplied with differs from row to row.
        leaves: "%10 = reshape %0 : f32[3, 2, 2] %11 = reshape %6 : i64[1] %12 = reshape %7 : i64[1]
            %13 = concat(axis=0) %11, %12 : i64[2] %14 = gather %10, %13 : f32[2, 2, 2]
            %15 = view(i1, i0, i2) %14 : f32[2, 2, 2] %16 = reshape %2 : f32[2, 2] %17 = view(i0, i2) %16 : f32[2, 2, 2]
            %18 = mul %15, %17 : f32[2, 2, 2] %99 = reduce(sum, axes=2) %18 : f32[2]",
    },
];

fn rules() -> impl Iterator<Item = Rule> {
    [SIMPLIFY, PRODUCTS].into_iter().flatten().copied().flatten().copied()
}

#[test]
fn every_rule_has_a_name_and_a_case_of_its_own() {
    let mut named: Vec<&str> = rules().map(|rule| rule.name).collect();
    let mut tested: Vec<&str> = CASES.iter().map(|case| case.rule).collect();
    named.sort_unstable();
    tested.sort_unstable();
    assert_eq!(named, tested);
    named.dedup();
    assert_eq!(named, tested);
}

#[test]
fn what_a_rule_makes_means_the_same() {
    for case in CASES {
        let old = graph(case.rewrites);
        let mut new = old.clone();
        let (_, v) = old.outputs[0];
        let Some(made) = (rule(case).rewrite)(&mut new, v) else {
            panic!("{} does not apply to\n{old}", case.rule);
        };
        assert_ne!(made, v, "{}", case.rule);
        new.replace(v, made);
        assert_eq!(verify(&new), [], "{}\n{new}", case.rule);
        for seed in 0..8 {
            let spoilt = spoilt(case.rule);
            assert_same(&results(&old, seed, spoilt), &results(&new, seed, spoilt), case.rule);
        }
    }
}

#[test]
fn a_rule_leaves_alone_what_its_condition_excludes() {
    for case in CASES {
        let old = graph(case.leaves);
        let mut new = old.clone();
        let made = (rule(case).rewrite)(&mut new, old.outputs[0].1);
        assert_eq!(made, None, "{} applies to\n{old}", case.rule);
        assert_eq!(
            new.to_string(),
            old.to_string(),
            "{} changes what it leaves alone",
            case.rule
        );
    }
}

#[test]
fn rewriting_ends() {
    for case in CASES {
        let mut graph = graph(case.rewrites);
        let round = |_: &i32| {
            let changed = rewrite(&mut graph, SIMPLIFY);
            drop_dead(&mut graph);
            changed
        };
        let rounds = (0..32).take_while(round).count();
        assert!(rounds < 4, "{} goes on\n{graph}", case.rule);
    }
}

fn rule(case: &Case) -> Rule {
    rules()
        .find(|rule| rule.name == case.rule)
        .expect("a rule of that name")
}

/// What inputs may hold beside random numbers. A power of minus infinity is infinite, its root is not a number: the one
/// place where a rule changes that.
fn spoilt(rule: &str) -> &'static [f64] {
    match rule {
        "x_to_half_is_sqrt" | "x_to_minus_half_is_rsqrt" => &[f64::NAN, f64::INFINITY, -0.0],
        _ => &[f64::NAN, f64::INFINITY, -0.0, f64::NEG_INFINITY],
    }
}

/// Outputs of a few tokens of random inputs, some of which are of `spoilt`.
fn results(graph: &Graph, seed: u64, spoilt: &[f64]) -> Vec<f64> {
    let mut rng = Rng::new(seed);
    let mut tensor = |ty: &seqc_ir::Ty, spoiled: bool| {
        Tensor::fill(&ty.sizes(), |_| match ty.elem {
            Elem::F32 if spoiled && rng.once_in(4) => *rng.choose(spoilt),
            Elem::F32 => 6.0 * rng.unit() - 3.0,
            Elem::I64 | Elem::Bool => rng.below(9) as f64,
        })
    };
    let params: Vec<Tensor> = graph.params.iter().map(|p| tensor(&p.ty, false)).collect();
    let mut evaluator = Evaluator::new(graph, &params).expect("a valid graph");
    let mut found = Vec::new();
    for token in 0..4 {
        let inputs: Vec<Tensor> = graph.inputs.iter().map(|p| tensor(&p.ty, token % 2 == 1)).collect();
        let outputs = evaluator.step(&inputs).expect("inputs of the graph's types");
        found.extend(outputs.into_iter().flat_map(|t| t.data));
    }
    found
}

fn assert_same(old: &[f64], new: &[f64], rule: &str) {
    assert_eq!(old.len(), new.len(), "{rule}");
    for (a, b) in old.iter().zip(new) {
        let same = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * a.abs().max(1.0);
        assert!(same, "{rule}: {a} became {b}");
    }
}

/// Chosen matrices whose rows are summed are transposed, and what has no such product says why.
#[test]
fn sums_over_chosen_matrices_are_products_or_say_why_not() {
    let picked = "%10 = reshape %0 : f32[3, 2, 2] %11 = reshape %6 : i64[1] %14 = gather %10, %11 : f32[1, 2, 2]
        %15 = reshape %14 : f32[2, 2] %16 = view(i1) %2 : f32[2, 2]";
    let of = |rest: &str| {
        let graph = graph(&format!("{picked} {rest}"));
        let (_, v) = graph.outputs[0];
        (graph, v)
    };
    let (old, v) =
        of("%17 = view(i1, i0) %15 : f32[2, 2] %18 = mul %17, %16 : f32[2, 2] %99 = reduce(sum, axes=1) %18 : f32[2]");
    assert_eq!(why_entry_by_entry(&old, v), None);
    let mut new = old.clone();
    let made = sum_of_products(&mut new, v).expect("a product");
    new.replace(v, made);
    assert_eq!(verify(&new), [], "{new}");
    assert!(
        new.live_order().iter().any(|v| matches!(new.op(*v), Op::IndexedMatVec)),
        "{new}"
    );
    assert_same(
        &results(&old, 1, spoilt("")),
        &results(&new, 1, spoilt("")),
        "sums over rows",
    );
    let cases = [
        (
            "%18 = exp %15 : f32[2, 2] %19 = mul %18, %16 : f32[2, 2]",
            EntryByEntry::FunctionOfEntries,
        ),
        (
            "%18 = view(i0, 0) %15 : f32[2, 2] %19 = mul %18, %16 : f32[2, 2]",
            EntryByEntry::PartOfMatrices,
        ),
        (
            "%18 = view(i0) %2 : f32[2, 2] %19 = mul %15, %18 : f32[2, 2]",
            EntryByEntry::FactorOfRows,
        ),
        ("%19 = view(i0, i1) %15 : f32[2, 2]", EntryByEntry::NoVector),
    ];
    for (nodes, reason) in cases {
        let (graph, v) = of(&format!("{nodes} %99 = reduce(sum, axes=1) %19 : f32[2]"));
        assert_eq!(why_entry_by_entry(&graph, v), Some(reason), "{graph}");
    }
}

fn sum_of_products(graph: &mut Graph, v: Value) -> Option<Value> {
    let rule = rules().find(|rule| rule.name == "sum_of_products_with_gathered_matrices_is_indexed_matvec");
    rule.and_then(|rule| (rule.rewrite)(graph, v))
}

/// `sum(i, n: w[i, k] * b[i] * (w[i, n] * x[n]))` is two products, and a vector in another order than a matrix is one.
#[test]
fn sums_over_several_matrices_are_products() {
    let chain =
        "%10 = view(i1, i0) %0 : f32[4, 3, 4] %11 = view(i1) %1 : f32[4, 3, 4] %12 = mul %10, %11 : f32[4, 3, 4]
        %13 = view(i1, i2) %0 : f32[4, 3, 4] %14 = view(i2) %2 : f32[4, 3, 4] %15 = mul %13, %14 : f32[4, 3, 4]
        %16 = mul %12, %15 : f32[4, 3, 4] %99 = reduce(sum, axes=2) %16 : f32[4]";
    let turned = "%10 = reshape %0 : f32[3, 2, 2] %11 = reshape %2 : f32[2, 2] %12 = view(i2, i1) %11 : f32[3, 2, 2]
        %13 = mul %10, %12 : f32[3, 2, 2] %99 = reduce(sum, axes=2) %13 : f32[3]";
    for (nodes, products) in [(chain, 2), (turned, 1)] {
        let old = graph(nodes);
        let mut new = old.clone();
        for _ in 0..4 {
            rewrite(&mut new, SIMPLIFY);
        }
        rewrite(&mut new, PRODUCTS);
        drop_dead(&mut new);
        assert_eq!(verify(&new), [], "{new}");
        let found = new.live_order().into_iter().filter(|v| *new.op(*v) == Op::MatVec);
        assert_eq!(found.count(), products, "{new}");
        for seed in 0..8 {
            let spoilt = spoilt("");
            assert_same(&results(&old, seed, spoilt), &results(&new, seed, spoilt), nodes);
        }
    }
}
