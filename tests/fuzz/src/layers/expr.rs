//! Random expressions: of whole tensors, and of entries where index variables are in scope.

use super::text::{Elem, Layer, Named, Size};

const FUNCTIONS: &[&str] = &[
    "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "abs", "floor", "round", "silu",
    "gelu", "relu",
];

impl Layer<'_> {
    /// True when something longer than a leaf may be written.
    fn grows(&mut self, depth: usize) -> bool {
        self.budget = self.budget.saturating_sub(1);
        depth > 0 && self.budget > 0 && !self.chance(5)
    }

    /// A real value of this shape; with index variables in scope only scalars are asked for.
    pub(super) fn real(&mut self, shape: &[Size], depth: usize) -> String {
        if !self.grows(depth) {
            return self.leaf(shape);
        }
        let scalar: &[Size] = &[];
        match self.rng.below(20) {
            0..=2 => {
                let f = FUNCTIONS[self.rng.below(FUNCTIONS.len())];
                format!("{f}({})", self.real(shape, depth - 1))
            }
            3..=5 => {
                let op = ["+", "-", "*", "/", "%", "**"][self.rng.below(6)];
                let left = self.real(shape, depth - 1);
                let right = if self.chance(3) { scalar } else { shape };
                format!("({left} {op} {})", self.real(right, depth - 1))
            }
            6 => {
                let f = ["min", "max"][self.rng.below(2)];
                format!("{f}({}, {})", self.real(shape, depth - 1), self.real(shape, depth - 1))
            }
            7 => {
                let on = if self.chance(2) { scalar } else { shape };
                let condition = self.truth(on, depth - 1);
                let (a, b) = (self.real(shape, depth - 1), self.real(shape, depth - 1));
                format!("(if {condition} then {a} else {b})")
            }
            8 | 9 if shape.is_empty() => self.reduction(depth),
            10 if !shape.is_empty() => self.product(shape, depth),
            10..=12 if shape.is_empty() => self.entry(depth),
            13 if shape.is_empty() => format!("({} * 1.0)", self.integer(depth - 1)),
            _ if !self.vars.is_empty() => self.leaf(shape),
            8 | 9 if !shape.is_empty() => self.product(shape, depth),
            11 => format!("prev({})", self.real(shape, depth - 1)),
            12 => {
                let k = if self.large && self.chance(4) {
                    1 << self.rng.below(26)
                } else {
                    1 + self.rng.below(6)
                };
                format!("delay({}, {k})", self.real(shape, depth - 1))
            }
            13 => format!("-{}", self.real(shape, depth - 1)),
            14 if !shape.is_empty() => self.filter(shape, depth),
            15 if !shape.is_empty() => self.joined(shape, depth),
            16 if shape.len() == 1 => self.of_vector(shape, depth),
            17 => format!("hold(segment_mean({}; size = 3))", self.real(shape, depth - 1)),
            18 if !shape.is_empty() => self.table_row(shape, depth),
            _ if !shape.is_empty() => self.reshaped(shape, depth),
            _ => self.leaf(shape),
        }
    }

    fn leaf(&mut self, shape: &[Size]) -> String {
        if shape.is_empty() && !self.vars.is_empty() && !self.chance(4) {
            return self.entry(0);
        }
        let counts: Vec<u64> = shape.iter().map(|s| s.count).collect();
        let fits = |v: &&Named| v.elem == Elem::Real && v.shape.iter().map(|s| s.count).eq(counts.iter().copied());
        let found: Vec<String> = self.values.iter().filter(fits).map(|v| v.name.clone()).collect();
        if !found.is_empty() && !self.chance(4) {
            return found[self.rng.below(found.len())].clone();
        }
        if shape.is_empty() {
            let numbers = ["0.5", "2", "-1", "1e-3", "3.25", "inf", "1e30", "0"];
            let end = if self.chance(8) { numbers.len() } else { 5 };
            return numbers[self.rng.below(end)].to_owned();
        }
        self.param(shape)
    }

    /// `W @ x`
    fn product(&mut self, shape: &[Size], depth: usize) -> String {
        let k = self.size();
        let w = [shape, std::slice::from_ref(&k)].concat();
        let w = self.param(&w);
        format!("({w} @ {})", self.real(&[k], depth - 1))
    }

    fn filter(&mut self, shape: &[Size], depth: usize) -> String {
        let u = self.real(shape, depth - 1);
        let taps = [1, 2, 4, 7, 33, 300][self.rng.below(if self.large { 6 } else { 4 })];
        let taps = Size {
            text: taps.to_string(),
            count: taps,
        };
        let w = self.param(&[shape, &[taps]].concat());
        match self.rng.below(3) {
            0 => format!("long_conv({u}, {w})"),
            1 => format!("causal_conv({u}, {w}; dilation = {})", 1 + self.rng.below(3)),
            _ => format!("causal_conv({u}, {w})"),
        }
    }

    fn joined(&mut self, shape: &[Size], depth: usize) -> String {
        let last = &shape[shape.len() - 1];
        if last.count < 2 {
            return self.leaf(shape);
        }
        let at = 1 + self.rng.below(last.count.min(1 << 20) as usize - 1) as u64;
        let part = |count: u64| Size {
            text: count.to_string(),
            count,
        };
        let lead = &shape[..shape.len() - 1];
        let [a, b] = [part(at), part(last.count - at)].map(|size| {
            let shape = [lead, &[size]].concat();
            self.real(&shape, depth - 1)
        });
        format!("concat({a}, {b})")
    }

    fn of_vector(&mut self, shape: &[Size], depth: usize) -> String {
        let x = self.real(shape, depth - 1);
        let k = 1 + self.rng.below(3);
        match self.rng.below(6) {
            0 | 1 => format!("softmax({x})"),
            2 => format!("top_k({x}; k = {k})"),
            3 => format!("l2_norm({x})"),
            4 => format!("rms_norm({x}, {})", self.param(shape)),
            _ => format!("({x} * gap({x}))"),
        }
    }

    fn table_row(&mut self, shape: &[Size], depth: usize) -> String {
        let rows = self.size();
        let table = self.param(&[std::slice::from_ref(&rows), shape].concat());
        format!("lookup({table}, {})", self.integer(depth - 1))
    }

    fn reshaped(&mut self, shape: &[Size], depth: usize) -> String {
        let total = shape.iter().try_fold(1_u64, |n, s| n.checked_mul(s.count)).unwrap_or(1);
        let same = |v: &&Named| {
            let count = v.shape.iter().try_fold(1_u64, |n, s| n.checked_mul(s.count));
            v.elem == Elem::Real && !v.shape.is_empty() && count == Some(total)
        };
        let found: Vec<String> = self.values.iter().filter(same).map(|v| v.name.clone()).collect();
        let sizes: Vec<&str> = shape.iter().map(|s| s.text.as_str()).collect();
        if !found.is_empty() {
            let from = &found[self.rng.below(found.len())];
            return format!("reshape({from}, {})", sizes.join(", "));
        }
        let whole = Size {
            text: total.to_string(),
            count: total,
        };
        let sizes = sizes.join(", ");
        format!("reshape({}, {sizes})", self.real(&[whole], depth - 1))
    }

    /// A reduction to a scalar over one or two new variables.
    fn reduction(&mut self, depth: usize) -> String {
        let count = 1 + usize::from(self.chance(4));
        let outer = self.vars.len();
        let mut stated = Vec::new();
        for _ in 0..count {
            let (var, size) = (self.fresh("k"), self.size());
            stated.push(format!("{var} < {}", size.text));
            self.vars.push((var, size));
        }
        let op = ["sum", "mean", "max", "min", "prod", "sum"][self.rng.below(6)];
        let body = self.real(&[], depth - 1);
        self.vars.truncate(outer);
        format!("{op}({}: {body})", stated.join(", "))
    }

    /// A value with an index for each axis.
    fn entry(&mut self, depth: usize) -> String {
        let known: Vec<Named> = self.values.iter().filter(|v| v.elem == Elem::Real).cloned().collect();
        let value = if known.is_empty() || self.chance(6) {
            let shape = self.shape();
            let name = self.param(&shape);
            Named {
                name,
                shape,
                elem: Elem::Real,
            }
        } else {
            known[self.rng.below(known.len())].clone()
        };
        if value.shape.is_empty() {
            return value.name;
        }
        let name = if self.chance(8) {
            format!("prev({})", value.name)
        } else {
            value.name.clone()
        };
        let indices: Vec<String> = value.shape.iter().map(|s| self.index(s, depth)).collect();
        format!("{name}[{}]", indices.join(", "))
    }

    /// An index into an axis.
    fn index(&mut self, axis: &Size, depth: usize) -> String {
        let vars = self.vars.clone();
        if depth > 0 && self.budget > 0 && self.chance(6) {
            return self.integer(depth - 1);
        }
        if !vars.is_empty() && !self.chance(6) {
            let (var, size) = vars[self.rng.below(vars.len())].clone();
            let same = vars.iter().find(|(_, s)| s.count == axis.count);
            if let (Some((var, _)), false) = (same, self.chance(4)) {
                return if self.chance(5) {
                    format!("{} - 1 - {var}", axis.text)
                } else {
                    var.clone()
                };
            }
            let step = 1 + self.rng.below(5);
            return match self.rng.below(3) {
                0 if size.count <= axis.count => var,
                1 if size.count.div_ceil(2) <= axis.count => format!("{var} / 2"),
                _ => format!("({var} * {step} + {}) % {}", self.rng.below(9), axis.text),
            };
        }
        self.rng.below(axis.count.min(1 << 20) as usize).to_string()
    }

    /// An integer scalar.
    pub(super) fn integer(&mut self, depth: usize) -> String {
        let known: Vec<Named> = self.values.iter().filter(|v| v.elem == Elem::Int).cloned().collect();
        if !self.grows(depth) {
            let plain: Vec<&Named> = known.iter().filter(|v| v.shape.is_empty()).collect();
            return match plain.is_empty() {
                false if !self.chance(3) => plain[self.rng.below(plain.len())].name.clone(),
                _ => "position()".to_owned(),
            };
        }
        match self.rng.below(7) {
            0 => format!("int({})", self.real(&[], depth - 1)),
            1 => format!("({} % {})", self.integer(depth - 1), 1 + self.rng.below(7)),
            2 => format!("({} + {})", self.integer(depth - 1), self.integer(depth - 1)),
            3 => {
                let op = ["argmax", "argmin"][self.rng.below(2)];
                let (var, size) = (self.fresh("k"), self.size());
                self.vars.push((var.clone(), size.clone()));
                let body = self.real(&[], depth - 1);
                self.vars.pop();
                format!("{op}({var} < {}: {body})", size.text)
            }
            4 if self.vars.is_empty() => format!("count({})", self.truth(&[], depth - 1)),
            5 if self.vars.is_empty() => {
                let size = self.size();
                format!("best({}; k = 2)[0]", self.real(&[size], depth - 1))
            }
            _ => format!("min({}, 5)", self.integer(depth - 1)),
        }
    }

    /// A boolean of this shape.
    pub(super) fn truth(&mut self, shape: &[Size], depth: usize) -> String {
        let counts: Vec<u64> = shape.iter().map(|s| s.count).collect();
        let fits = |v: &&Named| v.elem == Elem::Truth && v.shape.iter().map(|s| s.count).eq(counts.iter().copied());
        let found: Vec<String> = self.values.iter().filter(fits).map(|v| v.name.clone()).collect();
        if !found.is_empty() && self.chance(3) {
            return found[self.rng.below(found.len())].clone();
        }
        if !self.grows(depth) {
            return format!("({} > 0)", self.leaf(shape));
        }
        match self.rng.below(7) {
            0 => format!("({} && {})", self.truth(shape, depth - 1), self.truth(shape, depth - 1)),
            1 => format!("({} || {})", self.truth(shape, depth - 1), self.truth(shape, depth - 1)),
            2 => format!("!{}", self.truth(shape, depth - 1)),
            3 if shape.is_empty() => {
                let op = ["==", "!=", "<", ">="][self.rng.below(4)];
                format!("({} {op} {})", self.integer(depth - 1), self.rng.below(6))
            }
            4 if shape.is_empty() => {
                let op = ["any", "all"][self.rng.below(2)];
                let (var, size) = (self.fresh("k"), self.size());
                self.vars.push((var.clone(), size.clone()));
                let body = self.truth(&[], depth - 1);
                self.vars.pop();
                format!("{op}({var} < {}: {body})", size.text)
            }
            5 if shape.is_empty() => self.truth_entry(depth),
            _ => {
                let op = ["<", "<=", ">", ">="][self.rng.below(4)];
                format!("({} {op} {})", self.real(shape, depth - 1), self.real(shape, depth - 1))
            }
        }
    }

    /// An entry of a boolean that has axes.
    fn truth_entry(&mut self, depth: usize) -> String {
        let with_axes = |v: &&Named| v.elem == Elem::Truth && !v.shape.is_empty();
        let found: Vec<Named> = self.values.iter().filter(with_axes).cloned().collect();
        if found.is_empty() {
            return "(position() > 2)".to_owned();
        }
        let value = found[self.rng.below(found.len())].clone();
        let indices: Vec<String> = value.shape.iter().map(|s| self.index(s, depth)).collect();
        format!("{}[{}]", value.name, indices.join(", "))
    }
}
