//! What the machine is, beside every measurement.

use seqc_abi::machine::{decisive, features, field, processor};
use serde_json::{Value, json};

/// Processor, its vector features, cores and memory.
pub(crate) fn describe() -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = field(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map(|kib| (kib / f64::from(1 << 20) * 10.0).round() / 10.0);
    json!({
        "processor": processor(&cpu),
        "features": decisive(features(&cpu)),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_gib": gib,
        "system": system(),
    })
}

/// Most bytes of memory that this process has held at once, code, weights and files in use included.
pub(crate) fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = field(&status, "VmHWM")?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}
