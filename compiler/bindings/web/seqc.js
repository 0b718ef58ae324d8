// A model in a browser or in Node.js: `const model = await load()`, `const session = model.session()`,
// `for await (const part of session.generate({messages}))`.

import { bytesOf, fetchFile } from './files.js';
import { Exit, Host } from './wasi.js';

/** Sizes and places of the structures of the C interface, with pointers of 32 bits. */
const TOKEN = { size: 56, token: 8, text: 16, length: 20, end: 24, logprob: 32 };

/** What went wrong, as the model says it. */
export class ModelError extends Error {}

/** Gives the page a turn: for what it draws, and for input. */
const turn = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });

async function compile(url) {
  if (url.protocol !== 'file:') {
    try {
      return await WebAssembly.compileStreaming(fetch(url));
    } catch {
      // Some servers call it by another type, which streaming refuses.
    }
  }
  return WebAssembly.compile(await bytesOf(url));
}

/** Bytes of the user's as pieces of a file. */
async function piecesOf(weights) {
  if (weights instanceof Blob) return [new Uint8Array(await weights.arrayBuffer())];
  return [weights instanceof ArrayBuffer ? new Uint8Array(weights) : weights];
}

/**
 * Loads the model of a folder that `seqc build --emit web` made. The folder is that of this module, or `base`; `weights` are the bytes of a checkpoint
 * instead of the folder's.
 */
export async function load({ base = new URL('.', import.meta.url), weights, progress = () => {}, cache = true } = {}) {
  const folder = new URL(base, globalThis.location?.href ?? import.meta.url);
  const about = JSON.parse(new TextDecoder().decode(await bytesOf(new URL('model.json', folder))));
  const compiled = compile(new URL('model.wasm', folder));
  // Should a file fail first, that is what is told.
  compiled.catch(() => {});
  const files = new Map();
  const given = weights && (await piecesOf(weights));
  const wanted = about.files.filter((file) => !(given && file.name === about.weights));
  const total = wanted.reduce((sum, file) => sum + file.bytes, 0);
  let loaded = 0, kept = 0;
  for (const file of wanted) {
    const more = (bytes, wasKept) => {
      loaded += bytes;
      kept += wasKept ? bytes : 0;
      progress({ loaded, kept, total });
    };
    files.set(file.name, await fetchFile(folder, file, { progress: more, cache }));
  }
  if (given) files.set(about.weights, given);
  const module = await compiled;
  const host = new Host(files);
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: host.imports(module) });
  host.attach(instance);
  await turn();
  const model = new Model(instance.exports, given ? about.weights : undefined);
  try {
    // The tokenizer, which may be part of the checkpoint, is read where it is first used.
    model.tokenize('');
  } catch {
    // Whoever uses it is told why it cannot be.
  }
  // Weights lie in the memory of the module now.
  [...files.keys()].filter((name) => name.startsWith('weights/')).forEach((name) => files.delete(name));
  return model;
}

/** The exports of a module, with texts and lists for its pointers. */
class Calls {
  constructor(exports) {
    this.exports = exports;
    this.dead = undefined;
  }

  /** Calls a function. After a trap the memory means nothing any more, and every call fails. */
  call(name, ...args) {
    if (this.dead) throw this.dead;
    try {
      return this.exports[name](...args);
    } catch (error) {
      const why = error instanceof Exit ? error.message : `the module failed: ${error}`;
      this.dead = new ModelError(`${why}; load it again`);
      throw this.dead;
    }
  }

  get view() {
    return new DataView(this.exports.memory.buffer);
  }

  /** Runs `body` with copies of some bytes each, which end with a zero. */
  with(pieces, body) {
    const places = pieces.map((piece) => {
      const at = this.call('malloc', piece.length + 8) >>> 0;
      if (at === 0) throw new ModelError('too little memory');
      const to = new Uint8Array(this.exports.memory.buffer, at, piece.length + 8);
      to.set(piece);
      to.fill(0, piece.length);
      return at;
    });
    try {
      return body(...places);
    } finally {
      if (!this.dead) places.forEach((at) => this.call('seqc_free', at));
    }
  }

  withText(text, body) {
    const bytes = new TextEncoder().encode(text);
    return this.with([bytes], (at) => body(at, bytes.length));
  }

  /** The text at a pointer, up to its zero. */
  text(at) {
    const bytes = new Uint8Array(this.exports.memory.buffer, at >>> 0);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }

  pointer(at) {
    return this.view.getUint32(at, true);
  }

  /** The error of a call that did not give 0. */
  check(status) {
    if (status !== 0) throw new ModelError(this.text(this.call('seqc_error')));
  }

  /** What a function gives through a pointer to something and its length: `of(pointer, length)`. */
  given(call, of) {
    return this.with([new Uint8Array(16)], (places) => {
      this.check(call(places, places + 4));
      const [at, length] = [this.pointer(places), this.pointer(places + 4)];
      try {
        return of(at, length);
      } finally {
        this.call('seqc_free', at);
      }
    });
  }

  tokens(call) {
    return this.given(call, (at, count) =>
      Array.from(new BigInt64Array(this.exports.memory.buffer.slice(at, at + 8 * count)), Number));
  }
}

const bytesOfTokens = (tokens) => new Uint8Array(BigInt64Array.from(tokens, BigInt).buffer);

/** A model with its weights. */
class Model {
  constructor(exports, weights) {
    this.calls = new Calls(exports);
    this.calls.call('_initialize');
    const path = weights === undefined ? '' : `/${weights}`;
    this.at = this.calls.withText(path, (at) => this.calls.call('seqc_model_open', weights === undefined ? 0 : at, 1));
    if (this.at === 0) this.calls.check(1);
  }

  /** Its name. */
  get name() {
    return this.calls.text(this.calls.call('seqc_model_name', this.at));
  }

  /** Number of tokens that it knows. */
  get vocab() {
    return this.calls.call('seqc_model_vocab', this.at);
  }

  /** The tokens of a text; `start`: with those that the tokenizer puts before one. */
  tokenize(text, start = true) {
    return this.calls.withText(text, (at, length) =>
      this.calls.tokens((to, count) => this.calls.call('seqc_tokenize', this.at, at, length, start ? 1 : 0, to, count)));
  }

  /** The text of tokens. */
  detokenize(tokens) {
    return this.calls.with([bytesOfTokens(tokens)], (at) =>
      this.calls.given(
        (to, length) => this.calls.call('seqc_detokenize', this.at, at, tokens.length, to, length),
        (text) => this.calls.text(text)));
  }

  /** A sequence, before its first token. */
  session() {
    const at = this.calls.call('seqc_session_new', this.at);
    if (at === 0) this.calls.check(1);
    return new Session(this, at);
  }

  /** Gives its memory back. Sessions go on. */
  free() {
    if (this.at !== 0) this.calls.call('seqc_model_free', this.at);
    this.at = 0;
  }
}

/** One sequence. */
class Session {
  constructor(model, at) {
    this.model = model;
    this.calls = model.calls;
    this.at = at;
  }

  call(name, ...args) {
    if (this.at === 0) throw new ModelError('the session was freed');
    return this.calls.call(`seqc_session_${name}`, this.at, ...args);
  }

  check(status) {
    if (status !== 0) throw new ModelError(this.calls.text(this.call('error')));
  }

  /** How many tokens were read. */
  get position() {
    return Number(this.call('position'));
  }

  /** The tokens that were read. */
  get tokens() {
    return this.calls.tokens((to, count) => this.call('tokens', to, count));
  }

  /** Reads tokens, or the tokens of a text. */
  feed(input) {
    const tokens = typeof input === 'string' ? this.model.tokenize(input, this.position === 0) : input;
    this.calls.with([bytesOfTokens(tokens)], (at) => this.check(this.call('feed', at, tokens.length)));
  }

  /** Logits after the last token. */
  logits() {
    return this.calls.with([new Uint8Array(8)], (length) => {
      const at = this.call('logits', length) >>> 0;
      if (at === 0) this.check(1);
      return new Float32Array(this.calls.exports.memory.buffer.slice(at, at + 4 * this.calls.pointer(length)));
    });
  }

  /** The parts of an answer to a request, as the server takes it: `{messages}` or `{prompt}`, `max_tokens`, `temperature`, … The page has a turn between them. */
  async *generate(request = {}) {
    this.calls.withText(JSON.stringify(request), (at) => this.check(this.call('start', at, 0)));
    for (;;) {
      await turn();
      const part = this.next();
      yield part;
      if (part.end !== undefined) return;
    }
  }

  /** The next part of the answer that was begun last. */
  next() {
    return this.calls.with([new Uint8Array(TOKEN.size)], (at) => {
      this.calls.view.setUint32(at, TOKEN.size, true);
      this.check(this.call('next', at));
      const view = this.calls.view;
      const text = new Uint8Array(view.buffer, view.getUint32(at + TOKEN.text, true), view.getUint32(at + TOKEN.length, true));
      const end = view.getUint32(at + TOKEN.end, true);
      const token = Number(view.getBigInt64(at + TOKEN.token, true));
      return {
        token: token < 0 ? undefined : token,
        text: new TextDecoder().decode(text.slice()),
        end: end === 0 ? undefined : this.calls.text(end),
        logprob: view.getFloat64(at + TOKEN.logprob, true),
      };
    });
  }

  /** A session that goes on from the same place; what was read is shared. */
  fork() {
    const at = this.call('fork');
    if (at === 0) this.check(1);
    return new Session(this.model, at);
  }

  /** Begins anew, before the first token. */
  reset() {
    this.check(this.call('reset'));
  }

  /** Forgets what came after so many tokens. */
  truncate(position) {
    this.check(this.call('truncate', BigInt(position)));
  }

  /** What the session carries, as bytes. */
  save() {
    return this.calls.given(
      (to, size) => this.call('save_memory', to, size),
      (at, size) => new Uint8Array(this.calls.exports.memory.buffer.slice(at, at + size)));
  }

  /** Goes on from what a session saved, of the same model with the same weights. */
  restore(bytes) {
    this.calls.with([bytes], (at) => this.check(this.call('load_memory', at, bytes.length)));
  }

  /** Gives its memory back. */
  free() {
    if (this.at !== 0) this.call('free');
    this.at = 0;
  }
}
