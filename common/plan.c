/* plan: reading and checking of a plan's JSON; see plan.h. Every fault names its place in the plan. */
#include "common/plan.h"

#include "common/alloc.h"
#include "common/conf_check.h"
#include "common/json.h"
#include "common/owns.h"
#include "common/plan_link.h"
#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where we are: a list of items at a place ("areas", "areas[0].tasks"). */
struct reader {
	const char *list;
	enum plan_level level;
	const char *const *within;
	size_t owns_bytes;
	struct err *e;
};

static const char *const area_fields[] = {
    "id", "title", "goal", "owns", "depends_on", "verify", "tasks", NULL};
static const char *const task_fields[] = {"id", "title", "goal", "owns", "depends_on", "acceptance", NULL};

static const char *
kind_of(const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "something else";
}

/* "src/a.c, src/b/" and, where it gets long, "...". Caller frees. */
static char *
list_text(const char *const *v)
{
	char *text = xstrdup(""), *longer, *shown;

	for (size_t i = 0; v[i] != NULL; i++) {
		longer = xasprintf("%s%s%s", text, i > 0 ? ", " : "", v[i]);
		free(text);
		text = longer;
	}
	shown = text_line(text, 400);
	free(text);
	return shown;
}

static void
unknown_field(const char *where, const char *key, const char *const *known, struct err *e)
{
	const char *near = text_nearest(key, known);
	char *shown = text_line(key, 64), *all;

	if (near != NULL) {
		err_set(e, -EINVAL, "%s%s: unknown field (did you mean \"%s\"?)", where, shown, near);
	} else {
		all = list_text(known);
		err_set(e, -EINVAL, "%s%s: unknown field (known: %s)", where, shown, all);
		free(all);
	}
	free(shown);
}

/* where: the place of object, with its final dot, or "". */
static int
check_fields(json_t *object, const char *where, const char *const *known, struct err *e)
{
	void *at = json_object_iter(object);

	for (; at != NULL; at = json_object_iter_next(object, at)) {
		const char *key = json_object_iter_key(at);
		bool found = false;

		for (const char *const *k = known; *k != NULL && !found; k++)
			found = strcmp(*k, key) == 0;
		if (!found) {
			unknown_field(where, key, known, e);
			return -EINVAL;
		}
	}
	return 0;
}

static bool
is_blank(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return *s == '\0';
}

/* The text of a field into *out (fresh). optional: NULL when it is absent. */
static int
read_text(
    const json_t *object, const char *where, const char *field, bool optional, char **out, struct err *e)
{
	const json_t *j = json_object_get(object, field);

	if (j == NULL)
		return optional ? 0 : err_set(e, -EINVAL, "%s%s: missing", where, field);
	if (!json_is_string(j))
		return err_set(e, -EINVAL, "%s%s: must be a string, not %s", where, field, kind_of(j));
	if (is_blank(json_string_value(j)))
		return err_set(e, -EINVAL, "%s%s: empty", where, field);
	*out = xstrdup(json_string_value(j));
	return 0;
}

/* The strings of a field into *out (fresh); an absent one is an empty list where that is allowed. */
static int
read_list(
    const json_t *object, const char *where, const char *field, bool optional, char ***out, struct err *e)
{
	const json_t *j = json_object_get(object, field), *item;

	if (j == NULL && !optional)
		return err_set(e, -EINVAL, "%s%s: missing", where, field);
	if (j != NULL && !json_is_array(j))
		return err_set(
		    e, -EINVAL, "%s%s: must be an array of strings, not %s", where, field, kind_of(j));
	if (json_array_size(j) == 0 && !optional)
		return err_set(e, -EINVAL, "%s%s: empty", where, field);
	if (json_array_size(j) > OWNS_PATTERNS_MAX)
		return err_set(e, -EINVAL, "%s%s: %zu entries; at most %d", where, field, json_array_size(j),
		    OWNS_PATTERNS_MAX);
	*out = xcalloc(json_array_size(j) + 1, sizeof(**out));
	for (size_t i = 0; i < json_array_size(j); i++) {
		item = json_array_get(j, i);
		if (!json_is_string(item))
			return err_set(e, -EINVAL, "%s%s[%zu]: must be a string, not %s", where, field, i,
			    kind_of(item));
		(*out)[i] = xstrdup(json_string_value(item));
	}
	return 0;
}

/* Patterns of a field: well-formed, not too long together, and inside what may be given away. */
static int
check_patterns(struct reader *r, const char *where, const char *field, char *const *patterns)
{
	for (size_t i = 0; patterns[i] != NULL; i++) {
		char *shown, *area;
		int rc = owns_check(patterns[i], r->e);

		if (rc < 0)
			return err_prefix(r->e, rc, "%s%s[%zu]", where, field, i);
		r->owns_bytes += strlen(patterns[i]);
		if (r->owns_bytes > PLAN_OWNS_BYTES_MAX)
			return err_set(r->e, -EINVAL,
			    "%s%s[%zu]: the patterns of %s are longer than %d bytes together; use fewer "
			    "and wider ones",
			    where, field, i, r->list, PLAN_OWNS_BYTES_MAX);
		if (r->within == NULL || owns_contained(patterns[i], r->within))
			continue;
		shown = text_line(patterns[i], 200);
		area = list_text(r->within);
		err_set(r->e, -EINVAL, "%s%s[%zu]: %s is not inside what the area owns (%s)", where, field, i,
		    shown, area);
		free(shown);
		free(area);
		return -EINVAL;
	}
	return 0;
}

static int
check_owns(struct reader *r, const char *where, const struct plan *p, const struct plan_item *item)
{
	size_t own = strv_len((const char *const *)item->owns),
	       shared = p->shared == NULL ? 0 : strv_len((const char *const *)p->shared);

	if (own + shared > OWNS_PATTERNS_MAX)
		return err_set(r->e, -EINVAL, "%sowns: %zu entries, and %zu that the plan shares; at most %d",
		    where, own, shared, OWNS_PATTERNS_MAX);
	return check_patterns(r, where, "owns", item->owns);
}

/* One entry of depends_on: an id, or {"id": "...", "soft": true}. */
static int
read_need(const json_t *j, const char *at, char **id, bool *soft, struct err *e)
{
	static const char *const fields[] = {"id", "soft", NULL};
	const json_t *flag = json_object_get(j, "soft");
	char *where;
	int rc;

	*soft = json_is_true(flag);
	if (json_is_string(j)) {
		*id = xstrdup(json_string_value(j));
		return 0;
	}
	if (!json_is_object(j))
		return err_set(e, -EINVAL, "%s: must be an id or an object, not %s", at, kind_of(j));
	where = xasprintf("%s.", at);
	rc = check_fields((json_t *)j, where, fields, e);
	if (rc == 0)
		rc = read_text(j, where, "id", false, id, e);
	if (rc == 0 && flag != NULL && !json_is_boolean(flag))
		rc = err_set(e, -EINVAL, "%ssoft: must be true or false, not %s", where, kind_of(flag));
	free(where);
	return rc;
}

static int
read_needs(const json_t *object, const char *where, struct plan_item *item, struct err *e)
{
	const json_t *j = json_object_get(object, "depends_on");
	int rc = 0;

	if (j != NULL && !json_is_array(j))
		return err_set(e, -EINVAL, "%sdepends_on: must be an array, not %s", where, kind_of(j));
	if (json_array_size(j) > PLAN_ITEMS_MAX)
		return err_set(e, -EINVAL, "%sdepends_on: %zu entries; at most %d", where, json_array_size(j),
		    PLAN_ITEMS_MAX);
	item->needs = xcalloc(json_array_size(j) + 1, sizeof(*item->needs));
	for (size_t i = 0; rc == 0 && i < json_array_size(j); i++) {
		char *at = xasprintf("%sdepends_on[%zu]", where, i);
		bool soft = false;

		rc = read_need(json_array_get(j, i), at, &item->needs[i], &soft, e);
		item->soft |= (uint64_t)soft << i;
		free(at);
	}
	return rc;
}

static int
check_title(const char *where, const char *title, struct err *e)
{
	if (strlen(title) > PLAN_TITLE_MAX)
		return err_set(e, -EINVAL, "%stitle: longer than %d bytes", where, PLAN_TITLE_MAX);
	if (strpbrk(title, "\r\n") != NULL)
		return err_set(e, -EINVAL, "%stitle: must be one line", where);
	return 0;
}

static int
check_id(const struct reader *r, const char *where, const struct plan *p, size_t i)
{
	const char *id = p->items[i].id;
	char *shown;

	if (!text_is_plan_id(id)) {
		shown = text_line(id, 64);
		err_set(
		    r->e, -EINVAL, "%sid: \"%s\" must be 1 to 32 characters of a-z, 0-9 and -", where, shown);
		free(shown);
		return -EINVAL;
	}
	for (size_t k = 0; k < i; k++)
		if (strcmp(p->items[k].id, id) == 0)
			return err_set(r->e, -EINVAL, "%sid: \"%s\" is the id of %s[%zu] already", where, id,
			    r->list, k);
	return 0;
}

static int read_items(struct reader *r, struct plan *p, const json_t *array);

static int
read_verify(struct reader *r, const char *where, const json_t *object, struct plan_item *item)
{
	const json_t *verify = json_object_get(object, "verify");
	char *name = xasprintf("%sverify", where);
	int rc = verify == NULL ? 0 : conf_check_cmd(name, verify, r->e);

	if (verify != NULL && rc == 0) {
		json_t *list = json_pack("[O]", verify);

		item->verify_json = json_text(list);
		json_decref(list);
		if (strlen(item->verify_json) > PLAN_VERIFY_MAX)
			rc = err_set(r->e, -EINVAL, "%s: longer than %d bytes", name, PLAN_VERIFY_MAX);
	}
	free(name);
	return rc;
}

/* The plan of tasks that an area may bring along: checked like an EM's own, kept as text. */
static int
read_area_tasks(
    struct reader *r, const char *where, const json_t *object, const struct plan *p, struct plan_item *item)
{
	char *list = xasprintf("%stasks", where);
	struct plan tasks = {.level = PLAN_TASKS};
	char **within = plan_item_owns(p, item);
	struct reader inner = {list, PLAN_TASKS, (const char *const *)within, 0, r->e};
	const json_t *array = json_object_get(object, "tasks");
	json_t *whole;
	int rc = 0;

	if (array != NULL)
		rc = read_items(&inner, &tasks, array);
	if (array != NULL && rc == 0) {
		whole = json_pack("{s:s, s:O}", "summary", item->title, "tasks", array);
		item->tasks_json = json_text(whole);
		json_decref(whole);
	}
	plan_clear(&tasks);
	strv_free(within);
	free(list);
	return rc;
}

static int
read_item(struct reader *r, struct plan *p, size_t i, json_t *object)
{
	bool areas = r->level == PLAN_AREAS;
	struct plan_item *item = &p->items[i];
	char *where = xasprintf("%s[%zu].", r->list, i);
	int rc;

	if (!json_is_object(object)) {
		free(where);
		return err_set(
		    r->e, -EINVAL, "%s[%zu]: must be an object, not %s", r->list, i, kind_of(object));
	}
	item->after = xcalloc(1, sizeof(*item->after));
	if ((rc = check_fields(object, where, areas ? area_fields : task_fields, r->e)) < 0 ||
	    (rc = read_text(object, where, "id", false, &item->id, r->e)) < 0 ||
	    (rc = check_id(r, where, p, i)) < 0 ||
	    (rc = read_text(object, where, "title", false, &item->title, r->e)) < 0 ||
	    (rc = check_title(where, item->title, r->e)) < 0 ||
	    (rc = read_text(object, where, "goal", false, &item->goal, r->e)) < 0 ||
	    (rc = read_list(object, where, "owns", false, &item->owns, r->e)) < 0 ||
	    (rc = check_owns(r, where, p, item)) < 0 || (rc = read_needs(object, where, item, r->e)) < 0)
		goto out;
	if (areas)
		rc = read_verify(r, where, object, item);
	if (areas && rc == 0)
		rc = read_area_tasks(r, where, object, p, item);
	else if (!areas)
		rc = read_text(object, where, "acceptance", true, &item->acceptance, r->e);
out:
	free(where);
	return rc;
}

/* Reads array into p's items and links them; p is the caller's to clear in any case. */
static int
read_items(struct reader *r, struct plan *p, const json_t *array)
{
	size_t n = json_array_size(array);
	int rc;

	if (!json_is_array(array))
		return err_set(r->e, -EINVAL, "%s: must be an array, not %s", r->list, kind_of(array));
	if (n == 0)
		return err_set(r->e, -EINVAL, "%s: empty; a plan needs at least one %s", r->list,
		    r->level == PLAN_AREAS ? "area" : "task");
	if (n > PLAN_ITEMS_MAX)
		return err_set(r->e, -EINVAL, "%s: %zu entries; at most %d", r->list, n, PLAN_ITEMS_MAX);
	p->items = xcalloc(n, sizeof(*p->items));
	p->count = n;
	for (size_t i = 0; i < n; i++) {
		rc = read_item(r, p, i, json_array_get(array, i));
		if (rc < 0)
			return rc;
	}
	return plan_link(p, r->list, r->e);
}

static int
read_question(struct reader *r, struct plan *p, const json_t *root)
{
	const json_t *j = json_object_get(root, "question");

	if (r->level != PLAN_AREAS || json_is_null(j)) /* agents fill in what they need not */
		return 0;
	if (json_is_string(j) && is_blank(json_string_value(j)))
		return 0;
	if (json_string_length(j) > PLAN_QUESTION_MAX)
		return err_set(r->e, -EINVAL, "question: longer than %d bytes", PLAN_QUESTION_MAX);
	return read_text(root, "", "question", true, &p->question, r->e);
}

static int
read_plan(struct reader *r, struct plan *p, json_t *root)
{
	const char *const fields[] = {
	    "summary", r->list, "shared", r->level == PLAN_AREAS ? "question" : NULL, NULL};
	const json_t *array = json_object_get(root, r->list);
	int rc;

	if (!json_is_object(root))
		return err_set(r->e, -EINVAL, "plan: must be an object with \"summary\" and \"%s\", not %s",
		    r->list, kind_of(root));
	if ((rc = check_fields(root, "", fields, r->e)) < 0 ||
	    (rc = read_text(root, "", "summary", false, &p->summary, r->e)) < 0 ||
	    (rc = read_question(r, p, root)) < 0 ||
	    (rc = read_list(root, "", "shared", true, &p->shared, r->e)) < 0 ||
	    (rc = check_patterns(r, "", "shared", p->shared)) < 0)
		return rc;
	if (array == NULL)
		return err_set(r->e, -EINVAL, "%s: missing", r->list);
	return read_items(r, p, array);
}

int
plan_parse(struct plan *p, enum plan_level level, const char *json, size_t size, const char *const *within,
    struct err *e)
{
	struct reader r = {level == PLAN_AREAS ? "areas" : "tasks", level, within, 0, e};
	struct plan fresh = {.level = level};
	json_t *root;
	int rc;

	if (size > PLAN_BYTES_MAX)
		return err_set(e, -EINVAL, "plan: %zu bytes long; at most %d", size, PLAN_BYTES_MAX);
	root = json_parse("plan", json, size, e);
	if (root == NULL)
		return -EINVAL;
	rc = read_plan(&r, &fresh, root);
	json_decref(root);
	if (rc < 0)
		plan_clear(&fresh);
	else
		*p = fresh;
	return rc;
}

char **
plan_item_owns(const struct plan *p, const struct plan_item *item)
{
	size_t n = strv_len((const char *const *)item->owns),
	       shared = p->shared == NULL ? 0 : strv_len((const char *const *)p->shared);
	char **all = xcalloc(n + shared + 1, sizeof(*all));

	for (size_t i = 0; i < n + shared; i++)
		all[i] = xstrdup(i < n ? item->owns[i] : p->shared[i - n]);
	return all;
}

char *
plan_words(const struct plan *p, size_t max)
{
	char *all = xasprintf("%zu area%s: ", p->count, p->count == 1 ? "" : "s"), *longer, *line;

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *it = &p->items[i];
		char *owns = list_text((const char *const *)it->owns);

		longer = xasprintf("%s%s%s (%s; %s)", all, i > 0 ? ", " : "", it->id, it->title, owns);
		free(owns);
		free(all);
		all = longer;
	}
	longer = xasprintf("%s. %s", all, p->summary);
	line = text_line(longer, max);
	free(longer);
	free(all);
	return line;
}

void
plan_clear(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct plan_item *item = &p->items[i];

		free(item->id);
		free(item->title);
		free(item->goal);
		free(item->acceptance);
		free(item->verify_json);
		free(item->tasks_json);
		strv_free(item->owns);
		strv_free(item->needs);
		strv_free(item->after);
	}
	strv_free(p->shared);
	free(p->items);
	free(p->summary);
	free(p->question);
	memset(p, 0, sizeof(*p));
}
