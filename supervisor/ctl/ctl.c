/* ctl: see ctl.h. */
#include "supervisor/ctl/ctl.h"

#include "common/configs.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SETTINGS_FILE "orchestrator.json"
#define SETTINGS_MAX (256 * 1024)
#define ANSWER_MS 30000

void
ctl_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("orchctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int
ctl_fail(int rc, const struct err *e)
{
	if (rc == -ECANCELED)
		return CTL_INTERRUPTED;
	ctl_say("%s", e->msg);
	return rc == -EPIPE || rc == -ETIMEDOUT || rc == -ECONNREFUSED ? CTL_UNREACHABLE : CTL_FAILED;
}

int
ctl_read_settings(const struct repo *r, char **text, size_t *size, struct err *e)
{
	char path[4096];
	int rc;

	*text = NULL;
	*size = 0;
	if (r->top == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/" SETTINGS_FILE, r->top);
	rc = fd_read_file(path, SETTINGS_MAX, text, size);
	if (rc == -ENOENT)
		return 0;
	if (rc == -EFBIG)
		return err_set(e, rc, "%s is larger than %d KiB", path, SETTINGS_MAX / 1024);
	return rc < 0 ? err_sys(e, rc, "cannot read %s", path) : 0;
}

static int
read_flags(struct ctl *c, struct err *e)
{
	for (int n = 0; n < c->args.conf_count; n++) {
		int i = c->args.conf_at[n];
		int rc = conf_from_flag(&c->conf, c->args.argc, c->args.argv, &i, e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
read_settings(struct ctl *c, struct err *e)
{
	size_t size;
	char *text;
	int rc = ctl_read_settings(&c->repo, &text, &size, e);

	if (rc == 0 && text != NULL)
		rc = conf_from_file(&c->conf, SETTINGS_FILE, text, size, e);
	free(text);
	if (rc < 0 && !(c->cmd->options & ARGS_conf)) {
		/* Whoever spoils the file while a run goes on must still be able to look at it and to stop
		 * it. */
		ctl_say("note: %s; going on as if the file were not there", e->msg);
		rc = 0;
	}
	if (rc == 0)
		rc = conf_from_env(&c->conf, e);
	if (rc == 0)
		rc = read_flags(c, e);
	if (rc == 0 && log_level_parse(c->conf.log) >= 0)
		log_set_level((enum log_level)log_level_parse(c->conf.log));
	return rc;
}

/* The checkout names the settings, and the settings may move the state: looked up twice. */
static int
find_repo(struct ctl *c, struct err *e)
{
	const char *dir = c->args.repo;
	int rc;

	rc = repo_find(&c->repo, dir, NULL, e);
	if (rc < 0)
		return rc;
	if (c->repo.top == NULL)
		return err_set(e, -EINVAL,
		    "%s is a bare repository, which has no checkout: clone it and run orchctl there",
		    c->repo.git_dir);
	rc = read_settings(c, e);
	if (rc < 0 || c->conf.state_dir == NULL)
		return rc;
	repo_clear(&c->repo);
	return repo_find(&c->repo, dir, c->conf.state_dir, e);
}

int
ctl_open(struct ctl *c, const struct command *cmd, int argc, char *const *argv, int first)
{
	struct err e = {""};
	int rc;

	memset(c, 0, sizeof(*c));
	c->cmd = cmd;
	conf_init(&c->conf);
	rc = args_parse(&c->args, cmd->name, cmd->options, cmd->max_words, argc, argv, first, &e);
	if (rc == 0 && c->args.help)
		return CTL_OK;
	if (rc == 0 && c->args.word_count < cmd->min_words)
		rc = err_set(&e, -EINVAL, "orchctl %s needs %s: see orchctl %s --help", cmd->name, cmd->words,
		    cmd->name);
	if (rc == 0)
		rc = find_repo(c, &e);
	if (rc < 0) {
		ctl_say("%s", e.msg);
		return CTL_USAGE;
	}
	rc = loop_init(&c->loop);
	if (rc < 0) {
		ctl_say("cannot start: %s", strerror(-rc));
		return CTL_FAILED;
	}
	return CTL_OK;
}

void
ctl_close(struct ctl *c)
{
	client_free(c->client);
	if (c->loop.base != NULL)
		loop_clear(&c->loop);
	repo_clear(&c->repo);
	conf_clear(&c->conf);
	configs_wipe_free(c->keys);
	configs_wipe_free(c->token);
}

bool
ctl_never_ran(const struct ctl *c)
{
	struct stat st;

	return stat(c->repo.state, &st) < 0 && stat(c->repo.socket, &st) < 0;
}

bool
ctl_is_front(void)
{
	const char *front = getenv("ORCH_FRONT");

	return front != NULL && front[0] != '\0';
}

/* Everything is checked: the orchd whose front we are may make its folders and serve. False when it will not.
 */
static bool
await_orchd(void)
{
	int fd = atoi(getenv("ORCH_FRONT"));
	char byte;

	fd_set_cloexec(fd, true);
	return send(fd, "?", 1, MSG_NOSIGNAL) == 1 && fd_read(fd, &byte, 1) == 1;
}

int
ctl_connect(struct ctl *c)
{
	struct err e = {""};
	int rc;

	if (ctl_is_front() && !c->awaited && !(c->awaited = await_orchd()))
		return CTL_UNREACHABLE;
	rc = client_open(&c->client, &c->loop, &c->repo, !ctl_is_front(), &e);

	if (rc == 0)
		return CTL_OK;
	if (rc == -ECANCELED)
		return CTL_INTERRUPTED;
	ctl_say("%s", e.msg);
	return CTL_UNREACHABLE;
}

int
ctl_connect_ran(struct ctl *c)
{
	if (!ctl_never_ran(c))
		return ctl_connect(c);
	ctl_say("no runs yet");
	return CTL_USAGE;
}

int
ctl_ask(struct ctl *c, struct msg *m, client_fn *fn, void *arg)
{
	struct err e = {""};
	int rc = client_call(c->client, m, fn, arg, ANSWER_MS, &e);

	return rc == 0 ? CTL_OK : ctl_fail(rc, &e);
}
