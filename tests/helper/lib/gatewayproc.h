/*
 * gatewayproc: the real orch-gateway as a process of its own, in its standalone mode, with keys, tokens and
 * logs in a folder that goes with it. Faults abort: a test or bench cannot go on.
 */
#ifndef ORCH_TESTS_GATEWAYPROC_H
#define ORCH_TESTS_GATEWAYPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define GATEWAYPROC_ATTEMPTS 64

struct gatewayproc {
	pid_t pid;
	unsigned port, attempts;
	char tokens[GATEWAYPROC_ATTEMPTS][40];
	char *dir, *config, *request_log, *log; /* log: its stderr */
};

/* extra: more arguments, NULL-terminated; may be NULL. Returns once it serves. */
void gatewayproc_start(
    struct gatewayproc *p, const char *configs_json, unsigned attempts, const char *const *extra);
/* Other keys; it reads them on SIGHUP. */
void gatewayproc_configure(struct gatewayproc *p, const char *configs_json);
/* SIGTERM, and what it exited with; its folder is removed. A zeroed or stopped one is fine: 0. */
int gatewayproc_stop(struct gatewayproc *p);

/* All of a file of its, so far; fresh memory. */
char *gatewayproc_read(const char *path);
/* Resident memory in KiB. */
long gatewayproc_rss(const struct gatewayproc *p);

#endif
