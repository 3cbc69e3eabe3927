/* owns: two patterns and a path, a line each; what matching says must not contradict overlap and containment.
 */
#include "common/alloc.h"
#include "common/owns.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size), *rest = text;
	const char *a = strsep(&rest, "\n"), *b = rest == NULL ? "" : strsep(&rest, "\n");
	const char *path = rest == NULL ? "" : strsep(&rest, "\n");
	bool valid = owns_check(a, NULL) == 0 && owns_check(b, NULL) == 0;
	bool overlap = owns_overlap(a, b);
	bool contained = owns_contained(a, (const char *const[]){b, NULL});

	assert(overlap == owns_overlap(b, a));
	assert(overlap || !contained);
	/* what passes as a pattern and names no folder is fit to be a path */
	if (valid && owns_check(path, NULL) == 0 && path[strlen(path) - 1] != '/') {
		bool in_a = owns_match(a, path), in_b = owns_match(b, path);

		assert(!in_a || !in_b || overlap);
		assert(!in_a || !contained || in_b);
	}
	free(text);
	return 0;
}
