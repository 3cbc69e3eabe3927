/*
 * err: one sentence for a person, carried upwards in the caller's storage.
 *
 * Library code returns 0 or -errno and, where a person must read the cause,
 * fills a struct err. It never logs and never exits; the program that has the
 * context does that, once.
 */
#ifndef ORCH_COMMON_ERR_H
#define ORCH_COMMON_ERR_H

#include <stdarg.h>

struct err {
	char msg[1024]; /* NUL-terminated, no newline at the end; "" = none */
};

/*
 * Writes the sentence and returns code, so that a failing function can end in
 * "return err_set(e, -EINVAL, ...)". e may be NULL. code is 0 or -errno.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Like err_set, with ": " and the text of errno value -code appended. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "fmt: " before what e already says. Returns code. */
int err_prefix(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
