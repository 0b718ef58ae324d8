//! The text form of plans: what `seqc build --emit plan` writes, what snapshots hold, and what parses back.
//!
//! ```text
//! plan decay for portable {
//!   settings chunk=256 conv_block=16 chunks=cheapest
//!   native [0]                                // w
//!   state @0 axes [0, 2, 1]                   // S
//!   b0 = %3 f32[64] constant                  // sigmoid "a"
//!   b1 = %4 f32[64] per_token history=3       // matvec "u"
//!   b2 = %9 f32[64] per_token output=0        // reduce "y"
//!   load {
//!     b0 = %3                                 // sigmoid "a"
//!   }
//!   matmuls {
//!     product %4                              // matvec "u"
//!   }
//!   scan @0 kept [0, 2] reduced [1] lanes=32 entries=16 in_registers {
//!     b2 = %9                                 // reduce "y"
//!   }
//! }
//! ```
//!
//! Values and states are those of the graph after the passes (`--emit canonical`). A buffer has a value, an element type and
//! the entries of a row, then how often it has a row (`constant`, `per_token`, `single`), `strides` where they are not
//! row-major, earlier tokens kept for delays (`history`), the layer result that lies in it (`output`) and the state that it
//! overwrites (`state`). `copy` stands before the value of a buffer that nothing reads as that value: a layer result that is
//! stored elsewhere, or not at all. The order of a state's axes stands where it is not row-major.
//!
//! `b3 = %9` computes a value entry by entry into a buffer, `b3[axis=0, from=4] = %9` a part of a concatenation. A product
//! of several values computes them together; what follows in braces reads its results. In the matrix form of a scan a factor
//! is a value at indices over the loops, the kept axes and then the reduced ones; `is false` makes one of a truth value.
//!
//! What follows from the graph alone (stages, recurrences) is not written: parsing computes it. A machine is written by
//! name: parsing takes the record, and refuses a text of another name.

mod parse;
mod parse_kernel;
mod print;

pub use print::{PlanText, PlannedText};

use super::{Chunks, Extent};

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
