/* fuzz_prices: any file of prices either becomes rows that can be reckoned with, or a sentence, and then
 * nothing has changed. */
#include "common/prices.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct price_use u = {.input = 1000, .output = 1000, .cache_read = 1000, .cache_write = 1000};
	struct err e = {""};
	struct prices p;
	size_t before;

	prices_init(&p);
	before = p.count;
	if (prices_load(&p, "prices", (const char *)data, size, &e) < 0)
		assert(e.msg[0] != '\0' && p.count == before && strcmp(p.date, "2026-11-22") == 0);
	assert(p.count >= before && p.count <= PRICES_ROWS_MAX);
	for (size_t i = 0; i < p.count; i++) {
		assert(prices_find(&p, p.v[i].model) != NULL);
		assert(prices_cost(&p.v[i], &u) <= 4 * UINT64_C(2000000000000000));
	}
	prices_clear(&p);
	return 0;
}
