/* A compiled model inside a program of yours: libraries that `seqc build --emit lib` makes.
 *
 * Functions that can fail return NULL or a status: 0 for success, 1 for wrong input (files, tokens), 2 for a failure of
 * the system. `seqc_error` then says what was wrong. A model may be shared by threads; a session belongs to one
 * thread at a time. The caller keeps every pointer valid that it passes. */
#ifndef SEQC_H
#define SEQC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqc_model seqc_model;
typedef struct seqc_session seqc_session;

/* What went wrong last in this thread; valid until the next call that fails here. Never NULL. */
const char *seqc_error(void);

/* Maps the weights: of `weights`, or of the file that the model names when it is NULL, which is looked for as it is named
 * from the library's folder, then beside the library. `weights` is a file, or a folder that holds a checkpoint or the
 * file of that name. A library with its weights inside needs none. `threads` 0: one for each core, or one in all for a small model. */
seqc_model *seqc_model_open(const char *weights, size_t threads);
/* Sessions keep their model alive: the order of freeing does not matter. NULL is allowed. */
void seqc_model_free(seqc_model *model);
/* Number of tokens that the model knows, 0 if it reads no tokens. */
size_t seqc_model_vocab(const seqc_model *model);

/* A sequence of no tokens yet. */
seqc_session *seqc_session_new(const seqc_model *model);
void seqc_session_free(seqc_session *session);
/* Forgets everything read. */
int seqc_session_reset(seqc_session *session);
/* Tokens read so far. */
uint64_t seqc_session_position(const seqc_session *session);
/* Reads tokens that follow those before. Scores that are not finite are an error, 1: the message names the first layer
 * whose output is not. The tokens then count as read, and there are no logits. */
int seqc_session_feed(seqc_session *session, const int64_t *tokens, size_t count);
/* Scores of every token that may follow the last one; `length` receives their number. Valid until the next call
 * with this session. NULL before the first token. */
const float *seqc_session_logits(const seqc_session *session, size_t *length);
/* Writes everything needed to continue, and continues. Files fit the model that wrote them and its weights, and the
 * program's. A file is written whole or not at all, and never over the weights. */
int seqc_session_save(const seqc_session *session, const char *path);
int seqc_session_load(seqc_session *session, const char *path);

#ifdef __cplusplus
}
#endif

#endif
