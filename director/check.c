/* check: question, answer, and everything that is not git (see check.h). */
#include "director/check.h"

#include "common/agent.h"
#include "common/alloc.h"
#include "common/configs.h"
#include "common/fd.h"
#include "common/json.h"
#include "common/log.h"
#include "common/repo.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define QUESTION_MAX (1u << 20)
#define EXIT_BAD_INPUT 2

void
check_note(struct check *c, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text != NULL)
		json_array_append_new(c->notes, json_string(text));
	free(text);
}

/* A member that must be there; its copy. */
static int
take(json_t *question, const char *key, char **value, struct err *e)
{
	const char *s = json_str(question, key);

	if (s == NULL || *s == '\0')
		return err_set(
		    e, -EINVAL, "the question has no \"%s\": orch-director --check is asked by orchctl", key);
	*value = xstrdup(s);
	return 0;
}

static int
read_question(struct check *c, struct err *e)
{
	char *text = NULL, *options = NULL;
	json_t *question = NULL;
	size_t size;
	int rc = fd_read_all(STDIN_FILENO, QUESTION_MAX, &text, &size);

	if (rc < 0)
		return err_sys(e, rc, "cannot read the question from stdin");
	question = json_parse("stdin", text, size, e);
	configs_wipe_free(text);
	if (question == NULL)
		return -EINVAL;
	rc = take(question, "git_dir", &c->git_dir, e);
	if (rc == 0)
		rc = take(question, "state", &c->state, e);
	if (rc == 0)
		rc = take(question, "worktrees", &c->worktrees, e);
	if (rc == 0) {
		c->top = xstrdup(json_str(question, "top"));
		c->issue = xstrdup(json_str(question, "issue"));
		c->token = xstrdup(json_str(question, "token"));
		c->actor = xstrdup(json_str(question, "actor"));
		c->fetch = json_is_true(json_object_get(question, "fetch"));
		c->look_for_saved = json_is_true(json_object_get(question, "look_for_saved"));
		c->forget_saved = json_is_true(json_object_get(question, "forget_saved"));
		c->check_author = json_is_true(json_object_get(question, "check_author"));
		c->pull = (uint64_t)json_integer_value(json_object_get(question, "pull"));
		c->trust = json_is_true(json_object_get(question, "trust"));
		options = json_text(json_object_get(question, "options"));
		rc = conf_thaw(&c->conf, options == NULL ? "{}" : options, e);
	}
	free(options);
	json_decref(question);
	return rc;
}

/* The nearest folder that exists: path, or one above it. */
static char *
existing_folder(const char *path)
{
	char *p = xstrdup(path);
	struct stat st;

	while (stat(p, &st) < 0 && strcmp(p, "/") != 0 && strcmp(p, ".") != 0) {
		char *up = xstrdup(dirname(p));

		free(p);
		p = up;
	}
	return p;
}

static uint64_t
wanted_mb(void)
{
	const char *s = getenv("ORCH_MIN_FREE_MB");
	char *end;
	uint64_t mb;

	if (s == NULL || *s == '\0')
		return CHECK_MIN_FREE_MB;
	mb = strtoull(s, &end, 10);
	return *end == '\0' ? mb : CHECK_MIN_FREE_MB;
}

static int
check_disk(const char *path, struct err *e)
{
	char *folder = existing_folder(path);
	struct statvfs fs;
	uint64_t free_mb, need = wanted_mb();
	int rc = 0;

	if (statvfs(folder, &fs) < 0) {
		rc = err_sys(e, -errno, "cannot see how full the disk of %s is", folder);
	} else {
		free_mb = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
		if (free_mb < need)
			rc = err_set(e, -ENOSPC,
			    "the disk of %s has %" PRIu64 " MiB left, a run needs %" PRIu64
			    ": free some space, or put orch's state elsewhere with --state-dir",
			    path, free_mb, need);
	}
	free(folder);
	return rc;
}

/* A folder that exists may still be on a read-only disk: only writing tells, root or not. */
static int
try_write(const char *dir, struct err *e)
{
	char *probe = xasprintf("%s/.orch-check-XXXXXX", dir);
	int fd = mkstemp(probe), rc = 0;

	if (fd < 0) {
		rc = err_sys(e, -errno, "cannot write in %s (choose another place with --state-dir)", dir);
	} else {
		close(fd);
		unlink(probe);
	}
	free(probe);
	return rc;
}

static int
check_folders(struct check *c, struct err *e)
{
	const struct repo where = {
	    .top = c->top, .git_dir = c->git_dir, .state = c->state, .worktrees = c->worktrees};
	int rc = repo_make_dirs(&where, e);

	if (rc == 0)
		rc = try_write(c->state, e);
	return rc == 0 ? try_write(c->worktrees, e) : rc;
}

/* What costs nothing comes first; the folders are made when all else is well. */
static int
check_all(struct check *c, struct err *e)
{
	int rc = read_question(c, e);

	if (rc < 0)
		return rc;
	git_init(&c->git, &c->loop, c->git_dir);
	if (c->actor != NULL)
		return check_actor(c, e);
	rc = check_repository(c, e);
	if (rc == 0)
		rc = check_checkout(c, e);
	if (rc == 0)
		rc = check_guard(c, e);
	if (rc == 0)
		rc = agent_check(c->conf.agent, e);
	if (rc == 0)
		rc = agent_check_version(&c->loop, c->conf.agent, e);
	if (rc == 0)
		rc = check_disk(c->state, e);
	if (rc == 0)
		rc = check_disk(c->worktrees, e);
	if (rc == 0)
		rc = check_folders(c, e);
	if (rc == 0)
		rc = check_github(c, e);
	if (rc == 0)
		check_saved(c);
	if (rc == 0)
		c->options = conf_freeze(&c->conf);
	return rc;
}

static void
answer_permission(const struct check *c)
{
	json_t *j = json_pack("{s:s}", "permission", c->permission);
	char *text = json_text(j);

	puts(text);
	free(text);
	json_decref(j);
}

static void
answer(const struct check *c)
{
	json_t *j = json_pack("{s:s, s:s, s:O, s:s, s:b, s:s*, s:s*, s:s*, s:I, s:s*, s:s*}", "base", c->base,
	    "base_branch", c->base_branch, "notes", c->notes, "options", c->options, "github",
	    c->token != NULL && c->conf.repo_owner != NULL && c->conf.github_api_url != NULL, "title",
	    c->title, "text", c->text, "head_branch", c->head_branch, "remarks", (json_int_t)c->remarks,
	    "restore", c->restore, "issue", c->issue);
	char *text = json_text(j);

	puts(text);
	free(text);
	json_decref(j);
}

int
check_main(void)
{
	struct check c = {0};
	struct err e = {{0}};
	int rc;

	log_init("orch-director");
	if (loop_init(&c.loop) < 0)
		fatal("cannot set up the event loop");
	conf_init(&c.conf);
	c.notes = json_array();
	rc = check_all(&c, &e);
	if (rc == 0 && c.actor != NULL)
		answer_permission(&c);
	else if (rc == 0)
		answer(&c);
	else
		fprintf(stderr, "%s\n", e.msg[0] != '\0' ? e.msg : strerror(-rc));
	json_decref(c.notes);
	free(c.base_branch);
	free(c.options);
	free(c.issue);
	configs_wipe_free(c.token);
	free(c.title);
	free(c.text);
	free(c.head_branch);
	free(c.restore);
	free(c.actor);
	free(c.top);
	free(c.git_dir);
	free(c.state);
	free(c.worktrees);
	git_clear(&c.git);
	conf_clear(&c.conf);
	loop_clear(&c.loop);
	return rc == 0 ? 0 : EXIT_BAD_INPUT;
}
