/* attempt: see attempt.h. The agent's events are only recorded here; a timer sends the latest of them. */
#include "proto/attempt.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/configs.h"
#include "common/json.h"
#include "common/log.h"
#include "common/taskid.h"
#include "common/text.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOING_MAX 200
#define EDITED_MAX 1024
#define LIMIT_WAIT_MS 120000        /* where nobody says when a limit resets */
#define LIMIT_WAIT_MAX_MS 691200000 /* 8 days: a weekly limit, and no nonsense */
#define KEY_SPREAD_MS 1000
static const struct timeval progress_every = {.tv_usec = 250000};

/* What is going on in the running attempt. */
struct watch {
	struct role *role;
	struct event *timer; /* pending: a PROGRESS went out less than progress_every ago */
	char *doing;         /* not sent yet; NULL */
	bool told_retry;
	uint64_t edited[EDITED_MAX]; /* hashes of the files that it has edited, each once */
	size_t edited_count;
};

/* FNV-1a. A collision costs one file in a number that only people read. */
static void
note_edit(struct watch *w, const char *path)
{
	uint64_t hash = 14695981039346656037u;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211u;
	for (size_t i = 0; i < w->edited_count; i++)
		if (w->edited[i] == hash)
			return;
	if (w->edited_count < EDITED_MAX)
		w->edited[w->edited_count++] = hash;
}

static void
post_doing(struct watch *w)
{
	struct msg m = {.id = MSG_PROGRESS, .progress = {.doing = w->doing, .files = w->edited_count}};

	if (w->doing == NULL)
		return;
	link_post(w->role->link, &m);
	free(w->doing);
	w->doing = NULL;
	event_add(w->timer, &progress_every);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	post_doing(arg);
}

/* The latest wins; the timer sends what came in the meantime. */
static void
set_doing(struct watch *w, char *raw)
{
	free(w->doing);
	w->doing = text_line(raw, DOING_MAX);
	free(raw);
	if (*w->doing == '\0') {
		free(w->doing);
		w->doing = NULL;
	} else if (!event_pending(w->timer, EV_TIMEOUT, NULL)) {
		post_doing(w);
	}
}

/* One event for the history; each further retry is only shown. */
static void
on_retry(struct watch *w, const struct stream_event *ev)
{
	char status[32] = "no answer";
	char *text;

	if (ev->http_status != 0)
		snprintf(status, sizeof(status), "HTTP %d", ev->http_status);
	text = xasprintf("the agent's endpoint: %s%s%s; retry %llu of %llu in %llu ms", status,
	    ev->error == NULL ? "" : ", ", ev->error == NULL ? "" : ev->error,
	    (unsigned long long)ev->attempt, (unsigned long long)ev->max, (unsigned long long)ev->delay_ms);
	if (!w->told_retry) {
		char *line = text_line(text, TEXT_MAX - 1);
		const struct msg m = {.id = MSG_EVENT, .event = {.kind = "retry", .text = line}};

		link_post(w->role->link, &m);
		free(line);
		w->told_retry = true;
	}
	set_doing(w, text);
}

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct watch *w = arg;

	switch (ev->kind) {
	case STREAM_TEXT:
		if (ev->text != NULL)
			set_doing(w, xstrdup(ev->text));
		break;
	case STREAM_TOOL:
		if (ev->edits)
			note_edit(w, ev->text);
		set_doing(w, xasprintf("%s %s", ev->tool == NULL ? "tool" : ev->tool,
				 ev->text == NULL ? "" : ev->text));
		break;
	case STREAM_RETRYING:
		on_retry(w, ev);
		break;
	case STREAM_STARTED:
		set_doing(w, xstrdup("thinking"));
		break;
	case STREAM_LIMITED:
		set_doing(w, xstrdup("waiting for its rate limit"));
		break;
	case STREAM_TOOL_END:
	case STREAM_RESULT:
	case STREAM_OTHER:
	case STREAM_GARBAGE:
		break;
	}
}

static enum conf_role
conf_role(enum proto_who who)
{
	return who == WHO_DIRECTOR ? CONF_DIRECTOR : who == WHO_EM ? CONF_EM : CONF_WORKER;
}

/* What the agent may spend in its session, by itself: what is left of its task's budget. The gateway, where
 * there is one, counts better. */
static uint64_t
limit_usd(const struct role *r, uint64_t max_musd)
{
	uint64_t all = r->conf.max_task_musd, past = r->past.cost_uusd / 1000,
		 left = all > past ? all - past : 1;

	return all == 0 || (max_musd > 0 && max_musd < left) ? max_musd : left;
}

static int
run_once(struct role *r, const struct attempt *a, const char *prompt, bool resume, struct agent_outcome *o,
    struct err *e)
{
	const struct msg_assign *as = r->assign;
	char *home = taskid_home(as->state_dir, as->task),
	     *log_path = taskid_agent_log(as->log_dir, as->task);
	char *debug_path = xasprintf("%s.debug", log_path),
	     *label = xasprintf("%s, attempt %llu", as->task, (unsigned long long)as->attempt);
	char **env = strv_dup((const char *const *)r->env); /* keys that come meanwhile make r's anew */
	struct watch w = {.role = r};
	struct agent_spec spec = {
	    .program = r->conf.agent,
	    .cwd = a->cwd,
	    .home = home,
	    .env = (const char *const *)env,
	    .prompt = prompt,
	    .access = a->access,
	    .json_schema = a->json_schema,
	    .session = r->session,
	    .resume = resume,
	    .label = label,
	    .redact = r->redact,
	    .log_path = log_path,
	    .debug_path = debug_path,
	    .timeout_ms = (int64_t)r->conf.agent_timeout_ms,
	    .on_event = on_event,
	    .arg = &w,
	};
	int rc;

	conf_agent_options(&r->conf, conf_role(r->kind->who), &spec.options);
	spec.options.max_musd = limit_usd(r, spec.options.max_musd);
	agent_patience(&r->conf, r->answer_ms, r->idle_ms, &spec.patience);
	spec.silence_ms = spec.patience.silence_ms;
	w.timer = evtimer_new(r->loop.base, on_timer, &w);
	rc = agent_run(&r->loop, &spec, o, e);
	/* Now: whatever is asked of orchd may take until there is room again. */
	r->no_room = rc == 0 && o->end != AGENT_OK && role_check_room(r, &r->room) < 0;
	if (rc == 0)
		post_doing(&w);
	event_free(w.timer);
	free(w.doing);
	configs_wipe_strv(env);
	free(home);
	free(log_path);
	free(debug_path);
	free(label);
	return rc;
}

/* The session is known to orchd before the agent can have done anything in it. */
static int
new_session(struct role *r, struct err *e)
{
	struct msg_note note = {.session = r->session};

	r->past = r->spent;
	agent_new_session(r->session);
	return role_note(r, &note, e);
}

/* Totals of the task: the agent counts over its session, whatever process of ours it was resumed by. */
static int
note_usage(struct role *r, const struct agent_outcome *o, struct err *e)
{
	struct msg_note note = {
	    .cost_uusd = r->past.cost_uusd + o->cost_uusd,
	    .tokens_in = r->past.tokens_in + o->tokens_in,
	    .tokens_out = r->past.tokens_out + o->tokens_out,
	};

	if (!o->has_usage)
		return 0;
	r->spent = (struct usage){note.cost_uusd, note.tokens_in, note.tokens_out};
	return role_note(r, &note, e);
}

/* Once per process: whether the program can be used at all. ROLE_OVER: it cannot, and o says why. */
static int
check_agent(struct role *r, struct agent_outcome *o, struct err *e)
{
	struct err why = {{0}};
	int rc = r->agent_checked ? 0 : agent_check_version(&r->loop, r->conf.agent, &why);

	r->agent_checked = true;
	if (rc == -ENOTSUP) {
		o->end = AGENT_CONFIG;
		o->reason = xstrdup(why.msg);
		return ROLE_OVER;
	}
	return rc < 0 ? err_set(e, rc, "%s", why.msg) : 0;
}

static void
set_end(struct agent_outcome *o, enum agent_end end, char *reason)
{
	o->end = end;
	free(o->reason);
	o->reason = reason;
}

/*
 * What the gateway saw explains an end better than the agent can, which had no key and saw no endpoint. A
 * question to orchd first: whatever it was told before its answer has come then.
 */
static int
explain(struct role *r, unsigned keyings, struct agent_outcome *o, struct err *e)
{
	const struct msg_note nothing = {.session = r->session};
	const char *kind = r->seen.kind, *text = r->seen.text;
	int rc;

	if (o->end == AGENT_OK || r->keys == NULL || r->session[0] == '\0')
		return 0;
	rc = role_note(r, &nothing, e);
	if (rc == 0 && !role_seen_decides(r) && r->keyings != keyings &&
	    (o->end == AGENT_AUTH || o->end == AGENT_ENDPOINT)) {
		set_end(o, AGENT_LIMITED, xstrdup("the gateway was replaced while it asked"));
		o->until_ms = clock_wall_ms() + 1000;
		return 0;
	}
	if (rc < 0 || kind[0] == '\0')
		return rc;
	if (strcmp(kind, "limited") == 0) {
		set_end(o, AGENT_LIMITED, xstrdup(text));
		o->until_ms = (int64_t)r->seen.until;
	} else if (strcmp(kind, "budget") == 0) {
		set_end(o, AGENT_BUDGET,
		    xasprintf(
			"%s. Raise it (max_usd or max_task_usd, max_task_tokens; of the run max_run_usd, "
			"max_run_tokens), or make the task smaller.",
			text));
	} else if (strcmp(kind, "refused") == 0) {
		set_end(o, AGENT_AUTH,
		    xasprintf(
			"%s. Check the keys, and give good ones: orchctl keys --reload FILE, then orchctl "
			"retry %s.",
			text, r->assign->task));
	} else if (o->reason != NULL) {
		set_end(o, o->end, xasprintf("%s The gateway saw: %s.", o->reason, text));
	}
	return 0;
}

int
attempt_run(struct role *r, const struct attempt *a, struct agent_outcome *o, struct err *e)
{
	const char *fresh = a->fresh == NULL ? a->prompt : a->fresh;
	bool resume = r->session[0] != '\0';
	unsigned keyings;
	int rc;

	memset(o, 0, sizeof(*o));
	keyings = r->keyings;
	r->seen.kind[0] = '\0';
	rc = check_agent(r, o, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (resume) {
		rc = run_once(r, a, a->prompt, true, o, e);
		if (rc < 0 || r->no_room || agent_end_next(o->end) != AGENT_AFRESH)
			goto out;
		link_event(r->link, "session", "%s: the agent starts afresh", o->reason);
		rc = note_usage(r, o, e);
		agent_outcome_clear(o);
	}
	if (rc == 0)
		rc = new_session(r, e);
	if (rc == 0)
		rc = run_once(r, a, fresh, false, o, e);
out:
	if (rc == 0)
		rc = note_usage(r, o, e);
	if (rc == 0)
		rc = explain(r, keyings, o, e);
	if (rc < 0) {
		agent_outcome_clear(o);
		memset(o, 0, sizeof(*o));
	}
	return rc;
}

/*
 * When to look at a limit again. Not all agents at the same moment: up to a tenth, and ten seconds, later
 * than it is said to reset.
 */
static uint64_t
wait_until(const struct role *r, int64_t until_ms)
{
	int64_t now = clock_wall_ms();
	int64_t wait = until_ms > now ? until_ms - now : LIMIT_WAIT_MS;

	if (wait > LIMIT_WAIT_MAX_MS)
		wait = LIMIT_WAIT_MAX_MS;
	if (strcmp(r->seen.kind, "limited") == 0) /* the gateway lets them in one by one */
		return (uint64_t)(now + wait + arc4random_uniform(KEY_SPREAD_MS));
	return (uint64_t)(now + wait + arc4random_uniform((uint32_t)(wait / 10) + 10000));
}

int
attempt_report(struct role *r, const struct agent_outcome *o, struct err *e)
{
	int rc = 0;

	if (r->no_room)
		return err_set(e, -ENOSPC, "%s", r->room.msg);
	if (o->end == AGENT_SILENT || o->end == AGENT_TIMEOUT) {
		char *line = text_line(o->reason, 1000);

		link_event(r->link, "stall", "%s", line);
		free(line);
	}
	switch (agent_end_next(o->end)) {
	case AGENT_WAIT:
		rc = role_wait(r, wait_until(r, o->until_ms), true, o->reason, e);
		break;
	case AGENT_AFRESH: /* a new session of its own has ended so too */
	case AGENT_GIVE_UP:
		rc = role_fail(r, r->assign->task, o->reason, e);
		break;
	case AGENT_REPEAT:
	case AGENT_GO_ON:
		rc = role_attempt_failed(r, o->reason, o->end == AGENT_CEILING, e);
		break;
	}
	return rc < 0 ? rc : ROLE_OVER;
}
