//! Attention kernels against the evaluator: scores, masks, normalisers, heads, and caches that wrap around.

mod harness;

use crate::support::{Loaded, Random, targets};
use harness::{Case, Kernel, Operands, Session, add, add_barrier, case, expected};
use seqc_backends::{kernel::Module, mlir::Target};
use seqc_ir::{BinaryOp, Clock, Normaliser, PairExpr, UNSEEN, UnaryOp};
use std::time::Instant;

fn binary(op: BinaryOp, x: PairExpr, y: PairExpr) -> PairExpr {
    PairExpr::Binary(op, Box::new(x), Box::new(y))
}

fn unary(op: UnaryOp, x: PairExpr) -> PairExpr {
    PairExpr::Unary(op, Box::new(x))
}

fn number(c: f64) -> PairExpr {
    PairExpr::Const(c)
}

fn distance() -> PairExpr {
    binary(BinaryOp::Sub, PairExpr::QueryPos, PairExpr::KeyPos)
}

fn window(size: f64) -> PairExpr {
    binary(BinaryOp::Lt, distance(), number(size))
}

fn segment(x: PairExpr, size: f64) -> PairExpr {
    unary(UnaryOp::Floor, binary(BinaryOp::Div, x, number(size)))
}

fn cases(target: &Target) -> Vec<Case> {
    let case = |name: &str, sizes: [usize; 4]| case(name, target, sizes);
    let lists = [
        masks(&case),
        scores(&case),
        normalisers(&case),
        tables(&case),
        clocks(&case),
        best(&case),
    ];
    lists.into_iter().flatten().collect()
}

fn masks(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let (i, j) = (PairExpr::QueryPos, PairExpr::KeyPos);
    let sinks = binary(Lt, j.clone(), number(70.0));
    let same_document = binary(Eq, PairExpr::QueryStream(0), PairExpr::KeyStream(0));
    let gate = binary(Gt, PairExpr::KeyStream(1), number(0.0));
    let per_head = binary(
        Lt,
        distance(),
        binary(Pow, number(3.0), binary(Add, PairExpr::Head, number(1.0))),
    );
    let dilated = binary(Eq, binary(Mod, distance(), number(3.0)), number(0.0));
    let blocks = binary(
        Le,
        binary(Sub, segment(i.clone(), 24.0), segment(j.clone(), 24.0)),
        number(1.0),
    );
    let capped = binary(Gt, binary(Min, distance(), number(80.0)), number(20.5));
    vec![
        case("plain", [4, 2, 64, 64]),
        case("odd", [3, 3, 7, 10]),
        case("wide", [2, 1, 96, 80]),
        case("whole", [2, 2, 24, 8]).whole(),
        case("whole_window", [2, 2, 24, 8])
            .predicate(binary(Lt, unary(UnaryOp::Abs, distance()), number(30.0)))
            .whole(),
        case("window", [6, 2, 16, 24]).predicate(window(50.0)).tokens(900),
        case("sinks", [6, 2, 16, 24])
            .predicate(binary(Or, sinks, window(33.0)))
            .tokens(900),
        case("segments", [6, 2, 16, 24]).predicate(binary(Eq, segment(i, 48.0), segment(j, 48.0))),
        case("blocks", [6, 2, 16, 24]).predicate(blocks).tokens(400),
        case("documents", [6, 2, 16, 24])
            .predicate(binary(And, same_document.clone(), gate))
            .streams(&[1], &[1, 1]),
        case("ring_streams", [6, 2, 16, 24])
            .predicate(binary(And, same_document, window(50.0)))
            .streams(&[1], &[1])
            .tokens(900),
        case("per_head", [6, 2, 16, 24]).predicate(per_head).tokens(800),
        case("dilated", [6, 2, 16, 24]).predicate(dilated),
        case("far", [6, 2, 16, 24]).predicate(capped),
        case("reach", [6, 2, 16, 24])
            .predicate(binary(
                Lt,
                distance(),
                binary(
                    Min,
                    binary(Mul, PairExpr::KeyStream(0), number(90.0)),
                    binary(Max, PairExpr::QueryStream(0), number(40.0)),
                ),
            ))
            .streams(&[6], &[1]),
        case("nothing", [6, 2, 16, 24]).predicate(binary(Lt, distance(), number(0.0))),
    ]
}

fn scores(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let s = || PairExpr::Score;
    let capped = binary(Mul, number(2.0), unary(UnaryOp::Tanh, binary(Div, s(), number(2.0))));
    let exponent = binary(Div, binary(Add, PairExpr::Head, number(1.0)), number(-2.0));
    let alibi = binary(Sub, s(), binary(Mul, binary(Pow, number(2.0), exponent), distance()));
    let slopes = binary(
        Sub,
        s(),
        binary(Mul, PairExpr::QueryStream(0), binary(Div, distance(), number(7.0))),
    );
    let with_key = binary(Add, slopes, PairExpr::KeyStream(0));
    // A decay of each head from the key to the query, and one number of the key for all heads.
    let decay = binary(Sub, PairExpr::QueryStream(0), PairExpr::KeyStream(1));
    let forgetting = binary(Add, binary(Add, s(), decay), PairExpr::KeyStream(0));
    let unseen = PairExpr::Select(
        Box::new(binary(Eq, binary(Mod, PairExpr::KeyPos, number(5.0)), number(2.0))),
        Box::new(s()),
        Box::new(number(f64::NEG_INFINITY)),
    );
    let near = PairExpr::Select(
        Box::new(binary(Eq, PairExpr::QueryPos, PairExpr::KeyPos)),
        Box::new(binary(Sub, s(), number(1.0))),
        Box::new(binary(
            Add,
            s(),
            binary(Mul, number(0.125), binary(Min, distance(), number(8.0))),
        )),
    );
    vec![
        case("capped", [6, 2, 16, 24]).score(capped),
        case("alibi", [6, 2, 16, 24]).score(alibi),
        case("streams", [6, 2, 16, 24]).score(with_key).streams(&[6], &[1]),
        case("forgetting", [6, 2, 16, 24])
            .score(forgetting.clone())
            .streams(&[6], &[1, 6]),
        case("forgetting_window", [6, 2, 16, 24])
            .score(forgetting)
            .predicate(binary(
                And,
                window(50.0),
                binary(Gt, PairExpr::KeyStream(1), number(-0.5)),
            ))
            .streams(&[6], &[1, 6])
            .tokens(900),
        case("unseen", [6, 2, 16, 24]).score(unseen),
        case("near", [6, 2, 16, 24]).score(near),
    ]
}

fn normalisers(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    let exp = || unary(UnaryOp::Exp, PairExpr::Score);
    let later = || binary(BinaryOp::Gt, distance(), number(70.0));
    vec![
        case("sum", [6, 2, 16, 24]).score(exp()).normaliser(Normaliser::Sum),
        case("sum_far", [6, 2, 16, 24])
            .score(exp())
            .normaliser(Normaliser::Sum)
            .predicate(later()),
        case("linear", [6, 2, 16, 24]).normaliser(Normaliser::None),
        case("linear_window", [6, 2, 16, 24])
            .normaliser(Normaliser::None)
            .predicate(window(60.0)),
    ]
}

fn tables(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let plus = |indices| binary(Add, PairExpr::Score, PairExpr::Table(0, indices));
    let bucket = unary(
        UnaryOp::Log,
        binary(Add, binary(Max, distance(), number(0.0)), number(1.5)),
    );
    let key = || binary(Mul, PairExpr::KeyStream(0), number(0.5));
    let gate = binary(Gt, PairExpr::Table(0, vec![distance()]), number(0.0));
    let strided = binary(Sub, binary(Mul, number(2.0), PairExpr::KeyPos), PairExpr::QueryPos);
    vec![
        case("bias", [6, 2, 16, 24])
            .score(plus(vec![PairExpr::Head, distance()]))
            .tables(&[&[6, 100]])
            .log_sum(),
        case("forward", [6, 2, 16, 24])
            .score(plus(vec![binary(Sub, PairExpr::KeyPos, PairExpr::QueryPos)]))
            .tables(&[&[300]])
            .whole(),
        case("short_bias", [6, 2, 16, 24])
            .score(plus(vec![distance()]))
            .tables(&[&[5]]),
        case("strided", [6, 2, 16, 24])
            .score(plus(vec![strided]))
            .tables(&[&[300]]),
        case("buckets", [6, 2, 16, 24])
            .score(plus(vec![binary(Mul, bucket, number(3.0))]))
            .tables(&[&[20]]),
        case("codes", [6, 2, 16, 24])
            .score(plus(vec![PairExpr::QueryStream(0), key(), segment(distance(), 9.0)]))
            .streams(&[1], &[1])
            .tables(&[&[7, 3, 8]]),
        case("of_query", [6, 2, 16, 24])
            .score(binary(Add, plus(vec![segment(PairExpr::QueryPos, 3.0)]), key()))
            .streams(&[], &[1])
            .tables(&[&[50]]),
        case("chosen", [6, 2, 16, 24])
            .predicate(binary(
                Or,
                binary(
                    Eq,
                    segment(PairExpr::KeyPos, 16.0),
                    unary(UnaryOp::Floor, binary(Mul, PairExpr::QueryStream(0), number(9.0))),
                ),
                binary(Lt, distance(), binary(Mul, PairExpr::QueryStream(0), number(30.0))),
            ))
            .streams(&[6], &[]),
        case("gated", [6, 2, 16, 24]).predicate(gate).tables(&[&[90]]).log_sum(),
    ]
}

fn clocks(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let biased = || binary(Add, PairExpr::Score, PairExpr::Table(0, vec![distance()]));
    let later = || binary(Gt, distance(), number(40.0));
    let with_streams = binary(
        Add,
        PairExpr::Score,
        binary(Mul, PairExpr::QueryStream(0), PairExpr::KeyStream(0)),
    );
    let sinks = || binary(Or, binary(Lt, PairExpr::KeyPos, number(20.0)), window(30.0));
    let exp = || unary(UnaryOp::Exp, PairExpr::Score);
    let each = |name: &str, clock| {
        let case = |part: &str, sizes| case(&format!("{name}_{part}"), sizes).clock(clock);
        vec![
            case("plain", [4, 2, 64, 64]).log_sum(),
            case("odd", [3, 3, 7, 10]),
            case("window", [6, 2, 16, 24]).predicate(window(30.0)).tokens(900),
            case("sinks", [6, 2, 16, 24]).predicate(sinks()).tokens(900),
            case("late", [6, 2, 16, 24]).predicate(later()).log_sum(),
            case("streams", [6, 2, 16, 24])
                .score(with_streams.clone())
                .streams(&[6], &[1]),
            case("biased", [6, 2, 16, 24]).score(biased()).tables(&[&[40]]),
            case("whole", [2, 2, 24, 8]).whole(),
            case("sum", [6, 2, 16, 24]).score(exp()).normaliser(Normaliser::Sum),
            case("linear", [6, 2, 16, 24]).normaliser(Normaliser::None),
        ]
    };
    let mut all = each("keys", Clock::Keys);
    all.extend(each("both", Clock::Both));
    all
}

fn best(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    // Many ties: the earlier key comes first.
    let steps = || unary(UnaryOp::Floor, binary(Mul, PairExpr::KeyStream(0), number(4.0)));
    let later = binary(Gt, distance(), number(40.0));
    let sinks = binary(Or, binary(Lt, PairExpr::KeyPos, number(70.0)), window(100.0));
    let case = |name: &str, sizes, n| case(name, sizes).normaliser(Normaliser::Top(n));
    vec![
        case("top", [4, 2, 64, 0], 1),
        case("top_odd", [3, 3, 7, 0], 5),
        case("top_many", [6, 2, 16, 0], 64),
        case("top_late", [6, 2, 16, 0], 9).predicate(later),
        case("top_ties", [6, 2, 16, 0], 17).score(steps()).streams(&[], &[1]),
        case("top_window", [6, 2, 16, 0], 16)
            .predicate(window(50.0))
            .tokens(900),
        case("top_sinks", [6, 2, 16, 0], 7)
            .predicate(sinks)
            .score(steps())
            .streams(&[], &[1])
            .tokens(900),
        case("top_keys", [6, 2, 16, 0], 4).clock(Clock::Keys),
        case("top_both", [6, 2, 16, 0], 4).clock(Clock::Both),
        case("top_whole", [6, 2, 16, 0], 4).whole(),
    ]
}

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
                check(case, (&kernel, 1 + n % 3), (&operands, &want), &cut);
            }
            for _ in 0..4 {
                let operands = Operands::new(case, &mut random).spoiled(case, &mut random);
                let want = expected(case, &operands);
                for (n, cut) in cuts(case, &mut random).into_iter().enumerate().skip(2) {
                    check(case, (&kernel, 1 + n % 3), (&operands, &want), &cut);
                }
            }
        }
    }
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
            check(case, (&kernel, 3), (&operands, &want), &cut);
            for seed in 0..4 {
                let random = &mut Random::new(seed);
                let operands = Operands::new(case, random).spoiled(case, random);
                let want = expected(case, &operands);
                check(case, (&kernel, 3), (&operands, &want), &cut);
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
        let width = case.attend.heads * case.attend.result_width();
        let mut got = vec![0.0; width];
        let mut session = Session::new(&kernel, case.tokens, 1);
        for position in (0..last).step_by(13) {
            let mut out = vec![0.0; width * 13];
            session.step(&operands, (position, 13), &mut out);
        }
        let page = session.states[1].len() / case.tokens.div_ceil(64);
        for (n, page) in session.states[1].chunks_mut(page).enumerate() {
            if ![1, 3, 8].contains(&n) {
                page.iter_mut().for_each(|line| line.0.fill(f32::NAN));
            }
        }
        session.step(&operands, (last, 1), &mut got);
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
            let width = case.attend.heads * case.attend.result_width();
            // A multiple of every ring and segment of the cases.
            let period = 64 * 9 * (3 * 4 * 5);
            let results = [1, ((1 << 31) - 1000) / period].map(|times| {
                let mut out = vec![0.0; width * 200];
                let mut session = Session::new(&kernel, case.tokens, 1);
                session.origin = times * period;
                for position in (0..200).step_by(40) {
                    session.step(&operands, (position, 40), &mut out[position * width..]);
                }
                out
            });
            assert!(results[0] == results[1], "{}", case.attend.name);
        }
    }
}

fn check(case: &Case, (kernel, threads): (&Kernel<'_>, usize), (operands, want): (&Operands, &[f64]), cut: &[usize]) {
    let width = case.attend.heads * case.attend.result_width();
    let mut got = vec![f32::NAN; width * case.tokens + 16];
    let mut session = Session::new(kernel, case.tokens, threads);
    let mut position = 0;
    for count in cut {
        let count = (*count).min(case.tokens - position);
        if count > 0 {
            session.step(operands, (position, count), &mut got[position * width..]);
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
            case.attend.name, case.attend.lanes, cut[0]
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
            session.step(&operands, (position, a.max_chunk), &mut out[position * width..]);
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
        session.step(&operands, (keys + n, 1), &mut out);
        best = best.min(start.elapsed().as_secs_f64());
    }
    let bytes = 4.0 * (keys * a.groups * (a.key_dim + a.value_dim)) as f64;
    println!("{}: {:.2} ms, {:.1} GB/s", a.name, best * 1e3, bytes / best / 1e9);
}
