//! Parameters of the descriptor found in a checkpoint: pointers into the map, or converted copies.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use seqc_abi::{Descriptor, ParamSlot};

use seqc_checkpoint::{Checkpoint, Source, TensorRef, base, unquantised};
use seqc_formats::{Block, Encoding, Float8, Native, nearest_f16, to_bf16, to_f16};

use crate::{Error, Result, fingerprint, memory::Region, seen::Seen};

/// Lines of a list of problems that are shown.
const MOST_PROBLEMS: usize = 20;

/// Bytes for every parameter, in frame order.
#[derive(Debug)]
pub(crate) struct Weights {
    /// Where generated code sees the pointers.
    table: u64,
    /// In slots of 64 bits.
    _pointers: Vec<u64>,
    _seen: Seen,
    /// What the pointers point to, beside the map.
    _owned: Vec<Region>,
    origin: Origin,
}

/// Where parameters come from.
#[derive(Debug)]
enum Origin {
    Checkpoint(Checkpoint),
    /// A seed.
    Random(u64),
}

// SAFETY: the pointers lead into memory that is owned here and never written after loading.
unsafe impl Send for Weights {}
// SAFETY: as above; all access is reading.
unsafe impl Sync for Weights {}

impl Weights {
    /// The frame's table.
    pub(crate) fn table(&self) -> u64 {
        self.table
    }

    fn new(filler: Filler, origin: Origin) -> Result<Weights> {
        let mut seen = Seen::default();
        Ok(Weights {
            table: seen.place(&filler.pointers)?,
            _pointers: filler.pointers,
            _seen: seen,
            _owned: filler.owned,
            origin,
        })
    }

    /// Parameters from a checkpoint.
    pub(crate) fn open(descriptor: &Descriptor, source: &Source) -> Result<Weights> {
        let checkpoint = Checkpoint::open_source(source)?;
        checkpoint.prefetch();
        let mut filler = Filler::default();
        let mut problems = Vec::new();
        for slot in &descriptor.params {
            match filler.place(&checkpoint, slot) {
                Ok(pointer) => filler.pointers.push(pointer),
                Err(Problem::Wrong(lines)) => problems.extend(lines),
                Err(Problem::Fatal(error)) => return Err(error),
            }
        }
        if let Some(line) = quantised(&checkpoint, descriptor) {
            problems.insert(0, line);
        }
        if !problems.is_empty() {
            return Err(Error::Input(report(&source.shown(), &descriptor.model, &mut problems)));
        }
        Weights::new(filler, Origin::Checkpoint(checkpoint))
    }

    /// Random parameters, the same for the same seed (see `Descriptor::random`).
    pub(crate) fn random(descriptor: &Descriptor, seed: u64) -> Result<Weights> {
        let mut filler = Filler::default();
        for slot in &descriptor.params {
            let key = (vec![key(slot).to_owned()], slot.shape.clone(), slot.encoding);
            let pointer = match filler.copies.get(&key) {
                Some(pointer) => *pointer,
                None => {
                    let mut region = Region::huge(stored_bytes(slot)?)?;
                    random_bytes(region.bytes_mut(), slot, seed)?;
                    filler.keep(key, region)
                }
            };
            filler.pointers.push(pointer);
        }
        Weights::new(filler, Origin::Random(seed))
    }

    /// Which weights these are: the same for the same tensors, wherever they lie.
    pub(crate) fn identity(&self, descriptor: &Descriptor) -> String {
        match &self.origin {
            Origin::Checkpoint(checkpoint) => fingerprint::digest(checkpoint, descriptor.params.iter().flat_map(names)),
            Origin::Random(seed) => format!("random-{seed}"),
        }
    }

    /// The files on the disk that the parameters lie in.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        match &self.origin {
            Origin::Checkpoint(checkpoint) => checkpoint.paths(),
            Origin::Random(_) => &[],
        }
    }

    /// The first tensor of a layer that holds a number that is not finite.
    pub(crate) fn not_finite(&self, descriptor: &Descriptor, layer: &str) -> Option<String> {
        let Origin::Checkpoint(checkpoint) = &self.origin else {
            return None;
        };
        let of_layer = |slot: &&ParamSlot| slot.name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'));
        let slots = descriptor.params.iter().filter(of_layer);
        let mut tensors = slots.flat_map(names).filter_map(|name| checkpoint.get(name));
        let found = tensors.find(|tensor| {
            let values = tensor.to_f32().unwrap_or_default();
            values.iter().any(|value| !value.is_finite())
        });
        found.map(|tensor| tensor.name.to_owned())
    }
}

/// The tensor that a parameter is known by.
fn key(slot: &ParamSlot) -> &str {
    slot.tensors.first().unwrap_or(&slot.name)
}

/// Names under which a parameter is looked for.
fn names(slot: &ParamSlot) -> &[String] {
    if slot.tensors.is_empty() {
        std::slice::from_ref(&slot.name)
    } else {
        &slot.tensors
    }
}

/// Bytes of a parameter as generated code reads it.
pub(crate) fn stored_bytes(slot: &ParamSlot) -> Result<usize> {
    let (last, outer) = slot
        .shape
        .split_last()
        .map_or((1, &[][..]), |(last, outer)| (*last, outer));
    let bytes = outer
        .iter()
        .try_fold(slot.encoding.row_bytes(last), |bytes, size| {
            Some(bytes.and_then(|bytes| bytes.checked_mul(*size)))
        })
        .flatten();
    bytes.ok_or_else(|| Error::Failed(format!("parameter `{}` has an impossible shape", slot.name)))
}

enum Problem {
    /// One line for each tensor that is not as expected.
    Wrong(Vec<String>),
    Fatal(Error),
}

type CopyKey = (Vec<String>, Vec<usize>, Encoding);

#[derive(Default)]
struct Filler {
    pointers: Vec<u64>,
    owned: Vec<Region>,
    /// Copies already made: parameters that share tensors share them.
    copies: HashMap<CopyKey, u64>,
}

impl Filler {
    fn keep(&mut self, key: CopyKey, region: Region) -> u64 {
        let pointer = region.as_ptr() as u64;
        self.owned.push(region);
        self.copies.insert(key, pointer);
        pointer
    }

    fn place(&mut self, checkpoint: &Checkpoint, slot: &ParamSlot) -> std::result::Result<u64, Problem> {
        let tensors = find(checkpoint, slot).map_err(Problem::Wrong)?;
        let as_stored = tensors.iter().all(|tensor| tensor.copied_encoding() == slot.encoding);
        let in_place = as_stored && !Seen::COPIES && tensors.iter().all(TensorRef::in_place);
        if let ([tensor], true) = (&tensors[..], in_place) {
            return Ok(tensor.bytes.as_ptr() as u64);
        }
        let key = (names(slot).to_vec(), slot.shape.clone(), slot.encoding);
        if let Some(pointer) = self.copies.get(&key) {
            return Ok(*pointer);
        }
        let region = copy(checkpoint, &tensors, slot, as_stored).map_err(Problem::Fatal)?;
        Ok(self.keep(key, region))
    }
}

/// The tensors of a parameter, with the right shapes and types.
fn find<'a>(checkpoint: &'a Checkpoint, slot: &ParamSlot) -> std::result::Result<Vec<TensorRef<'a>>, Vec<String>> {
    let names = names(slot);
    let shape = match names.len() {
        1 => &slot.shape[..],
        _ => slot.shape.get(1..).unwrap_or_default(),
    };
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for name in names {
        match checkpoint.get(name) {
            None => wrong.push(missing(checkpoint, slot, name, shape)),
            Some(tensor) => match mismatch(&tensor, slot, shape) {
                Some(line) => wrong.push(line),
                None => found.push(tensor),
            },
        }
    }
    if names.len() > 1 && slot.shape.first() != Some(&names.len()) {
        wrong.push(format!(
            "`{}` stacks {} tensors into the shape {:?}",
            slot.name,
            names.len(),
            slot.shape
        ));
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn mismatch(tensor: &TensorRef, slot: &ParamSlot, shape: &[usize]) -> Option<String> {
    if let Some(refusal) = tensor.encoding.refusal() {
        return Some(format!("tensor `{}` {refusal} (for `{}`)", tensor.name, slot.name));
    }
    let sizes = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    if sizes(&tensor.shape) != sizes(shape) {
        return Some(format!(
            "tensor `{}` has the shape {:?}, expected {shape:?} (for `{}`)",
            tensor.name, tensor.shape, slot.name
        ));
    }
    let readable = tensor.copied_encoding() == slot.encoding || slot.convert;
    (!readable).then(|| {
        format!(
            "tensor `{}` is stored as {}, expected {} (for `{}`); the program was built for another file",
            tensor.name,
            tensor.encoding,
            slot.encoding.name(),
            slot.name
        )
    })
}

/// The message for quantised weights whose tensors of scales are not read by any parameter.
fn quantised(checkpoint: &Checkpoint, descriptor: &Descriptor) -> Option<String> {
    let read: HashSet<&str> = descriptor
        .params
        .iter()
        .flat_map(names)
        .map(|name| base(name))
        .collect();
    let companions = checkpoint.companions(checkpoint.names().filter(|name| !read.contains(name)));
    let (first, more) = companions.split_first()?;
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "the weights are quantised in an unsupported form, with the tensors `{first}`{more}; {}",
        unquantised()
    ))
}

fn missing(checkpoint: &Checkpoint, slot: &ParamSlot, name: &str, shape: &[usize]) -> String {
    let near = nearest(checkpoint, name);
    let hint = match near.as_slice() {
        [] => String::new(),
        near => format!("; near it are {}", near.join(", ")),
    };
    format!(
        "tensor `{name}` of shape {shape:?} is missing (for `{}`){hint}",
        slot.name
    )
}

/// Up to two tensors whose names differ least: by what is left between the common start and the common end.
fn nearest(checkpoint: &Checkpoint, name: &str) -> Vec<String> {
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let common_end = |a: &str, b: &str| a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
    let mut scored: Vec<(usize, &str)> = checkpoint
        .names()
        .map(|other| {
            let shared = (common(name, other) + common_end(name, other)).min(name.len().min(other.len()));
            (name.len().max(other.len()) - shared, other)
        })
        .filter(|(distance, _)| *distance <= name.len() / 2)
        .collect();
    scored.sort_unstable();
    scored
        .into_iter()
        .take(2)
        .map(|(_, other)| {
            let shape = checkpoint.get(other).map(|tensor| tensor.shape).unwrap_or_default();
            format!("`{other}` {shape:?}")
        })
        .collect()
}

/// One block of memory with all tensors one after another. What is copied of the files leaves memory.
fn copy(checkpoint: &Checkpoint, tensors: &[TensorRef], slot: &ParamSlot, as_stored: bool) -> Result<Region> {
    let mut region = Region::huge(stored_bytes(slot)?)?;
    let mut rest = region.bytes_mut();
    for tensor in tensors {
        let wanted = rest.len().min(if as_stored {
            tensor.stored_bytes()
        } else {
            4 * tensor.len()
        });
        let (here, after) = rest.split_at_mut(wanted);
        if as_stored {
            let mut rest = here;
            tensor.each_stored(|bytes| {
                let to = std::mem::take(&mut rest);
                let (to, after) = to.split_at_mut(bytes.len().min(to.len()));
                to.copy_from_slice(&bytes[..to.len()]);
                rest = after;
            });
        } else {
            let mut places = here.as_chunks_mut::<4>().0.iter_mut();
            tensor.each_f32(|values| {
                // Numbers first: a place is taken for each of them, and none for the end of a piece.
                for (value, to) in values.iter().zip(places.by_ref()) {
                    *to = value.to_le_bytes();
                }
            })?;
        }
        checkpoint.release(tensor);
        rest = after;
    }
    Ok(region)
}

fn report(path: &Path, model: &str, problems: &mut Vec<String>) -> String {
    problems.dedup();
    let mut text = format!("{} does not fit the model {model}:", path.display());
    for problem in problems.iter().take(MOST_PROBLEMS) {
        text.push_str("\n  ");
        text.push_str(problem);
    }
    if problems.len() > MOST_PROBLEMS {
        text.push_str(&format!("\n  and {} more", problems.len() - MOST_PROBLEMS));
    }
    text
}

/// A small generator of well mixed bits (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Mix(pub(crate) u64);

impl Mix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in -1..1.
    pub(crate) fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}

fn random_bytes(bytes: &mut [u8], slot: &ParamSlot, seed: u64) -> Result<()> {
    let start = key(slot).bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mix = Mix(start);
    let fan_in = slot.shape.last().copied().unwrap_or(1).max(1);
    let reach = (3.0 / fan_in as f32).sqrt().min(1.0);
    let Some(native) = slot.encoding.native() else {
        let (name, encoding) = (&slot.name, slot.encoding);
        return Err(Error::Failed(format!(
            "parameter `{name}`: {encoding} has no random weights"
        )));
    };
    match native {
        Native::F32 => fill(bytes, || (reach * mix.signed()).to_le_bytes()),
        Native::F16 => fill(bytes, || to_f16(reach * mix.signed()).to_le_bytes()),
        Native::Bf16 => fill(bytes, || to_bf16(reach * mix.signed()).to_le_bytes()),
        Native::Float8(kind) => {
            let scale = 2.0 * reach / kind.largest();
            let mut number = || loop {
                let byte = mix.next() as u8;
                if kind.number(byte).is_finite() {
                    return byte;
                }
            };
            for block in bytes.chunks_exact_mut(Float8::BLOCK_BYTES) {
                let (first, numbers) = block.split_at_mut(Float8::SCALE_BYTES);
                first.copy_from_slice(&scale.to_le_bytes());
                numbers.iter_mut().for_each(|byte| *byte = number());
            }
        }
        Native::Block(block) => {
            for bytes in bytes.chunks_exact_mut(slot.encoding.block_bytes()) {
                fill(bytes, || [mix.next() as u8]);
                put_scales(bytes, block, reach);
            }
        }
    }
    Ok(())
}

fn fill<const N: usize>(bytes: &mut [u8], mut next: impl FnMut() -> [u8; N]) {
    for chunk in bytes.as_chunks_mut::<N>().0 {
        *chunk = next();
    }
}

/// Gives a block of random bits scales with which its weights are spread over about `-reach..reach`.
fn put_scales(bytes: &mut [u8], block: &Block, reach: f32) {
    let (scale, minimum) = block.scales_of(reach);
    block.put_scale(bytes, scale);
    if let Some(at) = block.minimum {
        bytes[at..at + 2].copy_from_slice(&nearest_f16(minimum).to_le_bytes());
    }
}
