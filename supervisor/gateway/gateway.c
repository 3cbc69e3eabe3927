/* gateway: its life, its keys and its tokens (see gateway.h). */
#include "supervisor/gateway/gateway.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "supervisor/gateway/gateway_impl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct keys_now
gateway_now(void)
{
	return (struct keys_now){clock_now_ms(), clock_wall_ms()};
}

void
gateway_note(
    struct gateway *g, const struct exchange *ex, const char *kind, int64_t until_ms, const char *fmt, ...)
{
	struct keys_now now = gateway_now();
	char text[512];
	struct gateway_event ev = {.task = ex == NULL ? "" : ex->seat->task,
	    .kind = kind,
	    .text = text,
	    .until_wall_ms = until_ms < 0 ? 0 : now.wall_ms + until_ms - now.ms};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	g->hooks.note(g->hooks.arg, &ev);
}

const struct origin *
gateway_origin(const struct gateway *g, uint32_t key)
{
	for (size_t i = 0; i < g->configs.count; i++)
		if (g->origins[i].key == key)
			return &g->origins[i];
	return NULL;
}

void
gateway_kick(struct gateway *g)
{
	event_active(g->kick, EV_TIMEOUT, 0);
}

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;
	struct exchange *ex, *next;

	(void)fd;
	(void)what;
	for (ex = TAILQ_FIRST(&g->exchanges); ex != NULL; ex = next) {
		next = TAILQ_NEXT(ex, entry);
		if (ex->waiting)
			exchange_step(ex);
	}
}

struct gateway *
gateway_new(struct event_base *base, const struct gateway_hooks *hooks)
{
	struct gateway *g = xcalloc(1, sizeof(*g));

	curl_global_init(CURL_GLOBAL_DEFAULT);
	g->base = base;
	g->hooks = *hooks;
	g->keys = keys_new();
	g->tokens = tokens_new();
	g->upstreams = upstreams_new(base);
	g->silence_ms = UPSTREAM_IDLE_MS;
	g->budgets = budgets_new();
	prices_init(&g->prices);
	g->kick = evtimer_new(base, on_kick, g);
	g->probe_timer = evtimer_new(base, probes_on_timer, g);
	TAILQ_INIT(&g->exchanges);
	TAILQ_INIT(&g->probes);
	g->conns =
	    conns_new(base, &(struct conns_limits){GATEWAY_CONNECTIONS, GATEWAY_REQUEST_MS, GATEWAY_HELD});
	if (front_start(g) < 0) {
		gateway_free(g);
		return NULL;
	}
	return g;
}

static void
clear_configs(struct gateway *g)
{
	for (size_t i = 0; i < g->configs.count; i++)
		origin_clear(&g->origins[i]);
	free(g->origins);
	g->origins = NULL;
	configs_clear(&g->configs);
}

void
gateway_free(struct gateway *g)
{
	if (g == NULL)
		return;
	while (!TAILQ_EMPTY(&g->exchanges))
		exchange_abort(TAILQ_FIRST(&g->exchanges), "the gateway ends");
	probes_cancel(g);
	if (g->http != NULL)
		evhttp_free(g->http);
	conns_free(g->conns);
	upstreams_free(g->upstreams);
	event_free(g->kick);
	event_free(g->probe_timer);
	tokens_free(g->tokens);
	keys_free(g->keys);
	budgets_free(g->budgets);
	prices_clear(&g->prices);
	clear_configs(g);
	free(g);
}

void
gateway_take_configs(struct gateway *g, struct configs *c)
{
	struct keys_spec *specs = xcalloc(c->count, sizeof(*specs));

	probes_cancel(g);
	clear_configs(g);
	g->configs = *c;
	memset(c, 0, sizeof(*c));
	g->origins = xcalloc(g->configs.count, sizeof(*g->origins));
	for (size_t i = 0; i < g->configs.count; i++) {
		struct origin *ep = &g->origins[i];

		origin_init(ep, &g->configs.v[i]);
		specs[i] = (struct keys_spec){.name = ep->name, .model = ep->model, .identity = ep->identity};
	}
	keys_load(g->keys, specs, g->configs.count);
	for (size_t i = 0; i < g->configs.count; i++)
		g->origins[i].key = keys_id(g->keys, i);
	free(specs);
	gateway_kick(g);
	probes_plan(g);
}

int
gateway_listen(struct gateway *g, int fd)
{
	return evhttp_accept_socket(g->http, fd) < 0 ? -EINVAL : 0;
}

void
gateway_set_silence(struct gateway *g, int64_t ms)
{
	g->silence_ms = ms;
}

void
gateway_set_limits(struct gateway *g, const struct conns_limits *limits)
{
	conns_set_limits(g->conns, limits);
}

int
gateway_admit(struct gateway *g, const char *token, const char *task, uint32_t attempt)
{
	return tokens_add(g->tokens, token, task, attempt);
}

int
gateway_dismiss(struct gateway *g, const char *token)
{
	struct attempt_seat *seat = tokens_find(g->tokens, token, strlen(token));
	struct exchange *ex, *next;

	for (ex = TAILQ_FIRST(&g->exchanges); seat != NULL && ex != NULL; ex = next) {
		next = TAILQ_NEXT(ex, entry);
		if (ex->seat == seat)
			exchange_abort(ex, "its attempt has ended");
	}
	return tokens_remove(g->tokens, token, g->keys);
}

void
gateway_take_prices(struct gateway *g, struct prices *p)
{
	prices_clear(&g->prices);
	g->prices = *p;
	memset(p, 0, sizeof(*p));
}

void
gateway_probe(struct gateway *g)
{
	probes_start_all(g);
}

int
gateway_read_prices(struct gateway *g, const char *path, struct err *e)
{
	struct prices p;
	char *text;
	size_t size;
	int rc = fd_read_file(path, PRICES_FILE_MAX, &text, &size);

	if (rc < 0)
		return err_sys(e, rc, "cannot read the prices in %s", path);
	prices_init(&p);
	rc = prices_load(&p, path, text, size, e);
	free(text);
	if (rc == 0)
		gateway_take_prices(g, &p);
	else
		prices_clear(&p);
	return rc;
}

int
gateway_set_budget(struct gateway *g, const char *task, bool own, struct amount limit, struct amount spent)
{
	int rc = budgets_set(g->budgets, task, own, limit, spent);

	gateway_kick(g);
	return rc;
}

void
gateway_forget_budgets(struct gateway *g, const char *task)
{
	budgets_forget(g->budgets, task);
}

uint32_t
gateway_key_named(const struct gateway *g, const char *name)
{
	for (size_t i = 0; i < g->configs.count; i++)
		if (strcmp(g->origins[i].name, name) == 0)
			return g->origins[i].key;
	return 0;
}

const char *
gateway_url(const struct gateway *g, uint32_t key)
{
	const struct origin *ep = gateway_origin(g, key);

	return ep == NULL ? NULL : ep->base;
}

struct keys *
gateway_keys(struct gateway *g)
{
	return g->keys;
}

unsigned
gateway_busy(const struct gateway *g)
{
	return g->busy;
}
