//! One call of an attention kernel, by one thread or by several.

use std::sync::Barrier;

/// A call of one thread.
pub(super) type Run =
    extern "C" fn(*const f32, i64, *mut f32, i64, *const f32, *const f32, *const u64, i64, i64, *mut f32, i64, i64);
/// A call of threads that split the pages between them.
pub(super) type Split = extern "C" fn(
    *const f32,
    i64,
    *mut f32,
    i64,
    *const f32,
    *const f32,
    *const u64,
    i64,
    i64,
    *mut f32,
    i64,
    i64,
    *const [usize; 2],
    i64,
    i64,
);

extern "C" fn wait(barrier: *const [usize; 2], _tid: i64, _threads: i64) {
    // SAFETY: `Call::split` hands over its own barrier, which outlives the call.
    let barrier = unsafe { &*((*barrier)[1] as *const Barrier) };
    barrier.wait();
}

/// Arguments of one call.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) q: (*const f32, i64),
    pub(super) out: (*mut f32, i64),
    pub(super) pages: (*const f32, *const f32),
    pub(super) table: *const u64,
    pub(super) tokens: (i64, i64),
    pub(super) scratch: *mut f32,
}

// SAFETY: the threads write to different places of what is pointed to; that is what is tested.
unsafe impl Sync for Call {}

impl Call {
    pub(super) fn run(&self, run: Run, tid: i64, threads: i64) {
        let (k, v) = self.pages;
        let (position, count) = self.tokens;
        run(
            self.q.0,
            self.q.1,
            self.out.0,
            self.out.1,
            k,
            v,
            self.table,
            position,
            count,
            self.scratch,
            tid,
            threads,
        );
    }

    /// All threads at once.
    pub(super) fn split(&self, split: Split, threads: i64) {
        let barrier = Barrier::new(threads as usize);
        let handed = [wait as *const () as usize, &raw const barrier as usize];
        let one = |tid: i64| {
            let ((k, v), (position, count)) = (self.pages, self.tokens);
            let (q, out) = (self.q, self.out);
            split(
                q.0,
                q.1,
                out.0,
                out.1,
                k,
                v,
                self.table,
                position,
                count,
                self.scratch,
                tid,
                threads,
                &handed,
                tid,
                1,
            );
        };
        std::thread::scope(|scope| {
            for tid in 0..threads {
                scope.spawn(move || one(tid));
            }
        });
    }
}
