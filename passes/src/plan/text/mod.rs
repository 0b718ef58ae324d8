//! The text form of plans: what `seqc build --emit plan` writes, what snapshots hold, and what parses back.
//!
//! ```text
//! plan duality for portable {
//!   settings chunk=256 conv_block=128 chunks=cheapest
//!   native [0]                                // w
//!   state @0 axes [0, 2, 1]                   // S
//!   b0 = %5 f32[128] per_token history=3      // matvec "v"
//!   b1 = %14 f32[128] per_token output=0      // reduce "y"
//!   decide recurrence 0 {                     // @0 S
//!     fused_scan cost=10240.0 from=1
//!     token_loop cost=11500.8 later
//!     wy unfit not_corrected                  // its values are not corrected by what the state holds
//!   }
//!   matmuls {
//!     product %5                              // matvec "v"
//!   }
//!   scan @0 kept [0, 1] reduced [2] lanes=32 entries=16 {
//!     b1 = %14                                // reduce "y"
//!     matrix %14 shared=1 block=32 by_tokens=10240.0 products=19614.0 {
//!       decay = %7[i0]                        // sigmoid
//!       key = %1[i0, i2]                      // input
//!       value = %5[i0 * 32 + i1]              // matvec "v"
//!       query = %2[i0, i2]                    // input
//!     }
//!   }
//! }
//! ```
//!
//! Values and states are those of the graph after the passes (`--emit canonical`). A buffer has a value, an element type and
//! the entries of a row, then how often it has a row (`constant`, `per_token`, `single`), `strides` where they are not
//! row-major, earlier tokens kept for delays (`history`), the layer result stored in it (`output`) and the state that it
//! overwrites (`state`). `copy` stands before the value of a buffer that nothing reads as that value: a layer result that is
//! stored elsewhere, or not at all. The order of a state's axes stands where it is not row-major.
//!
//! `b3 = %9` computes a value entry by entry into a buffer, `b3[axis=0, from=4] = %9` a part of a concatenation. A product
//! of several values computes them together; what follows in braces reads its results. In the matrix form of a scan a factor
//! is a value at indices over the loops, the kept axes and then the reduced ones; `is false` makes one of a truth value.
//!
//! A decision about a recurrence or a filter lists all candidates: `from` is the shortest chunk that takes one.
//!
//! What follows from the graph alone (stages, recurrences, analyses of attentions) is not written: parsing computes it. A
//! machine is written by name: parsing takes the record, and refuses a text of another name.

mod decision;
mod parse;
mod parse_kernel;
mod print;

pub use print::{PlanText, PlannedText};

use super::{Chunks, types::Extent};

impl Extent {
    /// All of them.
    const ALL: [Extent; 3] = [Extent::Constant, Extent::PerToken, Extent::Single];

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Extent::Constant => "constant",
            Extent::PerToken => "per_token",
            Extent::Single => "single",
        }
    }

    fn from_name(name: &str) -> Option<Extent> {
        Extent::ALL.into_iter().find(|extent| extent.name() == name)
    }
}

impl Chunks {
    /// All of them.
    const ALL: [Chunks; 3] = [Chunks::Cheapest, Chunks::Products, Chunks::Tokens];

    /// The word in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Chunks::Cheapest => "cheapest",
            Chunks::Products => "products",
            Chunks::Tokens => "tokens",
        }
    }

    fn from_name(name: &str) -> Option<Chunks> {
        Chunks::ALL.into_iter().find(|chunks| chunks.name() == name)
    }
}
