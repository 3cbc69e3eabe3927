/* budgets: a list (see budgets.h): a team has a budget for its run and perhaps one for each task. */
#include "supervisor/gateway/budgets.h"

#include "common/alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USD 1e9

struct budget {
	char *name;
	bool own; /* of name alone, not of what is below it */
	struct amount limit, spent, reserved;
};

struct budgets {
	struct budget *v;
	size_t count;
};

struct budgets *
budgets_new(void)
{
	return xcalloc(1, sizeof(struct budgets));
}

void
budgets_free(struct budgets *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->count; i++)
		free(b->v[i].name);
	free(b->v);
	free(b);
}

static bool
is_below(const char *task, const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, task, n) == 0 && (task[n] == '\0' || task[n] == '/');
}

static bool
is_within(const struct budget *one, const char *task)
{
	return one->own ? strcmp(one->name, task) == 0 : is_below(task, one->name);
}

static struct budget *
find(struct budgets *b, const char *name, bool own)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->v[i].own == own && strcmp(b->v[i].name, name) == 0)
			return &b->v[i];
	return NULL;
}

static void
count_up(uint64_t *count, uint64_t to)
{
	if (*count < to)
		*count = to;
}

static void
drop(struct budgets *b, struct budget *one)
{
	free(one->name);
	*one = b->v[--b->count];
}

void
budgets_forget(struct budgets *b, const char *name)
{
	for (size_t i = b->count; i-- > 0;)
		if (is_below(b->v[i].name, name))
			drop(b, &b->v[i]);
}

int
budgets_set(struct budgets *b, const char *name, bool own, struct amount limit, struct amount spent)
{
	struct budget *one = find(b, name, own);
	bool none = limit.nusd == 0 && limit.tokens == 0;

	if (name[0] == '\0')
		return -EINVAL;
	if (none && one != NULL)
		drop(b, one);
	if (none)
		return 0;
	if (one == NULL && b->count == BUDGETS_MAX)
		return -ENOSPC;
	if (one == NULL) {
		b->v = xrealloc(b->v, (b->count + 1) * sizeof(*b->v));
		one = &b->v[b->count++];
		*one = (struct budget){.name = xstrdup(name), .own = own};
	}
	one->limit = limit;
	count_up(&one->spent.nusd, spent.nusd);
	count_up(&one->spent.tokens, spent.tokens);
	return 0;
}

static enum budgets_verdict
judge(uint64_t limit, uint64_t spent, uint64_t reserved)
{
	if (limit == 0 || spent + reserved < limit)
		return BUDGETS_FREE;
	return spent >= limit ? BUDGETS_SPENT : BUDGETS_FULL;
}

static void
say(char *text, size_t size, const struct budget *one, enum budgets_verdict verdict, bool money)
{
	char numbers[96];

	if (money)
		snprintf(numbers, sizeof(numbers), "%.4f of %.4f USD", (double)one->spent.nusd / USD,
		    (double)one->limit.nusd / USD);
	else
		snprintf(numbers, sizeof(numbers), "%llu of %llu tokens",
		    (unsigned long long)one->spent.tokens, (unsigned long long)one->limit.tokens);
	snprintf(text, size, "%s the budget of %s: %s",
	    verdict == BUDGETS_SPENT ? "nothing is left of" : "requests under way may use up", one->name,
	    numbers);
}

enum budgets_verdict
budgets_check(const struct budgets *b, const char *task, char *text, size_t size)
{
	enum budgets_verdict worst = BUDGETS_FREE;

	for (size_t i = 0; i < b->count && worst != BUDGETS_SPENT; i++) {
		const struct budget *one = &b->v[i];
		enum budgets_verdict money, tokens, verdict;

		if (!is_within(one, task))
			continue;
		money = judge(one->limit.nusd, one->spent.nusd, one->reserved.nusd);
		tokens = judge(one->limit.tokens, one->spent.tokens, one->reserved.tokens);
		verdict = money > tokens ? money : tokens;
		if (verdict <= worst)
			continue;
		worst = verdict;
		say(text, size, one, verdict, verdict == money);
	}
	return worst;
}

void
budgets_reserve(struct budgets *b, const char *task, struct amount amount)
{
	for (size_t i = 0; i < b->count; i++) {
		if (!is_within(&b->v[i], task))
			continue;
		b->v[i].reserved.nusd += amount.nusd;
		b->v[i].reserved.tokens += amount.tokens;
	}
}

/* A budget that came while the request was under way has nothing of it reserved. */
static void
release(uint64_t *reserved, uint64_t amount)
{
	*reserved -= amount < *reserved ? amount : *reserved;
}

void
budgets_settle(struct budgets *b, const char *task, struct amount reserved, struct amount cost)
{
	for (size_t i = 0; i < b->count; i++) {
		struct budget *one = &b->v[i];

		if (!is_within(one, task))
			continue;
		release(&one->reserved.nusd, reserved.nusd);
		release(&one->reserved.tokens, reserved.tokens);
		one->spent.nusd += cost.nusd;
		one->spent.tokens += cost.tokens;
	}
}
