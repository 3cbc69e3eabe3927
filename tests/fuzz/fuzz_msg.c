/*
 * fuzz_msg: two bytes of message id, then a payload. What the codec accepts must encode
 * again, and decode to the same message.
 */
#include "proto/msg.h"
#include "proto/frame.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg first, second, *copy;
	struct evbuffer *a, *b;
	void *arena1, *arena2;
	char line[512];
	size_t length;

	if (size < 2)
		return 0;
	if (msg_decode((unsigned)data[0] << 8 | data[1], 7, data + 2, size - 2, &first, &arena1, NULL) != 0)
		return 0;
	a = evbuffer_new();
	b = evbuffer_new();
	copy = msg_dup(&first);
	free(arena1);
	msg_text(copy, line, sizeof(line));
	if (msg_encode(copy, a, NULL) != 0)
		abort();
	length = evbuffer_get_length(a);
	if (msg_decode(copy->id, 7, evbuffer_pullup(a, -1) + PROTO_FRAME_HEADER, length - PROTO_FRAME_HEADER,
		&second, &arena2, NULL) != 0)
		abort();
	if (msg_encode(&second, b, NULL) != 0 || evbuffer_get_length(b) != length ||
	    memcmp(evbuffer_pullup(a, -1), evbuffer_pullup(b, -1), length) != 0)
		abort();
	free(arena2);
	free(copy);
	evbuffer_free(a);
	evbuffer_free(b);
	return 0;
}
