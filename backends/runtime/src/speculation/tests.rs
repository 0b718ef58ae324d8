//! Drafts of programs: several texts at once, whatever is asked, and programs that fail.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{
    program::Tell,
    protocol::{Ask, Proposal, Proposals},
    *,
};
use seqc_abi::Descriptor;

use crate::{
    Error, Result,
    code::Code,
    model::{Model, Options},
    testing::{self, CONTEXT, VOCAB, adder, rememberer, sums},
    weights::Mix,
};

/// One model that carries a counter, which cannot be cut, and one that carries a cache alone.
fn models() -> [Code; 2] {
    [adder("adder"), rememberer()]
}

fn load(code: Code) -> &'static Model {
    Box::leak(Box::new(Model::load(code, &Options::default()).expect("a model")))
}

fn ask(text: u64, keep: usize, tokens: &[i64], most: usize) -> Ask {
    let tokens = tokens.to_vec();
    Ask {
        text,
        keep,
        tokens,
        most,
    }
}

fn propose(proposer: &mut Proposer, forget: &[u64], asks: Vec<Ask>) -> Vec<Proposal> {
    let forget = forget.to_vec();
    proposer.propose(&Asks { forget, asks }).expect("proposals").proposals
}

#[test]
fn nothing_is_drafted_beyond_the_context() {
    for code in models() {
        let mut proposer = Proposer::new(load(code)).expect("memory");
        let mut draft = |keep, tokens: &[i64], most| {
            let all = propose(&mut proposer, &[], vec![ask(1, keep, tokens, most)]);
            all[0].tokens.len()
        };
        assert_eq!(draft(0, &[0; 290], 4), 4);
        assert_eq!(draft(290, &[0; 8], 4), 3);
        assert_eq!(draft(298, &[0; 2], 4), 1);
        assert_eq!(draft(300, &[0; 1], 4), 0);
        assert_eq!(draft(292, &[0; 4], 4), 4);
    }
    let endless = Descriptor {
        max_context: None,
        ..testing::adder_descriptor("endless")
    };
    let model = load(testing::code(&endless, testing::add));
    let mut proposer = Proposer::new(model).expect("memory");
    let all = propose(&mut proposer, &[], vec![ask(1, 0, &[0; 400], 4), ask(2, 0, &[1], 4)]);
    assert_eq!((all[0].unread, &all[1].tokens), (400 - 64, &sums(&[1], 4)));
}

#[test]
fn drafts_of_several_texts_are_the_likeliest_tokens_whatever_was_drafted_before() {
    for code in models() {
        let mut proposer = Proposer::new(load(code)).expect("memory");
        let mut mix = Mix(5);
        let mut below = |bound: usize| (mix.next() % bound as u64) as usize;
        let mut texts: Vec<(u64, Vec<i64>)> = Vec::new();
        for round in 0..300 {
            let mut forget = Vec::new();
            if texts.len() > 5 {
                forget.push(texts.remove(below(6)).0);
            }
            if texts.len() < 2 || below(4) == 0 {
                texts.push((round, Vec::new()));
            }
            let (mut asks, mut expected) = (Vec::new(), Vec::new());
            for (number, text) in &mut texts {
                if below(3) == 0 {
                    continue;
                }
                let keep = below(text.len() + 1);
                // Some agree with the last draft, some do not.
                let agreed = sums(&text[..keep], below(4));
                let own: Vec<i64> = (0..1 + below(12)).map(|_| below(2) as i64).collect();
                let tokens = [agreed, own].concat();
                text.truncate(keep);
                text.extend(&tokens);
                let most = 1 + below(6);
                asks.push(ask(*number, keep, &tokens, most));
                expected.push(Proposal {
                    known: text.len(),
                    unread: 0,
                    tokens: sums(text, most),
                });
            }
            if texts.iter().all(|(_, text)| text.len() < CONTEXT - 30) {
                assert_eq!(propose(&mut proposer, &forget, asks), expected, "round {round}");
            } else {
                return;
            }
        }
    }
}

#[test]
fn a_long_text_is_read_in_parts_where_others_wait() {
    let mut proposer = Proposer::new(load(rememberer())).expect("memory");
    let long: Vec<i64> = (0..200).map(|n| n % 3).collect();
    let asks = vec![ask(1, 0, &long, 3), ask(2, 0, &[1, 2], 3)];
    let both = propose(&mut proposer, &[], asks);
    assert_eq!((both[0].known, both[0].unread), (200, 200 - 64));
    assert!(both[0].tokens.is_empty());
    assert_eq!(both[1].tokens, sums(&[1, 2], 3));
    let rest = propose(&mut proposer, &[], vec![ask(1, 200, &[], 3)]);
    assert_eq!((rest[0].unread, &rest[0].tokens), (0, &sums(&long, 3)));
    // What was read is there for others that begin alike, and what is not known is lost.
    let asks = vec![ask(3, 0, &long[..190], 1)];
    assert_eq!(propose(&mut proposer, &[1], asks)[0].tokens, sums(&long[..190], 1));
    assert_eq!(
        propose(&mut proposer, &[], vec![ask(1, 5, &[1], 1)])[0],
        Proposal::default()
    );
    let wrong = vec![ask(4, 0, &[VOCAB as i64], 1)];
    assert_eq!(propose(&mut proposer, &[], wrong)[0], Proposal::default());
}

/// Drafts as a program whose model is here.
fn program(drafter: impl Drafter + 'static, tell: Tell) -> Arc<DraftProgram> {
    Arc::new(DraftProgram::of(Box::new(drafter), None, tell).expect("a thread"))
}

fn deaf() -> Tell {
    Box::new(|why| panic!("{why}"))
}

#[test]
fn drafts_come_for_several_texts_in_one_line() {
    struct Counting(Proposer<'static>, Arc<AtomicUsize>);
    impl Drafter for Counting {
        fn propose(&mut self, asks: &Asks) -> Result<Proposals> {
            self.1.fetch_max(asks.asks.len(), Relaxed);
            std::thread::sleep(Duration::from_millis(5));
            self.0.propose(asks)
        }
    }
    for code in models() {
        let most_asks = Arc::new(AtomicUsize::new(0));
        let proposer = Proposer::new(load(code)).expect("memory");
        let drafting = Drafting::Program {
            program: program(Counting(proposer, Arc::clone(&most_asks)), deaf()),
            most: 4,
        };
        let mut texts: Vec<(Speculation, Vec<i64>)> =
            (0..4).map(|n| (Speculation::new(&drafting), vec![n, n + 1])).collect();
        for step in 0..20 {
            for (speculation, text) in &mut texts {
                speculation.ask(text, 3);
            }
            for (speculation, text) in &mut texts {
                let draft = speculation.draft(text, 3);
                assert_eq!(draft, sums(text, 3));
                // Some drafts are right, some are not.
                text.extend(&draft[..step % 3]);
                text.push(1);
                speculation.judge(3, 1);
            }
        }
        assert!(most_asks.load(Relaxed) > 1);
    }
}

/// Works for some lines, then does something else.
struct Failing {
    proposer: Proposer<'static>,
    lines: usize,
    then: fn() -> Result<Proposals>,
}

impl Drafter for Failing {
    fn propose(&mut self, asks: &Asks) -> Result<Proposals> {
        match self.lines.checked_sub(1) {
            Some(left) => {
                self.lines = left;
                self.proposer.propose(asks)
            }
            None => (self.then)(),
        }
    }
}

#[test]
fn a_program_that_fails_is_told_once_and_drafts_no_more() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let failing = Failing {
        proposer: Proposer::new(load(rememberer())).expect("memory"),
        lines: 2,
        then: || Err(Error::input("it has ended")),
    };
    let tell = Box::new(move |why: &str| heard.lock().expect("a list").push(why.to_owned()));
    let program = program(failing, tell);
    let drafting = Drafting::Program {
        program: Arc::clone(&program),
        most: 4,
    };
    let mut speculation = Speculation::new(&drafting);
    let mut lengths = Vec::new();
    for _ in 0..5 {
        speculation.ask(&[1, 2], 9);
        lengths.push(speculation.draft(&[1, 2], 9).len());
    }
    assert_eq!(lengths, [4, 4, 0, 0, 0]);
    assert_eq!(*told.lock().expect("a list"), ["it has ended"]);
    assert_eq!(program.failure(), Some("it has ended"));
}

#[test]
fn a_program_that_says_nothing_is_waited_for_no_longer_than_it_is_worth() {
    static ENDS: AtomicUsize = AtomicUsize::new(0);
    let silent = Failing {
        proposer: Proposer::new(load(rememberer())).expect("memory"),
        lines: 1,
        then: || {
            while ENDS.load(Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(Error::input("late"))
        },
    };
    let program = DraftProgram::of(Box::new(silent), None, Box::new(|_| {})).expect("a thread");
    let program = Arc::new(program.with_patience(Duration::from_millis(50)));
    let drafting = Drafting::Program {
        program: Arc::clone(&program),
        most: 4,
    };
    let mut polled = Speculation::new(&drafting);
    let wait = |speculation: &mut Speculation| loop {
        if let Some(draft) = speculation.poll(&[1, 2], 3, Duration::from_millis(1)) {
            return draft;
        }
        std::thread::yield_now();
    };
    // A draft that came late is of use if the text went on as it says.
    while polled.draft(&[1, 2], 3).is_empty() {
        polled.ask(&[1, 2], 3);
    }
    assert!(wait(&mut polled).is_empty());
    assert!(wait(&mut polled).is_empty());
    let mut waiting = Speculation::new(&drafting);
    waiting.ask(&[1], 3);
    assert!(waiting.draft(&[1], 3).is_empty());
    assert!(program.failure().is_some_and(|why| why.contains("does not answer")));
    ENDS.store(1, Relaxed);
}

#[test]
fn a_draft_that_comes_late_goes_on_from_what_was_chosen_since() {
    let proposer = Proposer::new(load(rememberer())).expect("memory");
    let drafting = Drafting::Program {
        program: program(proposer, deaf()),
        most: 4,
    };
    let after = |more: &[i64]| {
        let mut speculation = Speculation::new(&drafting);
        speculation.ask(&[1, 2], 4);
        speculation.draft(&[&[1, 2][..], more].concat(), 9)
    };
    assert_eq!(after(&[]), [3, 6, 12, 8]);
    assert_eq!(after(&[3, 6]), [12, 8]);
    assert_eq!(after(&[3, 5]), [0; 0]);
    assert_eq!(after(&[3, 6, 12, 8]), [0; 0]);
}

#[test]
fn wrong_drafts_of_a_program_become_rarer() {
    let proposer = Proposer::new(load(rememberer())).expect("memory");
    let drafting = Drafting::Program {
        program: program(proposer, deaf()),
        most: 2,
    };
    let mut speculation = Speculation::new(&drafting);
    let mut drafts = 0;
    for _ in 0..100 {
        speculation.ask(&[1, 2], 2);
        if !speculation.draft(&[1, 2], 2).is_empty() {
            drafts += 1;
            speculation.judge(2, 0);
        }
    }
    assert!((5..15).contains(&drafts), "{drafts}");
    speculation.judge(2, 1);
    speculation.ask(&[1, 2], 2);
    assert_eq!(speculation.draft(&[1, 2], 2).len(), 2);
}
