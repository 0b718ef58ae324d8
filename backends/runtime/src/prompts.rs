//! Where the prompts of a sequence end, which decides what some caches keep.

use seqc_abi::batch::OPEN_PROMPT;

/// A prompt of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Tokens that had been read when its end was said: it holds for tokens from there on.
    pub(crate) said: u64,
    /// The position behind its last token.
    pub(crate) end: u64,
}

/// All prompts of a sequence whose ends were said, in order: the tokens that are read next belong to the last one, or come after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts(Vec<Prompt>);

impl Prompts {
    /// Prompts from a saved state of `position` tokens; `None` where they contradict each other.
    pub(crate) fn of(all: Vec<Prompt>, position: u64) -> Option<Prompts> {
        let ascending = all.is_sorted_by(|one, next| one.said < next.said);
        let sound = |prompt: &Prompt| prompt.said <= position && prompt.said <= prompt.end;
        (ascending && all.iter().all(sound)).then_some(Prompts(all))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Prompt] {
        &self.0
    }

    /// Where the prompt ends that is read next or was read last.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(OPEN_PROMPT, |prompt| prompt.end)
    }

    /// Where the prompt begins that is read next or was read last: where its end was said, if an answer came before, otherwise at the
    /// start.
    pub(crate) fn begun(&self) -> u64 {
        let Some((last, before)) = self.0.split_last() else {
            return 0;
        };
        let answered = before.iter().any(|prompt| prompt.end <= last.said);
        if answered { last.said } else { 0 }
    }

    /// Says where the prompt ends whose next token has this position.
    pub(crate) fn end_at(&mut self, position: u64, end: u64) {
        self.0.retain(|prompt| prompt.said < position);
        self.0.push(Prompt { said: position, end });
    }

    /// Forgets what was said after the first `position` tokens, and the end of a prompt of which tokens are forgotten.
    pub(crate) fn truncate(&mut self, position: u64) {
        self.0
            .retain(|prompt| prompt.said < position || prompt.end <= position && prompt.said == position);
        if let Some(last) = self.0.last_mut().filter(|last| last.end > position) {
            last.end = OPEN_PROMPT;
        }
    }

    /// What had been said when the token at a position was read, and the position of the next token before which more was said.
    pub(crate) fn until(&self, position: u64) -> (Prompts, u64) {
        let next = self.0.partition_point(|prompt| prompt.said <= position);
        let more = self.0.get(next).map_or(u64::MAX, |prompt| prompt.said);
        (Prompts(self.0[..next].to_vec()), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two turns of a conversation, with an answer between them.
    fn turns() -> Prompts {
        let mut prompts = Prompts::default();
        prompts.end_at(0, 20);
        prompts.end_at(30, 50);
        prompts
    }

    #[test]
    fn a_prompt_is_open_until_its_end_is_said_and_a_turn_moves_the_end() {
        let mut prompts = Prompts::default();
        assert_eq!(prompts.end(), OPEN_PROMPT);
        prompts.end_at(0, 20);
        assert_eq!(prompts.end(), 20);
        prompts.end_at(0, 21);
        assert_eq!(prompts.all(), [Prompt { said: 0, end: 21 }]);
        assert_eq!(turns().end(), 50);
    }

    #[test]
    fn a_prompt_begins_behind_an_answer_or_at_the_start() {
        assert_eq!(turns().begun(), 30);
        let mut open = Prompts::default();
        open.end_at(12, 20);
        // What was read before its end was said belongs to it.
        assert_eq!(open.begun(), 0);
        open.end_at(20, 28);
        assert_eq!(open.begun(), 20);
    }

    #[test]
    fn a_sequence_that_is_cut_forgets_ends_behind_the_cut() {
        let cut = |position| {
            let mut prompts = turns();
            prompts.truncate(position);
            prompts.all().to_vec()
        };
        let first = Prompt { said: 0, end: 20 };
        let second = |end| Prompt { said: 30, end };
        assert_eq!(cut(60), [first, second(50)]);
        assert_eq!(cut(50), [first, second(50)]);
        assert_eq!(cut(40), [first, second(OPEN_PROMPT)]);
        assert_eq!(cut(30), [first]);
        assert_eq!(
            cut(10),
            [Prompt {
                said: 0,
                end: OPEN_PROMPT
            }]
        );
        assert_eq!(cut(0), []);
    }

    #[test]
    fn tokens_that_are_read_again_meet_the_ends_that_they_met() {
        let met = |prompts: Prompts, position| {
            let (prompts, next) = prompts.until(position);
            (prompts.end(), next)
        };
        assert_eq!(met(Prompts::default(), 7), (OPEN_PROMPT, u64::MAX));
        assert_eq!([met(turns(), 0), met(turns(), 29)], [(20, 30); 2]);
        assert_eq!(met(turns(), 30), (50, u64::MAX));
    }

    #[test]
    fn saved_prompts_that_contradict_each_other_are_refused() {
        let of = |all: &[[u64; 2]]| {
            let all = all.iter().map(|[said, end]| Prompt { said: *said, end: *end });
            Prompts::of(all.collect(), 40).is_some()
        };
        assert!(of(&[]) && of(&[[0, 20], [30, OPEN_PROMPT]]) && of(&[[40, 40]]));
        assert!(!of(&[[0, 20], [0, 30]]) && !of(&[[30, 29]]) && !of(&[[41, 50]]));
    }
}
