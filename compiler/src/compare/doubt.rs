//! Whether the rates of a machine can be true: against what processors can do at most, and against each other.

use super::{
    profile::{Phase, Points, Profile, Rates},
    show::{bytes, count, time},
};

/// Bytes a second that one core loads at most: a cache line in every cycle at 6 GHz.
const LOADS: f64 = 64.0 * 6e9;
/// Operations a second of one core at most: two instructions for 16 products with an addition each in every cycle at 6 GHz.
const OPERATIONS: f64 = 2.0 * 16.0 * 2.0 * 6e9;
/// Bytes a second that one core reads from memory at most.
const MEMORY: f64 = 64e9;
/// Rates below which nothing useful is that slow.
const LEAST: f64 = 1e7;
/// Seconds of an empty kernel: with one thread, with more at the barrier, and for each of these.
const STEP: (f64, f64, f64) = (2e-6, 20e-6, 0.2e-6);
/// How much faster a larger working set may be read than a smaller one, and all threads together than each alone.
const ORDER: f64 = 1.5;
/// Median against fastest run of a probe, and the share of the processor that others use.
const SPREAD: f64 = 0.5;
const LOAD: f64 = 0.25;

/// What cannot be, or was disturbed; empty: the profile is plausible.
pub fn doubts(profile: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    for rates in [&profile.one, &profile.all] {
        of_rates(rates, &mut found);
    }
    between(&profile.one, &profile.all, &mut found);
    if let Some(probed) = &profile.probed {
        if probed.spread > SPREAD {
            found.push(format!("runs of one probe differ by {:.0} %", 100.0 * probed.spread));
        }
        if let Some(load) = probed.load.filter(|load| *load > LOAD) {
            found.push(format!("other processes used {:.0} % of the processor", 100.0 * load));
        }
    }
    found
}

fn of_rates(rates: &Rates, found: &mut Vec<String>) {
    let threads = rates.threads as f64;
    let with = format!(
        "with {} thread{}",
        rates.threads,
        if rates.threads == 1 { "" } else { "s" }
    );
    let mut bounded = |what: &str, rate: f64, most: f64, unit: &str| {
        if !(LEAST..=most).contains(&rate) {
            found.push(format!(
                "{what}, {with}: {}{unit}/s",
                if unit == "B" { bytes(rate) } else { count(rate) }.trim_end_matches('B')
            ));
        }
    };
    for (n, (_, rate)) in rates.read.iter().enumerate() {
        let far = n > 0 && n + 1 == rates.read.len();
        let (what, most) = if far {
            ("memory", MEMORY)
        } else {
            ("weights in caches", LOADS)
        };
        bounded(what, *rate, threads * most, "B");
    }
    for (what, points) in [("rows of states", &rates.rows), ("copies", &rates.copy)] {
        for (_, rate) in points {
            bounded(what, *rate, threads * LOADS, "B");
        }
    }
    bounded("states in chunks", rates.block, threads * LOADS, "B");
    bounded("products", rates.product, threads * OPERATIONS, " operations");
    for (phase, name) in [(rates.decode, "token by token"), (rates.prefill, "in chunks")] {
        for (what, rate) in of_phase(phase) {
            bounded(&format!("{what} {name}"), rate, threads * OPERATIONS, " additions");
        }
    }
    let (one, some, each) = STEP;
    let most = if rates.threads == 1 { one } else { some + each * threads };
    if rates.step > most {
        found.push(format!("an empty kernel, {with}: {}", time(rates.step)));
    }
    for (what, points) in [
        ("weights", &rates.read),
        ("rows of states", &rates.rows),
        ("copies", &rates.copy),
    ] {
        if rises(points) {
            found.push(format!(
                "{what}, {with}: a larger working set is read faster than a smaller one"
            ));
        }
    }
    let far = rates.read.last().map_or(0.0, |r| r.1);
    // A product with one vector takes two operations for four bytes.
    if rates.product < far / 2.0 / ORDER {
        found.push(format!("products, {with}: chunks are slower than single tokens"));
    }
}

fn of_phase(phase: Phase) -> [(&'static str, f64); 5] {
    [
        ("loops", phase.entries),
        ("sums", phase.sums),
        ("scans", phase.scans),
        ("heads", phase.loops),
        ("attention", phase.attend),
    ]
}

fn rises(points: &Points) -> bool {
    points.windows(2).any(|pair| pair[1].1 > ORDER * pair[0].1)
}

/// Threads together do not do more than each of them alone, but for larger caches.
fn between(one: &Rates, all: &Rates, found: &mut Vec<String>) {
    let most = ORDER * all.threads as f64 / one.threads as f64;
    let mut pair = |what: &str, one: f64, all: f64| {
        if all > most * one {
            found.push(format!(
                "{what}: {} threads are {:.1} times as fast as one",
                most / ORDER,
                all / one
            ));
        }
    };
    pair("products", one.product, all.product);
    if let (Some(one), Some(all)) = (one.read.last(), all.read.last()) {
        pair("memory", one.1, all.1);
    }
    for ((what, one), (_, all)) in of_phase(one.prefill).into_iter().zip(of_phase(all.prefill)) {
        pair(what, one, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::profile::{Probed, sample};

    fn doubt(change: impl Fn(&mut Profile)) -> String {
        let mut profile = sample();
        change(&mut profile);
        doubts(&profile).join("; ")
    }

    #[test]
    fn a_quiet_machine_is_beyond_doubt() {
        assert_eq!(doubt(|_| {}), "");
        // Fewer cores than threads that help each other.
        assert_eq!(doubt(|p| p.all.step = 15e-6), "");
    }

    #[test]
    fn what_no_processor_does_is_doubtful() {
        let threads = sample().all.threads;
        let said = doubt(|p| p.all.read[1].1 = 1.04e12 * threads as f64);
        assert!(said.contains("memory, with"), "{said}");
        assert!(
            said.contains("a larger working set is read faster than a smaller one"),
            "{said}"
        );
        assert!(doubt(|p| p.one.step = 90e-6).contains("with 1 thread: 90.0 us"));
        assert!(doubt(|p| p.all.step = 1e-3).contains("an empty kernel"));
        assert!(doubt(|p| p.one.product = 1e12).contains("products, with 1 thread"));
        assert!(doubt(|p| p.one.product = 1e9).contains("chunks are slower than single tokens"));
        assert!(doubt(|p| p.one.decode.scans = 1e3).contains("scans token by token"));
        assert!(doubt(|p| p.one.prefill.attend = 1e15).contains("attention in chunks"));
    }

    #[test]
    fn threads_do_not_multiply_what_one_does() {
        let said = doubt(|p| p.all.prefill.entries = 1.2e11 * p.all.threads as f64);
        assert!(said.contains("times as fast as one"), "{said}");
    }

    #[test]
    fn disturbed_measurements_are_doubtful() {
        let probed = |load, spread| move |p: &mut Profile| p.probed = Some(Probed { at: 1, load, spread });
        assert!(doubt(probed(Some(0.6), 0.1)).contains("other processes used 60 %"));
        assert!(doubt(probed(None, 0.8)).contains("differ by 80 %"));
        assert_eq!(doubt(probed(None, 0.1)), "");
    }
}
