/* limits: a row per header that matters (see limits.h). */
#include "supervisor/gateway/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const kinds[] = {"requests", "tokens", "input-tokens", "output-tokens"};

void
limits_init(struct limits *l)
{
	memset(l, 0, sizeof(*l));
	l->retry_after_ms = -1;
}

/* A number of seconds, whole or not; -1 when it is none. */
static int64_t
parse_seconds(const char *s)
{
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 12 || (s[n] != '\0' && s[n] != '.'))
		return -1;
	return (int64_t)strtoll(s, NULL, 10) * 1000 + (s[n] == '.' ? 999 : 0);
}

int64_t
limits_parse_time(const char *s)
{
	struct tm tm;
	int hours = 0, minutes = 0;
	char sign = '+';
	const char *p;
	int64_t t;

	memset(&tm, 0, sizeof(tm));
	p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p == NULL)
		return -1;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (strcmp(p, "Z") != 0 && (sscanf(p, "%c%2d:%2d", &sign, &hours, &minutes) != 3 ||
				       (sign != '+' && sign != '-') || hours > 23 || minutes > 59))
		return -1;
	t = (int64_t)timegm(&tm) - (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
	return t < 0 ? -1 : t * 1000;
}

/* retry-after: seconds, or a date as HTTP writes it (RFC 9110, 10.2.3). */
static int64_t
parse_retry_after(const char *s, int64_t wall_ms)
{
	struct tm tm;
	int64_t ms = parse_seconds(s);

	if (ms >= 0)
		return ms;
	memset(&tm, 0, sizeof(tm));
	if (strptime(s, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
		return -1;
	ms = (int64_t)timegm(&tm) * 1000 - wall_ms;
	return ms < 0 ? 0 : ms;
}

static void
take_one(struct limits *l, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i]);
		int64_t t;

		if (strncmp(name, kinds[i], n) != 0)
			continue;
		if (strcmp(name + n, "-remaining") == 0)
			l->one[i].spent = strcmp(value, "0") == 0;
		t = strcmp(name + n, "-reset") == 0 ? limits_parse_time(value) : -1;
		if (t > 0)
			l->one[i].reset_wall_ms = t;
	}
}

static void
take_unified(struct limits *l, const char *name, const char *value)
{
	int64_t t;

	if (strcmp(name, "status") == 0)
		l->rejected = strcmp(value, "rejected") == 0;
	if (strcmp(name, "reset") != 0)
		return;
	t = parse_seconds(value); /* since the epoch */
	t = t >= 0 ? t : limits_parse_time(value);
	if (t > 0)
		l->unified_reset_wall_ms = t;
}

void
limits_header(struct limits *l, const char *name, size_t size_name, const char *value, size_t size_value,
    int64_t wall_ms)
{
	char n[64] = "", v[64] = "";

	if (size_name >= sizeof(n) || size_value >= sizeof(v))
		return;
	for (size_t i = 0; i < size_name; i++)
		n[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	memcpy(v, value, size_value);
	if (strcmp(n, "retry-after") == 0)
		l->retry_after_ms = parse_retry_after(v, wall_ms);
	else if (strcmp(n, "request-id") == 0)
		memcpy(l->request_id, v, sizeof(v));
	else if (strcmp(n, "anthropic-organization-id") == 0)
		memcpy(l->organisation, v, sizeof(v));
	else if (strncmp(n, "anthropic-ratelimit-unified-", 28) == 0)
		take_unified(l, n + 28, v);
	else if (strncmp(n, "anthropic-ratelimit-", 20) == 0)
		take_one(l, n + 20, v);
}

bool
limits_spent(const struct limits *l)
{
	for (size_t i = 0; i < sizeof(l->one) / sizeof(l->one[0]); i++)
		if (l->one[i].spent)
			return true;
	return l->rejected;
}

static int64_t
later(int64_t wait, int64_t reset_wall_ms, int64_t wall_ms)
{
	int64_t until = reset_wall_ms == 0 ? -1 : reset_wall_ms > wall_ms ? reset_wall_ms - wall_ms : 0;

	return until > wait ? until : wait;
}

/* A spent limit's reset is when it is whole again; retry-after says when the next request fits. */
int64_t
limits_wait_ms(const struct limits *l, int64_t wall_ms)
{
	int64_t wait = l->retry_after_ms;

	for (size_t i = 0; l->retry_after_ms < 0 && i < sizeof(l->one) / sizeof(l->one[0]); i++)
		if (l->one[i].spent)
			wait = later(wait, l->one[i].reset_wall_ms, wall_ms);
	if (l->rejected)
		wait = later(wait, l->unified_reset_wall_ms, wall_ms);
	return wait > LIMITS_FAR_MS ? LIMITS_FAR_MS : wait;
}
