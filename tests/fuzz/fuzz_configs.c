/* fuzz_configs: any CLAUDE_CONFIGS either becomes configurations that can all log in, or a sentence. */
#include "common/configs.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct configs c;
	struct err e = {""};

	if (configs_parse(&c, "CLAUDE_CONFIGS", (const char *)data, size, &e) < 0) {
		assert(strncmp(e.msg, "CLAUDE_CONFIGS", 14) == 0 && c.v == NULL && c.count == 0);
		return 0;
	}
	assert(c.count >= 1 && c.count <= CONFIGS_MAX);
	for (size_t i = 0; i < c.count; i++) {
		char *json = configs_env_json(&c.v[i]), **env = NULL;

		assert(c.v[i].name[0] != '\0' && c.v[i].env[0] != NULL);
		if (configs_env_parse(json, &env, &e) < 0)
			abort();
		for (size_t k = 0; c.v[i].env[k] != NULL; k++)
			assert(strcmp(env[k], c.v[i].env[k]) == 0);
		configs_wipe_free(json);
		configs_wipe_strv(env);
	}
	configs_clear(&c);
	return 0;
}
