//! The choice between the codes that a program carries.

use seqc_abi::Level;

use crate::{Error, Result};

/// Which of the levels that there is code for runs here: the highest of which nothing is lacking.
///
/// # Errors
///
/// [`Error::Failed`] with what this processor lacks of the least.
pub(super) fn choose(levels: &[u64], lacking: impl Fn(Level) -> Vec<&'static str>) -> Result<usize> {
    let known = |number: u64| Level::ALL.into_iter().find(|level| level.number() == number);
    let usable = levels
        .iter()
        .enumerate()
        .filter_map(|(n, number)| known(*number).map(|level| (n, level)))
        .filter(|(_, level)| lacking(*level).is_empty());
    if let Some((n, _)) = usable.max_by_key(|(_, level)| *level) {
        return Ok(n);
    }
    let Some(least) = levels.iter().filter_map(|number| known(*number)).min() else {
        return Err(Error::Failed(
            "the program carries no code that its runtime knows".to_owned(),
        ));
    };
    Err(Error::Failed(format!(
        "this processor lacks {}, which the code in this program needs: it was built for {} ({})",
        lacking(least).join(", "),
        least.name(),
        least.processors(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor with AVX2 and without AVX-512.
    fn narrow(level: Level) -> Vec<&'static str> {
        if level == Level::V3 { vec![] } else { vec!["avx512f"] }
    }

    #[test]
    fn the_highest_level_that_the_processor_understands_runs() {
        assert_eq!(choose(&[3, 4], |_| vec![]).ok(), Some(1));
        assert_eq!(choose(&[3, 4], narrow).ok(), Some(0));
        assert_eq!(choose(&[3, 9], narrow).ok(), Some(0));
    }

    #[test]
    fn a_processor_below_the_least_level_is_told_what_it_lacks() {
        let error = choose(&[3, 4], |_| vec!["avx2", "fma"]).expect_err("nothing runs");
        assert_eq!(error.status(), 2);
        assert!(error.to_string().contains("lacks avx2, fma"), "{error}");
        let error = choose(&[4], narrow).expect_err("nothing runs").to_string();
        assert!(error.contains("avx512f") && error.contains("x86-64-v4"), "{error}");
    }
}
