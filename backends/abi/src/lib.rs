//! The interface between generated code, the runtime of emitted programs, and the compiler.
//!
//! A program is generated code, for one or several [`Level`]s of processors, plus the runtime archive. Generated code exports the
//! symbols of [`symbols`]; the runtime chooses a level, fills a [`frame`] and calls its functions. Everything the runtime must know about
//! the model (weights, state, streams, sizes) is the JSON of a [`Descriptor`] inside the object.

use seqc_formats::Encoding;
use serde::{Deserialize, Serialize};

pub mod batch;
pub mod decoding;
mod family;
mod level;
pub mod machine;

pub use family::Family;
pub use level::{Entry, Level, Products, Row};

/// Names of the symbols shared by generated code and the runtime.
pub mod symbols {
    use super::Level;

    /// Exported by generated code: a table of [`Row`](super::Row), one for each [`Level`] that there is code for, the least first.
    pub const CODE: &str = "seqc_code";
    /// Number of its rows, a `u64`.
    pub const CODE_LEN: &str = "seqc_code_len";
    /// Exported by the runtime: `extern "C" fn(barrier: *mut u8, tid: i64, threads: i64)`.
    pub const BARRIER: &str = "seqc_barrier";
    /// Of devices, where members of a block meet: `fn(barrier, tid, threads)` with the arguments of [`BARRIER`].
    pub const BLOCK_BARRIER: &str = "seqc_block_barrier";
    /// Of devices, the memory of a block: the same arguments, and its address.
    pub const BLOCK_MEMORY: &str = "seqc_block_memory";

    /// Exported by what is generated for a device: its code, a text that ends with a zero byte.
    pub const DEVICE_CODE: &str = "seqc_device_code";
    /// Its length without that byte, a `u64`.
    pub const DEVICE_CODE_LEN: &str = "seqc_device_code_len";
    /// Exported by a runtime for devices: `extern "C" fn(code: *const u8, length: u64, kernel: *const c_char, frame: *const u64)`, which entries call.
    pub const LAUNCH: &str = "seqc_launch";

    /// JSON bytes of the [`Descriptor`](super::Descriptor) of the code for a level.
    pub fn descriptor(level: Level) -> String {
        format!("seqc_descriptor_v{}", level.number())
    }

    /// The load-time stage for a level, an [`Entry`](super::Entry).
    pub fn load(level: Level) -> String {
        format!("seqc_load_v{}", level.number())
    }

    /// One chunk for a level, an [`Entry`](super::Entry).
    pub fn step(level: Level) -> String {
        format!("seqc_step_v{}", level.number())
    }
}

/// The frame: an array of 64-bit slots that the runtime fills before every call of a step. Pointers in it, and in all tables that it leads
/// to, take such a slot on every machine. Where a pointer has 32 bits, it is the lower half of its slot, and nobody reads the upper one. All threads of the
/// pool call the same generated function with the same frame and their own `tid` (SPMD); generated
/// code divides the work by `tid` and meets at `seqc_barrier`.
pub mod frame {
    /// `*const *const u8`: one pointer per [`ParamSlot`](super::ParamSlot), in order.
    pub const PARAMS: usize = 0;
    /// `*mut u8`: the load-time arena, [`Descriptor::constant_bytes`](super::Descriptor::constant_bytes).
    pub const CONSTANTS: usize = 1;
    /// `*mut u8`: activations, [`Descriptor::arena_bytes`](super::Descriptor::arena_bytes), 64-byte aligned.
    pub const ARENA: usize = 2;
    /// `*const *mut u8`: one pointer per output stream, a row for each wanted one of this step.
    pub const OUTPUTS: usize = 3;
    /// `*mut u8`: `threads * scratch_bytes`, 64-byte aligned.
    pub const SCRATCH: usize = 4;
    /// `*mut u8`: passed back to `seqc_barrier`.
    pub const BARRIER: usize = 5;
    /// `i64`: calls of layers to leave out at the beginning of the step; 0 but for [`Descriptor::calls`](super::Descriptor::calls) and
    /// [`Memory::calls`](super::Memory::calls).
    pub const SKIP_FIRST: usize = 6;
    /// `i64`: calls of layers to leave out at its end.
    pub const SKIP_LAST: usize = 7;
    /// The first slot of [`rows`] for all rows of the step: 1 up to [`Descriptor::max_chunk`](super::Descriptor::max_chunk); of
    /// several segments, see [`Descriptor::padding`](super::Descriptor::padding).
    pub const ALL: usize = 8;
    /// The first slot of [`rows`] for those whose outputs are wanted.
    pub const WANTED: usize = ALL + rows::SLOTS;
    /// `*mut Decoding` ([`Decoding`](crate::decoding::Decoding)) of a step that reads several tokens ([`Descriptor::sampled`](super::Descriptor::sampled)); null: of any other.
    pub const DECODING: usize = WANTED + rows::SLOTS;
    /// Number of slots.
    pub const SLOTS: usize = DECODING + 1;

    /// Slots for some rows of a step.
    pub mod rows {
        /// `i64`: how many they are.
        pub const COUNT: usize = 0;
        /// `*const Row`: [`Rows::rows`](crate::batch::Rows::rows).
        pub const TABLE: usize = 1;
        /// `*const *const u8`: one pointer per input stream, to its rows.
        pub const INPUTS: usize = 2;
        /// `i64`: how many segments.
        pub const SEGMENTS: usize = 3;
        /// `*const Segment`: [`Rows::segments`](crate::batch::Rows::segments).
        pub const SEGMENT_TABLE: usize = 4;
        /// `i64`: how many runs.
        pub const RUNS: usize = 5;
        /// `*const Run`: [`Rows::runs`](crate::batch::Rows::runs).
        pub const RUN_TABLE: usize = 6;
        /// Number of slots.
        pub const SLOTS: usize = 7;
    }
}

/// What kernels of devices and the runtime that starts them agree on.
pub mod device {
    /// Threads of a member of the team: a warp, whose threads multiply matrices together.
    pub const MEMBER_THREADS: usize = 32;
    /// Members of a block, which share memory: those of consecutive numbers, fewer in the last one of a team that is no multiple.
    pub const BLOCK_MEMBERS: usize = 8;
    /// Bytes of that memory: three quarters of what compute capability 8.0 has, and less than the 99 KiB of 8.6 and 8.9.
    pub const SHARED_BYTES: usize = 96 << 10;
    /// Bytes of a member's stack.
    pub const STACK_BYTES: usize = 256 << 10;
}

/// Keys per page of an attention cache.
pub const PAGE_TOKENS: usize = 64;

/// Element type of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Elem {
    /// 32-bit float vectors.
    F32,
    /// 64-bit integers: token ids, document ids, positions.
    I64,
}

/// [`Descriptor::together`] of models whose tokens are by themselves.
fn alone() -> usize {
    1
}

/// Everything the runtime knows about the model it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// [`Descriptor::VERSION`].
    pub version: u32,
    /// The model's name.
    pub model: String,
    /// Hash of specification, target and tool version, in hexadecimal.
    pub hash: String,
    /// Version of the tool that built the program.
    pub tool: String,
    /// Processor that the code was generated for.
    pub target: String,
    /// Checkpoint to map when `--weights` is not given: a safetensors file, a directory of them, or a GGUF file. The path
    /// is seen from the program's folder, or absolute where the user named it so.
    pub weights: Option<String>,
    /// Seed of random weights, for a model without a checkpoint: uniform in ±sqrt(3 / n), at most ±1, where `n` is the
    /// size of a parameter's last axis. Parameters with equal first tensor names (or paths) get equal values.
    #[serde(default)]
    pub random: Option<u64>,
    /// `tokenizer.json`, a directory that holds one, or a GGUF file; a path as that of the weights.
    pub tokenizer: Option<String>,
    /// Whether weights and tokenizer lie inside the program, behind its code: their paths are then names there.
    #[serde(default)]
    pub inside: bool,
    /// Whether what a sequence carries depends on where its prompt ends ([`batch::Segment::prompt`]): caches that are cut or stored anew
    /// there. What is computed before a prompt's last token does not depend on where that is.
    #[serde(default)]
    pub prompt_matters: bool,
    /// Tokens of a prompt whose queries choose together what they see: from each position on that is a multiple of it, so many are read in
    /// one chunk, or those up to the prompt's end. 1 where each is by itself.
    #[serde(default = "alone")]
    pub together: usize,
    /// Caches from which entries leave, and where it is noted which are there.
    #[serde(default)]
    pub evictions: Vec<Evictions>,
    /// What queries choose of caches, and where it is noted what they chose last.
    #[serde(default)]
    pub choices: Vec<Choices>,
    /// How many ticks parts of the model have had that run at some tokens only: at most as many as tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticks: Vec<Word>,
    /// False for a model that looks ahead: the whole input is one chunk, there is no decode step.
    pub causal: bool,
    /// Ids of tokens that end a text, beside those that the tokenizer names.
    #[serde(default)]
    pub ends: Vec<i64>,
    /// Longest context that the model admits, when it says one.
    pub max_context: Option<usize>,
    /// Tokens of the longest sequences that the model was trained on, where that is known. It reads longer ones.
    #[serde(default)]
    pub trained_length: Option<usize>,
    /// Input streams, in frame order.
    pub inputs: Vec<Stream>,
    /// What is read of another sequence before the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Output streams, in frame order.
    pub outputs: Vec<Stream>,
    /// Parameters, in frame order.
    pub params: Vec<ParamSlot>,
    /// State entries, in frame order.
    pub states: Vec<StateSlot>,
    /// Calls of layers, in the order of the step: where each leaves what it computed, until the next call runs.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// Whether the threads meet at every token of a chunk: in recurrences that go token by token.
    #[serde(default)]
    pub token_loops: bool,
    /// Bytes of the load-time arena.
    pub constant_bytes: usize,
    /// Bytes of the activation arena for a chunk of `max_chunk` tokens.
    pub arena_bytes: usize,
    /// Longest chunk the generated code takes. For a model that is not causal: the longest input.
    pub max_chunk: usize,
    /// Rows that buffers need in front of each further segment of a step, for rows of earlier tokens: rows of a step, and
    /// these for all of its segments but one, are at most `max_chunk`.
    pub padding: usize,
    /// Bytes of scratch for each thread.
    pub scratch_bytes: usize,
    /// The output by whose rows steps choose tokens, where they do: one step then reads several tokens ([`decoding`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<usize>,
}

impl Descriptor {
    /// The version of this structure and of the tables of a step: generated code of another version than the runtime's is refused.
    /// Version 2: segments say where their prompts end.
    pub const VERSION: u32 = 2;
}

/// Another sequence, whose rows are all read by one step before the first token: the step of [`Memory::calls`], with as many rows, of which no
/// output is wanted. What it leaves in entries of [`StateOf::Memory`] is read by the steps of tokens, which leave these calls out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Input streams, in frame order behind those of tokens.
    pub inputs: Vec<Stream>,
    /// How many of the first calls of the step are those of the memory.
    pub calls: usize,
    /// Ids that the tokens of a sequence begin with, where no others are given.
    pub start: Vec<i64>,
    /// Most rows, where a table of the model says it. [`Descriptor::max_chunk`] are there at least.
    pub longest: Option<usize>,
}

/// What a state entry belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateOf {
    /// The tokens that a sequence has read.
    #[default]
    Tokens,
    /// The rows of the memory: it is filled when they are read, and only read afterwards.
    Memory,
    /// The calls that read the memory: nothing needs it behind that step.
    Source,
}

impl StateOf {
    /// Whether it is what most entries belong to.
    pub fn is_tokens(&self) -> bool {
        *self == StateOf::Tokens
    }
}

/// A cache from which entries leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evictions {
    /// Name of the report of which tokens are kept: `trace.layers.3.attention.kept`.
    pub name: String,
    /// Key heads, each of which has a list of its own.
    pub heads: usize,
    /// Number of the state entry with the positions of the entries' tokens: pages of `[heads][PAGE_TOKENS]` f32.
    pub positions: usize,
    /// How many entries the first key head has.
    pub count: Word,
    /// Words from the number of one key head to that of the next.
    pub stride: usize,
}

/// Blocks of a cache's entries of which queries choose some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// Name of the report of which tokens are in chosen blocks: `trace.layers.3.attention.chosen`.
    pub name: String,
    /// Query heads, each of which chooses for itself.
    pub heads: usize,
    /// Number of the state entry with numbers of blocks, not 0 where one is chosen: pages of `[heads][PAGE_TOKENS]` f32.
    pub flags: usize,
    /// How many blocks there were to choose from.
    pub blocks: Word,
    /// Position of the first block's first token.
    pub first: usize,
    /// Tokens of a block.
    pub size: usize,
}

/// One input or output stream of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Name: `tokens`, `x`, `logits`, `hidden`, `y`, …
    pub name: String,
    /// Shape of one token's value; empty for a scalar such as a token id.
    pub shape: Vec<usize>,
    /// Element type.
    pub elem: Elem,
    /// For integers that index a table: the number of its rows. The runtime refuses others than `0..vocab`.
    #[serde(default)]
    pub vocab: Option<usize>,
}

/// One call of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Layer instance: `layers.3.mamba`.
    pub layer: String,
    /// Rows of f32 vectors that it computes.
    pub results: Vec<Rows>,
}

/// Rows of one stream, one for each token of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Where the first row is.
    pub at: RowsAt,
    /// Entries of a row.
    pub width: usize,
}

/// Where rows begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsAt {
    /// At this byte of the activation arena.
    Arena(usize),
    /// At the rows of this output.
    Output(usize),
}

/// One parameter of one layer instance: where it is in a checkpoint and how generated code reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamSlot {
    /// Path for messages: `layers.3.attention.q_proj`.
    pub name: String,
    /// Tensor names in the checkpoint. More than one: stacked along a new first axis, in order.
    pub tensors: Vec<String>,
    /// Shape. A checkpoint tensor may have extra axes of size 1; order and other sizes must agree.
    pub shape: Vec<usize>,
    /// Encoding that the generated code reads. A checkpoint that stores another type is an error,
    /// except where `convert` is set.
    pub encoding: Encoding,
    /// The runtime converts whatever the checkpoint stores to `encoding` (always f32 then) at load time.
    /// Otherwise the mapped bytes are used where they lie.
    pub convert: bool,
}

/// One entry of the state manifest: what a sequence carries from one chunk to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateSlot {
    /// Entry name inside the layer: `h`, `attend.k`, `u.history`, …
    pub name: String,
    /// Layer instance: `layers.3.mamba`.
    pub layer: String,
    /// Logical shape. The entry `tokens` axis of a growing state is not part of it.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub encoding: Encoding,
    /// How it is laid out and grows.
    pub kind: StateKind,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "StateOf::is_tokens")]
    pub of: StateOf,
    /// Closed form of the number of kept tokens or bytes in the context length `T`, for people.
    pub bound: String,
}

/// Size and growth of a state entry. All state starts as zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "grows", rename_all = "snake_case")]
pub enum StateKind {
    /// Constant size, overwritten by every step.
    Fixed {
        /// Bytes.
        bytes: usize,
    },
    /// The memory of another entry, which belongs to an earlier layer: two layers read one cache.
    Shared {
        /// Number of that entry.
        with: usize,
    },
    /// One piece that grows with the sequence: of `page_bytes` for each [`PAGE_TOKENS`] tokens, until there are `pages` of them.
    Bounded {
        /// Bytes by which it grows.
        page_bytes: usize,
        /// How often.
        pages: usize,
    },
    /// Appended to: pages of [`PAGE_TOKENS`] tokens of `page_bytes` each, that lie anywhere. The frame's pointer leads to a table
    /// with one pointer per page. Token `j` is in page `p = j / PAGE_TOKENS` when `p < pinned` or no ring is given, else in
    /// page `pinned + (p - pinned) % pages`. The runtime provides pages for all tokens of a segment before the step, and
    /// those that are written belong to this sequence alone; others may be shared with sequences that began alike.
    Pages {
        /// Bytes of a page.
        page_bytes: usize,
        /// Pages before the ring: the first tokens of the sequence, kept for good.
        #[serde(default)]
        pinned: usize,
        /// Pages of the ring; `None`: grows with the context.
        pages: Option<usize>,
        /// Where not all tokens of the sequence are kept, or only some were appended: the number of those that are there. Tokens `j`
        /// above are then these. `None`: all tokens are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<Word>,
        /// Whether generated code writes any of the tokens, not only those that it appends, and may lower their number. All pages
        /// belong to this sequence alone before a step, which has room for all tokens of the segment behind those that are there;
        /// pages behind those that are there after it are given back.
        #[serde(default, skip_serializing_if = "is_false")]
        rewritten: bool,
        /// Tokens below this number are not read any more: pages behind the pinned ones that hold no others are given back after a
        /// step, and their places in the table are null. The number never falls. Not with a ring.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<Word>,
    },
}

/// A number in another state entry, one of constant size: 64 bits, little-endian. It is zero before the first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Number of the entry.
    pub entry: usize,
    /// Which of its words.
    pub word: usize,
}

fn is_false(value: &bool) -> bool {
    !value
}
