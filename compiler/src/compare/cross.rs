//! Context lengths at which one model becomes dearer than another.

/// Longest context that is looked at.
pub const LONGEST: f64 = 1_048_576.0;
/// Points looked at for each doubling of the context length.
const POINTS: usize = 8;

/// The length from which `a` stays larger than `b` up to [`LONGEST`]; `None` when it is not larger there, or is
/// larger from the first token on.
pub fn crossover(a: impl Fn(f64) -> f64, b: impl Fn(f64) -> f64) -> Option<f64> {
    let larger = |t: f64| a(t) > b(t);
    if !larger(LONGEST) {
        return None;
    }
    let octaves = LONGEST.log2() as usize;
    let grid = (0..octaves * POINTS).rev().map(|n| (n as f64 / POINTS as f64).exp2());
    let mut high = LONGEST;
    for low in grid {
        if !larger(low) {
            return Some(bisect(larger, low, high));
        }
        high = low;
    }
    None
}

/// The first integer above `low` where `larger` holds, which it does at `high`.
fn bisect(larger: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    (low, high) = (low.floor(), high.ceil());
    while high - low > 1.0 {
        let middle = ((low + high) / 2.0).floor();
        if larger(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_crosses_a_constant_where_it_should() {
        let found = crossover(|t| 10.0 * t, |_| 1000.0);
        assert_eq!(found, Some(101.0));
    }

    #[test]
    fn nothing_crosses_what_is_always_or_never_larger() {
        assert_eq!(crossover(|_| 2.0, |_| 1.0), None);
        assert_eq!(crossover(|_| 1.0, |_| 2.0), None);
        assert_eq!(crossover(|t| 64.0 * t.min(512.0), |_| 40_000.0), None);
    }

    #[test]
    fn the_last_crossing_counts() {
        // Larger at first, smaller between, larger in the end.
        let a = |t: f64| if t < 4.0 { 5.0 } else { t / 100.0 };
        assert_eq!(crossover(a, |_| 1.0), Some(101.0));
    }
}
