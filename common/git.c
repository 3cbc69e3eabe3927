/*
 * git: how git is run: its arguments, its environment, its locks, its last words. What it is asked is in
 * git_query.c, git_worktree.c, git_content.c, git_commit.c and git_wip.c.
 */
#include "common/git.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/git_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_MAX (64u << 20)
#define ERR_MAX (16u << 10)
#define WORDS_MAX 700 /* of git's last words in an error */
#define ARGS_MAX 40
#define CHECKOUT_WORKERS "4" /* processes: the disk is what they wait for (docs/measurements.md) */
#define TIMEOUT_DEFAULT_MS (10 * 60 * 1000)

/*
 * Whatever the repository's or the user's configuration says, a git of ours starts no hook, monitor, pager or
 * collector, and asks nobody. Filters (LFS) are the user's own and stay.
 */
static const char *const fixed_config[] = {
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed",
    "core.quotePath=false",
    "core.safecrlf=false",
    "core.sparseCheckout=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
    "diff.ignoreSubmodules=dirty", /* never run git inside a folder that an agent wrote */
    "submodule.recurse=false",
    "checkout.workers=1",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
    NULL,
};

/* Reflogs name us; commits get the user's name by extra_env, which goes before these. */
static const char *const fixed_env[] = {
    "GIT_TERMINAL_PROMPT=0",
    "GIT_OPTIONAL_LOCKS=0",
    "GIT_PAGER=cat",
    "GIT_EDITOR=true",
    "GIT_SEQUENCE_EDITOR=true",
    "GIT_AUTHOR_NAME=orch",
    "GIT_AUTHOR_EMAIL=orch@localhost",
    "GIT_COMMITTER_NAME=orch",
    "GIT_COMMITTER_EMAIL=orch@localhost",
    "LC_ALL=C",
    NULL,
};

/* The user's choice of his own configuration files is no secret switch: it stays. */
static const char *const kept_env[] = {
    "GIT_CONFIG_NOSYSTEM=",
    "GIT_CONFIG_GLOBAL=",
    "GIT_CONFIG_SYSTEM=",
    NULL,
};

void
git_init(struct git *g, struct loop *l, const char *git_dir)
{
	memset(g, 0, sizeof(*g));
	g->loop = l;
	g->git_dir = xstrdup(git_dir);
	g->timeout_ms = TIMEOUT_DEFAULT_MS;
}

int
git_init_worktree(struct git *g, const struct git *repo, const char *path, struct err *e)
{
	struct git found;
	char *real = NULL, *admin = NULL;
	int rc;

	git_init(&found, repo->loop, repo->git_dir);
	found.timeout_ms = repo->timeout_ms;
	rc = git_real_path(path, &real, e);
	if (rc == 0)
		rc = git_admin_find(&found, real, &admin, e);
	if (rc == 0 && admin == NULL)
		rc = err_set(e, -ENOENT, "%s is not a worktree of %s", path, repo->git_dir);
	if (rc < 0) {
		free(real);
		git_clear(&found);
		return rc;
	}
	found.work_tree = real;
	found.work_git_dir = admin;
	found.forbidden = xstrdup(repo->forbidden);
	found.co_author = xstrdup(repo->co_author);
	found.excludes = xasprintf("%s/" GIT_EXCLUDE_FILE, admin);
	if (access(found.excludes, R_OK) < 0)
		xreplace(&found.excludes, repo->excludes);
	*g = found;
	return 0;
}

void
git_clear(struct git *g)
{
	free(g->git_dir);
	free(g->work_tree);
	free(g->work_git_dir);
	free(g->excludes);
	free(g->forbidden);
	free(g->co_author);
	memset(g, 0, sizeof(*g));
}

void
git_out_clear(struct git_out *out)
{
	free(out->out);
	memset(out, 0, sizeof(*out));
}

bool
git_is_folder(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
has_prefix(const char *s, const char *const *prefixes)
{
	for (; *prefixes != NULL; prefixes++)
		if (strncmp(s, *prefixes, strlen(*prefixes)) == 0)
			return true;
	return false;
}

/* A vector whose strings are all ours to free. */
struct vec {
	char **v;
	size_t n;
};

static void
vec_add(struct vec *v, char *s)
{
	v->v = xrealloc(v->v, (v->n + 2) * sizeof(*v->v));
	v->v[v->n++] = s;
	v->v[v->n] = NULL;
}

static void
vec_clear(struct vec *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->v[i]);
	free(v->v);
}

static void
build_argv(struct vec *v, const struct git *g, const char *const *argv, unsigned flags)
{
	vec_add(v, xstrdup("git"));
	for (const char *const *c = fixed_config; *c != NULL; c++) {
		vec_add(v, xstrdup("-c"));
		vec_add(v, xstrdup(*c));
	}
	vec_add(v, xstrdup("-c"));
	vec_add(v, xasprintf("safe.directory=%s", g->work_tree != NULL ? g->work_tree : g->git_dir));
	if (g->work_tree != NULL && g->excludes != NULL) {
		vec_add(v, xstrdup("-c"));
		vec_add(v, xasprintf("core.excludesFile=%s", g->excludes));
	}
	if (flags & GIT_CHECKOUT) {
		vec_add(v, xstrdup("-c"));
		vec_add(v, xstrdup("checkout.workers=" CHECKOUT_WORKERS));
	}
	for (; *argv != NULL; argv++)
		vec_add(v, xstrdup(*argv));
}

static void
build_env(struct vec *v, const struct git *g, const char *const *extra)
{
	static const char *const dropped[] = {"GIT_", "LC_ALL=", "LANGUAGE=", "PAGER=", NULL};

	for (; extra != NULL && *extra != NULL; extra++)
		vec_add(v, xstrdup(*extra)); /* first: getenv(3) takes the first of a name */
	vec_add(v, xasprintf("GIT_DIR=%s", g->work_git_dir != NULL ? g->work_git_dir : g->git_dir));
	if (g->work_git_dir != NULL)
		vec_add(v, xasprintf("GIT_COMMON_DIR=%s", g->git_dir));
	if (g->work_tree != NULL)
		vec_add(v, xasprintf("GIT_WORK_TREE=%s", g->work_tree));
	for (const char *const *s = fixed_env; *s != NULL; s++)
		vec_add(v, xstrdup(*s));
	for (char **s = environ; *s != NULL; s++)
		if (!has_prefix(*s, dropped) || has_prefix(*s, kept_env))
			vec_add(v, xstrdup(*s));
}

/*
 * git's complaint as one line: its fatal: and error: lines when there are any, else all but hints. Control
 * characters become blanks; the last WORDS_MAX bytes are kept. The caller frees it.
 */
static char *
last_words(const char *text)
{
	bool named = strstr(text, "fatal:") != NULL || strstr(text, "error:") != NULL;
	char *line = xmalloc(strlen(text) * 2 + 1), *kept;
	size_t n = 0;

	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, "\n\r");
		bool use = named ? strncmp(p, "fatal:", 6) == 0 || strncmp(p, "error:", 6) == 0
				 : strncmp(p, "hint:", 5) != 0;

		if (use && len > 0) {
			if (n > 0) {
				line[n++] = ';';
				line[n++] = ' ';
			}
			for (size_t i = 0; i < len; i++)
				line[n++] = (unsigned char)p[i] < 0x20 || p[i] == 0x7f ? ' ' : p[i];
		}
		p += len + (p[len] != '\0');
	}
	line[n] = '\0';
	if (n <= WORDS_MAX)
		return line;
	kept = xasprintf("...%s", line + n - WORDS_MAX);
	free(line);
	return kept;
}

static int
complain(struct err *e, const char *what, const struct cmd_result *r, int64_t timeout_ms)
{
	char *words = last_words(r->err);
	int rc;

	if (r->timed_out)
		rc = err_set(
		    e, -ETIMEDOUT, "git %s did not end within %lld s", what, (long long)timeout_ms / 1000);
	else if (WIFSIGNALED(r->status))
		rc = err_set(e, -EIO, "git %s was killed by signal %d", what, WTERMSIG(r->status));
	else if (strstr(words, "smudge filter") != NULL || strstr(words, "clean filter") != NULL ||
		 strstr(words, "external filter") != NULL)
		rc = err_set(e, -EIO,
		    "git %s: a filter that .gitattributes and git's configuration ask for could not be run; "
		    "install its program (git-lfs?) or take it out of the configuration: %s",
		    what, words);
	else if (words[0] == '\0')
		rc = err_set(
		    e, -EIO, "git %s exited with status %d and said nothing", what, WEXITSTATUS(r->status));
	else
		rc = err_set(e, -EIO, "git %s: %s", what, words);
	free(words);
	return rc;
}

/* Runs it until no lock is in the way. */
static int
run_unlocked(struct git *g, const struct cmd_spec *s, struct cmd_result *r, struct err *e)
{
	struct git_lock_wait wait = {0};

	for (;;) {
		struct err why = {0};
		int rc = cmd_run(g->loop, s, r, &why);

		if (rc < 0)
			return err_set(e, rc, "%s", why.msg);
		if (cmd_ok(r) || r->timed_out || WIFSIGNALED(r->status))
			return 0;
		rc = git_lock_wait(g, r->err, &wait, e);
		if (rc == 1)
			return 0;
		cmd_result_clear(r);
		if (rc < 0)
			return rc;
	}
}

int
git_runv(struct git *g, unsigned flags, struct git_out *out, struct err *e, const char *const *argv,
    const char *const *extra_env, const void *in, size_t in_size)
{
	struct vec args = {0}, env = {0};
	struct cmd_result r = {0};
	struct cmd_spec s = {0};
	char *lock = flags & GIT_LANE       ? xasprintf("%s/" GIT_LANE_FILE, g->git_dir)
		     : flags & GIT_CHECKOUT ? xasprintf("%s/" GIT_CHECKOUT_FILE, g->work_git_dir)
					    : NULL;
	int rc;

	build_argv(&args, g, argv, flags);
	build_env(&env, g, extra_env);
	s.argv = (const char *const *)args.v;
	s.env = (const char *const *)env.v;
	s.cwd = g->work_tree != NULL ? g->work_tree : g->git_dir;
	s.in = in;
	s.in_size = in_size;
	s.out_max = OUT_MAX;
	s.err_max = ERR_MAX;
	s.timeout_ms = g->timeout_ms;
	s.lock_path = lock;
	s.death_signal = flags & GIT_CHECKOUT ? SIGKILL : 0;
	if (access(s.cwd, X_OK) < 0)
		rc = err_sys(e, -errno, "cannot run git %s in %s", argv[0], s.cwd);
	else
		rc = run_unlocked(g, &s, &r, e);
	free(lock);
	vec_clear(&args);
	vec_clear(&env);
	if (rc < 0)
		return rc;
	if (r.timed_out || WIFSIGNALED(r.status) || (!cmd_ok(&r) && !(flags & GIT_ANY_EXIT)))
		rc = complain(e, argv[0], &r, g->timeout_ms);
	else if (r.truncated)
		rc = err_set(e, -EFBIG, "git %s said more than %u MiB", argv[0], OUT_MAX >> 20);
	else if (!cmd_ok(&r))
		complain(e, argv[0], &r, g->timeout_ms); /* no error, but there to be read */
	if (rc == 0 && out != NULL) {
		out->code = WEXITSTATUS(r.status);
		out->size = r.out_size;
		out->out = xrealloc(r.out, r.out_size + 1);
		r.out = NULL;
	}
	cmd_result_clear(&r);
	return rc;
}

int
git_run(struct git *g, unsigned flags, struct git_out *out, struct err *e, const char *arg, ...)
{
	const char *argv[ARGS_MAX + 1];
	size_t n = 0;
	va_list ap;

	va_start(ap, arg);
	for (const char *s = arg; s != NULL; s = va_arg(ap, const char *)) {
		if (n == ARGS_MAX) {
			va_end(ap);
			return err_set(e, -E2BIG, "git %s: too many arguments", arg);
		}
		argv[n++] = s;
	}
	va_end(ap);
	argv[n] = NULL;
	return git_runv(g, flags, out, e, argv, NULL, NULL, 0);
}

void
git_note(struct git_notes *n, const char *fmt, ...)
{
	va_list ap;
	char *sentence = NULL, *all;

	if (n == NULL)
		return;
	va_start(ap, fmt);
	if (vasprintf(&sentence, fmt, ap) < 0)
		sentence = xstrdup(fmt);
	va_end(ap);
	all = n->text == NULL ? xstrdup(sentence) : xasprintf("%s; %s", n->text, sentence);
	free(sentence);
	free(n->text);
	n->text = all;
}
