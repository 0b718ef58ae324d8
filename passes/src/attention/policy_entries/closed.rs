//! Numbers of entries as closed forms in the lengths of context and prompt.

/// `rise * floor(x / period) + table[x mod period] + per_prompt * P`, where `x` is the context length `T`, or that of the answer, `T - P`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// Growth in a period.
    pub(super) rise: i64,
    /// One number for each remainder: as many as the period is long.
    pub(super) table: Vec<i64>,
    /// `x` is the length of the answer.
    pub(super) of_answer: bool,
    /// Growth with each token of the prompt.
    pub(super) per_prompt: i64,
    /// Where the form holds.
    pub(super) holds: Holds,
}

/// Lengths for which a form was found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// From so many tokens on, wherever a prompt ends.
    Tokens {
        from: usize,
        /// Below that, all tokens are kept.
        full_before: bool,
    },
    /// For prompts and answers that are at least so long.
    Prompt { prompt: usize, answer: usize },
}

impl Closed {
    /// The number, where the form holds. Without a prompt that has ended, only forms without a prompt do.
    pub(super) fn count(&self, tokens: usize, prompt: Option<usize>) -> Option<i64> {
        match (self.holds, prompt) {
            (Holds::Tokens { from, .. }, _) if tokens >= from => Some(self.value(tokens, 0)),
            (Holds::Prompt { prompt: least, answer }, Some(prompt)) if prompt >= least && tokens >= prompt + answer => {
                Some(self.value(tokens, prompt))
            }
            (Holds::Tokens { .. } | Holds::Prompt { .. }, _) => None,
        }
    }

    /// The same number divided by `n`, where that is a form too.
    pub(super) fn divided(&self, n: usize) -> Option<Closed> {
        let n = n as i64;
        let divided = |x: &i64| (x % n == 0).then_some(x / n);
        Some(Closed {
            rise: divided(&self.rise)?,
            table: self.table.iter().map(divided).collect::<Option<_>>()?,
            per_prompt: divided(&self.per_prompt)?,
            ..self.clone()
        })
    }

    pub(super) fn value(&self, tokens: usize, prompt: usize) -> i64 {
        let x = if self.of_answer { tokens - prompt } else { tokens };
        let period = self.table.len();
        self.rise * (x / period) as i64 + self.table[x % period] + self.per_prompt * prompt as i64
    }

    /// Slope and constant in `T` where the prompt is all of the context; `None` where it is no line.
    pub(super) fn line_at_end(&self) -> Option<(i64, i64)> {
        match self.holds {
            Holds::Prompt { answer: 1.., .. } => None,
            Holds::Tokens { .. } | Holds::Prompt { .. } if self.of_answer => Some((self.per_prompt, self.table[0])),
            Holds::Tokens { .. } | Holds::Prompt { .. } => match &self.table[..] {
                [constant] => Some((self.rise + self.per_prompt, *constant)),
                _ => None,
            },
        }
    }

    /// The text form: `T - P + 64`, `min(T, 64)`, `T - T mod 32`.
    pub(super) fn words(&self) -> Option<String> {
        let mut sum = Sum::default();
        let constant = self.without_prompt(&mut sum)?;
        let full_before = matches!(self.holds, Holds::Tokens { full_before: true, .. });
        if full_before && self.table.len() == 1 && self.rise == 0 {
            return Some(format!("min(T, {constant})"));
        }
        sum.times(self.per_prompt - if self.of_answer { sum.answers } else { 0 }, "P");
        sum.times(constant, "");
        Some(sum.text())
    }

    /// Adds what depends on `x`; the constant.
    fn without_prompt(&self, sum: &mut Sum) -> Option<i64> {
        let period = self.table.len() as i64;
        let name = if self.of_answer { "(T - P)" } else { "T" };
        if let [constant] = self.table[..] {
            sum.times(self.rise, "T");
            sum.answers = self.rise;
            return Some(constant);
        }
        let remainder = |first: usize| match (self.table.len() - first) as i64 % period {
            0 => format!("{name} mod {period}"),
            shift if self.of_answer => format!("(T - P + {shift}) mod {period}"),
            shift => format!("(T + {shift}) mod {period}"),
        };
        // What is left of the number when the growth of a token is taken away.
        let each = self.rise / period;
        let rest: Vec<i64> = self.table.iter().zip(0..).map(|(x, n)| x - each * n).collect();
        let (first, least, most) = (
            rest.iter().position(|x| Some(x) == rest.iter().min())?,
            *rest.iter().min()?,
            *rest.iter().max()?,
        );
        let top = rest.iter().position(|x| *x == most)?;
        let up = |n: usize| rest[(first + n) % rest.len()] == least + n as i64;
        let down = |n: usize| rest[(top + n) % rest.len()] == most - n as i64;
        if self.rise != each * period {
            return None;
        }
        sum.times(each, "T");
        sum.answers = each;
        if (0..rest.len()).all(up) {
            sum.times(1, &remainder(first));
            return Some(least);
        }
        if (0..rest.len()).all(down) {
            sum.times(-1, &remainder(top));
            return Some(most);
        }
        None
    }
}

/// A sum as text.
#[derive(Default)]
struct Sum {
    text: String,
    /// Tokens of the answer are counted so often.
    answers: i64,
}

impl Sum {
    fn times(&mut self, factor: i64, what: &str) {
        let size = factor.unsigned_abs();
        let term = match (size, what) {
            (0, _) => return,
            (_, "") => size.to_string(),
            (1, what) => what.to_owned(),
            (size, what) => format!("{size} {what}"),
        };
        let sign = match (self.text.is_empty(), factor < 0) {
            (true, true) => "-",
            (true, false) => "",
            (false, true) => " - ",
            (false, false) => " + ",
        };
        self.text.push_str(sign);
        self.text.push_str(&term);
    }

    fn text(self) -> String {
        if self.text.is_empty() {
            "0".to_owned()
        } else {
            self.text
        }
    }
}
