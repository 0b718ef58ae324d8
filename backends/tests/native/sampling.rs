//! Choice of the next token by the team against that of the host: under the interpreter, by fibers, and by a thread of this machine.

use crate::support::{Loaded, Random, all_targets};
use seqc_abi::{
    Level,
    decoding::{Decoding, Work},
    symbols,
};
use seqc_backends::{
    kernel::{Func, Module, Ty, interpret::Interpreter, verify::verify},
    kernels,
    mlir::{Emit, Target, compile},
};
use std::mem::offset_of;

/// How a token is chosen.
#[derive(Clone, Copy, Debug)]
struct Case {
    top_k: usize,
    temperature: f32,
    top_p: f32,
    min_p: f32,
    /// In `0..1`.
    drawn: f64,
}

const GREEDY: Case = Case {
    top_k: 1,
    temperature: 0.0,
    top_p: 1.0,
    min_p: 0.0,
    drawn: 0.0,
};

/// A module with the kernel and `entry`, whose frame is pointers to the record and the logits, and what members meet at.
fn module(vocab: usize, lanes: u32) -> Module {
    let mut module = Module::default();
    module.declare(symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None);
    let sample = kernels::sample(&mut module, vocab, lanes);
    let mut f = Func::exported("entry", &[Ty::GLOBAL, Ty::I64, Ty::I64]);
    let (frame, tid, threads) = (f.param(0), f.param(1), f.param(2));
    let [record, logits, barrier] = [0, 1, 2].map(|n| f.load_slot(frame, n, Ty::GLOBAL));
    let first = f.i64(0);
    f.call(sample, &[record, logits, first, barrier, tid, threads], None);
    module.add(f);
    module
}

/// The record of a case, as words.
fn record(case: Case, draws: u64, work: u64) -> [u64; size_of::<Decoding>() / 8] {
    let mut words = [0; size_of::<Decoding>() / 8];
    words[offset_of!(Decoding, draws) / 8] = draws;
    words[offset_of!(Decoding, top_k) / 8] = case.top_k as u64;
    words[offset_of!(Decoding, temperature) / 8] = u64::from(case.temperature.to_bits());
    words[offset_of!(Decoding, top_p) / 8] = u64::from(case.top_p.to_bits());
    words[offset_of!(Decoding, min_p) / 8] = u64::from(case.min_p.to_bits());
    words[offset_of!(Decoding, work) / 8] = work;
    words
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What the interpreter says that a team of so many chooses.
fn interpreted(module: &Module, logits: &[f32], case: Case, threads: u64) -> i64 {
    let mut interpreter = Interpreter::new(module);
    let memory = interpreter.memory();
    let row = logits.iter().flat_map(|x| x.to_le_bytes()).collect();
    let row = memory.allocate_constant("the logits", row);
    let work = memory.allocate("the work", vec![0xFF; size_of::<Work>()]);
    let draws = memory.allocate_constant("the draws", (case.drawn as f32).to_le_bytes().to_vec());
    let record = memory.allocate_constant("the record", bytes(&record(case, draws, work)));
    let frame = memory.allocate_constant("the frame", bytes(&[record, row, row]));
    let done = interpreter.entry("entry", frame, threads);
    done.unwrap_or_else(|fault| panic!("{case:?}: {fault}"));
    let chosen = work + offset_of!(Work, chosen) as u64;
    let found = interpreter.memory().bytes(chosen, 8, 8).expect("it is there");
    i64::from_le_bytes(found.try_into().expect("eight bytes"))
}

extern "C" fn alone(_: *const u8, _: i64, _: i64) {}

/// The kernel as code, for one member.
struct Compiled(Loaded);

impl Compiled {
    fn new(vocab: usize, target: &Target) -> Compiled {
        let mut module = module(vocab, target.machine().lanes);
        if target.level != Level::Fibers {
            module.define(Func::new(symbols::BARRIER, &[Ty::GLOBAL, Ty::I64, Ty::I64], None));
        }
        Compiled(Loaded::new(module, target))
    }

    fn chosen(&self, logits: &[f32], case: Case) -> i64 {
        // SAFETY: the type is that of the function.
        let entry: extern "C" fn(*const u64, i64, i64) = unsafe { self.0.function("entry") };
        let mut work = vec![u64::MAX; size_of::<Work>() / 8];
        let (draws, meeting) = ([case.drawn as f32], alone as *const () as u64);
        let record = record(case, draws.as_ptr() as u64, work.as_mut_ptr() as u64);
        let frame = [
            record.as_ptr() as u64,
            logits.as_ptr() as u64,
            &raw const meeting as u64,
        ];
        entry(frame.as_ptr(), 0, 1);
        work[offset_of!(Work, chosen) / 8] as i64
    }
}

/// The token that the host chooses, in double precision; `None` where the logits do not decide.
fn expected(logits: &[f32], case: Case) -> Option<i64> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if logits.iter().any(|x| x.is_nan()) || !best.is_finite() {
        return None;
    }
    if case.top_k == 1 {
        return logits.iter().position(|x| *x == best).map(|n| n as i64);
    }
    let mut kept: Vec<(f64, i64)> = Vec::new();
    for (n, logit) in logits.iter().enumerate() {
        if *logit >= best - 30.0 * case.temperature {
            let weight = f64::from((logit - best) / case.temperature).exp();
            kept.push((weight, n as i64));
        }
    }
    kept.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    kept.truncate(case.top_k);
    if case.top_p < 1.0 {
        let enough = f64::from(case.top_p) * kept.iter().map(|(weight, _)| weight).sum::<f64>();
        let mut seen = 0.0;
        let reaches = |(weight, _): &(f64, i64)| {
            seen += weight;
            seen >= enough
        };
        let last = kept.iter().position(reaches);
        kept.truncate(last.map_or(kept.len(), |last| last + 1));
    }
    kept.retain(|(weight, _)| *weight >= f64::from(case.min_p));
    kept.sort_by_key(|(_, token)| *token);
    let mut left = case.drawn * kept.iter().map(|(weight, _)| weight).sum::<f64>();
    let here = kept.iter().find(|(weight, _)| {
        left -= weight;
        left < 0.0
    });
    here.or(kept.last()).map(|(_, token)| *token)
}

/// Rows of logits: spread out, rounded so that many are equal, with tokens that are ruled out.
fn rows(vocab: usize, random: &mut Random) -> Vec<Vec<f32>> {
    let spread: Vec<f32> = random.floats(vocab).iter().map(|x| 20.0 * x * x * x).collect();
    let rounded = spread.iter().map(|x| (x / 2.0).round()).collect();
    let ruled_out = |(n, x): (usize, &f32)| if n % 3 == 0 { f32::NEG_INFINITY } else { *x };
    let some = spread.iter().enumerate().map(ruled_out).collect();
    vec![spread, rounded, some]
}

fn cases(random: &mut Random) -> Vec<Case> {
    let mut cases = vec![GREEDY];
    for (top_k, temperature, top_p, min_p) in [
        (2, 1.0, 1.0, 0.0),
        (7, 0.6, 1.0, 0.1),
        (20, 1.5, 0.8, 0.0),
        (40, 0.9, 0.95, 0.05),
        (64, 4.0, 1.0, 0.0),
    ] {
        let drawn = f64::from(random.float() + 1.0) / 2.0;
        cases.push(Case {
            top_k,
            temperature,
            top_p,
            min_p,
            drawn,
        });
    }
    cases
}

/// Checks a choice: that of the host, or none. Whether it was made.
fn agrees(found: i64, logits: &[f32], case: Case, what: &str) -> bool {
    let want = expected(logits, case);
    assert!(
        found < 0 || Some(found) == want,
        "{what}, {case:?}: {found}, not {want:?}"
    );
    found >= 0
}

#[test]
fn a_team_chooses_what_the_host_chooses_whatever_its_size() {
    let mut random = Random::new(31);
    let (mut made, mut all) = (0, 0);
    for (vocab, lanes) in [(5, 4), (272, 16), (1000, 8), (20_011, 16)] {
        let module = module(vocab, lanes);
        assert_eq!(verify(&module), []);
        for logits in rows(vocab, &mut random) {
            for (case, threads) in cases(&mut random).into_iter().zip([1, 3, 8, 9, 2, 17]) {
                let found = interpreted(&module, &logits, case, threads);
                let what = format!("{vocab} tokens, {threads} members");
                made += usize::from(agrees(found, &logits, case, &what));
                all += 1;
            }
        }
    }
    // Of 20 000 logits that are rounded, too many are equal for a search.
    assert!(made + 6 >= all, "{made} of {all} choices were made");
}

#[test]
fn code_of_every_target_chooses_what_the_host_chooses() {
    for target in all_targets() {
        let mut random = Random::new(32);
        let (mut made, mut all) = (0, 0);
        for vocab in [37, 3000] {
            let compiled = Compiled::new(vocab, &target);
            for logits in (0..6).flat_map(|_| rows(vocab, &mut random)).collect::<Vec<_>>() {
                for case in cases(&mut random) {
                    let found = compiled.chosen(&logits, case);
                    let what = format!("{}, {vocab} tokens", target.machine().name);
                    made += usize::from(agrees(found, &logits, case, &what));
                    all += 1;
                }
            }
        }
        assert!(made * 10 >= all * 9, "{made} of {all} choices were made");
    }
}

#[test]
fn logits_that_do_not_decide_are_left_to_the_host() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let module = module(40, 16);
    let case = Case {
        top_k: 5,
        temperature: 1.0,
        drawn: 0.3,
        ..GREEDY
    };
    let mut odd: Vec<Vec<f32>> = vec![vec![-inf; 40]];
    for (at, value) in [(0, nan), (39, nan), (17, inf)] {
        let mut logits = vec![1.0; 40];
        logits[at] = value;
        odd.push(logits);
    }
    for logits in &odd {
        for case in [GREEDY, case] {
            assert!(interpreted(&module, logits, case, 3) < 0, "{logits:?}");
        }
    }
    // Next to the boundary of two tokens, f32 does not tell them apart.
    let logits: Vec<f32> = (0..40).map(|n| if n < 2 { 1.0 } else { -90.0 }).collect();
    for (drawn, want) in [(0.5, -1), (0.499, 0), (0.501, 1), (0.5 + 1e-7, -1)] {
        let case = Case { drawn, ..case };
        assert_eq!(interpreted(&module, &logits, case, 3), want, "{drawn}");
    }
}

/// The kernel as code for a GPU.
pub(crate) fn assembly(vocab: usize) -> String {
    let target = Target::of(Level::Sm80);
    let text = (target.info().print)(&module(vocab, target.machine().lanes));
    let code = compile(&text, &target, Emit::Asm).unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(code).expect("text")
}
