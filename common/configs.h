/*
 * configs: the API configurations of a run (CLAUDE_CONFIGS or --keys FILE), validated as a whole: a JSON
 * array of {name?, apiKey?, model?, env?}. Every fault names index and field; no text made here ever holds a
 * value. Pure, but for reading a file. All memory that held a key is wiped before it is freed.
 */
#ifndef ORCH_COMMON_CONFIGS_H
#define ORCH_COMMON_CONFIGS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIGS_MAX 64
#define CONFIGS_BYTES_MAX (64 * 1024)
#define CONFIGS_NAME_MAX 32
#define CONFIGS_SECRET_MIN 8 /* bytes; anything shorter cannot be told from text, and is refused as a key */

/* How long the gateway waits: until an answer in a stream begins, where API_TIMEOUT_MS of a configuration
 * does not say it; in a silent stream; and before it sends a request, for a turn at a key. */
#define CONFIGS_ANSWER_MS 120000
#define CONFIGS_IDLE_MS 90000
#define CONFIGS_QUEUE_MS 120000

struct config {
	char *name; /* [A-Za-z0-9._-]+, unique; "key1", "key2" ... when none was given */
	char **env; /* "NAME=value", NULL-terminated: what an agent needs to use it */
};

struct configs {
	struct config *v;
	size_t count;
};

/* what: how messages call the array ("CLAUDE_CONFIGS"). 0 with c filled; -EINVAL with a sentence, and c
 * empty. */
int configs_parse(struct configs *c, const char *what, const char *text, size_t size, struct err *e);
/* Wipes and frees; a zeroed one is fine. */
void configs_clear(struct configs *c);

/* The array as configs_parse takes it; fresh memory (configs_wipe_free). */
char *configs_text(const struct configs *c);

/* The text of a keys file, which only its owner may read: a regular file of ours, mode & 077 is 0. Fresh
 * memory (configs_wipe_free). */
int configs_read_file(const char *path, char **text, size_t *size, struct err *e);
/*
 * The configurations that the environment holds: CLAUDE_CONFIGS as it is, else ANTHROPIC_API_KEY or
 * ANTHROPIC_AUTH_TOKEN (with ANTHROPIC_BASE_URL) as one called "environment". *text is NULL when there are
 * none. Not validated.
 */
void configs_from_env(char **text);

/* How long the gateway may take with these until a stream's answer begins: a turn at a key, a try, and the
 * hop to a second one. */
int64_t configs_answer_ms(const struct configs *c);

/* Does a variable of this name hold a secret, by its name? */
bool configs_is_secret(const char *name, size_t size);
/* Is "NAME=value" one of the variables that travel by message alone and that no process of ours inherits? */
bool configs_travels_by_message(const char *pair);
/* Takes those out of our own environment, and wipes the memory that the kernel shows of it. */
void configs_wipe_environment(void);

/* Calls fn for every secret value; it is borrowed. */
void configs_each_secret(
    const struct config *c, void (*fn)(void *arg, const char *name, const char *value), void *arg);

/* The variables as a JSON array of strings, and back (strv wiped by configs_wipe_strv). */
char *configs_env_json(const struct config *c);
int configs_env_parse(const char *json, char ***env, struct err *e);

void configs_wipe_free(char *s);
void configs_wipe_strv(char **v);

#endif
