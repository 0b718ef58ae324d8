//! A session that goes back, is copied or saved is what reading from the start gives.

mod caches;

use super::*;
use crate::{
    code::Code,
    model::Options,
    testing::{CONTEXT, VOCAB, accumulator, adder, dropper, rememberer, since, thinner, total},
    weights::Mix,
};

fn load(code: Code) -> Model {
    Model::load(code, &Options::default()).expect("a model")
}

fn feed(session: &mut Session, tokens: &[i64], cut: &Cut, wanted: Wanted) {
    let inputs = [Values::I64(tokens.to_vec())];
    session.feed(&inputs, cut, wanted, |_| Ok(())).expect("tokens");
}

fn read<'m>(model: &'m Model, tokens: &[i64]) -> Session<'m> {
    let mut session = Session::new(model).expect("memory");
    feed(&mut session, tokens, &Cut::default(), Wanted::Last);
    session
}

fn read_reals<'m>(model: &'m Model, every: u64, values: &[f32]) -> Session<'m> {
    let mut session = Session::new(model).expect("memory");
    session.keep_snapshots(every);
    let inputs = [Values::F32(values.to_vec())];
    let fed = session.feed(&inputs, &Cut::default(), Wanted::Last, |_| Ok(()));
    fed.expect("values");
    session
}

/// One change of a session, and the same of the tokens that it has read.
fn change<'m>(mix: &mut Mix, session: &mut Session<'m>, tokens: &mut Vec<i64>) {
    let mut below = |bound: usize| (mix.next() % bound as u64) as usize;
    match below(5) {
        0 => {
            let position = below(tokens.len() + 1);
            session.truncate(position as u64).expect("an earlier token");
            tokens.truncate(position);
        }
        1 => *session = session.fork().expect("memory"),
        2 => {
            let mut bytes = Vec::new();
            session.save_to(&mut bytes).expect("memory");
            *session = Session::new(session.model()).expect("memory");
            session.load_from(&bytes).expect("a state");
            session.keep_snapshots(below(9) as u64);
        }
        3 => session.keep_snapshot(),
        _ => {
            let more: Vec<i64> = (0..below(40)).map(|_| below(VOCAB) as i64).collect();
            let cut = Cut::new(vec![1 + below(9), 1 + below(9)]);
            let wanted = [Wanted::All, Wanted::Last][below(2)];
            if tokens.len() + more.len() < CONTEXT {
                feed(session, &more, &cut, wanted);
                tokens.extend(more);
            }
        }
    }
}

#[test]
fn whatever_became_of_a_session_it_goes_on_as_if_its_tokens_had_just_been_read() {
    for code in [adder("adder"), rememberer(), thinner(), dropper()] {
        let model = load(code);
        for seed in 0..60 {
            let mut mix = Mix(seed);
            let mut session = Session::new(&model).expect("memory");
            session.keep_snapshots(seed % 8);
            let mut tokens = Vec::new();
            let mut others = Vec::new();
            for _ in 0..20 {
                if mix.next().is_multiple_of(4) {
                    others.push((session.fork().expect("memory"), tokens.clone()));
                }
                change(&mut mix, &mut session, &mut tokens);
                assert_eq!(session.tokens(), Some(&tokens[..]));
                if let Some(last) = session.last(0) {
                    assert_eq!(read(&model, &tokens).last(0), Some(last));
                }
            }
            others.push((session, tokens));
            for (mut session, mut tokens) in others {
                tokens.push(3);
                feed(&mut session, &[3], &Cut::default(), Wanted::Last);
                assert_eq!(session.last(0), read(&model, &tokens).last(0));
            }
        }
    }
}

#[test]
fn snapshots_are_kept_at_the_interval_and_where_asked_for() {
    let model = load(adder("adder"));
    let mut session = Session::new(&model).expect("memory");
    session.keep_snapshots(6);
    let positions = |session: &Session| -> Vec<u64> {
        let all = session.track.snapshots.iter();
        all.map(|snapshot| snapshot.sequence.position()).collect()
    };
    feed(&mut session, &[1; 20], &Cut::default(), Wanted::Last);
    session.keep_snapshot();
    feed(&mut session, &[1; 3], &Cut::new(vec![1]), Wanted::Last);
    assert_eq!(positions(&session), [6, 12, 18, 20]);
    session.truncate(20).expect("an earlier token");
    assert_eq!(session.last(0), read(&model, &[1; 20]).last(0));
    session.truncate(13).expect("an earlier token");
    assert_eq!(positions(&session), [6, 12]);
    assert_eq!(session.last(0), read(&model, &[1; 13]).last(0));
    // A cache can be cut anywhere, and needs none.
    let model = load(rememberer());
    let mut session = Session::new(&model).expect("memory");
    session.keep_snapshots(6);
    feed(&mut session, &[1; 20], &Cut::default(), Wanted::Last);
    session.keep_snapshot();
    assert_eq!(positions(&session), [0; 0]);
    session.truncate(7).expect("an earlier token");
    assert_eq!((session.position(), session.last(0)), (7, None));
}

#[test]
fn positions_to_which_a_session_cannot_go_back_are_refused() {
    let said = |session: &mut Session, position| session.truncate(position).expect_err("refused").to_string();
    let model = load(adder("adder"));
    let mut session = read(&model, &[1, 2, 3]);
    let ahead = said(&mut session, 4);
    assert!(ahead.contains("token 4") && ahead.contains("3 were read"), "{ahead}");
    let model = load(accumulator());
    let mut session = read_reals(&model, 0, &[1.0, 2.0, 4.0]);
    let lost = said(&mut session, 2);
    assert!(lost.contains("first 3 inputs were not kept"), "{lost}");
    assert_eq!((session.position(), session.last(0)), (3, Some(&[7.0][..])));
    session.truncate(0).expect("the start");
    assert_eq!(session.position(), 0);
    let model = load(total());
    let ahead = said(&mut read(&model, &[1, 2, 3]), 1);
    assert!(ahead.contains("looks ahead"), "{ahead}");
}

#[test]
fn vectors_are_kept_where_there_are_snapshots() {
    let model = load(accumulator());
    let mut session = read_reals(&model, 2, &[1.0, 2.0, 4.0, 8.0, 16.0]);
    for (position, sum) in [(5, 31.0), (3, 7.0), (1, 1.0)] {
        session.truncate(position).expect("an earlier token");
        assert_eq!(session.last(0), Some(&[sum][..]));
    }
    let mut bytes = Vec::new();
    read_reals(&model, 2, &[1.0, 2.0]).save_to(&mut bytes).expect("memory");
    session.load_from(&bytes).expect("a state");
    assert_eq!((session.tokens(), session.last(0)), (None, Some(&[3.0][..])));
    let lost = session.truncate(1).expect_err("refused").to_string();
    assert!(lost.contains("first 2 inputs were not kept"), "{lost}");
}

#[test]
fn what_forks_share_is_told_from_what_each_has_alone() {
    let model = load(adder("adder"));
    let mut session = read(&model, &[1; 200]);
    let all = session.bytes();
    assert_eq!(all.shared, 0);
    // Four pages, the counter, tokens and a row of logits.
    assert_eq!(all.alone, 4 * 256 + 4 + 200 * 8 + VOCAB * 4);
    let fork = session.fork().expect("memory");
    assert_eq!(session.bytes().shared, 4 * 256);
    assert_eq!(session.bytes().alone, all.alone - 4 * 256);
    drop(fork);
    assert_eq!(session.bytes(), all);
    session.keep_snapshot();
    let kept = session.bytes();
    assert_eq!((kept.alone - all.alone, kept.shared), (4 + VOCAB * 4, 0));
    let fork = session.fork().expect("memory");
    assert_eq!(session.bytes().shared, 4 * 256 + 4);
    assert_eq!(fork.bytes(), session.bytes());
}

#[test]
fn sessions_of_several_models_do_not_read_together() {
    let (one, other) = (load(adder("adder")), load(rememberer()));
    let (mut one, mut other) = (read(&one, &[1]), read(&other, &[1]));
    let (inputs, cut) = ([Values::I64(vec![1])], Cut::default());
    let mut feeds = [&mut one, &mut other].map(|session| Feed {
        session,
        inputs: &inputs,
        cut: &cut,
        wanted: Wanted::Last,
    });
    let said = feed_together(&mut feeds, |_, _| Ok(()))
        .expect_err("refused")
        .to_string();
    assert!(said.contains("one model"), "{said}");
    assert_eq!((one.position(), other.position()), (1, 1));
}

#[test]
fn tokens_that_are_read_again_belong_to_the_prompts_that_they_belonged_to() {
    let model = load(since());
    for every in [0, 4, 7] {
        let mut session = Session::new(&model).expect("memory");
        session.keep_snapshots(every);
        // Two turns, each of a prompt and an answer: what was said after every token.
        let mut said = Vec::new();
        let said_of = |session: &Session| session.last(0).map(crate::generation::greedy);
        for (prompt, answer) in [(9, 6), (5, 8)] {
            session.end_prompt(prompt);
            for _ in 0..prompt + answer {
                feed(&mut session, &[1], &Cut::default(), Wanted::Last);
                said.push(said_of(&session));
            }
            assert_eq!(session.prompt_end(), Some(session.position() - answer));
        }
        let mut bytes = Vec::new();
        session.save_to(&mut bytes).expect("memory");
        let mut loaded = Session::new(&model).expect("memory");
        loaded.load_from(&bytes).expect("a state");
        for session in [session, loaded] {
            for position in 1..session.position() {
                let mut cut = session.fork().expect("memory");
                cut.truncate(position).expect("an earlier token");
                let said = said[position as usize - 1];
                assert!(said_of(&cut).is_none_or(|again| Some(again) == said), "{position}");
                let end = match position {
                    0..9 | 16..20 => None,
                    9..16 => Some(9),
                    _ => Some(20),
                };
                assert_eq!(cut.prompt_end(), end, "{position}");
            }
        }
    }
}
