//! `seqc probe`: the rates of this machine, from small programs that consist of one kind of work each.
//!
//! A rate is what the program did, by the same count that predictions use, divided by the time that nothing measured
//! before explains.

use super::{
    predict,
    profile::{Phase, Profile, Rates, cores, machine},
    program::{self, Folder},
    total::Total,
};
use crate::{
    model::{self, ReadOptions},
    source::Sources,
};
use std::path::PathBuf;

/// The layers of the probes.
const LAYERS: &str = include_str!("probe.seq");
/// The part of a time that a rate explains at least, when most of it was explained before.
const LEAST: f64 = 0.2;
/// Runs of a program, and of a test in each of them.
const PROCESSES: usize = 3;
const REPETITIONS: usize = 5;
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

const STEP: Probe = probe(("probe_step", 64, 64), (0, 64));
const ENTRIES: Probe = probe(("probe_entries", 4096, 8), (256, 32));
const SCAN: Probe = probe(("probe_scan", 1536, 8), (256, 32));
const HEADS: Probe = probe(("probe_heads", 512, 8), (256, 32));
const ATTEND: Probe = probe(("probe_attend", 512, 8), (768, 256));
/// Products with matrices that fit nearer and farther memories.
const PRODUCTS: [Probe; 3] = [
    probe(("probe_product", 512, 2), (0, 128)),
    probe(("probe_product", 1024, 8), (256, 16)),
    probe(("probe_product", 1024, 120), (0, 3)),
];

const fn probe((layer, d, layers): (&'static str, usize, usize), (prompt, generate): (usize, usize)) -> Probe {
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

/// Seconds a token that were measured.
struct Times {
    prefill: f64,
    decode: f64,
}

/// Measures this machine; `say` hears what is going on.
pub fn probe_machine(say: &mut dyn FnMut(&str)) -> Result<Profile, String> {
    let folder = Folder::new()?;
    folder.write("probe.seq", LAYERS)?;
    let all = [
        &STEP,
        &PRODUCTS[0],
        &PRODUCTS[1],
        &PRODUCTS[2],
        &ENTRIES,
        &SCAN,
        &HEADS,
        &ATTEND,
    ];
    say("building the probes");
    let ready: Vec<Ready> = all.into_iter().map(|p| prepare(&folder, p)).collect::<Result<_, _>>()?;
    let mut rates = |threads: usize| {
        say(&format!(
            "measuring with {threads} thread{}",
            if threads == 1 { "" } else { "s" }
        ));
        measure_rates(&ready, threads)
    };
    let one = rates(1)?;
    let all = if cores() > 1 {
        rates(cores())?.at_least(&one)
    } else {
        one.clone()
    };
    Ok(Profile {
        machine: machine(),
        one,
        all,
    })
}

/// The probes of what changes from minute to minute: the memory's speed, and how long threads wait for each other.
pub(super) struct Beside {
    step: Ready,
    far: Ready,
}

impl Beside {
    pub(super) fn new(folder: &Folder) -> Result<Beside, String> {
        folder.write("probe.seq", LAYERS)?;
        Ok(Beside {
            step: prepare(folder, &STEP)?,
            far: prepare(folder, &PRODUCTS[2])?,
        })
    }

    /// Rates as they are at this moment; the memory's for models that do not fit into nearer ones.
    pub(super) fn rates(&self, known: &Rates, memory: bool) -> Result<Rates, String> {
        let mut rates = known.clone();
        rates.step = step_time(&self.step, once(&self.step, known.threads)?.decode);
        if !memory {
            return Ok(rates);
        }
        // All of a prediction but what is read.
        let rest_of_it = Rates {
            read: vec![(1.0, UNKNOWN)],
            ..rates.clone()
        };
        let time = once(&self.far, known.threads)?.decode;
        let rate = self.far.total.token_bytes() / rest(time, predict::decode(&self.far.total, &rest_of_it, 1.0));
        if let Some(far) = rates.read.last_mut() {
            far.1 = rate;
        }
        Ok(rates)
    }
}

/// Seconds of a kernel that does nothing, from those of a token.
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
    let file = folder.write(&format!("{name}.yaml"), &text)?;
    let read = ReadOptions::default();
    let built = model::read(&file, &mut Sources::default(), &read)
        .map_err(|d| d.first().map_or_else(String::new, |d| d.message.clone()))?;
    Ok(Ready {
        probe,
        program: program::build(&file, &read, folder.file(&name))?,
        total: Total::new(&built),
    })
}

fn measure_rates(ready: &[Ready], threads: usize) -> Result<Rates, String> {
    let [step, near, middle, far, entries, scan, heads, attend] = ready else {
        return Err("a probe is missing".to_owned());
    };
    let mut rates = Rates {
        threads,
        read: vec![(1.0, UNKNOWN)],
        product: UNKNOWN,
        step: 1.0 / UNKNOWN,
        decode: NOTHING,
        prefill: NOTHING,
    };
    let times = run(step, threads)?;
    rates.step = step_time(step, times.decode);
    let mut read = Vec::new();
    for ready in [near, middle, far] {
        let times = run(ready, threads)?;
        let bytes = ready.total.token_bytes();
        read.push((
            bytes,
            bytes / rest(times.decode, predict::decode(&ready.total, &rates, 1.0)),
        ));
        if ready.probe.prompt > 0 {
            let products = ready.total.sum(|l| 2.0 * l.cost.products);
            rates.product = products
                / rest(
                    times.prefill,
                    predict::prefill(&ready.total, &rates, ready.probe.prompt as f64),
                );
        }
    }
    rates.read = read;
    set(
        &mut rates,
        (entries, threads),
        |l, _| l.cost.entries.weight,
        |p| &mut p.entries,
    )?;
    set(
        &mut rates,
        (scan, threads),
        |l, _| l.cost.scans.weight,
        |p| &mut p.scans,
    )?;
    set(
        &mut rates,
        (heads, threads),
        |l, _| l.cost.loops.weight,
        |p| &mut p.loops,
    )?;
    let attended = |l: &super::total::Layer, keys: f64| l.cost.caches.iter().map(|c| c.weight * keys).sum();
    set(&mut rates, (attend, threads), attended, |p| &mut p.attend)?;
    Ok(rates)
}

const NOTHING: Phase = Phase {
    entries: UNKNOWN,
    scans: UNKNOWN,
    loops: UNKNOWN,
    attend: UNKNOWN,
};

/// Sets one rate of both phases: what `of` counts in a layer where a query looks at so many keys, a second.
fn set(
    rates: &mut Rates,
    (ready, threads): (&Ready, usize),
    of: impl Fn(&super::total::Layer, f64) -> f64,
    field: impl Fn(&mut Phase) -> &mut f64,
) -> Result<(), String> {
    let times = run(ready, threads)?;
    let Probe { prompt, generate, .. } = ready.probe;
    let (prompt, generate) = (*prompt as f64, *generate as f64);
    let decode = rest(times.decode, predict::decode(&ready.total, rates, generate / 2.0));
    let prefill = rest(times.prefill, predict::prefill(&ready.total, rates, prompt));
    *field(&mut rates.decode) = ready.total.sum(|l| of(l, generate / 2.0)) / decode;
    *field(&mut rates.prefill) = ready.total.sum(|l| of(l, prompt / 2.0)) / prefill;
    Ok(())
}

/// What of a time is not explained yet.
fn rest(time: f64, explained: f64) -> f64 {
    (time - explained).max(LEAST * time)
}

/// The shortest times of several processes: two threads of one may share a core for as long as it lives.
fn run(ready: &Ready, threads: usize) -> Result<Times, String> {
    let mut best = once(ready, threads)?;
    for _ in 1..PROCESSES {
        let next = once(ready, threads)?;
        best.prefill = best.prefill.min(next.prefill);
        best.decode = best.decode.min(next.decode);
    }
    Ok(best)
}

fn once(ready: &Ready, threads: usize) -> Result<Times, String> {
    let Probe { prompt, generate, .. } = ready.probe;
    let words = format!("bench -p {prompt} -n {generate} -r {REPETITIONS} --threads {threads} --output json");
    let words: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
    let found = program::run(&ready.program, &words, "")?;
    let seconds = |test: String| program::seconds(&found, &test);
    let decode = seconds(format!("tg{generate}")).ok_or("the program measured nothing")?;
    Ok(Times {
        prefill: seconds(format!("pp{prompt}")).unwrap_or(decode),
        decode,
    })
}
