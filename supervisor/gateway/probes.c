/*
 * probes: looks at the endpoints before an agent has to find out (see gateway_impl.h). A HEAD without any
 * key, as the CLI itself sends it; an answer of any status is one. It goes the way of the requests, with
 * their resolver, proxy and certificates, so that it finds what they would find; a key that is set aside is
 * looked at again when keys says so, each time later, until it answers.
 */
#include "supervisor/gateway/gateway_impl.h"

#include "common/alloc.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct probe {
	TAILQ_ENTRY(probe) entry;
	struct gateway *g;
	uint32_t key;
	struct upstream *up;
	int status;
};

static void
on_header(void *arg, const char *name, size_t size_name, const char *value, size_t size_value)
{
	(void)arg;
	(void)name;
	(void)size_name;
	(void)value;
	(void)size_value;
}

static void
on_head(void *arg, int status)
{
	struct probe *p = arg;

	p->status = status;
}

static enum upstream_flow
on_body(void *arg, const char *data, size_t size)
{
	(void)arg;
	(void)data;
	(void)size;
	return UPSTREAM_ENOUGH;
}

static void
free_probe(struct probe *p)
{
	TAILQ_REMOVE(&p->g->probes, p, entry);
	free(p);
}

static void
on_end(void *arg, enum upstream_end end, const char *text)
{
	struct probe *p = arg;
	struct gateway *g = p->g;
	char note[320];

	(void)end;
	keys_probed(g->keys, p->key, p->status != 0, text, gateway_now(), note, sizeof(note));
	free_probe(p);
	if (note[0] != '\0')
		gateway_note(g, NULL, "key", -1, "%s", note);
	gateway_kick(g);
	probes_plan(g);
}

static const struct upstream_handlers handlers = {on_header, on_head, on_body, on_end};

static bool
is_probed(const struct gateway *g, uint32_t key)
{
	const struct probe *p;

	TAILQ_FOREACH (p, &g->probes, entry)
		if (p->key == key)
			return true;
	return false;
}

static void
start(struct gateway *g, const struct origin *to)
{
	struct upstream_request r = {.method = "HEAD",
	    .ca_file = to->ca_file,
	    .proxy = to->proxy,
	    .no_proxy = to->no_proxy,
	    .first_byte_ms = PROBES_MS,
	    .idle_ms = PROBES_MS};
	struct probe *p;
	char *url;

	if (is_probed(g, to->key))
		return;
	p = xcalloc(1, sizeof(*p));
	p->g = g;
	p->key = to->key;
	TAILQ_INSERT_TAIL(&g->probes, p, entry);
	url = xasprintf("%s/", to->base);
	r.url = url;
	keys_probing(g->keys, p->key);
	p->up = upstream_start(g->upstreams, &r, &handlers, p);
	free(url);
}

void
probes_start_all(struct gateway *g)
{
	for (size_t i = 0; i < g->configs.count; i++)
		start(g, &g->origins[i]);
}

void
probes_cancel(struct gateway *g)
{
	while (!TAILQ_EMPTY(&g->probes)) {
		struct probe *p = TAILQ_FIRST(&g->probes);

		upstream_cancel(p->up);
		free_probe(p);
	}
}

void
probes_plan(struct gateway *g)
{
	int64_t next = INT64_MAX, now = clock_now_ms(), wait;
	struct timeval tv;

	for (size_t i = 0; i < g->configs.count; i++) {
		int64_t due = keys_probe_due(g->keys, g->origins[i].key);

		if (due >= 0 && due < next)
			next = due;
	}
	if (next == INT64_MAX) {
		event_del(g->probe_timer);
		return;
	}
	wait = next > now ? next - now : 0;
	tv = (struct timeval){.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};
	event_add(g->probe_timer, &tv);
}

void
probes_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;
	int64_t now = clock_now_ms();

	(void)fd;
	(void)what;
	for (size_t i = 0; i < g->configs.count; i++) {
		int64_t due = keys_probe_due(g->keys, g->origins[i].key);

		if (due >= 0 && due <= now)
			start(g, &g->origins[i]);
	}
	probes_plan(g);
}
