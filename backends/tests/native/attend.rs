//! Attention kernels against the evaluator: scores, masks, normalisers, heads, and caches that wrap around.

use crate::support::{Loaded, Random, export, targets};
use seqc_abi::StateKind;
use seqc_backends::{
    kernels::Attend,
    mlir::Target,
    text::{Module, Ty},
};
use seqc_ir::{
    AttendSpec, BinaryOp, Elem, Graph, Normaliser, ScoreExpr, UnaryOp,
    eval::{Evaluator, Tensor},
};
use std::time::Instant;

type Append = extern "C" fn(*const f32, i64, *const f32, i64, *mut f32, *mut f32, i64, i64, i64, i64);
type Stream = extern "C" fn(*const f32, i64, *mut f32, i64, i64);
type Run =
    extern "C" fn(*const f32, i64, *mut f32, i64, *const f32, *const f32, *const u64, i64, i64, *mut f32, i64, i64);

fn binary(op: BinaryOp, x: ScoreExpr, y: ScoreExpr) -> ScoreExpr {
    ScoreExpr::Binary(op, Box::new(x), Box::new(y))
}

fn unary(op: UnaryOp, x: ScoreExpr) -> ScoreExpr {
    ScoreExpr::Unary(op, Box::new(x))
}

fn number(c: f64) -> ScoreExpr {
    ScoreExpr::Const(c)
}

fn distance() -> ScoreExpr {
    binary(BinaryOp::Sub, ScoreExpr::QueryPos, ScoreExpr::KeyPos)
}

fn window(size: f64) -> ScoreExpr {
    binary(BinaryOp::Lt, distance(), number(size))
}

fn segment(x: ScoreExpr, size: f64) -> ScoreExpr {
    unary(UnaryOp::Floor, binary(BinaryOp::Div, x, number(size)))
}

/// A kernel and how long its sequences are.
struct Case {
    attend: Attend,
    tokens: usize,
}

/// Plain causal softmax attention of `H` query heads, `G` key heads, `E` and `F` entries.
fn case(name: &str, target: &Target, [heads, groups, key_dim, value_dim]: [usize; 4]) -> Case {
    let spec = AttendSpec {
        scale: (key_dim as f64).powf(-0.5),
        predicate: None,
        score: None,
        normaliser: Normaliser::Softmax,
        causal: true,
        query_streams: 0,
        key_streams: 0,
    };
    let attend = Attend {
        name: format!("a_{name}"),
        spec,
        heads,
        groups,
        key_dim,
        value_dim,
        query_widths: Vec::new(),
        max_chunk: 40,
        lanes: target.width(),
    };
    Case { attend, tokens: 230 }
}

impl Case {
    fn predicate(mut self, predicate: ScoreExpr) -> Case {
        self.attend.spec.predicate = Some(predicate);
        self
    }

    fn score(mut self, score: ScoreExpr) -> Case {
        self.attend.spec.score = Some(score);
        self
    }

    fn normaliser(mut self, normaliser: Normaliser) -> Case {
        self.attend.spec.normaliser = normaliser;
        self
    }

    /// Widths of the query streams, and how many key streams.
    fn streams(mut self, widths: &[usize], keys: usize) -> Case {
        self.attend.query_widths = widths.to_vec();
        self.attend.spec.query_streams = widths.len();
        self.attend.spec.key_streams = keys;
        self
    }

    fn whole(mut self) -> Case {
        self.attend.spec.causal = false;
        self.attend.max_chunk = self.tokens;
        self
    }

    fn tokens(mut self, tokens: usize) -> Case {
        self.tokens = tokens;
        self
    }
}

fn cases(target: &Target) -> Vec<Case> {
    let case = |name: &str, sizes: [usize; 4]| case(name, target, sizes);
    [masks(&case), scores(&case), normalisers(&case)]
        .into_iter()
        .flatten()
        .collect()
}

fn masks(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let (i, j) = (ScoreExpr::QueryPos, ScoreExpr::KeyPos);
    let sinks = binary(Lt, j.clone(), number(70.0));
    let same_document = binary(Eq, ScoreExpr::QueryStream(0), ScoreExpr::KeyStream(0));
    let gate = binary(Gt, ScoreExpr::KeyStream(1), number(0.0));
    let per_head = binary(
        Lt,
        distance(),
        binary(Pow, number(3.0), binary(Add, ScoreExpr::Head, number(1.0))),
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
            .predicate(binary(And, same_document, gate))
            .streams(&[1], 2),
        case("per_head", [6, 2, 16, 24]).predicate(per_head).tokens(800),
        case("dilated", [6, 2, 16, 24]).predicate(dilated),
        case("far", [6, 2, 16, 24]).predicate(capped),
        case("nothing", [6, 2, 16, 24]).predicate(binary(Lt, distance(), number(0.0))),
    ]
}

fn scores(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    use BinaryOp::*;
    let s = || ScoreExpr::Score;
    let capped = binary(Mul, number(2.0), unary(UnaryOp::Tanh, binary(Div, s(), number(2.0))));
    let exponent = binary(Div, binary(Add, ScoreExpr::Head, number(1.0)), number(-2.0));
    let alibi = binary(Sub, s(), binary(Mul, binary(Pow, number(2.0), exponent), distance()));
    let slopes = binary(
        Sub,
        s(),
        binary(Mul, ScoreExpr::QueryStream(0), binary(Div, distance(), number(7.0))),
    );
    let with_key = binary(Add, slopes, ScoreExpr::KeyStream(0));
    let unseen = ScoreExpr::Select(
        Box::new(binary(Eq, binary(Mod, ScoreExpr::KeyPos, number(5.0)), number(2.0))),
        Box::new(s()),
        Box::new(number(f64::NEG_INFINITY)),
    );
    let near = ScoreExpr::Select(
        Box::new(binary(Eq, ScoreExpr::QueryPos, ScoreExpr::KeyPos)),
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
        case("streams", [6, 2, 16, 24]).score(with_key).streams(&[6], 1),
        case("unseen", [6, 2, 16, 24]).score(unseen),
        case("near", [6, 2, 16, 24]).score(near),
    ]
}

fn normalisers(case: &dyn Fn(&str, [usize; 4]) -> Case) -> Vec<Case> {
    let exp = || unary(UnaryOp::Exp, ScoreExpr::Score);
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

/// The functions of a case.
struct Kernel<'a> {
    attend: &'a Attend,
    append: Append,
    stream: Option<Stream>,
    run: Run,
}

fn names(attend: &Attend) -> [String; 3] {
    ["append", "append_stream", "attend"].map(|part| format!("t_{}_{part}", attend.name))
}

fn add(module: &mut Module, attend: &Attend) {
    let append = attend.append(module);
    let append_types = [
        vec![Ty::Ptr, Ty::I64, Ty::Ptr, Ty::I64, Ty::Ptr, Ty::Ptr],
        vec![Ty::I64; 4],
    ]
    .concat();
    export(module, &append, &append_types);
    if attend.spec.key_streams > 0 {
        let stream = attend.append_stream(module);
        export(module, &stream, &[Ty::Ptr, Ty::I64, Ty::Ptr, Ty::I64, Ty::I64]);
    }
    let run = attend.attend(module);
    let pointers = vec![
        Ty::Ptr,
        Ty::I64,
        Ty::Ptr,
        Ty::I64,
        Ty::Ptr,
        Ty::Ptr,
        Ty::Ptr,
        Ty::I64,
        Ty::I64,
        Ty::Ptr,
    ];
    export(module, &run, &[pointers, vec![Ty::I64; 2]].concat());
}

impl<'a> Kernel<'a> {
    fn load(attend: &'a Attend, loaded: &Loaded) -> Kernel<'a> {
        let [append, stream, run] = names(attend);
        // SAFETY: the types are those of the kernels' documentation; the library outlives the tests.
        unsafe {
            Kernel {
                attend,
                append: loaded.function(&append),
                stream: (attend.spec.key_streams > 0).then(|| loaded.function(&stream)),
                run: loaded.function(&run),
            }
        }
    }
}

/// All operands of a sequence: rows of `q`, `k`, `v`, then of the streams.
struct Operands {
    widths: Vec<usize>,
    rows: Vec<Vec<f32>>,
}

impl Operands {
    fn new(case: &Case, random: &mut Random) -> Operands {
        let a = &case.attend;
        let mut widths = vec![a.heads * a.key_dim, a.groups * a.key_dim, a.groups * a.value_dim];
        let mut rows: Vec<Vec<f32>> = widths.iter().map(|w| random.floats(w * case.tokens)).collect();
        let document = |t: usize| (t * 7 / 300) as f32;
        for width in &a.query_widths {
            widths.push(*width);
            let values = (0..case.tokens * width).map(|n| if *width > 1 { random.float() } else { document(n) });
            rows.push(values.collect());
        }
        for n in 0..a.spec.key_streams {
            widths.push(1);
            let documents = n == 0 && a.query_widths == [1];
            let values = (0..case.tokens).map(|t| if documents { document(t) } else { random.float() });
            rows.push(values.collect());
        }
        Operands { widths, rows }
    }
}

/// What the evaluator gives, `[tokens][H*F]`.
fn expected(case: &Case, operands: &Operands) -> Vec<f64> {
    let a = &case.attend;
    let mut graph = Graph::new("attend");
    let mut shapes = vec![
        vec![a.heads, a.key_dim],
        vec![a.groups, a.key_dim],
        vec![a.groups, a.value_dim],
    ];
    shapes.extend(
        a.query_widths
            .iter()
            .map(|w| if *w > 1 { vec![*w] } else { Vec::new() }),
    );
    shapes.extend(vec![Vec::new(); a.spec.key_streams]);
    let inputs: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(n, shape)| graph.add_input(format!("x{n}"), seqc_ir::Ty::new(Elem::F32, seqc_ir::dims(shape))))
        .collect();
    let y = graph.attend(a.spec.clone(), &inputs);
    graph.add_output("y", y);
    let tokens: Vec<Vec<Tensor>> = (0..case.tokens)
        .map(|t| {
            let of = |(n, shape): (usize, &Vec<usize>)| {
                let w = operands.widths[n];
                let row = operands.rows[n][t * w..(t + 1) * w].iter().map(|x| f64::from(*x));
                Tensor {
                    shape: shape.clone(),
                    data: row.collect(),
                }
            };
            shapes.iter().enumerate().map(of).collect()
        })
        .collect();
    let evaluator = Evaluator::new(&graph, &[]).expect("a valid graph");
    let out = evaluator.run_whole(&tokens).expect("evaluated");
    out.into_iter().flat_map(|mut o| o.remove(0).data).collect()
}

/// A cache line: what the runtime aligns its memory to.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([f32; 16]);

fn memory(bytes: usize, fill: f32) -> Vec<Line> {
    vec![Line([fill; 16]); bytes.div_ceil(64)]
}

/// A sequence under way.
struct Session<'a> {
    kernel: &'a Kernel<'a>,
    states: Vec<Vec<Line>>,
    threads: usize,
    scratch: Vec<Line>,
    /// Position of the first token.
    origin: usize,
}

impl<'a> Session<'a> {
    fn new(kernel: &'a Kernel<'a>, tokens: usize, threads: usize) -> Session<'a> {
        let state = |kind: StateKind| match kind {
            StateKind::Pages {
                page_bytes,
                pinned,
                pages,
            } => memory((pinned + pages.unwrap_or(tokens.div_ceil(64))) * page_bytes, 0.0),
            StateKind::Fixed { .. } => panic!("a cache grows"),
        };
        Session {
            kernel,
            states: kernel.attend.states().into_iter().map(state).collect(),
            threads,
            scratch: memory(threads * kernel.attend.scratch_bytes(), f32::NAN),
            origin: 0,
        }
    }

    /// Tokens `position..position + count`.
    fn step(&mut self, operands: &Operands, (position, count): (usize, usize), out: &mut [f32]) {
        let (a, threads) = (self.kernel.attend, self.threads as i64);
        let row = |n: usize| operands.rows[n][position * operands.widths[n]..].as_ptr();
        let width = |n: usize| operands.widths[n] as i64;
        let pages: Vec<*mut f32> = self.states.iter_mut().map(|s| s.as_mut_ptr().cast()).collect();
        let (position, count) = ((self.origin + position) as i64, count as i64);
        for tid in 0..threads {
            (self.kernel.append)(
                row(1),
                width(1),
                row(2),
                width(2),
                pages[0],
                pages[1],
                position,
                count,
                tid,
                threads,
            );
        }
        let first = 3 + a.spec.query_streams;
        for n in 0..a.spec.key_streams {
            if let Some(stream) = self.kernel.stream {
                stream(row(first + n), width(first + n), pages[2 + n], position, count);
            }
        }
        let mut table: Vec<u64> = pages[2..].iter().map(|p| *p as u64).collect();
        for n in 3..first {
            table.extend([row(n) as u64, width(n) as u64]);
        }
        for tid in 0..threads {
            (self.kernel.run)(
                row(0),
                width(0),
                out.as_mut_ptr(),
                (a.heads * a.value_dim) as i64,
                pages[0],
                pages[1],
                table.as_ptr(),
                position,
                count,
                self.scratch.as_mut_ptr().cast(),
                tid,
                threads,
            );
        }
    }
}

/// How a sequence is cut: the length of the next chunk.
fn cuts(case: &Case, random: &mut Random) -> Vec<Vec<usize>> {
    if !case.attend.spec.causal {
        return vec![vec![case.tokens]];
    }
    let most = case.attend.max_chunk;
    let even = |n| vec![n; case.tokens.div_ceil(n)];
    let uneven = (0..case.tokens).map(|_| 1 + random.bits() as usize % most).collect();
    vec![even(1), even(7), even(16), uneven]
}

#[test]
fn attention_agrees_with_the_evaluator() {
    for target in targets() {
        let cases = cases(&target);
        let mut module = Module::default();
        for case in &cases {
            add(&mut module, &case.attend);
        }
        let loaded = Loaded::new(module, &target);
        let mut random = Random::new(3);
        for case in &cases {
            let operands = Operands::new(case, &mut random);
            let want = expected(case, &operands);
            let kernel = Kernel::load(&case.attend, &loaded);
            for (n, cut) in cuts(case, &mut random).into_iter().enumerate() {
                check(case, (&kernel, 1 + n % 3), (&operands, &want), &cut);
            }
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
            binary(BinaryOp::Mod, ScoreExpr::KeyPos, number(3.0)),
            number(0.0),
        );
        let both =
            case("dilated_window", &target, [6, 2, 16, 24]).predicate(binary(BinaryOp::And, dilated, window(50.0)));
        let mut cases = cases(&target);
        cases.push(both);
        cases.retain(|c| far.contains(&&c.attend.name[2..]));
        let mut module = Module::default();
        for case in &cases {
            add(&mut module, &case.attend);
        }
        let loaded = Loaded::new(module, &target);
        for case in &cases {
            let operands = Operands::new(case, &mut Random::new(9));
            let kernel = Kernel::load(&case.attend, &loaded);
            let width = case.attend.heads * case.attend.value_dim;
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
    let width = case.attend.heads * case.attend.value_dim;
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
    let largest = want.iter().fold(0.0f64, |a, b| a.max(b.abs())).max(1e-3);
    for (n, (got, want)) in got.iter().zip(want).enumerate() {
        let near = (f64::from(*got) - want).abs() <= 1e-5 * largest;
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
            add(&mut module, &case.attend);
        }
        let start = Instant::now();
        if let Ok(dir) = std::env::var("ATTEND_DUMP") {
            let mut module = Module::default();
            for case in &all {
                add(&mut module, &case.attend);
            }
            let text = module.finish();
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
        time_prompt(&Kernel::load(&long.attend, &loaded), long, 4097 * 2048);
        time_prompt(&Kernel::load(&short.attend, &loaded), short, 512 * 4096 - 256 * 511);
        time_decode(&Kernel::load(&decode.attend, &loaded), decode);
        time_decode(&Kernel::load(&grouped.attend, &loaded), grouped);
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
