//! The fibers that stand for threads of a GPU, as a shared library for kernels that tests load: what they meet at is a function and what that waits
//! at, as in `generated.rs`.

#[path = "../../runtime/src/warp.rs"]
mod warp;

/// Tests place parameters as a device has them.
pub(crate) const DEVICE_MEMORY: bool = true;

/// Calls what the first word of the meeting names.
unsafe extern "C" fn seqc_barrier(meeting: *mut u8, tid: i64, threads: i64) {
    // SAFETY: tests put a meeting there.
    unsafe {
        let call = *meeting.cast::<extern "C" fn(*mut u8, i64, i64)>();
        call(meeting, tid, threads);
    }
}
