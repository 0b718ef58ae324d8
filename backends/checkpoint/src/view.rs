//! Parts of tensors: `NAME|rows A..B` are some rows of a tensor, `NAME|transpose` is it with its last two axes exchanged.

use crate::tensor::TensorRef;

/// What is read of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// Entries of the first axis, from the first to before the second.
    Rows(usize, usize),
    Transpose,
}

/// The name of the tensor, and what of it is read, the last view last. A text that ends in no view is a name.
fn parsed(reference: &str) -> (&str, Vec<View>) {
    let (mut name, mut views) = (reference, Vec::new());
    while let Some((before, view)) = name.rsplit_once('|').and_then(|(n, v)| Some((n, view(v)?))) {
        views.insert(0, view);
        name = before;
    }
    (name, views)
}

fn view(text: &str) -> Option<View> {
    if text == "transpose" {
        return Some(View::Transpose);
    }
    let (from, to) = text.strip_prefix("rows ")?.split_once("..")?;
    Some(View::Rows(from.parse().ok()?, to.parse().ok()?))
}

/// The name of the tensor that a reference reads, or reads a part of.
pub fn base(reference: &str) -> &str {
    parsed(reference).0
}

/// What the views of a reference make of its tensor; `None` where it has no such rows or axes.
pub(crate) fn viewed<'a>(reference: &str, tensor: TensorRef<'a>) -> Option<TensorRef<'a>> {
    parsed(reference)
        .1
        .into_iter()
        .try_fold(tensor, |tensor, view| match view {
            View::Rows(from, to) => rows(tensor, from, to),
            View::Transpose => transposed(tensor),
        })
}

fn rows(tensor: TensorRef<'_>, from: usize, to: usize) -> Option<TensorRef<'_>> {
    let (count, inner) = tensor.shape.split_first()?;
    // Rows of a transposed tensor do not lie beside each other.
    if from >= to || to > *count || tensor.transposed {
        return None;
    }
    let each = tensor.encoding.row_bytes(inner.iter().product())? / tensor.encoding.block_bytes();
    let (bytes, exponents) = tensor.part(from.checked_mul(each)?, to.checked_mul(each)?)?;
    let lines = inner.split_last().map_or(1, |(_, outer)| outer.iter().product());
    let scales = tensor.scales.map(|scales| scales.behind(from * lines));
    let shape = [&[to - from], inner].concat();
    Some(TensorRef {
        shape,
        bytes,
        scales,
        exponents,
        ..tensor
    })
}

fn transposed(mut tensor: TensorRef<'_>) -> Option<TensorRef<'_>> {
    let last = tensor.shape.len().checked_sub(2)?;
    tensor.shape.swap(last, last + 1);
    tensor.transposed = !tensor.transposed;
    Some(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqc_formats::Encoding;

    /// Two matrices of three rows of two.
    fn numbers(bytes: &[u8]) -> TensorRef<'_> {
        TensorRef {
            name: "t",
            encoding: Encoding::F32,
            shape: vec![2, 3, 2],
            bytes,
            scales: None,
            exponents: None,
            transposed: false,
        }
    }

    fn of(reference: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let bytes: Vec<u8> = (0..12_u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
        let tensor = viewed(reference, numbers(&bytes))?;
        let stored: Vec<f32> = tensor
            .stored()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        let values = tensor.to_f32().unwrap_or_default();
        assert_eq!(stored, values);
        Some((tensor.shape, values))
    }

    #[test]
    fn rows_and_transposes_are_views() {
        let second = vec![6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
        assert_eq!(of("t|rows 1..2"), Some((vec![1, 3, 2], second)));
        let all = vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0];
        assert_eq!(of("t|transpose"), Some((vec![2, 2, 3], all.clone())));
        assert_eq!(of("t|rows 0..1|transpose"), Some((vec![1, 2, 3], all[..6].to_vec())));
        assert_eq!(of("t|transpose|transpose").map(|(shape, _)| shape), Some(vec![2, 3, 2]));
    }

    #[test]
    fn what_is_not_there_is_no_view() {
        for reference in ["t|rows 0..3", "t|rows 1..1", "t|rows 2..1", "t|transpose|rows 0..1"] {
            assert_eq!(of(reference), None, "{reference}");
        }
        assert_eq!(base("a|b|rows 0..1|transpose"), "a|b");
        assert_eq!(base("a|rows 0..x"), "a|rows 0..x");
    }
}
