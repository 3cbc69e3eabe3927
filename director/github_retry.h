/*
 * github_retry: when a request to GitHub may be sent, what its answer means for it, and when it is repeated.
 * Pure: the clock is given. The rules are GitHub's ("Rate limits for the REST API", "Best practices"):
 *
 * Requests are serial, with write_gap_ms between writes. On 403 and 429: retry-after if it is there; else
 * remaining 0: the reset; else, for 429 or where the message speaks of a secondary limit: 60 s, then twice as
 * long each time. Any other 403 is a missing permission and is not repeated. Network faults and 5xx are
 * repeated after 1, 2, 4 and 8 s, but never a POST that may have been acted upon: that one is "lost", and its
 * caller looks before it posts again.
 */
#ifndef ORCH_DIRECTOR_GITHUB_RETRY_H
#define ORCH_DIRECTOR_GITHUB_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define GITHUB_TRIES 5       /* of one request, against faults */
#define GITHUB_LIMIT_TRIES 5 /* of one request, against limits: 60, 120, 240, 480 s */
#define GITHUB_SECONDARY_MS 60000
#define GITHUB_WRITE_GAP_MS 1000

enum github_kind {
	GITHUB_FINE,
	GITHUB_UNAUTHORIZED, /* 401: the token is wrong or over */
	GITHUB_FORBIDDEN,    /* 403, 451: a permission is missing */
	GITHUB_NOT_FOUND,    /* 404, 410: not there, or no access */
	GITHUB_NOT_ALLOWED,  /* 405 */
	GITHUB_CONFLICT,     /* 409: something moved */
	GITHUB_INVALID,      /* 422, 400 */
	GITHUB_LIMITED,      /* a limit, for longer than the caller waits */
	GITHUB_BROKEN,       /* 5xx or no answer, again and again; a write was not made */
	GITHUB_LOST,         /* a write whose answer was lost: it may have been made */
	GITHUB_STOPPED,      /* a stop was asked for */
	GITHUB_STRANGE,      /* an answer that is not GitHub's */
};

/* Of all requests of one token. All zero but the first two at first. */
struct github_pace {
	int64_t write_gap_ms;
	int64_t second_ms;     /* 0: 1000. All waits are seconds of this length */
	int64_t write_at_ms;   /* the next write, not earlier */
	int64_t blocked_to_ms; /* nothing before */
	unsigned secondary;    /* answers of a secondary limit in a row */
};

struct github_answer {
	int status;            /* 0: none came whole */
	bool sent;             /* the request may have been acted upon */
	const char *message;   /* of the body; NULL: none */
	int64_t retry_after_s; /* -1: no such header */
	int64_t remaining;     /* -1: no such header */
	int64_t reset_s;       /* x-ratelimit-reset less the server's own time; -1: unknown */
};

/* Of one request. */
struct github_retry {
	bool repeatable; /* any method but POST and PUT */
	unsigned faults, limits;
};

enum github_turn { GITHUB_TAKE, GITHUB_AGAIN, GITHUB_END };

struct github_decision {
	enum github_turn
	    turn; /* TAKE: status is the answer; AGAIN: not before until_ms; END: kind says why */
	enum github_kind kind;
	int64_t until_ms;
};

/* When a request may be sent: now or later. */
int64_t github_pace_next(const struct github_pace *p, bool write, int64_t now_ms);
/* It is sent. */
void github_pace_sent(struct github_pace *p, bool write, int64_t now_ms);
struct github_decision github_decide(
    struct github_pace *p, struct github_retry *r, const struct github_answer *a, int64_t now_ms);

/* A time that is written in true milliseconds, by p's second. */
int64_t github_pace_ms(const struct github_pace *p, int64_t ms);

/* What a status means, limits aside. */
enum github_kind github_kind_of(int status);

#endif
