//! Races: between two barriers, two members of a team reach the same byte, and one of them writes it. What is then read or left depends on who is first.

/// Who reaches memory, and when.
#[derive(Clone, Copy)]
pub(super) struct Access {
    /// The number of the member.
    pub(super) member: usize,
    /// The time between two barriers.
    pub(super) interval: u64,
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
    /// `None`: several members.
    member: Option<usize>,
}

impl Last {
    /// Whether a member other than this one was here in its interval.
    fn is_of_another(self, access: Access) -> bool {
        self.interval == access.interval && self.member != Some(access.member)
    }
}

impl Mark {
    /// Notes an access.
    ///
    /// # Errors
    ///
    /// What other members did since all met.
    pub(super) fn reach(&mut self, access: Access) -> Result<(), &'static str> {
        let another = |last: Option<Last>| last.is_some_and(|last| last.is_of_another(access));
        if another(self.written) {
            return Err("written");
        }
        if access.writes && another(self.read) {
            return Err("read");
        }
        let last = if access.writes {
            &mut self.written
        } else {
            &mut self.read
        };
        *last = Some(Last {
            interval: access.interval,
            member: match another(*last) {
                true => None,
                false => Some(access.member),
            },
        });
        Ok(())
    }
}
