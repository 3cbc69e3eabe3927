/* frame: the fixed header, byte by byte so that neither alignment nor byte order matters. */
#include "proto/frame.h"

#include <errno.h>

static void
put32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void
frame_put(const struct frame *f, unsigned char header[PROTO_FRAME_HEADER])
{
	put32(header, f->length);
	put32(header + 4, (uint32_t)f->id << 16 | f->flags);
	put32(header + 8, f->request);
}

int
frame_get(struct frame *f, const unsigned char header[PROTO_FRAME_HEADER], struct err *e)
{
	struct frame got = {
	    .length = get32(header),
	    .id = (uint16_t)(get32(header + 4) >> 16),
	    .flags = (uint16_t)get32(header + 4),
	    .request = get32(header + 8),
	};

	if (got.length > PROTO_FRAME_MAX)
		return err_set(e, -EPROTO, "a message of %u bytes is over the limit of %u bytes", got.length,
		    PROTO_FRAME_MAX);
	if (got.flags != 0)
		return err_set(e, -EPROTO, "a message has unknown flags 0x%04x", (unsigned)got.flags);
	*f = got;
	return 0;
}
