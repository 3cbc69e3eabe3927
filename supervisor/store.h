/*
 * store: the one durable memory, an SQLite database that only orchd opens (WAL, and a commit waits for the
 * disk wherever somebody was promised something). Runs, tasks, which process serves which task, and the
 * history.
 *
 * Changes are collected during a turn of the loop and written by store_commit() in one transaction; only
 * after it may anything be acknowledged or acted on. When it fails, nothing is lost: the same changes are
 * tried again.
 */
#ifndef ORCH_SUPERVISOR_STORE_H
#define ORCH_SUPERVISOR_STORE_H

#include "common/err.h"
#include "supervisor/model.h"

struct store;

/* Opens or makes the database and brings it to the current schema. A newer schema than ours is refused. */
int store_open(struct store **out, const char *path, struct err *e);
void store_close(struct store *s);

/* One entry of the history; seq is 0 until it is committed. Strings are owned by whoever holds it. */
struct store_event {
	int64_t seq, at;
	char *run, *task, *kind, *state, *text;
	bool remark; /* see store_add_remark */
	TAILQ_ENTRY(store_event) entry;
};
TAILQ_HEAD(store_event_list, store_event);
void store_event_free(struct store_event *ev);

/* Takes note of an event for the next commit. Any string may be NULL but kind; text is cut to fit a message.
 */
void store_add_event(struct store *s, const char *run, const char *task, const char *kind, const char *state,
    const char *text);
/* The same of what became of a process: nobody was promised that it is kept. */
void store_add_remark(struct store *s, const char *run, const char *task, const char *kind, const char *text);

/*
 * Writes every dirty run and task of runs, the unit rows that changed and the noted events. On 0 the flags
 * are cleared and done gets the committed events, to be freed by the caller; on -errno (-ENOSPC ...) all
 * stays noted. Survives a power cut, unless it was of processes alone (unit rows, remarks), which do not:
 * then it survives our death, and a power cut takes it or leaves it whole.
 */
int store_commit(struct store *s, struct run_list *runs, struct store_event_list *done, struct err *e);
/* From now on only the last max events are kept, and some more (one in 16) until the next time they are
 * counted. */
void store_keep_events(struct store *s, int64_t max);
/* Is there anything to commit? */
bool store_pending(const struct store *s, const struct run_list *runs);

/* All unfinished runs with their tasks, in order of submission. */
int store_load_unfinished(struct store *s, struct run_list *runs, struct err *e);
/* One run with its tasks; -ENOENT. id NULL: the newest. */
int store_load_run(struct store *s, const char *id, struct run **out, struct err *e);
/* The ids of all runs, oldest first, in fresh storage (strv_free). */
int store_run_ids(struct store *s, char ***ids, struct err *e);
/* Does a run of this id exist, ended or not? */
bool store_has_run(struct store *s, const char *id);
int64_t store_next_serial(struct store *s);
/* Deletes a run with its tasks and events, at once. */
int store_forget_run(struct store *s, const char *id, struct err *e);

/* The gateway, when the store was last written. */
struct store_gateway {
	pid_t pid; /* 0: none */
	uint64_t start_ticks;
	uint64_t port;   /* of the socket that agents were told; 0: none was bound yet */
	uint64_t serial; /* of the last request of this process that was counted */
	bool other_boot; /* loaded: pid is of another boot */
};
/* For the next commit. */
void store_note_gateway(struct store *s, const struct store_gateway *g);
int store_load_gateway(struct store *s, struct store_gateway *g, struct err *e);

/* What is known of a run's key: never the key. Strings may be NULL but name and state. */
struct store_key {
	const char *name, *family, *state, *why, *organisation;
	int64_t until, since;
};
/* They are all that is known of run's keys from the next commit on. Copied. */
void store_note_keys(struct store *s, const char *run, const struct store_key *keys, size_t count);
int store_each_key(struct store *s, const char *run, void (*fn)(void *arg, const struct store_key *k),
    void *arg, struct err *e);

/* Processes that were running when the store was last written. */
struct store_unit {
	char *task;
	pid_t pid;
	uint64_t start_ticks;
	char *boot_id;
};
int store_load_units(struct store *s, struct store_unit **units, size_t *count, struct err *e);
void store_units_free(struct store_unit *units, size_t count);

/*
 * Calls fn for the events after after_seq, oldest first; run and task (a task with what is below it) filter
 * when not NULL; limit > 0: only that many of the newest. fn returns false to stop.
 */
int store_each_event(struct store *s, int64_t after_seq, const char *run, const char *task, int64_t limit,
    bool (*fn)(void *arg, const struct store_event *ev), void *arg, struct err *e);

/* The kernel's boot id: a pid of another boot names nobody. */
const char *store_boot_id(const struct store *s);

#endif
