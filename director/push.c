/* push: see push.h. */
#include "director/push.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/cmd.h"
#include "common/configs.h"
#include "common/fd.h"
#include "director/push_judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS (10 * 60 * 1000)
#define SAID_MAX (64 * 1024)
#define OUT_MAX (2 * 1024 * 1024) /* the branches of the biggest run that there can be */
#define ARGS_MAX 24
#define PUSH_TRIES 4
#define PUSH_PATIENCE_MS 60000 /* a push that took so long is not tried again */

/* git runs it by the shell, with the operation behind it; fd 3 is inherited from us. Empty first: no other
 * helper. */
#define HELPER "credential.helper=!f() { test \"$1\" = get && cat <&3; }; f"

/* Proxies and certificates are the machine's affair; everything else of the environment could redirect git.
 */
static const char *const kept_env[] = {"PATH", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
    "ALL_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "TMPDIR"};

static char **
make_env(const struct push *p)
{
	char **env = xcalloc(sizeof(kept_env) / sizeof(kept_env[0]) + 16, sizeof(*env));
	size_t n = 0;

	for (size_t i = 0; i < sizeof(kept_env) / sizeof(kept_env[0]); i++) {
		const char *value = getenv(kept_env[i]);

		if (value != NULL)
			env[n++] = xasprintf("%s=%s", kept_env[i], value);
	}
	env[n++] = xasprintf("HOME=%s", p->dir);
	env[n++] = xasprintf("XDG_CONFIG_HOME=%s", p->dir);
	env[n++] = xasprintf("GIT_DIR=%s", p->dir);
	env[n++] = xstrdup("GIT_CONFIG_NOSYSTEM=1");
	env[n++] = xstrdup("GIT_CONFIG_GLOBAL=/dev/null");
	env[n++] = xstrdup("GIT_TERMINAL_PROMPT=0");
	env[n++] = xstrdup("GIT_ALLOW_PROTOCOL=http:https");
	env[n++] = xstrdup("LC_ALL=C");
	if (p->ca_file != NULL)
		env[n++] = xasprintf("GIT_SSL_CAINFO=%s", p->ca_file);
	return env;
}

static void
free_env(char **env)
{
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}

/* The read end of a pipe that holds what a credential helper says. It fits: the caller never waits. */
static int
credentials(const struct push *p, int *fd)
{
	char *text;
	int fds[2], rc = fd_pipe(fds, false);

	if (rc < 0)
		return rc;
	text = xasprintf("username=x-access-token\npassword=%s\n", p->token);
	rc = fd_write_all(fds[1], text, strlen(text));
	configs_wipe_free(text);
	fd_close(&fds[1]);
	*fd = fds[0];
	if (rc < 0)
		fd_close(fd);
	return rc;
}

/* git in the bare repository. 0 whatever its status; the token is at hand for it where remote is set. */
static int
run(struct push *p, bool remote, struct cmd_result *r, struct err *e, const char *const *args)
{
	const char *argv[ARGS_MAX + 12] = {"git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c",
	    "credential.helper=", "-c", HELPER, "-c", "http.followRedirects=initial"};
	struct cmd_spec s = {.argv = argv, .cwd = p->dir, .out_max = OUT_MAX, .err_max = SAID_MAX};
	char **env = make_env(p);
	int fd = -1, rc = remote ? credentials(p, &fd) : 0;
	size_t n = 11;

	while (*args != NULL && n < ARGS_MAX + 11)
		argv[n++] = *args++;
	s.env = (const char *const *)env;
	s.timeout_ms = p->timeout_ms;
	s.give_fd = fd;
	if (rc < 0)
		err_sys(e, rc, "cannot give git the token");
	else
		rc = cmd_run(p->loop, &s, r, e);
	fd_close(&fd);
	free_env(env);
	return rc;
}

/* The same, judged. what: for the sentence. */
static enum push_outcome
run_remote(struct push *p, const char *what, struct cmd_result *r, struct err *e, const char *const *args)
{
	char *said;
	enum push_outcome outcome;
	int rc = run(p, true, r, e, args);

	if (rc < 0)
		return rc == -ECANCELED ? PUSH_STOPPED : PUSH_BROKEN;
	if (cmd_ok(r))
		return PUSH_DONE;
	if (r->timed_out) {
		err_set(e, -ETIMEDOUT, "cannot %s: git did not end within %lld s", what,
		    (long long)p->timeout_ms / 1000);
		return PUSH_NETWORK;
	}
	said = xasprintf("%s\n%s", r->err, r->out);
	outcome = push_judge(what, said, e);
	free(said);
	return outcome;
}

static int
write_alternates(const struct push *p)
{
	char *path = xasprintf("%s/objects/info/alternates", p->dir);
	char *text = xasprintf("%s/objects\n", p->git->git_dir);
	int rc = fd_write_file(path, text, strlen(text), 0600);

	free(path);
	free(text);
	return rc;
}

static int
make_bare(struct push *p, struct err *e)
{
	struct git_out format = {0};
	struct cmd_result r;
	char *option = NULL;
	int rc = git_run(p->git, 0, &format, e, "rev-parse", "--show-object-format", NULL);

	if (rc < 0)
		return rc;
	format.out[strcspn(format.out, "\n")] = '\0';
	option = xasprintf("--object-format=%s", format.out);
	git_out_clear(&format);
	rc = run(p, false, &r, e, (const char *const[]){"init", "-q", "--bare", "--template=", option, NULL});
	free(option);
	if (rc < 0)
		return rc;
	if (!cmd_ok(&r))
		rc = err_set(e, -EIO, "cannot make the repository to push from: %.300s", r.err);
	cmd_result_clear(&r);
	if (rc == 0) {
		char *info = xasprintf("%s/objects/info", p->dir);

		rc = fd_mkdirs(info, 0700);
		free(info);
	}
	if (rc == 0)
		rc = write_alternates(p);
	return rc == 0 || rc == -EIO ? rc : err_sys(e, rc, "cannot make the repository to push from");
}

int
push_open(struct push *p, struct git *git, const char *dir, const char *url, const char *token,
    const char *ca_file, struct err *e)
{
	int rc;

	memset(p, 0, sizeof(*p));
	p->loop = git->loop;
	p->git = git;
	p->dir = xstrdup(dir);
	p->url = xstrdup(url);
	p->token = xstrdup(token);
	p->ca_file = xstrdup(ca_file);
	p->timeout_ms = TIMEOUT_MS;
	p->pause_ms = PUSH_PAUSE_MS;
	rc = fd_remove_tree(dir);
	if (rc == 0)
		rc = fd_mkdirs(dir, 0700);
	if (rc < 0)
		err_sys(e, rc, "cannot make %s", dir);
	else
		rc = make_bare(p, e);
	if (rc < 0)
		push_close(p);
	return rc;
}

void
push_close(struct push *p)
{
	if (p->dir != NULL)
		fd_remove_tree(p->dir);
	free(p->dir);
	free(p->url);
	free(p->ca_file);
	configs_wipe_free(p->token);
	memset(p, 0, sizeof(*p));
}

/* For people: a branch by its name. */
static const char *
ref_words(const char *ref, const char **kind)
{
	bool branch = strncmp(ref, "refs/heads/", 11) == 0;

	*kind = branch ? "the branch " : "";
	return branch ? ref + 11 : ref;
}

enum push_outcome
push_ref_tip(struct push *p, const char *ref, char oid[GIT_OID_HEX], struct err *e)
{
	const char *kind, *name = ref_words(ref, &kind);
	char *what = xasprintf("look at %s%s on GitHub", kind, name);
	struct cmd_result r = {0};
	enum push_outcome o =
	    run_remote(p, what, &r, e, (const char *const[]){"ls-remote", "--refs", p->url, ref, NULL});
	size_t n;

	oid[0] = '\0';
	if (o == PUSH_DONE) {
		/* ls-remote's pattern matches tails too: a/refs/heads/x. */
		for (const char *line = r.out; *line != '\0';
		     line += strcspn(line, "\n"), line += *line == '\n') {
			n = strspn(line, "0123456789abcdef");
			if (n >= 40 && n < GIT_OID_HEX && line[n] == '\t' &&
			    strncmp(line + n + 1, ref, strlen(ref)) == 0 &&
			    (line[n + 1 + strlen(ref)] == '\n' || line[n + 1 + strlen(ref)] == '\0'))
				snprintf(oid, GIT_OID_HEX, "%.*s", (int)n, line);
		}
	}
	cmd_result_clear(&r);
	free(what);
	return o;
}

enum push_outcome
push_remote_tip(struct push *p, const char *branch, char oid[GIT_OID_HEX], struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	enum push_outcome o = push_ref_tip(p, ref, oid, e);

	free(ref);
	return o;
}

/* "<oid>\trefs/heads/<branch>" */
static void
take_ref(struct push_refs *refs, const char *line, size_t size)
{
	static const char heads[] = "refs/heads/";
	size_t n = strspn(line, "0123456789abcdef"), skip = n + sizeof(heads);
	struct push_ref *r;

	if (n < 40 || n >= GIT_OID_HEX || size <= skip || line[n] != '\t' ||
	    strncmp(line + n + 1, heads, sizeof(heads) - 1) != 0)
		return;
	refs->list = xrealloc(refs->list, (refs->count + 1) * sizeof(*refs->list));
	r = &refs->list[refs->count++];
	snprintf(r->oid, sizeof(r->oid), "%.*s", (int)n, line);
	r->branch = xstrndup(line + skip, size - skip);
}

void
push_refs_read(struct push_refs *refs, const char *lines)
{
	while (*lines != '\0') {
		size_t n = strcspn(lines, "\n");

		take_ref(refs, lines, n);
		lines += n + (lines[n] == '\n');
	}
}

enum push_outcome
push_list(struct push *p, const char *pattern, const char *also, struct push_refs *refs, struct err *e)
{
	char *one = xasprintf("refs/heads/%s", pattern);
	char *two = also == NULL ? NULL : xasprintf("refs/heads/%s", also);
	char *what = xasprintf("look at the branch %s on GitHub", pattern);
	struct cmd_result r = {0};
	enum push_outcome o =
	    run_remote(p, what, &r, e, (const char *const[]){"ls-remote", "--refs", p->url, one, two, NULL});

	memset(refs, 0, sizeof(*refs));
	if (o == PUSH_DONE && r.truncated) {
		err_set(e, -EOVERFLOW, "cannot %s: there are too many branches", what);
		o = PUSH_BROKEN;
	}
	if (o == PUSH_DONE)
		push_refs_read(refs, r.out);
	cmd_result_clear(&r);
	free(one);
	free(two);
	free(what);
	return o;
}

const char *
push_refs_find(const struct push_refs *refs, const char *branch)
{
	for (size_t i = 0; i < refs->count; i++)
		if (strcmp(refs->list[i].branch, branch) == 0)
			return refs->list[i].oid;
	return "";
}

void
push_refs_clear(struct push_refs *refs)
{
	for (size_t i = 0; i < refs->count; i++)
		free(refs->list[i].branch);
	free(refs->list);
	memset(refs, 0, sizeof(*refs));
}

/* Is everything that the branch has there in what we push? A commit that we do not even have is not. */
static bool
holds(struct push *p, const char *tip, const char *oid)
{
	char known[GIT_OID_HEX], *rev = xasprintf("%s^{commit}", tip);
	int rc = git_resolve(p->git, rev, known, NULL);

	free(rev);
	return rc == 0 && git_is_ancestor(p->git, tip, oid, NULL) == 1;
}

enum push_outcome
push_ref(struct push *p, const char *ref, const char *oid, const char *lease, struct err *e)
{
	const char *kind, *name = ref_words(ref, &kind);
	char *spec = xasprintf("%s:%s", oid, ref);
	char *with = xasprintf("--force-with-lease=%s:%s", ref, lease);
	char *what = xasprintf("%s %s%s", *oid == '\0' ? "delete" : "push", kind, name);
	struct cmd_result r = {0};
	enum push_outcome o = run_remote(p, what, &r, e,
	    (const char *const[]){"push", "--porcelain", "--no-verify", "--no-follow-tags",
		"--no-recurse-submodules", with, p->url, spec, NULL});

	cmd_result_clear(&r);
	free(spec);
	free(with);
	free(what);
	return o;
}

static enum push_outcome
push_with_lease(struct push *p, const char *branch, const char *oid, const char *lease, struct err *e)
{
	char *ref = xasprintf("refs/heads/%s", branch);
	enum push_outcome o = push_ref(p, ref, oid, lease, e);

	free(ref);
	return o;
}

/* git repeats a push whose answer was lost, and is then refused by what it did itself. */
static bool
is_there(struct push *p, const char *branch, const char *oid)
{
	char tip[GIT_OID_HEX];

	return push_remote_tip(p, branch, tip, NULL) == PUSH_DONE && strcmp(tip, oid) == 0;
}

enum push_outcome
push_from(
    struct push *p, const char *branch, const char *oid, const char *tip, const char *ours, struct err *e)
{
	enum push_outcome o;

	if (strcmp(tip, oid) == 0)
		return PUSH_DONE;
	if (tip[0] != '\0' && !(ours != NULL && strcmp(tip, ours) == 0) && !holds(p, tip, oid)) {
		err_set(e, -ESTALE,
		    "cannot push the branch %s: it has commits on GitHub (%.7s) that are not in this run's: "
		    "merge it, or "
		    "remove it there, and resume",
		    branch, tip);
		return PUSH_FOREIGN;
	}
	o = push_with_lease(p, branch, oid, tip, e);
	return o == PUSH_FOREIGN && is_there(p, branch, oid) ? PUSH_DONE : o;
}

/* A push whose answer was lost is seen in where the branch is, which is looked at first. */
enum push_outcome
push_branch(struct push *p, const char *branch, const char *oid, const char *ours, struct err *e)
{
	const bool never = false;
	int64_t began = clock_now_ms();

	for (unsigned i = 0;; i++) {
		char tip[GIT_OID_HEX];
		enum push_outcome o = push_remote_tip(p, branch, tip, e);

		if (o == PUSH_DONE)
			o = push_from(p, branch, oid, tip, ours, e);
		if (o != PUSH_NETWORK || i + 1 == PUSH_TRIES || clock_now_ms() > began + PUSH_PATIENCE_MS)
			return o;
		if (loop_wait(p->loop, &never, clock_now_ms() + (p->pause_ms << i)) == -ECANCELED)
			return PUSH_STOPPED;
	}
}

enum push_outcome
push_delete(struct push *p, const char *branch, const char *oid, struct err *e)
{
	char tip[GIT_OID_HEX];
	enum push_outcome o = push_remote_tip(p, branch, tip, e);

	if (o != PUSH_DONE || tip[0] == '\0')
		return o;
	return push_with_lease(p, branch, "", oid, e);
}

enum push_outcome
push_fetch_ref(struct push *p, const char *from, const char *ref, char oid[GIT_OID_HEX], struct err *e)
{
	const char *kind, *name = ref_words(from, &kind);
	char *what = xasprintf("fetch %s%s", kind, name);
	char *spec = xasprintf("+%s:refs/orch/fetched", from), *onwards;
	struct cmd_result r = {0};
	enum push_outcome o = push_ref_tip(p, from, oid, e);

	if (o == PUSH_DONE && oid[0] != '\0') {
		o = run_remote(p, what, &r, e,
		    (const char *const[]){"fetch", "-q", "--no-tags", "--no-write-fetch-head",
			"--no-recurse-submodules", p->url, spec, NULL});
		cmd_result_clear(&r);
		onwards = xasprintf("+refs/orch/fetched:%s", ref);
		if (o == PUSH_DONE &&
		    (git_run(p->git, GIT_LANE, NULL, e, "fetch", "-q", "--no-tags", "--no-write-fetch-head",
			 "--no-recurse-submodules", p->dir, onwards, NULL) < 0 ||
			git_resolve(p->git, ref, oid, e) < 0))
			o = PUSH_BROKEN;
		free(onwards);
	}
	free(what);
	free(spec);
	return o;
}

enum push_outcome
push_fetch(struct push *p, const char *branch, const char *ref, char oid[GIT_OID_HEX], struct err *e)
{
	char *from = xasprintf("refs/heads/%s", branch);
	enum push_outcome o = push_fetch_ref(p, from, ref, oid, e);

	free(from);
	return o;
}
