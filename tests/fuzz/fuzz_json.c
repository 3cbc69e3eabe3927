/* fuzz_json: what parses prints and parses again to the same; what does not parse gives a one-line sentence.
 */
#include "common/json.h"
#include "common/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {""};
	json_t *j = json_parse("input", (const char *)data, size, &e), *again;
	char **v = NULL, *text;

	if (j == NULL) {
		assert(strncmp(e.msg, "input: ", 7) == 0 && strchr(e.msg, '\n') == NULL);
		assert(text_is_utf8(e.msg, strlen(e.msg)));
		return 0;
	}
	text = json_text(j);
	again = json_parse("again", text, strlen(text), &e);
	assert(again != NULL);
	assert(json_equal(j, again));
	if (json_to_strv(text, &v, &e) == 0)
		assert(strv_len((const char *const *)v) == json_array_size(j));
	strv_free(v);
	free(text);
	json_decref(again);
	json_decref(j);
	return 0;
}
