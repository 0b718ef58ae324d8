//! The kernel level: functions of typed instructions, between plans and the code of a target.
//!
//! A [`Module`] has functions and constant bytes. A [`Func`] has parameters, and instructions ([`Inst`]) in blocks: every
//! value is defined once, by a parameter, an instruction or a loop, and is there from then on until its block ends. Loops
//! and branches are structured, so that blocks nest; a loop says whether its iterations are divided between the members of a
//! team ([`Axis`]). Memory is reached by pointers, each of which says the [`Space`] that it points into; what they point to is said by
//! the accesses.
//!
//! The methods of `Func` write instructions: arithmetic, lanes, memory, control flow, each in its file. [`verify`] has the
//! laws that every module obeys; the text form (`Display`) is for people and snapshots. *Absent*: text of any target; that
//! is what printers make of a module.

mod arith;
mod flow;
mod func;
mod inst;
pub mod interpret;
mod lanes;
mod memory;
mod module;
mod operands;
mod shared;
mod team;
mod text;
mod types;
pub mod verify;

pub use func::Func;
pub use inst::{Axis, Binary, Block, Cache, Cast, Cmp, Const, For, If, Inst, Intrinsic, Reduction, Unary};
pub use module::{CodeRow, Global, Item, Module};
pub use shared::BlockMember;
pub use team::{Team, TeamRange};
pub use types::Signature;
pub use types::{Scalar, Space, Ty, Val};
