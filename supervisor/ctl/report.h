/*
 * report: what there is to say of a run: who worked, waited, was sent back and was merged when, what the
 * gates said, and what is missing. Made of the run, its tasks and its history; written by out_text, out_json,
 * out_markdown and out_svg. Pure.
 */
#ifndef ORCH_CTL_REPORT_H
#define ORCH_CTL_REPORT_H

#include "supervisor/ctl/line.h"
#include "proto/view.h"

#include <stdint.h>

/* S(NAME, name, what it looks like, what it means) */
#define REPORT_SPANS(S)                                                                                      \
	S(QUEUED, "queued", "#e2e8f0", "ready, or waiting for others")                                       \
	S(WORK, "work", "#3b82f6", "at work")                                                                \
	S(WAITING, "waiting", "url(#wait)", "waiting to try again")                                          \
	S(BACK, "back", "#fde68a", "sent back")                                                              \
	S(AGAIN, "again", "#f59e0b", "at work again")                                                        \
	S(MERGING, "merging", "#a78bfa", "handed in, being merged")

enum report_what {
#define S(NAME, name, fill, help) REPORT_##NAME,
	REPORT_SPANS(S)
#undef S
	    REPORT_WHAT_COUNT
};

struct report_span {
	enum report_what what;
	int64_t from, to; /* wall clock, ms */
};

struct report_task {
	const struct view_task *task;
	struct report_span *spans; /* in order, without overlap */
	size_t span_count;
	int64_t ms[REPORT_WHAT_COUNT]; /* the spans added up */
	const char **gates;            /* what gates and setups said of it, in order */
	size_t gate_count;
	bool missing; /* it, and no part of it alone, is not in the result */
};

struct report {
	const struct view_run *run;
	struct report_task *tasks; /* as in run */
	size_t count;
	int64_t from, to; /* of everything there is a span for */
};

/* Borrows from v and run until report_clear. now: wall clock, where something has not ended. */
void report_make(struct report *r, const struct view *v, const struct view_run *run, int64_t now);
void report_clear(struct report *r);

const char *report_what_name(enum report_what what);

/* The table of tasks, one line each, with what the last gate said of those that are not in the result. */
void report_table(const struct report *r, struct lines *out);

/* Is the task not in the result? A failed area is told by its failed tasks, unless it has none. */
bool report_is_missing(const struct view_run *r, size_t at);

#endif
