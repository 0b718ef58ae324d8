//! Random layer files: statements over all constructs of the language, mostly valid.

use seqc_ir::random::Rng;
use std::fmt::Write;

/// A size and how it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Size {
    pub(super) text: String,
    pub(super) count: u64,
}

/// Element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elem {
    Real,
    Int,
    Truth,
}

/// Something that a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) shape: Vec<Size>,
    pub(super) elem: Elem,
}

/// Sizes of small cases, which are computed.
const SMALL: &[u64] = &[1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 20];

/// Sizes around every limit that something may have.
const LARGE: &[u64] = &[
    1,
    3,
    8,
    31,
    64,
    65,
    100,
    128,
    255,
    257,
    512,
    1000,
    1024,
    4096,
    4097,
    5000,
    8192,
    10007,
    65536,
    65537,
    100_003,
    1_000_003,
    1 << 24,
    (1 << 31) - 1,
    1 << 32,
    1 << 40,
    1 << 53,
];

/// A layer being written.
pub(super) struct Layer<'r> {
    pub(super) rng: &'r mut Rng,
    /// Sizes beyond what is computed.
    pub(super) large: bool,
    pub(super) sizes: Vec<Size>,
    pub(super) values: Vec<Named>,
    /// Index variables in scope.
    pub(super) vars: Vec<(String, Size)>,
    pub(super) functions: Vec<String>,
    pub(super) settings: Vec<String>,
    lines: Vec<String>,
    next: usize,
    /// Parts of expressions that may still be written.
    pub(super) budget: usize,
}

impl<'r> Layer<'r> {
    /// A layer on `x: [d]`, and on the integers `t` if there are some.
    pub(super) fn new(rng: &'r mut Rng, large: bool, d: u64, integers: bool) -> Layer<'r> {
        let d = Size {
            text: "d".to_owned(),
            count: d,
        };
        let mut values = vec![Named {
            name: "x".to_owned(),
            shape: vec![d.clone()],
            elem: Elem::Real,
        }];
        if integers {
            values.push(Named {
                name: "t".to_owned(),
                shape: Vec::new(),
                elem: Elem::Int,
            });
        }
        Layer {
            rng,
            large,
            sizes: vec![d],
            values,
            vars: Vec::new(),
            functions: Vec::new(),
            settings: Vec::new(),
            lines: Vec::new(),
            next: 0,
            budget: 60,
        }
    }

    /// The whole file.
    pub(super) fn file(mut self, name: &str, integers: bool) -> String {
        self.some_sizes();
        for _ in 0..1 + self.rng.below(9) {
            self.budget = 60;
            self.statement();
        }
        self.budget = 40;
        let d = self.sizes[0].clone();
        let result = self.real(&[d], 3);
        let mut out = self.functions.join("");
        let settings = if self.settings.is_empty() {
            String::new()
        } else {
            format!("; {}", self.settings.join(", "))
        };
        let more = if integers { ", t: int" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(out, "layer {name}(x: [d]{more}{settings}) -> [d] {{");
        for line in &self.lines {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  {result}\n}}");
        out
    }

    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    pub(super) fn chance(&mut self, one_in: usize) -> bool {
        self.rng.once_in(one_in)
    }

    fn number(&mut self) -> u64 {
        if self.large && self.chance(2) {
            // Huge sizes seldom: most of such layers are refused at once.
            let end = if self.chance(6) { LARGE.len() } else { LARGE.len() - 7 };
            LARGE[self.rng.below(end)]
        } else {
            SMALL[self.rng.below(SMALL.len())]
        }
    }

    /// A size: a name that is known, or a number.
    pub(super) fn size(&mut self) -> Size {
        if self.chance(3) {
            let count = self.number();
            return Size {
                text: count.to_string(),
                count,
            };
        }
        self.sizes[self.rng.below(self.sizes.len())].clone()
    }

    /// Settings and `dim`s.
    fn some_sizes(&mut self) {
        for _ in 0..self.rng.below(4) {
            let (name, count) = (self.fresh("n"), self.number());
            let size = Size {
                text: name.clone(),
                count,
            };
            match self.rng.below(3) {
                0 => self.settings.push(format!("{name} = {count}")),
                1 => self.lines.push(format!("dim {name} = {count}")),
                _ => {
                    let base = self.sizes[self.rng.below(self.sizes.len())].clone();
                    let (text, count) = match self.rng.below(4) {
                        0 => (format!("2 * {}", base.text), 2 * base.count),
                        1 => (format!("{} + 1", base.text), base.count + 1),
                        2 => (format!("ceil({} / 2)", base.text), base.count.div_ceil(2)),
                        _ => (format!("max({}, 2)", base.text), base.count.max(2)),
                    };
                    self.lines.push(format!("dim {name} = {text}"));
                    self.sizes.push(Size { text: name, count });
                    continue;
                }
            }
            self.sizes.push(size);
        }
    }

    pub(super) fn shape(&mut self) -> Vec<Size> {
        let rank = [0, 1, 1, 1, 2, 2, 3][self.rng.below(7)];
        (0..rank).map(|_| self.size()).collect()
    }

    /// A parameter of this shape, declared above.
    pub(super) fn param(&mut self, shape: &[Size]) -> String {
        let name = self.fresh("w");
        self.lines.push(format!("param {name}{}", brackets(shape)));
        self.values.push(Named {
            name: name.clone(),
            shape: shape.to_vec(),
            elem: Elem::Real,
        });
        name
    }

    pub(super) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn define(&mut self, name: String, shape: Vec<Size>, elem: Elem) {
        self.values.push(Named { name, shape, elem });
    }

    fn statement(&mut self) {
        match self.rng.below(14) {
            0 | 1 => self.whole(),
            2 | 3 => self.indexed(),
            4..=6 => self.recurrence(),
            7 | 8 => self.attention(),
            9 => self.clocked(),
            10 => self.report(),
            11 => self.split(),
            12 => self.function(),
            _ => self.complex(),
        }
    }

    fn whole(&mut self) {
        let (name, shape) = (self.fresh("v"), self.shape());
        let (value, elem) = match self.rng.below(6) {
            0 => (self.truth(&shape, 3), Elem::Truth),
            1 if shape.is_empty() => (self.integer(3), Elem::Int),
            _ => (self.real(&shape, 4), Elem::Real),
        };
        let stated = if self.chance(3) && elem == Elem::Real && !shape.is_empty() {
            format!(": {}", brackets(&shape))
        } else {
            String::new()
        };
        self.line(format!("{name}{stated} = {value}"));
        self.define(name, shape, elem);
    }

    /// `y[i, j] = …`; the variables are named after sizes, or stand for the axes of what is indexed first.
    fn indexed(&mut self) {
        let name = self.fresh("v");
        let shape = self.shape();
        let mut vars = Vec::new();
        for size in &shape {
            let var = self.fresh("i");
            self.line(format!("dim {var} = {}", size.text));
            vars.push((var, size.clone()));
        }
        let left: Vec<String> = vars.iter().map(|(v, _)| v.clone()).collect();
        self.vars = vars;
        let elem = if self.chance(5) { Elem::Truth } else { Elem::Real };
        let value = match elem {
            Elem::Truth => self.truth(&[], 3),
            _ => self.real(&[], 4),
        };
        self.vars.clear();
        let left = if left.is_empty() {
            String::new()
        } else {
            format!("[{}]", left.join(", "))
        };
        self.line(format!("{name}{left} = {value}"));
        self.define(name, shape, elem);
    }

    fn recurrence(&mut self) {
        let (name, shape) = (self.fresh("h"), self.shape());
        let input = self.real(&shape, 2);
        let gate = match self.rng.below(4) {
            0 => "0.9".to_owned(),
            1 => format!("sigmoid({})", self.real(&shape, 2)),
            2 => self.param(&shape),
            _ => format!("exp(-softplus({}))", self.real(&[], 2)),
        };
        let mut settings = Vec::new();
        if self.chance(3) {
            settings.push("init = 0.5".to_owned());
        }
        if self.chance(4) {
            settings.push(format!("reset = {}", self.truth(&[], 2)));
        }
        let before = if settings.is_empty() {
            format!("prev({name})")
        } else {
            format!("prev({name}; {})", settings.join(", "))
        };
        let before = match self.rng.below(8) {
            0 => format!("delay(prev({name}), {})", 1 + self.rng.below(4)),
            1 if shape.len() == 1 => format!("({} @ {before})", self.param(&[shape[0].clone(), shape[0].clone()])),
            _ => before,
        };
        let value = match self.rng.below(4) {
            0 => format!("tanh({before}) * 0.5 + {input}"),
            1 => format!("max({before} * 0.5, {input})"),
            _ => format!("tanh({gate}) * {before} + {input}"),
        };
        self.line(format!("{name}: {} = {value}", brackets_or_scalar(&shape)));
        self.define(name, shape, Elem::Real);
    }

    fn attention(&mut self) {
        let small = |layer: &mut Self, of: &[u64]| of[layer.rng.below(of.len())];
        let heads = if self.large && self.chance(2) {
            small(self, &[64, 100, 512, 4096])
        } else {
            small(self, &[1, 2, 4])
        };
        let groups = if self.chance(2) { heads } else { 1 };
        let width = small(self, if self.large { &[1, 8, 128, 1000] } else { &[1, 3, 4, 8] });
        let size = |count: u64| Size {
            text: count.to_string(),
            count,
        };
        let (q, k) = ([size(heads), size(width)], [size(groups), size(width)]);
        let rows = [&q, &k, &k].map(|shape| {
            let name = self.fresh("r");
            let value = self.real(shape, 2);
            self.line(format!("{name}: {} = {value}", brackets(shape)));
            self.define(name.clone(), shape.to_vec(), Elem::Real);
            name
        });
        let name = self.fresh("a");
        let condition = self.condition_on_keys();
        let score = self.score();
        let mut settings: Vec<String> = condition.into_iter().chain(score).collect();
        if self.chance(2) {
            settings.push("scale = 0.5".to_owned());
        }
        if self.chance(5) {
            settings.push("normalise = sum".to_owned());
        }
        let settings = if settings.is_empty() {
            String::new()
        } else {
            format!("; {}", settings.join(", "))
        };
        let [q_row, k_row, v_row] = rows;
        if self.chance(6) {
            let top = 1 + self.rng.below(4);
            let score = self.fresh("s");
            self.line(format!("({name}, {score}) = select({q_row}, {k_row}; top = {top})"));
            self.define(score, vec![size(heads), size(top as u64)], Elem::Real);
            return;
        }
        self.line(format!("{name} = attend({q_row}, {k_row}, {v_row}{settings})"));
        self.define(name, q.to_vec(), Elem::Real);
    }

    fn condition_on_keys(&mut self) -> Option<String> {
        let window = 1 + self.rng.below(9);
        let condition = match self.rng.below(6) {
            0 => format!("i - j < {window}"),
            1 => format!("i - j < {window} || j < {}", 1 + self.rng.below(4)),
            2 => format!("i - j < {window} || j % 4 == {}", self.rng.below(4)),
            3 => format!("i != j && (i - j) / 2 < {window}"),
            4 => {
                let name = self.fresh("g");
                let value = self.truth(&[], 2);
                self.line(format!("{name} = {value}"));
                self.define(name.clone(), Vec::new(), Elem::Truth);
                format!("{name}[j] || i - j < {window}")
            }
            _ => return None,
        };
        Some(format!("where (i, j) = {condition}"))
    }

    fn score(&mut self) -> Option<String> {
        let score = match self.rng.below(5) {
            0 => "s - 0.1 * (i - j)".to_owned(),
            1 => "tanh(s) * 2".to_owned(),
            2 => {
                let table = self.size();
                let name = self.param(&[table]);
                format!("s + {name}[i - j]")
            }
            _ => return None,
        };
        Some(format!("score (s, i, j) = {score}"))
    }

    fn clocked(&mut self) {
        let (on, name, shape) = (self.fresh("c"), self.fresh("v"), self.shape());
        let condition = match self.rng.below(3) {
            0 => format!("every({})", 1 + self.rng.below(5)),
            1 => format!("position() % {} == 1", 2 + self.rng.below(4)),
            _ => self.truth(&[], 2),
        };
        self.line(format!("{on} = {condition}"));
        let inner = self.real(&shape, 2);
        let y = self.fresh("y");
        self.line(format!("{y} = {inner} when {on}"));
        let value = match self.rng.below(5) {
            0 => format!("hold({y})"),
            1 => format!("merge({on}, {y}, {})", self.real(&shape, 2)),
            2 => format!("hold(prev({y}))"),
            3 => format!("hold(tanh({y}); init = 0.5)"),
            _ => format!("merge({on}, delay({y}, 2), 0.25)"),
        };
        self.line(format!("{name} = {value}"));
        self.define(name, shape, Elem::Real);
    }

    fn report(&mut self) {
        let shape = self.shape();
        let (name, value) = (self.fresh("r"), self.real(&shape, 2));
        self.line(format!("trace {name} = {value}"));
    }

    fn split(&mut self) {
        let (a, b) = (self.size(), self.size());
        let whole = Size {
            text: format!("({} + {})", a.text, b.text),
            count: a.count + b.count,
        };
        let value = self.real(&[whole], 2);
        let (first, second) = (self.fresh("v"), self.fresh("v"));
        self.line(format!("({first}, {second}) = split({value}, {}, {})", a.text, b.text));
        self.define(first, vec![a], Elem::Real);
        self.define(second, vec![b], Elem::Real);
    }

    /// A function of one vector, with a memory now and then, and a call of it.
    fn function(&mut self) {
        let (name, result) = (self.fresh("f"), self.fresh("v"));
        let size = self.size();
        let argument = self.real(std::slice::from_ref(&size), 2);
        let body = match self.rng.below(5) {
            0 => "h = 0.5 * prev(h) + u\n  h",
            1 => "y[n] = u[n] * by\n  y",
            2 => "u - mean(n: u[n])",
            3 => "delay(u, 2) * by",
            _ => "m = max(n: abs(u[n]))\n  u / (m + 1)",
        };
        self.functions
            .push(format!("fn {name}(u: [n]; by = 2) {{\n  {body}\n}}\n\n"));
        let by = if self.chance(2) { "; by = 0.5" } else { "" };
        self.line(format!("{result} = {name}({argument}{by})"));
        self.define(result, vec![size], Elem::Real);
    }

    fn complex(&mut self) {
        let (name, size) = (self.fresh("z"), self.size());
        let shape = [size.clone()];
        let input = self.real(&shape, 2);
        let c = self.fresh("c");
        self.line(format!("param {c}{}: complex", brackets(&shape)));
        let value = if self.chance(2) {
            format!("0.5 * {c} * prev({name}) + {input}")
        } else {
            format!("exp({c}) * complex({input}, 0.5)")
        };
        self.line(format!("{name}: {} = {value}", brackets(&shape)));
        let part = ["re", "im", "abs"][self.rng.below(3)];
        let result = self.fresh("v");
        self.line(format!("{result} = {part}({name} * conj({c}))"));
        self.define(result, vec![size], Elem::Real);
    }
}

/// `[a, b]`, nothing for a scalar.
pub(super) fn brackets(shape: &[Size]) -> String {
    if shape.is_empty() {
        String::new()
    } else {
        brackets_or_scalar(shape)
    }
}

fn brackets_or_scalar(shape: &[Size]) -> String {
    let sizes: Vec<&str> = shape.iter().map(|s| s.text.as_str()).collect();
    format!("[{}]", sizes.join(", "))
}
