/*
 * Law 5: a key goes where it is needed and nowhere else. A run with a dummy key whose agent dumps what it can
 * read, and prints, says, fails with and commits the token that it was given instead: afterwards neither is
 * in a file of the state folder, in an object that a branch reaches, or was in an argument list.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "common/proc.h"
#include "common/redact.h"
#include "common/token.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/githubrun.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534
#define KEY "sk-test-dummy-0123456789abcdef"

/* In every spelling that a shell has at hand; what it prints becomes a tool's result in the stream. */
#define PRINT_IT                                                                                             \
	"run k=$ANTHROPIC_AUTH_TOKEN; echo $k; echo $k | base64; echo x$k | base64; echo xx$k | base64 -w "  \
	"20; "                                                                                               \
	"printf %s $k | od -An -tx1; printf %s $k | od -An -v -tx1 | tr -d ' \\n'; echo $k | fold -w 7; "    \
	"echo \"{\\\"k\\\":\\\"$k\\\"}\"; echo $k | sed 's/-/%2d/g'; echo $k >>$ORCH_AGENT_SCRIPTS/tokens\n"
/* For the test alone: the folder of the scripts is not the run's. */
#define DUMP_IT                                                                                              \
	"run env >$ORCH_AGENT_SCRIPTS/dump; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline "                  \
	">>$ORCH_AGENT_SCRIPTS/dump 2>/dev/null; true\n"

static int
keyed_setup(void **state)
{
	int rc = e2e_setup(state);

	setenv("CLAUDE_CONFIGS", "[{\"name\":\"work\",\"apiKey\":\"" KEY "\",\"env\":{\"EXTRA\":\"given\"}}]",
	    1);
	return rc;
}

static int
keyed_teardown(void **state)
{
	unsetenv("CLAUDE_CONFIGS");
	return e2e_teardown(state);
}

/* Fails when a file below dir holds it. Files are small here; the database too. */
static void
assert_clean_folder(const char *dir, const char *secret)
{
	DIR *d = opendir(dir);
	struct dirent *de;

	if (d == NULL)
		return;
	while ((de = readdir(d)) != NULL) {
		char *path = xasprintf("%s/%s", dir, de->d_name), *text = NULL;
		struct stat st;
		size_t size;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0 || lstat(path, &st) < 0) {
			free(path);
			continue;
		}
		if (S_ISDIR(st.st_mode))
			assert_clean_folder(path, secret);
		else if (S_ISREG(st.st_mode) && fd_read_file(path, 64 << 20, &text, &size) == 0) {
			struct redact *r = redact_new();

			redact_add(r, "it", secret); /* knows its spellings */
			if (redact_finds(r, text, size, NULL))
				fail_msg("%s holds %s", path, secret);
			redact_free(r);
		}
		free(text);
		free(path);
	}
	closedir(d);
}

static void
assert_clean_commits(struct e2e *e, const char *secret)
{
	char *log = testrepo_git(e->repo, NULL, "log", "--all", "-p", "--text", "-m", NULL);

	assert_null(strstr(log, secret));
	free(log);
}

/* Arguments and environment of all processes but agents' are looked at while the agent waits. */
static void
assert_clean_processes(const char *secret)
{
	static const char *const files[] = {"cmdline", "environ"};
	DIR *d = opendir("/proc");
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		char path[300], comm[64] = "", *text;
		int fd;

		if (de->d_name[0] < '0' || de->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", de->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, comm, sizeof(comm) - 1) < 0)
			comm[0] = '\0';
		fd_close(&fd);
		for (size_t i = 0; i < 2; i++) {
			size_t size = 0;

			/* Whoever was given the key by the person, and the agent, have it in theirs. */
			if (i == 1 && strncmp(comm, "orchd", 5) != 0 &&
			    strncmp(comm, "orch-director", 13) != 0 && strncmp(comm, "orch-em", 7) != 0 &&
			    strncmp(comm, "orch-worker", 11) != 0)
				continue;
			snprintf(path, sizeof(path), "/proc/%s/%s", de->d_name, files[i]);
			text = NULL;
			if (fd_read_file(path, 1 << 20, &text, &size) == 0 &&
			    memmem(text, size, secret, strlen(secret)) != NULL)
				fail_msg("%s of %s holds the key", files[i], comm);
			free(text);
		}
	}
	closedir(d);
}

/* The tokens that agents had, a line each. */
static void
assert_clean_tokens(struct e2e *e)
{
	char *path = xasprintf("%s/tokens", e->scripts), *text = NULL, *rest, *line;
	unsigned count = 0;

	assert_int_equal(fd_read_file(path, 1 << 20, &text, NULL), 0);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		assert_true(token_valid(line));
		assert_clean_folder(e->where.state, line);
		assert_clean_commits(e, line);
		count++;
	}
	assert_true(count >= 1);
	free(text);
	free(path);
}

static void
assert_clean_dump(struct e2e *e)
{
	char *path = xasprintf("%s/dump", e->scripts), *text = NULL;
	size_t size;

	assert_int_equal(fd_read_file(path, 64 << 20, &text, &size), 0);
	assert_non_null(memmem(text, size, "ANTHROPIC_BASE_URL=http://127.0.0.1:", 36));
	assert_non_null(memmem(text, size, "EXTRA=given", 11));
	if (memmem(text, size, KEY, strlen(KEY)) != NULL)
		fail_msg("an agent could read the key");
	free(text);
	free(path);
}

/* The gateway, a child of orchd. */
static pid_t
gateway_pid(struct e2e *e)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	pid_t found = 0;

	assert_non_null(d);
	while ((de = readdir(d)) != NULL) {
		pid_t pid = (pid_t)strtol(de->d_name, NULL, 10);
		char path[64], *comm = NULL;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (pid > 1 && proc_parent(pid) == e2e_pid(e, NULL) &&
		    fd_read_file(path, 64, &comm, NULL) == 0 && strncmp(comm, "orch-gateway", 12) == 0)
			found = pid;
		free(comm);
	}
	closedir(d);
	return found;
}

/* Whoever holds keys lets nobody of its own user look inside. */
static void
assert_closed(pid_t pid)
{
	static const char *const files[] = {"environ", "mem", "maps", "auxv"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		errno = 0;
		assert_int_equal(open(path, O_RDONLY | O_CLOEXEC), -1);
		assert_int_equal(errno, EACCES);
	}
	errno = 0;
	assert_int_equal(ptrace(PTRACE_ATTACH, pid, NULL, NULL), -1);
	assert_int_equal(errno, EPERM);
}

/* What a process has in its memory, as far as that may be written. */
static void
assert_clean_memory(pid_t pid)
{
	char path[64], line[512];
	char *text = xmalloc(1 << 20);
	unsigned long from, to;
	unsigned read = 0;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	assert_true(fd >= 0 && maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || strstr(line, " rw") == NULL)
			continue;
		if (to - from > 1ul << 30) /* a sanitizer's shadow of the address space: not the program's */
			continue;
		for (; from < to; from += (1 << 20) - 4096) {
			size_t want = to - from < (1 << 20) ? to - from : 1 << 20;
			ssize_t n = pread(fd, text, want, (off_t)from);

			read += n > 0;
			if (n > 0 && memmem(text, (size_t)n, KEY, strlen(KEY)) != NULL)
				fail_msg("process %d has the key in its memory", (int)pid);
		}
	}
	assert_true(read > 0);
	fclose(maps);
	fd_close(&fd);
	free(text);
}

static void
test_a_key_stays_where_it_belongs(void **state)
{
	struct e2e *e = *state;
	char *tree;

	e2e_plan(e, "director", PRINT_IT, "a");
	e2e_plan(e, "em-a", PRINT_IT, "one two");
	e2e_script(e, "worker-a.one.1", "%s",
	    PRINT_IT DUMP_IT "run echo my key is $ANTHROPIC_AUTH_TOKEN >&2\nerror It broke\n");
	e2e_script(e, "worker-a.one.2", "%s",
	    "touch @/at-worker\nwait_file @/go\n"
	    "run mkdir -p a; echo one $ANTHROPIC_AUTH_TOKEN >a/one.txt\ncommit Adds it\n");
	e2e_script(e, "worker-a.one.3", "%s",
	    "expect_resumed\nexpect_prompt a/one.txt\nwrite a/one.txt <<END\none\nEND\nsay Done\n");
	e2e_work(e, "a.two", "");
	e2e_begin(e, "--verify", "test -z \"$ANTHROPIC_API_KEY$ANTHROPIC_AUTH_TOKEN\"", NULL);
	e2e_await_file(e, "at-worker");
	assert_clean_processes(KEY);
	assert_closed(e2e_pid(e, NULL));
	assert_closed(gateway_pid(e));
	assert_clean_memory(e2e_pid(e, "m1"));
	assert_clean_memory(e2e_pid(e, "m1/em1/w1"));
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 1);
	tree = json_dumps(e->events, 0);
	assert_null(strstr(tree, KEY));
	assert_non_null(strstr(tree, "the commit contains a key"));
	free(tree);
	assert_null(strstr(e->run.out, KEY));
	assert_clean_folder(e->where.state, KEY);
	assert_clean_commits(e, KEY);
	assert_clean_tokens(e);
	assert_clean_dump(e);
}

/* Nobody configured this one: an agent found it somewhere. It is known by its form, but not held against a
 * file that the user had committed it in. */
static void
test_what_looks_like_a_key(void **state)
{
	static const char form[] = "printf 'sk-%s-api03-%s' ant Zq3Wm8Xr5Tk1Vb7Nc2Yd9Fg4Hj6Lp0SaQwErTyUi";
	struct e2e *e = *state;
	char *tree;

	testrepo_file(e->repo, "b/y.txt",
	    "sk-"
	    "ant-api03-Mq3Wm8Xr5Tk1Vb7Nc2Yd9Fg4Hj6Lp0SaQwErTyUi\n");
	free(testrepo_commit(e->repo, "A fixture"));
	e2e_remember(e);
	e2e_plan(e, "director", "", "a b");
	e2e_plan(e, "em-a", "", "x");
	e2e_plan(e, "em-b", "", "y");
	e2e_script(e, "worker-a.x.1", "run mkdir -p a; %s >a/x.txt\ncommit Adds it\n", form);
	e2e_script(e, "worker-a.x.2",
	    "expect_prompt a/x.txt holds what looks like a key\nwrite a/x.txt <<END\nx\nEND\nsay Done\n");
	e2e_script(e, "worker-b.y", "run echo more >>b/y.txt\nsay Done\n");
	e2e_begin(e, NULL);
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	e2e_assert_shows(e, "m1", "a/x.txt", "x");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 1);
	assert_int_equal(e2e_count(e, "m1/em2/w1", "state", "rework"), 0);
	tree = testrepo_git(e->repo, NULL, "log", "--all", "-p", "--text", "-m", NULL);
	assert_null(strstr(tree, "-api03-Zq3Wm8"));
	free(tree);
}

static void
begin_two(struct e2e *e)
{
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two:one");
	e2e_work(e, "a.one", "touch @/at-worker\nwait_file @/go\n");
	e2e_work(
	    e, "a.two", "run test -n \"$ANTHROPIC_AUTH_TOKEN\" && touch \"$ORCH_AGENT_SCRIPTS/had-two\"\n");
	e2e_begin(e, "--detach", NULL);
	unsetenv("CLAUDE_CONFIGS");
	e2e_await_file(e, "at-worker");
}

static const char *
question_of(json_t *run)
{
	const char *s = json_string_value(json_object_get(run, "question"));

	return s == NULL ? "" : s;
}

/* The gateway outlives orchd, and the next one has the keys from it. */
static void
test_keys_outlive_orchd(void **state)
{
	struct e2e *e = *state;
	pid_t orchd;

	begin_two(e);
	orchd = e2e_pid(e, NULL);
	kill(orchd, SIGKILL);
	e2e_await_gone(e, orchd);
	json_decref(e2e_status(e, "m1")); /* starts the next one */
	e2e_follow(e);
	e2e_touch(e, "go");
	e2e_await(e, "m1", "state", "complete");
	assert_true(e2e_has_file(e, "had-two"));
	assert_int_equal(e2e_count(e, "m1", "keys", NULL), 0);
}

/* With both of them the keys die; whoever has them brings them back. */
static void
test_keys_that_died(void **state)
{
	static const char file_text[] = "[{\"apiKey\":\"" KEY "\"}]";
	static const char plan_text[] =
	    "{\"summary\":\"s\",\"areas\":[{\"id\":\"x\",\"title\":\"t\",\"goal\":\"g\",\"owns\":[\"x/**\"],"
	    "\"depends_on\":[],\"tasks\":[{\"id\":\"y\",\"title\":\"t\",\"goal\":\"g\",\"owns\":[\"x/y*\"],"
	    "\"depends_on\":[]}]}]}";
	struct e2e *e = *state;
	char *file, *plan = xasprintf("%s/plan.json", e->tmp);
	struct ctlrun r;
	json_t *run;
	pid_t orchd, gateway;

	assert_int_equal(fd_write_file(plan, plan_text, strlen(plan_text), 0600), 0);
	e2e_work(e, "x.y", "");
	begin_two(e);
	orchd = e2e_pid(e, NULL);
	gateway = gateway_pid(e);
	assert_true(gateway > 0);
	kill(orchd, SIGKILL);
	kill(gateway, SIGKILL);
	e2e_await_gone(e, orchd);
	e2e_await_gone(e, gateway);
	run = e2e_status(e, "m1"); /* starts the next one */
	assert_non_null(strstr(question_of(run), "orchctl resume m1 --keys FILE"));
	json_decref(run);
	e2e_follow(e);
	e2e_touch(e, "go");
	e2e_await(e, "m1/em1/w1", "state", "integrated"); /* its role lived */
	run = e2e_status(e, "m1");
	assert_string_equal(
	    json_string_value(json_object_get(e2e_task(run, "m1/em1/w2"), "state")), "queued");
	assert_non_null(
	    strstr(json_string_value(json_object_get(e2e_task(run, "m1/em1/w2"), "reason")), "--keys"));
	json_decref(run);
	assert_false(e2e_has_file(e, "had-two"));
	/* It blocks nobody: a run of another kind goes by. */
	e2e_work(e, "a.one", "");
	assert_int_equal(e2e_ctl(e, &r, "run", "-m", "Another", "--plan", plan, NULL), 0);
	assert_null(strstr(r.err, "queued behind"));
	ctlrun_clear(&r);
	e2e_assert_state(e, "m1", "running");

	file = xasprintf("%s/keys.json", e->tmp);
	assert_int_equal(fd_write_file(file, file_text, strlen(file_text), 0600), 0);
	assert_int_equal(e2e_ctl(e, &r, "resume", "m1", "--keys", file, NULL), 0);
	ctlrun_clear(&r);
	e2e_await(e, "m1", "state", "complete");
	assert_true(e2e_has_file(e, "had-two"));
	unlink(file);
	unlink(plan);
	free(plan);
	free(file);
}

/* orchctl retry brings other keys for a run that has ended. */
static void
test_retry_with_other_keys(void **state)
{
	static const char file_text[] = "[{\"apiKey\":\"sk-test-dummy-other\"}]";
	struct e2e *e = *state;
	char *file = xasprintf("%s/keys.json", e->tmp);

	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_script(e, "worker-a.one", "error That key is not good\n");
	e2e_begin(e, "--max-attempts", "1", NULL);
	unsetenv("CLAUDE_CONFIGS");
	assert_int_equal(e2e_end(e), 1);
	assert_int_equal(fd_write_file(file, file_text, strlen(file_text), 0600), 0);
	e2e_work(
	    e, "a.one", "run test -n \"$ANTHROPIC_AUTH_TOKEN\" && touch $ORCH_AGENT_SCRIPTS/had-other\n");
	e2e_ctl_ok(e, "retry", "m1", "--keys", file, NULL);
	e2e_await(e, "m1", "state", "complete");
	assert_true(e2e_has_file(e, "had-other"));
	unlink(file);
	free(file);
}

/* One that a script has written: there, and without the secret. */
static void
assert_clean_file(struct e2e *e, const char *name, const char *secret)
{
	char *path = xasprintf("%s/%s", e->scripts, name), *text = NULL;
	size_t size;

	if (fd_read_file(path, 1 << 20, &text, &size) < 0)
		fail_msg("%s is missing", path);
	assert_true(size > 0);
	assert_null(memmem(text, size, secret, strlen(secret)));
	free(text);
	free(path);
}

/*
 * The token for GitHub is the director's alone: no agent, gate or other role finds it anywhere, nor is it in
 * a file. An orchd that is started anew has it from the director that lived.
 */
static void
test_the_token_is_the_directors_alone(void **state)
{
	struct e2e *e = *state;
	struct ctlrun r;
	json_t *run;
	pid_t orchd;

	e2e_plan(e, "director", "run env\n", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one",
	    "run cat /proc/self/environ /proc/$PPID/environ >\"$ORCH_AGENT_SCRIPTS/of-worker\"\n"
	    "touch @/at-worker\nwait_file @/go\n");
	githubrun_begin(e, "--verify", "test -z \"$GITHUB_TOKEN$GH_TOKEN\"", NULL);
	unsetenv("GITHUB_TOKEN");
	e2e_await_file(e, "at-worker");
	assert_clean_processes(FAKEGITHUB_TOKEN);
	orchd = e2e_pid(e, NULL);
	kill(orchd, SIGKILL);
	e2e_await_gone(e, orchd);
	run = e2e_status(e, "25"); /* starts the next one, which lacks it for a moment */
	json_decref(run);
	e2e_follow(e);
	e2e_await(e, "25", "token", NULL);
	run = e2e_status(e, "25");
	assert_true(json_is_null(json_object_get(run, "question")));
	json_decref(run);
	e2e_touch(e, "go");
	e2e_await(e, "25", "state", "complete");
	assert_clean_file(e, "of-worker", FAKEGITHUB_TOKEN);
	assert_int_equal(e2e_ctl(e, &r, "logs", NULL), 0);
	assert_null(strstr(r.out, FAKEGITHUB_TOKEN));
	ctlrun_clear(&r);
	assert_clean_folder(e->where.state, FAKEGITHUB_TOKEN);
	assert_clean_commits(e, FAKEGITHUB_TOKEN);
	assert_int_equal(hub.unauthorized, 0);
	githubrun_assert_end("complete", "orch:complete");
}

/* Root may read everything: what an agent cannot reach is shown as somebody who is not. */
static void
leave_root(void)
{
	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
		perror("cannot leave root");
		exit(1);
	}
	if (access(ORCH_BIN_DIR "/orchd", X_OK) < 0) {
		printf("skipped: " ORCH_BIN_DIR " is out of reach of those who are not root\n");
		exit(77);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_key_stays_where_it_belongs, keyed_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_what_looks_like_a_key, e2e_setup, e2e_teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_token_is_the_directors_alone, githubrun_setup, githubrun_teardown),
	    cmocka_unit_test_setup_teardown(test_retry_with_other_keys, keyed_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_keys_outlive_orchd, keyed_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_keys_that_died, keyed_setup, keyed_teardown),
	};

	leave_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
