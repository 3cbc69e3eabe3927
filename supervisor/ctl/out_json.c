/*
 * out_json: results for programs. Objects are made from the rows of proto/messages.h, so that every field of
 * the schema is here under its own name, and docs/status.schema.json says the same: a test compares them.
 * Fields are never left out: absent text and times are null. A field x_json becomes the array x.
 */
#include "supervisor/ctl/out.h"

#include "common/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool
ends_in(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static void
put_str(json_t *o, const char *name, const char *value)
{
	char base[64];
	json_t *list;

	if (!ends_in(name, "_json")) {
		json_object_set_new(o, name, value == NULL ? json_null() : json_string(value));
		return;
	}
	snprintf(base, sizeof(base), "%.*s", (int)(strlen(name) - strlen("_json")), name);
	list = value == NULL ? NULL : json_parse(name, value, strlen(value), NULL);
	json_object_set_new(o, base, list == NULL ? json_array() : list);
}

static void
put_u64(json_t *o, const char *name, uint64_t value)
{
	bool is_time = ends_in(name, "_at") || ends_in(name, "_until");

	json_object_set_new(o, name, is_time && value == 0 ? json_null() : json_integer((json_int_t)value));
}

static void
put_bool(json_t *o, const char *name, bool value)
{
	json_object_set_new(o, name, json_boolean(value));
}

#define F(kind, name, need, max) put_##kind(o, #name, m->name);
#define MAKE(function, type, FIELDS)                                                                         \
	static json_t *function(const struct type *m)                                                        \
	{                                                                                                    \
		json_t *o = json_object();                                                                   \
		FIELDS(F)                                                                                    \
		return o;                                                                                    \
	}

MAKE(daemon_object, msg_daemon_info, MSG_DAEMON_INFO_FIELDS)
MAKE(run_object, msg_run_info, MSG_RUN_INFO_FIELDS)
MAKE(task_object, msg_task_info, MSG_TASK_INFO_FIELDS)
MAKE(event_object, msg_event_info, MSG_EVENT_INFO_FIELDS)
#undef F

static void
print(struct out *o, json_t *j)
{
	char *text = json_text(j);

	fputs(text, o->f);
	fputc('\n', o->f);
	free(text);
	json_decref(j);
}

static json_t *
run_with_tasks(const struct view_run *r)
{
	json_t *run = run_object(r->info), *tasks = json_array();

	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(tasks, task_object(r->tasks[i].info));
	/* The schema's "tasks" is their number; here the name belongs to the list. */
	json_object_set_new(run, "task_count", json_integer((json_int_t)r->info->tasks));
	json_object_set_new(run, "tasks", tasks);
	return run;
}

static json_t *
daemon_or_null(const struct view *v)
{
	return v->daemon == NULL ? json_null() : daemon_object(&v->daemon->daemon_info);
}

static void
json_status(struct out *o, const struct view *v, bool all)
{
	json_t *root = json_object(), *runs = json_array();

	(void)all;
	for (size_t i = 0; i < v->run_count; i++)
		if (v->runs[i]->msg != NULL)
			json_array_append_new(runs, run_with_tasks(v->runs[i]));
	json_object_set_new(root, "daemon", daemon_or_null(v));
	json_object_set_new(root, "runs", runs);
	print(o, root);
}

static void
json_event(struct out *o, const struct msg_event_info *ev)
{
	print(o, event_object(ev));
}

static json_t *
span_object(const struct report_span *s)
{
	return json_pack("{s:s, s:I, s:I}", "what", report_what_name(s->what), "from", (json_int_t)s->from,
	    "to", (json_int_t)s->to);
}

static json_t *
timeline_object(const struct report_task *t)
{
	json_t *o = json_object(), *spans = json_array(), *gates = json_array(), *ms = json_object();

	for (size_t i = 0; i < t->span_count; i++)
		json_array_append_new(spans, span_object(&t->spans[i]));
	for (size_t i = 0; i < t->gate_count; i++)
		json_array_append_new(gates, json_string(t->gates[i]));
	for (int i = 0; i < REPORT_WHAT_COUNT; i++)
		json_object_set_new(
		    ms, report_what_name((enum report_what)i), json_integer((json_int_t)t->ms[i]));
	json_object_set_new(o, "task", json_string(t->task->info->task));
	json_object_set_new(o, "missing", json_boolean(t->missing));
	json_object_set_new(o, "gates", gates);
	json_object_set_new(o, "ms", ms);
	json_object_set_new(o, "spans", spans);
	return o;
}

static void
json_report(struct out *o, const struct view *v, const struct report *r)
{
	json_t *root = json_object(), *events = json_array(), *timeline = json_array();

	for (size_t i = 0; i < v->event_count; i++)
		json_array_append_new(events, event_object(&v->events[i]->event_info));
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(timeline, timeline_object(&r->tasks[i]));
	json_object_set_new(root, "run", run_with_tasks(r->run));
	json_object_set_new(root, "timeline", timeline);
	json_object_set_new(root, "events", events);
	print(o, root);
}

static void
json_doctor(struct out *o, const struct finding *findings, size_t count)
{
	static const char *const levels[] = {"ok", "warning", "error"};
	json_t *root = json_object(), *list = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *one = json_object();

		json_object_set_new(one, "level", json_string(levels[findings[i].level]));
		json_object_set_new(one, "name", json_string(findings[i].name));
		json_object_set_new(one, "text", json_string(findings[i].text));
		json_object_set_new(
		    one, "todo", findings[i].todo[0] == '\0' ? json_null() : json_string(findings[i].todo));
		json_array_append_new(list, one);
	}
	json_object_set_new(root, "checks", list);
	print(o, root);
}

const struct out_ops out_json = {
    .status = json_status, .event = json_event, .report = json_report, .doctor = json_doctor};
