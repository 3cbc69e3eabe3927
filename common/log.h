/*
 * log: the single writer of diagnostics, one line each, to stderr (a terminal,
 * or the file that whoever started us opened O_APPEND as our fd 2).
 *
 * "2026-11-22T18:07:22.123Z warn orchd[812]: text". A write error is ignored:
 * a full disk must never stop the work. Only programs log, libraries do not.
 */
#ifndef ORCH_COMMON_LOG_H
#define ORCH_COMMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name is kept, not copied. Reads the level from ORCH_LOG (error, warn, info, debug; default info). */
void log_init(const char *name);
void log_set_level(enum log_level);
/* What no line may hold; borrowed until it is set again. NULL: nothing. */
struct redact;
void log_set_redact(const struct redact *r);
/* Returns -1 for an unknown name. */
int log_level_parse(const char *name);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Logs and exits 70 (EX_SOFTWARE). Only before the loop starts, on OOM or on a broken invariant. */
void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
