/*
 * exchange: the way of a request: a key is chosen, the request goes to that key's endpoint, and the answer
 * goes to the client as it comes; an answer that is an error is held until keys has said whether another try
 * follows. Once a byte of a body has gone to the client nothing is repeated.
 */
#include "supervisor/gateway/gateway_impl.h"

#include "common/agent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void
settle(struct exchange *ex, const struct gateway_record *r)
{
	const struct usage *u = &r->usage;
	struct amount cost = {r->cost_nusd, u->input + u->output + u->cache_read + u->cache_write},
		      *dearest = &ex->seat->dearest;

	dearest->nusd = cost.nusd > dearest->nusd ? cost.nusd : dearest->nusd;
	dearest->tokens = cost.tokens > dearest->tokens ? cost.tokens : dearest->tokens;
	budgets_settle(ex->g->budgets, ex->seat->task, ex->reserved, cost);
}

static void
tell(struct exchange *ex)
{
	struct gateway_record r = {.task = ex->seat->task,
	    .attempt = ex->seat->attempt,
	    .key = ex->key_name,
	    .method = ex->method,
	    .path = ex->path,
	    .model = ex->model,
	    .request_id = ex->limits.request_id,
	    .status = ex->status,
	    .ms = clock_now_ms() - ex->start_ms,
	    .waited_ms = ex->waited_ms,
	    .sent = ex->sent,
	    .bytes_in = ex->body_size,
	    .bytes_out = ex->bytes_out,
	    .why = ex->why};
	const struct price *price;

	if (ex->since_ms != 0)
		r.waited_ms += clock_now_ms() - ex->since_ms;
	usage_reader_end(&ex->usage, &r.usage);
	price = prices_find(&ex->g->prices, r.usage.model[0] != '\0' ? r.usage.model : ex->model);
	r.priced = price != NULL;
	r.cost_nusd =
	    prices_cost(price, &(struct price_use){r.usage.input, r.usage.output, r.usage.cache_read,
				   r.usage.cache_write, r.usage.cache_write_1h, r.usage.searches});
	settle(ex, &r);
	ex->g->hooks.done(ex->g->hooks.arg, &r);
}

/* The client's side has ended before. */
static void
finish(struct exchange *ex)
{
	struct gateway *g = ex->g;

	tell(ex);
	TAILQ_REMOVE(&g->exchanges, ex, entry);
	g->busy--;
	ex->seat->in_flight--;
	usage_reader_clear(&ex->usage);
	if (ex->held != NULL)
		evbuffer_free(ex->held);
	event_free(ex->drained);
	event_free(ex->again);
	free(ex->sent_body);
	free(ex);
	gateway_kick(g);
}

static void
forget_answer(struct exchange *ex)
{
	ex->status = 0;
	ex->headed = ex->passing = false;
	ex->form = USAGE_NONE;
	ex->framings = 0;
	ex->why[0] = '\0';
	limits_init(&ex->limits);
	if (ex->held != NULL)
		evbuffer_drain(ex->held, evbuffer_get_length(ex->held));
	usage_reader_clear(&ex->usage);
	usage_reader_init(&ex->usage, USAGE_NONE);
	front_forget_headers(ex);
	free(ex->sent_body);
	ex->sent_body = NULL;
}

/* The answer. */

static void
on_header(void *arg, const char *name, size_t size_name, const char *value, size_t size_value)
{
	struct exchange *ex = arg;
	char *n = xstrndup(name, size_name), *v = xstrndup(value, size_value);

	limits_header(&ex->limits, name, size_name, value, size_value, clock_wall_ms());
	if (strcasecmp(n, "content-type") == 0)
		ex->form = usage_form_of(v);
	if (strcasecmp(n, "content-length") == 0)
		ex->framings += v[0] != '\0' && strspn(v, "0123456789") == size_value ? 1 : 2;
	else if (strcasecmp(n, "transfer-encoding") == 0)
		ex->framings++;
	front_add_header(ex, n, v);
	free(n);
	free(v);
}

static void
on_head(void *arg, int status)
{
	struct exchange *ex = arg;

	ex->headed = true;
	ex->status = status;
	keys_heard(ex->g->keys, ex->t.key, ex->limits.organisation);
	if (status >= 300)
		return;
	usage_reader_init(&ex->usage, ex->form);
}

static enum upstream_flow
on_body(void *arg, const char *data, size_t size)
{
	struct exchange *ex = arg;

	if (ex->status >= 300) {
		if (ex->held == NULL)
			ex->held = evbuffer_new();
		if (evbuffer_get_length(ex->held) + size > GATEWAY_ERROR_MAX)
			return UPSTREAM_ENOUGH;
		evbuffer_add(ex->held, data, size);
		return UPSTREAM_GO;
	}
	if (!ex->passing) {
		ex->passing = true;
		front_head(ex, ex->status);
	}
	if (!front_body(ex, data, size))
		return UPSTREAM_PAUSE;
	usage_reader_feed(&ex->usage, data, size);
	return UPSTREAM_GO;
}

/* {"type":"error",...}: it comes from the API, not from something on the way to it. */
static bool
is_api_error(const struct exchange *ex)
{
	size_t n = ex->held == NULL ? 0 : evbuffer_get_length(ex->held);
	json_t *j;
	const char *type;
	bool is;

	if (n == 0 || n > MEMBERS_VALUE_MAX)
		return false;
	j = json_parse("error", (const char *)evbuffer_pullup(ex->held, -1), n, NULL);
	type = json_str(j, "type");
	is = type != NULL && strcmp(type, "error") == 0 && json_is_object(json_object_get(j, "error"));
	json_decref(j);
	return is;
}

static struct keys_outcome
make_outcome(const struct exchange *ex, enum upstream_end end, const char *text)
{
	struct keys_outcome o = {
	    .status = ex->status, .begun = ex->passing, .limits = ex->limits, .text = text};

	switch (end) {
	case UPSTREAM_WHOLE:
	case UPSTREAM_REFUSED:
		o.end = KEYS_END_HTTP;
		o.api_error = ex->status >= 300 && is_api_error(ex);
		break;
	case UPSTREAM_CONNECT:
		o.end = KEYS_END_CONNECT;
		break;
	case UPSTREAM_BROKEN:
		o.end = KEYS_END_BROKEN;
		break;
	case UPSTREAM_STALLED:
		o.end = KEYS_END_STALLED;
		break;
	}
	if (ex->status >= 300) /* that it refused is known, whatever became of the reasons */
		o.end = KEYS_END_HTTP;
	return o;
}

static void
give_whole(struct exchange *ex)
{
	if (!ex->passing)
		front_head(ex, ex->status);
	front_end(ex);
}

static void
give_refusal(struct exchange *ex, enum upstream_end end)
{
	char text[256];

	if (ex->status < 400) {
		snprintf(ex->why, sizeof(ex->why),
		    "the endpoint redirects (%d): it is not followed, for the key must not", ex->status);
		snprintf(text, sizeof(text), "orch: key %s: %s", ex->key_name, ex->why);
		front_error(ex, 502, "api_error", -1, false, text);
	} else if (end != UPSTREAM_WHOLE) {
		snprintf(ex->why, sizeof(ex->why), "the body of a %d was too long, or broke off", ex->status);
		snprintf(text, sizeof(text), "orch: key %s: %s", ex->key_name, ex->why);
		front_error(ex, ex->status, "api_error", -1, false, text);
	} else {
		snprintf(ex->why, sizeof(ex->why), "the endpoint answered %d", ex->status);
		if (ex->held == NULL)
			ex->held = evbuffer_new();
		front_give(ex, ex->status, ex->held);
	}
}

/* No more tries: what there is goes to the client. */
static void
give(struct exchange *ex, enum upstream_end end, const char *text)
{
	char message[512];

	if (ex->status >= 300) {
		give_refusal(ex, end);
	} else if (end == UPSTREAM_WHOLE) {
		give_whole(ex);
	} else if (ex->passing) {
		snprintf(ex->why, sizeof(ex->why), "cut in mid-answer: %s", text);
		gateway_note(ex->g, ex, "cut", -1, "key %s: %s", ex->key_name, ex->why);
		front_cut(ex);
	} else {
		snprintf(ex->why, sizeof(ex->why), "%s", text);
		snprintf(message, sizeof(message), "orch: key %s: %s", ex->key_name, text);
		front_error(ex, end == UPSTREAM_STALLED ? 504 : 502, "api_error", -1, false, message);
	}
	finish(ex);
}

static void
on_end(void *arg, enum upstream_end end, const char *text)
{
	struct exchange *ex = arg;
	struct keys_outcome o = make_outcome(ex, end, text);
	struct keys_report r;

	ex->up = NULL;
	keys_report(ex->g->keys, &ex->t, ex->model, &o, gateway_now(), &r);
	if (r.note[0] != '\0')
		gateway_note(ex->g, NULL, "key", -1, "%s", r.note);
	gateway_kick(ex->g);
	probes_plan(ex->g);
	if (!r.retry && r.spent_until_ms > 0)
		gateway_note(ex->g, ex, "limited", r.spent_until_ms, "no key can serve it: %s",
		    r.note[0] != '\0' ? r.note : "the quota of its key is spent");
	if (!r.retry) {
		give(ex, end, text);
		return;
	}
	if (o.end == KEYS_END_HTTP)
		gateway_note(
		    ex->g, ex, "retry", -1, "key %s answered %d: another try", ex->key_name, o.status);
	else
		gateway_note(ex->g, ex, "retry", -1, "key %s: %s: another try", ex->key_name, text);
	ex->waiting = true;
	exchange_step(ex);
}

static const struct upstream_handlers handlers = {on_header, on_head, on_body, on_end};

static void
send_request(struct exchange *ex, const struct keys_pick *pick)
{
	const struct origin *ep = gateway_origin(ex->g, pick->key);
	struct upstream_request r = {.method = ex->method, .idle_ms = ex->g->silence_ms};
	char *url = xasprintf("%s%s", ep->base, ex->uri);

	if (pick->from != 0)
		gateway_note(
		    ex->g, ex, "switch", -1, "switches from key %s to key %s", ex->seat->key_name, ep->name);
	snprintf(ex->seat->key_name, sizeof(ex->seat->key_name), "%s", ep->name);
	snprintf(ex->key_name, sizeof(ex->key_name), "%s", ep->name);
	forget_answer(ex);
	r.url = url;
	r.headers = outgoing_headers(ex, ep);
	r.ca_file = ep->ca_file;
	r.proxy = ep->proxy;
	r.no_proxy = ep->no_proxy;
	r.first_byte_ms = ex->stream || ex->body == NULL ? ep->first_byte_ms : ep->whole_answer_ms;
	if (ex->body != NULL) {
		ex->sent_body = outgoing_body(ex, ep->model, &r.size);
		r.body = ex->sent_body != NULL ? ex->sent_body : ex->body;
	}
	ex->sent++;
	ex->up = upstream_start(ex->g->upstreams, &r, &handlers, ex);
	free(url);
}

static void
answer_lack(struct exchange *ex, const struct keys_pick *pick)
{
	int64_t wait = pick->until_ms < 0 ? -1 : pick->until_ms - clock_now_ms();
	char text[320];

	snprintf(ex->why, sizeof(ex->why), "%s", pick->why);
	snprintf(text, sizeof(text), "orch: %s", pick->why);
	gateway_note(ex->g, ex,
	    pick->lack == KEYS_LACK_ACCESS  ? "refused"
	    : pick->lack == KEYS_LACK_REACH ? "unreachable"
					    : "limited",
	    pick->until_ms, "no key can serve it: %s", pick->why);
	switch (pick->lack) {
	case KEYS_LACK_NONE:
	case KEYS_LACK_QUOTA:
	case KEYS_LACK_ROOM:
		/* Waiting is not the agent's affair: its task does, without it. */
		front_error(ex, 429, "rate_limit_error", wait, pick->lack == KEYS_LACK_QUOTA, text);
		break;
	case KEYS_LACK_ACCESS:
		front_error(ex, 403, "authentication_error", -1, true, text);
		break;
	case KEYS_LACK_REACH:
		front_error(ex, 503, "api_error", wait, false, text);
		break;
	}
	finish(ex);
}

static void
wait_for(struct exchange *ex, int64_t until_ms, const char *why)
{
	int64_t now = clock_now_ms(), ms = until_ms - now;
	struct timeval tv = {.tv_sec = ms > 0 ? ms / 1000 : 0, .tv_usec = ms > 0 ? ms % 1000 * 1000 : 0};

	ex->waiting = true;
	ex->since_ms = now;
	if (!ex->told)
		gateway_note(ex->g, ex, "wait", until_ms, "waits: %s", why);
	ex->told = true;
	event_add(ex->again, &tv);
}

/*
 * The CLI ends at once, and says why, on a 402; on a 400 after six requests, on a 401 after three minutes.
 * The type, which it hands on, tells this 402 from an account's that has to be paid.
 */
static void
answer_spent(struct exchange *ex, const char *why)
{
	char text[320];

	snprintf(ex->why, sizeof(ex->why), "%s", why);
	snprintf(text, sizeof(text), "orch: %s", why);
	gateway_note(ex->g, ex, "budget", -1, "%s", why);
	front_error(ex, 402, AGENT_BUDGET_TYPE, -1, true, text);
	finish(ex);
}

/*
 * Is there money for it? What it may cost is reserved: as much as the dearest request of its attempt so far
 * cost, or a guess for its first. When what others have reserved is all that is left, it waits for them.
 */
static bool
is_affordable(struct exchange *ex)
{
	struct gateway *g = ex->g;
	char why[256];

	if (ex->out || strcmp(ex->path, "/v1/messages") != 0)
		return true;
	switch (budgets_check(g->budgets, ex->seat->task, why, sizeof(why))) {
	case BUDGETS_FREE:
		break;
	case BUDGETS_FULL:
		if (ex->waited_ms < KEYS_WAIT_MS) {
			wait_for(ex, clock_now_ms() + KEYS_WAIT_MS - ex->waited_ms, why);
			return false;
		}
		/* fall through */
	case BUDGETS_SPENT:
		answer_spent(ex, why);
		return false;
	}
	ex->out = true;
	ex->reserved = ex->seat->dearest;
	if (ex->reserved.nusd == 0)
		ex->reserved.nusd = prices_guess(prices_find(&g->prices, ex->model), ex->body_size);
	budgets_reserve(g->budgets, ex->seat->task, ex->reserved);
	return true;
}

void
exchange_step(struct exchange *ex)
{
	struct keys_pick pick;

	if (ex->since_ms != 0)
		ex->waited_ms += clock_now_ms() - ex->since_ms;
	ex->since_ms = 0;
	event_del(ex->again);
	if (!is_affordable(ex))
		return;
	switch (keys_pick(ex->g->keys, &ex->seat->seat, &ex->t, ex->model, gateway_now(), &pick)) {
	case KEYS_GO:
		ex->waiting = false;
		send_request(ex, &pick);
		break;
	case KEYS_WAIT:
		wait_for(ex, pick.until_ms, pick.why);
		break;
	case KEYS_ANSWER:
		ex->waiting = false;
		answer_lack(ex, &pick);
		break;
	}
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	exchange_step(arg);
}

void
exchange_start(struct exchange *ex)
{
	ex->again = evtimer_new(ex->g->base, on_again, ex);
	limits_init(&ex->limits);
	usage_reader_init(&ex->usage, USAGE_NONE);
	ex->g->busy++;
	ex->seat->in_flight++;
	ex->seat->requests++;
	TAILQ_INSERT_TAIL(&ex->g->exchanges, ex, entry);
	exchange_step(ex);
}

void
exchange_drained(struct exchange *ex)
{
	if (ex->up != NULL)
		upstream_resume(ex->up);
}

void
exchange_abort(struct exchange *ex, const char *why)
{
	struct keys_outcome o = {.end = KEYS_END_OURS, .begun = true};
	struct keys_report r;

	if (ex->up != NULL) {
		upstream_cancel(ex->up);
		ex->up = NULL;
		limits_init(&o.limits);
		keys_report(ex->g->keys, &ex->t, ex->model, &o, gateway_now(), &r);
	}
	if (!ex->passing)
		ex->status = 0;
	snprintf(ex->why, sizeof(ex->why), "%s", why);
	if (ex->conn != NULL)
		front_cut(ex);
	finish(ex);
}
