//! The rates of a machine, and when and how they were measured.

mod json;

use super::identity;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, for dates.
const LAST_SECOND: u64 = 253_402_300_799;

/// Rates of loops and recurrences; their unit is an addition a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Loops over entries, each token for itself.
    pub entries: f64,
    /// Sums over entries in such loops.
    pub sums: f64,
    /// Recurrences that run entry by entry.
    pub scans: f64,
    /// Recurrences that run head by head.
    pub loops: f64,
    /// Attention.
    pub attend: f64,
}

/// A rate that depends on the bytes that a token moves: both, ascending by bytes.
pub type Points = Vec<(f64, f64)>;

/// What a number of threads does in a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// The threads.
    pub threads: usize,
    /// Bytes of weights read by products with one vector.
    pub read: Points,
    /// Bytes of a state read and written by a token alone where rows lie on pages of their own.
    pub rows: Points,
    /// Bytes of earlier tokens' rows read and written by a token alone: one thread does it.
    pub copy: Points,
    /// Bytes of a state read and written from token to token of a chunk by blocks that exceed the L1 cache.
    pub block: f64,
    /// Operations a second of products of matrices in a chunk, f32.
    pub product: f64,
    /// Seconds that a kernel takes before it does anything.
    pub step: f64,
    /// Tokens one by one.
    pub decode: Phase,
    /// Tokens in chunks.
    pub prefill: Phase,
}

/// When and how a machine was probed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// Seconds since 1970.
    pub at: u64,
    /// Share of the processor that other processes used meanwhile, where the system says so.
    pub load: Option<f64>,
    /// How much longer the median of a probe's runs took than the fastest, for the worst probe: 0.1 is a tenth.
    pub spread: f64,
}

/// A machine as `seqc probe` found it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Processor, cores and so on, see `identity::machine`.
    pub machine: Value,
    /// When it was found; `None` in a profile that was not measured.
    pub probed: Option<Probed>,
    /// With one thread.
    pub one: Rates,
    /// With a thread for each core.
    pub all: Rates,
}

/// The rate for a token that moves `bytes`: between two points by the logarithm.
pub(super) fn at(points: &Points, bytes: f64) -> f64 {
    let above = points.iter().position(|(b, _)| *b >= bytes);
    let last = points.last();
    match (above, last) {
        (Some(0), _) => points[0].1,
        (None, Some((_, rate))) => *rate,
        (Some(n), _) => {
            let ((b0, r0), (b1, r1)) = (points[n - 1], points[n]);
            r0 + (r1 - r0) * (bytes / b0).ln() / (b1 / b0).ln()
        }
        (None, None) => 1.0,
    }
}

impl Rates {
    /// With the rates of fewer threads where those are higher: more threads are slower only while others use the cores.
    pub(super) fn at_least(mut self, fewer: &Rates) -> Rates {
        for (own, other) in [
            (&mut self.read, &fewer.read),
            (&mut self.rows, &fewer.rows),
            (&mut self.copy, &fewer.copy),
        ] {
            for (own, other) in own.iter_mut().zip(other) {
                own.1 = own.1.max(other.1);
            }
        }
        self.block = self.block.max(fewer.block);
        self.product = self.product.max(fewer.product);
        self.decode = self.decode.at_least(fewer.decode);
        self.prefill = self.prefill.at_least(fewer.prefill);
        self
    }

    /// Halfway to the rates that were found a little later.
    pub(super) fn between(&self, later: &Rates) -> Rates {
        let mut rates = self.clone();
        rates.step = (self.step + later.step) / 2.0;
        for (own, other) in [
            (&mut rates.read, &later.read),
            (&mut rates.rows, &later.rows),
            (&mut rates.copy, &later.copy),
        ] {
            for (own, other) in own.iter_mut().zip(other) {
                own.1 = (own.1 + other.1) / 2.0;
            }
        }
        rates
    }
}

impl Phase {
    fn at_least(self, other: Phase) -> Phase {
        Phase {
            entries: self.entries.max(other.entries),
            sums: self.sums.max(other.sums),
            scans: self.scans.max(other.scans),
            loops: self.loops.max(other.loops),
            attend: self.attend.max(other.attend),
        }
    }
}

impl Probed {
    /// Now, with what was seen meanwhile.
    pub(super) fn now(load: Option<f64>, spread: f64) -> Probed {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Probed {
            at: since.as_secs(),
            load,
            spread,
        }
    }

    /// `2026-11-28T05:40:00Z`.
    pub fn date(&self) -> String {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.at.min(LAST_SECOND))).to_string()
    }

    /// Seconds since then; `None` when that is still to come.
    pub(super) fn age(&self) -> Option<u64> {
        Probed::now(None, 0.0).at.checked_sub(self.at)
    }
}

impl Profile {
    /// True when it is of this machine.
    pub(super) fn is_of_this_machine(&self) -> bool {
        self.machine == identity::machine() && self.all.threads == identity::cores()
    }
}

/// A machine with round rates, probed a moment ago; for tests.
#[cfg(test)]
pub(super) fn sample() -> Profile {
    let rates = |threads: usize| {
        let all = |rate: f64| rate * threads as f64;
        let phase = Phase {
            entries: all(1e10),
            sums: all(1e10),
            scans: all(1e10),
            loops: all(1e10),
            attend: all(1e10),
        };
        Rates {
            threads,
            read: vec![(1e6, all(4e10)), (1e8, all(1e10))],
            rows: vec![(1e6, all(2e10)), (1e8, all(5e9))],
            copy: vec![(1e6, 1e10), (1e8, 5e9)],
            block: all(2e10),
            product: all(5e10),
            step: 1e-6,
            decode: phase,
            prefill: phase,
        }
    };
    Profile {
        machine: identity::machine(),
        probed: Some(Probed::now(Some(0.0), 0.05)),
        one: rates(1),
        all: rates(identity::cores()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_survives_its_json_form_and_others_are_none() {
        let profile = sample();
        let v = profile.to_json();
        assert_eq!(Profile::from_json(&v), Some(profile));
        for (key, other) in [("version", json!(1)), ("seqc", json!("0.0.0")), ("one", json!({}))] {
            let mut v = v.clone();
            v[key] = other;
            assert_eq!(Profile::from_json(&v), None, "{key}");
        }
    }

    #[test]
    fn between_two_points_a_rate_changes_with_the_logarithm() {
        let points = vec![(1e6, 10.0), (1e8, 20.0)];
        assert_eq!(
            [1.0, 1e7, 1e9].map(|bytes| at(&points, bytes).round()),
            [10.0, 15.0, 20.0]
        );
    }

    #[test]
    fn dates_are_written_as_the_standard_says() {
        let probed = Probed {
            at: 1_795_844_400,
            ..Probed::default()
        };
        assert_eq!(probed.date(), "2026-11-28T05:40:00Z");
    }
}
