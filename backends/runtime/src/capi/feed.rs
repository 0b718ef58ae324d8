//! Sessions that read: one, or several in the same steps.

use std::ffi::{c_int, c_void};

use std::sync::MutexGuard;

use seqc_abi::Descriptor;

use super::{
    callbacks::CCallbacks,
    outcome::{Fault, INPUT, OK, Outcome, status, tell},
    pointers,
    reading::{Place, Reading, read},
    session::{CSession, Inner},
    source::copied,
};
use crate::{Error, inputs::Values, session::Wanted};

/// `seqc_segment`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CSegment {
    pub(super) size: usize,
    pub(super) session: *mut CSession,
    pub(super) tokens: usize,
    pub(super) inputs: *const *const c_void,
    pub(super) outputs: *const *mut c_void,
    pub(super) wanted: i32,
    pub(super) status: i32,
}

impl CSegment {
    /// A segment of nothing.
    pub(super) const NONE: CSegment = CSegment {
        size: size_of::<CSegment>(),
        session: std::ptr::null_mut(),
        tokens: 0,
        inputs: std::ptr::null(),
        outputs: std::ptr::null(),
        wanted: 0,
        status: OK,
    };

    fn wanted(&self) -> Outcome<Wanted> {
        match self.wanted {
            0 => Ok(Wanted::Last),
            1 => Ok(Wanted::All),
            other => Err(Error::input(format!("{other} says no outputs: it must be SEQC_LAST or SEQC_ALL")).into()),
        }
    }

    /// The inputs, copied.
    ///
    /// # Safety
    ///
    /// They are what the header says.
    unsafe fn inputs(&self, descriptor: &Descriptor) -> Outcome<Vec<Values>> {
        // SAFETY: the caller's promise.
        unsafe { copied(&descriptor.inputs, self.inputs, self.tokens) }
    }

    /// # Safety
    ///
    /// The outputs are what the header says.
    unsafe fn places(&self, descriptor: &Descriptor) -> Outcome<Vec<Place>> {
        if self.outputs.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: the caller's promise.
        let places = unsafe { pointers::array(self.outputs, descriptor.outputs.len(), "list of outputs") }?;
        Ok(places.iter().map(|place| Place(place.cast())).collect())
    }
}

/// A segment whose session is locked.
struct Taken<'a> {
    inner: MutexGuard<'a, Inner>,
    object: &'a CSession,
    inputs: Vec<Values>,
    wanted: Wanted,
    places: Option<Vec<Place>>,
}

/// Locks the session of a segment, and copies what it reads.
///
/// # Safety
///
/// The segment is what the header says.
unsafe fn take<'a>(segment: &CSegment) -> Outcome<Taken<'a>> {
    // SAFETY: the caller's promise.
    let object: &CSession = unsafe { segment.session.as_ref() }.ok_or_else(|| Fault::null("session"))?;
    if segment.tokens == 0 {
        return Err(Error::input("a segment has no tokens").into());
    }
    let mut inner = object.lock()?;
    inner.settle()?;
    let descriptor = object.model.model().descriptor();
    // SAFETY: the caller's promise.
    let (inputs, places) = unsafe { (segment.inputs(descriptor)?, segment.places(descriptor)?) };
    Ok(Taken {
        inner,
        object,
        inputs,
        wanted: segment.wanted()?,
        places: Some(places),
    })
}

/// See `seqc.h`.
///
/// # Safety
///
/// `segments` is NULL or leads to `count` segments of the size that the first one says: each as the header says, with a session that is
/// not freed; `callbacks` as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seqc_feed(segments: *mut CSegment, count: usize, callbacks: *const CCallbacks) -> c_int {
    let mut worst = OK;
    let read = status(None, || {
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let callbacks = unsafe { CCallbacks::read(callbacks) }?;
        let stride = unsafe { pointers::sized(segments, CSegment::NONE, "list of segments") }?.size;
        let bytes = stride.checked_mul(count);
        if !stride.is_multiple_of(align_of::<CSegment>()) || bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(Error::input("the `size` of a segment is not that of the structure").into());
        }
        let at = |n: usize| segments.wrapping_byte_add(n * stride);
        let mut taken = Vec::new();
        for n in 0..count {
            // SAFETY: the caller's promise.
            let segment = unsafe { pointers::sized(at(n), CSegment::NONE, "segment") }?;
            check_first(&segment, stride, &taken)?;
            taken.push(unsafe { take(&segment) }?);
        }
        let readings = taken.iter_mut().map(|one| Reading {
            session: &mut one.inner.session,
            inputs: &one.inputs,
            wanted: one.wanted,
            places: one.places.take().unwrap_or_default(),
        });
        read(readings.collect(), &callbacks)?;
        for (n, one) in taken.iter().enumerate() {
            let found = one
                .inner
                .check_finite()
                .map_or_else(|fault| tell(&fault, Some(&one.object.text)), |()| OK);
            worst = worst.max(found);
            if stride >= size_of::<CSegment>() {
                // SAFETY: the caller's promise.
                unsafe { (*at(n)).status = found };
            }
        }
        Ok(())
    });
    if read == OK && worst != OK { INPUT } else { read }
}

/// Whether a segment fits those before.
fn check_first(segment: &CSegment, stride: usize, before: &[Taken]) -> Outcome<()> {
    if segment.size != stride {
        return Err(Error::input("all segments have the same `size`").into());
    }
    if before.iter().any(|one| std::ptr::eq(one.object, segment.session)) {
        return Err(Error::input("a session is in two segments").into());
    }
    Ok(())
}
