//! What a processor is, as far as decisions depend on it. Every decision takes one as an argument; the records themselves
//! are the targets', but for [`Machine::PORTABLE`].

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Its name, as `--target` takes it.
    pub name: &'static str,
    /// `f32` lanes of a vector register.
    pub lanes: u32,
    /// Vector registers.
    pub registers: u32,
    /// Lanes that a scan takes through the tokens together, where a row of its state has that many: several vectors side by
    /// side keep the processor busy while operations wait for each other, share what they read of a token, and use whole
    /// cache lines.
    pub scan_lanes: u32,
    /// Tokens of a block of a recurrence in matrix form, of which its cost chooses one; each a multiple of the lanes. Longer
    /// blocks have more products among their own tokens, shorter ones load and store the state more often.
    pub recurrence_blocks: [usize; 3],
    /// Entries of an innermost axis from which on loops over it run in vectors, and what they read is laid out for that.
    pub vector_axis: usize,
    /// Entries up to which a reduction is written out without a loop, whose branches would take as long as its terms.
    pub short_reduction: usize,
    /// Register tiles of products of matrices.
    pub tiles: Tiles,
    /// Products of a matrix with a vector.
    pub matrix_vector: MatrixVector,
    /// Attention.
    pub attention: Attention,
    /// Long convolutions.
    pub convolution: Convolution,
    /// Sizes of caches and pages.
    pub memory: Memory,
    /// Measured costs.
    pub rates: Rates,
}

/// Register tiles of products of matrices: sums of several rows and columns that stay in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Vectors of a row, which leave room for enough rows.
    pub vectors: u32,
    /// Most rows. With that many multipliers are busy; more rows only leave more cases of what remains of a matrix.
    pub most_rows: u32,
    /// Steps along the summed axis in one iteration, a power of two: more of them spare branches and make code longer.
    pub unroll: u32,
    /// Rows of activations up to which weights are read as they are stored; for more of them, packing a panel of weights pays.
    pub skinny_rows: i64,
    /// Rows of activations of a packed panel that are enough for a thread, where there are more threads than panels: each packs the panel for
    /// its rows. `None` where one thread takes all rows of a panel.
    pub shared_rows: Option<i64>,
    /// Rows of weights that members of a block of a team unpack together into memory that they share, where a processor has that: whole matrices.
    pub block_rows: Option<usize>,
    /// Columns of these that stay in the first-level cache while rows of weights go by, a multiple of all blocks.
    pub skinny_columns: i64,
}

/// Products of a matrix with a vector: rows that are taken together share what is read of the vector, and have sums of their own,
/// so that no addition waits for the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixVector {
    /// Rows of a matrix of plain numbers that are taken together, a multiple of four.
    pub plain_rows: u32,
    /// Sums of each of them.
    pub plain_sums: u32,
    /// Sums of a row that is taken alone.
    pub single_row_sums: u32,
    /// Rows of a matrix in a block format that are taken together, a multiple of four.
    pub block_rows: u32,
    /// Columns whose scales are converted ahead of their products, a multiple of a block: many at once cost less each, and all
    /// of them stay in the first-level cache.
    pub scales_ahead: u32,
}

/// Attention: rows of queries go over a page of keys in register tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Most tiles of a block, which read a page one after another while it is in the first-level cache. More of them read each
    /// page less often, and need more scratch.
    pub block_tiles: usize,
    /// Pages for each thread from which on threads share the pages of one token: below, a barrier costs more than it saves.
    pub shared_pages: usize,
    /// Bringing a row of queries to keys that it names, and back, takes the time of so many keys.
    pub gathered_row: usize,
}

/// Long convolutions: direct sums inside a block, transforms between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Tokens whose direct sums are in registers together, beside the values of half as many past tokens: a power of two up to
    /// the smallest block.
    pub direct_tokens: usize,
    /// Partial sums of a token that is summed alone, so that no addition waits for the one before: a power of two.
    pub direct_sums: usize,
    /// Elements of the largest transform whose steps each go through all of it, which stays in the first-level cache for that. Larger
    /// ones are split into four that are transformed one after another.
    pub stepwise_elements: usize,
    /// Elements of a spectrum that are summed over all past blocks before the next ones: sums stay in the first-level cache, and what is
    /// read of each block is long enough to be foreseen.
    pub spectrum_elements: usize,
}

/// Sizes of caches and pages, and of what is made to fit them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of a cache line.
    pub line: usize,
    /// Bytes of a page: beyond its end the processor does not foresee what is read next.
    pub page: usize,
    /// Bytes from what is read of a matrix to what is asked for ahead of use: some turns of a loop fit into the latency of
    /// memory, and all of it into the second-level cache.
    pub prefetch: usize,
    /// Columns of a matrix that are packed together: a panel of them stays in the second-level cache.
    pub panel_columns: usize,
    /// Entries of a state from which on it is not stored for every token: those of a chunk would not stay in a cache.
    pub stored_state: usize,
    /// The same for a state whose entries results only add up: they are computed in the loop, where it is at hand.
    pub summed_state: usize,
    /// Blocks of the top size of a long convolution whose spectra are kept: with half as many, transforms outgrow the
    /// second-level cache. Part of the layout of states, hence the same for all machines that read them.
    pub spectra: usize,
}

/// Costs in additions of a scan, but where said otherwise; and the amounts of work from which on it is divided between threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// A store, or a load, of an entry.
    pub memory: f64,
    /// One more loop over entries.
    pub nest: f64,
    /// A multiplication with an addition in a register tile.
    pub product: f64,
    /// An entry of a key, value, query or result of a chunk that is moved or scaled.
    pub moved: f64,
    /// Loading, scaling and storing an entry of a state once for a block of tokens, in products.
    pub state: f64,
    /// An entry of the state of a head that goes from token to token with loops of its own.
    pub head_entry: f64,
    /// An entry of the state of a fused scan: decay, outer product, sum, contraction.
    pub scan_entry: f64,
    /// How much longer a scan takes whose rows do not fill its lanes.
    pub narrow: f64,
    /// What softmax or another normaliser adds to a pair of query and key.
    pub normalise: f64,
    /// What it takes to read a coded number of a cache: to cut out its bits, convert and scale them.
    pub unpack: f64,
    /// Entries of one token that a nest must compute for several threads to share them.
    pub shared_nest: usize,
    /// Entries that a loop must compute for a token for several threads to share its heads.
    pub shared_heads: usize,
    /// Weights up to which a matrix is multiplied with a vector in so little time that the order of summation does not matter.
    pub small_matrix: usize,
}

impl Machine {
    /// Vectors of four lanes and 16 registers: the least that targets have. Tests plan for it, and the interpreter of kernels
    /// runs for it.
    pub const PORTABLE: Machine = Machine {
        name: "portable",
        lanes: 4,
        registers: 16,
        scan_lanes: 32,
        recurrence_blocks: [32, 48, 64],
        vector_axis: 16,
        short_reduction: 8,
        tiles: Tiles {
            vectors: 2,
            most_rows: 6,
            unroll: 4,
            skinny_rows: 16,
            shared_rows: None,
            block_rows: None,
            skinny_columns: 768,
        },
        matrix_vector: MatrixVector {
            plain_rows: 4,
            plain_sums: 2,
            single_row_sums: 4,
            block_rows: 4,
            scales_ahead: 1024,
        },
        attention: Attention {
            block_tiles: 8,
            shared_pages: 2,
            gathered_row: 32,
        },
        convolution: Convolution {
            direct_tokens: 8,
            direct_sums: 4,
            stepwise_elements: 256,
            spectrum_elements: 64,
        },
        memory: Memory {
            line: 64,
            page: 4096,
            prefetch: 16384,
            panel_columns: 1024,
            stored_state: 4096,
            summed_state: 512,
            spectra: 8,
        },
        rates: Rates {
            memory: 1.0,
            nest: 32.0,
            product: 1.35,
            moved: 12.0,
            state: 6.0,
            head_entry: 14.0,
            scan_entry: 5.0,
            narrow: 1.6,
            normalise: 20.0,
            unpack: 2.0,
            shared_nest: 16384,
            shared_heads: 8192,
            small_matrix: 4096,
        },
    };

    /// `f32` entries of a cache line: threads that share the entries of a row never write to the same line.
    pub fn line_entries(&self) -> usize {
        self.memory.line / 4
    }

    /// Vector registers that hold the state of a scan; the others are for what is computed of it.
    pub fn state_registers(&self) -> usize {
        self.registers as usize / 2
    }

    /// Rows of a register tile of `vectors` vectors: the most whose sums stay in registers beside a row of the other matrix and
    /// a broadcast entry.
    pub fn tile_rows(&self, vectors: u32) -> u32 {
        let rows = (self.registers - vectors - 1) / vectors;
        rows.clamp(1, self.tiles.most_rows)
    }

    /// Rows of the widest register tile.
    pub fn tallest_tile(&self) -> u32 {
        self.tile_rows(self.tiles.vectors)
    }

    /// Rows of a matrix that a panel packs together: the lanes of the widest register tile.
    pub fn panel_rows(&self) -> usize {
        (self.tiles.vectors * self.lanes) as usize
    }
}
