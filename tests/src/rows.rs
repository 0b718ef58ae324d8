//! Tensors read from safetensors files, and how far apart two of them are.

use std::{fs, path::Path};

use safetensors::{Dtype, SafeTensors};

/// A matrix, one row per token.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Length of a row.
    pub width: usize,
    /// Row-major elements.
    pub data: Vec<f32>,
}

impl Rows {
    /// The first of these f32 matrices that the file holds.
    pub fn read_any(path: &Path, names: &[&str]) -> Rows {
        with_file(path, |file| {
            let found = names.iter().find_map(|name| file.tensor(name).ok());
            let tensor =
                found.unwrap_or_else(|| panic!("{} holds none of {names:?}: {:?}", path.display(), file.names()));
            assert_eq!(tensor.dtype(), Dtype::F32, "{}", path.display());
            let width = *tensor.shape().last().unwrap_or(&1);
            let data = tensor
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            Rows { width, data }
        })
    }

    /// An f32 matrix of a file.
    pub fn read(path: &Path, name: &str) -> Rows {
        Rows::read_any(path, &[name])
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Rows `from..to`.
    pub fn slice(&self, from: usize, to: usize) -> Rows {
        Rows {
            width: self.width,
            data: self.data[from * self.width..to * self.width].to_vec(),
        }
    }

    /// These rows, then those.
    pub fn then(mut self, other: &Rows) -> Rows {
        assert_eq!(self.width, other.width);
        self.data.extend_from_slice(&other.data);
        self
    }

    /// Largest absolute difference.
    pub fn distance(&self, other: &Rows) -> f32 {
        assert_eq!(
            (self.width, self.data.len()),
            (other.width, other.data.len()),
            "shapes differ"
        );
        let pairs = self.data.iter().zip(&other.data);
        pairs
            .map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() })
            .fold(0.0, worse)
    }

    /// Largest absolute difference over the largest absolute value of `reference`.
    pub fn relative(&self, reference: &Rows) -> f32 {
        let scale = reference.data.iter().map(|v| v.abs()).fold(0.0, f32::max);
        self.distance(reference) / scale.max(f32::MIN_POSITIVE)
    }
}

impl Rows {
    /// Where these rows first are finite and `reference` is not, or the other way round, or further off than `tolerance`
    /// times its largest finite value.
    pub fn differs(&self, reference: &Rows, tolerance: f32) -> Option<String> {
        assert_eq!((self.width, self.data.len()), (reference.width, reference.data.len()));
        let finite = reference.data.iter().filter(|v| v.is_finite());
        let off = tolerance * finite.fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
        let same = |(a, b): (&f32, &f32)| {
            if b.is_finite() {
                (a - b).abs() <= off
            } else {
                !a.is_finite()
            }
        };
        let at = self.data.iter().zip(&reference.data).position(|pair| !same(pair))?;
        let (token, entry) = (at / self.width, at % self.width);
        Some(format!(
            "token {token}, entry {entry}: {}, not {}",
            self.data[at], reference.data[at]
        ))
    }
}

/// The larger one, where not-a-number is largest of all.
fn worse(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
}

/// A tensor of integers of a file, if it is there.
pub fn read_integers(path: &Path, name: &str) -> Option<Vec<i64>> {
    with_file(path, |file| {
        let tensor = file.tensor(name).ok()?;
        let data = tensor.data();
        let integers = match tensor.dtype() {
            Dtype::I64 => data
                .chunks_exact(8)
                .filter_map(|b| Some(i64::from_le_bytes(b.try_into().ok()?)))
                .collect(),
            Dtype::I32 => data
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())
                .collect(),
            other => panic!("{name} in {} is {other:?}, no integers", path.display()),
        };
        Some(integers)
    })
}

/// A tensor of any numbers of a file.
pub fn read_numbers(path: &Path, name: &str) -> Vec<f64> {
    with_file(path, |file| {
        let tensor = file
            .tensor(name)
            .unwrap_or_else(|error| panic!("{}: {error}: {:?}", path.display(), file.names()));
        let data = tensor.data();
        let four = || data.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let eight = || data.chunks_exact(8).filter_map(|b| b.try_into().ok());
        match tensor.dtype() {
            Dtype::F32 => four().map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            Dtype::I32 => four().map(|b| f64::from(i32::from_le_bytes(b))).collect(),
            Dtype::F64 => eight().map(f64::from_le_bytes).collect(),
            Dtype::I64 => eight().map(|b| i64::from_le_bytes(b) as f64).collect(),
            other => panic!("{name} in {} is {other:?}", path.display()),
        }
    })
}

fn with_file<T>(path: &Path, read: impl FnOnce(&SafeTensors) -> T) -> T {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read(&file)
}
