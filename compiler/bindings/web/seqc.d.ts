/** What went wrong, as the model says it. */
export class ModelError extends Error {}

/** How far loading has come, in bytes. */
export interface Progress {
  loaded: number;
  /** Those that the browser had kept. */
  kept: number;
  total: number;
}

export interface LoadOptions {
  /** The folder of the model; default: that of this module. */
  base?: string | URL;
  /** A checkpoint instead of the folder's. */
  weights?: Blob | ArrayBuffer | Uint8Array;
  /** Called as files come. */
  progress?: (progress: Progress) => void;
  /** Whether the browser keeps files for the next time; default: true. */
  cache?: boolean;
}

/** Loads the model of a folder that `seqc build --emit web` made. */
export function load(options?: LoadOptions): Promise<Model>;

/** A message of a conversation. */
export interface Message {
  role: 'system' | 'user' | 'assistant' | string;
  content: string;
}

/** What is to be generated; fields and defaults are those of the server's requests. */
export interface Request {
  /** A conversation to answer. */
  messages?: Message[];
  /** A text, or tokens, to continue. Without messages and prompt the session goes on from where it is. */
  prompt?: string | number[];
  max_tokens?: number;
  temperature?: number;
  top_k?: number;
  top_p?: number;
  min_p?: number;
  repetition_penalty?: number;
  seed?: number;
  stop?: string | string[];
  ignore_eos?: boolean;
  [field: string]: unknown;
}

/** A part of an answer. */
export interface Part {
  /** The token; none in the last part. */
  token?: number;
  /** The characters that are certain now. */
  text: string;
  /** In the last part, why the answer is over: `length`, `context`, `end`, `stop`. */
  end?: string;
  /** Natural logarithm of the token's probability, where the request says `logprobs`. */
  logprob: number;
}

/** A model with its weights. */
export interface Model {
  readonly name: string;
  readonly vocab: number;
  tokenize(text: string, start?: boolean): number[];
  detokenize(tokens: number[]): string;
  /** A sequence, before its first token. */
  session(): Session;
  free(): void;
}

/** One sequence. */
export interface Session {
  /** How many tokens were read. */
  readonly position: number;
  readonly tokens: number[];
  /** Reads tokens, or the tokens of a text. */
  feed(input: number[] | string): void;
  /** Logits after the last token. */
  logits(): Float32Array;
  /** The parts of an answer. */
  generate(request?: Request): AsyncIterableIterator<Part>;
  /** A session that goes on from the same place. */
  fork(): Session;
  /** Begins anew, before the first token. */
  reset(): void;
  /** Forgets what came after so many tokens. */
  truncate(position: number): void;
  /** What the session carries. */
  save(): Uint8Array;
  /** Goes on from what a session saved, of the same model with the same weights. */
  restore(bytes: Uint8Array): void;
  free(): void;
}
