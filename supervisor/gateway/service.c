/*
 * service: see service.h. Holds the keys of every run that orchd has told it of, and serves with those of the
 * current one: a new orchd that has none gets them back. What was seen of requests is kept until orchd has
 * it.
 */
#include "supervisor/gateway/service.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/text.h"
#include "proto/link.h"
#include "proto/msg.h"
#include "supervisor/gateway/gateway.h"
#include "supervisor/gateway/reqlog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_FD 3
#define LISTEN_FD 4
#define UUSD_MAX (UINT64_MAX / 1000)
#define STRANGERS_MS 60000 /* requests without a token are told once in so long */
static const struct timeval states_after = {.tv_usec = 200000};

/* The keys of a run. */
struct held {
	TAILQ_ENTRY(held) entry;
	char *run, *text; /* text: a secret */
	char *prices;     /* JSON; NULL: the built-in ones */
};

/* An attempt that was let in. */
struct admitted {
	TAILQ_ENTRY(admitted) entry;
	char *task;
	uint32_t attempt;
	char token[TOKEN_SIZE];
};

/* What went through a key, in this process's life. */
struct counter {
	TAILQ_ENTRY(counter) entry;
	char *key;
	uint64_t tokens_in, tokens_out, cost_nusd;
};

struct service {
	struct loop loop;
	struct link_ops ops;
	struct link *link;
	struct gateway *gateway;
	TAILQ_HEAD(, held) held;
	TAILQ_HEAD(, admitted) admitted;
	TAILQ_HEAD(, counter) counters;
	char *current; /* run whose keys are used; NULL: none yet */
	struct event *states;
	struct reqlog *log; /* NULL: none */
	uint64_t serial, strangers;
	int64_t strangers_ms; /* last told; 0: never */
	unsigned port;
	bool serving;
};

/* Runs' keys. */

static struct held *
find_held(struct service *s, const char *run)
{
	struct held *h;

	TAILQ_FOREACH (h, &s->held, entry)
		if (strcmp(h->run, run) == 0)
			return h;
	return NULL;
}

static void
drop_held(struct service *s, struct held *h)
{
	if (h == NULL)
		return;
	TAILQ_REMOVE(&s->held, h, entry);
	configs_wipe_free(h->text);
	free(h->run);
	free(h->prices);
	free(h);
}

static void
use_prices(struct service *s, const struct held *h)
{
	struct prices p;
	struct err e = {""};

	prices_init(&p);
	if (h->prices != NULL && prices_load(&p, "prices", h->prices, strlen(h->prices), &e) < 0)
		log_error("the prices of run %s stay unused: %s", h->run, e.msg);
	gateway_take_prices(s->gateway, &p);
}

/* orchd has checked them: what does not parse here is a bug, and the last good ones stay. */
static void
use(struct service *s, const struct held *h)
{
	struct configs c;
	struct err e = {""};

	if (configs_parse(&c, "the keys", h->text, strlen(h->text), &e) < 0) {
		log_error("the keys of run %s stay unused: %s", h->run, e.msg);
		return;
	}
	gateway_take_configs(s->gateway, &c);
	use_prices(s, h);
	gateway_probe(s->gateway);
	xreplace(&s->current, h->run);
}

static void
on_keys(struct service *s, const struct msg_gw_keys *m)
{
	struct held *h = find_held(s, m->run);
	bool news = m->configs_json != NULL;

	if (news) {
		drop_held(s, h);
		h = xcalloc(1, sizeof(*h));
		h->run = xstrdup(m->run);
		h->text = xstrdup(m->configs_json);
		h->prices = xstrdup(m->prices_json);
		TAILQ_INSERT_TAIL(&s->held, h, entry);
	} else if (!m->current) {
		drop_held(s, h);
		gateway_forget_budgets(s->gateway, m->run);
		return;
	}
	if (h != NULL && m->current && (news || s->current == NULL || strcmp(s->current, m->run) != 0))
		use(s, h);
	event_add(s->states, &states_after);
}

/* What an earlier gateway had found out about a key of the current run. */
static void
on_known(struct service *s, const struct msg_gw_key_known *m)
{
	struct keys *k = gateway_keys(s->gateway);
	int state = keys_state_parse(m->state);
	uint32_t key = gateway_key_named(s->gateway, m->name);

	if (s->current == NULL || strcmp(s->current, m->run) != 0 || key == 0 || state < 0)
		return;
	keys_restore(k, key, (enum keys_state)state, m->family == NULL ? "*" : m->family,
	    m->why == NULL ? "" : m->why, (int64_t)m->until, gateway_now());
}

/* Attempts. */

static void
dismiss(struct service *s, struct admitted *a)
{
	gateway_dismiss(s->gateway, a->token);
	TAILQ_REMOVE(&s->admitted, a, entry);
	free(a->task);
	explicit_bzero(a, sizeof(*a));
	free(a);
}

static void
dismiss_task(struct service *s, const char *task)
{
	struct admitted *a, *next;

	TAILQ_FOREACH_SAFE (a, &s->admitted, entry, next)
		if (strcmp(a->task, task) == 0)
			dismiss(s, a);
}

static void
on_token(struct service *s, const struct msg_gw_token_add *m)
{
	struct admitted *a;
	int rc;

	TAILQ_FOREACH (a, &s->admitted, entry)
		if (strcmp(a->task, m->task) == 0 && strcmp(a->token, m->token) == 0)
			return;
	dismiss_task(s, m->task);
	rc = gateway_admit(s->gateway, m->token, m->task, (uint32_t)m->attempt);
	if (rc < 0) {
		log_error("the agent of %s cannot be let in: %s", m->task, strerror(-rc));
		return;
	}
	a = xcalloc(1, sizeof(*a));
	a->task = xstrdup(m->task);
	a->attempt = (uint32_t)m->attempt;
	strlcpy(a->token, m->token, sizeof(a->token));
	TAILQ_INSERT_TAIL(&s->admitted, a, entry);
}

static void
on_budget(struct service *s, const struct msg_gw_budget *m)
{
	struct amount limit = {m->max_uusd * 1000, m->max_tokens},
		      spent = {m->used_uusd * 1000, m->used_tokens};
	int rc = m->max_uusd > UUSD_MAX || m->used_uusd > UUSD_MAX
		     ? -ERANGE
		     : gateway_set_budget(s->gateway, m->target, m->own, limit, spent);

	if (rc < 0)
		log_error("the budget of %s is not kept: %s", m->target, strerror(-rc));
}

/* What orchd is told. */

static struct counter *
get_counter(struct service *s, const char *key)
{
	struct counter *c;

	TAILQ_FOREACH (c, &s->counters, entry)
		if (strcmp(c->key, key) == 0)
			return c;
	c = xcalloc(1, sizeof(*c));
	c->key = xstrdup(key);
	TAILQ_INSERT_TAIL(&s->counters, c, entry);
	return c;
}

struct rows {
	struct service *service;
	uint64_t count, told;
};

static uint64_t
wall_of(int64_t until_ms)
{
	struct keys_now now = gateway_now();

	return until_ms < 0 ? 0 : (uint64_t)(now.wall_ms + until_ms - now.ms);
}

static void
count_row(void *arg, const struct keys_view *v)
{
	struct rows *r = arg;

	(void)v;
	r->count++;
}

static void
tell_row(void *arg, const struct keys_view *v)
{
	struct rows *r = arg;
	struct service *s = r->service;
	const struct counter *c = get_counter(s, v->name);
	struct msg m = {.id = MSG_GW_KEY_STATE,
	    .gw_key_state = {.run = s->current,
		.name = v->name,
		.endpoint = gateway_url(s->gateway, v->key),
		.organisation = v->organisation,
		.state = keys_state_name(v->state),
		.family = v->family,
		.until = wall_of(v->until_ms),
		.since = (uint64_t)v->since_wall_ms,
		.why = v->why,
		.in_flight = v->in_flight,
		.limit = v->limit,
		.requests = v->requests,
		.tokens_in = c->tokens_in,
		.tokens_out = c->tokens_out,
		.cost_uusd = c->cost_nusd / 1000,
		.shared = v->shared,
		.first = r->told == 0,
		.rows = r->count}};

	link_post(s->link, &m);
	r->told++;
}

static void
tell_states(struct service *s)
{
	struct rows r = {.service = s};

	if (s->current == NULL)
		return;
	keys_each(gateway_keys(s->gateway), gateway_now(), count_row, &r);
	keys_each(gateway_keys(s->gateway), gateway_now(), tell_row, &r);
}

static void
on_states(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tell_states(arg);
}

static void
states_soon(struct service *s)
{
	if (!event_pending(s->states, EV_TIMEOUT, NULL))
		event_add(s->states, &states_after);
}

static void
on_note(void *arg, const struct gateway_event *ev)
{
	struct service *s = arg;
	char *text = text_line(ev->text, TEXT_MAX - 1);
	const struct msg m = {.id = MSG_GW_NOTE,
	    .gw_note = {.task = ev->task[0] == '\0' ? NULL : ev->task,
		.kind = ev->kind,
		.text = text,
		.until = (uint64_t)ev->until_wall_ms}};

	log_info("%s%s%s", ev->task, ev->task[0] == '\0' ? "" : ": ", text);
	if (strcmp(ev->kind, "key") == 0)
		tell_states(s); /* at once: should we die now, the next one knows */
	else
		states_soon(s);
	link_tell(s->link, &m);
	free(text);
}

/* They cost nobody anything; that somebody tries is worth a line now and then. */
static void
count_stranger(struct service *s)
{
	int64_t now = clock_now_ms();
	char text[96];

	s->strangers++;
	if (s->strangers_ms != 0 && now - s->strangers_ms < STRANGERS_MS)
		return;
	s->strangers_ms = now;
	snprintf(text, sizeof(text), "%llu requests without a valid token were refused so far",
	    (unsigned long long)s->strangers);
	on_note(s, &(struct gateway_event){.task = "", .kind = "refused", .text = text});
}

static void
on_done(void *arg, const struct gateway_record *r)
{
	struct service *s = arg;
	const struct usage *u = &r->usage;
	struct counter *c;
	char model[NAME_MAX_BYTES], *why;
	struct msg m = {.id = MSG_GW_USAGE};

	if (s->log != NULL)
		reqlog_add(s->log, r);
	if (r->task[0] == '\0') {
		count_stranger(s);
		return;
	}
	snprintf(model, sizeof(model), "%s", u->model[0] != '\0' ? u->model : r->model);
	why = text_line(r->why, TEXT_MAX - 1);
	m.gw_usage = (struct msg_gw_usage){.serial = ++s->serial,
	    .task = r->task,
	    .attempt = r->attempt,
	    .key = r->key,
	    .model = model,
	    .status = (uint64_t)r->status,
	    .input = u->input,
	    .output = u->output,
	    .cache_read = u->cache_read,
	    .cache_write = u->cache_write,
	    .cost_uusd = (r->cost_nusd + 500) / 1000,
	    .unpriced = !r->priced,
	    .known = u->known,
	    .floor = u->floor,
	    .ms = (uint64_t)r->ms,
	    .waited_ms = (uint64_t)r->waited_ms,
	    .sent = r->sent,
	    .request_id = r->request_id,
	    .why = why};
	if (!link_tell(s->link, &m))
		log_error("%s: what a request used is lost: orchd takes nothing", r->task);
	free(why);
	if (r->key[0] != '\0') {
		c = get_counter(s, r->key);
		c->tokens_in += u->input + u->cache_read + u->cache_write;
		c->tokens_out += u->output;
		c->cost_nusd += r->cost_nusd;
	}
	states_soon(s);
}

/* The link. */

static void
tell_ready(struct service *s)
{
	const struct msg m = {.id = MSG_GW_READY, .gw_ready = {.port = s->port}};

	tell_states(s);
	link_post(s->link, &m);
}

/* A new orchd knows nothing of what it is told here. The first one told us, and waits for READY alone. */
static void
on_connected(void *arg, struct link *k)
{
	struct service *s = arg;
	struct held *h;
	struct admitted *a;

	if (!s->serving)
		return;
	TAILQ_FOREACH (h, &s->held, entry) {
		const struct msg m = {.id = MSG_GW_HAS_KEYS,
		    .gw_has_keys = {.run = h->run,
			.configs_json = h->text,
			.current = s->current != NULL && strcmp(s->current, h->run) == 0}};

		link_post(k, &m);
	}
	TAILQ_FOREACH (a, &s->admitted, entry) {
		const struct msg m = {.id = MSG_GW_HAS_TOKEN,
		    .gw_has_token = {.task = a->task, .attempt = a->attempt, .token = a->token}};

		link_post(k, &m);
	}
	tell_ready(s);
}

/* All that orchd has to tell at first has come: whoever waits in the socket's queue is let in now. */
static void
begin(struct service *s)
{
	int fd = dup(LISTEN_FD);

	if (s->serving)
		return;
	fd_set_cloexec(fd, true);
	if (fd < 0 || gateway_listen(s->gateway, fd) < 0) {
		log_error("cannot serve the socket that orchd gave");
		fd_close(&fd);
		loop_stop(&s->loop, 0);
		return;
	}
	s->serving = true;
	tell_ready(s);
}

static void
on_msg(void *arg, const struct msg *m)
{
	struct service *s = arg;

	switch (m->id) {
	case MSG_GW_KEYS:
		on_keys(s, &m->gw_keys);
		break;
	case MSG_GW_KEY_KNOWN:
		on_known(s, &m->gw_key_known);
		break;
	case MSG_GW_TOKEN_ADD:
		on_token(s, &m->gw_token_add);
		break;
	case MSG_GW_TOKEN_DEL:
		dismiss_task(s, m->gw_token_del.task);
		break;
	case MSG_GW_BUDGET:
		on_budget(s, &m->gw_budget);
		break;
	case MSG_END:
		begin(s);
		break;
	default: /* STOP has stopped the loop already */
		break;
	}
}

/* Life. */

static int
find_port(unsigned *port, struct err *e)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);

	if (getsockname(LISTEN_FD, (struct sockaddr *)&a, &size) < 0 || a.sin_family != AF_INET)
		return err_set(e, -ENOTSOCK, "fd %d is no socket that agents could be served on", LISTEN_FD);
	*port = ntohs(a.sin_port);
	return fd_set_cloexec(LISTEN_FD, true);
}

static int
open_service(struct service *s, struct err *e)
{
	const struct gateway_hooks hooks = {on_note, on_done, s};
	const char *log = getenv("ORCH_REQUEST_LOG");
	int rc = find_port(&s->port, e);

	if (rc < 0)
		return rc;
	s->states = evtimer_new(s->loop.base, on_states, s);
	s->gateway = gateway_new(s->loop.base, &hooks);
	if (s->gateway == NULL)
		return err_set(e, -EIO, "cannot set up the HTTP server");
	if (log != NULL && reqlog_open(&s->log, log, REQLOG_BYTES_MAX, e) < 0)
		log_warn("%s; requests are not logged", e->msg);
	s->ops = (struct link_ops){.on_msg = on_msg, .on_connected = on_connected, .arg = s};
	return link_attach(&s->link, &s->loop, WHO_GATEWAY, &s->ops, e);
}

static void
close_service(struct service *s)
{
	struct counter *c;

	while (!TAILQ_EMPTY(&s->admitted))
		dismiss(s, TAILQ_FIRST(&s->admitted));
	gateway_free(s->gateway);
	link_free(s->link);
	while (!TAILQ_EMPTY(&s->held))
		drop_held(s, TAILQ_FIRST(&s->held));
	while ((c = TAILQ_FIRST(&s->counters)) != NULL) {
		TAILQ_REMOVE(&s->counters, c, entry);
		free(c->key);
		free(c);
	}
	reqlog_close(s->log);
	if (s->states != NULL)
		event_free(s->states);
	free(s->current);
	loop_clear(&s->loop);
}

bool
service_is_wanted(void)
{
	struct stat st;

	return fstat(LINK_FD, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
service_run(void)
{
	struct service s = {.serving = false};
	const bool never = false;
	struct err e = {""};
	int rc;

	TAILQ_INIT(&s.held);
	TAILQ_INIT(&s.admitted);
	TAILQ_INIT(&s.counters);
	if (loop_init(&s.loop) < 0)
		fatal("cannot make an event loop");
	rc = open_service(&s, &e);
	if (rc == 0)
		loop_wait(&s.loop, &never, -1);
	else
		log_error("%s", e.msg);
	if (rc == 0)
		log_info(
		    "leaving: %s", link_stop_reason(s.link) == NULL ? "asked to" : link_stop_reason(s.link));
	close_service(&s);
	return rc < 0 ? 1 : 0;
}
