/* github_retry: see github_retry.h. */
#include "director/github_retry.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define FAULT_MS 1000
#define RESET_MAX_MS (2 * 3600 * 1000LL) /* the window is an hour; more is nonsense */
#define RETRY_AFTER_MAX_S 7200

int64_t
github_pace_next(const struct github_pace *p, bool write, int64_t now_ms)
{
	int64_t at = now_ms;

	if (p->blocked_to_ms > at)
		at = p->blocked_to_ms;
	if (write && p->write_at_ms > at)
		at = p->write_at_ms;
	return at;
}

void
github_pace_sent(struct github_pace *p, bool write, int64_t now_ms)
{
	if (write)
		p->write_at_ms = now_ms + p->write_gap_ms;
}

enum github_kind
github_kind_of(int status)
{
	switch (status) {
	case 401:
		return GITHUB_UNAUTHORIZED;
	case 403:
	case 451:
		return GITHUB_FORBIDDEN;
	case 404:
	case 410:
		return GITHUB_NOT_FOUND;
	case 405:
		return GITHUB_NOT_ALLOWED;
	case 409:
		return GITHUB_CONFLICT;
	case 400:
	case 413:
	case 422:
		return GITHUB_INVALID;
	case 429:
		return GITHUB_LIMITED;
	default:
		break;
	}
	if (status >= 200 && status < 300)
		return GITHUB_FINE;
	return status >= 500 || status == 408 ? GITHUB_BROKEN : GITHUB_STRANGE;
}

static bool
speaks_of_secondary(const char *message)
{
	return message != NULL && (strcasestr(message, "secondary rate limit") != NULL ||
				      strcasestr(message, "abuse detection") != NULL ||
				      strcasestr(message, "submitted too quickly") != NULL);
}

int64_t
github_pace_ms(const struct github_pace *p, int64_t ms)
{
	return p->second_ms == 0 ? ms : ms * p->second_ms / 1000;
}

/* How long a limit lasts; -1 when it is none. */
static int64_t
limit_ms(struct github_pace *p, const struct github_answer *a)
{
	int64_t ms;

	if (a->status != 403 && a->status != 429 && !(a->status == 422 && speaks_of_secondary(a->message)))
		return -1;
	if (a->retry_after_s >= 0)
		return (a->retry_after_s < RETRY_AFTER_MAX_S ? a->retry_after_s : RETRY_AFTER_MAX_S) * 1000;
	if (a->remaining == 0) {
		ms = a->reset_s < 0 ? GITHUB_SECONDARY_MS : a->reset_s * 1000 + 1000;
		return ms < RESET_MAX_MS ? ms : RESET_MAX_MS;
	}
	if (a->status == 429 || speaks_of_secondary(a->message)) {
		ms = (int64_t)GITHUB_SECONDARY_MS << (p->secondary < 5 ? p->secondary : 5);
		p->secondary++;
		return ms;
	}
	return -1;
}

static struct github_decision
after_limit(struct github_pace *p, struct github_retry *r, int64_t ms, int64_t now_ms)
{
	struct github_decision d = {GITHUB_AGAIN, GITHUB_LIMITED, now_ms + ms};

	if (d.until_ms > p->blocked_to_ms)
		p->blocked_to_ms = d.until_ms;
	d.until_ms = p->blocked_to_ms;
	if (++r->limits >= GITHUB_LIMIT_TRIES)
		d.turn = GITHUB_END;
	return d;
}

static struct github_decision
after_fault(const struct github_pace *p, struct github_retry *r, bool sent, int64_t now_ms)
{
	struct github_decision d = {GITHUB_AGAIN, GITHUB_BROKEN, now_ms};

	if (sent && !r->repeatable) {
		d.turn = GITHUB_END;
		d.kind = GITHUB_LOST;
		return d;
	}
	d.until_ms += github_pace_ms(p, (int64_t)FAULT_MS << (r->faults < 10 ? r->faults : 10));
	if (++r->faults >= GITHUB_TRIES)
		d.turn = GITHUB_END;
	return d;
}

struct github_decision
github_decide(struct github_pace *p, struct github_retry *r, const struct github_answer *a, int64_t now_ms)
{
	struct github_decision d = {GITHUB_TAKE, GITHUB_FINE, now_ms};
	int64_t ms;

	if (a->status == 0)
		return after_fault(p, r, a->sent, now_ms);
	ms = limit_ms(p, a);
	if (ms >= 0)
		return after_limit(p, r, github_pace_ms(p, ms), now_ms);
	d.kind = github_kind_of(a->status);
	if (d.kind == GITHUB_BROKEN)
		return after_fault(p, r, true, now_ms);
	p->secondary = 0;
	if (a->status == 304)
		d.kind = GITHUB_FINE;
	return d;
}
