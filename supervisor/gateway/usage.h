/*
 * usage: reads how many tokens an answer of the Messages API says that it cost, while the answer is passed on
 * unchanged: out of a stream of server-sent events, or of one JSON body. The bytes may be cut anywhere; what
 * is held is bounded. Pure.
 *
 * The rules (facts of the API): message_start has the input's tokens; each message_delta has the output's so
 * far, so the last one counts and they are never added up. A stream that was cut says less than it cost: its
 * numbers are a floor, and marked.
 */
#ifndef ORCH_GATEWAY_USAGE_H
#define ORCH_GATEWAY_USAGE_H

#include "supervisor/gateway/members.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USAGE_EVENT_MAX (256u * 1024) /* a longer event is passed over, and marks the numbers a floor */
#define USAGE_TOKENS_MAX 1000000000000u

struct usage {
	uint64_t input, output, cache_read, cache_write; /* tokens; cache tokens are not part of input */
	uint64_t cache_write_1h; /* the part of cache_write that is kept for an hour */
	uint64_t searches;       /* web searches by the server */
	char model[128];         /* that answered; "" when it was not said */
	char error[64];          /* type of an error within a stream ("overloaded_error"), or "" */
	bool known;              /* some numbers were said */
	bool floor;              /* there was more to come: it cost at least this */
};

enum usage_form { USAGE_NONE, USAGE_SSE, USAGE_JSON };

struct usage_reader {
	struct usage usage;
	enum usage_form form;
	bool settled; /* the last numbers were said */
	bool lost;    /* something that may have held numbers was not understood */
	/* USAGE_SSE */
	char name[32]; /* of the event: what its "event:" line says */
	char *line, *data;
	size_t line_size, line_room, data_size, data_room;
	bool after_cr, too_long;
	/* USAGE_JSON */
	struct members members;
};

/* content_type: of the answer, NULL for none. Anything but SSE and JSON has no usage. */
enum usage_form usage_form_of(const char *content_type);

void usage_reader_init(struct usage_reader *r, enum usage_form form);
void usage_reader_feed(struct usage_reader *r, const char *data, size_t size);
/* The answer has ended, whole or not: *usage is final. Does not free. */
void usage_reader_end(struct usage_reader *r, struct usage *usage);
void usage_reader_clear(struct usage_reader *r);

#endif
