//! Printing and parsing of decisions.

use super::{parse::PlanParser, print::Printer};
use crate::plan::{Candidate, DIRECT_SUM, Decision, Form, Misfit, PARTITIONED, Subject, Verdict, types::Plan};
use seqc_ir::text::{Name, Number, ParseError, Token};
use std::fmt;

impl Printer<'_, '_, '_> {
    pub(super) fn decision(&mut self, decision: &Decision) -> fmt::Result {
        let (about, names) = match decision.about {
            Subject::Recurrence(n) => (format!("recurrence {n}"), self.states_of(n)),
            Subject::Filter(v) => (format!("filter {v}"), self.what(v)),
        };
        self.line(&format!("decide {about} {{"), &names)?;
        self.depth += 1;
        decision.candidates.iter().try_for_each(|c| self.candidate(c))?;
        self.depth -= 1;
        self.line("}", "")
    }

    fn states_of(&self, recurrence: usize) -> String {
        let states = self
            .plan
            .recurrences
            .get(recurrence)
            .into_iter()
            .flat_map(|r| &r.states);
        let names = states.map(|s| format!("{s} {}", self.graph.states[s.0 as usize].name));
        names.collect::<Vec<_>>().join(", ")
    }

    fn candidate(&mut self, candidate: &Candidate) -> fmt::Result {
        let cost = candidate.cost.map(|cost| format!(" cost={}", Number(cost)));
        let (verdict, why) = match candidate.verdict {
            Verdict::Chosen { from } => (format!("from={from}"), String::new()),
            Verdict::Costlier => ("costlier".to_owned(), String::new()),
            Verdict::Later => ("later".to_owned(), String::new()),
            Verdict::Unfit(misfit) => (format!("unfit {}", Name(misfit.name())), misfit.to_string()),
        };
        let text = format!("{}{} {verdict}", Name(candidate.form), cost.unwrap_or_default());
        self.line(&text, &why)
    }
}

impl PlanParser<'_> {
    /// `decide recurrence 0 { … }`, as many as there are.
    pub(super) fn decisions(&mut self, plan: &Plan) -> Result<Vec<Decision>, ParseError> {
        let mut found = Vec::new();
        while self.text.eat_word("decide") {
            let about = self.subject(plan)?;
            let candidates = self.block(|p| {
                let mut candidates = Vec::new();
                while *p.text.peek() != Token::Mark('}') {
                    candidates.push(p.candidate()?);
                }
                Ok(candidates)
            })?;
            found.push(Decision { about, candidates });
        }
        Ok(found)
    }

    fn subject(&mut self, plan: &Plan) -> Result<Subject, ParseError> {
        if self.text.eat_word("filter") {
            return Ok(Subject::Filter(self.value()?));
        }
        self.text.expect_word("recurrence")?;
        let (place, n) = (self.text.here(), self.text.count()?);
        match n < plan.recurrences.len() {
            true => Ok(Subject::Recurrence(n)),
            false => Err(self.text.error_at(place, format!("there is no recurrence {n}"))),
        }
    }

    /// `wy cost=12.0 from=64`, `wy cost=12.0 costlier`, `token_loop cost=12.0 later` or `wy unfit no_matrix`
    fn candidate(&mut self) -> Result<Candidate, ParseError> {
        let form = self.named("a form", form_named)?;
        let cost = self.option("cost", |p| p.text.real())?;
        let from = self.option("from", |p| p.text.count())?;
        let verdict = match from {
            Some(from) => Verdict::Chosen { from },
            None if self.text.eat_word("costlier") => Verdict::Costlier,
            None if self.text.eat_word("later") => Verdict::Later,
            None => {
                self.text.expect_word("unfit")?;
                Verdict::Unfit(self.named("a reason", Misfit::named)?)
            }
        };
        Ok(Candidate { form, cost, verdict })
    }

    /// Reads a name that `find` accepts.
    fn named<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, ParseError> {
        let place = self.text.here();
        let name = self.text.name()?;
        find(&name).ok_or_else(|| self.text.error_at(place, format!("`{name}` is not {what}")))
    }
}

fn form_named(name: &str) -> Option<&'static str> {
    let filters = || [DIRECT_SUM, PARTITIONED].into_iter().find(|known| *known == name);
    Form::named(name).map(|form| form.name).or_else(filters)
}
