/* fuzz_conf: any orchestrator.json either becomes options that freeze and thaw to themselves, or a sentence.
 */
#include "common/conf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf c, again;
	struct err e = {""};
	char *frozen, *twice;

	conf_init(&c);
	if (conf_from_file(&c, "orchestrator.json", (const char *)data, size, &e) < 0) {
		assert(e.msg[0] != '\0');
		conf_clear(&c);
		return 0;
	}
	frozen = conf_freeze(&c);
	conf_init(&again);
	if (conf_thaw(&again, frozen, &e) < 0)
		abort();
	twice = conf_freeze(&again);
	assert(strcmp(frozen, twice) == 0);
	free(frozen);
	free(twice);
	conf_clear(&c);
	conf_clear(&again);
	return 0;
}
