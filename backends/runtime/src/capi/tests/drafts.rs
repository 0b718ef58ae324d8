//! Programs that draft for sessions of a model.

use super::*;
use crate::{
    capi::{
        callbacks::CToken,
        draft::{CDrafts, seqc_model_drafts, seqc_model_set_draft},
    },
    model::{Model, Options},
    speculation::{DraftProgram, Proposer},
    testing::{adder, rememberer, script},
};

/// Gives the model a program that drafts as another one does.
fn give_draft(model: *mut CModel) {
    let other = Model::load(adder("drafts"), &Options::default()).expect("a model");
    let proposer = Proposer::new(Box::leak(Box::new(other))).expect("memory");
    let program = DraftProgram::of(Box::new(proposer), None, Box::new(|_| {})).expect("a thread");
    // SAFETY: the model lives.
    let model = unsafe { &*model };
    model.0.draft.set(Some(program));
}

fn drafts(model: *const CModel) -> CDrafts {
    let mut drafts = CDrafts {
        size: size_of::<CDrafts>(),
        drafted: 0,
        accepted: 0,
        failure: ptr::null(),
    };
    // SAFETY: the model lives.
    assert_eq!(
        unsafe { seqc_model_drafts(model, &raw mut drafts) },
        0,
        "{}",
        last_error()
    );
    drafts
}

fn start(session: *mut CSession, request: &str) -> i32 {
    let request = CString::new(request).expect("a text");
    // SAFETY: the session lives.
    unsafe { seqc_session_start(session, request.as_ptr(), ptr::null()) }
}

/// The tokens of an answer.
fn answer(session: *mut CSession, request: &str) -> Vec<i64> {
    assert_eq!(start(session, request), 0, "{}", last_error());
    let mut tokens = Vec::new();
    loop {
        let mut token = CToken::NONE;
        // SAFETY: the session lives.
        assert_eq!(
            unsafe { seqc_session_next(session, &raw mut token) },
            0,
            "{}",
            last_error()
        );
        if !token.end.is_null() {
            return tokens;
        }
        tokens.push(token.token);
    }
}

const ASKED: &str = r#""prompt": [1, 2], "max_tokens": 30, "seed": 5"#;

#[test]
fn answers_with_a_program_that_drafts_are_those_without() {
    for code in [adder("adder"), rememberer()] {
        let model = open(code);
        give_draft(model);
        // SAFETY: as in the other tests.
        unsafe {
            let session = seqc_session_new(model);
            for temperature in ["0", "0.5"] {
                let plain = answer(session, &format!(r#"{{{ASKED}, "temperature": {temperature}}}"#));
                let read = tokens(session);
                let request = format!(r#"{{{ASKED}, "temperature": {temperature}, "draft": 4}}"#);
                assert_eq!(answer(session, &request), plain);
                assert_eq!(tokens(session), read);
            }
            let drafts = drafts(model);
            assert!(drafts.accepted > 20 && drafts.drafted > drafts.accepted, "{drafts:?}");
            assert!(drafts.failure.is_null());
            seqc_session_free(session);
            seqc_model_free(model);
        }
    }
}

#[test]
fn sessions_that_answer_together_read_their_drafts_in_the_same_steps() {
    for code in [adder("adder"), rememberer()] {
        let model = open(code);
        give_draft(model);
        let request = |n: usize, how: &str| {
            format!(
                r#"{{"prompt": [{n}, 2], "max_tokens": {}, "temperature": 0{how}}}"#,
                5 + 3 * n
            )
        };
        // SAFETY: as in the other tests.
        unsafe {
            let mut sessions = Vec::new();
            let mut expected = Vec::new();
            for n in 0..4 {
                let session = seqc_session_new(model);
                expected.push(answer(session, &request(n, "")));
                let how = ["", r#", "draft": 3"#, r#", "speculate": 4"#, r#", "draft": 5"#][n];
                assert_eq!(start(session, &request(n, how)), 0);
                sessions.push(session);
            }
            let mut found = vec![Vec::new(); 4];
            let mut open: Vec<usize> = (0..4).collect();
            while !open.is_empty() {
                let given: Vec<_> = open.iter().map(|n| sessions[*n]).collect();
                let mut parts = vec![CToken::NONE; open.len()];
                let status = seqc_next(given.as_ptr(), given.len(), parts.as_mut_ptr());
                assert_eq!(status, 0, "{}", last_error());
                for (n, part) in std::mem::take(&mut open).into_iter().zip(&parts) {
                    if part.end.is_null() {
                        found[n].push(part.token);
                        open.push(n);
                    }
                }
            }
            assert_eq!(found, expected);
            assert!(drafts(model).accepted > 10);
            sessions.into_iter().for_each(|session| seqc_session_free(session));
            seqc_model_free(model);
        }
    }
}

#[test]
fn a_program_that_fails_is_told_and_answers_go_on() {
    let model = open(adder("adder"));
    let path = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: as in the other tests.
    unsafe {
        let session = seqc_session_new(model);
        let plain = answer(session, &format!(r#"{{{ASKED}, "temperature": 0}}"#));
        let request = format!(r#"{{{ASKED}, "temperature": 0, "draft": 4}}"#);
        assert_eq!(start(session, &request), 1);
        assert!(said(seqc_session_error(session)).contains("no program that drafts"));
        let ends = script(r#"echo '{"model": "x", "vocab": 16, "protocol": 2}'; read line"#);
        assert_eq!(seqc_model_set_draft(model, path(&ends).as_ptr()), 0, "{}", last_error());
        assert!(drafts(model).failure.is_null());
        assert_eq!(answer(session, &request), plain);
        assert!(said(drafts(model).failure).contains("has ended"));
        assert_eq!(
            start(session, &format!(r#"{{{ASKED}, "draft": 4, "speculate": 4}}"#)),
            1
        );
        assert_eq!(start(session, &format!(r#"{{{ASKED}, "draft": 1000}}"#)), 1);
        assert_eq!(seqc_model_set_draft(model, ptr::null()), 0);
        assert_eq!(start(session, &request), 1);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn programs_that_do_not_draft_are_refused() {
    let model = open(adder("adder"));
    // SAFETY: as in the other tests.
    unsafe {
        assert_eq!(seqc_model_set_draft(ptr::null(), c"/bin/true".as_ptr()), 1);
        assert_eq!(seqc_model_set_draft(model, c"/nowhere/at/all".as_ptr()), 1);
        assert!(said(super::super::model::seqc_model_error(model)).contains("/nowhere/at/all"));
        assert_eq!(seqc_model_set_draft(model, c"/bin/true".as_ptr()), 1);
        assert_eq!(seqc_model_drafts(model, ptr::null_mut()), 1);
        assert!(said(super::super::model::seqc_model_error(model)).contains("no program"));
        give_draft(model);
        assert_eq!(seqc_model_drafts(model, ptr::null_mut()), 1);
        seqc_model_free(model);
    }
}
