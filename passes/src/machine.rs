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
    /// Vectors of a row of a register tile of a product, which leave room for enough rows.
    pub tile_vectors: u32,
    /// Lanes that a scan takes through the tokens together, where a row of its state has that many: several vectors side by
    /// side keep the processor busy while operations wait for each other, share what they read of a token, and use whole
    /// cache lines.
    pub scan_lanes: u32,
    /// Rows that a product of a vector with a matrix in a block format takes together.
    pub block_rows: u32,
    /// Entries of an innermost axis from which on loops over it run in vectors, and what they read is laid out for that.
    pub vector_axis: usize,
    /// Sizes of caches and pages.
    pub memory: Memory,
    /// Measured costs.
    pub rates: Rates,
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
    /// Blocks of the top size of a long convolution whose spectra are kept: with half as many, transforms outgrow the
    /// second-level cache. Part of the layout of states, hence the same for all machines that read them.
    pub spectra: usize,
}

/// Costs in additions of a scan, but where said otherwise; and the amounts of work from which on it pays to share it.
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
    /// Entries of one token that a nest must compute for several threads to share them.
    pub shared_nest: usize,
    /// Entries that a loop must compute for a token for several threads to share its heads.
    pub shared_heads: usize,
}

impl Machine {
    /// Vectors of four lanes and 16 registers: the least that targets have. Tests plan for it, and the interpreter of kernels
    /// runs for it.
    pub const PORTABLE: Machine = Machine {
        name: "portable",
        lanes: 4,
        registers: 16,
        tile_vectors: 2,
        scan_lanes: 32,
        block_rows: 4,
        vector_axis: 16,
        memory: Memory {
            line: 64,
            page: 4096,
            prefetch: 16384,
            panel_columns: 1024,
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
            shared_nest: 16384,
            shared_heads: 8192,
        },
    };

    /// Vector registers that hold the state of a scan; the others are for what is computed of it.
    pub fn state_registers(&self) -> usize {
        self.registers as usize / 2
    }

    /// Rows of a register tile of `vectors` vectors: the most whose sums stay in registers beside a row of the other matrix and
    /// a broadcast entry. Wide tiles have at most six, which keep multipliers busy; narrow ones up to 14.
    pub fn tile_rows(&self, vectors: u32) -> u32 {
        let rows = (self.registers - vectors - 1) / vectors;
        rows.clamp(1, if vectors >= 3 { 6 } else { 14 })
    }

    /// Rows of the widest register tile.
    pub fn tallest_tile(&self) -> u32 {
        self.tile_rows(self.tile_vectors)
    }

    /// Rows of a matrix that a panel packs together: the lanes of the widest register tile.
    pub fn panel_rows(&self) -> usize {
        (self.tile_vectors * self.lanes) as usize
    }
}
