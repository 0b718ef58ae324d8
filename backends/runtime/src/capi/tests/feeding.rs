//! Sessions that read, alone and together; forks, cuts, saved states.

use std::ffi::c_void;

use super::*;
use crate::{
    capi::described::{CStream, F32, I64},
    capi::streams::{seqc_model_input, seqc_model_inputs, seqc_model_output, seqc_model_outputs},
    testing::{BROKEN, adder, breaker, rememberer, scaler, total},
};

#[test]
fn c_reads_tokens_and_logits_and_keeps_states() {
    let model = open_with(adder("adder"), None, 2);
    let file = CString::new(fresh("state").into_os_string().into_encoded_bytes()).expect("a path");
    // SAFETY: all pointers come from the functions above and are freed once, the model first.
    unsafe {
        let (one, other) = (seqc_session_new(model), seqc_session_new(model));
        assert!(seqc_session_logits(one, ptr::null_mut()).is_null());
        seqc_model_free(model);
        assert_eq!(feed(one, &[1, 2, 3]), 0);
        assert_eq!(
            (best(one), seqc_session_position(one), tokens(one)),
            (6, 3, vec![1, 2, 3])
        );
        assert_eq!(seqc_session_save(one, file.as_ptr()), 0);
        assert_eq!(seqc_session_load(other, file.as_ptr()), 0);
        assert_eq!(best(other), 6);
        assert_eq!(feed(other, &[4]), 0);
        assert_eq!(best(other), 10);
        assert_eq!(seqc_session_reset(other), 0);
        assert_eq!(feed(other, &[5]), 0);
        assert_eq!(best(other), 5);
        let (mut bytes, mut size) = (ptr::null_mut(), 0);
        assert_eq!(seqc_session_save_memory(one, &raw mut bytes, &raw mut size), 0);
        assert_eq!(seqc_session_load_memory(other, bytes, size), 0);
        assert_eq!((best(other), tokens(other)), (6, vec![1, 2, 3]));
        assert_eq!(seqc_session_load_memory(other, bytes, size - 1), 1);
        assert_eq!(best(other), 6, "as before");
        seqc_free(bytes);
        seqc_session_free(one);
        seqc_session_free(other);
    }
}

#[test]
fn forks_go_on_alone_and_are_cut_at_earlier_tokens() {
    for code in [adder("adder"), rememberer()] {
        let model = open(code);
        // SAFETY: as above.
        unsafe {
            let one = seqc_session_new(model);
            assert_eq!(seqc_session_snapshots(one, 4), 0);
            assert_eq!(feed(one, &[1; 10]), 0);
            let other = seqc_session_fork(one);
            assert_eq!(feed(other, &[2]), 0);
            assert_eq!((best(one), best(other)), (10, 12));
            let (mut alone, mut shared) = (0, 0);
            assert_eq!(seqc_session_memory(one, &raw mut alone, &raw mut shared), 0);
            assert!(alone + shared > 0);
            assert_eq!(seqc_session_truncate(other, 6), 0);
            assert_eq!(feed(other, &[3]), 0);
            assert_eq!((best(other), seqc_session_position(other)), (9, 7));
            assert_eq!(seqc_session_truncate(other, 8), 1);
            assert_eq!(feed(one, &[1]), 0);
            assert_eq!(best(one), 11);
            for session in [one, other] {
                seqc_session_free(session);
            }
            seqc_model_free(model);
        }
    }
}

#[test]
fn scores_that_are_no_numbers_are_an_error() {
    let model = open(breaker());
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        assert_eq!((feed(session, &[1]), feed(session, &[BROKEN])), (0, 1));
        assert!(last_error().contains("layers.1.breaks, at token 1"), "{}", last_error());
        assert_eq!(said(seqc_session_error(session)), last_error());
        assert!(seqc_session_logits(session, ptr::null_mut()).is_null());
        assert_eq!(seqc_session_reset(session), 0);
        assert_eq!(feed(session, &[2]), 0);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

/// Segments of these sessions that read these tokens, the outputs of all or of the last one.
fn segments(read: &[(*mut CSession, &[i64])], inputs: &[[*const c_void; 1]], wanted: i32) -> Vec<CSegment> {
    let segment = |((session, tokens), inputs): (&(*mut CSession, &[i64]), &[*const c_void; 1])| CSegment {
        session: *session,
        tokens: tokens.len(),
        inputs: inputs.as_ptr(),
        wanted,
        ..CSegment::NONE
    };
    read.iter().zip(inputs).map(segment).collect()
}

#[test]
fn sessions_read_together_what_they_read_alone() {
    let model = open(adder("adder"));
    // SAFETY: as above.
    unsafe {
        let sessions = [(); 3].map(|()| seqc_session_new(model));
        assert_eq!(feed(sessions[1], &[5]), 0);
        let read = [
            (sessions[0], &[1; 20][..]),
            (sessions[1], &[2][..]),
            (sessions[2], &[3, 1][..]),
        ];
        let inputs = read.map(|(_, tokens)| [tokens.as_ptr().cast::<c_void>()]);
        let mut rows = [vec![0_f32; 20 * VOCAB], vec![0.0; VOCAB], vec![0.0; 2 * VOCAB]];
        let outputs: Vec<[*mut c_void; 1]> = rows.iter_mut().map(|rows| [rows.as_mut_ptr().cast()]).collect();
        let mut batch = segments(&read, &inputs, 1);
        for (segment, outputs) in batch.iter_mut().zip(&outputs) {
            segment.outputs = outputs.as_ptr();
        }
        assert_eq!(seqc_feed(batch.as_mut_ptr(), 3, ptr::null()), 0, "{}", last_error());
        assert_eq!(sessions.map(|session| best(session)), [20 % VOCAB, 7, 4]);
        for (n, row) in rows[0].chunks(VOCAB).enumerate() {
            assert_eq!(crate::generation::greedy(row), (n + 1) % VOCAB);
        }
        assert_eq!(crate::generation::greedy(&rows[2][VOCAB..]), 4);
        for session in sessions {
            seqc_session_free(session);
        }
        seqc_model_free(model);
    }
}

#[test]
fn one_session_with_bad_logits_does_not_disturb_the_others() {
    let model = open(breaker());
    // SAFETY: as above.
    unsafe {
        let sessions = [(); 2].map(|()| seqc_session_new(model));
        let read = [(sessions[0], &[1][..]), (sessions[1], &[BROKEN][..])];
        let inputs = read.map(|(_, tokens)| [tokens.as_ptr().cast::<c_void>()]);
        let mut batch = segments(&read, &inputs, 0);
        assert_eq!(seqc_feed(batch.as_mut_ptr(), 2, ptr::null()), 1);
        assert_eq!((batch[0].status, batch[1].status), (0, 1));
        assert!(said(seqc_session_error(sessions[1])).contains("layers.1.breaks"));
        assert_eq!(said(seqc_session_error(sessions[0])), "");
        assert!(!seqc_session_logits(sessions[0], ptr::null_mut()).is_null());
        for session in sessions {
            seqc_session_free(session);
        }
        seqc_model_free(model);
    }
}

#[test]
fn models_with_any_inputs_describe_them_and_read_them() {
    let model = open(scaler());
    // SAFETY: as above; descriptions are filled before they are read.
    unsafe {
        assert_eq!((seqc_model_inputs(model), seqc_model_outputs(model)), (2, 2));
        let mut x: CStream = std::mem::zeroed();
        x.size = size_of::<CStream>();
        assert_eq!(seqc_model_input(model, 0, &raw mut x), 0);
        assert_eq!(
            (said(x.name), x.kind, x.width, x.dimensions, *x.shape),
            ("x".to_owned(), F32, 3, 1, 3)
        );
        assert_eq!(seqc_model_output(model, 1, &raw mut x), 0);
        assert_eq!(
            (said(x.name), x.kind, x.width, x.vocab),
            ("trace.ids".to_owned(), I64, 1, 0)
        );
        assert_eq!(seqc_model_input(model, 2, &raw mut x), 1);
        let session = seqc_session_new(model);
        let (values, ids) = ([1_f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2_i64, 10]);
        let inputs: [*const c_void; 2] = [values.as_ptr().cast(), ids.as_ptr().cast()];
        let mut y = [0_f32; 6];
        let outputs: [*mut c_void; 2] = [y.as_mut_ptr().cast(), ptr::null_mut()];
        let mut segment = CSegment {
            session,
            tokens: 2,
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            wanted: 1,
            ..CSegment::NONE
        };
        assert_eq!(seqc_feed(&raw mut segment, 1, ptr::null()), 0, "{}", last_error());
        assert_eq!(y, [2.0, 4.0, 6.0, 40.0, 50.0, 60.0]);
        assert!(seqc_session_logits(session, ptr::null_mut()).is_null());
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn a_model_that_looks_ahead_reads_its_input_at_once() {
    let model = open(total());
    let input = [1_i64, 2, 3];
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        let (inputs, mut hidden) = ([input.as_ptr().cast::<c_void>()], [0_f32]);
        let outputs = [hidden.as_mut_ptr().cast::<c_void>()];
        let mut segment = CSegment {
            session,
            tokens: 3,
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            ..CSegment::NONE
        };
        assert_eq!(seqc_feed(&raw mut segment, 1, ptr::null()), 0);
        assert_eq!(hidden, [6.0]);
        assert_eq!(feed(session, &[1]), 1);
        assert!(last_error().contains("looks ahead"), "{}", last_error());
        seqc_session_free(session);
        seqc_model_free(model);
    }
}
