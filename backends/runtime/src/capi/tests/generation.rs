//! Answers part by part and by callbacks, text and its tokens, samplers.

use std::ffi::{c_int, c_void};

use super::*;
use crate::{
    capi::{
        callbacks::{CCallbacks, CToken},
        decoder::{seqc_decoder_finish, seqc_decoder_free, seqc_decoder_new, seqc_decoder_push},
        sampler::{seqc_sampler_free, seqc_sampler_new, seqc_sampler_next, seqc_sampler_read},
        text::{seqc_detokenize, seqc_render_chat, seqc_tokenize, seqc_tokenize_chat},
    },
    testing::{CONTEXT, adder, rememberer, since},
};

/// A part of an answer: its token, its text, why it is the last.
type Part = (i64, String, Option<String>);

fn part(token: &CToken) -> Part {
    let end = (!token.end.is_null()).then(|| said(token.end));
    (token.token, said(token.text), end)
}

fn empty_token() -> CToken {
    CToken::NONE
}

/// All parts of an answer.
fn answer(session: *mut CSession, request: &str) -> Vec<Part> {
    let request = CString::new(request).expect("a text");
    let mut parts = Vec::new();
    // SAFETY: the session lives.
    unsafe {
        assert_eq!(
            seqc_session_start(session, request.as_ptr(), ptr::null()),
            0,
            "{}",
            last_error()
        );
        loop {
            let mut token = empty_token();
            assert_eq!(seqc_session_next(session, &raw mut token), 0, "{}", last_error());
            parts.push(part(&token));
            if parts.last().is_some_and(|(_, _, end)| end.is_some()) {
                assert_eq!(seqc_session_next(session, &raw mut token), 1);
                return parts;
            }
        }
    }
}

fn text(parts: &[Part]) -> String {
    parts.iter().map(|(_, text, _)| text.as_str()).collect()
}

fn reason(parts: &[Part]) -> String {
    parts.last().and_then(|(_, _, end)| end.clone()).unwrap_or_default()
}

const GREEDY: &str = r#""temperature": 0"#;

#[test]
fn an_answer_continues_what_was_read_or_a_prompt() {
    for code in [adder("adder"), rememberer()] {
        let model = open_with(code, Some(&letters()), 1);
        // SAFETY: all pointers come from the functions above and are freed once.
        unsafe {
            let session = seqc_session_new(model);
            assert_eq!(feed(session, &[1, 2]), 0);
            let parts = answer(session, &format!("{{{GREEDY}, \"max_tokens\": 4}}"));
            assert_eq!((text(&parts).as_str(), reason(&parts).as_str()), ("dgmi", "length"));
            assert_eq!(tokens(session), [1, 2, 3, 6, 12, 8]);
            assert_eq!(best(session), 0);
            // The whole text, of which most was read; another end of it; something else.
            for (prompt, next) in [("bcdgmib", 1), ("bcdgb", 13), ("b", 1), ("b", 1)] {
                let parts = answer(
                    session,
                    &format!(r#"{{{GREEDY}, "max_tokens": 1, "prompt": "{prompt}"}}"#),
                );
                assert_eq!(parts[0].0, next, "{prompt}");
                assert_eq!(seqc_session_position(session), prompt.len() as u64 + 1);
            }
            let messages = r#""messages": [{"role": "user", "content": "b"}, {"role": "user", "content": "c"}]"#;
            assert_eq!(
                answer(session, &format!(r#"{{{GREEDY}, "max_tokens": 1, {messages}}}"#))[0].0,
                3
            );
            seqc_session_free(session);
            seqc_model_free(model);
        }
    }
}

#[test]
fn a_prompt_ends_where_a_request_or_the_caller_says() {
    let model = open(since());
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        let ask = |more: &str| {
            let parts = answer(session, &format!(r#"{{{GREEDY}, "max_tokens": 3{more}}}"#));
            parts.iter().map(|(token, _, _)| *token).take(3).collect::<Vec<_>>()
        };
        assert_eq!(seqc_session_end_prompt(session, 3), 0);
        assert_eq!((feed(session, &[5, 6]), feed(session, &[7])), (0, 0));
        assert_eq!(ask(""), [0, 1, 2]);
        // The answer goes on; a further turn is a prompt again.
        assert_eq!(ask(""), [3, 4, 5]);
        assert_eq!(seqc_session_end_prompt(session, 2), 0);
        assert_eq!(feed(session, &[5, 6]), 0);
        assert_eq!(ask(""), [0, 1, 2]);
        // What was read and more, another end of it, the same, something else.
        for interval in [0, 2] {
            assert_eq!(seqc_session_snapshots(session, interval), 0);
            for prompt in ["[5,6,7,0]", "[5,6,7,0,1,2,9]", "[5,6,9]", "[5,6]", "[5,6]", "[8]"] {
                assert_eq!(ask(&format!(r#", "prompt": {prompt}"#)), [0, 1, 2], "{prompt}");
            }
        }
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn stop_texts_grammars_and_the_context_end_answers() {
    let model = open_with(adder("adder"), Some(&letters()), 1);
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        let ask = |more: &str| {
            let parts = answer(session, &format!(r#"{{{GREEDY}, "prompt": "bc", {more}}}"#));
            (text(&parts), reason(&parts))
        };
        let expected = |text: &str, reason: &str| (text.to_owned(), reason.to_owned());
        assert_eq!(ask(r#""stop": ["mi"]"#), expected("dg", "stop"));
        assert_eq!(tokens(session), [1, 2, 3, 6, 12]);
        assert_eq!(ask(r#""stop": "mx", "max_tokens": 3"#), expected("dgm", "length"));
        let (_, reason) = ask(r#""ignore_eos": true"#);
        assert_eq!(reason, "context");
        assert_eq!(seqc_session_position(session), CONTEXT as u64);
        let schema = r#"{"type": "json_schema", "json_schema": {"schema": {"type": 3}}}"#;
        let request = CString::new(format!(r#"{{"response_format": {schema}}}"#)).expect("a text");
        assert_eq!(seqc_session_start(session, request.as_ptr(), ptr::null()), 1);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn drafts_change_nothing_but_the_number_of_steps() {
    for code in [adder("adder"), rememberer()] {
        let model = open_with(code, Some(&letters()), 1);
        let ask = |more: &str, given: usize| {
            let request = format!(r#"{{{GREEDY}, "max_tokens": 40, "prompt": "aaabaaab"{more}}}"#);
            let request = CString::new(request).expect("a text");
            // SAFETY: as above.
            unsafe {
                let session = seqc_session_new(model);
                assert_eq!(seqc_session_start(session, request.as_ptr(), ptr::null()), 0);
                let mut parts = Vec::new();
                while parts.len() < given {
                    let mut token = empty_token();
                    assert_eq!(seqc_session_next(session, &raw mut token), 0, "{}", last_error());
                    parts.push(part(&token));
                    assert_eq!(tokens(session).len(), 8 + parts.len().min(40));
                }
                // Whatever was drafted, the session goes on from what was given.
                let (read, next) = (tokens(session), best(session));
                assert_eq!(feed(session, &[1]), 0);
                let after = (best(session), seqc_session_position(session));
                seqc_session_free(session);
                (parts, read, next, after)
            }
        };
        for given in [1, 2, 3, 4, 5, 7, 11, 20, 39, 40, 41] {
            let plain = ask("", given);
            for lookup in [1, 2, 4, 7, 64] {
                assert_eq!(
                    ask(&format!(", \"speculate\": {lookup}"), given),
                    plain,
                    "{lookup} at {given}"
                );
            }
        }
        // SAFETY: as above.
        unsafe { seqc_model_free(model) };
    }
}

#[test]
fn sessions_answer_together_what_they_answer_alone() {
    for code in [adder("adder"), rememberer()] {
        let model = open_with(code, Some(&letters()), 1);
        let prompts = ["b", "cd", "bbbbbbbbbbbbbbbbbbb", "ce"];
        let request = |n: usize| {
            format!(
                r#"{{{GREEDY}, "max_tokens": {}, "prompt": "{}"}}"#,
                2 + 3 * n,
                prompts[n]
            )
        };
        // SAFETY: as above.
        unsafe {
            let mut sessions = vec![];
            let mut expected = vec![];
            for n in 0..prompts.len() {
                let alone = seqc_session_new(model);
                expected.push(answer(alone, &request(n)));
                seqc_session_free(alone);
                sessions.push(seqc_session_new(model));
                let request = CString::new(request(n)).expect("a text");
                assert_eq!(seqc_session_start(sessions[n], request.as_ptr(), ptr::null()), 0);
            }
            let mut found = vec![Vec::new(); prompts.len()];
            let mut open: Vec<usize> = (0..prompts.len()).collect();
            while !open.is_empty() {
                let given: Vec<_> = open.iter().map(|n| sessions[*n]).collect();
                let mut tokens = vec![empty_token(); open.len()];
                assert_eq!(
                    seqc_next(given.as_ptr(), given.len(), tokens.as_mut_ptr()),
                    0,
                    "{}",
                    last_error()
                );
                for (n, token) in open.iter().zip(&tokens) {
                    found[*n].push(part(token));
                }
                open.retain(|n| found[*n].last().is_some_and(|(_, _, end): &Part| end.is_none()));
            }
            assert_eq!(found, expected);
            // One whose answer is over does not disturb another.
            assert_eq!(seqc_session_start(sessions[0], ptr::null(), ptr::null()), 0);
            let mut tokens = [empty_token(); 2];
            assert_eq!(seqc_next(sessions.as_ptr(), 2, tokens.as_mut_ptr()), 1);
            assert_eq!((tokens[0].status, tokens[1].status), (0, 1));
            assert!(tokens[0].token >= 0 && said(seqc_session_error(sessions[1])).contains("no answer"));
            let twice = [sessions[0]; 2];
            assert_eq!(seqc_next(twice.as_ptr(), 2, tokens.as_mut_ptr()), 1);
            assert_eq!(seqc_next(ptr::null(), 2, tokens.as_mut_ptr()), 1);
            assert_eq!(seqc_next(sessions.as_ptr(), 1, ptr::null_mut()), 1);
            assert_eq!(seqc_next(ptr::null(), 0, ptr::null_mut()), 0);
            sessions.into_iter().for_each(|session| seqc_session_free(session));
            seqc_model_free(model);
        }
    }
}

#[test]
fn log_probabilities_come_with_the_tokens() {
    let model = open(adder("adder"));
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        assert_eq!(feed(session, &[1, 2]), 0);
        let request = c"{\"temperature\": 0, \"logprobs\": 2}";
        assert_eq!(seqc_session_start(session, request.as_ptr(), ptr::null()), 0);
        let mut token = empty_token();
        assert_eq!(seqc_session_next(session, &raw mut token), 0);
        assert_eq!((token.token, token.candidates, (*token.best).token), (3, 2, 3));
        // One logit is 1, fifteen are -1.
        let expected = -f64::ln(1.0 + 15.0 * f64::exp(-2.0));
        assert!((token.logprob - expected).abs() < 1e-5, "{}", token.logprob);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

/// What callbacks have been told.
#[derive(Default)]
struct Told {
    parts: Vec<Part>,
    progress: Vec<(u64, u64)>,
    /// Stops at so many calls of one of them.
    patience: usize,
    session: Option<*mut CSession>,
    status: c_int,
}

unsafe extern "C" fn tell_progress(user: *mut c_void, done: u64, total: u64) -> c_int {
    // SAFETY: the test passes this.
    let told = unsafe { &mut *user.cast::<Told>() };
    told.progress.push((done, total));
    c_int::from(told.progress.len() >= told.patience)
}

unsafe extern "C" fn tell_token(user: *mut c_void, token: *const CToken) -> c_int {
    // SAFETY: the test passes this.
    let told = unsafe { &mut *user.cast::<Told>() };
    // SAFETY: the library passes a token.
    told.parts.push(part(unsafe { &*token }));
    if let Some(session) = told.session {
        told.status = feed(session, &[1]);
    }
    c_int::from(told.parts.len() >= told.patience)
}

fn callbacks(told: &mut Told) -> CCallbacks {
    CCallbacks {
        user: (&raw mut *told).cast(),
        progress: Some(tell_progress),
        token: Some(tell_token),
        ..CCallbacks::NONE
    }
}

#[test]
fn callbacks_are_told_and_stop_a_call() {
    let model = open_with(adder("adder"), Some(&letters()), 1);
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        let request = CString::new(format!(
            r#"{{{GREEDY}, "max_tokens": 3, "prompt": "{}"}}"#,
            "b".repeat(20)
        ))
        .expect("a text");
        let mut told = Told {
            patience: 100,
            ..Told::default()
        };
        assert_eq!(
            seqc_session_generate(session, request.as_ptr(), &callbacks(&mut told)),
            0
        );
        assert_eq!(told.progress, [(8, 20), (16, 20), (20, 20)]);
        assert_eq!(told.parts.iter().map(|part| part.0).collect::<Vec<_>>(), [4, 8, 0, -1]);
        assert_eq!(seqc_session_position(session), 23);

        let mut told = Told {
            patience: 2,
            ..Told::default()
        };
        assert_eq!(seqc_session_reset(session), 0);
        assert_eq!(
            seqc_session_generate(session, request.as_ptr(), &callbacks(&mut told)),
            3
        );
        assert_eq!((seqc_session_position(session), told.parts.len()), (16, 0));
        assert_eq!(feed(session, &[1; 4]), 0);
        let mut told = Told {
            patience: 2,
            session: Some(session),
            ..Told::default()
        };
        assert_eq!(
            seqc_session_generate(session, c"{\"temperature\": 0}".as_ptr(), &callbacks(&mut told)),
            3
        );
        assert_eq!(told.status, 1, "a session does one thing at a time");
        // Both tokens were given, so that the session has read them.
        assert_eq!(tokens(session)[20..], [4, 8]);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn text_becomes_tokens_and_text_again() {
    let model = open_with(adder("adder"), Some(&letters()), 1);
    // SAFETY: as above.
    unsafe {
        let (mut ids, mut count) = (ptr::null_mut(), 0);
        assert_eq!(
            seqc_tokenize(model, c"abc".as_ptr(), usize::MAX, 1, &raw mut ids, &raw mut count),
            0
        );
        assert_eq!(std::slice::from_raw_parts(ids, count), [0, 1, 2]);
        let (mut text, mut length) = (ptr::null_mut(), 0);
        assert_eq!(seqc_detokenize(model, ids, count, &raw mut text, &raw mut length), 0);
        assert_eq!((said(text), length), ("abc".to_owned(), 3));
        seqc_free(ids.cast());
        seqc_free(text.cast());
        let messages = c"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"cd\"}]}]";
        assert_eq!(
            seqc_render_chat(model, messages.as_ptr(), &raw mut text, &raw mut length),
            0
        );
        assert_eq!((said(text), length), ("cd".to_owned(), 2));
        seqc_free(text.cast());
        assert_eq!(
            seqc_tokenize_chat(model, messages.as_ptr(), &raw mut ids, &raw mut count),
            0
        );
        assert_eq!(std::slice::from_raw_parts(ids, count), [2, 3]);
        seqc_free(ids.cast());
        let decoder = seqc_decoder_new(model, ptr::null(), 0);
        let (mut piece, mut bytes) = (ptr::null(), 0);
        assert_eq!(seqc_decoder_push(decoder, 7, &raw mut piece, &raw mut bytes), 0);
        assert_eq!((said(piece), bytes), ("h".to_owned(), 1));
        assert_eq!(seqc_decoder_finish(decoder, &raw mut piece, ptr::null_mut()), 0);
        assert_eq!(said(piece), "");
        // Tokens that the model does not know are no text.
        for id in [VOCAB as i64, -1] {
            assert_eq!(seqc_decoder_push(decoder, id, &raw mut piece, &raw mut bytes), 1);
            assert!(last_error().contains("ids from 0 to 15"), "{}", last_error());
            assert_eq!(
                seqc_detokenize(model, &raw const id, 1, &raw mut text, &raw mut length),
                1
            );
            assert!(seqc_decoder_new(model, &raw const id, 1).is_null());
            let sampler = seqc_sampler_new(model, ptr::null());
            assert_eq!(seqc_sampler_read(sampler, &raw const id, 1), 1);
            seqc_sampler_free(sampler);
        }
        seqc_decoder_free(decoder);
        seqc_model_free(model);
    }
}

#[test]
fn samplers_choose_by_logits_of_the_caller() {
    let model = open_with(adder("adder"), Some(&letters()), 1);
    let mut logits = [0_f32; VOCAB];
    (logits[3], logits[5]) = (2.0, 1.5);
    let chosen = |request: &CStr, read: &[i64]| {
        let mut token = 0;
        // SAFETY: as above.
        unsafe {
            let sampler = seqc_sampler_new(model, request.as_ptr());
            assert!(!sampler.is_null(), "{}", last_error());
            assert_eq!(seqc_sampler_read(sampler, read.as_ptr(), read.len()), 0);
            let status = seqc_sampler_next(sampler, logits.as_ptr(), VOCAB, &raw mut token, ptr::null_mut());
            assert_eq!(status, 0, "{}", last_error());
            assert_eq!(
                seqc_sampler_next(sampler, logits.as_ptr(), 3, &raw mut token, ptr::null_mut()),
                1
            );
            seqc_sampler_free(sampler);
        }
        token
    };
    assert_eq!(chosen(c"{\"temperature\": 0}", &[]), 3);
    assert_eq!(chosen(c"{\"temperature\": 0, \"repetition_penalty\": 2}", &[3]), 5);
    assert_eq!(chosen(c"{\"temperature\": 0, \"logit_bias\": {\"9\": 50}}", &[]), 9);
    // SAFETY: as above.
    unsafe {
        assert!(seqc_sampler_new(model, c"{\"stop\": \"a\"}".as_ptr()).is_null());
        seqc_model_free(model);
    }
}
