//! Law 17: instructions inside loops over a team, of which one member may have more iterations than another.

use super::{
    Inst,
    checker::Checker,
    collective::{is_collective, is_over_team},
};
use crate::Axis;

impl Checker<'_> {
    /// Law 17 for one instruction.
    pub(super) fn team_law(&mut self, inst: &Inst) {
        if let Inst::For(l) = inst
            && is_over_team(l)
            && !l.init.is_empty()
        {
            self.report(17, Some(inst), "carries values over the team".to_owned());
        }
        let Some(axis) = self.divided else { return };
        let (functions, message) = match axis {
            Axis::Blocks => (
                &self.names.collective.of_team,
                "needs every member of the team, inside a loop over blocks",
            ),
            Axis::Team | Axis::Serial => (
                &self.names.collective.of_block,
                "needs every member of the team, inside a loop over it",
            ),
        };
        if is_collective(inst, functions) {
            self.report(17, Some(inst), message.to_owned());
        }
    }
}
