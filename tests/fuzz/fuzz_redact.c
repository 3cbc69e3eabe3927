/*
 * fuzz_redact: whatever a text holds, no secret is left in it as it is, and a text that comes in two pieces
 * is cleaned like one that comes whole. The first byte says where it is cut.
 */
#include "common/redact.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "sk-test-dummy"

struct text {
	char *data;
	size_t size;
};

static void
collect(void *arg, const char *data, size_t size)
{
	struct text *t = arg;

	memcpy(t->data + t->size, data, size);
	t->size += size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct redact *r;
	struct text got = {0};
	struct redact_stream s = {.sink = collect, .arg = &got};
	size_t cut, n;
	char *clean;

	if (size < 2 || size > 4096)
		return 0;
	n = --size;
	cut = data[0] % (size + 1);
	r = redact_new();
	redact_add(r, "a", KEY);
	s.r = r;
	got.data = malloc(size * 2 + 64);
	clean = redact_text(r, text, size, &n);
	assert(redact_finds(r, text, size, NULL) == (clean != NULL));
	if (clean != NULL)
		assert(memmem(clean, n, KEY, strlen(KEY)) == NULL);
	else
		assert(memmem(text, size, KEY, strlen(KEY)) == NULL);
	redact_stream_feed(&s, text, cut);
	redact_stream_feed(&s, text + cut, size - cut);
	redact_stream_end(&s);
	assert(got.size == n && memcmp(got.data, clean == NULL ? text : clean, n) == 0);
	free(got.data);
	free(clean);
	redact_free(r);
	return 0;
}
