/* budget: see budget.h. */
#include "supervisor/budget.h"

#include <stdio.h>

#define TIGHT_PERCENT 90
#define MINUTE_MS 60000

/* Without overflow: shares are of 64-bit totals. Rounded down; what is over is 100 and more. */
static uint64_t
percent(uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return 0;
	if (used >= limit)
		return used / limit >= 10 ? 999 : 100 + (used - limit) / (limit / 100 + 1);
	return (uint64_t)((double)used / (double)limit * 100);
}

void
budget_judge(struct budget *b, const struct conf *c, const struct budget_use *u)
{
	const uint64_t shares[] = {percent(u->cost_uusd, c->max_run_musd * 1000),
	    percent(u->tokens, c->max_run_tokens),
	    percent(u->elapsed_ms > 0 ? (uint64_t)u->elapsed_ms : 0, c->max_run_minutes * MINUTE_MS)};
	unsigned most = 0;
	char what[64];

	for (unsigned i = 1; i < 3; i++)
		if (shares[i] > shares[most])
			most = i;
	b->stage = shares[most] >= 100             ? BUDGET_SPENT
		   : shares[most] >= TIGHT_PERCENT ? BUDGET_TIGHT
						   : BUDGET_OPEN;
	b->text[0] = '\0';
	if (b->stage == BUDGET_OPEN)
		return;
	if (most == 0)
		snprintf(what, sizeof(what), "%.2f USD", (double)c->max_run_musd / 1000);
	else if (most == 1)
		snprintf(what, sizeof(what), "%llu tokens", (unsigned long long)c->max_run_tokens);
	else
		snprintf(what, sizeof(what), "%llu minutes", (unsigned long long)c->max_run_minutes);
	snprintf(b->text, sizeof(b->text), "%llu %% of the run's budget of %s are used",
	    (unsigned long long)shares[most], what);
}

int64_t
budget_next_ms(const struct conf *c, int64_t elapsed_ms)
{
	int64_t all = (int64_t)c->max_run_minutes * MINUTE_MS, tight = all / 100 * TIGHT_PERCENT;

	if (all == 0 || elapsed_ms >= all)
		return -1;
	return elapsed_ms < tight ? tight - elapsed_ms : all - elapsed_ms;
}
