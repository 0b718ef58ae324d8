//! Blocks of a governed cache: what is kept of those that are closed, and what queries choose by.

use super::{
    data::Data,
    entries::{dot, fewest, normalised, reduce, reduce_among, search, top},
    governed::{Choice, ClosedBlock},
    place::{About, HeadStep},
};
use crate::{
    PairExpr, ReduceOp,
    policy::{Blocks, Kind},
};

/// Makes the choices of all query heads, where the token's queries choose: alone, or together with those that follow them, `queries` of
/// all tokens from this one on.
pub(super) fn choose(steps: &mut [HeadStep<'_>], queries: &[Vec<Data>]) {
    let Some(first) = steps.first() else { return };
    let Some(blocks) = &first.policy.blocks else { return };
    let (at, members) = (first.at, first.attend.group);
    if !blocks.chooses_at(at.position, at.is_prompt()) && !first.cache.choices.is_empty() {
        return;
    }
    let together = blocks.together - at.position % blocks.together;
    let left = at
        .prompt
        .map_or(usize::MAX, |prompt| prompt.saturating_sub(at.position));
    let count = if at.is_prompt() { together.min(left) } else { 1 };
    let queries = &queries[..count.min(queries.len())];
    let mut found = vec![vec![Choice::new(); members]; steps.len()];
    for definition in &blocks.choosing {
        let values = |(step, choices): (&HeadStep<'_>, &Vec<Choice>)| -> Vec<Vec<f64>> {
            let of = |(member, known): (usize, &Choice)| step.chosen_by(queries, &definition.kind, member, known);
            choices.iter().enumerate().map(of).collect()
        };
        let mut values: Vec<Vec<Vec<f64>>> = steps.iter().zip(&found).map(values).collect();
        if let Kind::Heads { how, members, .. } = &definition.kind {
            values = over_heads(*how, *members, &values);
        }
        for (choices, values) in found.iter_mut().zip(values) {
            choices
                .iter_mut()
                .zip(values)
                .for_each(|(choice, values)| choice.push(values));
        }
    }
    for (step, choices) in steps.iter_mut().zip(found) {
        step.cache.known = step.cache.blocks.len();
        step.cache.choices = choices;
    }
}

/// The reduction of each block's values over query heads, for all of them.
fn over_heads(how: ReduceOp, members: bool, values: &[Vec<Vec<f64>>]) -> Vec<Vec<Vec<f64>>> {
    let reduced = |heads: Vec<&Vec<f64>>| -> Vec<f64> {
        let blocks = heads.first().map_or(0, |values| values.len());
        let of = |block| reduce(how, heads.iter().map(|values| values[block]));
        (0..blocks).map(of).collect()
    };
    let all = reduced(values.iter().flatten().collect());
    let of = |heads: &Vec<Vec<f64>>| {
        let one = if members {
            reduced(heads.iter().collect())
        } else {
            all.clone()
        };
        vec![one; heads.len()]
    };
    values.iter().map(of).collect()
}

impl HeadStep<'_> {
    /// Values of a definition of [`Blocks::choosing`] for a query head, of each block.
    fn chosen_by(&self, queries: &[Vec<Data>], kind: &Kind, member: usize, known: &Choice) -> Vec<f64> {
        let blocks = 0..self.cache.blocks.len();
        let about = |block: usize| About {
            member,
            block: Some(block),
            closing: &self.cache.blocks[block].numbers[member],
            choosing: known,
            ..About::default()
        };
        let of = |e: &PairExpr| -> Vec<f64> { blocks.clone().map(|block| self.value(e, about(block))).collect() };
        let truths = |e: &PairExpr| -> Vec<bool> { of(e).iter().map(|x| *x != 0.0).collect() };
        // What is the same for all blocks is that of the first.
        let of_all = |e: &PairExpr| {
            if blocks.is_empty() {
                0.0
            } else {
                self.value(e, about(0))
            }
        };
        let rows = || -> Vec<Vec<f64>> { queries.iter().map(|q| self.choosing_query(q, member)).collect() };
        match kind {
            Kind::Entry(e) | Kind::Heads { of: e, .. } => of(e),
            Kind::Top { by, count, among, .. } => top(&of(by), of_all(count), &truths(among)),
            Kind::Over { of: values, how, among } => {
                let values = of(values);
                vec![reduce_among(*how, &values, &truths(among)); values.len()]
            }
            Kind::Fewest { of: values, sum, among } => {
                let values = of(values);
                vec![fewest(&values, of_all(sum), &truths(among)); values.len()]
            }
            Kind::QuerySum { of, over } => {
                let rows = rows();
                let sum = |block: usize, row: &Vec<f64>| -> f64 {
                    let channel = |(c, x): (usize, &f64)| {
                        let at = About {
                            channel: Some(c),
                            score: *x,
                            ..about(block)
                        };
                        self.value(of, at)
                    };
                    row.iter().enumerate().map(channel).sum()
                };
                blocks
                    .map(|block| reduce(*over, rows.iter().map(|row| sum(block, row))))
                    .collect()
            }
            Kind::Search { by, count } => search(&of(by), *count),
            Kind::EntrySum { of, entries, over } => {
                let rows = rows();
                let product = |block: usize, row: &Vec<f64>, key: &Vec<f64>| -> f64 {
                    let channel = |(c, x): (usize, &f64)| {
                        let at = About {
                            channel: Some(c),
                            score: *x,
                            key: key[c],
                            ..about(block)
                        };
                        self.value(of, at)
                    };
                    row.iter().enumerate().map(channel).sum()
                };
                let of_block = |block: usize| {
                    let keys: Vec<Vec<f64>> = self
                        .slots_of(block)
                        .map(|slot| self.block_key(&queries[0], slot))
                        .collect();
                    let of_row = |row: &Vec<f64>| reduce(*entries, keys.iter().map(|key| product(block, row, key)));
                    reduce(*over, rows.iter().map(of_row))
                };
                blocks.map(of_block).collect()
            }
            Kind::QueryFold { of, over, mean } => {
                let rows = rows();
                let number = |c: usize, x: f64| {
                    let at = About {
                        channel: Some(c),
                        score: x,
                        member,
                        choosing: known,
                        ..About::default()
                    };
                    self.value(of, at)
                };
                let count = if *mean { rows.len().max(1) as f64 } else { 1.0 };
                let fold = |c: usize| reduce(*over, rows.iter().map(|row| number(c, row[c]))) / count;
                (0..self.attend.e).map(fold).collect()
            }
            // Numbers of entries (law 11).
            _ => Vec::new(),
        }
    }

    /// The query by which a query head chooses.
    fn choosing_query(&self, operands: &[Data], member: usize) -> Vec<f64> {
        let e = self.attend.e;
        let head = self.head * self.attend.group + member;
        let row = &operands[0][head * e..(head + 1) * e];
        match self.policy.blocks.as_ref().and_then(|b| b.query.as_ref()) {
            Some(at) => self.turned(operands, row, self.number(at)),
            None => row.to_vec(),
        }
    }

    /// Closes the blocks that are complete.
    pub(super) fn close_blocks(&mut self, operands: &[Data]) {
        let Some(blocks) = &self.policy.blocks else { return };
        for block in self.cache.blocks.len()..blocks.closed_after(self.at.position + 1) {
            let members = 0..self.attend.group;
            let numbers = members
                .map(|member| self.numbers_of_block(operands, blocks, block, member))
                .collect();
            self.cache.blocks.push(ClosedBlock { numbers });
        }
    }

    fn slots_of(&self, block: usize) -> std::ops::Range<usize> {
        let (first, size) = self.policy.blocks.as_ref().map_or((0, 0), |b| (b.first, b.size));
        first + block * size..first + (block + 1) * size
    }

    /// An entry's key where it stands in blocks.
    fn block_key(&self, operands: &[Data], slot: usize) -> Vec<f64> {
        let key = &self.cache.entries[slot].key;
        match self.policy.blocks.as_ref().and_then(|b| b.key.as_ref()) {
            Some(at) => self.turned(operands, key, self.of_entry(at, slot, self.at.position, 0.0)),
            None => key.clone(),
        }
    }

    /// Values of [`Blocks::closing`].
    fn numbers_of_block(&self, operands: &[Data], blocks: &Blocks, block: usize, member: usize) -> Vec<Vec<f64>> {
        let slots: Vec<usize> = self.slots_of(block).collect();
        let key = |slot: &usize| self.block_key(operands, *slot);
        let closing = Closing {
            step: self,
            member,
            keys: slots.iter().map(key).collect(),
            slots,
        };
        let mut known = Vec::new();
        for definition in &blocks.closing {
            let values = closing.values(&definition.kind, &known);
            known.push(values);
        }
        known
    }
}

/// A block that is being closed, for a query head.
struct Closing<'s, 'a> {
    step: &'s HeadStep<'a>,
    member: usize,
    slots: Vec<usize>,
    /// Keys of its entries, turned to where they stand.
    keys: Vec<Vec<f64>>,
}

impl Closing<'_, '_> {
    fn about<'n>(&self, slot: Option<usize>, known: &'n [Vec<f64>]) -> About<'n> {
        About {
            slot,
            member: self.member,
            closing: known,
            ..About::default()
        }
    }

    fn values(&self, kind: &Kind, known: &[Vec<f64>]) -> Vec<f64> {
        let of = |e: &PairExpr| -> Vec<f64> {
            let slots = self.slots.iter();
            slots
                .map(|slot| self.step.value(e, self.about(Some(*slot), known)))
                .collect()
        };
        let truths = |e: &PairExpr| -> Vec<bool> { of(e).iter().map(|x| *x != 0.0).collect() };
        let in_channel = |e: &PairExpr, at: Option<usize>, c: usize, score: f64| {
            let about = About {
                channel: Some(c),
                score,
                ..self.about(at.map(|n| self.slots[n]), known)
            };
            self.step.value(e, about)
        };
        let channels = 0..self.step.attend.e;
        match kind {
            Kind::Entry(e) => of(e),
            Kind::Over { of: values, how, among } => {
                vec![reduce_among(*how, &of(values), &truths(among))]
            }
            Kind::Top { by, count, among, .. } => top(&of(by), self.step.number(count), &truths(among)),
            Kind::VectorSum { of, values } => {
                let sum = |n: usize| {
                    let value = &self.step.cache.entries[self.slots[n]].value;
                    let row = if *values { value } else { &self.keys[n] };
                    let numbers = row.iter().enumerate();
                    numbers.map(|(c, x)| in_channel(of, Some(n), c, *x)).sum()
                };
                (0..self.slots.len()).map(sum).collect()
            }
            Kind::Channel(e) => channels.map(|c| in_channel(e, None, c, 0.0)).collect(),
            Kind::Fold { of, how, among, values } => {
                let counts = truths(among);
                let number = |n: usize, c: usize| match values {
                    true => self.step.cache.entries[self.slots[n]].value[c],
                    false => self.keys[n][c],
                };
                let fold = |c: usize| {
                    let counted = (0..self.slots.len()).filter(|n| counts[*n]);
                    reduce(*how, counted.map(|n| in_channel(of, Some(n), c, number(n, c))))
                };
                channels.map(fold).collect()
            }
            Kind::Within => self.within(),
            // Numbers of queries, or of all entries (law 11).
            _ => Vec::new(),
        }
    }

    /// Weights that the block's own queries give its entries.
    fn within(&self) -> Vec<f64> {
        let attend = self.step.attend;
        let head = self.step.head * attend.group + self.member;
        let mut sums = vec![0.0; self.slots.len()];
        let queries = self.step.cache.queries.iter();
        for query in queries.filter(|q| self.slots.contains(&q.position)) {
            let row = &query.operands[0][head * attend.e..(head + 1) * attend.e];
            let q = self.step.turned(&query.operands, row, query.position as f64);
            let score = |slot: &usize| {
                let key = &self.step.cache.entries[*slot].key;
                attend.spec.scale * dot(&q, &self.step.turned(&query.operands, key, *slot as f64))
            };
            let weights = normalised(vec![self.slots.iter().map(score).collect()]);
            sums.iter_mut().zip(&weights[0]).for_each(|(s, w)| *s += w);
        }
        sums
    }
}
