/*
 * reqlog: a line of JSON for each request that ended: who asked, with which key, what became of it, what it
 * cost, and the upstream's request-id, by which its maker can find it. No body, no header, no secret.
 */
#ifndef ORCH_GATEWAY_REQLOG_H
#define ORCH_GATEWAY_REQLOG_H

#include "common/err.h"
#include "supervisor/gateway/gateway.h"

#define REQLOG_BYTES_MAX (8 << 20) /* of the file; the one before is kept as PATH.1 */

struct reqlog;

/* Appends to path (mode 0600). 0 with *l, or -errno with a sentence. */
int reqlog_open(struct reqlog **l, const char *path, size_t bytes_max, struct err *e);
void reqlog_close(struct reqlog *l);
/* 0 or -errno: the line is lost then. */
int reqlog_add(struct reqlog *l, const struct gateway_record *r);

#endif
