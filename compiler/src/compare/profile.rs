//! The rates of a machine, where they are kept, and their JSON form.

use serde_json::{Value, json};
use std::path::PathBuf;

/// Version of the JSON form: another one is measured anew.
const VERSION: u64 = 1;

/// Rates of loops and recurrences; their unit is an addition a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Loops over entries, each token for itself.
    pub entries: f64,
    /// Recurrences that run entry by entry.
    pub scans: f64,
    /// Recurrences that run head by head.
    pub loops: f64,
    /// Attention.
    pub attend: f64,
}

/// What a number of threads does in a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// The threads.
    pub threads: usize,
    /// Weights read by products with one vector: bytes read for a token, and bytes a second; ascending.
    pub read: Vec<(f64, f64)>,
    /// Operations a second of products of matrices in a chunk, f32.
    pub product: f64,
    /// Seconds that a kernel takes before it does anything.
    pub step: f64,
    /// Tokens one by one.
    pub decode: Phase,
    /// Tokens in chunks.
    pub prefill: Phase,
}

/// A machine as `seqc probe` found it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Processor, cores and so on, for people.
    pub machine: Value,
    /// With one thread.
    pub one: Rates,
    /// With a thread for each core.
    pub all: Rates,
}

impl Rates {
    /// Bytes a second at which weights are read when a token reads `footprint` bytes of them.
    pub fn read_rate(&self, footprint: f64) -> f64 {
        let above = self.read.iter().position(|(bytes, _)| *bytes >= footprint);
        let (first, last) = (self.read.first(), self.read.last());
        match (above, first, last) {
            (Some(0), Some((_, rate)), _) | (None, _, Some((_, rate))) => *rate,
            (Some(n), ..) => {
                let ((b0, r0), (b1, r1)) = (self.read[n - 1], self.read[n]);
                let at = (footprint / b0).ln() / (b1 / b0).ln();
                r0 + (r1 - r0) * at
            }
            _ => 1.0,
        }
    }

    /// With the rates of fewer threads where those are higher: more threads are slower only while others use the cores.
    pub(super) fn at_least(mut self, fewer: &Rates) -> Rates {
        for (own, other) in self.read.iter_mut().zip(&fewer.read) {
            own.1 = own.1.max(other.1);
        }
        self.product = self.product.max(fewer.product);
        self.decode = self.decode.at_least(fewer.decode);
        self.prefill = self.prefill.at_least(fewer.prefill);
        self
    }

    /// Halfway to the rates that were found a little later.
    pub(super) fn between(&self, later: &Rates) -> Rates {
        let mut rates = self.clone();
        rates.step = (self.step + later.step) / 2.0;
        for (own, other) in rates.read.iter_mut().zip(&later.read) {
            own.1 = (own.1 + other.1) / 2.0;
        }
        rates
    }

    fn to_json(&self) -> Value {
        let read = self
            .read
            .iter()
            .map(|(bytes, rate)| json!({"bytes": bytes, "rate": rate}));
        json!({
            "threads": self.threads,
            "read": read.collect::<Vec<_>>(),
            "product": self.product,
            "step": self.step,
            "decode": self.decode.to_json(),
            "prefill": self.prefill.to_json(),
        })
    }

    fn from_json(v: &Value) -> Option<Rates> {
        let read = v["read"].as_array()?.iter();
        let rates = Rates {
            threads: usize::try_from(v["threads"].as_u64()?).ok()?,
            read: read
                .map(|p| Some((positive(&p["bytes"])?, positive(&p["rate"])?)))
                .collect::<Option<_>>()?,
            product: positive(&v["product"])?,
            step: positive(&v["step"])?,
            decode: Phase::from_json(&v["decode"])?,
            prefill: Phase::from_json(&v["prefill"])?,
        };
        let ascending = rates.read.is_sorted_by(|a, b| a.0 < b.0);
        (ascending && !rates.read.is_empty()).then_some(rates)
    }
}

impl Phase {
    fn at_least(self, other: Phase) -> Phase {
        Phase {
            entries: self.entries.max(other.entries),
            scans: self.scans.max(other.scans),
            loops: self.loops.max(other.loops),
            attend: self.attend.max(other.attend),
        }
    }

    fn to_json(self) -> Value {
        json!({"entries": self.entries, "scans": self.scans, "loops": self.loops, "attend": self.attend})
    }

    fn from_json(v: &Value) -> Option<Phase> {
        Some(Phase {
            entries: positive(&v["entries"])?,
            scans: positive(&v["scans"])?,
            loops: positive(&v["loops"])?,
            attend: positive(&v["attend"])?,
        })
    }
}

fn positive(v: &Value) -> Option<f64> {
    v.as_f64().filter(|x| x.is_finite() && *x > 0.0)
}

impl Profile {
    /// The JSON form: rates a second, times in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "seqc": env!("CARGO_PKG_VERSION"),
            "machine": self.machine,
            "one": self.one.to_json(),
            "all": self.all.to_json(),
        })
    }

    /// A profile from its JSON form; `None` for anything else, such as one of another version.
    pub fn from_json(v: &Value) -> Option<Profile> {
        let fits = v["version"] == VERSION && v["seqc"] == env!("CARGO_PKG_VERSION");
        fits.then(|| {
            Some(Profile {
                machine: v["machine"].clone(),
                one: Rates::from_json(&v["one"])?,
                all: Rates::from_json(&v["all"])?,
            })
        })?
    }

    /// The profile that was kept, if it is of this machine.
    pub fn kept() -> Option<Profile> {
        let text = std::fs::read_to_string(place()?).ok()?;
        let profile = Profile::from_json(&serde_json::from_str(&text).ok()?)?;
        (profile.machine["processor"] == machine()["processor"] && profile.all.threads == cores()).then_some(profile)
    }

    /// Keeps the profile for later runs; the place, or why it could not be kept.
    pub fn keep(&self) -> Result<PathBuf, String> {
        let place = place().ok_or("neither XDG_CACHE_HOME nor HOME names a folder")?;
        let dir = place.parent().unwrap_or(&place);
        let written =
            std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&place, format!("{:#}\n", self.to_json())));
        written.map_err(|e| format!("{}: {e}", place.display()))?;
        Ok(place)
    }
}

/// `seqc/machine.json` in the user's folder for caches.
fn place() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("seqc").join("machine.json"))
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the machine is.
pub(super) fn machine() -> Value {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let decisive =
        |flag: &&str| flag.starts_with("avx") || flag.starts_with("amx") || *flag == "fma" || *flag == "f16c";
    let flags = field("flags").unwrap_or_default();
    json!({
        "processor": field("model name"),
        "features": flags.split_whitespace().filter(decisive).collect::<Vec<_>>(),
        "cores": cores(),
        "system": std::env::consts::OS,
    })
}
