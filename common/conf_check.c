/* conf_check: see conf_check.h. */
#include "common/conf_check.h"

#include "common/agent.h"
#include "common/alloc.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/owns.h"
#include "common/prices.h"
#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STR_MAX 4096        /* a path or a name */
#define CMD_MAX (64 * 1024) /* a command, all its arguments together */
#define MAP_MAX 64          /* variables */
#define MAP_VALUE_MAX (32 * 1024)
#define SHOWN_MAX 60
#define PREFIX_MAX 100 /* of branches */
#define LINES_MAX 256
#define LINES_BYTES_MAX (16 * 1024)
#define PRICES_BYTES_MAX (16 * 1024) /* it travels with the run's options */

/* What would be a secret on disk if it came here. */
static const char *const secrets[] = {
    "GITHUB_TOKEN", "GH_TOKEN", "CLAUDE_CONFIGS", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", NULL};

const char *
conf_seconds_text(char buf[32], uint64_t ms)
{
	int n = snprintf(buf, 32, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));

	while (buf[n - 1] == '0')
		buf[--n] = '\0';
	if (buf[n - 1] == '.')
		buf[n - 1] = '\0';
	return buf;
}

/* Digits alone, at most 15 of them: no sign, blank, hex or exponent, and no overflow even in ms. */
static bool
parse_digits(const char **s, uint64_t *n)
{
	size_t len = strspn(*s, "0123456789");

	if (len < 1 || len > 15)
		return false;
	for (*n = 0; len > 0; len--)
		*n = *n * 10 + (uint64_t)(*(*s)++ - '0');
	return true;
}

bool
conf_parse_number(const char *s, bool seconds, uint64_t *n)
{
	uint64_t fraction = 0;
	size_t digits;

	if (!parse_digits(&s, n))
		return false;
	if (seconds) {
		*n *= 1000;
		if (*s == '.') {
			digits = strspn(++s, "0123456789");
			if (digits > 3 || !parse_digits(&s, &fraction))
				return false;
			for (; digits < 3; digits++)
				fraction *= 10;
			*n += fraction;
		}
	}
	return *s == '\0';
}

int
conf_check_str(const char *name, const char *value, struct err *e)
{
	size_t n = strlen(value);

	if (value[strspn(value, " \t\n")] == '\0')
		return err_set(e, -EINVAL, "%s must not be empty", name);
	if (n > STR_MAX)
		return err_set(e, -EINVAL, "%s must be at most %d bytes long, not %zu", name, STR_MAX, n);
	if (!text_is_utf8(value, n) || strpbrk(value, "\n\r") != NULL)
		return err_set(e, -EINVAL, "%s must be one line of UTF-8 text", name);
	return 0;
}

int
conf_check_person(const char *name, const char *value, struct err *e)
{
	size_t n = strcspn(value, "<>"), mail = value[n] == '<' ? strcspn(value + n + 1, "<> \t") : 0;
	const char *at = mail == 0 ? NULL : memchr(value + n + 1, '@', mail);
	int rc = conf_check_str(name, value, e);

	if (rc < 0)
		return rc;
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, -EINVAL, "%s must hold no control characters", name);
	if (n < 2 || value[0] == ' ' || value[n - 1] != ' ' || at == NULL || at == value + n + 1 ||
	    at == value + n + mail || strcmp(value + n + 1 + mail, ">") != 0)
		return err_set(e, -EINVAL, "%s must be \"Name <name@example.org>\"", name);
	return 0;
}

/* git-check-ref-format(1), and plain characters only: the names are typed by people. */
int
conf_check_branch_prefix(const char *name, const char *value, struct err *e)
{
	static const char *const never[] = {"..", "//", "/.", "./", ".lock/", NULL};
	size_t n = strlen(value);
	bool plain = n <= PREFIX_MAX && isalnum((unsigned char)value[0]) && strncmp(value, "refs/", 5) != 0;

	for (size_t i = 0; i < n; i++)
		plain = plain && (isalnum((unsigned char)value[i]) || strchr("-_./", value[i]) != NULL);
	for (size_t i = 0; never[i] != NULL; i++)
		plain = plain && strstr(value, never[i]) == NULL;
	if (!plain)
		return err_set(e, -EINVAL,
		    "%s must begin the name of a branch, such as \"cco/\": at most %d letters, digits, '-', "
		    "'_', '.' and '/'",
		    name, PREFIX_MAX);
	return 0;
}

int
conf_check_cmd(const char *name, const json_t *value, struct err *e)
{
	const char *first = json_string_value(value);
	size_t total = json_string_length(value), i;
	json_t *item;

	if (json_is_array(value))
		first = json_string_value(json_array_get(value, 0));
	json_array_foreach (value, i, item) {
		if (!json_is_string(item))
			return err_set(e, -EINVAL, "%s must be a string or an array of strings", name);
		total += json_string_length(item) + 1;
	}
	if (first == NULL && !(json_is_array(value) && json_array_size(value) == 0))
		return err_set(e, -EINVAL, "%s must be a string or an array of strings", name);
	if (first == NULL || first[strspn(first, " \t\n")] == '\0')
		return err_set(e, -EINVAL, "%s must not be empty", name);
	if (total > CMD_MAX)
		return err_set(e, -EINVAL, "%s must be at most %d bytes long, not %zu", name, CMD_MAX, total);
	return 0;
}

int
conf_check_args(const char *name, const json_t *value, struct err *e)
{
	const char *refused;
	size_t total = 0, i;
	json_t *item;
	char *shown;

	if (!json_is_array(value))
		return err_set(e, -EINVAL, "%s must be an array of strings", name);
	json_array_foreach (value, i, item) {
		if (!json_is_string(item))
			return err_set(e, -EINVAL, "%s must be an array of strings", name);
		total += json_string_length(item) + 1;
	}
	if (total > CMD_MAX)
		return err_set(e, -EINVAL, "%s must be at most %d bytes long, not %zu", name, CMD_MAX, total);
	refused = agent_refused_arg(value);
	if (refused == NULL)
		return 0;
	shown = text_line(refused, SHOWN_MAX);
	err_set(e, -EINVAL, "%s must not hold %s: orch sets it itself, or has an option for it", name, shown);
	free(shown);
	return -EINVAL;
}

int
conf_check_list(const char *name, const json_t *value, struct err *e)
{
	json_t *item;
	size_t i;

	if (!json_is_array(value))
		return err_set(e, -EINVAL, "%s must be an array of strings", name);
	if (json_array_size(value) > OWNS_PATTERNS_MAX)
		return err_set(e, -EINVAL, "%s must hold at most %d patterns, not %zu", name,
		    OWNS_PATTERNS_MAX, json_array_size(value));
	json_array_foreach (value, i, item) {
		int rc;

		if (!json_is_string(item))
			return err_set(e, -EINVAL, "%s must be an array of strings", name);
		rc = owns_check(json_string_value(item), e);
		if (rc < 0)
			return err_prefix(e, rc, "%s", name);
	}
	return 0;
}

int
conf_check_lines(const char *name, const json_t *value, struct err *e)
{
	size_t total = 0, i;
	json_t *item;

	if (!json_is_array(value))
		return err_set(e, -EINVAL, "%s must be an array of strings", name);
	if (json_array_size(value) > LINES_MAX)
		return err_set(e, -EINVAL, "%s must hold at most %d patterns, not %zu", name, LINES_MAX,
		    json_array_size(value));
	json_array_foreach (value, i, item) {
		const char *line = json_string_value(item);

		if (line == NULL)
			return err_set(e, -EINVAL, "%s must be an array of strings", name);
		if (*line == '\0' || strlen(line) != json_string_length(item) ||
		    strpbrk(line, "\n\r") != NULL)
			return err_set(e, -EINVAL, "%s: pattern %zu must be one line of text", name, i + 1);
		total += strlen(line) + 1;
	}
	if (total > LINES_BYTES_MAX)
		return err_set(
		    e, -EINVAL, "%s must be at most %d bytes long, not %zu", name, LINES_BYTES_MAX, total);
	return 0;
}

json_t *
conf_split_list(const char *text)
{
	json_t *list = text[0] == '[' ? json_parse("list", text, strlen(text), NULL) : NULL;
	size_t n;

	if (list != NULL)
		return list;
	list = json_array();
	for (text += strspn(text, ", \t\n"); *text != '\0'; text += n + strspn(text + n, ", \t\n")) {
		n = strcspn(text, ",");
		while (n > 0 && strchr(" \t\n", text[n - 1]) != NULL)
			n--;
		if (json_array_append_new(list, json_stringn(text, n)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *
conf_split_args(const char *text)
{
	json_t *args =
	    text[strspn(text, " ")] == '[' ? json_parse("arguments", text, strlen(text), NULL) : NULL;
	size_t n;

	if (args != NULL)
		return args;
	args = json_array();
	for (text += strspn(text, " \t\n"); *text != '\0'; text += n + strspn(text + n, " \t\n")) {
		n = strcspn(text, " \t\n");
		if (json_array_append_new(args, json_stringn(text, n)) < 0) {
			json_decref(args);
			return NULL;
		}
	}
	return args;
}

bool
conf_is_secret(const char *name)
{
	for (const char *const *s = secrets; *s != NULL; s++)
		if (strcmp(*s, name) == 0)
			return true;
	return false;
}

static bool
is_identifier(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return *s == '\0';
}

int
conf_check_var(const char *name, const char *var, const json_t *value, struct err *e)
{
	char *shown = text_line(var, SHOWN_MAX);
	int rc = 0;

	if (!is_identifier(var))
		rc = err_set(e, -EINVAL, "%s: \"%s\" is not a variable's name", name, shown);
	else if (conf_is_secret(var))
		rc = err_set(e, -EINVAL,
		    "%s: %s is a secret, and options are kept on disk: set it in orch's own environment",
		    name, shown);
	else if (strncmp(var, "ORCH_", 5) == 0 &&
		 strncmp(var, CONF_AGENT_PREFIX, strlen(CONF_AGENT_PREFIX)) != 0)
		rc = err_set(e, -EINVAL,
		    "%s: %s is orch's own; only names that begin with " CONF_AGENT_PREFIX " are free", name,
		    shown);
	else if (!json_is_string(value))
		rc = err_set(e, -EINVAL, "%s: the value of %s must be a string", name, shown);
	else if (json_string_length(value) > MAP_VALUE_MAX)
		rc = err_set(e, -EINVAL, "%s: the value of %s must be at most %d bytes long", name, shown,
		    MAP_VALUE_MAX);
	free(shown);
	return rc;
}

int
conf_check_map(const char *name, json_t *value, struct err *e)
{
	const char *var;
	json_t *item;
	int rc = 0;

	if (!json_is_object(value))
		return err_set(e, -EINVAL, "%s must be an object of strings", name);
	if (json_object_size(value) > MAP_MAX)
		return err_set(e, -EINVAL, "%s must hold at most %d variables, not %zu", name, MAP_MAX,
		    json_object_size(value));
	json_object_foreach (value, var, item) {
		rc = conf_check_var(name, var, item, e);
		if (rc < 0)
			break;
	}
	return rc;
}

int
conf_check_prices(const char *name, const json_t *value, struct err *e)
{
	struct prices p;
	char *text = json_text(value);
	size_t size = strlen(text);
	int rc;

	free(text);
	if (size > PRICES_BYTES_MAX)
		return err_set(
		    e, -EINVAL, "%s must be at most %d bytes long, not %zu", name, PRICES_BYTES_MAX, size);
	prices_init(&p);
	rc = prices_read(&p, name, value, e);
	prices_clear(&p);
	return rc;
}

int
conf_read_json(const char *name, const char *path, json_t **value, struct err *e)
{
	char *text = NULL, *what;
	size_t size;
	int rc = fd_read_file(path, PRICES_FILE_MAX, &text, &size);

	if (rc < 0) {
		err_sys(e, rc, "%s: cannot read %s", name, path);
		return -EINVAL;
	}
	what = xasprintf("%s: %s", name, path);
	*value = json_parse(what, text, size, e);
	free(what);
	free(text);
	return *value == NULL ? -EINVAL : 0;
}
