/* perms: who may send which message to whom; a table made from the schema. Pure. */
#ifndef ORCH_PROTO_PERMS_H
#define ORCH_PROTO_PERMS_H

#include "proto/messages.h"

bool perms_allowed(unsigned id, enum proto_who from, enum proto_who to);
/* "director", "em", "worker", "orchd", "gateway", "orchctl". */
const char *perms_who_name(enum proto_who who);
/* 0 for an unknown name. */
enum proto_who perms_who_parse(const char *name);

#endif
