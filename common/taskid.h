/*
 * taskid: the names of tasks, "25" (a run and its director's task), "25/em1", "25/em1/w2", how people type
 * them, and the paths and refs that follow from them. Pure.
 */
#ifndef ORCH_COMMON_TASKID_H
#define ORCH_COMMON_TASKID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TASKID_MAX 96 /* bytes with the NUL */

/* Run part [a-z0-9-]{1,64}, then nothing, /em<N> or /em<N>/w<M> with N, M in 1..9999. */
bool taskid_valid(const char *id);
/* 0 run, 1 EM, 2 worker; -1 when invalid. */
int taskid_level(const char *id);
/* The issue whose run has a branch of this name, "cco/25-build-it" with the prefix "cco/"; 0: none. */
uint64_t taskid_branch_issue(const char *branch, const char *prefix);
/* "25/em1/w2" -> "25-em1-w2": file names, and refs, where 25/em1 would block 25/em1/w2. */
void taskid_flat(char flat[TASKID_MAX], const char *id);

/*
 * What a person typed, within run: "25/em1/w2", "em1/w2", "em1", "1.2", "1" (that EM). A word that is a valid
 * id by itself and names run or something in it is taken as it is. False when it is none of these.
 */
bool taskid_expand(char id[TASKID_MAX], const char *run, const char *typed);

/* <state_dir>/wt/<flat>, <state_dir>/home/<flat>, <log_dir>/<flat>.log, <log_dir>/<flat>.agent.jsonl. Caller
 * frees. */
char *taskid_worktree(const char *state_dir, const char *id);
char *taskid_home(const char *state_dir, const char *id);
char *taskid_log(const char *log_dir, const char *id);
char *taskid_agent_log(const char *log_dir, const char *id);
/* refs/orch/wip/<flat>. Caller frees. */
char *taskid_wip_ref(const char *id);

#endif
