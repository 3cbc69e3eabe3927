/* The parts of orch-test-fakeapi: what it is and its script language are described in ../fakeapi.c. */
#ifndef ORCH_TEST_FAKEAPI_H
#define ORCH_TEST_FAKEAPI_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* FAULT(name, word): how an answer goes wrong below HTTP, or in its body. */
#define FAULTS(FAULT)                                                                                        \
	FAULT(NONE, "none")                                                                                  \
	FAULT(HANG, "hang")           /* takes the request and never says anything */                        \
	FAULT(RESET, "reset")         /* RST before an answer */                                             \
	FAULT(CLOSE, "close")         /* FIN before an answer */                                             \
	FAULT(STALL, "stall")         /* headers, then silence */                                            \
	FAULT(STALL_MID, "stall-mid") /* headers and half of the body, then silence */                       \
	FAULT(CUT, "cut")             /* headers and half of the body, then FIN */                           \
	FAULT(NO_STOP, "no-stop")     /* a stream that lacks its message_delta and message_stop */           \
	FAULT(BAD_SSE, "bad-sse")     /* a stream with a line in it that is no JSON */                       \
	FAULT(BAD_JSON, "bad-json")   /* 200 and JSON that ends in the middle */                             \
	FAULT(EMPTY, "empty")         /* 200 and no body */

enum fault {
#define FAULT(name, word) FAULT_##name,
	FAULTS(FAULT)
#undef FAULT
};

/* One step of a script: what is answered, and how often. */
struct reply {
	unsigned line;        /* of the script, for the log */
	unsigned times, used; /* times 0: for ever */
	json_t *content;      /* blocks of the assistant's message */
	const char *stop;     /* stop_reason; NULL: what fits the content */
	json_int_t tokens_in, tokens_out;
	unsigned delay_ms, slow_ms;
	int status; /* 0: a message; else an error of the API */
	char *message;
	char *headers;    /* whole lines, each with CRLF */
	char *body;       /* NULL: made from status and message, or from content */
	const char *type; /* of a given body */
	enum fault fault;
};

struct script {
	char *name, *text;
	char **match;
	struct reply *replies;
	size_t count;
};

/* What a request turned out to be. Strings are borrowed from its head and body. */
struct request {
	unsigned number;
	char *method, *path;
	const char *key, *session; /* NULL: none sent */
	bool bearer;
	size_t body_size;
	json_t *body; /* NULL: none, or no JSON */
	char *words;  /* what the user said in it */
};

/* script.c */

struct scripts;

struct scripts *scripts_open(const char *folder);
void scripts_free(struct scripts *s);
/*
 * The script that a request belongs to: the one that its path /w/NAME/ names, else that of its session, else
 * the first whose every "match" is in what the user said. NULL with a sentence in e.
 */
struct script *scripts_find(struct scripts *s, const struct request *r, struct err *e);
/* The next step, counted as used. NULL when none is left. */
struct reply *script_next(struct script *s);

/* message.c: bodies, in fresh memory. */

/* The answer as a stream of server-sent events, with the place where its half ends in *half. */
char *message_stream(const struct reply *r, const char *model, unsigned number, size_t *half);
char *message_json(const struct reply *r, const char *model, unsigned number);
char *message_error(int status, const char *message);

/* record.c: the log, one JSON line for each request. */

struct record {
	FILE *file;         /* NULL: no log */
	const char *bodies; /* a folder for all bodies; NULL: not kept */
	int64_t start_ms;
};

/* reply may be NULL: then why says what was wrong with it. */
void record_request(struct record *rec, const struct request *r, const char *body,
    const struct script *script, const struct reply *reply, const char *why);

/* http.c */

struct server;
struct event_base;

/* Listens on a free port of 127.0.0.1, which it returns; or -errno. */
int server_start(struct event_base *base, struct scripts *scripts, struct record *rec, struct server **s);
void server_free(struct server *s);

#endif
