/* token: see token.h. */
#include "supervisor/ctl/token.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/cmd.h"
#include "common/configs.h"
#include "proto/messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GH_MS 10000

/* The one word of a text; NULL when it is none, or no token. */
static char *
take_word(const char *text)
{
	size_t skip = strspn(text, " \t\r\n"), n = strcspn(text + skip, " \t\r\n");
	const char *rest = text + skip + n;

	if (n == 0 || n >= TOKEN_MAX || rest[strspn(rest, " \t\r\n")] != '\0')
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (text[skip + i] <= ' ' || text[skip + i] > '~')
			return NULL;
	return xstrndup(text + skip, n);
}

static int
from_file(struct ctl *c, struct err *e)
{
	char *text;
	size_t size;
	int rc = configs_read_file(c->args.token_file, &text, &size, e);

	if (rc < 0)
		return rc;
	c->token = take_word(text);
	configs_wipe_free(text);
	if (c->token == NULL)
		return err_set(e, -EINVAL, "%s does not hold a token for GitHub", c->args.token_file);
	return 0;
}

static int
from_env(struct ctl *c, const char *name, struct err *e)
{
	const char *value = getenv(name);

	if (value == NULL || *value == '\0')
		return 0;
	c->token = take_word(value);
	return c->token != NULL ? 0 : err_set(e, -EINVAL, "%s does not hold a token", name);
}

/* Who has gh and is not logged in has no token: that is no fault. */
static void
from_gh(struct ctl *c)
{
	const char *argv[] = {"gh", "auth", "token", "--hostname", "github.com", NULL};
	struct cmd_spec s = {.argv = argv, .out_max = TOKEN_MAX, .err_max = 256, .timeout_ms = GH_MS};
	struct cmd_result r;
	char *path = NULL;

	if (child_find_program("gh", &path, NULL) < 0)
		return;
	free(path);
	if (cmd_run(&c->loop, &s, &r, NULL) < 0)
		return;
	if (cmd_ok(&r))
		c->token = take_word(r.out);
	explicit_bzero(r.out, r.out_size);
	cmd_result_clear(&r);
}

int
token_read(struct ctl *c, bool ask_gh, struct err *e)
{
	int rc = 0;

	configs_wipe_free(c->token); /* an event's sender was judged with it */
	c->token = NULL;
	if (c->args.token_file != NULL)
		return from_file(c, e);
	rc = from_env(c, "GITHUB_TOKEN", e);
	if (rc == 0 && c->token == NULL)
		rc = from_env(c, "GH_TOKEN", e);
	/* gh knows the one of github.com: another server's is given by a variable. */
	if (rc == 0 && c->token == NULL && ask_gh && c->conf.github_api_url == NULL)
		from_gh(c);
	return rc;
}
