//! Mistakes: NULL everywhere, wrong sizes, crooked pointers, texts that are none; each an error with a text, and nothing changed.

use super::*;
use crate::{
    capi::{
        callbacks::{CCallbacks, CToken},
        decoder::{seqc_decoder_error, seqc_decoder_free, seqc_decoder_new, seqc_decoder_push},
        described::CStream,
        model::*,
        sampler::{seqc_sampler_error, seqc_sampler_free, seqc_sampler_new, seqc_sampler_next, seqc_sampler_read},
        source::*,
        streams::{seqc_model_input, seqc_model_inputs},
        text::{seqc_detokenize, seqc_model_ends, seqc_render_chat, seqc_tokenize},
        version::{seqc_abi, seqc_version},
    },
    testing::{adder, file},
};

#[test]
fn null_is_an_error_or_nothing_for_every_object() {
    let (model, session) = (ptr::null_mut(), ptr::null_mut());
    let mut place = ptr::null_mut();
    // SAFETY: NULL is allowed everywhere.
    unsafe {
        seqc_model_free(ptr::null_mut());
        seqc_session_free(ptr::null_mut());
        seqc_decoder_free(ptr::null_mut());
        seqc_sampler_free(ptr::null_mut());
        seqc_free(ptr::null_mut());
        for text in [seqc_model_name(model), seqc_model_hash(model), seqc_model_error(model)] {
            assert_eq!(said(text), "");
        }
        assert_eq!(
            (
                seqc_model_vocab(model),
                seqc_model_context(model),
                seqc_model_threads(model)
            ),
            (0, 0, 0)
        );
        assert_eq!((seqc_model_causal(model), seqc_model_inputs(model)), (0, 0));
        assert_eq!(seqc_model_memory(model, ptr::null_mut()), 1);
        assert_eq!(seqc_model_input(model, 0, ptr::null_mut()), 1);
        assert_eq!((seqc_model_sources(model), seqc_model_source_rows(model)), (0, 0));
        assert_eq!(seqc_model_source(model, 0, ptr::null_mut()), 1);
        assert!(seqc_model_start(model, ptr::null_mut()).is_null() && last_error().contains("the model is NULL"));
        assert_eq!(seqc_session_source(session, ptr::null(), 0), 1);
        assert_eq!(seqc_session_source_input(session, ptr::null(), 0), 1);
        assert_eq!(seqc_session_source_rows(session), 0);
        assert!(seqc_session_new(model).is_null() && last_error().contains("the model is NULL"));
        assert!(seqc_decoder_new(model, ptr::null(), 0).is_null());
        assert!(seqc_sampler_new(model, ptr::null()).is_null());
        assert!(seqc_model_ends(model, ptr::null_mut()).is_null());
        assert_eq!(
            seqc_tokenize(model, c"".as_ptr(), 0, 0, ptr::null_mut(), ptr::null_mut()),
            1
        );
        assert_eq!(
            seqc_detokenize(model, ptr::null(), 0, ptr::null_mut(), ptr::null_mut()),
            1
        );
        assert_eq!(
            seqc_render_chat(model, ptr::null(), ptr::null_mut(), ptr::null_mut()),
            1
        );
        assert_eq!(
            (said(seqc_session_error(session)), seqc_session_position(session)),
            (String::new(), 0)
        );
        assert_eq!((seqc_session_reset(session), seqc_session_truncate(session, 0)), (1, 1));
        assert_eq!((feed(session, &[]), seqc_session_snapshots(session, 1)), (1, 1));
        assert_eq!(seqc_session_end_prompt(session, 1), 1);
        assert!(last_error().contains("the session is NULL"));
        assert!(seqc_session_fork(session).is_null() && seqc_session_logits(session, ptr::null_mut()).is_null());
        assert_eq!(
            (
                seqc_session_save(session, c"a".as_ptr()),
                seqc_session_load(session, c"a".as_ptr())
            ),
            (1, 1)
        );
        assert_eq!(seqc_session_save_memory(session, &raw mut place, ptr::null_mut()), 1);
        assert_eq!(seqc_session_start(session, ptr::null(), ptr::null()), 1);
        assert_eq!(seqc_session_generate(session, ptr::null(), ptr::null()), 1);
        assert_eq!(seqc_session_next(session, ptr::null_mut()), 1);
        assert_eq!(seqc_feed(ptr::null_mut(), 1, ptr::null()), 1);
        assert_eq!(seqc_feed(ptr::null_mut(), 0, ptr::null()), 0);
        assert_eq!(
            seqc_decoder_push(ptr::null_mut(), 1, ptr::null_mut(), ptr::null_mut()),
            1
        );
        assert_eq!(
            (
                said(seqc_decoder_error(ptr::null())),
                said(seqc_sampler_error(ptr::null()))
            ),
            (String::new(), String::new())
        );
        assert_eq!(seqc_sampler_read(ptr::null_mut(), ptr::null(), 0), 1);
        assert_eq!(
            seqc_sampler_next(ptr::null_mut(), ptr::null(), 0, ptr::null_mut(), ptr::null_mut()),
            1
        );
    }
    assert_eq!(
        (seqc_abi(), said(seqc_version())),
        (1, env!("CARGO_PKG_VERSION").to_owned())
    );
}

#[test]
fn places_and_lists_are_checked() {
    let model = open(adder("adder"));
    // SAFETY: the model and the session live.
    unsafe {
        let session = seqc_session_new(model);
        assert_eq!(feed(session, &[1]), 0);
        assert_eq!(seqc_session_feed(session, ptr::null(), 1), 1);
        assert_eq!(feed(session, &[99]), 1);
        assert!(said(seqc_session_error(session)).contains("99"));
        let crooked = [0_i64; 2].as_ptr().cast::<i64>().wrapping_byte_add(1);
        assert_eq!(seqc_session_feed(session, crooked, 1), 1);
        assert!(last_error().contains("multiple of 8"), "{}", last_error());
        assert_eq!(seqc_session_feed(session, [0_i64].as_ptr(), usize::MAX), 1);
        assert_eq!(seqc_session_tokens(session, ptr::null_mut(), ptr::null_mut()), 1);
        assert_eq!(seqc_session_save(session, ptr::null()), 1);
        assert_eq!(seqc_session_load(session, c"/nowhere/at/all".as_ptr()), 1);
        assert!(said(seqc_session_error(session)).contains("/nowhere/at/all"));
        let damaged = CString::new(file("damaged", b"SEQCSTAT").into_os_string().into_encoded_bytes()).expect("a path");
        assert_eq!(seqc_session_load(session, damaged.as_ptr()), 1);
        assert_eq!(seqc_session_load_memory(session, ptr::null(), 8), 1);
        assert_eq!(seqc_session_load_memory(session, c"bytes".as_ptr().cast(), 5), 1);
        assert_eq!(seqc_session_save_memory(session, ptr::null_mut(), ptr::null_mut()), 1);
        assert_eq!(seqc_session_next(session, ptr::null_mut()), 1);
        assert_eq!((tokens(session), best(session)), (vec![1], 1), "as before");
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn models_without_an_encoder_take_no_source() {
    let model = open(adder("adder"));
    // SAFETY: the model and the session live.
    unsafe {
        let (session, mut count) = (seqc_session_new(model), 1);
        assert_eq!((seqc_model_sources(model), seqc_model_source_rows(model)), (0, 0));
        assert!(!seqc_model_start(model, &raw mut count).is_null() && count == 0);
        for status in [
            seqc_session_source(session, [1_i64].as_ptr(), 1),
            seqc_session_source_input(session, ptr::null(), 1),
        ] {
            assert_eq!(status, 1);
            assert!(said(seqc_session_error(session)).contains("has no encoder"));
        }
        assert_eq!((seqc_session_source_rows(session), feed(session, &[1])), (0, 0));
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn structures_say_their_size() {
    let model = open(adder("adder"));
    // SAFETY: structures have the size that they say, or say that they have none.
    unsafe {
        let mut bytes = CModelBytes {
            size: 0,
            weights: 7,
            constants: 7,
            steps: 7,
        };
        assert_eq!(seqc_model_memory(model, &raw mut bytes), 1);
        assert!(said(seqc_model_error(model)).contains("`size`"));
        bytes.size = 16;
        assert_eq!(seqc_model_memory(model, &raw mut bytes), 0);
        assert_eq!(
            (bytes.weights, bytes.steps),
            (0, 7),
            "what an older caller does not know stays"
        );
        let mut stream: CStream = std::mem::zeroed();
        assert_eq!(seqc_model_input(model, 0, &raw mut stream), 1);
        let mut options = COptions::new(ptr::null(), 1);
        options.abi = 2;
        assert!(made(None, || options.open(|| Ok(adder("adder")))).is_null());
        assert!(last_error().contains("interface 2"), "{}", last_error());
        options.abi = 1;
        options.cache_file = c"/no/such/folder".as_ptr();
        assert!(made(None, || options.open(|| Ok(adder("adder")))).is_null());
        assert!(last_error().contains("no such folder"), "{}", last_error());
        let session = seqc_session_new(model);
        let mut token: CToken = std::mem::zeroed();
        assert_eq!(
            seqc_session_start(
                session,
                c"{\"prompt\": [1]}".as_ptr(),
                &CCallbacks {
                    size: 0,
                    ..CCallbacks::NONE
                }
            ),
            1
        );
        assert_eq!(
            seqc_session_start(session, c"{\"prompt\": [1]}".as_ptr(), ptr::null()),
            0
        );
        assert_eq!(seqc_session_next(session, &raw mut token), 1);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}

#[test]
fn requests_that_are_wrong_name_the_field() {
    let model = open_with(adder("adder"), Some(&letters()), 1);
    // SAFETY: the model and the session live.
    unsafe {
        let session = seqc_session_new(model);
        for (request, named) in [
            (c"", "JSON"),
            (c"[]", "object"),
            (c"{\"temperature\": -1, \"prompt\": \"a\"}", "temperature"),
            (c"{\"max_tokens\": 0}", "max_tokens"),
            (c"{\"n\": 2}", "`n`"),
            (c"{\"prompt\": 3}", "prompt"),
            (c"{\"prompt\": [99]}", "99"),
            (c"{\"prompt\": \"\"}", "empty"),
            (c"{\"messages\": []}", "messages"),
            (c"{\"messages\": [{\"role\": 1}]}", "messages"),
            (c"{}", "nothing has been read"),
            (c"\xff", "UTF-8"),
        ] {
            assert_eq!(
                seqc_session_start(session, request.as_ptr(), ptr::null()),
                1,
                "{request:?}"
            );
            let said = said(seqc_session_error(session));
            assert!(said.contains(named), "{request:?}: {said}");
        }
        let (mut ids, mut text) = (ptr::null_mut(), ptr::null_mut());
        assert_eq!(
            seqc_tokenize(model, c"a\xffb".as_ptr(), usize::MAX, 0, &raw mut ids, ptr::null_mut()),
            1
        );
        assert!(said(seqc_model_error(model)).contains("byte 2"));
        assert_eq!(
            seqc_render_chat(model, c"{}".as_ptr(), &raw mut text, ptr::null_mut()),
            1
        );
        seqc_session_free(session);
        seqc_model_free(model);
        let plain = open(adder("adder"));
        assert_eq!(
            seqc_tokenize(plain, c"a".as_ptr(), 1, 0, &raw mut ids, ptr::null_mut()),
            1
        );
        assert!(said(seqc_model_error(plain)).contains("no tokenizer"));
        seqc_model_free(plain);
    }
}

#[test]
fn batches_that_are_wrong_are_refused_before_anything_is_read() {
    let (model, other) = (open(adder("adder")), open(adder("adder")));
    // SAFETY: models and sessions live.
    unsafe {
        let sessions = [
            seqc_session_new(model),
            seqc_session_new(model),
            seqc_session_new(other),
        ];
        let (good, bad) = ([1_i64, 2], [1_i64, 99]);
        let inputs = [[good.as_ptr().cast()], [bad.as_ptr().cast()]];
        let segment = |session: usize, input: usize| CSegment {
            session: sessions[session],
            tokens: 2,
            inputs: inputs[input].as_ptr(),
            ..CSegment::NONE
        };
        let wrong = |segments: &mut [CSegment]| {
            assert_eq!(seqc_feed(segments.as_mut_ptr(), segments.len(), ptr::null()), 1);
            assert_eq!(
                sessions.map(|session| seqc_session_position(session)),
                [0; 3],
                "{}",
                last_error()
            );
            last_error()
        };
        assert!(wrong(&mut [segment(0, 0), segment(1, 1)]).contains("99"));
        assert!(wrong(&mut [segment(0, 0), segment(0, 0)]).contains("two segments"));
        assert!(wrong(&mut [segment(0, 0), segment(2, 0)]).contains("one model"));
        assert!(
            wrong(&mut [
                segment(0, 0),
                CSegment {
                    size: 24,
                    ..segment(1, 0)
                }
            ])
            .contains("size")
        );
        assert!(
            wrong(&mut [CSegment {
                size: 3,
                ..segment(1, 0)
            }])
            .contains("size")
        );
        assert!(
            wrong(&mut [CSegment {
                tokens: 0,
                ..segment(1, 0)
            }])
            .contains("no tokens")
        );
        assert!(
            wrong(&mut [CSegment {
                wanted: 5,
                ..segment(1, 0)
            }])
            .contains("SEQC_LAST")
        );
        assert!(
            wrong(&mut [CSegment {
                inputs: ptr::null(),
                ..segment(1, 0)
            }])
            .contains("inputs is NULL")
        );
        assert!(
            wrong(&mut [CSegment {
                tokens: 400,
                session: ptr::null_mut(),
                ..segment(1, 0)
            }])
            .contains("session is NULL")
        );
        for session in sessions {
            seqc_session_free(session);
        }
        seqc_model_free(model);
        seqc_model_free(other);
    }
}

#[test]
fn a_panic_is_an_error_of_the_call() {
    let status = crate::capi::outcome::status(None, || panic!("at the {}", "disco"));
    assert_eq!(status, 2);
    assert!(
        last_error().contains("a bug in the library: at the disco"),
        "{}",
        last_error()
    );
}

#[test]
fn texts_of_failures_stay_with_their_objects() {
    let model = open(adder("adder"));
    // SAFETY: the model and the sessions live.
    unsafe {
        let (one, other) = (seqc_session_new(model), seqc_session_new(model));
        assert_eq!((feed(one, &[77]), feed(other, &[88])), (1, 1));
        assert_eq!(feed(one, &[1]), 0);
        let text = seqc_session_error(one);
        assert!(said(text).contains("77") && said(seqc_session_error(other)).contains("88"));
        assert_eq!(
            seqc_tokenize(model, c"a".as_ptr(), 1, 0, ptr::null_mut(), ptr::null_mut()),
            1
        );
        assert!(said(text).contains("77"), "the same text as before");
        let address = model as usize;
        let elsewhere = std::thread::spawn(move || said(seqc_model_error(address as *const CModel)));
        assert_eq!(
            elsewhere.join().expect("a thread"),
            "",
            "each thread has its own text of a model"
        );
        assert!(said(seqc_model_error(model)).contains("tokenizer"));
        seqc_session_free(one);
        seqc_session_free(other);
        seqc_model_free(model);
    }
}
