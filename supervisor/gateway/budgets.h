/*
 * budgets: how much money and how many tokens names may use. A budget of "25" is for every attempt of the
 * task 25 and those below it ("25/em1/w2"), one that is its own for the attempts of that task alone; a name
 * may have both. The gateway knows nothing of tasks but their names. What requests under way may cost is
 * reserved. Pure.
 */
#ifndef ORCH_GATEWAY_BUDGETS_H
#define ORCH_GATEWAY_BUDGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGETS_MAX 8192

struct amount {
	uint64_t nusd, tokens; /* nano-USD; tokens in and out, with those of the cache */
};

struct budgets;

enum budgets_verdict {
	BUDGETS_FREE,
	BUDGETS_FULL, /* what is under way may use up the rest: wait for it to end */
	BUDGETS_SPENT
};

struct budgets *budgets_new(void);
void budgets_free(struct budgets *b);

/* Sets a budget, and what was spent of it before, as far as that is more than what is counted here; a limit
 * of 0 is none, two take it away. 0, -EINVAL for no name, -ENOSPC. */
int budgets_set(struct budgets *b, const char *name, bool own, struct amount limit, struct amount spent);
/* All of name and of those below it are gone: its run is. */
void budgets_forget(struct budgets *b, const char *name);
/* May the task send one more? text: for a person, when it may not. */
enum budgets_verdict budgets_check(const struct budgets *b, const char *task, char *text, size_t size);
/* A request goes out; and it has ended (with the same amount). */
void budgets_reserve(struct budgets *b, const char *task, struct amount amount);
void budgets_settle(struct budgets *b, const char *task, struct amount reserved, struct amount cost);

#endif
