//! Numbers that differ between threads.

use super::member::THREADS;
use std::{collections::HashMap, fmt::Write as _};

/// What numbers of threads are shifted by, less than that.
const UP: u32 = 12;

/// Constant tables with a number for each thread, of which none is there twice.
#[derive(Default)]
pub(super) struct Tables {
    numbers: HashMap<Vec<i64>, usize>,
    all: Vec<Vec<i64>>,
}

/// The numbers of all threads, as the thread's own number gives them.
pub(super) enum Pattern {
    /// The same in all threads.
    Same(i64),
    /// `((t >> down & mask) << up) + first` in thread `t`.
    Steps { down: u32, mask: i64, up: u32, first: i64 },
    /// In the table of this name.
    Table(String),
}

impl Tables {
    /// How a thread finds its number.
    pub(super) fn pattern(&mut self, values: &[i64]) -> Pattern {
        debug_assert_eq!(values.len(), THREADS as usize);
        let first = values[0];
        if values.iter().all(|v| *v == first) {
            return Pattern::Same(first);
        }
        let bits = THREADS.trailing_zeros();
        let forms = (0..bits).flat_map(|down| (1..=bits - down).rev().map(move |kept| (down, (1_i64 << kept) - 1)));
        for (down, mask) in forms {
            for up in 0..UP {
                let fits = |(t, v): (usize, &i64)| *v == ((t as i64 >> down & mask) << up) + first;
                if values.iter().enumerate().all(fits) {
                    return Pattern::Steps { down, mask, up, first };
                }
            }
        }
        let next = self.all.len();
        let number = *self.numbers.entry(values.to_vec()).or_insert(next);
        if number == next {
            self.all.push(values.to_vec());
        }
        Pattern::Table(name(number))
    }

    /// Appends the tables.
    pub(super) fn print(&self, out: &mut String) {
        for (number, values) in self.all.iter().enumerate() {
            let list: Vec<String> = values.iter().map(i64::to_string).collect();
            let _ = writeln!(
                out,
                "llvm.mlir.global internal constant @{}(dense<[{}]> : tensor<{THREADS}xi64>) {{addr_space = 0 : i32}} : !llvm.array<{THREADS} x i64>",
                name(number),
                list.join(", ")
            );
        }
    }
}

fn name(number: usize) -> String {
    format!("threads{number}")
}
