//! `seqc probe`: the rates of this machine, from small programs that consist of one kind of work each.
//!
//! A rate is what the program did, by the same count that predictions use, divided by the time that nothing measured
//! before explains.

use super::{
    Step, doubt,
    identity::{Moment, cores, machine},
    predict,
    profile::{Phase, Points, Probed, Profile, Rates},
    program::{self, Timing},
    total::{Layer, Total},
};
use crate::{
    model::{self, ReadOptions},
    source::Sources,
};
use seqc_backends::scratch::Folder;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// The layers of the probes.
const LAYERS: &str = include_str!("probe.seq");
/// The part of a time that a rate explains at least, when most of it was explained before.
const LEAST: f64 = 0.2;
/// Runs of a program, how many more while they differ by more than this, and runs of a test in each of them.
const PROCESSES: usize = 3;
const MORE: usize = 3;
const QUIET: f64 = 0.2;
const REPETITIONS: usize = 5;
/// Times that a machine is probed as a whole while the result is doubtful.
const ATTEMPTS: usize = 2;
/// After so many seconds nothing is repeated any more, and the variable that says another number: tests run beside others, where rates are
/// doubtful however long they are measured.
const PATIENCE: u64 = 90;
const PATIENCE_VARIABLE: &str = "SEQC_PROBE_SECONDS";
/// A rate that is not known yet: what it divides takes no time.
const UNKNOWN: f64 = 1e30;

/// A program to measure: a layer, its width, how many of them, and the tokens read and generated.
struct Probe {
    layer: &'static str,
    d: usize,
    layers: usize,
    prompt: usize,
    generate: usize,
}

const STEP: Probe = probe("probe_step", 64, 64, 0, 64);
const ENTRIES: Probe = probe("probe_entries", 4096, 8, 256, 32);
const SUMS: Probe = probe("probe_sums", 256, 8, 256, 32);
const SCAN: Probe = probe("probe_scan", 1536, 8, 256, 32);
const HEADS: Probe = probe("probe_heads", 512, 8, 256, 32);
const ATTEND: Probe = probe("probe_attend", 512, 8, 768, 256);
/// Products with matrices that fit nearer and farther memories.
const READ: [Probe; 3] = [
    probe("probe_product", 512, 2, 0, 128),
    probe("probe_product", 1024, 8, 256, 16),
    probe("probe_product", 1024, 120, 0, 3),
];
/// States whose rows lie apart, in nearer and farther memories; and rows of earlier tokens.
const ROWS: [Probe; 2] = [
    probe("probe_rows", 1536, 2, 256, 32),
    probe("probe_rows", 1536, 120, 0, 3),
];
const COPY: [Probe; 2] = [
    probe("probe_copy", 1024, 2, 0, 64),
    probe("probe_copy", 1024, 120, 0, 3),
];
/// All of them in the order in which they are measured: each needs what was found before.
const ALL: [&Probe; 13] = [
    &STEP, &READ[0], &READ[1], &READ[2], &ENTRIES, &SUMS, &SCAN, &ROWS[0], &ROWS[1], &COPY[0], &COPY[1], &HEADS,
    &ATTEND,
];

const fn probe(layer: &'static str, d: usize, layers: usize, prompt: usize, generate: usize) -> Probe {
    Probe {
        layer,
        d,
        layers,
        prompt,
        generate,
    }
}

/// A probe that is built.
struct Ready {
    probe: &'static Probe,
    program: PathBuf,
    total: Total,
}

/// Seconds a token that were measured, and how much they differ.
struct Times {
    prefill: f64,
    decode: f64,
    spread: f64,
}

/// Measures this machine; `watch` is called with the progress. Where the result is doubtful it is measured again.
pub fn probe_machine(watch: &mut dyn FnMut(Step<'_>)) -> Result<Profile, String> {
    let folder = Folder::new().map_err(|e| e.to_string())?;
    write_layers(&folder)?;
    let threads = if cores() > 1 { vec![1, cores()] } else { vec![1] };
    let mut steps = (0, ALL.len() * (1 + threads.len()));
    let mut said = |text: &str| {
        watch(Step {
            text,
            done: steps.0,
            of: steps.1,
        });
        steps.0 += 1;
    };
    let mut ready = Vec::new();
    for probe in ALL {
        said(&format!("building {}", probe.layer));
        ready.push(prepare(&folder, probe)?);
    }
    let (mut best, deadline): (Option<(usize, Profile)>, _) = (None, Instant::now() + patience());
    for attempt in 0..ATTEMPTS {
        let mut said = |text: &str| {
            if attempt == 0 {
                said(text)
            }
        };
        let profile = measured(&ready, &threads, deadline, &mut said)?;
        let doubts = doubt::doubts(&profile).len();
        if best.as_ref().is_none_or(|(fewest, _)| doubts < *fewest) {
            best = Some((doubts, profile));
        }
        if doubts == 0 || Instant::now() > deadline {
            break;
        }
    }
    best.map(|(_, profile)| profile)
        .ok_or_else(|| "nothing was measured".to_owned())
}

fn patience() -> Duration {
    let given = std::env::var(PATIENCE_VARIABLE).ok();
    Duration::from_secs(given.and_then(|seconds| seconds.parse().ok()).unwrap_or(PATIENCE))
}

fn measured(
    ready: &[Ready],
    threads: &[usize],
    deadline: Instant,
    said: &mut dyn FnMut(&str),
) -> Result<Profile, String> {
    let (before, mut spread) = (Moment::now(), 0.0_f64);
    let mut rates = |threads: usize| {
        let mut runner = Runner {
            threads,
            deadline,
            spread: 0.0,
            said,
        };
        let rates = runner.rates(ready);
        spread = spread.max(runner.spread);
        rates
    };
    let one = rates(1)?;
    let all = match threads.last() {
        Some(threads) if *threads > 1 => rates(*threads)?.at_least(&one),
        _ => one.clone(),
    };
    let load = before.and_then(|before| Moment::now()?.others_since(before));
    Ok(Profile {
        machine: machine(),
        probed: Some(Probed::now(load, spread)),
        one,
        all,
    })
}

fn write_layers(folder: &Folder) -> Result<(), String> {
    let written = folder.write("probe.seq", LAYERS.as_bytes());
    written
        .map(|_| ())
        .map_err(|e| format!("{}: {e}", folder.file("probe.seq").display()))
}

/// The probes of what changes from minute to minute: the memory's speed, and how long threads wait for each other.
pub(super) struct Beside {
    step: Ready,
    far: Ready,
}

impl Beside {
    pub(super) fn new(folder: &Folder) -> Result<Beside, String> {
        write_layers(folder)?;
        Ok(Beside {
            step: prepare(folder, &STEP)?,
            far: prepare(folder, &READ[2])?,
        })
    }

    /// Rates as they are at this moment; the memory's for models that do not fit into nearer ones.
    pub(super) fn rates(&self, known: &Rates, memory: bool) -> Result<Rates, String> {
        let mut rates = known.clone();
        rates.step = step_time(&self.step, least(&self.step, known.threads)?);
        if !memory {
            return Ok(rates);
        }
        // All of a prediction but what is read.
        let rest_of_it = Rates {
            read: vec![(1.0, UNKNOWN)],
            ..rates.clone()
        };
        let time = least(&self.far, known.threads)?;
        let rate = self.far.total.token_bytes() / rest(time, predict::decode(&self.far.total, &rest_of_it, 1.0));
        let change = rate / rates.read.last().map_or(rate, |far| far.1);
        // Whatever comes from memory comes so much faster or slower.
        for points in [&mut rates.read, &mut rates.rows, &mut rates.copy] {
            if let Some(far) = points.last_mut() {
                far.1 *= change;
            }
        }
        Ok(rates)
    }
}

/// Seconds of an empty kernel, from those of a token.
fn step_time(ready: &Ready, token: f64) -> f64 {
    token / ready.total.sum(|l| (l.cost.steps + l.cost.token_steps) as f64).max(1.0)
}

fn prepare(folder: &Folder, probe: &'static Probe) -> Result<Ready, String> {
    let Probe { layer, d, layers, .. } = probe;
    let name = format!("{layer}-{d}-{layers}");
    let text = format!(
        "version: 1\nmodel: {name}\nsizes: {{d: {d}}}\nuse: [probe.seq]\ninputs: {{x: \"[d]\"}}\nweights: {{random: 1}}\n\
         stack:\n  - repeat: {layers}\n    of:\n      - {layer}: {{}}\n        block: none\n  - probe_last: {{}}\n    block: none\n"
    );
    let path = format!("{name}.yaml");
    let file = folder
        .write(&path, text.as_bytes())
        .map_err(|e| format!("{path}: {e}"))?;
    let read = ReadOptions::default();
    let built = model::read(&file, &mut Sources::default(), &read)
        .map_err(|d| d.first().map_or_else(String::new, |d| d.message.clone()))?;
    Ok(Ready {
        probe,
        program: program::build(&file, &read, folder.file(&name))?,
        total: Total::new(&built),
    })
}

/// Runs the probes with so many threads.
struct Runner<'a> {
    threads: usize,
    /// When to stop repeating.
    deadline: Instant,
    /// How much the runs of one probe differed at most.
    spread: f64,
    said: &'a mut dyn FnMut(&str),
}

impl Runner<'_> {
    fn rates(&mut self, ready: &[Ready]) -> Result<Rates, String> {
        let [
            step,
            near,
            middle,
            far,
            entries,
            sums,
            scan,
            rows,
            far_rows,
            copy,
            far_copy,
            heads,
            attend,
        ] = ready
        else {
            return Err("a probe is missing".to_owned());
        };
        let mut rates = unknown(self.threads);
        rates.step = step_time(step, self.run(step)?.decode);
        self.read(&mut rates, [near, middle, far])?;
        self.set(&mut rates, entries, |l, _| l.cost.entries.weight, |p| &mut p.entries)?;
        self.set(&mut rates, sums, |l, _| l.cost.entries.sums, |p| &mut p.sums)?;
        self.set(&mut rates, scan, |l, _| l.cost.scans.weight, |p| &mut p.scans)?;
        self.rows(&mut rates, [rows, far_rows])?;
        let mut copies = Points::new();
        for ready in [copy, far_copy] {
            let rest = rest(self.run(ready)?.decode, predict::decode(&ready.total, &rates, 1.0));
            copies.push((
                ready.total.footprint(),
                ready.total.sum(|l| 2.0 * l.cost.history as f64) / rest,
            ));
        }
        rates.copy = copies;
        self.set(&mut rates, heads, |l, _| l.cost.loops.weight, |p| &mut p.loops)?;
        let attended = |l: &Layer, keys: f64| l.cost.caches.iter().map(|c| c.weight * keys).sum();
        self.set(&mut rates, attend, attended, |p| &mut p.attend)?;
        Ok(rates)
    }

    fn read(&mut self, rates: &mut Rates, probes: [&Ready; 3]) -> Result<(), String> {
        let mut read = Points::new();
        for ready in probes {
            let times = self.run(ready)?;
            let (total, bytes) = (&ready.total, ready.total.token_bytes());
            read.push((bytes, bytes / rest(times.decode, predict::decode(total, rates, 1.0))));
            if ready.probe.prompt > 0 {
                let products = total.sum(|l| 2.0 * l.cost.products);
                let explained = predict::prefill(total, rates, ready.probe.prompt as f64);
                rates.product = products / rest(times.prefill, explained);
            }
        }
        rates.read = read;
        Ok(())
    }

    fn rows(&mut self, rates: &mut Rates, probes: [&Ready; 2]) -> Result<(), String> {
        let mut rows = Points::new();
        for ready in probes {
            let (times, total) = (self.run(ready)?, &ready.total);
            let decode = rest(times.decode, predict::decode(total, rates, 1.0));
            rows.push((total.footprint(), total.sum(|l| l.cost.scattered_bytes()) / decode));
            if ready.probe.prompt > 0 {
                let explained = predict::prefill(total, rates, ready.probe.prompt as f64);
                let moved = total.sum(|l| l.cost.scattered_bytes());
                rates.block = moved / rest(times.prefill, explained);
            }
        }
        rates.rows = rows;
        Ok(())
    }

    /// Sets one rate of both phases: what `of` counts in a layer where a query looks at so many keys, a second.
    fn set(
        &mut self,
        rates: &mut Rates,
        ready: &Ready,
        of: impl Fn(&Layer, f64) -> f64,
        field: impl Fn(&mut Phase) -> &mut f64,
    ) -> Result<(), String> {
        let times = self.run(ready)?;
        let Probe { prompt, generate, .. } = ready.probe;
        let (prompt, generate) = (*prompt as f64, *generate as f64);
        let decode = rest(times.decode, predict::decode(&ready.total, rates, generate / 2.0));
        let prefill = rest(times.prefill, predict::prefill(&ready.total, rates, prompt));
        *field(&mut rates.decode) = ready.total.sum(|l| of(l, generate / 2.0)) / decode;
        *field(&mut rates.prefill) = ready.total.sum(|l| of(l, prompt / 2.0)) / prefill;
        Ok(())
    }

    /// The shortest times of several processes: two threads of one may share a core for as long as it lives. More of them
    /// while their times differ.
    fn run(&mut self, ready: &Ready) -> Result<Times, String> {
        let plural = if self.threads == 1 { "" } else { "s" };
        (self.said)(&format!("{}, {} thread{plural}", ready.probe.layer, self.threads));
        let (mut prefill, mut decode) = (Timing::default(), Timing::default());
        for n in 0..PROCESSES + MORE {
            let quiet = n >= PROCESSES && prefill.spread().max(decode.spread()) < QUIET;
            if quiet || n > 0 && Instant::now() > self.deadline {
                break;
            }
            once(ready, self.threads, &mut prefill, &mut decode)?;
        }
        let times = Times {
            prefill: prefill.least().or(decode.least()).unwrap_or(f64::NAN),
            decode: decode.least().ok_or("the program measured nothing")?,
            spread: prefill.spread().max(decode.spread()),
        };
        self.spread = self.spread.max(times.spread);
        Ok(times)
    }
}

/// Nothing takes time yet.
fn unknown(threads: usize) -> Rates {
    let phase = Phase {
        entries: UNKNOWN,
        sums: UNKNOWN,
        scans: UNKNOWN,
        loops: UNKNOWN,
        attend: UNKNOWN,
    };
    Rates {
        threads,
        read: vec![(1.0, UNKNOWN)],
        rows: vec![(1.0, UNKNOWN)],
        copy: vec![(1.0, UNKNOWN)],
        block: UNKNOWN,
        product: UNKNOWN,
        step: 1.0 / UNKNOWN,
        decode: phase,
        prefill: phase,
    }
}

/// What of a time is not explained yet.
fn rest(time: f64, explained: f64) -> f64 {
    (time - explained).max(LEAST * time)
}

/// The shortest time of a token in one process.
fn least(ready: &Ready, threads: usize) -> Result<f64, String> {
    let (mut prefill, mut decode) = (Timing::default(), Timing::default());
    once(ready, threads, &mut prefill, &mut decode)?;
    decode.least().ok_or_else(|| "the program measured nothing".to_owned())
}

fn once(ready: &Ready, threads: usize, prefill: &mut Timing, decode: &mut Timing) -> Result<(), String> {
    let Probe { prompt, generate, .. } = ready.probe;
    let words = format!("bench -p {prompt} -n {generate} -r {REPETITIONS} --threads {threads} --output json");
    let found = program::run(&ready.program, &words)?;
    prefill.add(&found, &format!("pp{prompt}"));
    decode.add(&found, &format!("tg{generate}"));
    Ok(())
}
