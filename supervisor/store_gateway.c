/* store_gateway: what outlives orchd of the gateway and of the keys' states (see store.h). No secret comes
 * here.
 */
#include "supervisor/store_impl.h"

#include "common/alloc.h"

#include <stdlib.h>
#include <string.h>

void
store_note_gateway(struct store *s, const struct store_gateway *g)
{
	s->gw.gateway = *g;
	s->gw.dirty = true;
}

void
store_clear_gateway(struct store *s)
{
	for (size_t i = 0; i < s->gw.key_count; i++) {
		struct noted_key *k = &s->gw.keys[i];

		free(k->name);
		free(k->family);
		free(k->state);
		free(k->why);
		free(k->organisation);
	}
	free(s->gw.keys);
	free(s->gw.run);
	s->gw.keys = NULL;
	s->gw.key_count = 0;
	s->gw.run = NULL;
}

void
store_note_keys(struct store *s, const char *run, const struct store_key *keys, size_t count)
{
	store_clear_gateway(s);
	s->gw.run = xstrdup(run);
	s->gw.keys = xcalloc(count, sizeof(*s->gw.keys));
	s->gw.key_count = count;
	for (size_t i = 0; i < count; i++)
		s->gw.keys[i] = (struct noted_key){.name = xstrdup(keys[i].name),
		    .family = xstrdup(keys[i].family == NULL ? "" : keys[i].family),
		    .state = xstrdup(keys[i].state),
		    .why = xstrdup(keys[i].why),
		    .organisation = xstrdup(keys[i].organisation),
		    .until = keys[i].until,
		    .since = keys[i].since};
}

static int
save_keys(struct store *s, struct err *e)
{
	sqlite3_stmt *st = s->st[ST_DROP_KEYS];
	int rc;

	store_bind_text(st, 1, s->gw.run);
	rc = store_finish(s, st, e, "forgetting the states of keys");
	st = s->st[ST_SAVE_KEY];
	for (size_t i = 0; rc == 0 && i < s->gw.key_count; i++) {
		const struct noted_key *k = &s->gw.keys[i];

		store_bind_text(st, 1, s->gw.run);
		store_bind_text(st, 2, k->name);
		store_bind_text(st, 3, k->family);
		store_bind_text(st, 4, k->state);
		store_bind_num(st, 5, k->until);
		store_bind_num(st, 6, k->since);
		store_bind_text(st, 7, k->why);
		store_bind_text(st, 8, k->organisation);
		rc = store_finish(s, st, e, "saving the state of a key");
	}
	return rc;
}

int
store_save_gateway(struct store *s, struct err *e)
{
	const struct store_gateway *g = &s->gw.gateway;
	sqlite3_stmt *st = s->st[ST_SAVE_GATEWAY];
	int rc = 0;

	if (s->gw.dirty) {
		store_bind_num(st, 1, g->pid);
		store_bind_num(st, 2, (int64_t)g->start_ticks);
		store_bind_text(st, 3, s->boot_id);
		store_bind_num(st, 4, (int64_t)g->port);
		store_bind_num(st, 5, (int64_t)g->serial);
		rc = store_finish(s, st, e, "saving the gateway");
	}
	return rc == 0 && s->gw.run != NULL ? save_keys(s, e) : rc;
}

int
store_load_gateway(struct store *s, struct store_gateway *g, struct err *e)
{
	sqlite3_stmt *st;
	int rc = store_prepare(s, &st, "SELECT pid, start_ticks, boot_id, port, serial FROM gateway", e);

	memset(g, 0, sizeof(*g));
	if (rc < 0)
		return rc;
	if (sqlite3_step(st) == SQLITE_ROW) {
		const char *boot = (const char *)sqlite3_column_text(st, 2);

		g->pid = (pid_t)sqlite3_column_int64(st, 0);
		g->start_ticks = (uint64_t)sqlite3_column_int64(st, 1);
		g->other_boot = boot == NULL || strcmp(boot, s->boot_id) != 0;
		g->port = (uint64_t)sqlite3_column_int64(st, 3);
		g->serial = (uint64_t)sqlite3_column_int64(st, 4);
	}
	sqlite3_finalize(st);
	return 0;
}

int
store_each_key(struct store *s, const char *run, void (*fn)(void *arg, const struct store_key *k), void *arg,
    struct err *e)
{
	sqlite3_stmt *st;
	int rc = store_prepare(s, &st,
	    "SELECT name, family, state, why, organisation, until, since FROM key_state WHERE run = ?1", e);

	if (rc < 0)
		return rc;
	store_bind_text(st, 1, run);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const struct store_key k = {.name = (const char *)sqlite3_column_text(st, 0),
		    .family = (const char *)sqlite3_column_text(st, 1),
		    .state = (const char *)sqlite3_column_text(st, 2),
		    .why = (const char *)sqlite3_column_text(st, 3),
		    .organisation = (const char *)sqlite3_column_text(st, 4),
		    .until = sqlite3_column_int64(st, 5),
		    .since = sqlite3_column_int64(st, 6)};

		fn(arg, &k);
	}
	sqlite3_finalize(st);
	return 0;
}
