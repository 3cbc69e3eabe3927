/* standins: see standins.h. */
#include "tests/github/standins.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "common/json.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *
read_line(int fd)
{
	char *line = xcalloc(1, 4096);
	size_t n = 0;

	while (n < 4095 && fd_read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	return line;
}

void
standins_start(struct standins *s)
{
	const char *modules = getenv("ORCH_GITHUB_STANDINS");
	const char *argv[] = {"node", ORCH_SOURCE_DIR "/tests/github/standins.mjs", modules, NULL, NULL};
	struct child_spec cs;
	struct err e = {""};
	int in[2], out[2];
	json_t *where;
	char *line;

	if (modules == NULL) {
		fprintf(stderr, "skipped: script/test --github installs what stands in for GitHub\n");
		exit(77);
	}
	memset(s, 0, sizeof(*s));
	s->modules = xstrdup(modules);
	s->folder = tmp_make();
	argv[3] = s->folder;
	assert_int_equal(fd_pipe(in, false), 0);
	assert_int_equal(fd_pipe(out, false), 0);
	child_spec_init(&cs);
	cs.argv = argv;
	cs.fd_in = in[0];
	cs.fd_out = out[1];
	cs.fd_err = 2;
	cs.death_signal = SIGTERM;
	assert_int_equal(child_spawn(&cs, &s->pid, NULL, &e), 0);
	fd_close(&in[0]);
	fd_close(&out[1]);
	s->in = in[1];
	line = read_line(out[0]);
	fd_close(&out[0]);
	where = json_parse("standins", line, strlen(line), &e);
	if (where == NULL)
		fail_msg("what stands in for GitHub did not start: %s", line);
	s->api = xstrdup(json_str(where, "api"));
	s->git = xstrdup(json_str(where, "git"));
	json_decref(where);
	free(line);
}

void
standins_stop(struct standins *s)
{
	fd_close(&s->in);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	tmp_remove(s->folder);
	free(s->modules);
	free(s->api);
	free(s->git);
}

int
standins_above(struct standins *s, char **argv)
{
	const char *api = getenv("ORCH_STANDINS_API");
	int status = 0;
	pid_t pid;

	memset(s, 0, sizeof(*s));
	if (api != NULL) {
		s->api = xstrdup(api);
		s->git = xstrdup(getenv("ORCH_STANDINS_GIT"));
		s->folder = xstrdup(getenv("ORCH_STANDINS_FOLDER"));
		return -1;
	}
	standins_start(s);
	setenv("ORCH_STANDINS_API", s->api, 1);
	setenv("ORCH_STANDINS_GIT", s->git, 1);
	setenv("ORCH_STANDINS_FOLDER", s->folder, 1);
	pid = fork();
	if (pid == 0) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	standins_stop(s);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

struct github *
standins_client(struct standins *s, struct loop *l, const char *token)
{
	struct github_options o = {
	    .base = s->api, .owner = "octo", .repo = "hello", .token = token, .patience_ms = 3000};
	struct github *gh;
	struct err e = {""};

	assert_int_equal(github_open(&gh, l, &o, &e), 0);
	return gh;
}

void
standins_fault(struct standins *s, struct github *gh, const char *json)
{
	struct err e = {""};

	(void)s;
	if (github_send(gh, "order a fault", "POST", "/__fault", json_parse("fault", json, strlen(json), &e),
		NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

unsigned
standins_count(struct standins *s, struct github *gh, const char *method, const char *path)
{
	struct err e = {""};
	json_t *log, *one;
	unsigned n = 0;
	size_t i;

	(void)s;
	assert_int_equal(github_get(gh, "read the log", "/__log", &log, &e), 0);
	json_array_foreach (log, i, one) {
		if (json_object_get(one, "invalid") != NULL) {
			char *text = json_text(one);

			fail_msg("a request is not valid by GitHub's description: %s", text);
		}
		n += strcmp(json_str(one, "method"), method) == 0 &&
		     strstr(json_str(one, "path"), path) != NULL;
	}
	json_decref(log);
	return n;
}

uint64_t
standins_issue(struct github *gh, const char *title, const char *body)
{
	char *path = github_path(gh, "/issues");
	json_t *j = NULL;
	struct err e = {""};
	uint64_t number;

	if (github_send(gh, "make an issue", "POST", path,
		json_pack("{s:s,s:s}", "title", title, "body", body), &j, &e) < 0)
		fail_msg("%s", e.msg);
	number = (uint64_t)json_integer_value(json_object_get(j, "number"));
	json_decref(j);
	free(path);
	return number;
}

char *
standins_remote(struct standins *s, struct testrepo *t, struct github *gh, const char *branch)
{
	char *bare = xasprintf("%s/git/octo/hello.git", s->folder), *ref = xasprintf("refs/heads/%s", branch),
	     *path = github_path(gh, "/git/refs"), oid[65];
	struct err e = {""};

	fd_remove_tree(bare);
	assert_int_equal(fd_mkdirs(bare, 0755), 0);
	testrepo_do(t, NULL, "init", "-q", "--bare", bare, NULL);
	if (github_branch_get(gh, "main", oid, &e) < 0 ||
	    github_send(gh, "make a branch", "POST", path, json_pack("{s:s, s:s}", "ref", ref, "sha", oid),
		NULL, &e) < 0)
		fail_msg("%s", e.msg);
	free(path);
	free(ref);
	return bare;
}
