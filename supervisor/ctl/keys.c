/* keys: see keys.h. */
#include "supervisor/ctl/keys.h"

#include "common/configs.h"
#include "supervisor/ctl/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 30000

const char *
keys_origin(const struct ctl *c)
{
	const char *all = getenv("CLAUDE_CONFIGS");

	if (c->args.keys_file != NULL)
		return c->args.keys_file;
	return all != NULL && all[0] != '\0' ? "CLAUDE_CONFIGS" : "environment";
}

int
keys_read(struct ctl *c, struct err *e)
{
	struct configs configs;
	size_t size;
	int rc = 0;

	if (c->args.keys_file != NULL)
		rc = configs_read_file(c->args.keys_file, &c->keys, &size, e);
	else
		configs_from_env(&c->keys);
	if (rc == 0)
		rc = token_read(c, false, e);
	if (rc < 0 || c->keys == NULL)
		return rc;
	rc = configs_parse(&configs, keys_origin(c), c->keys, strlen(c->keys), e);
	if (rc < 0) {
		configs_wipe_free(c->keys);
		c->keys = NULL;
		return rc;
	}
	configs_clear(&configs);
	return 0;
}

static void
on_answer(void *arg, const struct msg *m)
{
	bool *taken = arg;

	*taken |= m->id == MSG_ACK && m->ack.text != NULL;
}

int
keys_give(struct ctl *c, enum keys_for what, const char *run, bool *taken, struct err *e)
{
	struct msg m = {.id = MSG_KEYS,
	    .keys = {.configs_json = c->keys,
		.run = run,
		.pending = what == KEYS_FOR_NEXT,
		.if_missing = what == KEYS_FOR_ORPHANS}};
	struct msg t = {.id = MSG_TOKEN,
	    .token = {
		.token = c->token, .run = run, .pending = m.keys.pending, .if_missing = m.keys.if_missing}};
	bool unused = false;
	int rc = 0;

	if (c->token != NULL)
		rc = client_call(c->client, &t, on_answer, taken == NULL ? &unused : taken, ANSWER_MS, e);
	if (rc < 0 || c->keys == NULL)
		return rc;
	return client_call(c->client, &m, on_answer, taken == NULL ? &unused : taken, ANSWER_MS, e);
}
