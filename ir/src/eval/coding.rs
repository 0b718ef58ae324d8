//! What is read back of keys and values that are stored in a few bits.

use crate::policy::{Along, Coding};

/// One row by itself, read back in place.
pub(super) fn row(coding: &Coding, row: &mut [f64]) {
    if coding.bits < 32 {
        row.chunks_mut(coding.group.max(1))
            .for_each(|group| read_back(coding, group));
    }
}

/// Consecutive rows, the first at a multiple of a group's tokens, read back in place; channels that are not stored become 0.
pub(super) fn rows(coding: &Coding, rows: &mut [&mut Vec<f64>], channels: Option<&[usize]>) {
    if let Some(kept) = channels {
        for row in rows.iter_mut() {
            for (c, x) in row.iter_mut().enumerate() {
                if !kept.contains(&c) {
                    *x = 0.0;
                }
            }
        }
    }
    match coding.along {
        Along::Channels => rows.iter_mut().for_each(|r| row(coding, r)),
        Along::Tokens if coding.bits < 32 => {
            for rows in rows.chunks_mut(coding.group.max(1)) {
                for c in 0..rows.first().map_or(0, |r| r.len()) {
                    let mut group: Vec<f64> = rows.iter().map(|r| r[c]).collect();
                    read_back(coding, &mut group);
                    rows.iter_mut().zip(group).for_each(|(r, x)| r[c] = x);
                }
            }
        }
        Along::Tokens => {}
    }
}

fn read_back(coding: &Coding, group: &mut [f64]) {
    let low = if coding.symmetric {
        0.0
    } else {
        group.iter().copied().fold(f64::INFINITY, f64::min)
    };
    let span = group.iter().map(|x| (x - low).abs()).fold(0.0, f64::max);
    let step = span / coding.codes();
    for x in group {
        *x = if step == 0.0 {
            low
        } else {
            low + ((*x - low) / step).round_ties_even() * step
        };
    }
}
