/* frame: the 12-byte header in front of every payload (see proto/messages.h). Pure. */
#ifndef ORCH_PROTO_FRAME_H
#define ORCH_PROTO_FRAME_H

#include "common/err.h"
#include "proto/messages.h"

struct frame {
	uint32_t length; /* of the payload */
	uint16_t id;
	uint16_t flags;
	uint32_t request;
};

void frame_put(const struct frame *f, unsigned char header[PROTO_FRAME_HEADER]);
/* -EPROTO with a sentence when the length is over PROTO_FRAME_MAX or flags are set. */
int frame_get(struct frame *f, const unsigned char header[PROTO_FRAME_HEADER], struct err *e);

#endif
