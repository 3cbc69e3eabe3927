/*
 * fakegithub_git: the fake GitHub's branches: git http-backend behind its port, with the token as password,
 * and the references as the API shows them. git runs to its end within the request: it is short, and whoever
 * waits for it is another process.
 */
#include "tests/helper/lib/fakegithub_impl.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 16
/* "x-access-token:" FAKEGITHUB_TOKEN */
#define BASIC "Basic eC1hY2Nlc3MtdG9rZW46c2stdGVzdC1kdW1teS1naXRodWI="

static int
memory(const void *bytes, size_t size)
{
	int fd = memfd_create("fakegithub", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, bytes, size), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Its stdout, with a NUL behind it. */
static char *
run(const char *const *argv, const char *const *env, int in, int *status, size_t *size)
{
	struct child_spec cs;
	struct err e = {""};
	int out = memory("", 0);
	off_t end;
	char *text;
	pid_t pid;

	child_spec_init(&cs);
	cs.argv = argv;
	cs.env = env;
	cs.fd_in = in;
	cs.fd_out = out;
	if (child_spawn(&cs, &pid, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	while (waitpid(pid, status, 0) < 0)
		assert_int_equal(errno, EINTR);
	end = lseek(out, 0, SEEK_END);
	text = xcalloc(1, (size_t)end + 1);
	assert_int_equal(pread(out, text, (size_t)end, 0), end);
	fd_close(&out);
	*size = (size_t)end;
	return text;
}

static char *
git_list(struct fakegithub *g, const char *first, va_list ap)
{
	char *dir = xasprintf("--git-dir=%s/octo/hello.git", g->git), *out;
	const char *argv[ARGS_MAX + 12] = {
	    "git", "-c", "user.name=Octo", "-c", "user.email=octo@example.test", "-c", "gc.auto=0", dir};
	size_t n = 8, size;
	int status;

	for (const char *a = first; a != NULL && n < ARGS_MAX + 8; a = va_arg(ap, const char *))
		argv[n++] = a;
	out = run(argv, NULL, -1, &status, &size);
	free(dir);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		free(out);
		return NULL;
	}
	if (size > 0 && out[size - 1] == '\n')
		out[size - 1] = '\0';
	return out;
}

char *
fakegithub_git(struct fakegithub *g, const char *arg, ...)
{
	char *out = NULL;
	va_list ap;

	va_start(ap, arg);
	if (g->git != NULL)
		out = git_list(g, arg, ap);
	va_end(ap);
	return out;
}

void
fakegithub_serve_git(struct fakegithub *g, const char *folder, const char *from)
{
	char *owner = xasprintf("%s/octo", folder), *bare = xasprintf("%s/octo/hello.git", folder);
	const char *argv[] = {"git", "clone", "-q", "--bare", from, bare, NULL};
	size_t size;
	int status;

	assert_int_equal(fd_mkdirs(owner, 0755), 0);
	free(run(argv, NULL, -1, &status, &size));
	assert_int_equal(status, 0);
	xreplace(&g->git, folder);
	free(owner);
	free(bare);
}

bool
fakegithub_is_git(const char *path)
{
	return strstr(path, ".git/") != NULL;
}

static void
push_header(char **env, size_t *n, struct evhttp_request *req, const char *name, const char *variable)
{
	const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), name);

	if (value != NULL)
		env[(*n)++] = xasprintf("%s=%s", variable, value);
}

static char **
backend_env(struct fakegithub_call *c, size_t length)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(c->req));
	char **env = xcalloc(20, sizeof(*env));
	size_t n = 0;

	env[n++] = xasprintf("PATH=%s", getenv("PATH"));
	env[n++] = xasprintf("HOME=%s", c->g->git);
	env[n++] = xasprintf("GIT_PROJECT_ROOT=%s", c->g->git);
	env[n++] = xstrdup("GIT_HTTP_EXPORT_ALL=1");
	env[n++] = xstrdup("GIT_CONFIG_NOSYSTEM=1");
	env[n++] = xstrdup("REMOTE_USER=octo");
	env[n++] = xstrdup("REMOTE_ADDR=127.0.0.1");
	env[n++] = xasprintf("REQUEST_METHOD=%s", c->method);
	env[n++] = xasprintf("PATH_INFO=%s", c->path);
	env[n++] = xasprintf("QUERY_STRING=%s", query == NULL ? "" : query);
	env[n++] = xasprintf("CONTENT_LENGTH=%zu", length);
	push_header(env, &n, c->req, "Content-Type", "CONTENT_TYPE");
	push_header(env, &n, c->req, "Content-Encoding", "HTTP_CONTENT_ENCODING");
	push_header(env, &n, c->req, "Git-Protocol", "HTTP_GIT_PROTOCOL");
	return env;
}

/* What a CGI program says is an answer with "Status: 403 Forbidden" among its headers. */
static void
pass_on(struct fakegithub_call *c, const char *said, size_t size)
{
	const char *end = memmem(said, size, "\r\n\r\n", 4);
	char type[128] = "text/plain";
	int status = 200;

	assert_non_null(end);
	for (const char *line = said; line < end; line += strcspn(line, "\r") + 2) {
		sscanf(line, "Status: %d", &status);
		sscanf(line, "Content-Type: %127[^\r]", type);
	}
	end += 4;
	fakegithub_answer_text(
	    c, status, "Cache-Control: no-cache\n", type, end, size - (size_t)(end - said));
}

void
fakegithub_serve(struct fakegithub_call *c)
{
	static const char *const argv[] = {"git", "http-backend", NULL};
	const char *who = evhttp_find_header(evhttp_request_get_input_headers(c->req), "Authorization");
	struct evbuffer *b = evhttp_request_get_input_buffer(c->req);
	size_t length = evbuffer_get_length(b), size;
	char **env, *said;
	int in, status;

	if (c->g->git == NULL) {
		fakegithub_not_found(c);
		return;
	}
	if (who == NULL || strcmp(who, BASIC) != 0 || c->g->revoked) {
		fakegithub_answer_text(
		    c, 401, "WWW-Authenticate: Basic realm=\"GitHub\"\n", "text/plain", "no", 2);
		return;
	}
	env = backend_env(c, length);
	in = memory(length == 0 ? "" : (const char *)evbuffer_pullup(b, -1), length);
	said = run(argv, (const char *const *)env, in, &status, &size);
	pass_on(c, said, size);
	fd_close(&in);
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
	free(said);
}

static json_t *
show_ref(const char *name, const char *oid)
{
	return json_pack("{s:s, s:{s:s, s:s}}", "ref", name, "object", "sha", oid, "type", "commit");
}

void
fakegithub_get_ref(struct fakegithub_call *c)
{
	char *name = xasprintf("refs/%s", c->part[0]),
	     *oid = fakegithub_git(c->g, "rev-parse", "-q", "--verify", name, NULL);

	if (oid == NULL)
		fakegithub_not_found(c);
	else
		fakegithub_answer(c, 200, show_ref(name, oid));
	free(name);
	free(oid);
}

void
fakegithub_get_refs(struct fakegithub_call *c)
{
	char *prefix = xasprintf("refs/%s", c->part[0]);
	char *all = fakegithub_git(c->g, "for-each-ref", "--format=%(objectname) %(refname)", NULL);
	json_t *list = json_array();

	for (char *line = all, *next; line != NULL && *line != '\0'; line = next) {
		next = line + strcspn(line, "\n");
		if (*next == '\n')
			*next++ = '\0';
		line[strcspn(line, " ")] = '\0';
		if (strncmp(line + strlen(line) + 1, prefix, strlen(prefix)) == 0)
			json_array_append_new(list, show_ref(line + strlen(line) + 1, line));
	}
	fakegithub_answer_list(c, list);
	free(prefix);
	free(all);
}

void
fakegithub_delete_ref(struct fakegithub_call *c)
{
	char *name = xasprintf("refs/%s", c->part[0]);
	char *oid = fakegithub_git(c->g, "rev-parse", "-q", "--verify", name, NULL);

	if (oid == NULL) {
		fakegithub_invalid(c, "invalid", "Reference does not exist");
	} else {
		free(fakegithub_git(c->g, "update-ref", "-d", name, NULL));
		fakegithub_answer(c, 204, NULL);
	}
	free(name);
	free(oid);
}
