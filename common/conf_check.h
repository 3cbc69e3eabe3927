/*
 * conf_check: what an option's value may be, whatever it came from. Each check returns 0, or -EINVAL with a
 * sentence that begins with name: the flag, variable or key as the user gave it. Pure; only for common/conf.
 */
#ifndef ORCH_COMMON_CONF_CHECK_H
#define ORCH_COMMON_CONF_CHECK_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CONF_AGENT_PREFIX "ORCH_AGENT_" /* variables that pass through orch to its agents */

/*
 * Digits alone, at most 15: no sign, blank, hex or exponent. With seconds a fraction of up to 3 digits may
 * follow, and *n is in ms.
 */
bool conf_parse_number(const char *s, bool seconds, uint64_t *n);
/* 2500 -> "2.5": seconds as people write them. Returns buf. */
const char *conf_seconds_text(char buf[32], uint64_t ms);

/* "Name <mail>", as a trailer of a commit has it. */
int conf_check_person(const char *name, const char *value, struct err *e);
/* What the name of a branch may begin with, whatever letters, digits and dashes follow. */
int conf_check_branch_prefix(const char *name, const char *value, struct err *e);
/* One line of UTF-8, not blank. */
int conf_check_str(const char *name, const char *value, struct err *e);
/* A string, or an array of strings with the program's name first. */
int conf_check_cmd(const char *name, const json_t *value, struct err *e);
/* An array of strings, none of which would break how orch calls its agents. */
/* At most 64 patterns, each one that owns_check takes. */
int conf_check_list(const char *name, const json_t *value, struct err *e);
/* At most 256 patterns as in .gitignore, of at most 16 KiB. */
int conf_check_lines(const char *name, const json_t *value, struct err *e);
/* Patterns separated by commas, or a JSON array; NULL when it is not UTF-8. */
json_t *conf_split_list(const char *text);
int conf_check_args(const char *name, const json_t *value, struct err *e);
/* The words of a text as such an array; a text that is a JSON array is taken as it is. NULL: not UTF-8. */
json_t *conf_split_args(const char *text);
/* An object of variables for the agents, and one of them. */
int conf_check_map(const char *name, json_t *value, struct err *e);
int conf_check_var(const char *name, const char *var, const json_t *value, struct err *e);

/* A table of prices (common/prices). */
int conf_check_prices(const char *name, const json_t *value, struct err *e);
/* What is in a file, parsed; fresh. */
int conf_read_json(const char *name, const char *path, json_t **value, struct err *e);

/* True for the names of what must never be an option, because options are kept on disk. */
bool conf_is_secret(const char *name);

#endif
