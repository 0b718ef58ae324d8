//! Law 17: instructions inside loops over a team, of which one member may have more iterations than another.

use super::{
    Inst,
    checker::Checker,
    collective::{is_collective, is_over_team},
};

impl Checker<'_> {
    /// Law 17 for one instruction.
    pub(super) fn team_law(&mut self, inst: &Inst) {
        if let Inst::For(l) = inst
            && is_over_team(l)
            && !l.init.is_empty()
        {
            self.report(17, Some(inst), "carries values over the team".to_owned());
        }
        if self.in_team_loop && is_collective(inst, &self.names.collective) {
            let message = "needs every member of the team, inside a loop over it";
            self.report(17, Some(inst), message.to_owned());
        }
    }
}
