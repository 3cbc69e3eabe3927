/* cmds: the commands' entry points, one file each (cmd_<name>.c). Each returns an exit code (enum ctl_exit).
 */
#ifndef ORCH_CTL_CMDS_H
#define ORCH_CTL_CMDS_H

#include <stdbool.h>
#include <stddef.h>

struct ctl;
struct preflight;

int cmd_run_main(struct ctl *c);  /* cmd_run is common/cmd's */
int cmd_run_event(struct ctl *c); /* run --event */
/* An orchd of this repository knows of its runs: nothing of them is taken from elsewhere. */
bool run_was_here(const struct ctl *c);
/* The run that check found saved (restore, issue) becomes one of this orchd, which c is connected to, and
 * goes on: its id in run. */
int run_take_saved(struct ctl *c, const struct preflight *check, char *run, size_t size);
int cmd_plan(struct ctl *c);
int cmd_answer(struct ctl *c);
int cmd_status(struct ctl *c);
int cmd_logs(struct ctl *c);
int cmd_events(struct ctl *c);
int cmd_report(struct ctl *c);
int cmd_diff(struct ctl *c);
int cmd_stop(struct ctl *c);
int cmd_restart(struct ctl *c);
int cmd_cancel(struct ctl *c);
int cmd_retry(struct ctl *c);
int cmd_address(struct ctl *c);
int cmd_keys(struct ctl *c);
int cmd_resume(struct ctl *c);
int cmd_clean(struct ctl *c);
int cmd_doctor(struct ctl *c);

#endif
