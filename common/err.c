/* err: formatting of the one sentence; no allocation, so it works when nothing else does. */
#include "common/err.h"

#include <stdio.h>
#include <string.h>

static void
trim_newlines(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		s[--n] = '\0';
}

/* Cuts s to at most n bytes, at a UTF-8 character. */
static void
cut(char *s, size_t n)
{
	if (strlen(s) <= n)
		return;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	s[n] = '\0';
}

static void __attribute__((format(printf, 2, 0))) format(struct err *e, const char *fmt, va_list ap)
{
	if (vsnprintf(e->msg, sizeof(e->msg), fmt, ap) >= (int)sizeof(e->msg))
		cut(e->msg, sizeof(e->msg) - 4); /* the last character may be half of one */
}

/* Appends ": why". The reason is what a person acts on: when both are too long, the words before it are cut.
 */
static void
append(struct err *e, const char *why)
{
	size_t room = sizeof(e->msg) - 1, want = strlen(why) + 2;

	if (want > room / 2)
		want = room / 2;
	if (strlen(e->msg) + want > room) {
		cut(e->msg, room - want - 3);
		strcat(e->msg, "...");
	}
	room = sizeof(e->msg) - strlen(e->msg);
	if (snprintf(e->msg + strlen(e->msg), room, ": %s", why) >= (int)room)
		cut(e->msg, sizeof(e->msg) - 4);
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	trim_newlines(e->msg);
	return code;
}

int
err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	append(e, strerror(-code));
	return code;
}

int
err_prefix(struct err *e, int code, const char *fmt, ...)
{
	struct err old;
	va_list ap;

	if (e == NULL)
		return code;
	old = *e;
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	append(e, old.msg);
	return code;
}
