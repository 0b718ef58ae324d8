//! Memory that the members of a block share, and what reaches it: matrices for products, and copies that go on while members compute.

use super::{Func, Inst, Module, Scalar, Team, Ty, Val};
use seqc_abi::{device::BLOCK_MEMBERS, symbols};

/// A member of a team as one of a block, whose members share memory and meet at barriers of their own.
#[derive(Clone, Copy, Debug)]
pub struct BlockMember {
    /// The block as a member of the team of all blocks.
    pub block: Team,
    /// The number of the member within the block, from 0.
    pub member: Val,
    /// How many the block has: [`BLOCK_MEMBERS`], but for the last one.
    pub members: Val,
}

impl Module {
    /// Declares the barrier of a block and its memory.
    pub fn declare_blocks(&mut self) {
        let team = [Ty::GLOBAL, Ty::I64, Ty::I64];
        self.declare(symbols::BLOCK_BARRIER, &team, None);
        self.declare(symbols::BLOCK_MEMORY, &team, Some(Ty::SHARED));
    }
}

impl Func {
    /// Which member of which block a member of a team is.
    pub fn block_member(&mut self, team: Team) -> BlockMember {
        let most = self.i64(BLOCK_MEMBERS as i64);
        let (number, member) = (self.udiv(team.tid, most), self.urem(team.tid, most));
        let first = self.sub(team.tid, member);
        let left = self.sub(team.threads, first);
        BlockMember {
            block: Team {
                tid: number,
                threads: self.ceil_div(team.threads, most),
            },
            member,
            members: self.min(left, most),
        }
    }

    /// Returns when all members of the block have called it; `barrier` is the argument of the team's.
    pub fn block_barrier(&mut self, barrier: Val, team: Team) {
        self.call(symbols::BLOCK_BARRIER, &[barrier, team.tid, team.threads], None);
    }

    /// The memory of the block, [`SHARED_BYTES`](seqc_abi::device::SHARED_BYTES) from an address that is a multiple of 128.
    pub fn block_memory(&mut self, barrier: Val, team: Team) -> Val {
        let (callee, args) = (symbols::BLOCK_MEMORY.to_owned(), vec![barrier, team.tid, team.threads]);
        self.define(Ty::SHARED, |out| Inst::Call {
            out: Some(out),
            callee,
            args,
        })
    }

    /// Rows of matrices, four words each, from pointers to them: eight rows for each matrix ([`Inst::LoadMatrices`]).
    pub fn load_matrices(&mut self, rows: Val) -> Val {
        let ty = Ty::V(4 * rows.ty.lanes(), Scalar::I32);
        self.define(ty, |out| Inst::LoadMatrices { out, rows })
    }

    /// Starts a copy of so many bytes in each lane; what is left of `bytes` becomes zeros ([`Inst::CopyAsync`]).
    pub fn copy_async(&mut self, to: Val, from: Val, counts: Val, bytes: u8) {
        self.push(Inst::CopyAsync {
            to,
            from,
            counts,
            bytes,
        });
    }

    /// Makes a group of the copies that were started since the last one.
    pub fn commit_copies(&mut self) {
        self.push(Inst::CommitCopies);
    }

    /// Waits for all groups of copies but the last `left`.
    pub fn wait_copies(&mut self, left: u8) {
        self.push(Inst::WaitCopies { left });
    }
}
