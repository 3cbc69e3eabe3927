/*
 * tree: a run as lines: what needs a person first, then director > EM > worker, then the limits. Also its
 * single lines for a pipe and its last words. Model in, lines out. Pure.
 */
#ifndef ORCH_CTL_TREE_H
#define ORCH_CTL_TREE_H

#include "supervisor/ctl/line.h"
#include "proto/view.h"

/*
 * The whole picture. now_ms: wall clock, for ages. height: lines that fit, 0 for no limit: done tasks go
 * first, then the rest is cut with "... and 12 more". Width and colour are those of out.
 */
void tree_draw(const struct view_run *r, size_t height, int64_t now_ms, struct lines *out);

/* "18:07:22 25/em1/w2 rework: reason": one line for what changed. at_ms: wall clock, shown in local time. */
void tree_change(const struct view_change *ch, int64_t at_ms, struct lines *out);

/* The end of a run: result, branch, tasks, changes, duration, cost, what is missing, what to type next. */
void tree_end(const struct view_run *r, struct lines *out);

/* One line per run, for status --all. */
void tree_run_row(const struct view_run *r, int64_t now_ms, struct lines *out);

enum line_style tree_state_style(const char *state);

#endif
