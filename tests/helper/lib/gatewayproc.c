/* gatewayproc: see gatewayproc.h. */
#include "tests/helper/lib/gatewayproc.h"

#include "common/alloc.h"
#include "common/child.h"
#include "common/fd.h"
#include "tests/helper/lib/tmp.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 32

static void __attribute__((noreturn)) give_up(const char *what, const char *why)
{
	fprintf(stderr, "gatewayproc: %s: %s\n", what, why);
	abort();
}

/* build/bin, from where this program is. */
static char *
find_program(void)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		give_up("/proc/self/exe", "cannot be read");
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	*strrchr(self, '/') = '\0';
	return xasprintf("%s/bin/orch-gateway", self);
}

void
gatewayproc_configure(struct gatewayproc *p, const char *configs_json)
{
	if (fd_write_file(p->config, configs_json, strlen(configs_json), 0600) < 0)
		give_up(p->config, "cannot be written");
}

static void
read_line(FILE *f, char *line, size_t size, const char *log)
{
	if (fgets(line, (int)size, f) == NULL) {
		char *said = gatewayproc_read(log);

		give_up("orch-gateway did not start", said);
	}
	line[strcspn(line, "\n")] = '\0';
}

static void
spawn(struct gatewayproc *p, const char *const *argv, FILE **out)
{
	struct child_spec spec;
	struct err e = {""};
	int fds[2], err = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	child_spec_init(&spec);
	if (err < 0 || fd_pipe(fds, false) < 0)
		give_up(p->log, "cannot be made");
	spec.argv = argv;
	spec.fd_out = fds[1];
	spec.fd_err = err;
	spec.death_signal = SIGKILL;
	if (child_spawn(&spec, &p->pid, NULL, &e) < 0)
		give_up(argv[0], e.msg);
	fd_close(&fds[1]);
	fd_close(&err);
	*out = fdopen(fds[0], "re");
}

void
gatewayproc_start(
    struct gatewayproc *p, const char *configs_json, unsigned attempts, const char *const *extra)
{
	char *program = find_program(), number[16], line[64];
	const char *argv[ARGS_MAX] = {program, "--standalone", "--attempts", number};
	size_t n = 4;
	FILE *out;

	memset(p, 0, sizeof(*p));
	p->attempts = attempts < GATEWAYPROC_ATTEMPTS ? attempts : GATEWAYPROC_ATTEMPTS;
	p->dir = tmp_make();
	p->config = tmp_path(p->dir, "keys.json");
	p->log = tmp_path(p->dir, "stderr");
	p->request_log = tmp_path(p->dir, "requests.jsonl");
	gatewayproc_configure(p, configs_json);
	snprintf(number, sizeof(number), "%u", p->attempts);
	argv[n++] = "--config";
	argv[n++] = p->config;
	argv[n++] = "--request-log";
	argv[n++] = p->request_log;
	for (; extra != NULL && *extra != NULL && n < ARGS_MAX - 1; extra++)
		argv[n++] = *extra;
	spawn(p, argv, &out);
	read_line(out, line, sizeof(line), p->log);
	p->port = (unsigned)strtoul(line, NULL, 10);
	for (unsigned i = 0; i < p->attempts; i++)
		read_line(out, p->tokens[i], sizeof(p->tokens[i]), p->log);
	fclose(out);
	free(program);
}

int
gatewayproc_stop(struct gatewayproc *p)
{
	int status = 0;

	if (p->pid == 0)
		return 0;
	kill(p->pid, SIGTERM);
	waitpid(p->pid, &status, 0);
	tmp_remove(p->dir);
	free(p->config);
	free(p->log);
	free(p->request_log);
	memset(p, 0, sizeof(*p));
	return status;
}

char *
gatewayproc_read(const char *path)
{
	char *text;

	return fd_read_file(path, 64u << 20, &text, NULL) == 0 ? text : xstrdup("");
}

long
gatewayproc_rss(const struct gatewayproc *p)
{
	char path[64], *text;
	const char *at;
	long kib;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	text = gatewayproc_read(path);
	at = strstr(text, "VmRSS:");
	kib = at == NULL ? -1 : strtol(at + 6, NULL, 10);
	free(text);
	return kib;
}
