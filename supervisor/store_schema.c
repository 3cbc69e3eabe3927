/*
 * store_schema: the database's tables, as a list of steps from one version to the next (PRAGMA user_version).
 * A step is never changed once it was released: databases of every earlier version are brought up by what
 * follows theirs. A new column of model.h is a step here.
 */
#include "supervisor/store_impl.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdlib.h>

/* What brings the schema from i to i + 1. */
static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE run (id TEXT,serial INTEGER NOT NULL DEFAULT 0,issue TEXT,title TEXT,"
    "body TEXT,state INTEGER NOT NULL DEFAULT 0,stopped INTEGER NOT NULL DEFAULT 0,"
    "cancelled INTEGER NOT NULL DEFAULT 0,question TEXT,reason TEXT,branch TEXT,"
    "base_branch TEXT,base TEXT,head TEXT,options TEXT,"
    "created_at INTEGER NOT NULL DEFAULT 0,started_at INTEGER NOT NULL DEFAULT 0,"
    "ended_at INTEGER NOT NULL DEFAULT 0,files INTEGER NOT NULL DEFAULT 0,"
    "insertions INTEGER NOT NULL DEFAULT 0,deletions INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (id)) WITHOUT ROWID;"
    "CREATE TABLE task (id TEXT,run_id TEXT,parent_id TEXT,"
    "level INTEGER NOT NULL DEFAULT 0,ordinal INTEGER NOT NULL DEFAULT 0,key TEXT,"
    "title TEXT,goal TEXT,owns TEXT,needs TEXT,\"after\" TEXT,acceptance TEXT,plan TEXT,"
    "state INTEGER NOT NULL DEFAULT 0,attempt INTEGER NOT NULL DEFAULT 0,"
    "failures INTEGER NOT NULL DEFAULT 0,rework INTEGER NOT NULL DEFAULT 0,"
    "doomed INTEGER NOT NULL DEFAULT 0,branch TEXT,base TEXT,head TEXT,session TEXT,"
    "reason TEXT,evidence TEXT,merge_from TEXT,wait_until INTEGER NOT NULL DEFAULT 0,"
    "created_at INTEGER NOT NULL DEFAULT 0,started_at INTEGER NOT NULL DEFAULT 0,"
    "changed_at INTEGER NOT NULL DEFAULT 0,submitted_at INTEGER NOT NULL DEFAULT 0,"
    "ended_at INTEGER NOT NULL DEFAULT 0,files INTEGER NOT NULL DEFAULT 0,"
    "insertions INTEGER NOT NULL DEFAULT 0,deletions INTEGER NOT NULL DEFAULT 0,"
    "cost_uusd INTEGER NOT NULL DEFAULT 0,tokens_in INTEGER NOT NULL DEFAULT 0,"
    "tokens_out INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id)) WITHOUT ROWID;"
    "CREATE INDEX task_run ON task (run_id);"
    "CREATE TABLE unit (task TEXT PRIMARY KEY, pid INTEGER, start_ticks INTEGER,"
    " boot_id TEXT) WITHOUT ROWID;"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " run TEXT, task TEXT, kind TEXT NOT NULL, state TEXT, text TEXT);"
    "CREATE INDEX event_run ON event (run, seq);",
    /* 2: runs may have been given keys */
    "ALTER TABLE run ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;",
    /* 3: what a task's earlier sessions cost */
    "ALTER TABLE task ADD COLUMN past_cost_uusd INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN past_tokens_in INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN past_tokens_out INTEGER NOT NULL DEFAULT 0;",
    /* 4: where work that no branch holds was saved */
    "ALTER TABLE task ADD COLUMN saved TEXT;",
    /* 5: where the files are that a run copies */
    "ALTER TABLE run ADD COLUMN checkout TEXT;",
    /* 6: a director that is started for the last word alone */
    "ALTER TABLE run ADD COLUMN epilogue INTEGER NOT NULL DEFAULT 0;",
    /* 7: runs may have been given a token for GitHub */
    "ALTER TABLE run ADD COLUMN tokened INTEGER NOT NULL DEFAULT 0;",
    /* 8: how the gate stands, and what an area adds to it */
    "ALTER TABLE task ADD COLUMN gate TEXT;"
    "ALTER TABLE task ADD COLUMN verify TEXT;"
    "ALTER TABLE task ADD COLUMN guarded TEXT;",
    /* 9: agents that were ended for what they took */
    "ALTER TABLE task ADD COLUMN ceilings INTEGER NOT NULL DEFAULT 0;",
    /* 10: the gateway, what it found out about keys, and what it counted */
    "CREATE TABLE gateway (id INTEGER PRIMARY KEY, pid INTEGER, start_ticks INTEGER, boot_id TEXT,"
    " port INTEGER, serial INTEGER);"
    "CREATE TABLE key_state (run TEXT, name TEXT, family TEXT, state TEXT NOT NULL, until INTEGER,"
    " since INTEGER, why TEXT, organisation TEXT, PRIMARY KEY (run, name, family)) WITHOUT ROWID;"
    "ALTER TABLE task ADD COLUMN gw_requests INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN gw_cost_uusd INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN gw_tokens_in INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN gw_tokens_out INTEGER NOT NULL DEFAULT 0;",
    /* 11: where a run's pull request is */
    "ALTER TABLE run ADD COLUMN pull_url TEXT;",
    /* 12: runs that ask */
    "ALTER TABLE run ADD COLUMN approve INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN plan_only INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN asked_ms INTEGER NOT NULL DEFAULT 0;",
    /* 13: what the present attempt of a task may spend */
    "ALTER TABLE task ADD COLUMN began_uusd INTEGER NOT NULL DEFAULT 0;",
    /* 14: reviews of pull requests */
    "ALTER TABLE run ADD COLUMN review TEXT;"
    "ALTER TABLE run ADD COLUMN review_round INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN review_max INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN review_pull INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN review_trust INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE run ADD COLUMN review_asked INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN review_round INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE task ADD COLUMN review TEXT;"
    "ALTER TABLE task ADD COLUMN review_said TEXT;"
    "ALTER TABLE task ADD COLUMN kept_base TEXT;"
    "ALTER TABLE task ADD COLUMN kept_head TEXT;",
    /* 15: who waits for a limit */
    "ALTER TABLE task ADD COLUMN limited INTEGER NOT NULL DEFAULT 0;",
    /* 16: for how long a run was worked at, which asked_ms was to tell */
    "ALTER TABLE run ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE run SET worked_ms = max(0, (SELECT max(at) FROM event) - started_at - asked_ms) WHERE started_at "
    "> 0;",
    /* 17: what the next agent is told of the last one's end */
    "ALTER TABLE task ADD COLUMN setback TEXT;",
};
#define SCHEMA_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

static int
user_version(struct store *s, int *version, struct err *e)
{
	sqlite3_stmt *st;
	int rc = store_prepare(s, &st, "PRAGMA user_version", e);

	if (rc < 0)
		return rc;
	if (sqlite3_step(st) == SQLITE_ROW)
		*version = sqlite3_column_int(st, 0);
	else
		rc = store_db_err(s, e, "reading its version");
	sqlite3_finalize(st);
	return rc;
}

int
store_migrate(struct store *s, const char *path, struct err *e)
{
	int version = 0, rc = user_version(s, &version, e);

	if (rc < 0)
		return rc;
	if (version > SCHEMA_VERSION)
		return err_set(e, -EPROTO,
		    "%s was written by a newer orch (schema %d, this one knows %d): use that version", path,
		    version, SCHEMA_VERSION);
	for (; rc == 0 && version < SCHEMA_VERSION; version++) {
		char *sql = xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;",
		    migrations[version], version + 1);

		rc = store_exec(s, sql, e);
		if (rc < 0)
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		free(sql);
	}
	return rc;
}
