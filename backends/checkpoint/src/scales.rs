//! Factors of numbers of eight bits, which lie in a tensor of their own: one for each block of a matrix, as in the checkpoints of DeepSeek-V3
//! (arXiv:2412.19437, section 3.3), for each row, or for all of it.

use seqc_formats::Encoding;

/// Rows and columns of a block.
const BLOCK: usize = 128;

/// Factors of the numbers of a tensor, or of rows of it.
#[derive(Clone, Copy, Debug)]
pub struct Scales<'a> {
    encoding: Encoding,
    bytes: &'a [u8],
    grid: Grid,
    /// The row, among those of all matrices, with which the numbers begin.
    first: usize,
}

/// How factors lie over the matrices of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Rows of a matrix.
    height: usize,
    /// Rows and columns of factors of a matrix.
    rows: usize,
    columns: usize,
    /// Rows and columns of numbers that share a factor.
    block: [usize; 2],
}

impl Grid {
    /// That of factors of a shape over a tensor of a shape; `None` where they do not fit each other.
    pub(crate) fn of(shape: &[usize], factors: &[usize]) -> Option<Grid> {
        let [outer @ .., height, width] = shape else {
            return None;
        };
        // One factor for all, in whatever shape, is no grid over a stack.
        let one = factors.iter().product::<usize>() == 1 && outer.is_empty();
        let (around, rows, columns) = match factors {
            _ if one => (&[][..], 1, 1),
            [around @ .., rows, columns] => (around, *rows, *columns),
            _ => return None,
        };
        let in_blocks = |size: usize, count: usize| size.div_ceil(BLOCK) == count;
        let side = |size: usize, count: usize| match count {
            1 => Some(size.max(1)),
            count if count == size => Some(1),
            count => in_blocks(size, count).then_some(BLOCK),
        };
        // A single block may be smaller than others are.
        let block = [side(*height, rows)?, side(*width, columns)?];
        // Where one side is in blocks, a single factor is that of a single block of the other.
        if (block[0] == BLOCK && columns == 1 && !in_blocks(*width, 1))
            || (block[1] == BLOCK && rows == 1 && !in_blocks(*height, 1))
        {
            return None;
        }
        (around == outer).then_some(Grid {
            height: *height,
            rows,
            columns,
            block,
        })
    }
}

impl<'a> Scales<'a> {
    /// Of all numbers of a tensor.
    pub(crate) fn new(encoding: Encoding, bytes: &'a [u8], grid: Grid) -> Scales<'a> {
        Scales {
            encoding,
            bytes,
            grid,
            first: 0,
        }
    }

    /// The same from another row on.
    pub(crate) fn behind(self, row: usize) -> Scales<'a> {
        let first = self.first + row;
        Scales { first, ..self }
    }

    /// The bytes of all factors.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether so many numbers that lie beside each other, from a multiple of that on, have one factor.
    pub(crate) fn are_common_to(&self, count: usize) -> bool {
        let [_, columns] = self.grid.block;
        self.grid.columns == 1 || columns.is_multiple_of(count)
    }

    /// The factors of a row, one after another, and how many numbers have the same.
    pub(crate) fn of_row(&self, row: usize) -> (Vec<f32>, usize) {
        let row = self.first + row;
        let line = row / self.grid.height * self.grid.rows + row % self.grid.height / self.grid.block[0];
        let each = self.grid.columns * self.encoding.block_bytes();
        let mut factors = Vec::with_capacity(self.grid.columns);
        self.encoding.decode(&self.bytes[line * each..][..each], &mut factors);
        (factors, self.grid.block[1])
    }

    /// Multiplies whole rows of numbers, of `width` each, from row `from` on.
    pub(crate) fn multiply(&self, numbers: &mut [f32], width: usize, from: usize) {
        for (row, numbers) in numbers.chunks_exact_mut(width.max(1)).enumerate() {
            let (factors, common) = self.of_row(from + row);
            for (numbers, factor) in numbers.chunks_mut(common).zip(&factors) {
                numbers.iter_mut().for_each(|number| *number *= factor);
            }
        }
    }
}
