/*
 * out: the two ways to say a result, for people (out_text) and for programs (out_json, docs/status.md),
 * behind one table. Commands fill a view and choose a writer; they format nothing themselves.
 */
#ifndef ORCH_CTL_OUT_H
#define ORCH_CTL_OUT_H

#include "supervisor/ctl/finding.h"
#include "supervisor/ctl/report.h"
#include "proto/view.h"

#include <stdio.h>

struct out {
	FILE *f;
	int64_t now_ms; /* wall clock, for ages */
};

struct out_ops {
	/* The daemon and what is known of its runs; all: a list of runs. */
	void (*status)(struct out *o, const struct view *v, bool all);
	/* One line of history. */
	void (*event)(struct out *o, const struct msg_event_info *ev);
	/* One run with its tasks and its history. */
	void (*report)(struct out *o, const struct view *v, const struct report *r);
	void (*doctor)(struct out *o, const struct finding *findings, size_t count);
};

extern const struct out_ops out_text, out_json;

/* A report as Markdown, and its timeline as SVG; the run has ended or not. */
void out_markdown(struct out *o, const struct view *v, const struct report *r);
void out_svg(struct out *o, const struct report *r);

#endif
