/* store_impl: what the two halves of the store share: saving (store.c) and loading (store_load.c). Private to
 * them. */
#ifndef ORCH_SUPERVISOR_STORE_IMPL_H
#define ORCH_SUPERVISOR_STORE_IMPL_H

#include "supervisor/store.h"

#include <sqlite3.h>

#define C_NAME(kind, name) "\"" #name "\","

enum statement {
	ST_SAVE_RUN,
	ST_SAVE_TASK,
	ST_SAVE_UNIT,
	ST_DROP_UNIT,
	ST_ADD_EVENT,
	ST_DROP_EVENTS,
	ST_SAVE_GATEWAY,
	ST_DROP_KEYS,
	ST_SAVE_KEY,
	ST_COUNT
};

struct noted_key {
	char *name, *family, *state, *why, *organisation;
	int64_t until, since;
};

/* What store_gateway.c is to write. */
struct noted_gateway {
	bool dirty;
	struct store_gateway gateway;
	char *run; /* whose keys; NULL: no news */
	struct noted_key *keys;
	size_t key_count;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[ST_COUNT];
	struct store_event_list noted;
	struct noted_gateway gw;
	char *boot_id;
	bool lazy;                 /* commits do not wait for the disk, as SQLite was last told */
	int64_t max_events, added; /* 0: all are kept; since the oldest were last dropped */
};

/* -errno for the database's last error, with what was being done in e. */
int store_db_err(struct store *s, struct err *e, const char *what);
int store_exec(struct store *s, const char *sql, struct err *e);
int store_prepare(struct store *s, sqlite3_stmt **st, const char *sql, struct err *e);
/* Steps a statement that gives no rows, and makes it ready for the next time. */
int store_finish(struct store *s, sqlite3_stmt *st, struct err *e, const char *what);
void store_bind_text(sqlite3_stmt *st, int i, const char *text);
void store_bind_num(sqlite3_stmt *st, int i, int64_t n);
/* Brings the database to the current schema; a newer one is refused (store_schema.c). */
int store_migrate(struct store *s, const char *path, struct err *e);
/* store_gateway.c */
int store_save_gateway(struct store *s, struct err *e);
void store_clear_gateway(struct store *s);
/* Column lists end in a comma: the copy does not. Caller frees. */
char *store_sql(const char *sql);

#endif
