/*
 * msg: the codec. Turns struct msg into one msgpack map and back, driven by the
 * field descriptors that proto/messages.h generates. No sockets here.
 */
#ifndef ORCH_PROTO_MSG_H
#define ORCH_PROTO_MSG_H

#include "common/err.h"
#include "proto/messages.h"

struct evbuffer;

/* "TASK_ADD", or NULL for an unknown id. */
const char *msg_name(unsigned id);

/*
 * Appends header and payload of m to out. -EMSGSIZE when a field or the frame is over
 * its maximum, -EINVAL when a required field is missing or a str is not UTF-8 text;
 * then out is unchanged and e names message and field.
 */
int msg_encode(const struct msg *m, struct evbuffer *out, struct err *e);

/*
 * Decodes a payload. On 0, strings in m are borrowed from *arena, which the caller
 * frees when m is no longer used. -EPROTO with a sentence in e for anything the schema
 * does not allow: not exactly one map, a value that is no scalar of the field's kind, a
 * field twice or missing, bytes left over, a count that cannot be true (proto/wire).
 * Unknown fields are passed over. What it costs is bounded by the payload's size.
 */
int msg_decode(unsigned id, uint32_t request, const void *payload, size_t size, struct msg *m, void **arena,
    struct err *e);

/* One line "TASK_ADD request=7 key=core title=..." for debug logs; long text is cut. Returns buf. */
const char *msg_text(const struct msg *m, char *buf, size_t size);

struct redact;
/*
 * m as it may be stored or sent on: NULL when no text in it holds a secret (nearly always), else a copy
 * without them that the caller frees. A field that gets too long is cut. Fields of the kind secret stay.
 */
struct msg *msg_redact(const struct msg *m, const struct redact *r);

/* Does m have a field that is a secret? */
bool msg_is_secret(unsigned id);

/* Copies m with all its strings into one allocation that the caller frees; strings point into it. */
struct msg *msg_dup(const struct msg *m);

#endif
