/*
 * budget: what a run may use of money, tokens and time, and how much of that is left. From 90 % on no new
 * attempt of an agent begins, so that those at work can land; at 100 % they are stopped. Pure.
 */
#ifndef ORCH_SUPERVISOR_BUDGET_H
#define ORCH_SUPERVISOR_BUDGET_H

#include "common/conf.h"

#include <stdint.h>

enum budget_stage { BUDGET_OPEN, BUDGET_TIGHT, BUDGET_SPENT };

struct budget {
	enum budget_stage stage;
	char text[128]; /* "93 % of the budget of 5.00 USD are used": of what is closest to its end; "" when
			   open */
};

struct budget_use {
	uint64_t cost_uusd, tokens;
	int64_t elapsed_ms;
};

void budget_judge(struct budget *b, const struct conf *c, const struct budget_use *u);
/* In how many ms time alone changes the stage; -1: never. */
int64_t budget_next_ms(const struct conf *c, int64_t elapsed_ms);

#endif
