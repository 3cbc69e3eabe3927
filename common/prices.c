/*
 * prices: see prices.h. The built-in table is what the agent CLI 2.1.330 charges itself with (its model
 * catalog), so that its own sums and ours can be compared; what the provider bills may have changed since.
 */
#include "common/prices.h"

#include "common/alloc.h"
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH 10000000u   /* 0.01 USD */
#define USD_MAX 1000000.0  /* per million tokens */
#define BYTES_PER_TOKEN 4  /* of a body: JSON of English and code; only for guesses */
#define ANSWER_TOKENS 1000 /* of an answer that is not there yet; only for guesses */

/* USD per million tokens; the cache's by the usual factors but where said. */
static const struct {
	const char *model;
	double input, output, cache_read;
} rows[] = {
    {"claude-haiku-5-5", 0.1, 0.5, 0.01},
    {"claude-haiku-4-5", 1, 5, 0.1},
    {"claude-3-5-haiku", 0.8, 4, 0.08},
    {"claude-3-5-sonnet", 3, 15, 0.3},
    {"claude-3-7-sonnet", 3, 15, 0.3},
    {"claude-sonnet-4", 3, 15, 0.3},
    {"claude-sonnet-5", 2, 10, 0.2},
    {"claude-sonnet-5-5", 2, 10, 0.1},
    {"claude-opus-4", 15, 75, 1.5},
    {"claude-opus-4-5", 5, 25, 0.5},
    {"claude-opus-4-6", 5, 25, 0.5},
    {"claude-opus-4-7", 5, 25, 0.5},
    {"claude-opus-4-8", 5, 25, 0.5},
    {"claude-opus-5", 5, 25, 0.5},
    {"claude-opus-5-5", 4, 20, 0.2},
    {"claude-fable-5", 10, 50, 1},
    {"claude-fable-5-1", 10, 50, 0.25},
    {"claude-fable-5-2", 8, 40, 0.2},
    {"claude-mythos-5", 10, 50, 1},
    {"claude-mythos-5-1", 10, 50, 0.25},
    {"claude-mythos-5-2", 8, 40, 0.2},
};

static uint64_t
nusd(double usd_per_million)
{
	return (uint64_t)(usd_per_million * 1000 + 0.5);
}

static struct price_rates
make_rates(double input, double output, double cache_read)
{
	return (struct price_rates){.input = nusd(input),
	    .output = nusd(output),
	    .cache_read = nusd(cache_read),
	    .cache_write = nusd(input * 1.25),
	    .cache_write_1h = nusd(input * 2)};
}

void
prices_init(struct prices *p)
{
	memset(p, 0, sizeof(*p));
	strlcpy(p->date, PRICES_DATE, sizeof(p->date));
	p->v = xcalloc(PRICES_ROWS_MAX, sizeof(*p->v));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct price *price = &p->v[p->count++];

		strlcpy(price->model, rows[i].model, sizeof(price->model));
		price->rates = make_rates(rows[i].input, rows[i].output, rows[i].cache_read);
		price->search = SEARCH;
	}
	p->v[0].above = 100000;
	p->v[0].long_rates = make_rates(0.5, 2.5, 0.05);
}

void
prices_clear(struct prices *p)
{
	free(p->v);
	memset(p, 0, sizeof(*p));
}

const struct price *
prices_find(const struct prices *p, const char *model)
{
	const struct price *best = NULL;

	for (size_t i = 0; i < p->count; i++) {
		size_t n = strlen(p->v[i].model);

		if (strncmp(p->v[i].model, model, n) == 0 &&
		    (model[n] == '\0' || strchr("-@[", model[n]) != NULL) &&
		    (best == NULL || n > strlen(best->model)))
			best = &p->v[i];
	}
	return best;
}

uint64_t
prices_cost(const struct price *price, const struct price_use *u)
{
	const struct price_rates *r;
	uint64_t hour = u->cache_write_1h < u->cache_write ? u->cache_write_1h : u->cache_write;

	if (price == NULL)
		return 0;
	r = &price->rates;
	if (price->above != 0 && u->input + u->cache_read + u->cache_write > price->above)
		r = &price->long_rates;
	return u->input * r->input + u->output * r->output + u->cache_read * r->cache_read +
	       hour * r->cache_write_1h + (u->cache_write - hour) * r->cache_write +
	       u->searches * price->search;
}

uint64_t
prices_guess(const struct price *price, size_t body_size)
{
	struct price_use u = {.input = body_size / BYTES_PER_TOKEN, .output = ANSWER_TOKENS};

	return prices_cost(price, &u);
}

/* A number of a row; fallback where it is not there. Returns 0 or -EINVAL. */
static int
read_rate(const json_t *row, const char *name, double fallback, uint64_t factor, uint64_t *rate)
{
	const json_t *j = json_object_get(row, name);
	double usd = j == NULL ? fallback : json_number_value(j);

	if ((j != NULL && !json_is_number(j)) || !(usd >= 0 && usd <= USD_MAX))
		return -EINVAL;
	*rate = (uint64_t)(usd * (double)factor + 0.5);
	return 0;
}

static int
read_row(struct price *price, const char *what, const char *name, const json_t *row, struct err *e)
{
	static const char *const known[] = {
	    "input", "output", "cache_read", "cache_write", "cache_write_1h", "search", NULL};
	double input = json_number_value(json_object_get(row, "input"));
	struct price_rates *r = &price->rates;
	const char *field;
	json_t *value;

	memset(price, 0, sizeof(*price));
	if (name[0] == '\0' || strlen(name) >= sizeof(price->model))
		return err_set(e, -EINVAL, "%s: a model's name must be 1 to %zu bytes long", what,
		    sizeof(price->model) - 1);
	strlcpy(price->model, name, sizeof(price->model));
	json_object_foreach ((json_t *)row, field, value) {
		bool fine = false;

		for (size_t i = 0; known[i] != NULL; i++)
			fine |= strcmp(known[i], field) == 0;
		if (!fine)
			return err_set(e, -EINVAL, "%s: models.%s.%s: unknown field", what, name, field);
	}
	if (read_rate(row, "input", -1, 1000, &r->input) < 0 ||
	    read_rate(row, "output", -1, 1000, &r->output) < 0 ||
	    read_rate(row, "cache_read", input * 0.1, 1000, &r->cache_read) < 0 ||
	    read_rate(row, "cache_write", input * 1.25, 1000, &r->cache_write) < 0 ||
	    read_rate(row, "cache_write_1h", input * 2, 1000, &r->cache_write_1h) < 0 ||
	    read_rate(row, "search", 0.01, 1000000000, &price->search) < 0)
		return err_set(e, -EINVAL,
		    "%s: models.%s: input and output must be there, and all prices numbers from 0 to %.0f",
		    what, name, USD_MAX);
	return 0;
}

static struct price *
find_same(struct prices *p, const char *model)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->v[i].model, model) == 0)
			return &p->v[i];
	return NULL;
}

static int
read_rows(struct prices *p, const char *what, json_t *models, struct err *e)
{
	const char *name;
	json_t *row;

	if (!json_is_object(models))
		return err_set(e, -EINVAL, "%s: \"models\" must be an object of models", what);
	json_object_foreach (models, name, row) {
		struct price price, *same;
		int rc = read_row(&price, what, name, row, e);

		if (rc < 0)
			return rc;
		same = find_same(p, name);
		if (same == NULL && p->count == PRICES_ROWS_MAX)
			return err_set(e, -EINVAL, "%s: has more than %d models", what, PRICES_ROWS_MAX);
		*(same != NULL ? same : &p->v[p->count++]) = price;
	}
	return 0;
}

int
prices_read(struct prices *p, const char *what, const json_t *j, struct err *e)
{
	const char *date = json_str(j, "date");
	struct prices new = *p;
	int rc;

	new.v = xcalloc(PRICES_ROWS_MAX, sizeof(*new.v));
	memcpy(new.v, p->v, p->count * sizeof(*new.v));
	if (date == NULL || date[0] == '\0' || strlen(date) >= sizeof(new.date))
		rc = err_set(e, -EINVAL, "%s: lacks its \"date\", as 2026-11-22", what);
	else
		rc = read_rows(&new, what, json_object_get(j, "models"), e);
	if (rc == 0)
		strlcpy(new.date, date, sizeof(new.date));
	free(rc == 0 ? p->v : new.v);
	if (rc == 0)
		*p = new;
	return rc;
}

int
prices_load(struct prices *p, const char *what, const char *text, size_t size, struct err *e)
{
	json_t *j = size > PRICES_FILE_MAX ? NULL : json_parse(what, text, size, e);
	int rc;

	if (j == NULL)
		return size > PRICES_FILE_MAX
			   ? err_set(e, -EINVAL, "%s: is over %d KiB", what, PRICES_FILE_MAX / 1024)
			   : -EINVAL;
	rc = prices_read(p, what, j, e);
	json_decref(j);
	return rc;
}
