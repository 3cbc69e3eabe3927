/* fuzz_usage: any bytes, whole or in pieces, give the same numbers within their bounds, in both forms. */
#include "supervisor/gateway/usage.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_in_steps(enum usage_form form, const char *text, size_t size, size_t step, struct usage *u)
{
	struct usage_reader r;

	usage_reader_init(&r, form);
	while (size > 0) {
		size_t n = step < size ? step : size;

		usage_reader_feed(&r, text, n);
		text += n;
		size -= n;
	}
	assert(r.line_size <= USAGE_EVENT_MAX && r.data_size <= USAGE_EVENT_MAX);
	usage_reader_end(&r, u);
	usage_reader_clear(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7};
	struct usage u[3];

	for (enum usage_form form = USAGE_SSE; form <= USAGE_JSON; form++) {
		for (size_t i = 0; i < 3; i++) {
			memset(&u[i], 0, sizeof(u[i]));
			read_in_steps(form, (const char *)data, size, steps[i], &u[i]);
		}
		assert(memcmp(&u[0], &u[1], sizeof(u[0])) == 0 && memcmp(&u[0], &u[2], sizeof(u[0])) == 0);
		assert(u[0].input <= USAGE_TOKENS_MAX && u[0].output <= USAGE_TOKENS_MAX);
		assert(memchr(u[0].model, '\0', sizeof(u[0].model)) != NULL);
	}
	return 0;
}
