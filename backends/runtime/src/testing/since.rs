//! A hand-made model that shows where it believes that prompts end.

use seqc_abi::{Call, Descriptor, Rows, RowsAt, StateKind, frame};

use super::{VOCAB, adder_descriptor, code, rows, segments, slot, wanted};
use crate::code::Code;

/// What [`since`] says after tokens of which none was the last one of a prompt.
pub(crate) const NEVER: usize = VOCAB - 1;

/// The likeliest next token counts the tokens since a prompt ended: 0 behind the last token of a prompt, and so 1, 2, … in an answer that
/// follows it; [`NEVER`] in a prompt.
pub(crate) fn since() -> Code {
    let described = Descriptor {
        prompt_matters: true,
        states: vec![slot("since", StateKind::Fixed { bytes: 8 })],
        ..adder_descriptor("since")
    };
    code(&described, count)
}

unsafe extern "C" fn count(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    // SAFETY: the frame of a step is filled.
    unsafe {
        let out = *(*slots.add(frame::OUTPUTS) as *const *mut f32);
        let mut outputs = wanted(slots).iter().enumerate().peekable();
        for (i, row) in rows(slots).iter().enumerate() {
            let segment = &segments(slots)[row.segment as usize];
            let since = *(segment.states as *const *mut u64);
            *since = match *since {
                _ if row.position + 1 == segment.prompt => 1,
                _ if row.position < segment.prompt => 0,
                0 => 0,
                since => since + 1,
            };
            if let Some((n, _)) = outputs.next_if(|(_, wanted)| wanted.row == i as u64) {
                let row = std::slice::from_raw_parts_mut(out.add(n * VOCAB), VOCAB);
                row.fill(-1.0);
                row[(*since as usize).checked_sub(1).map_or(NEVER, |since| since % NEVER)] = 1.0;
            }
        }
    }
}

/// One layer, whose logits are NaN behind the last token of a prompt.
pub(crate) fn breaks_at_ends() -> Code {
    let described = Descriptor {
        prompt_matters: true,
        calls: vec![Call {
            layer: "layers.0.ends".to_owned(),
            results: vec![Rows {
                at: RowsAt::Output(0),
                width: VOCAB,
            }],
        }],
        states: Vec::new(),
        ..adder_descriptor("ends")
    };
    code(&described, break_at_ends)
}

unsafe extern "C" fn break_at_ends(slots: *const u64, tid: i64, _: i64) {
    if tid != 0 {
        return;
    }
    // SAFETY: the frame of a step is filled.
    unsafe {
        let out = *(*slots.add(frame::OUTPUTS) as *const *mut f32);
        for (n, wanted) in wanted(slots).iter().enumerate() {
            let row = &rows(slots)[wanted.row as usize];
            let ends = row.position + 1 == segments(slots)[row.segment as usize].prompt;
            std::slice::from_raw_parts_mut(out.add(n * VOCAB), VOCAB).fill(if ends { f32::NAN } else { 0.0 });
        }
    }
}
