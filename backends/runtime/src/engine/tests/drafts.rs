//! Answers with a program that drafts are those without, whatever it does.

use super::{prefixes::branch, *};
use crate::speculation::{Asks, DraftProgram, Drafter, Proposals, Proposer};

/// Drafts as a model does, but for some tokens, and not for ever.
struct Sloppy {
    proposer: Proposer<'static>,
    mix: Mix,
    /// Every so many tokens one is wrong.
    wrong: u64,
    /// Lines that are answered; then nothing is, for a second, and it ends.
    lines: usize,
}

impl Drafter for Sloppy {
    fn propose(&mut self, asks: &Asks) -> Result<Proposals> {
        if self.lines == 0 {
            std::thread::sleep(Duration::from_secs(1));
            return Err(crate::Error::input("it has ended"));
        }
        self.lines -= 1;
        let mut all = self.proposer.propose(asks)?;
        for token in all.proposals.iter_mut().flat_map(|proposal| &mut proposal.tokens) {
            if self.mix.next().is_multiple_of(self.wrong) {
                *token = (*token + 1) % VOCAB as i64;
            }
        }
        Ok(all)
    }
}

/// Drafts of five tokens of another model that adds as well.
fn sloppy(wrong: u64, lines: usize) -> Drafting {
    let model = Box::leak(Box::new(load(testing::adder("drafts"))));
    let sloppy = Sloppy {
        proposer: Proposer::new(model).expect("memory"),
        mix: Mix(3),
        wrong,
        lines,
    };
    let program = DraftProgram::of(Box::new(sloppy), None, Box::new(|_| {})).expect("a thread");
    Drafting::Program {
        program: Arc::new(program),
        most: 5,
    }
}

/// Tokens that were drafted, and those of them that were right.
fn drafted(handle: &Handle) -> [u64; 2] {
    let gauges = handle.gauges();
    [&gauges.drafted_tokens, &gauges.accepted_tokens].map(|tokens| tokens.load(Relaxed))
}

#[test]
fn answers_with_a_program_that_drafts_are_those_of_the_sequences_alone() {
    for model in [adder(0), adder(3), load(rememberer())] {
        let mut mix = Mix(9);
        let asked: Vec<Asked> = (0..60).map(|_| random_request(&mut mix)).collect();
        let settings = Settings {
            drafting: Some(sloppy(4, usize::MAX)),
            ..settings()
        };
        std::thread::scope(|scope| {
            let mut engine = Engine::new(&model, None, settings).expect("an engine");
            let handle = engine.handle();
            let thread = scope.spawn(move || engine.run());
            for one in &asked {
                let sent = handle.submit(greedy(&one.prompt, one.count, &one.ear));
                sent.expect("a place");
                one.ear.gone.store(one.leaves && mix.next().is_multiple_of(2), Relaxed);
            }
            listen(&asked, &handle);
            asked.iter().for_each(|one| one.ear.gone.store(one.leaves, Relaxed));
            handle.close();
            thread.join().expect("no panic");
            asked.iter().for_each(Asked::check);
            let [drafted, accepted] = drafted(&handle);
            assert!(drafted > accepted && accepted > 50, "{accepted} of {drafted}");
        });
    }
}

#[test]
fn samples_are_the_same_with_a_program_that_drafts() {
    let mut wanted = generation(20);
    (wanted.samples, wanted.sampling.temperature) = (4, 0.5);
    for model in [adder(0), load(rememberer())] {
        let [plain, with] = [None, Some(sloppy(5, usize::MAX))].map(|drafting| {
            let ear = Ear::with_room(1000);
            let one = request(&[1, 2, 3], Goal::Generate(Box::new(wanted.clone())), &ear);
            answer(&model, Settings { drafting, ..settings() }, [one]);
            (0..4).map(|sample| ear.heard(sample)).collect::<Vec<_>>()
        });
        assert_eq!(plain, with);
        assert!(plain.iter().all(|heard| heard.0.len() == 20));
    }
}

#[test]
fn a_program_that_drafts_no_more_ends_no_answer_and_holds_none_up() {
    for lines in [0, 1, 7] {
        let ears: Vec<Arc<Ear>> = (0..5).map(|_| Ear::with_room(1000)).collect();
        let requests = ears.iter().zip(1..).map(|(ear, first)| greedy(&[first, 2], 60, ear));
        // The end of the program is waited for after the time was taken.
        let drafting = Some(sloppy(3, lines));
        let settings = Settings {
            drafting: drafting.clone(),
            ..settings()
        };
        let from = Instant::now();
        answer(&adder(0), settings, requests);
        let took = from.elapsed();
        for (ear, first) in ears.iter().zip(1..) {
            assert_eq!(ear.heard(0), (alone(&[first, 2], 60), Some(Reason::Length)));
        }
        // Each waits for one draft that does not come, and then for none.
        assert!(took < Duration::from_millis(900), "{took:?}");
        drop(drafting);
    }
}

#[test]
fn prompts_that_were_read_are_found_with_a_program_that_drafts() {
    for model in [adder(0), load(rememberer())] {
        let settings = Settings {
            drafting: Some(sloppy(4, usize::MAX)),
            snapshot_tokens: 4,
            ..settings()
        };
        let mut mix = Mix(7);
        let asked: Vec<(Vec<i64>, Arc<Ear>)> = (0..80).map(|_| (branch(&mut mix), Ear::with_room(1000))).collect();
        let handle = answer(
            &model,
            settings,
            asked.iter().map(|(prompt, ear)| greedy(prompt, 9, ear)),
        );
        for (prompt, ear) in &asked {
            assert_eq!(ear.heard(0), (alone(prompt, 9), Some(Reason::Length)), "{prompt:?}");
        }
        let gauges = handle.gauges();
        let tokens: u64 = asked.iter().map(|(prompt, _)| prompt.len() as u64).sum();
        let (read, kept) = (gauges.prompt_tokens.load(Relaxed), gauges.cache_tokens.load(Relaxed));
        assert_eq!(read + kept, tokens);
        assert!(gauges.cache_hits.load(Relaxed) > 20, "{gauges:?}");
        assert!(drafted(&handle)[1] > 50, "{gauges:?}");
    }
}

#[test]
fn the_next_turn_goes_on_near_the_end_of_an_answer_with_drafts() {
    let prompt = [4, 4, 8];
    for model in [adder(0), load(rememberer())] {
        let drafting = Some(Drafting::Lookup { most: 5 });
        let mut engine = Engine::new(&model, None, Settings { drafting, ..settings() }).expect("an engine");
        let handle = engine.handle();
        let ears = [Ear::with_room(1000), Ear::with_room(1000)];
        let answer = alone(&prompt, 20);
        let next = [&prompt[..], &answer, &[3, 2]].concat();
        handle.submit(greedy(&prompt, 20, &ears[0])).expect("a place");
        std::thread::scope(|scope| {
            scope.spawn(|| engine.run());
            while ears[0].heard(0).1.is_none() {
                std::thread::yield_now();
            }
            handle.submit(greedy(&next, 20, &ears[1])).expect("a place");
            handle.close();
        });
        assert_eq!(ears[0].heard(0).0, answer);
        assert_eq!(ears[1].heard(0).0, alone(&next, 20));
        let kept = handle.gauges().cache_tokens.load(Relaxed);
        assert!(
            kept > 14 && handle.gauges().accepted_tokens.load(Relaxed) > 20,
            "{kept}"
        );
    }
}
