//! Sessions of one model in several threads at once.

use super::*;
use crate::testing::{adder, rememberer};

/// A pointer that another thread may have.
#[derive(Clone, Copy)]
struct Sent<T>(*mut T);

// SAFETY: objects of C may be used by every thread.
unsafe impl<T> Send for Sent<T> {}

impl<T> Sent<T> {
    fn get(self) -> *mut T {
        self.0
    }
}

#[test]
fn sessions_of_several_threads_and_their_forks_get_what_they_get_alone() {
    for code in [adder("adder"), rememberer()] {
        let model = open_with(code, None, 2);
        // SAFETY: all pointers come from the functions above and are freed once.
        let begun = unsafe { seqc_session_new(model) };
        assert_eq!(feed(begun, &[1; 30]), 0);
        let workers = (0..6_i64).map(|n| {
            // SAFETY: as above.
            let fork = Sent(unsafe { seqc_session_fork(begun) });
            std::thread::spawn(move || {
                let session = fork.get();
                for step in 1..=40 {
                    assert_eq!(feed(session, &[n]), 0, "{}", last_error());
                    assert_eq!(best(session), (30 + step * n as usize) % VOCAB);
                    if step % 10 == 0 {
                        // SAFETY: as above.
                        unsafe {
                            let other = seqc_session_fork(session);
                            assert_eq!(feed(other, &[n, n]), 0);
                            assert_eq!(best(other), (30 + (step + 2) * n as usize) % VOCAB);
                            seqc_session_free(other);
                        }
                    }
                }
                // SAFETY: as above.
                unsafe { seqc_session_free(session) };
            })
        });
        let workers: Vec<_> = workers.collect();
        // SAFETY: as above.
        unsafe { seqc_session_free(begun) };
        for worker in workers {
            worker.join().expect("no panic");
        }
        // SAFETY: as above.
        unsafe { seqc_model_free(model) };
    }
}

#[test]
fn a_session_in_use_is_an_error_and_keeps_its_text() {
    let model = open(adder("adder"));
    // SAFETY: as above.
    unsafe {
        let session = seqc_session_new(model);
        assert_eq!(feed(session, &[99]), 1);
        let text = said(seqc_session_error(session));
        let held = (*session).lock().expect("free");
        assert_eq!(feed(session, &[1]), 1);
        assert!(last_error().contains("in use"), "{}", last_error());
        assert_eq!(said(seqc_session_error(session)), text);
        drop(held);
        assert_eq!(feed(session, &[1]), 0);
        seqc_session_free(session);
        seqc_model_free(model);
    }
}
