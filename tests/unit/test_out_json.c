/*
 * out_json: what programs read. docs/status.schema.json and the writer are compared field by field, so that a
 * new row in proto/messages.h fails here until it is documented.
 */
#include "supervisor/ctl/out.h"

#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/ctlmodel.h"
#include "tests/helper/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capture {
	struct out out;
	char *text;
	size_t size;
};

static void
capture_open(struct capture *c)
{
	memset(c, 0, sizeof(*c));
	c->out.f = open_memstream(&c->text, &c->size);
	c->out.now_ms = CTLMODEL_NOW;
	assert_non_null(c->out.f);
}

/* What was written, which must be exactly one line of JSON. */
static json_t *
capture_take(struct capture *c)
{
	struct err e = {""};
	json_t *j;

	assert_int_equal(fclose(c->out.f), 0);
	assert_true(c->size > 0);
	assert_ptr_equal(strchr(c->text, '\n'), c->text + c->size - 1);
	j = json_parse("output", c->text, c->size, &e);
	if (j == NULL)
		fail_msg("%s", e.msg);
	free(c->text);
	return j;
}

static json_t *
load_definition(json_t **schema, const char *name)
{
	char *text;
	size_t size;

	assert_int_equal(fd_read_file(ORCH_SOURCE_DIR "/docs/status.schema.json", 1 << 20, &text, &size), 0);
	*schema = json_parse("schema", text, size, NULL);
	free(text);
	assert_non_null(*schema);
	return json_object_get(json_object_get(*schema, "$defs"), name);
}

/* The object has exactly the documented fields, and all of them are required. */
static void
assert_documented(const json_t *object, const char *name)
{
	json_t *schema, *definition = load_definition(&schema, name);
	json_t *properties = json_object_get(definition, "properties"), *value;
	const char *key;

	assert_non_null(properties);
	assert_non_null(object);
	assert_int_equal(
	    json_array_size(json_object_get(definition, "required")), json_object_size(properties));
	json_object_foreach((json_t *)object, key, value) if (json_object_get(properties, key) == NULL)
	    fail_msg("%s.%s is not in docs/status.schema.json", name, key);
	json_object_foreach(properties, key, value) if (json_object_get(object, key) == NULL)
	    fail_msg("%s.%s is documented but not written", name, key);
	json_decref(schema);
}

static void
fill(struct view *v)
{
	struct msg run = ctlmodel_run("running"), task = ctlmodel_task("m1/em1", "Core", "waiting");
	struct msg daemon = {.id = MSG_DAEMON_INFO}, event = {.id = MSG_EVENT_INFO};

	view_init(v);
	daemon.daemon_info.version = "0.1.0";
	daemon.daemon_info.git_dir = "/r/.git";
	daemon.daemon_info.state_dir = "/r/.git/orch";
	view_put(v, &daemon, NULL);
	run.run_info.tasks = 1;
	view_put(v, &run, NULL);
	task.task_info.owns_json = "[\"src/**\", \"Makefile\"]";
	task.task_info.title = "quote \" and \\ and \xc3\xa9";
	task.task_info.cost_uusd = 1234567;
	view_put(v, &task, NULL);
	event.event_info.seq = 7;
	event.event_info.at = CTLMODEL_NOW;
	event.event_info.kind = "gate";
	view_put(v, &event, NULL);
}

static void
test_status(void **state)
{
	struct capture c;
	struct view v;
	json_t *j, *run, *task;

	(void)state;
	fill(&v);
	capture_open(&c);
	out_json.status(&c.out, &v, false);
	j = capture_take(&c);
	run = json_array_get(json_object_get(j, "runs"), 0);
	task = json_array_get(json_object_get(run, "tasks"), 0);
	assert_documented(j, "status");
	assert_documented(json_object_get(j, "daemon"), "daemon");
	assert_documented(run, "run");
	assert_documented(task, "task");
	assert_int_equal(json_integer_value(json_object_get(run, "task_count")), 1);
	assert_true(json_is_null(json_object_get(run, "ended_at")));
	assert_true(json_is_null(json_object_get(run, "branch")));
	assert_string_equal(json_str(task, "title"), "quote \" and \\ and \xc3\xa9");
	assert_int_equal(json_array_size(json_object_get(task, "owns")), 2);
	assert_int_equal(json_array_size(json_object_get(task, "needs")), 0);
	assert_int_equal(json_integer_value(json_object_get(task, "cost_uusd")), 1234567);
	json_decref(j);
	view_clear(&v);
}

static void
test_nothing(void **state)
{
	struct capture c;
	struct view v;
	json_t *j;

	(void)state;
	view_init(&v);
	capture_open(&c);
	out_json.status(&c.out, &v, false);
	j = capture_take(&c);
	assert_documented(j, "status");
	assert_true(json_is_null(json_object_get(j, "daemon")));
	json_decref(j);
}

static void
test_event_and_report(void **state)
{
	struct capture c;
	struct report r;
	struct view v;
	struct msg event;
	json_t *j, *one;

	(void)state;
	fill(&v);
	capture_open(&c);
	out_json.event(&c.out, &v.events[0]->event_info);
	j = capture_take(&c);
	assert_documented(j, "event");
	assert_int_equal(json_integer_value(json_object_get(j, "seq")), 7);
	assert_int_equal(json_integer_value(json_object_get(j, "at")), CTLMODEL_NOW);
	json_decref(j);
	capture_open(&c);
	event = (struct msg){.id = MSG_EVENT_INFO,
	    .event_info = {.seq = 8,
		.at = CTLMODEL_NOW - 5000,
		.task = "m1/em1",
		.kind = "state",
		.state = "waiting",
		.text = "the gate (x) exited with status 1 after 0s"}};
	view_put(&v, &event, NULL);
	report_make(&r, &v, view_last(&v), CTLMODEL_NOW);
	out_json.report(&c.out, &v, &r);
	report_clear(&r);
	j = capture_take(&c);
	assert_documented(j, "report");
	one = json_array_get(json_object_get(j, "timeline"), 0);
	assert_documented(one, "timeline");
	assert_documented(json_array_get(json_object_get(one, "spans"), 0), "span");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(one, "ms"), "waiting")), 5000);
	assert_int_equal(json_array_size(json_object_get(one, "gates")), 1);
	assert_documented(json_object_get(j, "run"), "run");
	assert_documented(json_array_get(json_object_get(j, "events"), 0), "event");
	json_decref(j);
	view_clear(&v);
}

static void
test_doctor(void **state)
{
	const struct finding findings[] = {
	    {FINDING_OK, "git", "git version 2.39.5", ""}, {FINDING_ERROR, "agent", "missing", "install it"}};
	struct capture c;
	json_t *j, *list;

	(void)state;
	capture_open(&c);
	out_json.doctor(&c.out, findings, 2);
	j = capture_take(&c);
	list = json_object_get(j, "checks");
	assert_documented(j, "doctor");
	assert_documented(json_array_get(list, 0), "check");
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "todo")));
	assert_string_equal(json_str(json_array_get(list, 1), "level"), "error");
	json_decref(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_event_and_report),
	    cmocka_unit_test(test_doctor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
