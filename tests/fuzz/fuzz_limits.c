/* fuzz_limits: whatever headers an endpoint sends, the wait they make is one that ends. */
#include "supervisor/gateway/limits.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WALL 1795000000000LL

/* Lines "name: value". */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	struct limits l;
	int64_t wait;

	limits_init(&l);
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text)), *colon;

		stop = stop == NULL ? end : stop;
		colon = memchr(text, ':', (size_t)(stop - text));
		if (colon != NULL) {
			const char *value = colon + 1 < stop && colon[1] == ' ' ? colon + 2 : colon + 1;

			limits_header(&l, text, (size_t)(colon - text), value, (size_t)(stop - value), WALL);
		}
		text = stop == end ? end : stop + 1;
	}
	wait = limits_wait_ms(&l, WALL);
	assert(wait >= -1 && wait <= LIMITS_FAR_MS);
	assert(memchr(l.organisation, '\0', sizeof(l.organisation)) != NULL);
	assert(memchr(l.request_id, '\0', sizeof(l.request_id)) != NULL);
	assert(!l.rejected || limits_spent(&l));
	return 0;
}
