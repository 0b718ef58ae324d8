//! The JSON form of a machine's rates.

use super::{Phase, Points, Probed, Profile, Rates};
use crate::compare::doubt;
use serde_json::{Value, json};

/// Version of the JSON form: another one is measured anew.
const VERSION: u64 = 2;

impl Profile {
    /// The JSON form: rates a second, times in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION,
            "seqc": env!("CARGO_PKG_VERSION"),
            "machine": self.machine,
            "probed": self.probed.as_ref().map(Probed::to_json),
            "doubts": doubt::doubts(self),
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
                probed: Probed::from_json(&v["probed"]),
                one: Rates::from_json(&v["one"])?,
                all: Rates::from_json(&v["all"])?,
            })
        })?
    }
}

impl Probed {
    fn to_json(&self) -> Value {
        json!({"at": self.at, "date": self.date(), "load": self.load, "spread": self.spread})
    }

    fn from_json(v: &Value) -> Option<Probed> {
        let share = |v: &Value| v.as_f64().filter(|x| x.is_finite() && *x >= 0.0);
        Some(Probed {
            at: v["at"].as_u64()?,
            load: share(&v["load"]),
            spread: share(&v["spread"])?,
        })
    }
}

impl Rates {
    fn to_json(&self) -> Value {
        json!({
            "threads": self.threads,
            "read": points(&self.read),
            "rows": points(&self.rows),
            "copy": points(&self.copy),
            "block": self.block,
            "product": self.product,
            "step": self.step,
            "decode": self.decode.to_json(),
            "prefill": self.prefill.to_json(),
        })
    }

    fn from_json(v: &Value) -> Option<Rates> {
        Some(Rates {
            threads: usize::try_from(v["threads"].as_u64()?).ok().filter(|n| *n > 0)?,
            read: from_points(&v["read"])?,
            rows: from_points(&v["rows"])?,
            copy: from_points(&v["copy"])?,
            block: positive(&v["block"])?,
            product: positive(&v["product"])?,
            step: positive(&v["step"])?,
            decode: Phase::from_json(&v["decode"])?,
            prefill: Phase::from_json(&v["prefill"])?,
        })
    }
}

impl Phase {
    fn to_json(self) -> Value {
        json!({"entries": self.entries, "sums": self.sums, "scans": self.scans, "loops": self.loops, "attend": self.attend})
    }

    fn from_json(v: &Value) -> Option<Phase> {
        Some(Phase {
            entries: positive(&v["entries"])?,
            sums: positive(&v["sums"])?,
            scans: positive(&v["scans"])?,
            loops: positive(&v["loops"])?,
            attend: positive(&v["attend"])?,
        })
    }
}

fn points(points: &Points) -> Value {
    points
        .iter()
        .map(|(bytes, rate)| json!({"bytes": bytes, "rate": rate}))
        .collect()
}

fn from_points(v: &Value) -> Option<Points> {
    let point = |p: &Value| Some((positive(&p["bytes"])?, positive(&p["rate"])?));
    let points: Points = v.as_array()?.iter().map(point).collect::<Option<_>>()?;
    let ascending = points.is_sorted_by(|a, b| a.0 < b.0);
    (ascending && !points.is_empty()).then_some(points)
}

fn positive(v: &Value) -> Option<f64> {
    v.as_f64().filter(|x| x.is_finite() && *x > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn profiles_of_devices_are_of_this_version_and_plausible() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/devices");
        let mut found = 0;
        for file in fs::read_dir(folder).expect("it is there") {
            let path = file.expect("a file").path();
            let value = serde_json::from_str(&fs::read_to_string(&path).expect("a text")).expect("JSON");
            let profile = Profile::from_json(&value).unwrap_or_else(|| panic!("{}: another version", path.display()));
            assert_eq!(doubt::doubts(&profile), Vec::<String>::new(), "{}", path.display());
            assert_eq!(profile.probed, None, "{} was not measured", path.display());
            found += 1;
        }
        assert!(found > 0);
    }
}
