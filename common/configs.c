/*
 * configs: see configs.h. jansson keeps copies of every string, so what it parsed is wiped before it is let
 * go; its own error texts quote the input and are never passed on.
 */
#include "common/configs.h"

#include "common/alloc.h"
#include "common/conf_check.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#define ENV_MAX 64       /* variables of one configuration */
#define SHOWN_MAX 40     /* bytes of a field's name in a message */
#define TIMEOUT_DIGITS 9 /* API_TIMEOUT_MS: up to a week */
#define TIMEOUT_MAX 604800000

static const char *const by_message[] = {"CLAUDE_CONFIGS", "GITHUB_TOKEN", "GH_TOKEN", "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", NULL};

/* Where in the array a fault is: "CLAUDE_CONFIGS[1].env.NAME". */
struct place {
	const char *what;
	size_t index;
	struct err *e;
};

static int fault(const struct place *at, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
fault(const struct place *at, const char *field, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(
	    at->e, -EINVAL, "%s[%zu]%s%s: %s", at->what, at->index, field[0] == '\0' ? "" : ".", field, why);
}

static bool
is_identifier(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= SHOWN_MAX && !isdigit((unsigned char)s[0]) &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* A key in the wrong place must not come out by its name: only names that look like one are repeated. */
static int
unknown_field(const struct place *at, const char *key)
{
	static const char *const known[] = {"name", "apiKey", "model", "env", NULL};
	const char *near = text_nearest(key, known);

	if (!is_identifier(key))
		return fault(at, "", "has a field whose name is no name; known are name, apiKey, model, env");
	if (near != NULL)
		return fault(at, key, "unknown field (did you mean %s?)", near);
	return fault(at, key, "unknown field; known are name, apiKey, model, env");
}

static bool
is_key(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\%", *s) != NULL)
			return false;
	return true;
}

static int
check_key(const struct place *at, const char *field, const char *value)
{
	if (strlen(value) < CONFIGS_SECRET_MIN)
		return fault(at, field, "too short for a key: it must have at least %d characters",
		    CONFIGS_SECRET_MIN);
	if (!is_key(value))
		return fault(at, field,
		    "not a key: blanks, quotes, backslashes, %% and bytes outside ASCII "
		    "cannot be part of one");
	return 0;
}

/* scheme://host[:port][/path]. A user, query or fragment would be lost or end in a log. */
static int
check_url(const struct place *at, const char *field, const char *value)
{
	size_t scheme = strncmp(value, "https://", 8) == 0 ? 8 : strncmp(value, "http://", 7) == 0 ? 7 : 0;
	const char *host = value + scheme, *end = host + strcspn(host, "/"), *port;
	size_t digits;

	if (scheme == 0 || end == host || strlen(value) > 2048 || !is_key(value))
		return fault(at, field,
		    "not a URL: it must be http://HOST or https://HOST, with a port and a "
		    "path if need be");
	if (memchr(host, '@', (size_t)(end - host)) != NULL)
		return fault(at, field, "must not hold a user or password: set ANTHROPIC_AUTH_TOKEN instead");
	if (strpbrk(value, "?#") != NULL)
		return fault(at, field, "not a URL of an endpoint: it must not have a query or fragment");
	port = *host == '[' ? memchr(host, ']', (size_t)(end - host)) : host;
	if (port == NULL)
		return fault(at, field, "not a URL: its [address] is not closed");
	port += strcspn(port, ":/");
	if (*port != ':' || port >= end)
		return port == host ? fault(at, field, "not a URL: it names no host") : 0;
	digits = strspn(port + 1, "0123456789");
	if (port == host || digits == 0 || digits > 5 || port + 1 + digits != end || atoi(port + 1) > 65535 ||
	    atoi(port + 1) == 0)
		return fault(at, field, "not a URL: its port is not a number from 1 to 65535");
	return 0;
}

static int
check_timeout(const struct place *at, const char *field, const char *value)
{
	size_t n = strspn(value, "0123456789");

	if (n == 0 || n > TIMEOUT_DIGITS || value[n] != '\0' || atol(value) < 1 || atol(value) > TIMEOUT_MAX)
		return fault(at, field, "must be a whole number of milliseconds from 1 to %d", TIMEOUT_MAX);
	return 0;
}

bool
configs_travels_by_message(const char *pair)
{
	size_t n = strcspn(pair, "=");

	for (size_t i = 0; by_message[i] != NULL; i++)
		if (strlen(by_message[i]) == n && strncmp(by_message[i], pair, n) == 0)
			return true;
	return false;
}

void
configs_wipe_environment(void)
{
	size_t kept = 0;

	if (environ == NULL)
		return;
	for (size_t i = 0; environ[i] != NULL; i++) {
		if (configs_travels_by_message(environ[i]))
			explicit_bzero(environ[i], strlen(environ[i]));
		else
			environ[kept++] = environ[i];
	}
	environ[kept] = NULL;
}

/* What belongs to orch, or would give the agent another home or other programs. */
static bool
is_reserved(const char *name)
{
	static const char *const names[] = {"CLAUDE_CONFIGS", "GITHUB_TOKEN", "GH_TOKEN", "HOME", "TMPDIR",
	    "PATH", "CLAUDE_CONFIG_DIR", "IS_SANDBOX", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return strncmp(name, "ORCH_", 5) == 0 || strncmp(name, "LD_", 3) == 0 ||
	       strncmp(name, "GIT_", 4) == 0;
}

bool
configs_is_secret(const char *name, size_t size)
{
	static const char *const words[] = {
	    "KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS", "HEADERS"};

	for (const char *p = name, *end = name + size; p < end;) {
		size_t n = 0;

		while (p + n < end && p[n] != '_')
			n++;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i]) == n && strncasecmp(words[i], p, n) == 0)
				return true;
		p += n + 1;
	}
	return false;
}

/* The values whose form is known; any other is just text without NUL, which jansson has seen to. */
static int
check_value(const struct place *at, const char *field, const char *name, const char *value)
{
	if (strcmp(name, "ANTHROPIC_API_KEY") == 0 || strcmp(name, "ANTHROPIC_AUTH_TOKEN") == 0)
		return check_key(at, field, value);
	if (strcmp(name, "ANTHROPIC_BASE_URL") == 0)
		return check_url(at, field, value);
	if (strcmp(name, "API_TIMEOUT_MS") == 0)
		return check_timeout(at, field, value);
	return 0;
}

static const char *
find_var(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static void
add_var(struct config *c, size_t *n, const char *name, const char *value)
{
	c->env[(*n)++] = xasprintf("%s=%s", name, value);
}

static int
read_var(struct config *c, size_t *n, const struct place *at, const char *name, const json_t *value)
{
	char field[SHOWN_MAX + 8], number[32];
	const char *text = json_string_value(value);
	int rc;

	if (!is_identifier(name))
		return fault(at, "env", "has an entry whose name is no variable's name");
	snprintf(field, sizeof(field), "env.%s", name);
	if (is_reserved(name))
		return fault(at, field, "cannot be set here: it is orch's own");
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		text = number;
	}
	if (text == NULL)
		return fault(at, field, "must be a string");
	rc = check_value(at, field, name, text);
	if (rc == 0)
		add_var(c, n, name, text);
	return rc;
}

static int
read_env(struct config *c, size_t *n, const struct place *at, json_t *env)
{
	const char *name;
	json_t *value;
	int rc = 0;

	if (env == NULL)
		return 0;
	if (!json_is_object(env))
		return fault(at, "env", "must be an object of strings");
	if (json_object_size(env) > ENV_MAX)
		return fault(at, "env", "must hold at most %d variables", ENV_MAX);
	json_object_foreach (env, name, value) {
		rc = read_var(c, n, at, name, value);
		if (rc < 0)
			break;
	}
	return rc;
}

/* A string field that may be absent; *text is borrowed. */
static int
get_text(const struct place *at, const json_t *o, const char *field, size_t max, const char **text)
{
	const json_t *v = json_object_get(o, field);

	*text = NULL;
	if (v == NULL)
		return 0;
	if (!json_is_string(v) || json_string_length(v) == 0)
		return fault(at, field, "must be a string that is not empty");
	if (json_string_length(v) > max)
		return fault(at, field, "must be at most %zu bytes long", max);
	*text = json_string_value(v);
	return 0;
}

static int
set_name(struct config *c, const struct place *at, const char *name)
{
	if (name == NULL) {
		c->name = xasprintf("key%zu", at->index + 1);
		return 0;
	}
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(name))
		return fault(at, "name", "must be made of letters, digits, dots, dashes and underscores");
	c->name = xstrdup(name);
	return 0;
}

static int
read_key(struct config *c, size_t *n, const struct place *at, const char *key)
{
	const char *other = find_var(c->env, "ANTHROPIC_API_KEY");
	int rc;

	if (key == NULL)
		return 0;
	rc = check_key(at, "apiKey", key);
	if (rc == 0 && other != NULL && strcmp(other, key) != 0)
		return fault(at, "apiKey", "differs from env.ANTHROPIC_API_KEY: give one of them");
	if (rc == 0 && other == NULL)
		add_var(c, n, "ANTHROPIC_API_KEY", key);
	return rc;
}

/* Something has to log in: a key, a token, or a cloud's own way. */
static int
check_usable(const struct config *c, const struct place *at)
{
	for (char **p = c->env; *p != NULL; p++)
		if (strncmp(*p, "ANTHROPIC_API_KEY=", 18) == 0 ||
		    strncmp(*p, "ANTHROPIC_AUTH_TOKEN=", 21) == 0 || strncmp(*p, "CLAUDE_CODE_USE_", 16) == 0)
			return 0;
	return fault(at, "", "holds no key: give apiKey, env.ANTHROPIC_API_KEY or env.ANTHROPIC_AUTH_TOKEN");
}

static int
read_config(struct config *c, const struct place *at, json_t *o)
{
	const char *field, *name, *key, *model;
	json_t *value;
	size_t n = 0;
	int rc;

	if (!json_is_object(o))
		return fault(at, "", "must be an object");
	json_object_foreach (o, field, value)
		if (strcmp(field, "name") != 0 && strcmp(field, "apiKey") != 0 &&
		    strcmp(field, "model") != 0 && strcmp(field, "env") != 0)
			return unknown_field(at, field);
	c->env = xcalloc(ENV_MAX + 3, sizeof(*c->env)); /* with key, model and the end */
	rc = get_text(at, o, "name", CONFIGS_NAME_MAX, &name);
	if (rc == 0)
		rc = get_text(at, o, "apiKey", CONFIGS_BYTES_MAX, &key);
	if (rc == 0)
		rc = get_text(at, o, "model", 256, &model);
	if (rc == 0)
		rc = set_name(c, at, name);
	if (rc == 0)
		rc = read_env(c, &n, at, json_object_get(o, "env"));
	if (rc == 0)
		rc = read_key(c, &n, at, key);
	if (rc == 0 && model != NULL && find_var(c->env, "ANTHROPIC_MODEL") == NULL)
		add_var(c, &n, "ANTHROPIC_MODEL", model);
	return rc == 0 ? check_usable(c, at) : rc;
}

static int
check_names(const struct configs *c, struct place *at)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->v[i].name, c->v[k].name) == 0) {
				at->index = i;
				return fault(at, "name", "is the name of %s[%zu] too", at->what, k);
			}
	return 0;
}

/* jansson's memory: what its strings hold. It has no nesting that matters but array, object, object. */
static void
wipe_json(json_t *j, unsigned depth)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(j))
		explicit_bzero((char *)(uintptr_t)json_string_value(j), json_string_length(j));
	if (depth == 0)
		return;
	json_array_foreach (j, i, item)
		wipe_json(item, depth - 1);
	json_object_foreach (j, key, item)
		wipe_json(item, depth - 1);
}

static int
read_array(struct configs *c, const char *what, json_t *array, struct err *e)
{
	struct place at = {.what = what, .e = e};
	size_t n = json_array_size(array);
	int rc = 0;

	if (!json_is_array(array))
		return err_set(e, -EINVAL, "%s: must be a JSON array of objects", what);
	if (n == 0 || n > CONFIGS_MAX)
		return err_set(
		    e, -EINVAL, "%s: must hold 1 to %d configurations, not %zu", what, CONFIGS_MAX, n);
	c->v = xcalloc(n, sizeof(*c->v));
	c->count = n;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		at.index = i;
		rc = read_config(&c->v[i], &at, json_array_get(array, i));
	}
	return rc == 0 ? check_names(c, &at) : rc;
}

int
configs_parse(struct configs *c, const char *what, const char *text, size_t size, struct err *e)
{
	json_error_t why;
	json_t *array;
	int rc;

	memset(c, 0, sizeof(*c));
	if (size > CONFIGS_BYTES_MAX)
		return err_set(e, -EINVAL, "%s: must be at most %d KiB long", what, CONFIGS_BYTES_MAX / 1024);
	array = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (array == NULL)
		return err_set(
		    e, -EINVAL, "%s: is not valid JSON at line %d, column %d", what, why.line, why.column);
	rc = read_array(c, what, array, e);
	wipe_json(array, 3);
	json_decref(array);
	if (rc < 0)
		configs_clear(c);
	return rc;
}

void
configs_wipe_free(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

void
configs_wipe_strv(char **v)
{
	for (char **p = v; p != NULL && *p != NULL; p++)
		configs_wipe_free(*p);
	free(v);
}

void
configs_clear(struct configs *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->v[i].name);
		configs_wipe_strv(c->v[i].env);
	}
	free(c->v);
	memset(c, 0, sizeof(*c));
}

char *
configs_text(const struct configs *c)
{
	json_t *array = json_array();
	char *text;

	for (size_t i = 0; i < c->count; i++) {
		json_t *env = json_object();

		for (char **p = c->v[i].env; *p != NULL; p++) {
			char *name = xstrndup(*p, strcspn(*p, "="));

			json_object_set_new(env, name, json_string(*p + strlen(name) + 1));
			free(name);
		}
		json_array_append_new(array, json_pack("{s:s, s:o}", "name", c->v[i].name, "env", env));
	}
	text = json_text(array);
	wipe_json(array, 3);
	json_decref(array);
	return text;
}

static int
check_file(const char *path, const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return err_set(e, -EINVAL, "the keys file %s is not a regular file", path);
	if (st->st_uid != geteuid())
		return err_set(e, -EPERM, "the keys file %s belongs to user %u, not to you: chown it", path,
		    (unsigned)st->st_uid);
	if ((st->st_mode & 077) != 0)
		return err_set(e, -EPERM, "the keys file %s can be read by others (mode %03o): chmod 600 %s",
		    path, (unsigned)st->st_mode & 0777, path);
	if (st->st_size > CONFIGS_BYTES_MAX)
		return err_set(e, -EFBIG, "the keys file %s is over %d KiB", path, CONFIGS_BYTES_MAX / 1024);
	return 0;
}

/* What is checked is what is read: the open file, not its name. O_NONBLOCK: a pipe must not hold us up. */
int
configs_read_file(const char *path, char **text, size_t *size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc;
	char *buf = NULL;
	struct stat st;
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0)
		return err_sys(e, -errno, "cannot read the keys file %s", path);
	rc = fstat(fd, &st) < 0 ? err_sys(e, -errno, "cannot look at %s", path) : check_file(path, &st, e);
	if (rc == 0)
		buf = xcalloc(1, CONFIGS_BYTES_MAX + 1);
	while (rc == 0 && got > 0 && n < CONFIGS_BYTES_MAX) {
		got = fd_read(fd, buf + n, CONFIGS_BYTES_MAX - n);
		if (got < 0)
			rc = err_sys(e, (int)got, "cannot read the keys file %s", path);
		else
			n += (size_t)got;
	}
	fd_close(&fd);
	if (rc < 0) {
		configs_wipe_free(buf);
		return rc;
	}
	*text = buf;
	*size = n;
	return 0;
}

void
configs_from_env(char **text)
{
	static const char *const names[] = {
	    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"};
	const char *all = getenv("CLAUDE_CONFIGS");
	json_t *env, *array;
	bool keyed = false;

	*text = NULL;
	if (all != NULL && all[0] != '\0') {
		*text = xstrdup(all);
		return;
	}
	env = json_object();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value == NULL || value[0] == '\0')
			continue;
		json_object_set_new(env, names[i], json_string(value));
		keyed |= i < 2;
	}
	array = json_pack("[{s:s, s:o}]", "name", "environment", "env", env);
	if (keyed)
		*text = json_text(array);
	wipe_json(array, 3);
	json_decref(array);
}

void
configs_each_secret(
    const struct config *c, void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	for (char **p = c->env; p != NULL && *p != NULL; p++) {
		size_t n = strcspn(*p, "=");

		if (configs_is_secret(*p, n) && strlen(*p + n + 1) >= CONFIGS_SECRET_MIN)
			fn(arg, c->name, *p + n + 1);
	}
}

char *
configs_env_json(const struct config *c)
{
	return json_from_strv((const char *const *)c->env);
}

int
configs_env_parse(const char *json, char ***env, struct err *e)
{
	struct err why = {""};
	int rc = json_to_strv(json, env, &why);

	/* The parser's own words quote what it read. */
	return rc < 0 ? err_set(e, rc, "the variables of a configuration are no list of strings") : 0;
}

int64_t
configs_answer_ms(const struct configs *c)
{
	static const char name[] = "API_TIMEOUT_MS=";
	int64_t longest = 0, second = 0;

	for (size_t i = 0; i < c->count; i++) {
		int64_t ms = CONFIGS_ANSWER_MS;

		for (char **p = c->v[i].env; *p != NULL; p++)
			if (strncmp(*p, name, sizeof(name) - 1) == 0)
				ms = strtoll(*p + sizeof(name) - 1, NULL, 10);
		second = ms > longest ? longest : ms > second ? ms : second;
		longest = ms > longest ? ms : longest;
	}
	return CONFIGS_QUEUE_MS + longest + second;
}
