/*
 * judge: whether what an agent left behind may be gated and submitted, computed from facts, never from what
 * the agent says; and the words that go with it. Pure.
 */
#ifndef ORCH_WORKER_JUDGE_H
#define ORCH_WORKER_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

struct judge_facts {
	const char *base;        /* the commit that changes are counted from */
	char *const *changed;    /* paths in which the commit differs from it */
	char *const *outside;    /* symbolic links among them that lead out of the repository; NULL: none */
	char *const *marked;     /* files with conflict markers left in them */
	const char *const *owns; /* patterns */
	const char *const *guarded; /* patterns of what only an owner by name may change; NULL: nothing */
	const char *denied;         /* tools that the agent wanted and was not allowed to use; NULL */
};

/* Why it goes back to the agent, for status (one sentence) and for the agent. */
struct judgement {
	char *reason, *evidence;
};

/* True when it may go on to the gate. False with j filled: nothing changed, markers left, or a trespass,
 * looked at in this order. */
bool judge(const struct judge_facts *f, struct judgement *j);
void judgement_clear(struct judgement *j);

/* Does the text have a line that begins a conflict? */
bool judge_has_marker(const char *text, size_t size);

/* The message of the task's commit, with the trailers that lead back to the task. Caller frees. */
char *judge_commit_message(const char *title, const char *task, const char *session);
/* The first line of an agent's final words that says something, cut to what a summary may have; NULL when
 * there is none. Caller frees. */
char *judge_summary(const char *text);

#endif
