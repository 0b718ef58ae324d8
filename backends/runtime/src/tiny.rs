//! Numbers below the least normal one of f32 as zeros, while generated code runs.
//!
//! Products of many decays and tails of exponentials get that small, where x86 processors take a hundred times as long for each operation.

use std::marker::PhantomData;

/// While it lives, this thread takes tiny results for zeros; before and after, what the caller has chosen.
pub(crate) struct TinyAreZeros {
    before: u64,
    /// It belongs to its thread.
    thread: PhantomData<*const ()>,
}

impl TinyAreZeros {
    pub(crate) fn begin() -> TinyAreZeros {
        let before = control();
        set_control(before | FLUSH);
        TinyAreZeros {
            before,
            thread: PhantomData,
        }
    }
}

impl Drop for TinyAreZeros {
    fn drop(&mut self) {
        set_control(self.before);
    }
}

/// Of MXCSR: tiny results are zeros, and so are tiny operands (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 10.2.3).
#[cfg(target_arch = "x86_64")]
const FLUSH: u64 = 1 << 15 | 1 << 6;

/// Of FPCR: FZ (Arm Architecture Reference Manual for A-profile, FPCR).
#[cfg(target_arch = "aarch64")]
const FLUSH: u64 = 1 << 24;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const FLUSH: u64 = 0;

#[cfg(target_arch = "x86_64")]
fn control() -> u64 {
    let mut word = 0_u32;
    // SAFETY: every x86-64 processor has SSE; the instruction writes these four bytes.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
    word.into()
}

#[cfg(target_arch = "x86_64")]
fn set_control(word: u64) {
    let word = word as u32;
    // SAFETY: the word was read before, but for bits that every processor with AVX2 has.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags, readonly)) };
}

#[cfg(target_arch = "aarch64")]
fn control() -> u64 {
    let word: u64;
    // SAFETY: the register may be read at any level.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
    word
}

#[cfg(target_arch = "aarch64")]
fn set_control(word: u64) {
    // SAFETY: the word was read before, but for a bit that every processor has.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) word, options(nomem, nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn control() -> u64 {
    0
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn set_control(_: u64) {}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn tiny_results_are_zeros_for_a_while() {
        let tiny = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(tiny() > 0.0);
        {
            let _zeros = TinyAreZeros::begin();
            assert_eq!(tiny(), 0.0);
        }
        assert!(tiny() > 0.0);
    }
}
