//! Samplers against oracles written in another way, and draws against their distributions.

use super::{Sampler, SamplingOptions, TokenBias, greedy};
use crate::weights::Mix;

fn sampler(options: SamplingOptions) -> Sampler {
    Sampler::new(options, 16).expect("valid")
}

fn drawing() -> SamplingOptions {
    SamplingOptions {
        temperature: 1.0,
        ..SamplingOptions::default()
    }
}

/// The probability of every token.
fn found(sampler: &Sampler, logits: &[f32]) -> Vec<f64> {
    let kept = sampler.candidates(logits);
    let all: f64 = kept.iter().map(|candidate| candidate.weight).sum();
    let mut probabilities = vec![0.0; logits.len()];
    for candidate in kept {
        probabilities[candidate.token] = candidate.weight / all;
    }
    probabilities
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let all: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / all).collect()
}

/// Keeps a set of tokens and makes their probabilities add up to 1.
fn restrict(probabilities: &[f64], keep: impl Fn(usize) -> bool) -> Vec<f64> {
    let kept = (0..probabilities.len()).map(|token| if keep(token) { probabilities[token] } else { 0.0 });
    let kept: Vec<f64> = kept.collect();
    let all: f64 = kept.iter().sum();
    kept.iter().map(|probability| probability / all).collect()
}

/// Keeps a token where those that come before it, smallest `key` first, have less than the share `p`.
fn restrict_by(probabilities: &[f64], p: f64, key: impl Fn(f64) -> f64) -> Vec<f64> {
    restrict(probabilities, |token| {
        let mine = (key(probabilities[token]), token);
        let before = (0..probabilities.len()).filter(|other| (key(probabilities[*other]), *other) < mine);
        probabilities[token] > 0.0 && before.map(|other| probabilities[other]).sum::<f64>() < p
    })
}

/// The probabilities as the definitions say, over a text with these tokens: of the prompt, and generated.
fn by_definition(options: &SamplingOptions, logits: &[f32], prompt: &[usize], generated: &[usize]) -> Vec<f64> {
    let mut scores: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
    options
        .logit_bias
        .iter()
        .for_each(|one| scores[one.token] += f64::from(one.bias));
    for (token, score) in scores.iter_mut().enumerate() {
        let times = generated.iter().filter(|other| **other == token).count();
        if times > 0 || prompt.contains(&token) {
            let penalty = f64::from(options.repetition_penalty);
            *score = if *score < 0.0 {
                *score * penalty
            } else {
                *score / penalty
            };
        }
        *score -= f64::from(options.presence_penalty) * f64::from(u8::from(times > 0));
        *score -= f64::from(options.frequency_penalty) * times as f64;
        *score /= f64::from(options.temperature);
    }
    let mut q = softmax(&scores);
    if options.top_k > 0 {
        let rank = |token: usize| {
            (0..q.len())
                .filter(|other| (-q[*other], *other) < (-q[token], token))
                .count()
        };
        q = restrict(&q, |token| rank(token) < options.top_k);
    }
    q = restrict_by(&q, f64::from(options.top_p), |q| -q);
    let best = q.iter().copied().fold(0.0, f64::max);
    q = restrict(&q, |token| q[token] >= f64::from(options.min_p) * best);
    let entropy: f64 = q.iter().filter(|q| **q > 0.0).map(|q| -q * q.ln()).sum();
    if options.typical_p < 1.0 {
        q = restrict_by(&q, f64::from(options.typical_p), |q| (-q.ln() - entropy).abs());
    }
    q
}

#[test]
fn every_combination_of_options_gives_the_distribution_of_its_definitions() {
    let mut mix = Mix(11);
    for round in 0..3000 {
        let mut pick = |values: &[f32]| values[(mix.next() % values.len() as u64) as usize];
        let options = SamplingOptions {
            temperature: pick(&[0.3, 1.0, 2.5]),
            top_k: pick(&[0.0, 0.0, 2.0, 5.0, 99.0]) as usize,
            top_p: pick(&[1.0, 0.9, 0.4]),
            min_p: pick(&[0.0, 0.05, 0.3]),
            typical_p: pick(&[1.0, 0.8, 0.2]),
            repetition_penalty: pick(&[1.0, 1.3, 0.7]),
            presence_penalty: pick(&[0.0, 1.5, -0.5]),
            frequency_penalty: pick(&[0.0, 0.4, -0.2]),
            logit_bias: vec![TokenBias {
                token: 3,
                bias: pick(&[0.0, 5.0, -5.0]),
            }],
            seed: 0,
        };
        let logits: Vec<f32> = (0..16).map(|_| 4.0 * mix.signed()).collect();
        let mut token = || (mix.next() % 16) as usize;
        let (prompt, generated) = ([token(), token()], [token(), token(), 7, 7]);
        let mut sampler = sampler(options.clone());
        sampler.read(&prompt.map(|token| token as i64));
        generated.iter().for_each(|token| sampler.accept(*token));
        let expected = by_definition(&options, &logits, &prompt, &generated);
        for (token, (a, b)) in found(&sampler, &logits).iter().zip(&expected).enumerate() {
            assert!(
                (a - b).abs() < 1e-5,
                "round {round}, token {token}: {a} instead of {b}: {options:?}"
            );
        }
    }
}

#[test]
fn what_is_kept_of_a_large_vocabulary_is_what_sorting_all_of_it_keeps() {
    let mut mix = Mix(3);
    let logits: Vec<f32> = (0..5000).map(|_| 3.0 * mix.signed()).collect();
    for (top_p, typical_p) in [(0.9, 1.0), (0.02, 1.0), (1.0, 0.7), (0.999, 0.05)] {
        let options = SamplingOptions {
            top_p,
            typical_p,
            ..drawing()
        };
        let sampler = Sampler::new(options.clone(), logits.len()).expect("valid");
        let expected = by_definition(&options, &logits, &[], &[]);
        let kept = |q: &[f64]| q.iter().map(|q| *q > 0.0).collect::<Vec<_>>();
        assert!(
            kept(&found(&sampler, &logits)) == kept(&expected),
            "{top_p} {typical_p}"
        );
    }
}

/// Pearson's statistic of draws against probabilities.
fn chi_square(counts: &[u32], probabilities: &[f64]) -> f64 {
    let draws: u32 = counts.iter().sum();
    let cells = counts.iter().zip(probabilities).filter(|(_, q)| **q > 0.0);
    cells
        .map(|(count, q)| {
            let expected = q * f64::from(draws);
            (f64::from(*count) - expected).powi(2) / expected
        })
        .sum()
}

#[test]
fn draws_follow_the_distribution() {
    let logits = [0.5, 2.0, -1.0, 1.5, 0.0, 3.0, 1.0, f32::NEG_INFINITY];
    for (options, cells) in [
        (drawing(), 7),
        (
            SamplingOptions {
                temperature: 2.0,
                top_k: 5,
                ..drawing()
            },
            5,
        ),
        (
            SamplingOptions {
                top_p: 0.9,
                ..drawing()
            },
            4,
        ),
        (
            SamplingOptions {
                min_p: 0.1,
                ..drawing()
            },
            4,
        ),
        (
            SamplingOptions {
                typical_p: 0.8,
                ..drawing()
            },
            3,
        ),
    ] {
        let expected = found(&sampler(options.clone()), &logits);
        assert_eq!(expected.iter().filter(|q| **q > 0.0).count(), cells, "{options:?}");
        for seed in 0..8 {
            let mut sampler = sampler(SamplingOptions {
                seed,
                ..options.clone()
            });
            let mut counts = [0; 8];
            (0..20_000).for_each(|_| counts[sampler.next(&logits)] += 1);
            assert!(counts.iter().zip(&expected).all(|(count, q)| *count == 0 || *q > 0.0));
            // Exceeded once in 10 000 times with 6 degrees of freedom, less often with fewer.
            let statistic = chi_square(&counts, &expected);
            assert!(statistic < 27.9, "{statistic} for {options:?}, seed {seed}: {counts:?}");
        }
    }
}

#[test]
fn greedy_is_the_first_maximum_of_what_biases_and_penalties_leave() {
    assert_eq!(greedy(&[0.0, 3.0, 3.0, f32::NAN, -1.0]), 1);
    assert_eq!(greedy(&[]), 0);
    let plain = SamplingOptions::default();
    assert_eq!(sampler(plain.clone()).next(&[0.0, 1.0]), 1);
    let biased = SamplingOptions {
        logit_bias: vec![TokenBias {
            token: 1,
            bias: f32::NEG_INFINITY,
        }],
        ..plain.clone()
    };
    assert_eq!(sampler(biased).next(&[0.0, 1.0, 0.5]), 2);
    let mut tired = sampler(SamplingOptions {
        frequency_penalty: 0.3,
        ..plain
    });
    let drawn: Vec<usize> = (0..6).map(|_| tired.next(&[0.0, 1.0, 0.5])).collect();
    assert_eq!(drawn, [1, 1, 2, 1, 2, 1]);
}

#[test]
fn logits_that_are_no_numbers_are_never_drawn() {
    let mut sampler = sampler(SamplingOptions {
        top_p: 0.9,
        typical_p: 0.9,
        min_p: 0.1,
        ..drawing()
    });
    for _ in 0..50 {
        assert_eq!(sampler.next(&[f32::NAN, 1.0, f32::NEG_INFINITY, f32::NAN]), 1);
    }
    assert_eq!(sampler.next(&[f32::NAN; 3]), 0);
    assert_eq!(sampler.next(&[0.0, f32::INFINITY]), 1);
    assert_eq!(sampler.next(&[]), 0);
}

#[test]
fn a_seed_fixes_the_draws_and_a_copy_goes_on_alike() {
    let start = |seed| {
        sampler(SamplingOptions {
            temperature: 2.0,
            seed,
            ..drawing()
        })
    };
    let draws = |sampler: &mut Sampler| (0..32).map(|_| sampler.next(&[0.1, 0.2, 0.3, 0.4])).collect::<Vec<_>>();
    assert_eq!(draws(&mut start(5)), draws(&mut start(5)));
    assert_ne!(draws(&mut start(5)), draws(&mut start(6)));
    let mut one = start(5);
    draws(&mut one);
    assert_eq!(draws(&mut one.clone()), draws(&mut one));
}

#[test]
fn options_outside_of_their_bounds_are_refused_by_name() {
    type Change = fn(&mut SamplingOptions);
    let cases: &[(&str, Change)] = &[
        ("temperature", |o| o.temperature = -1.0),
        ("temperature", |o| o.temperature = f32::NAN),
        ("temperature", |o| o.temperature = f32::INFINITY),
        ("temperature", |o| o.temperature = 1e30),
        ("top_p", |o| o.top_p = 1.5),
        ("top_p", |o| o.top_p = f32::NAN),
        ("min_p", |o| o.min_p = -0.1),
        ("typical_p", |o| o.typical_p = 2.0),
        ("repetition_penalty", |o| o.repetition_penalty = 0.0),
        ("repetition_penalty", |o| o.repetition_penalty = 1e30),
        ("repetition_penalty", |o| o.repetition_penalty = 1e-30),
        ("repetition_penalty", |o| o.repetition_penalty = f32::INFINITY),
        ("presence_penalty", |o| o.presence_penalty = 2.5),
        ("frequency_penalty", |o| o.frequency_penalty = f32::NAN),
        ("logit_bias", |o| {
            o.logit_bias = vec![TokenBias { token: 16, bias: 1.0 }]
        }),
        ("logit_bias", |o| {
            o.logit_bias = vec![TokenBias { token: 1, bias: 1e30 }]
        }),
        ("logit_bias", |o| {
            o.logit_bias = vec![TokenBias {
                token: 1,
                bias: f32::NAN,
            }]
        }),
        ("logit_bias", |o| {
            o.logit_bias = vec![TokenBias {
                token: 1,
                bias: f32::INFINITY,
            }]
        }),
    ];
    for (name, change) in cases {
        let mut options = drawing();
        change(&mut options);
        let said = Sampler::new(options, 16).map(drop).expect_err(name).to_string();
        assert!(said.starts_with(name), "{said}");
    }
}
