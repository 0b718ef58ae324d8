//! Attention kernels against the evaluator: scores, masks, normalisers, heads, and caches that wrap around.

mod call;
mod case;
mod cases;
mod device;
mod harness;

use crate::support::{Loaded, Random, fibers, targets};
use case::{Case, case};
use cases::{binary, cases, distance, number, segment, unary, window};
pub(crate) use device::{Attention, assembly};
use harness::{Kernel, Operands, Session, add, add_barrier, expected};
use seqc_backends::{kernel::Module, mlir::Target};
use seqc_ir::{BinaryOp, Clock, Normaliser, PairExpr, UNSEEN, UnaryOp};
use std::time::Instant;

/// How a sequence is cut: the length of the next chunk.
fn cuts(case: &Case, random: &mut Random) -> Vec<Vec<usize>> {
    if !case.attend.spec.causal {
        return vec![vec![case.tokens]];
    }
    let most = case.attend.max_chunk;
    let even = |n| vec![n; case.tokens.div_ceil(n)];
    let uneven = (0..case.tokens).map(|_| 1 + random.bits() as usize % most).collect();
    vec![even(1), even(7), even(16), even(most), uneven]
}

#[test]
fn attention_agrees_with_the_evaluator() {
    for target in targets() {
        let cases = cases(&target);
        let mut module = Module::default();
        for case in &cases {
            add(&mut module, &case.attend, false);
        }
        let loaded = Loaded::new(module, &target);
        let mut random = Random::new(3);
        for case in &cases {
            let operands = Operands::new(case, &mut random);
            let want = expected(case, &operands);
            let kernel = Kernel::load(&case.attend, &loaded, false);
            for (n, cut) in cuts(case, &mut random).into_iter().enumerate() {
                let (operands, want) = (&operands, &want[..]);
                check(case, &kernel, &Sequence { operands, want }, &cut, 1 + n % 3);
            }
            for _ in 0..4 {
                let operands = Operands::new(case, &mut random).spoiled(case, &mut random);
                let want = expected(case, &operands);
                for (n, cut) in cuts(case, &mut random).into_iter().enumerate().skip(2) {
                    let (operands, want) = (&operands, &want[..]);
                    check(case, &kernel, &Sequence { operands, want }, &cut, 1 + n % 3);
                }
            }
        }
    }
}

/// Cases whose products of many rows run on matrix units: masks, scores, normalisers, clocks, stored numbers and widths of all kinds.
const ON_MATRIX_UNITS: [&str; 22] = [
    "a_plain",
    "a_odd",
    "a_wide",
    "a_whole",
    "a_whole_window",
    "a_window",
    "a_sinks",
    "a_documents",
    "a_per_head",
    "a_nothing",
    "a_capped",
    "a_alibi",
    "a_forgetting",
    "a_sum",
    "a_linear_window",
    "a_bias",
    "a_f16_plain",
    "a_f16_odd",
    "a_bf16_wide",
    "a_bf16_clocked",
    "a_latent_odd",
    "a_latent_f16",
];

/// Cases that matrix units compute, with two whose tiles begin within a token.
fn on_matrix_units(target: &Target) -> Vec<Case> {
    let mut cases = cases(target);
    cases.retain(|case| ON_MATRIX_UNITS.contains(&&case.attend.name[..]));
    assert_eq!(cases.len(), ON_MATRIX_UNITS.len());
    cases.push(case("grouped", target, [16, 2, 64, 64]));
    cases.push(case("five_of_one", target, [5, 1, 32, 48]).predicate(window(70.0)));
    cases
}

/// Checks one case in chunks; with `split`, members of a block share pages.
fn check_matrix_units(case: &Case, split: bool) {
    let target = fibers();
    let mut module = Module::default();
    if split {
        add_barrier(&mut module);
    }
    add(&mut module, &case.attend, split);
    let has = |part: &str| module.functions().any(|f| f.name().ends_with(part));
    assert!(has("_products_matrices"), "{}", case.attend.name);
    let shares = split && case.attend.values_in_keys.is_none();
    assert_eq!(has("_products_of_block_matrices"), shares, "{}", case.attend.name);
    let loaded = Loaded::new(module, &target);
    let kernel = Kernel::load(&case.attend, &loaded, split);
    let random = &mut Random::new(3);
    let plain = Operands::new(case, random);
    let spoiled = Operands::new(case, random).spoiled(case, random);
    for (n, operands) in [plain, spoiled].iter().enumerate() {
        let want = &expected(case, operands)[..];
        let cuts = cuts(case, random);
        let all = Sequence { operands, want };
        // Chunks of the greatest length and of any, and alone of one token and of few.
        let from = if n == 0 && !split { 0 } else { 3 };
        for (n, cut) in cuts.iter().enumerate().skip(from.min(cuts.len() - 1)) {
            let threads = if split { [11, 8, 3][n % 3] } else { 1 + n % 3 };
            check(case, &kernel, &all, cut, threads);
        }
    }
}

#[test]
fn many_rows_attend_on_matrix_units() {
    let cases = on_matrix_units(&fibers());
    cases.iter().step_by(4).for_each(|case| check_matrix_units(case, false));
}

#[test]
fn members_of_a_block_share_pages() {
    let mut cases = on_matrix_units(&fibers());
    // One copy of a page has room, and values have several panels.
    cases.push(case("long_rows", &fibers(), [4, 2, 128, 130]).tokens(90));
    // The others are those of members alone.
    let shared = cases.iter().enumerate().filter(|(n, _)| n % 4 != 0);
    shared.for_each(|(_, case)| check_matrix_units(case, true));
}

/// One token at a time on more threads than divide the heads.
#[test]
fn threads_share_the_pages() {
    use BinaryOp::*;
    for target in targets() {
        let case = |name: &str, sizes| case(name, &target, sizes).tokens(560);
        let exp = unary(UnaryOp::Exp, PairExpr::Score);
        let sinks = binary(Lt, PairExpr::KeyPos, number(70.0));
        let late = binary(Lt, PairExpr::KeyPos, number(20.0));
        let steps = unary(UnaryOp::Floor, binary(Mul, PairExpr::KeyStream(0), number(4.0)));
        let nothing = binary(Gt, distance(), number(530.0));
        let cases = [
            case("plain", [6, 2, 16, 24]),
            case("many", [50, 1, 8, 8]),
            case("late", [6, 2, 16, 24]).predicate(late),
            case("sinks", [6, 2, 16, 24])
                .predicate(binary(Or, sinks, window(300.0)))
                .tokens(1100),
            case("sum", [6, 2, 16, 24]).score(exp).normaliser(Normaliser::Sum),
            case("linear", [6, 2, 16, 24]).normaliser(Normaliser::None),
            case("log_sum", [6, 2, 16, 24]).predicate(window(300.0)).log_sum(),
            case("none", [6, 2, 16, 24]).predicate(nothing).log_sum(),
            case("keys", [6, 2, 16, 24]).clock(Clock::Keys).log_sum().tokens(1500),
            case("both", [6, 2, 16, 24]).clock(Clock::Both).tokens(1500),
            case("top", [6, 2, 16, 0]).normaliser(Normaliser::Top(11)),
            case("top_ties", [6, 2, 16, 0])
                .normaliser(Normaliser::Top(11))
                .score(steps)
                .streams(&[], &[1]),
            case("top_both", [6, 2, 16, 0])
                .normaliser(Normaliser::Top(11))
                .clock(Clock::Both)
                .tokens(1500),
        ];
        let mut module = Module::default();
        add_barrier(&mut module);
        for case in &cases {
            add(&mut module, &case.attend, true);
        }
        let loaded = Loaded::new(module, &target);
        for case in &cases {
            let operands = Operands::new(case, &mut Random::new(5));
            let want = expected(case, &operands);
            let kernel = Kernel::load(&case.attend, &loaded, true);
            let cut = [vec![40; (case.tokens - 40) / 40], vec![1; 60]].concat();
            let (operands, want) = (&operands, &want[..]);
            check(case, &kernel, &Sequence { operands, want }, &cut, 3);
            for seed in 0..4 {
                let random = &mut Random::new(seed);
                let operands = Operands::new(case, random).spoiled(case, random);
                let want = expected(case, &operands);
                let (operands, want) = (&operands, &want[..]);
                check(case, &kernel, &Sequence { operands, want }, &cut, 3);
            }
        }
    }
}

/// What the query says bounds the pages: those that it does not name are not even read.
#[test]
fn pages_are_chosen_by_the_query() {
    use BinaryOp::*;
    for target in targets() {
        let block = binary(Eq, segment(PairExpr::KeyPos, 64.0), PairExpr::QueryStream(0));
        let case = case("chosen", &target, [6, 2, 16, 24])
            .predicate(binary(Or, block, window(20.0)))
            .streams(&[6], &[])
            .tokens(560);
        let mut module = Module::default();
        add(&mut module, &case.attend, false);
        let loaded = Loaded::new(module, &target);
        let mut operands = Operands::new(&case, &mut Random::new(5));
        // The heads of both key heads name pages 1 and 3 at the last token.
        let last = case.tokens - 1;
        for (n, named) in operands.rows[3].iter_mut().enumerate() {
            *named = if n / 6 < last {
                (n % 7) as f32
            } else {
                [1.0, 3.0][n % 6 / 3]
            };
        }
        let want = expected(&case, &operands);
        let kernel = Kernel::load(&case.attend, &loaded, false);
        let width = case.attend.result_len();
        let mut got = vec![0.0; width];
        let mut session = Session::new(&kernel, case.tokens, 1);
        for position in (0..last).step_by(13) {
            let mut out = vec![0.0; width * 13];
            session.step(&operands, position, 13, &mut out);
        }
        let page = session.states[1].len() / case.tokens.div_ceil(64);
        for (n, page) in session.states[1].chunks_mut(page).enumerate() {
            if ![1, 3, 8].contains(&n) {
                page.iter_mut().for_each(|line| line.0.fill(f32::NAN));
            }
        }
        session.step(&operands, last, 1, &mut got);
        for (got, want) in got.iter().zip(&want[last * width..]) {
            assert!((f64::from(*got) - want).abs() < 1e-5, "{got}, not {want}");
        }
    }
}

/// Comparisons of positions are exact: far from the beginning everything is as it is near it.
#[test]
fn positions_are_exact_up_to_two_gigatokens() {
    for target in targets() {
        let far = ["window", "segments", "blocks", "dilated_window", "linear_window"];
        let dilated = binary(
            BinaryOp::Eq,
            binary(BinaryOp::Mod, PairExpr::KeyPos, number(3.0)),
            number(0.0),
        );
        let both =
            case("dilated_window", &target, [6, 2, 16, 24]).predicate(binary(BinaryOp::And, dilated, window(50.0)));
        let mut cases = cases(&target);
        cases.push(both);
        cases.retain(|c| far.contains(&&c.attend.name[2..]));
        let mut module = Module::default();
        for case in &cases {
            add(&mut module, &case.attend, false);
        }
        let loaded = Loaded::new(module, &target);
        for case in &cases {
            let operands = Operands::new(case, &mut Random::new(9));
            let kernel = Kernel::load(&case.attend, &loaded, false);
            let width = case.attend.result_len();
            // A multiple of every ring and segment of the cases.
            let period = 64 * 9 * (3 * 4 * 5);
            let results = [1, ((1 << 31) - 1000) / period].map(|times| {
                let mut out = vec![0.0; width * 200];
                let mut session = Session::new(&kernel, case.tokens, 1);
                session.origin = times * period;
                for position in (0..200).step_by(40) {
                    session.step(&operands, position, 40, &mut out[position * width..]);
                }
                out
            });
            assert!(results[0] == results[1], "{}", case.attend.name);
        }
    }
}

/// What a sequence reads, and what must come out.
struct Sequence<'a> {
    operands: &'a Operands,
    want: &'a [f64],
}

/// Reads a sequence in chunks.
fn check(case: &Case, kernel: &Kernel<'_>, sequence: &Sequence<'_>, cut: &[usize], threads: usize) {
    let Sequence { operands, want } = *sequence;
    let width = case.attend.result_len();
    let mut got = vec![f32::NAN; width * case.tokens + 16];
    let mut session = Session::new(kernel, case.tokens, threads);
    let mut position = 0;
    for count in cut {
        let count = (*count).min(case.tokens - position);
        if count > 0 {
            session.step(operands, position, count, &mut got[position * width..]);
        }
        position += count;
    }
    assert!(
        got[width * case.tokens..].iter().all(|x| x.is_nan()),
        "wrote past the result"
    );
    let seen = want.iter().filter(|x| **x != UNSEEN && x.is_finite());
    let largest = seen.fold(0.0f64, |a, b| a.max(b.abs())).max(1e-3);
    for (n, (got, want)) in got.iter().zip(want).enumerate() {
        let near = if *want == UNSEEN {
            *got == UNSEEN as f32
        } else if !want.is_finite() {
            want.is_nan() == got.is_nan() && (want.is_nan() || *want as f32 == *got)
        } else {
            (f64::from(*got) - want).abs() <= 1e-5 * largest
        };
        let (token, entry) = (n / width, n % width);
        assert!(
            near,
            "{} ({} lanes, chunks of {}, {threads} threads) token {token} entry {entry}: {got}, not {want}",
            case.attend.name, case.attend.machine.lanes, cut[0]
        );
    }
}

/// Speeds of this machine. `cargo test -p seqc-backends --test native -- --ignored --nocapture speed_of_attention`
#[test]
#[ignore = "a measurement"]
fn speed_of_attention() {
    for target in targets() {
        let long = case("long", &target, [12, 12, 64, 64]).tokens(4096);
        let short = case("short", &target, [12, 12, 64, 64])
            .predicate(window(512.0))
            .tokens(4096);
        let decode = case("decode", &target, [12, 12, 64, 64]).tokens(32768 + 64);
        let grouped = case("grouped", &target, [9, 3, 64, 64]).tokens(32768 + 64);
        let mut all = [long, short, decode, grouped];
        let mut module = Module::default();
        for case in &mut all {
            case.attend.max_chunk = 512;
            add(&mut module, &case.attend, false);
        }
        let start = Instant::now();
        if let Ok(dir) = std::env::var("ATTEND_DUMP") {
            let mut module = Module::default();
            for case in &all {
                add(&mut module, &case.attend, false);
            }
            let text = seqc_backends::mlir::print(&module);
            let o = seqc_backends::mlir::compile(&text, &target, seqc_backends::mlir::Emit::Obj).unwrap();
            std::fs::write(format!("{dir}/attend{}.o", target.width()), o).unwrap();
        }
        let loaded = Loaded::new(module, &target);
        println!(
            "{} lanes, compiled in {:.2} s",
            target.width(),
            start.elapsed().as_secs_f64()
        );
        let [long, short, decode, grouped] = &all;
        time_prompt(&Kernel::load(&long.attend, &loaded, false), long, 4097 * 2048);
        time_prompt(
            &Kernel::load(&short.attend, &loaded, false),
            short,
            512 * 4096 - 256 * 511,
        );
        time_decode(&Kernel::load(&decode.attend, &loaded, false), decode);
        time_decode(&Kernel::load(&grouped.attend, &loaded, false), grouped);
    }
}

/// A prompt in chunks, one thread; `pairs` of query and key that are seen.
fn time_prompt(kernel: &Kernel<'_>, case: &Case, pairs: usize) {
    let a = &case.attend;
    let operands = Operands::new(case, &mut Random::new(1));
    let width = a.heads * a.value_dim;
    let mut out = vec![0.0; width * case.tokens];
    let mut best = f64::MAX;
    for _ in 0..5 {
        let mut session = Session::new(kernel, case.tokens, 1);
        let start = Instant::now();
        for position in (0..case.tokens).step_by(a.max_chunk) {
            session.step(&operands, position, a.max_chunk, &mut out[position * width..]);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let flops = 2.0 * (pairs * a.heads * (a.key_dim + a.value_dim)) as f64;
    println!("{}: {:.1} ms, {:.0} GFLOP/s", a.name, best * 1e3, flops / best / 1e9);
}

/// One token after 32768, one thread.
fn time_decode(kernel: &Kernel<'_>, case: &Case) {
    let a = &case.attend;
    let operands = Operands::new(case, &mut Random::new(1));
    let mut session = Session::new(kernel, case.tokens, 1);
    let mut out = vec![0.0; a.heads * a.value_dim];
    let keys = case.tokens - 64;
    for state in &mut session.states {
        for (line, x) in state.iter_mut().zip(operands.rows[1].iter().cycle()) {
            line.0.fill(*x);
        }
    }
    let mut best = f64::MAX;
    for n in 0..20 {
        let start = Instant::now();
        session.step(&operands, keys + n, 1, &mut out);
        best = best.min(start.elapsed().as_secs_f64());
    }
    let bytes = 4.0 * (keys * a.groups * (a.key_dim + a.value_dim)) as f64;
    println!("{}: {:.2} ms, {:.1} GB/s", a.name, best * 1e3, bytes / best / 1e9);
}
