/* plan: any bytes, at both levels; a fault is one line of UTF-8, and what is accepted keeps its promises. */
#include "common/owns.h"
#include "common/plan.h"
#include "common/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_item(enum plan_level level, const struct plan_item *item)
{
	struct plan tasks;

	assert(text_is_plan_id(item->id) && item->title[0] != '\0' && item->goal[0] != '\0');
	assert(item->owns[0] != NULL && item->after != NULL && item->needs != NULL);
	for (char **o = item->owns; *o != NULL; o++)
		assert(owns_check(*o, NULL) == 0);
	assert(level == PLAN_TASKS || item->after[0] == NULL);
	if (item->tasks_json == NULL)
		return;
	assert(plan_parse(&tasks, PLAN_TASKS, item->tasks_json, strlen(item->tasks_json),
		   (const char *const *)item->owns, NULL) == 0);
	plan_clear(&tasks);
}

static void
check(enum plan_level level, const uint8_t *data, size_t size, const char *const *within)
{
	struct plan p;
	struct err e = {""};

	if (plan_parse(&p, level, (const char *)data, size, within, &e) < 0) {
		assert(e.msg[0] != '\0' && strchr(e.msg, '\n') == NULL);
		assert(text_is_utf8(e.msg, strlen(e.msg)));
		return;
	}
	assert(p.count > 0 && p.summary[0] != '\0');
	for (size_t i = 0; i < p.count; i++)
		check_item(level, &p.items[i]);
	plan_clear(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(PLAN_AREAS, data, size, NULL);
	check(PLAN_TASKS, data, size, NULL);
	check(PLAN_TASKS, data, size, (const char *const[]){"src/**", "docs/", NULL});
	return 0;
}
