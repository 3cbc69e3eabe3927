/* fuzz_stream: any bytes, whole or in pieces, give the same events, and the counters stay within their sense.
 */
#include "common/stream.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	uint64_t hash, events;
};

static void
add_text(struct sum *s, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		s->hash = (s->hash ^ (unsigned char)*text) * 1099511628211u;
}

static void
on_event(void *arg, const struct stream_event *ev)
{
	struct sum *s = arg;

	s->events++;
	s->hash = (s->hash ^ (uint64_t)ev->kind) * 1099511628211u;
	s->hash = (s->hash ^ ev->attempt ^ (uint64_t)ev->http_status) * 1099511628211u;
	add_text(s, ev->session);
	add_text(s, ev->text);
	add_text(s, ev->tool);
	add_text(s, ev->error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7};
	struct sum sums[3];

	for (size_t i = 0; i < 3; i++) {
		struct stream s;

		memset(&sums[i], 0, sizeof(sums[i]));
		stream_init(&s, on_event, &sums[i]);
		for (size_t at = 0; at < size; at += steps[i] < size - at ? steps[i] : size - at)
			stream_feed(&s, (const char *)data + at, steps[i] < size - at ? steps[i] : size - at);
		stream_end(&s);
		assert(s.garbage <= s.lines && s.too_long <= s.garbage);
		assert(s.result.present == (s.result.count > 0));
		assert(s.result.http_status >= 0 && s.result.http_status < 1000);
		assert(sums[i].events >= s.lines);
		stream_clear(&s);
	}
	assert(sums[0].hash == sums[1].hash && sums[0].hash == sums[2].hash);
	return 0;
}
