/* log: formats a line in one buffer and writes it with one write(2), so that lines of several processes do
 * not mix. */
#include "common/log.h"

#include "common/redact.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *log_name = "orch";
static enum log_level log_level = LOG_LEVEL_INFO;
static const struct redact *log_secrets;

void
log_init(const char *name)
{
	const char *wanted = getenv("ORCH_LOG");
	int level = wanted == NULL ? -1 : log_level_parse(wanted);

	log_name = name;
	if (level >= 0)
		log_level = (enum log_level)level;
}

void
log_set_level(enum log_level level)
{
	log_level = level;
}

void
log_set_redact(const struct redact *r)
{
	log_secrets = r;
}

/* A line that holds a secret is made anew without it, and cut where it gets longer than the buffer. */
static size_t
take_secrets(char *line, size_t n, size_t room)
{
	char *clean = redact_text(log_secrets, line, n, &n);

	if (clean == NULL)
		return n;
	n = n < room ? n : room;
	memcpy(line, clean, n);
	free(clean);
	return n;
}

int
log_level_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i;
	return -1;
}

static void __attribute__((format(printf, 2, 0))) log_line(enum log_level level, const char *fmt, va_list ap)
{
	char line[4096];
	struct timespec now;
	struct tm tm;
	size_t n;
	int w;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %s %s[%d]: ", now.tv_nsec / 1000000,
	    level_names[level], log_name, (int)getpid());
	w = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	if (w > 0)
		n += (size_t)w < sizeof(line) - n - 1 ? (size_t)w : sizeof(line) - n - 2;
	n = take_secrets(line, n, sizeof(line) - 1);
	/* Untrusted text must not forge a second log line. */
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' && line[i] != '\t')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

#define LOG_FUNCTION(fn, level)                                                                              \
	void fn(const char *fmt, ...)                                                                        \
	{                                                                                                    \
		va_list ap;                                                                                  \
		va_start(ap, fmt);                                                                           \
		log_line(level, fmt, ap);                                                                    \
		va_end(ap);                                                                                  \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	exit(70);
}
