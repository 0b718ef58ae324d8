//! The scale, or scale and minimum, with which integers of a few bits are nearest to some numbers.

/// Numbers `scale * q + minimum`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Affine {
    pub(super) scale: f32,
    pub(super) minimum: f32,
}

/// How many scales on both sides of the one that reaches the extremes are tried.
const TRIED: i32 = 9;
/// By how many integers they differ.
const STEP: f32 = 0.1;

/// By which part of them scales for levels differ.
const LEVEL_STEP: f32 = 0.02;

/// Numbers with the weights of their errors.
#[derive(Clone, Copy)]
pub(super) struct Weighted<'a> {
    numbers: &'a [f32],
    /// How much the error of each counts beside its size, where that is known.
    importance: Option<&'a [f32]>,
    /// The root of the mean square.
    mean: f32,
}

impl<'a> Weighted<'a> {
    pub(super) fn new(numbers: &'a [f32], importance: Option<&'a [f32]>) -> Weighted<'a> {
        Weighted {
            numbers,
            importance,
            mean: root_mean_square(numbers),
        }
    }

    /// Each number with its weight: what is large matters more for what is computed with it.
    fn pairs(self) -> impl Iterator<Item = (f32, f32)> + 'a {
        let pair = move |(i, x): (usize, &f32)| (*x, self.importance.map_or(1.0, |all| all[i]) * (self.mean + x.abs()));
        self.numbers.iter().enumerate().map(pair)
    }

    /// The number that is furthest from zero.
    fn furthest(self) -> f32 {
        let further = |a: f32, b: f32| if b.abs() > a.abs() { b } else { a };
        self.numbers.iter().copied().fold(0.0, further)
    }

    /// Whether all numbers are zero, or one is none.
    fn is_degenerate(self) -> bool {
        self.mean == 0.0 || !self.mean.is_finite()
    }
}

fn root_mean_square(numbers: &[f32]) -> f32 {
    let squares: f32 = numbers.iter().map(|x| x * x).sum();
    (squares / numbers.len().max(1) as f32).sqrt()
}

/// The scale for integers of `bits` bits around zero, of which there is one more below than above. Of eight bits there are as many.
pub(super) fn scaled(numbers: Weighted<'_>, bits: usize) -> f32 {
    let furthest = numbers.furthest();
    if bits == 8 {
        return furthest.abs() / 127.0;
    }
    let least = -(1_i32 << (bits - 1)) as f32;
    let most = -least - 1.0;
    if numbers.is_degenerate() {
        return furthest / least;
    }
    let mut best = (f32::NEG_INFINITY, 0.0);
    for n in -TRIED..=TRIED {
        let tried = furthest / (least + STEP * n as f32);
        let (mut xq, mut qq) = (0.0, 0.0);
        for (x, w) in numbers.pairs() {
            let q = (x / tried).round().clamp(least, most);
            (xq, qq) = (xq + w * x * q, qq + w * q * q);
        }
        // With the best scale for these integers, this is what the error is less than that of zeros.
        if qq > 0.0 && xq * xq / qq > best.0 {
            best = (xq * xq / qq, xq / qq);
        }
    }
    best.1
}

/// The place of the level nearest to a number.
pub(super) fn nearest_level(q: f32, levels: &[i8; 16]) -> usize {
    let off = |place: &usize| (q - f32::from(levels[*place])).abs();
    let places = (0..levels.len()).min_by(|a, b| off(a).total_cmp(&off(b)));
    places.unwrap_or(0)
}

/// The scale for numbers that are levels, of which the largest ones are tried for the furthest number; a power of two if it is to be one.
pub(super) fn leveled(numbers: Weighted<'_>, levels: &[i8; 16], power: bool) -> f32 {
    let furthest = numbers.furthest();
    let ends = levels.iter().map(|level| f32::from(*level));
    let (least, most) = ends.fold((0.0, 0.0), |(a, b): (f32, f32), level| (a.min(level), b.max(level)));
    if numbers.is_degenerate() {
        return furthest.abs() / most;
    }
    let tried = |n: i32| match power {
        true => ((furthest.abs() / most).log2().floor() + n as f32).exp2(),
        false => furthest / (if n % 2 == 0 { least } else { most }) * (1.0 + LEVEL_STEP * n as f32),
    };
    let mut best = (f32::INFINITY, 0.0);
    for scale in (-TRIED..=TRIED).map(tried) {
        let (mut xq, mut qq) = (0.0, 0.0);
        for (x, w) in numbers.pairs() {
            let q = f32::from(levels[nearest_level(x / scale, levels)]);
            (xq, qq) = (xq + w * x * q, qq + w * q * q);
        }
        let solved = if power || qq == 0.0 { scale } else { xq / qq };
        let error = |(x, w): (f32, f32)| {
            let off = x - solved * f32::from(levels[nearest_level(x / solved, levels)]);
            w * off * off
        };
        let off: f32 = numbers.pairs().map(error).sum();
        if off < best.0 {
            best = (off, solved);
        }
    }
    best.1
}

/// Scale and minimum for integers from 0 to `most`; `below`: the minimum is not above zero.
pub(super) fn affine(numbers: Weighted<'_>, most: u32, below: bool) -> Affine {
    let most = most as f32;
    let bound = |minimum: f32| if below { minimum.min(0.0) } else { minimum };
    let all = numbers.numbers.iter().copied();
    let minimum = bound(all.clone().fold(f32::INFINITY, f32::min));
    let reach = all.fold(f32::NEG_INFINITY, f32::max) - minimum;
    let mut best = Affine {
        scale: (reach / most).max(0.0),
        minimum,
    };
    if reach <= 0.0 || !reach.is_finite() || !numbers.mean.is_finite() {
        return best;
    }
    let mut least = error(numbers, best, most);
    for n in -TRIED..=TRIED {
        let tried = reach / (most + STEP * n as f32);
        let mut sums = Sums::default();
        for (x, w) in numbers.pairs() {
            let q = ((x - minimum) / tried).round().clamp(0.0, most);
            sums.add(x, q, w);
        }
        let found = sums.solved(below);
        let off = error(numbers, found, most);
        if found.scale > 0.0 && off < least {
            (best, least) = (found, off);
        }
    }
    best
}

/// Weighted squared error where each number is rounded.
fn error(numbers: Weighted<'_>, fit: Affine, most: f32) -> f32 {
    let off = |(x, w): (f32, f32)| {
        let q = ((x - fit.minimum) / fit.scale).round().clamp(0.0, most);
        let off = fit.scale * q + fit.minimum - x;
        w * off * off
    };
    numbers.pairs().map(off).sum()
}

/// Sums of the normal equations of `x = scale * q + minimum`.
#[derive(Default)]
struct Sums {
    w: f32,
    x: f32,
    q: f32,
    xq: f32,
    qq: f32,
}

impl Sums {
    fn add(&mut self, x: f32, q: f32, w: f32) {
        self.w += w;
        self.x += w * x;
        self.q += w * q;
        self.xq += w * x * q;
        self.qq += w * q * q;
    }

    /// Their solution, with a minimum that is not above zero where it is `below`.
    fn solved(&self, below: bool) -> Affine {
        let determinant = self.w * self.qq - self.q * self.q;
        if determinant <= 0.0 {
            return Affine::default();
        }
        let found = Affine {
            scale: (self.w * self.xq - self.q * self.x) / determinant,
            minimum: (self.qq * self.x - self.q * self.xq) / determinant,
        };
        if below && found.minimum > 0.0 {
            return Affine {
                scale: self.xq / self.qq,
                minimum: 0.0,
            };
        }
        found
    }
}
