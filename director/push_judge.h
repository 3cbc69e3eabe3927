/* push_judge: what git and GitHub said of a push or fetch that failed, as an outcome and a sentence with
 * advice. Pure. */
#ifndef ORCH_DIRECTOR_PUSH_JUDGE_H
#define ORCH_DIRECTOR_PUSH_JUDGE_H

#include "director/push.h"

/* what: the deed as an infinitive; said: stderr and the porcelain lines. Never PUSH_DONE. */
enum push_outcome push_judge(const char *what, const char *said, struct err *e);

#endif
