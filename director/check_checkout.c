/*
 * check_checkout: in GitHub Actions, what actions/checkout made of the checkout (see check.h): a shallow
 * clone has no commits to merge with, and a credential that it left in git's configuration is every agent's
 * to push with.
 */
#include "director/check.h"

#include "common/alloc.h"
#include "common/cmd.h"
#include "common/configs.h"
#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#define GIT_TIMEOUT_MS 60000
#define LIST_BYTES (1u << 20)
#define ADVICE "in the step that uses actions/checkout"

static int
ask_git(struct check *c, struct cmd_result *r, struct err *e, const char *const *argv)
{
	const struct cmd_spec s = {.argv = argv,
	    .cwd = c->top,
	    .out_max = LIST_BYTES,
	    .err_max = 4096,
	    .timeout_ms = GIT_TIMEOUT_MS};

	return cmd_run(&c->loop, &s, r, e);
}

static int
check_depth(struct check *c, struct err *e)
{
	struct cmd_result r;
	int rc =
	    ask_git(c, &r, e, (const char *const[]){"git", "rev-parse", "--is-shallow-repository", NULL});

	if (rc < 0)
		return rc;
	if (cmd_ok(&r) && strncmp(r.out, "true", 4) == 0)
		rc = err_set(e, -EINVAL,
		    "the checkout %s is a shallow clone, which lacks the history to merge with: set "
		    "\"fetch-depth: 0\" " ADVICE,
		    c->top);
	cmd_result_clear(&r);
	return rc;
}

static bool
is_between(const char *key, const char *first, const char *last)
{
	size_t n = strlen(key), a = strlen(first), b = strlen(last);

	return n >= a + b && strncasecmp(key, first, a) == 0 && strcasecmp(key + n - b, last) == 0;
}

/* A header that every request is sent with, or a password in an address. */
static bool
is_credential(const char *key, const char *value)
{
	const char *host = strstr(value, "://"), *at, *colon;

	if (is_between(key, "http.", "extraheader"))
		return strncasecmp(value, "authorization:", strlen("authorization:")) == 0;
	if (!is_between(key, "remote.", ".url") || host == NULL)
		return false;
	host += 3;
	at = strpbrk(host, "@/");
	colon = strpbrk(host, ":@/");
	return at != NULL && *at == '@' && colon != NULL && *colon == ':';
}

/* Of "origin NUL key LF value NUL" the parts; NULL at the end. The value of a key alone is "". */
static const char *
next_setting(const char *at, const char *end, const char **origin, char **key, const char **value)
{
	const char *pair = at + strlen(at) + 1;
	size_t n;

	if (at >= end || pair >= end)
		return NULL;
	n = strcspn(pair, "\n");
	*origin = strncmp(at, "file:", 5) == 0 ? at + 5 : at;
	free(*key);
	*key = xstrndup(pair, n);
	*value = pair[n] == '\n' ? pair + n + 1 : "";
	return pair + strlen(pair) + 1;
}

/* Also in files that are included: there actions/checkout has kept it since its version 6. */
static int
check_credentials(struct check *c, struct err *e)
{
	struct cmd_result r;
	const char *at, *origin, *value;
	char *key = NULL;
	int rc = ask_git(c, &r, e,
	    (const char *const[]){"git", "config", "--null", "--show-origin", "--includes", "--list", NULL});

	if (rc < 0)
		return rc;
	at = cmd_ok(&r) ? r.out : NULL;
	while (rc == 0 && at != NULL &&
	       (at = next_setting(at, r.out + r.out_size, &origin, &key, &value)) != NULL) {
		char *name, *where;

		if (!is_credential(key, value))
			continue;
		name = text_line(key, 200);
		where = text_line(origin, 400);
		rc = err_set(e, -EPERM,
		    "git's configuration of the checkout holds a credential (%s in %s), with which every "
		    "agent could push: set \"persist-credentials: false\" " ADVICE,
		    name, where);
		free(name);
		free(where);
	}
	explicit_bzero(r.out, r.out_size);
	free(key);
	cmd_result_clear(&r);
	return rc;
}

int
check_checkout(struct check *c, struct err *e)
{
	const char *on = getenv("GITHUB_ACTIONS");
	int rc;

	if (on == NULL || strcmp(on, "true") != 0)
		return 0;
	rc = check_depth(c, e);
	return rc == 0 ? check_credentials(c, e) : rc;
}
