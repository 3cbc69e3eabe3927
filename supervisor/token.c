/*
 * token: the tokens for GitHub of runs. They come by message, live in this process's memory and in that of
 * the run's director, and nowhere else. What is kept of one is that a run had it. A new orchd asks the
 * surviving director for it.
 */
#include "supervisor/token.h"

#include "common/alloc.h"
#include "common/log.h"
#include "common/proc.h"

#include "supervisor/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool
token_is_missing(const struct run *r)
{
	return r->tokened && r->token == NULL;
}

void
token_send(struct task *t)
{
	struct msg m = {.id = MSG_ROLE_TOKEN, .role_token = {.token = t->run->token}};
	struct err e = {""};

	if (peer_send(t->peer, &m, &e) < 0)
		log_warn("%s: cannot send its director the token: %s", t->id, e.msg);
}

/* In place of what it had; not told to anybody. */
static void
keep(struct daemon *d, struct run *r, const char *token)
{
	bool missing = token_is_missing(r);

	proc_hide_memory();
	configs_wipe_free(r->token);
	r->token = xstrdup(token);
	r->tokened = true;
	secrets_changed(d);
	effect_mark_run(d, r);
	if (missing)
		store_add_event(d->store, r->id, NULL, "token", NULL, "it has its token for GitHub again");
}

void
token_give(struct daemon *d, struct run *r, const char *token)
{
	struct task *t = r->director;

	keep(d, r, token);
	if (t->peer != NULL && t->unit.state == UNIT_READY)
		token_send(t);
}

void
token_take_back(struct daemon *d, struct run *r, const char *token)
{
	if (token_is_missing(r) && *token != '\0')
		keep(d, r, token);
}

int
token_request(struct client *c, const struct msg *m, struct err *e)
{
	const struct msg_token *q = &m->token;
	struct run *r;
	char *text;

	if (q->token[0] == '\0' || strpbrk(q->token, " \t\r\n") != NULL)
		return err_set(e, -EINVAL, "that is no token for GitHub");
	if (q->pending) {
		configs_wipe_free(c->token);
		c->token = xstrdup(q->token);
		peer_ack(c->peer, m->request, NULL);
		return 0;
	}
	r = q->run == NULL ? answer_current_run(c->d) : runs_find(&c->d->runs, q->run);
	if (q->if_missing && (r == NULL || !token_is_missing(r))) {
		peer_ack(c->peer, m->request, NULL);
		return 0;
	}
	if (r == NULL)
		return err_set(e, -ENOENT, "no such run is unfinished: there is nothing to give a token to");
	token_give(c->d, r, q->token);
	text = xasprintf("run %s has its token for GitHub", r->id);
	peer_ack(c->peer, m->request, text);
	free(text);
	return 0;
}

char *
token_why(const struct run *r)
{
	return xasprintf("its token for GitHub was in the memory of an orchd that ended: run `orchctl resume "
			 "%s` with GITHUB_TOKEN set",
	    r->id);
}
