//! Answers that follow grammars: as they come alone, and without holding up others.

use std::path::Path;

use super::{prefixes::branch, *};
use crate::{
    generation::{Constraint, Continuation, Grammar, GrammarVocabulary, Sampler, Taken, TokenBias, Wishes},
    testing::tokenizer,
    tokenizer::Tokenizer,
};

/// Sixteen tokens: the letters from `a` on, but the last two are `aa` and `aaaa`.
fn letters() -> GrammarVocabulary {
    let texts = ('a'..='n').map(|letter| letter.to_string());
    let texts = texts.chain(["aa", "aaaa"].map(str::to_owned));
    let tokenizer = Tokenizer::open(&tokenizer(texts)).expect("a tokenizer");
    GrammarVocabulary::new(&tokenizer, VOCAB, &[]).expect("a vocabulary")
}

fn constraint(vocabulary: &GrammarVocabulary, rules: &str) -> Constraint {
    let grammar = Grammar::lark(Path::new("grammar"), rules.to_owned());
    vocabulary.constraint(&grammar).expect("a grammar")
}

fn following(constraint: &Constraint, prompt: &[i64], max_tokens: usize, ear: &Arc<Ear>) -> Request {
    let generation = Generation {
        constraint: Some(constraint.clone()),
        ..generation(max_tokens)
    };
    request(prompt, Goal::Generate(Box::new(generation)), ear)
}

/// What the adder says after a prompt with a grammar.
fn alone_with(constraint: &Constraint, prompt: &[i64], count: usize) -> (Vec<i64>, Option<Reason>) {
    let wishes = Wishes {
        constraint: Some(constraint.clone()),
        ..Wishes::default()
    };
    let sampler = Sampler::new(SamplingOptions::default(), VOCAB).expect("options");
    let mut answer = Continuation::new(sampler, None, wishes).expect("an answer");
    let mut sum: i64 = prompt.iter().sum();
    let mut tokens = Vec::new();
    while tokens.len() < count {
        let mut logits = [-1.0; VOCAB];
        logits[sum as usize % VOCAB] = 1.0;
        let token = answer.choose(&logits).expect("a token").token;
        sum += token;
        tokens.push(token);
        if let Taken::Complete(_) = answer.take(token).expect("a token") {
            return (tokens, Some(Reason::End));
        }
    }
    (tokens, Some(Reason::Length))
}

#[test]
fn answers_with_grammars_are_those_that_come_alone_with_and_without_drafts() {
    let vocabulary = letters();
    let grammars = [
        "start: /[a-h]{3,9}/",
        "start: (\"abc\" | \"cab\" | \"baa\")+ \"d\"",
        "start: /([a-c]|ef){0,12}/",
        "start: s\ns: s s | \"a\" | \"b\"",
        "start: (\"aaaa\" | \"b\") /a*/ (\"m\" | \"n\")",
    ];
    let grammars = grammars.map(|rules| constraint(&vocabulary, rules));
    let models = [adder(0), adder(3), load(rememberer())];
    let drafts = [None, Some(Drafting::Lookup { most: 5 })];
    let mut drafted = 0;
    for (model, drafting) in models
        .iter()
        .flat_map(|model| drafts.clone().map(|drafting| (model, drafting)))
    {
        let mut mix = Mix(3);
        let mut asked = Vec::new();
        for n in 0..60 {
            let prompt = branch(&mut mix);
            let (grammar, ear) = (&grammars[n % grammars.len()], Ear::with_room(1000));
            asked.push((prompt, grammar, 1 + mix.next() as usize % 16, ear));
        }
        let requests = asked
            .iter()
            .map(|(prompt, grammar, count, ear)| following(grammar, prompt, *count, ear));
        let handle = answer(model, Settings { drafting, ..settings() }, requests);
        for (prompt, grammar, count, ear) in &asked {
            assert_eq!(ear.heard(0), alone_with(grammar, prompt, *count), "{prompt:?}");
        }
        drafted += handle.gauges().accepted_tokens.load(Relaxed);
    }
    assert!(drafted > 50, "{drafted}");
}

#[test]
fn the_steps_of_others_go_on_while_it_is_not_known_what_an_ambiguous_grammar_admits() {
    let vocabulary = letters();
    let ambiguous = constraint(&vocabulary, "start: s\ns: s s s s | \"a\" | \"\"");
    let (model, slow, quick) = (adder(0), Ear::with_room(1000), Ear::with_room(1000));
    std::thread::scope(|scope| {
        let two = Settings {
            sequences: 2,
            ..settings()
        };
        let mut engine = Engine::new(&model, None, two).expect("an engine");
        let handle = engine.handle();
        scope.spawn(move || engine.run());
        handle.submit(following(&ambiguous, &[0], 290, &slow)).expect("a place");
        while slow.heard(0).0.len() < 40 {
            assert_eq!(slow.failure(), None);
            std::thread::yield_now();
        }
        for prompt in 1..5 {
            let before = slow.heard(0).0.len();
            handle.submit(greedy(&[prompt], 200, &quick)).expect("a place");
            while quick.events.lock().expect("events").len() < 201 * prompt as usize {
                std::thread::yield_now();
            }
            let meanwhile = slow.heard(0).0.len() - before;
            assert!(meanwhile < 100, "{meanwhile} of an ambiguous grammar in 200 steps");
        }
        // A client that goes away frees the thread that works for it.
        slow.gone.store(true, Relaxed);
        handle.close();
    });
    drop((vocabulary, ambiguous));
}

#[test]
fn a_grammar_that_takes_too_much_ends_one_answer_and_no_other() {
    let vocabulary = letters();
    let ambiguous = constraint(&vocabulary, "start: s\ns: s s s s s s s s s s s s s s | \"a\" | \"\"");
    let (model, slow, quick) = (adder(0), Ear::with_room(1000), Ear::with_room(1000));
    let mut wanted = Generation {
        constraint: Some(ambiguous),
        ..generation(250)
    };
    wanted.sampling.logit_bias.push(TokenBias { token: 15, bias: 9.0 });
    let ambiguous = request(&[1], Goal::Generate(Box::new(wanted)), &slow);
    answer(&model, settings(), [ambiguous, greedy(&[3], 50, &quick)]);
    let failure = slow.failure().expect("it takes too much");
    assert_eq!(failure.kind, FailureKind::Wrong);
    assert!(
        failure.message.starts_with("grammar: it is too ambiguous"),
        "{failure:?}"
    );
    assert_eq!(quick.heard(0), (alone(&[3], 50), Some(Reason::Length)));
}
