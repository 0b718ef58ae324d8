//! Races: between two barriers, two members of a team reach the same byte, and one of them writes it. What is then read or left depends on who is first.

use seqc_abi::device::BLOCK_MEMBERS;

/// Who reaches memory, and when.
#[derive(Clone, Copy)]
pub(super) struct Access {
    /// The number of the member.
    pub(super) member: usize,
    /// The time between two barriers of the team.
    pub(super) interval: u64,
    /// The time between two barriers of the member's block, which order what its members do.
    pub(super) of_block: u64,
    pub(super) writes: bool,
}

/// Who read and wrote a byte last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    read: Option<Last>,
    written: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    interval: u64,
    of_block: u64,
    by: By,
}

/// Who was at a byte at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    One(usize),
    /// Several of a block.
    Block(usize),
    Several,
}

impl By {
    /// The block that all were of.
    fn block(self) -> Option<usize> {
        match self {
            By::One(member) => Some(member / BLOCK_MEMBERS),
            By::Block(block) => Some(block),
            By::Several => None,
        }
    }
}

impl Last {
    /// Whether a member other than this one was here in its interval, and no barrier of a block lies between.
    fn is_of_another(self, access: Access) -> bool {
        let own_block = self.by.block() == Some(access.member / BLOCK_MEMBERS);
        self.interval == access.interval
            && self.by != By::One(access.member)
            && (self.of_block == access.of_block || !own_block)
    }
}

impl Mark {
    /// Notes an access.
    ///
    /// # Errors
    ///
    /// What other members did since all met.
    pub(super) fn reach(&mut self, access: Access) -> Result<(), &'static str> {
        let another = |last: Option<Last>| last.filter(|last| last.is_of_another(access));
        if another(self.written).is_some() {
            return Err("written");
        }
        if access.writes && another(self.read).is_some() {
            return Err("read");
        }
        let last = if access.writes {
            &mut self.written
        } else {
            &mut self.read
        };
        let block = access.member / BLOCK_MEMBERS;
        *last = Some(Last {
            interval: access.interval,
            of_block: access.of_block,
            by: match another(*last) {
                None => By::One(access.member),
                Some(last) if last.by.block() == Some(block) => By::Block(block),
                Some(_) => By::Several,
            },
        });
        Ok(())
    }
}
