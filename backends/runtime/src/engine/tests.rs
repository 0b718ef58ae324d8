//! Every answer of an engine is what its sequence gets alone, whatever others do.

mod drafts;
mod grammars;
mod prefixes;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::*;
use crate::{
    code::Code,
    executor::Segment,
    generation::SamplingOptions,
    inputs::Values,
    model::Options,
    pooling::Pooling,
    sequence::Sequence,
    speculation::Drafting,
    testing::{self, BROKEN, CONTEXT, VOCAB, adder_descriptor, breaker, code, rememberer, sums as alone, total},
    weights::Mix,
};

/// A listener with room for some events.
#[derive(Debug, Default)]
struct Ear {
    events: Mutex<Vec<Event>>,
    room: AtomicUsize,
    gone: AtomicBool,
}

impl Ear {
    fn with_room(room: usize) -> Arc<Ear> {
        Arc::new(Ear {
            room: room.into(),
            ..Ear::default()
        })
    }

    /// The tokens of an answer, and why it ended.
    fn heard(&self, answer: usize) -> (Vec<i64>, Option<Reason>) {
        let (mut tokens, mut over) = (Vec::new(), None);
        for event in self.events.lock().expect("events").iter() {
            match event {
                Event::Token { index, token, .. } if *index == answer => tokens.push(*token),
                Event::End { index, reason, .. } if *index == answer => over = Some(*reason),
                _ => {}
            }
        }
        (tokens, over)
    }

    fn failure(&self) -> Option<Failure> {
        let events = self.events.lock().expect("events");
        events.iter().find_map(|event| match event {
            Event::Failed { failure, .. } => Some(failure.clone()),
            _ => None,
        })
    }
}

impl Listener for Ear {
    fn send(&self, event: Event) -> Delivery {
        let room = |room: usize| room.checked_sub(1);
        if self.is_gone() {
            Delivery::Gone
        } else if self.room.fetch_update(Relaxed, Relaxed, room).is_err() {
            Delivery::Full(event)
        } else {
            self.events.lock().expect("events").push(event);
            Delivery::Taken
        }
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }
}

fn load(code: Code) -> Model {
    Model::load(code, &Options::default()).expect("a model")
}

/// The adder, whose steps have room for some rows before each further segment.
fn adder(padding: usize) -> Model {
    let described = seqc_abi::Descriptor {
        padding,
        ..adder_descriptor("adder")
    };
    load(code(&described, testing::add))
}

fn settings() -> Settings {
    Settings {
        sequences: 3,
        queue: 1000,
        context: None,
        prompt_rows: 4,
        cache_bytes: 1 << 20,
        snapshot_tokens: 3,
        drafting: None,
        timeout: None,
    }
}

fn generation(max_tokens: usize) -> Generation {
    Generation {
        max_tokens,
        samples: 1,
        ..Generation::default()
    }
}

fn request(tokens: &[i64], goal: Goal, ear: &Arc<Ear>) -> Request {
    Request {
        tokens: tokens.to_vec(),
        goal,
        index: 0,
        start: None,
        client: Client::default(),
        listener: Arc::clone(ear) as Arc<dyn Listener>,
    }
}

fn greedy(tokens: &[i64], max_tokens: usize, ear: &Arc<Ear>) -> Request {
    request(tokens, Goal::Generate(Box::new(generation(max_tokens))), ear)
}

/// All requests on one engine, which ends when all are answered.
fn answer(model: &Model, settings: Settings, requests: impl IntoIterator<Item = Request>) -> Handle {
    let mut engine = Engine::new(model, None, settings).expect("an engine");
    let handle = engine.handle();
    for request in requests {
        handle.submit(request).expect("a place");
    }
    handle.close();
    engine.run();
    handle
}

/// What a test knows of a request.
struct Asked {
    prompt: Vec<i64>,
    count: usize,
    ear: Arc<Ear>,
    leaves: bool,
}

impl Asked {
    /// What was heard is what its sequence gets alone, or the beginning of that where the client may have left.
    fn check(&self) {
        let (heard, expected) = (self.ear.heard(0), alone(&self.prompt, self.count));
        assert!(expected.starts_with(&heard.0), "{heard:?} for {:?}", self.prompt);
        assert!(self.leaves || heard == (expected, Some(Reason::Length)), "{heard:?}");
    }
}

fn random_request(mix: &mut Mix) -> Asked {
    let mut below = |bound: u64| (mix.next() % bound) as usize;
    let length = 1 + below(40);
    let kinds = [2, VOCAB as u64][below(2)];
    Asked {
        count: 1 + below(20),
        ear: Ear::with_room(if below(3) == 0 { 1 } else { 1000 }),
        leaves: below(4) == 0,
        prompt: (0..length).map(|_| below(kinds) as i64).collect(),
    }
}

/// Lets slow listeners take one more event at a time until all is heard.
fn listen(asked: &[Asked], handle: &Handle) {
    let from = Instant::now();
    loop {
        let deaf = |one: &&Asked| !one.leaves && one.ear.heard(0).1.is_none();
        let waiting: Vec<&Asked> = asked.iter().filter(deaf).collect();
        for one in &waiting {
            one.ear.room.fetch_max(1, Relaxed);
        }
        if waiting.is_empty() {
            return;
        }
        assert!(from.elapsed() < Duration::from_secs(60), "{:?}", handle.gauges());
        std::thread::yield_now();
    }
}

#[test]
fn every_answer_is_that_of_the_sequence_alone() {
    let drafts = [None, Some(3), Some(7)].map(|most| most.map(|most| Drafting::Lookup { most }));
    let models = [adder(0), adder(3), adder(7), adder(20), load(rememberer())];
    let wrong = AtomicUsize::new(0);
    for (model, drafting) in models
        .iter()
        .flat_map(|model| drafts.clone().map(|drafting| (model, drafting)))
    {
        let mut mix = Mix(model.descriptor().padding as u64);
        std::thread::scope(|scope| {
            let drafts = drafting.is_some();
            let settings = Settings { drafting, ..settings() };
            let mut engine = Engine::new(model, None, settings).expect("an engine");
            let handle = engine.handle();
            let thread = scope.spawn(move || engine.run());
            let mut asked = Vec::new();
            for _ in 0..120 {
                let one = random_request(&mut mix);
                let sent = handle.submit(greedy(&one.prompt, one.count, &one.ear));
                sent.expect("a place");
                asked.push(one);
                let earlier: &Asked = &asked[(mix.next() % asked.len() as u64) as usize];
                earlier.ear.gone.fetch_or(earlier.leaves, Relaxed);
                if mix.next().is_multiple_of(3) {
                    std::thread::sleep(Duration::from_micros(mix.next() % 300));
                }
            }
            listen(&asked, &handle);
            asked.iter().for_each(|one| one.ear.gone.store(one.leaves, Relaxed));
            handle.close();
            thread.join().expect("no panic");
            asked.iter().for_each(Asked::check);
            let gauges = handle.gauges();
            assert_eq!((gauges.waiting.load(Relaxed), gauges.running.load(Relaxed)), (0, 0));
            let ended = gauges.finished.load(Relaxed) + gauges.aborted.load(Relaxed);
            assert_eq!(ended, 120);
            let (drafted, accepted) = (&gauges.drafted_tokens, &gauges.accepted_tokens);
            let (drafted, accepted) = (drafted.load(Relaxed), accepted.load(Relaxed));
            wrong.fetch_add((drafted - accepted) as usize, Relaxed);
            let padding = model.descriptor().padding;
            match drafts {
                true if padding < 7 => assert!(drafted >= accepted && accepted > 50, "{gauges:?}"),
                true => {}
                false => assert_eq!(drafted, 0),
            }
        });
    }
    assert!(wrong.load(Relaxed) > 10, "{wrong:?}");
}

#[test]
fn samples_are_answers_of_their_own() {
    let mut wanted = generation(9);
    wanted.samples = 3;
    wanted.sampling = SamplingOptions {
        temperature: 9.0,
        ..SamplingOptions::default()
    };
    wanted.logprobs = Some(2);
    let [plain, ear] = [None, Some(Drafting::Lookup { most: 4 })].map(|drafting| {
        let ear = Ear::with_room(1000);
        let mut one = request(&[1, 2, 3], Goal::Generate(Box::new(wanted.clone())), &ear);
        one.index = 5;
        answer(&adder(0), Settings { drafting, ..settings() }, [one]);
        ear
    });
    let all: Vec<Vec<i64>> = (5..8).map(|index| ear.heard(index).0).collect();
    assert_eq!(all, (5..8).map(|index| plain.heard(index).0).collect::<Vec<_>>());
    assert!(all.iter().all(|tokens| tokens.len() == 9), "{all:?}");
    assert!(all[0] != all[1] && all[1] != all[2], "{all:?}");
    for event in ear.events.lock().expect("events").iter() {
        if let Event::Token { logprobs, .. } = event {
            assert_eq!(logprobs.as_ref().map(|found| found.best.len()), Some(2));
        }
    }
}

#[test]
fn a_listener_without_room_pauses_its_own_sequence_alone() {
    let model = adder(0);
    let (slow, quick) = (Ear::with_room(2), Ear::with_room(1000));
    std::thread::scope(|scope| {
        let one = Settings {
            sequences: 1,
            ..settings()
        };
        let mut engine = Engine::new(&model, None, one).expect("an engine");
        let handle = engine.handle();
        scope.spawn(move || engine.run());
        handle.submit(greedy(&[1], 50, &slow)).expect("a place");
        for _ in 0..5 {
            handle.submit(greedy(&[2, 3], 50, &quick)).expect("a place");
        }
        while handle.gauges().finished.load(Relaxed) < 5 {
            std::thread::yield_now();
        }
        assert_eq!(slow.heard(0), (alone(&[1], 2), None));
        slow.room.store(1000, Relaxed);
        handle.close();
    });
    assert_eq!(slow.heard(0), (alone(&[1], 50), Some(Reason::Length)));
}

#[test]
fn answers_end_with_the_context_and_at_ends() {
    let (ear, ended) = (Ear::with_room(1000), Ear::with_room(1000));
    let prompt = vec![0; CONTEXT - 2];
    let mut ending = generation(9);
    ending.ends = vec![12];
    let ending = request(&[1, 2], Goal::Generate(Box::new(ending)), &ended);
    answer(&adder(0), settings(), [greedy(&prompt, 9, &ear), ending]);
    assert_eq!(ear.heard(0), (vec![0; 3], Some(Reason::Context)));
    assert_eq!(ended.heard(0), (vec![3, 6], Some(Reason::End)));
    let short = Settings {
        context: Some(4),
        ..settings()
    };
    let ear = Ear::with_room(1000);
    answer(&adder(0), short, [greedy(&[1, 2], 9, &ear)]);
    assert_eq!(ear.heard(0), (alone(&[1, 2], 3), Some(Reason::Context)));
}

#[test]
fn requests_that_cannot_be_answered_are_refused_at_once() {
    let model = adder(0);
    let few = Settings { queue: 2, ..settings() };
    let engine = Engine::new(&model, None, few).expect("an engine");
    let (handle, ear) = (engine.handle(), Ear::with_room(9));
    let refused = |request| handle.submit(request).expect_err("refused");
    let wrong = |request| assert!(matches!(refused(request), Refusal::Wrong(_)));
    wrong(greedy(&[], 1, &ear));
    wrong(greedy(&[16], 1, &ear));
    wrong(greedy(&[-1], 1, &ear));
    wrong(greedy(&[1], 0, &ear));
    let mut odd = generation(1);
    odd.sampling.top_p = 7.0;
    wrong(request(&[1], Goal::Generate(Box::new(odd)), &ear));
    let mut stopping = generation(1);
    stopping.stops = vec!["x".to_owned()];
    wrong(request(&[1], Goal::Generate(Box::new(stopping)), &ear));
    wrong(request(&[1], Goal::Embed(Pooling::Mean), &ear));
    let long = refused(greedy(&[1; CONTEXT + 1], 1, &ear));
    assert!(matches!(
        long,
        Refusal::TooLong {
            tokens: 301,
            context: 300
        }
    ));
    handle.submit(greedy(&[1], 1, &ear)).expect("a place");
    handle.submit(greedy(&[1], 1, &ear)).expect("a place");
    assert!(matches!(refused(greedy(&[1], 1, &ear)), Refusal::Busy));
    handle.close();
    assert!(matches!(refused(greedy(&[1], 1, &ear)), Refusal::Closing));
}

#[test]
fn an_answer_that_takes_too_long_fails() {
    let ear = Ear::with_room(1000);
    let hasty = Settings {
        timeout: Some(Duration::ZERO),
        ..settings()
    };
    answer(&adder(0), hasty, [greedy(&[1], 9, &ear)]);
    assert_eq!(ear.failure().map(|failure| failure.kind), Some(FailureKind::Timeout));
}

#[test]
fn scores_that_are_no_numbers_end_one_answer_and_no_other() {
    let (broken, whole) = (Ear::with_room(1000), Ear::with_room(1000));
    let requests = [greedy(&[1, BROKEN], 5, &broken), greedy(&[1, 2], 5, &whole)];
    answer(&load(breaker()), settings(), requests);
    assert_eq!(broken.failure().map(|failure| failure.kind), Some(FailureKind::Failed));
    assert_eq!(whole.heard(0), (vec![0; 5], Some(Reason::Length)));
}

#[test]
fn inputs_of_a_model_that_looks_ahead_become_vectors() {
    let ears: Vec<Arc<Ear>> = (0..4).map(|_| Ear::with_room(9)).collect();
    let requests = ears
        .iter()
        .map(|ear| request(&[1, 2, 3], Goal::Embed(Pooling::Mean), ear));
    answer(&load(total()), settings(), requests);
    for ear in &ears {
        let events = ear.events.lock().expect("events");
        let [Event::Vector { values, totals, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((&values[..], totals.prompt), (&[1.0][..], 3));
    }
}

#[test]
fn a_sequence_that_has_read_the_start_of_a_prompt_goes_on_from_there() {
    let model = adder(0);
    let mut executor = Executor::new(&model).expect("memory");
    let mut sequence = Sequence::new(&model).expect("memory");
    let inputs = [Values::I64(vec![5, 6, 7])];
    let segment = Segment {
        sequence: &mut sequence,
        inputs: &inputs,
        at: 0,
        tokens: 3,
        wanted_from: 3,
    };
    executor.step(&mut [segment]).expect("memory");
    let ear = Ear::with_room(100);
    let mut going_on = greedy(&[5, 6, 7, 8], 6, &ear);
    going_on.start = Some(Arc::new(Start { sequence, logits: None }));
    let handle = answer(&model, settings(), [going_on]);
    assert_eq!(ear.heard(0).0, alone(&[5, 6, 7, 8], 6));
    assert_eq!(handle.gauges().prompt_tokens.load(Relaxed), 1);
}
