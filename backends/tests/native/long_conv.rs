//! Long convolutions against the plain sum, however the sequence is cut.

use crate::support::{Loaded, Random, export, targets};
use seqc_abi::{PAGE_TOKENS, StateKind};
use seqc_backends::{
    kernel::{Module, Ty},
    kernels::LongConv,
    mlir::Target,
};
use seqc_passes::{conv_partition::ConvPartition, machine::Machine};

type Prepare = extern "C" fn(*const f32, *mut f32);
type Run = extern "C" fn(
    *const f32,
    i64,
    *mut f32,
    i64,
    *const f32,
    *mut f32,
    *mut f32,
    *mut f32,
    *mut f32,
    i64,
    i64,
    *mut f32,
    i64,
    i64,
);

const RUN: [Ty; 14] = [
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::I64,
    Ty::GLOBAL,
    Ty::GLOBAL,
    Ty::GLOBAL,
    Ty::GLOBAL,
    Ty::GLOBAL,
    Ty::I64,
    Ty::I64,
    Ty::SCRATCH,
    Ty::I64,
    Ty::I64,
];

/// Channels, taps, smallest block, tokens.
const CASES: [(usize, usize, usize, usize); 8] = [
    (5, 1, 16, 60),
    (16, 2, 16, 60),
    (1, 16, 16, 100),
    (33, 70, 16, 400),
    (17, 300, 16, 1500),
    (3, 1025, 64, 4000),
    (20, 5000, 64, 9000),
    (16, 20000, 128, 40000),
];

struct Compiled<'a> {
    conv: &'a LongConv,
    run: Run,
    prepared: Vec<f32>,
}

impl<'a> Compiled<'a> {
    fn new(loaded: &Loaded, conv: &'a LongConv, filter: &[f32]) -> Compiled<'a> {
        // SAFETY: the types are those that the kernels say.
        let prepare: Prepare = unsafe { loaded.function(&format!("t_{}_prepare", conv.name)) };
        // SAFETY: likewise.
        let run: Run = unsafe { loaded.function(&format!("t_{}_run", conv.name)) };
        // Rubbish: everything is written before it is read.
        let mut prepared = vec![f32::NAN; conv.prepared_bytes() / 4];
        prepare(filter.as_ptr(), prepared.as_mut_ptr());
        Compiled { conv, run, prepared }
    }

    /// Results of all tokens, cut into chunks whose sizes `cut` gives.
    fn results(&self, u: &[f32], tokens: usize, threads: usize, mut cut: impl FnMut() -> usize) -> Vec<f32> {
        let channels = self.conv.channels;
        let mut states: Vec<Vec<f32>> = vec![Vec::new(); 4];
        let mut out = vec![f32::NAN; tokens * channels];
        let mut scratch = vec![f32::NAN; self.conv.scratch_bytes() / 4 * threads];
        let mut at = 0;
        while at < tokens {
            let count = cut().clamp(1, tokens - at);
            // No more than the manifest says is there.
            for (state, kind) in states.iter_mut().zip(self.conv.states()) {
                let bytes = match kind {
                    StateKind::Bounded { page_bytes, pages } => {
                        page_bytes * (at + count).div_ceil(PAGE_TOKENS).min(pages)
                    }
                    StateKind::Fixed { bytes } => bytes,
                    StateKind::Pages { .. } | StateKind::Shared { .. } => 0,
                };
                state.resize(bytes / 4, 0.0);
            }
            let [past, sums, spectra, spoiled] = [0, 1, 2, 3].map(|n: usize| states[n].as_mut_ptr());
            for tid in 0..threads {
                (self.run)(
                    u[at * channels..].as_ptr(),
                    channels as i64,
                    out[at * channels..].as_mut_ptr(),
                    channels as i64,
                    self.prepared.as_ptr(),
                    past,
                    sums,
                    spectra,
                    spoiled,
                    at as i64,
                    count as i64,
                    scratch.as_mut_ptr(),
                    tid as i64,
                    threads as i64,
                );
            }
            at += count;
        }
        out
    }
}

fn plain(u: &[f32], filter: &[f32], [channels, taps]: [usize; 2], token: usize, channel: usize) -> f64 {
    let term = |lag: usize| f64::from(filter[channel * taps + lag]) * f64::from(u[(token - lag) * channels + channel]);
    (0..taps.min(token + 1)).map(term).sum()
}

/// The largest difference on some tokens and channels, and the largest result.
fn distance(out: &[f32], u: &[f32], filter: &[f32], [channels, taps]: [usize; 2], every: usize) -> (f64, f64) {
    let (mut worst, mut scale) = (0.0_f64, 0.0_f64);
    for at in (0..out.len()).step_by(every) {
        let expected = plain(u, filter, [channels, taps], at / channels, at % channels);
        let off = (f64::from(out[at]) - expected).abs();
        worst = if off.is_nan() { f64::INFINITY } else { worst.max(off) };
        scale = scale.max(expected.abs());
    }
    (worst, scale)
}

/// A value that is not finite makes exactly those results NaN that the filter takes it to; all others are those without it.
fn check_not_finite(compiled: &Compiled<'_>, u: &[f32], tokens: usize, random: &mut Random) {
    let (channels, taps) = (compiled.conv.channels, compiled.conv.blocks.taps);
    let mut clean = u.to_vec();
    let mut spoiled = u.to_vec();
    let mut reached = vec![false; u.len()];
    for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let at = random.bits() as usize % (u.len() / 2);
        (clean[at], spoiled[at]) = (0.0, x);
        let end = (at + taps * channels).min(u.len());
        (at..end).step_by(channels).for_each(|at| reached[at] = true);
    }
    let wanted = compiled.results(&clean, tokens, 1, || 256);
    let mut cuts = Random::new(3);
    for threads in [1, 2] {
        let found = compiled.results(&spoiled, tokens, threads, || {
            1 + cuts.bits() as usize % (200 * threads - 100)
        });
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let right = if reached[at] {
                found.is_nan()
            } else {
                (found - wanted).abs() < 1e-4 * (1.0 + wanted.abs())
            };
            assert!(
                right,
                "{channels} x {taps}, token {}: {found}, not {wanted}",
                at / channels
            );
        }
    }
}

fn check(target: &Target, machine: &Machine) {
    let mut module = Module::default();
    let convs: Vec<(LongConv, usize)> = CASES
        .iter()
        .enumerate()
        .map(|(n, (channels, taps, smallest, tokens))| {
            let conv = LongConv {
                name: format!("c{n}"),
                channels: *channels,
                blocks: ConvPartition {
                    taps: *taps,
                    smallest: *smallest,
                    most: machine.memory.spectra,
                },
                machine: *machine,
            };
            let prepare = conv.prepare(&mut module);
            export(&mut module, &prepare, &[Ty::GLOBAL, Ty::GLOBAL]);
            let run = conv.run(&mut module);
            export(&mut module, &run, &RUN);
            (conv, *tokens)
        })
        .collect();
    let loaded = Loaded::new(module, target);
    for (n, (conv, tokens)) in convs.iter().enumerate() {
        let (channels, taps) = (conv.channels, conv.blocks.taps);
        let mut random = Random::new(n as u64 + 1);
        let (u, filter) = (random.floats(tokens * channels), random.floats(channels * taps));
        let compiled = Compiled::new(&loaded, conv, &filter);
        check_not_finite(&compiled, &u, *tokens, &mut random);
        let every = (tokens * channels * taps / 4_000_000).max(1) | 1;
        let whole = compiled.results(&u, *tokens, 1, || 256);
        let mut cuts = Random::new(7 + n as u64);
        let others = [
            compiled.results(&u, *tokens, 1, || 1),
            compiled.results(&u, *tokens, 2, || 1 + cuts.bits() as usize % 70),
            compiled.results(&u, *tokens, 3, || *tokens),
        ];
        let (off, scale) = distance(&whole, &u, &filter, [channels, taps], every);
        assert!(off < 3e-6 * scale, "{:?}: off by {off:e} of {scale:e}", CASES[n]);
        for (cut, other) in others.iter().enumerate() {
            let worst = whole.iter().zip(other).map(|(a, b)| f64::from((a - b).abs()));
            let worst = worst.fold(0.0, |a: f64, b| if b.is_nan() { f64::INFINITY } else { a.max(b) });
            assert!(
                worst < 3e-6 * scale,
                "{:?}: cut {cut} is off by {worst:e} of {scale:e}",
                CASES[n]
            );
        }
    }
}

#[test]
fn long_convolutions_are_sums_over_the_past() {
    for target in targets() {
        check(&target, target.machine());
    }
}

/// Vectors of sixteen lanes are what they are on processors that take them in two parts, too.
#[test]
fn long_convolutions_take_vectors_of_any_width() {
    let target = &targets()[0];
    let wide = Machine {
        lanes: 16,
        ..*target.machine()
    };
    check(target, &wide);
}
