/* A compiled model inside a program of yours: the C interface of libraries that `seqc build --emit lib` makes.
 *
 * A model is opened once; sessions of it are sequences of tokens that it reads. Sessions share weights and threads, and nothing
 * else. docs/embedding.md explains the interface with examples in C, Rust and Python.
 *
 * Errors. Functions return a status or, where they make something, NULL. What was wrong is told by the object that the call was
 *   about: `seqc_session_error`, `seqc_decoder_error`, `seqc_sampler_error`, `seqc_model_error`; by `seqc_error` where there is
 *   none. Such a text stays as it is until the next call with that object that fails; that an object is in use, by another thread or
 *   by the call whose callback this is, is told by `seqc_error` alone. Wrong input never ends the program:
 *   objects are as before, unless a function says otherwise. NULL is allowed for every object, and is an error, 1, or nothing to be freed.
 * Ownership. What a function returns by a pointer to a pointer is the caller's, to be given to `seqc_free`; all other pointers
 *   belong to the object that was asked and are valid as long as the function says. Objects keep their model: the order in which they are freed does
 *   not matter. The library keeps no pointer of the caller's after a call.
 * Threads. Every function may be called by every thread. A model is used by any number of threads at once. A session,
 *   a decoder or a sampler does one thing at a time: a call that comes while another one runs fails with 1 and changes nothing. A callback runs in the
 *   thread of the call, which holds no lock of the model's: it may use other sessions, not its own.
 *   Steps of a model take turns, in the order in which they are asked for, since each uses all threads of the model: a session that reads
 *   a long prompt gives way after every chunk. `seqc_feed` reads for several sessions in one step. Tokenizing,
 *   templates, sampling, saving and loading run at once.
 * Texts are UTF-8. Paths are bytes as the system has them. Sizes of memory are bytes, positions and counts are tokens. */
#ifndef SEQC_H
#define SEQC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Number of this interface. Another number: programs must be compiled anew. Functions, and fields at the end of structures that
 * begin with their `size`, are added without. */
#define SEQC_ABI 1

/* How a call ended. */
enum {
    SEQC_OK = 0,
    SEQC_INPUT = 1,   /* wrong input: files, tokens, requests, or an object that is in use */
    SEQC_FAILED = 2,  /* the system refused: memory, disk, threads; or a bug of the library, which the text then says */
    SEQC_STOPPED = 3  /* a callback asked to stop */
};

typedef struct seqc_model seqc_model;
typedef struct seqc_session seqc_session;
typedef struct seqc_decoder seqc_decoder;
typedef struct seqc_sampler seqc_sampler;

/* Version of the tool that made the library, "1.2.3"; lasts. */
const char *seqc_version(void);
/* The number of the library's interface, to be compared with SEQC_ABI. */
uint32_t seqc_abi(void);
/* What went wrong in the last call of this thread that failed, whatever it was about. Never NULL; valid until the next call of
 * this thread that fails. */
const char *seqc_error(void);
/* Frees what a function gave to the caller. NULL is allowed. */
void seqc_free(void *memory);

/* Models ------------------------------------------------------------------------------------------------------------- */

typedef struct seqc_options {
    size_t size;           /* sizeof(seqc_options) */
    uint32_t abi;          /* SEQC_ABI; a library of another interface refuses to open */
    uint32_t device;       /* number of the GPU in libraries for CUDA, which the first model chooses for all; 0 in others */
    const char *weights;   /* a checkpoint, or a folder of one; NULL: that which the model names */
    const char *tokenizer; /* a tokenizer.json, a GGUF file, or a folder; NULL: that which the model names */
    size_t threads;        /* that compute; 0: one for each core, or one in all for a small model */
    const char *cache_file; /* a folder of a disk: what attention caches lies in a file without a name there; NULL: in memory */
    size_t cache_resident; /* bytes of that file that are in memory, at least 16 MiB; 0: 1 GiB */
} seqc_options;

#define SEQC_OPTIONS_INIT {sizeof(seqc_options), SEQC_ABI, 0, NULL, NULL, 0, NULL, 0}

/* Opens the model of this library: maps the weights, starts threads. What the model names is looked for as it is named
 * from the library's folder, then beside the library (of a static library: the program's). A library with its weights inside needs no
 * file. NULL on failure, with the reason in `seqc_error`. */
seqc_model *seqc_model_open_with(const seqc_options *options);
/* The same with two options. */
seqc_model *seqc_model_open(const char *weights, size_t threads);
/* Sessions and others go on with their model. */
void seqc_model_free(seqc_model *model);
/* What went wrong in the last call with this model that failed in this thread; "" before. Valid until the next such call. */
const char *seqc_model_error(const seqc_model *model);

/* The model's name, and a hash of the model as it was compiled, 32 hexadecimal digits; valid as long as the model. "" for NULL. */
const char *seqc_model_name(const seqc_model *model);
const char *seqc_model_hash(const seqc_model *model);
/* Number of tokens that the model knows, 0 if it reads no tokens. */
size_t seqc_model_vocab(const seqc_model *model);
/* The most tokens of a sequence, UINT64_MAX if there is no limit. */
uint64_t seqc_model_context(const seqc_model *model);
/* 1 if a sequence can be read in parts; 0 for a model that looks ahead, which reads each at once. */
int seqc_model_causal(const seqc_model *model);
/* Threads that compute. */
size_t seqc_model_threads(const seqc_model *model);

typedef struct seqc_model_bytes {
    size_t size;        /* sizeof(seqc_model_bytes) */
    uint64_t weights;   /* parameters, most of them mapped from the checkpoint and shared with other processes */
    uint64_t constants; /* computed from them once */
    uint64_t steps;     /* for the activations of a step: reserved, in use as far as steps were long */
} seqc_model_bytes;

/* Memory that all sessions share. */
int seqc_model_memory(const seqc_model *model, seqc_model_bytes *bytes);

/* Gives the model a program that drafts for its sessions: that of a smaller model with the same tokenizer, which `seqc build` made. It runs as a process
 * of its own, for all sessions, until the model gets another one or none, NULL, and answers that use it are over. Answers for which a request says
 * "draft" use it. A program that does not draft or has other tokens is refused; one that fails later drafts no more, and answers go on
 * without. Waits until the program is ready. */
int seqc_model_set_draft(const seqc_model *model, const char *path);

typedef struct seqc_drafts {
    size_t size;         /* sizeof(seqc_drafts) */
    uint64_t drafted;    /* tokens of drafts that were read */
    uint64_t accepted;   /* those of them that the model chose */
    const char *failure; /* NULL, or why the program drafts no more; valid as long as the model */
} seqc_drafts;

/* What became of the drafts of that program; an error, 1, if there is none. */
int seqc_model_drafts(const seqc_model *model, seqc_drafts *drafts);

/* Streams: what a model reads and gives, a row for each token ---------------------------------------------------------- */

/* Types of elements. */
enum {
    SEQC_F32 = 1, /* float */
    SEQC_I64 = 2  /* int64_t */
};

typedef struct seqc_stream {
    size_t size;         /* sizeof(seqc_stream) */
    const char *name;    /* "tokens", "logits", ... */
    int32_t type;        /* SEQC_F32 or SEQC_I64 */
    int32_t reserved;
    size_t width;        /* elements of a row: the product of `shape` */
    size_t dimensions;   /* 0: one number */
    const size_t *shape;
    size_t vocab;        /* where integers are ids: they are below this; 0 otherwise */
} seqc_stream;

size_t seqc_model_inputs(const seqc_model *model);
size_t seqc_model_outputs(const seqc_model *model);
/* Describes an input or output, numbered from 0. Pointers in `stream` are valid as long as the model. */
int seqc_model_input(const seqc_model *model, size_t number, seqc_stream *stream);
int seqc_model_output(const seqc_model *model, size_t number, seqc_stream *stream);

/* Sources: what the encoder of a model reads, another sequence than that of its tokens ------------------------------------ */

/* Streams that the encoder reads, a row of each for each row of a source. 0: the model has no encoder. */
size_t seqc_model_sources(const seqc_model *model);
/* Describes one, as `seqc_model_input` does. */
int seqc_model_source(const seqc_model *model, size_t number, seqc_stream *stream);
/* The most rows of a source, 0 without an encoder. */
uint64_t seqc_model_source_rows(const seqc_model *model);
/* Tokens that sequences behind the encoder begin with, none where the model does not say; valid as long as the model. An answer without a prompt
 * begins with them, and they come before the text of a request. Who feeds tokens feeds these first. NULL on failure. */
const int64_t *seqc_model_start(const seqc_model *model, size_t *count);

/* Sessions: sequences ---------------------------------------------------------------------------------------------------- */

/* A sequence of no tokens yet. */
seqc_session *seqc_session_new(const seqc_model *model);
void seqc_session_free(seqc_session *session);
/* What went wrong in the last call with this session that failed; "" before. Valid until the next such call. */
const char *seqc_session_error(const seqc_session *session);
/* Forgets everything read, but for a source. */
int seqc_session_reset(seqc_session *session);
/* Tokens read so far; 0 while another call runs. */
uint64_t seqc_session_position(const seqc_session *session);
/* The tokens read so far, of a model that reads tokens. */
int seqc_session_tokens(const seqc_session *session, int64_t **tokens, size_t *count);

/* Reads the source of a model with an encoder, whose source is tokens: whole, once, before the first token. A source that was read before is
 * forgotten; after a token it is an error, 1, and so is a token before the source. Forks and saved sessions have the source. */
int seqc_session_source(seqc_session *session, const int64_t *tokens, size_t count);
/* The same for any streams: `rows` rows of each source of the model, in order. */
int seqc_session_source_input(seqc_session *session, const void *const *inputs, size_t rows);
/* Rows of the source that was read; 0 before, and while another call runs. */
uint64_t seqc_session_source_rows(const seqc_session *session);

/* Reads tokens that follow those before. Logits that are not finite are an error, 1: the message names the first layer
 * whose output is not. The tokens then count as read, and there are no logits. */
int seqc_session_feed(seqc_session *session, const int64_t *tokens, size_t count);
/* Logits of every token that may follow the last one; `length` receives their number. Valid until the next call
 * with this session. NULL before the first token, of models without logits, and where the sequence was cut at a token whose logits were not kept. */
const float *seqc_session_logits(const seqc_session *session, size_t *length);

/* Says that the prompt ends after `tokens` more tokens. Caches that are cut or stored anew at the end of a prompt are so there; for
 * other models nothing depends on it. It is said before the last of these tokens is read. Requests with a prompt of their own say it
 * themselves; otherwise all tokens that are fed belong to a prompt that goes on, and those of an answer do not. */
int seqc_session_end_prompt(seqc_session *session, uint64_t tokens);

/* A copy that goes on by itself. Pages of caches are shared until one of both writes them. */
seqc_session *seqc_session_fork(const seqc_session *session);
/* Forgets all but the first `position` tokens: at once where the model's states are caches that forget nothing; else from the nearest
 * snapshot before, or the start, by reading the tokens in between again. There are logits afterwards only in the second case. */
int seqc_session_truncate(seqc_session *session, uint64_t position);
/* Keeps a snapshot every so many tokens from now on, of the states that cannot be cut; 0: none. Forks share them. */
int seqc_session_snapshots(seqc_session *session, uint64_t interval);

/* Writes everything needed to continue, logits included, and continues. Files fit the model that wrote them and its weights, and
 * the program's. A file is written whole or not at all, and never over the weights. */
int seqc_session_save(const seqc_session *session, const char *path);
int seqc_session_load(seqc_session *session, const char *path);
/* The same in memory. */
int seqc_session_save_memory(const seqc_session *session, void **bytes, size_t *size);
int seqc_session_load_memory(seqc_session *session, const void *bytes, size_t size);

/* Memory of the session: `alone` is freed with it, `shared` is that of pages and snapshots which forks use as well. Both
 * pointers may be NULL. */
int seqc_session_memory(const seqc_session *session, uint64_t *alone, uint64_t *shared);

/* Callbacks. Each may be NULL. One that returns anything but 0 stops the call, which then returns SEQC_STOPPED. */
struct seqc_token;
typedef struct seqc_callbacks {
    size_t size; /* sizeof(seqc_callbacks) */
    void *user;  /* given to each */
    /* After each chunk of what is read: tokens done, of all. What was read before it stops counts as read. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    /* After each token that was generated. */
    int (*token)(void *user, const struct seqc_token *token);
} seqc_callbacks;

/* Which tokens' outputs are wanted. */
enum {
    SEQC_LAST = 0, /* one row: that of the last token */
    SEQC_ALL = 1   /* a row for each token */
};

/* What one session reads. */
typedef struct seqc_segment {
    size_t size;               /* sizeof(seqc_segment) */
    seqc_session *session;     /* of one model with the others, and in no other segment */
    size_t tokens;             /* how many */
    const void *const *inputs; /* for each input stream, in order: `tokens` rows of it */
    void *const *outputs;      /* NULL, or for each output stream NULL or room for the wanted rows */
    int32_t wanted;            /* SEQC_LAST or SEQC_ALL */
    int32_t status;            /* written: SEQC_INPUT where logits are not finite, told by the session; the others are not affected */
} seqc_segment;

/* Reads for several sessions, in as few steps as there is room for: weights are read once for all of them, and each gets what
 * it gets alone. Of models with any inputs and outputs. Wrong segments are refused before anything is read, with the text in `seqc_error`. */
int seqc_feed(seqc_segment *segments, size_t count, const seqc_callbacks *callbacks);

/* Text ------------------------------------------------------------------------------------------------------------------- */

/* Stands for the length of a text that ends with a zero. */
#define SEQC_ZERO_TERMINATED ((size_t)-1)

/* Tokens of a text, in which the texts of special tokens stand for these. `start` 1: those come first that the tokenizer puts before
 * a text. */
int seqc_tokenize(const seqc_model *model, const char *text, size_t length, int start, int64_t **tokens, size_t *count);
/* The text of tokens; ends with a zero that `length` does not count. Both may be NULL but `text`. Bytes that are no character become U+FFFD. */
int seqc_detokenize(const seqc_model *model, const int64_t *tokens, size_t count, char **text, size_t *length);
/* The text that the model's chat template makes of messages, with the beginning of the answer: `messages` is JSON,
 * [{"role": "user", "content": "..."}, ...]. */
int seqc_render_chat(const seqc_model *model, const char *messages, char **text, size_t *length);
/* The tokens of that text. */
int seqc_tokenize_chat(const seqc_model *model, const char *messages, int64_t **tokens, size_t *count);
/* Tokens that end a text or a turn; valid as long as the model. NULL on failure. */
const int64_t *seqc_model_ends(const seqc_model *model, size_t *count);

/* Tokens to text one by one: whole characters come as soon as they are complete. `before` are the tokens of the text that stands there
 * already, NULL for none. */
seqc_decoder *seqc_decoder_new(const seqc_model *model, const int64_t *before, size_t count);
void seqc_decoder_free(seqc_decoder *decoder);
const char *seqc_decoder_error(const seqc_decoder *decoder);
/* The characters that are complete with this token. `text` ends with a zero and is valid until the next call with the decoder. */
int seqc_decoder_push(seqc_decoder *decoder, int64_t token, const char **text, size_t *length);
/* What is left: U+FFFD for a character that was never completed. The decoder begins anew. */
int seqc_decoder_finish(seqc_decoder *decoder, const char **text, size_t *length);

/* Generation --------------------------------------------------------------------------------------------------------------
 *
 * A request is the JSON object of a request to the server, as docs/server.md describes it, with its defaults: "max_tokens", "temperature",
 * "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "stop",
 * "ignore_eos", "response_format", "logprobs"; and "speculate" or "draft": so many tokens at most are drafted, by prompt lookup or by the model's program that drafts, and read
 * in one step, which changes nothing but the speed. "messages" (a conversation) or "prompt" (a text or a list of tokens) is the whole
 * text to be continued: what the session has read of it is kept, the rest is read. Without both the session is continued from where it is.
 * NULL stands for {}. */

typedef struct seqc_candidate {
    int64_t token;
    double logprob; /* natural logarithm of its probability */
} seqc_candidate;

/* A part of an answer. Pointers are valid until the next call with the session. */
typedef struct seqc_token {
    size_t size;                /* sizeof(seqc_token) */
    int64_t token;              /* -1 in the last part, which brings text that had been held back */
    const char *text;           /* the characters that are certain now; ends with a zero */
    size_t length;              /* bytes of it */
    const char *end;            /* NULL; in the last part why the answer is over: "length", "context", "end", "stop" */
    double logprob;             /* where the request says "logprobs", else 0 */
    size_t candidates;          /* how many most likely tokens follow */
    const seqc_candidate *best;
    int32_t status;             /* written by `seqc_next`: how it went for this session */
    int32_t reserved;
} seqc_token;

/* Begins an answer: reads the prompt. `callbacks` may be NULL. */
int seqc_session_start(seqc_session *session, const char *request, const seqc_callbacks *callbacks);
/* The next part of the answer; `token->size` is set by the caller. After the last part: an error, 1. */
int seqc_session_next(seqc_session *session, seqc_token *token);
/* The next part of the answer of each of several sessions of one model: all of them read in one step, with their drafts, so that weights are
 * read once for all. Answers are those of `seqc_session_next`. `tokens` has room for `count` parts of the `size` that the first one says, each with
 * its status: one session's failure, told by it, does not affect the others. Gives the largest status. */
int seqc_next(seqc_session *const *sessions, size_t count, seqc_token *tokens);
/* Both in one call: the token callback is given every part. Any other function with the session ends an answer; the session has read the prompt and the tokens
 * that were given, but for one that completed a stop text. */
int seqc_session_generate(seqc_session *session, const char *request, const seqc_callbacks *callbacks);

/* Chooses tokens by logits of the caller's, as `request` says; the fields of the prompt do not belong there. A model has threads of its own
 * for grammars, which end when the model is freed: if a grammar is still being built then, freeing it waits for that. */
seqc_sampler *seqc_sampler_new(const seqc_model *model, const char *request);
void seqc_sampler_free(seqc_sampler *sampler);
const char *seqc_sampler_error(const seqc_sampler *sampler);
/* Takes tokens of the prompt, which the repetition penalty counts. */
int seqc_sampler_read(seqc_sampler *sampler, const int64_t *tokens, size_t count);
/* The next token for these logits, as many as the model has, which counts as generated. `over` may be NULL; 1: the token, or the
 * grammar, ends the answer. */
int seqc_sampler_next(seqc_sampler *sampler, const float *logits, size_t length, int64_t *token, int *over);

#ifdef __cplusplus
}
#endif

#endif
