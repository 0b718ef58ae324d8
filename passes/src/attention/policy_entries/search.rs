//! Finds closed forms for the numbers of entries of a policy.

use super::{
    closed::{Closed, Holds},
    head::{Arbitrary, Count, Head, end, step},
    seen::Next,
    share::Share,
};
use seqc_ir::{PairExpr, policy::Policy};

/// Numbers of a policy beyond which no form is looked for: the policy is run for a multiple of their sum.
const LARGEST: usize = 1 << 13;
/// Tokens over which it is counted how often entries leave.
const COUNTED: usize = 256;
/// Tokens that a form must cover at least, beside those that the numbers of the policy ask for.
const LEAST: usize = 64;

/// Key heads that may differ: all of them where the policy asks for their number, or where they decide together.
pub(super) fn distinct(policy: &Policy, heads: usize) -> usize {
    let asks = |e: &PairExpr| e.any(&|e| matches!(e, PairExpr::Head));
    if policy.joins_heads() || policy.expressions().into_iter().any(asks) {
        heads
    } else {
        1
    }
}

/// After each of so many tokens, the sum over the heads that differ.
pub(super) fn counts(
    policy: &Policy,
    heads: usize,
    prompt: Option<usize>,
    tokens: usize,
    numbers: Arbitrary,
) -> Vec<Count> {
    let heads = 0..distinct(policy, heads);
    let mut heads: Vec<Head<'_>> = heads.map(|head| Head::new(policy, head, prompt, numbers)).collect();
    (0..tokens).map(|_| step(policy, &mut heads)).collect()
}

/// What the token behind so many tokens does, on average over the heads.
pub(super) fn next(policy: &Policy, heads: usize, prompt: Option<usize>, tokens: usize) -> Next {
    let count = distinct(policy, heads);
    let mut heads: Vec<Head<'_>> = (0..count)
        .map(|head| Head::new(policy, head, prompt, Arbitrary::USUAL))
        .collect();
    for _ in 0..tokens {
        step(policy, &mut heads);
    }
    let mut next = Next::default();
    for n in 0..COUNTED {
        heads.iter_mut().for_each(Head::begin);
        if n == 0 {
            next.seen = heads.iter().map(Head::seen).sum::<f64>() / count as f64;
        }
        next.events += heads.iter().filter(|head| head.evicts()).count() as f64 / (count * COUNTED) as f64;
        end(policy, &mut heads);
    }
    next
}

/// Whether data decide how many entries there are: where there are quite other counts of much larger or much smaller numbers.
pub(super) fn depends_on_data(policy: &Policy, heads: usize) -> bool {
    let tokens = span(policy).min(LARGEST);
    let prompt = policy.prompt_matters().then_some(tokens / 2);
    let entries = |numbers: Arbitrary| {
        let counts = counts(policy, heads, prompt, tokens, numbers);
        counts.last().map_or(0, |count| count.entries)
    };
    let usual = entries(Arbitrary::USUAL);
    Arbitrary::EXTREME.into_iter().any(|numbers| {
        let other = entries(numbers);
        4 * other.abs_diff(usual) > other.max(usual)
    })
}

/// A form for each share, where there is one.
pub(super) fn forms(policy: &Policy, heads: usize) -> Vec<Option<Closed>> {
    let span = span(policy);
    if span > LARGEST {
        return Vec::new();
    }
    let run = |prompt, tokens, numbers| counts(policy, heads, prompt, tokens, numbers);
    let [large, small] = Arbitrary::EXTREME;
    if !policy.prompt_matters() {
        let usual = run(None, 2 * span, Arbitrary::USUAL);
        let same = |numbers: &Arbitrary| run(None, span, *numbers) == usual[..span];
        if !(run(None, 2 * span, Arbitrary::OTHER) == usual && [large, small].iter().all(same)) {
            return Vec::new();
        }
        let distinct = distinct(policy, heads) as i64;
        return Share::EACH
            .iter()
            .map(|share| of_tokens(&of(&usual, *share), span, distinct))
            .collect();
    }
    // Prompts whose lengths have different remainders.
    let prompts = [span + 5, 2 * span + 12];
    let runs = prompts.map(|prompt| run(Some(prompt), prompt + span, Arbitrary::USUAL));
    let compared = prompts[0] + span / 2;
    let same = |numbers: &Arbitrary| run(Some(prompts[0]), compared, *numbers) == runs[0][..compared];
    if ![Arbitrary::OTHER, large, small].iter().all(same) {
        return Vec::new();
    }
    let form = |share: &Share| {
        let numbers = runs.each_ref().map(|run| of(run, *share));
        let found = |of_answer| {
            Prompts {
                prompts,
                numbers: &numbers,
                span,
            }
            .form(of_answer)
        };
        found(false).or_else(|| found(true))
    };
    Share::EACH.iter().map(form).collect()
}

/// Tokens within which a policy has reached what goes on: the sum of its numbers.
fn span(policy: &Policy) -> usize {
    fn numbers(expr: &PairExpr) -> f64 {
        match expr {
            PairExpr::Const(c) if c.is_finite() => c.abs().min(1e9),
            other => other.parts().into_iter().map(numbers).sum(),
        }
    }
    let sum: f64 = policy.expressions().into_iter().map(numbers).sum();
    let groups: usize = [&policy.keys, &policy.values]
        .into_iter()
        .flatten()
        .map(|coding| coding.group)
        .sum();
    let blocks = policy.blocks.as_ref().map_or(0, |b| 2 * b.size + b.first + b.behind);
    (sum as usize)
        .saturating_add(groups)
        .saturating_add(blocks)
        .saturating_add(LEAST)
}

/// Of a share, after 0 tokens, 1 token, …
fn of(counts: &[Count], share: Share) -> Vec<i64> {
    let found = counts.iter().map(|count| share.of(*count) as i64);
    std::iter::once(0).chain(found).collect()
}

/// A form of numbers that do not depend on a prompt, found from `span` tokens on.
fn of_tokens(numbers: &[i64], span: usize, heads: i64) -> Option<Closed> {
    let mut form = periodic(numbers, span)?;
    let holds = |tokens: &usize| form.value(*tokens, 0) == numbers[*tokens];
    let from = (0..numbers.len()).rev().take_while(holds).last()?;
    form.holds = Holds::Tokens {
        from,
        full_before: (0..from).all(|tokens| numbers[tokens] == heads * tokens as i64),
    };
    Some(form)
}

/// The numbers for two prompts.
struct Prompts<'a> {
    prompts: [usize; 2],
    numbers: &'a [Vec<i64>; 2],
    /// Tokens that were read behind each prompt.
    span: usize,
}

impl Prompts<'_> {
    /// A form in the length of the context or of the answer, that holds behind both prompts for all answers of more than half of the span.
    fn form(&self, of_answer: bool) -> Option<Closed> {
        let (prompts, numbers) = (self.prompts, self.numbers);
        let settled = self.span / 2;
        // The place of number 0 of what the form depends on.
        let first = if of_answer { prompts[0] } else { 0 };
        let mut form = periodic(&numbers[0][first..], prompts[0] - first + settled)?;
        form.of_answer = of_answer;
        // What the second prompt has more than the form of the first one says.
        let tokens = prompts[1] + self.span;
        let more = numbers[1][tokens] - form.value(tokens, prompts[1]);
        let longer = (prompts[1] - prompts[0]) as i64;
        if more % longer != 0 {
            return None;
        }
        form.per_prompt = more / longer;
        form.table
            .iter_mut()
            .for_each(|x| *x -= form.per_prompt * prompts[0] as i64);
        let from = |n: usize| -> Option<usize> {
            let holds = |tokens: &usize| form.value(*tokens, prompts[n]) == numbers[n][*tokens];
            let from = (prompts[n]..numbers[n].len()).rev().take_while(holds).last()?;
            Some(from - prompts[n])
        };
        let answer = from(0)?.max(from(1)?);
        form.holds = Holds::Prompt {
            prompt: prompts[0],
            answer,
        };
        (answer <= settled).then_some(form)
    }
}

/// The shortest period from number `from` on, and the growth in it.
fn periodic(numbers: &[i64], from: usize) -> Option<Closed> {
    let last = numbers.len() - 1;
    // At least two periods are seen.
    (1..=(last - from) / 2).find_map(|period| {
        let rise = numbers[last] - numbers[last - period];
        let repeats = (from..=last - period).all(|n| numbers[n + period] - numbers[n] == rise);
        let first = from.next_multiple_of(period);
        (repeats && first + period <= last + 1).then(|| Closed {
            rise,
            table: (0..period)
                .map(|n| numbers[first + n] - rise * (first / period) as i64)
                .collect(),
            of_answer: false,
            per_prompt: 0,
            holds: Holds::Tokens {
                from,
                full_before: false,
            },
        })
    })
}
