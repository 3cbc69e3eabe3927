/* out_text: results for people. What came from elsewhere goes through line_add, which makes it harmless. */
#include "supervisor/ctl/out.h"

#include "common/clock.h"
#include "supervisor/ctl/term.h"
#include "supervisor/ctl/tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
begin(struct out *o, struct lines *l)
{
	lines_init(l, 0, term_colour(o->f));
}

static void
text_status(struct out *o, const struct view *v, bool all)
{
	struct lines l;

	lines_init(&l, term_text_width(o->f), term_colour(o->f));
	for (size_t i = 0; i < v->run_count; i++) {
		const struct view_run *r = v->runs[i];

		if (r->msg == NULL)
			continue;
		if (all) {
			tree_run_row(r, o->now_ms, &l);
			continue;
		}
		tree_draw(r, 0, o->now_ms, &l);
		if (view_run_ended(r)) {
			line_end(&l);
			tree_end(r, &l);
		}
	}
	if (view_last(v) == NULL) {
		line_add(&l, LINE_PLAIN, "no runs yet");
		line_end(&l);
	}
	term_print(o->f, &l);
	lines_clear(&l);
}

static void
text_event(struct out *o, const struct msg_event_info *ev)
{
	time_t at = (time_t)(ev->at / 1000);
	struct lines l;
	char when[32];
	struct tm tm;

	localtime_r(&at, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	begin(o, &l);
	line_add(&l, LINE_DIM, when);
	line_gap(&l, 1);
	if (ev->run != NULL || ev->task != NULL) {
		line_add(&l, LINE_PLAIN, ev->task != NULL ? ev->task : ev->run);
		line_gap(&l, 1);
	}
	if (ev->state != NULL && strcmp(ev->kind, "state") == 0)
		line_add(&l, tree_state_style(ev->state), ev->state);
	else
		line_add(&l, LINE_PLAIN, ev->kind);
	if (ev->text != NULL && ev->text[0] != '\0') {
		line_add(&l, LINE_PLAIN, ":");
		line_gap(&l, 1);
		line_add(&l, LINE_PLAIN, ev->text);
	}
	line_end(&l);
	term_print(o->f, &l);
	lines_clear(&l);
}

static void
text_report(struct out *o, const struct view *v, const struct report *r)
{
	struct lines l;

	begin(o, &l);
	tree_end(r->run, &l);
	line_end(&l);
	report_table(r, &l);
	line_end(&l);
	term_print(o->f, &l);
	for (size_t i = 0; i < v->event_count; i++)
		text_event(o, &v->events[i]->event_info);
	lines_clear(&l);
}

static void
text_doctor(struct out *o, const struct finding *findings, size_t count)
{
	static const char *const levels[] = {"ok", "warning", "error"};
	static const enum line_style styles[] = {LINE_GOOD, LINE_WARN, LINE_BAD};
	struct lines l;

	begin(o, &l);
	for (size_t i = 0; i < count; i++) {
		line_add(&l, styles[findings[i].level], levels[findings[i].level]);
		line_to(&l, 9);
		line_addf(&l, LINE_BOLD, "%s:", findings[i].name);
		line_gap(&l, 1);
		line_add(&l, LINE_PLAIN, findings[i].text);
		line_end(&l);
		if (findings[i].todo[0] == '\0')
			continue;
		line_to(&l, 9);
		line_add(&l, LINE_PLAIN, findings[i].todo);
		line_end(&l);
	}
	term_print(o->f, &l);
	lines_clear(&l);
}

const struct out_ops out_text = {
    .status = text_status, .event = text_event, .report = text_report, .doctor = text_doctor};
