//! What the machine is, and how busy others keep it.

use seqc_abi::machine::{decisive, features, field, processor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;

/// Ticks below which a share of them says nothing.
const FEWEST: f64 = 20.0;

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the machine is: processor, microcode, all its features as a digest and the decisive ones by name, cores.
pub(super) fn machine() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| field(&info, name);
    let flags = features(&info);
    let digest = Sha256::digest(flags.as_bytes());
    let model = ["vendor_id", "cpu family", "model", "stepping"].map(field);
    json!({
        "processor": processor(&info),
        "model": model,
        "microcode": field("microcode"),
        "features": decisive(flags),
        "flags": digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>(),
        "cores": cores(),
        "system": std::env::consts::OS,
    })
}

/// Time of the cores that this process may use, in ticks, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// All of it.
    whole: f64,
    /// Where something ran, or the machine below this one took it.
    busy: f64,
    /// Where this process ran, or one that it started and that has ended.
    own: f64,
}

impl Moment {
    /// This moment; `None` where the system does not say.
    pub(super) fn now() -> Option<Moment> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let cores = field(&status, "Cpus_allowed_list")?;
        let (whole, busy) = times(&fs::read_to_string("/proc/stat").ok()?, &listed(cores)?)?;
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        Some(Moment {
            whole,
            busy,
            own: own_ticks(&own)?,
        })
    }

    /// The share of the cores that other processes used since an earlier moment; `None` when that was too short ago.
    pub(super) fn others_since(self, before: Moment) -> Option<f64> {
        let whole = self.whole - before.whole;
        let others = (self.busy - before.busy) - (self.own - before.own);
        (whole >= FEWEST).then(|| (others / whole).clamp(0.0, 1.0))
    }
}

/// `0-3,8`: the numbers.
fn listed(text: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

/// Ticks of some cores in `/proc/stat`: all, and those that were not idle.
fn times(stat: &str, cores: &[usize]) -> Option<(f64, f64)> {
    let (mut whole, mut idle, mut found) = (0.0, 0.0, false);
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let number = words
            .next()
            .and_then(|name| name.strip_prefix("cpu")?.parse::<usize>().ok());
        if !number.is_some_and(|n| cores.contains(&n)) {
            continue;
        }
        // user nice system idle iowait irq softirq steal; what follows is counted in these already.
        let ticks: Vec<f64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
        whole += ticks.iter().sum::<f64>();
        idle += ticks.get(3)? + ticks.get(4)?;
        found = true;
    }
    found.then_some((whole, whole - idle))
}

/// Ticks of a process and of those that it waited for, from its `stat`: fields 14 to 17.
fn own_ticks(stat: &str) -> Option<f64> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<f64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|word| word.parse().ok())
        .collect();
    (fields.len() == 4).then(|| fields.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_the_own_cores_are_added_up() {
        let stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 5 80 5 0 0 0 3 0\ncpu1 50 0 0 40 0 0 0 10 0 0\ncpu2 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(listed(" 0-1\n"), Some(vec![0, 1]));
        assert_eq!(times(stat, &[0, 1]), Some((200.0, 75.0)));
        assert_eq!(times(stat, &[7]), None);
        assert_eq!(
            own_ticks("12 (a b) c) S 1 1 1 0 -1 4 1 2 3 4 30 5 20 1 20 0"),
            Some(56.0)
        );
    }

    #[test]
    fn what_this_process_does_is_nobody_elses() {
        let before = Moment {
            whole: 0.0,
            busy: 0.0,
            own: 0.0,
        };
        let after = |busy, own| Moment {
            whole: 200.0,
            busy,
            own,
        };
        assert_eq!(after(100.0, 100.0).others_since(before), Some(0.0));
        assert_eq!(after(150.0, 100.0).others_since(before), Some(0.25));
        assert_eq!(before.others_since(before), None);
        assert!(Moment::now().is_some_and(|now| now.whole > 0.0));
    }

    #[test]
    fn a_machine_has_a_name_and_a_digest() {
        let machine = machine();
        assert_eq!(machine["flags"].as_str().map_or(0, str::len), 16);
        assert!(machine["cores"].as_u64().is_some_and(|n| n > 0));
        assert_eq!(machine, super::machine());
    }
}
