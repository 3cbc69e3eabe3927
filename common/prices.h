/*
 * prices: what tokens cost: a table with a date, built in, of which a file may replace or add rows. Numbers
 * are nano-USD per token, so that sums are exact. Pure.
 */
#ifndef ORCH_COMMON_PRICES_H
#define ORCH_COMMON_PRICES_H

#include "common/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define PRICES_DATE "2026-11-22" /* of the built-in table */
#define PRICES_MODEL_MAX 64
#define PRICES_ROWS_MAX 256
#define PRICES_FILE_MAX (64 * 1024)

struct price_rates {
	uint64_t input, output, cache_read, cache_write, cache_write_1h; /* nano-USD per token */
};

struct price {
	char model[PRICES_MODEL_MAX]; /* and all whose names go on after it with a dash, "@" or "[" */
	struct price_rates rates;
	uint64_t search;               /* nano-USD per web search */
	uint64_t above;                /* tokens of a prompt from which on the next rates hold; 0: never */
	struct price_rates long_rates; /* of the whole request then */
};

/* What is paid for. */
struct price_use {
	uint64_t input, output, cache_read, cache_write; /* tokens; cache tokens are not part of input */
	uint64_t cache_write_1h; /* the part of cache_write that is kept for an hour */
	uint64_t searches;       /* web searches by the server */
};

struct prices {
	char date[16]; /* of the table, "2026-11-22" */
	struct price *v;
	size_t count;
};

/* The built-in table. */
void prices_init(struct prices *p);
void prices_clear(struct prices *p);

/*
 * Replaces and adds rows: {"date": "2026-12-01", "models": {"NAME": {"input": 4, "output": 20, "cache_read":
 * 0.2, "cache_write": 5, "cache_write_1h": 8, "search": 0.01}}}: USD per million tokens, search USD each;
 * input and output are required, the cache's default to what the API's usual factors make of input (0.1,
 * 1.25, 2). what: how messages call it. 0; -EINVAL with a sentence, and p as it was.
 */
int prices_load(struct prices *p, const char *what, const char *text, size_t size, struct err *e);
/* The same of what is parsed already. */
int prices_read(struct prices *p, const char *what, const json_t *j, struct err *e);

/* The row of the longest name that fits; NULL when the model has no price. */
const struct price *prices_find(const struct prices *p, const char *model);
/* What the usage cost, in nano-USD; price NULL: 0. */
uint64_t prices_cost(const struct price *price, const struct price_use *u);
/* What a request may cost before its answer is known: all of its body as input at full price, and a short
 * answer. It is reserved, never charged. */
uint64_t prices_guess(const struct price *price, size_t body_size);

#endif
