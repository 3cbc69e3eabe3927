/*
 * Law 5: a key goes where it is needed and nowhere else. A run with a dummy key whose agent prints it in all
 * encodings, says it, fails with it and commits it: afterwards it is in no file of the state folder, in no
 * object that a branch reaches, and was in no argument list.
 */
#include "common/alloc.h"
#include "common/cmd.h"
#include "common/fd.h"
#include "tests/helper/lib/e2e.h"
#include "tests/helper/lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "sk-test-dummy-0123456789abcdef"

static const char *const needles[] = {KEY, "test-dummy-0123456789",
    "736b2d746573742d64756d6d792d30313233343536373839616263646566", /* hex */
    "c2stdGVzdC1kdW1teS0wMTIzNDU2Nzg5YWJjZGVm", "NrLXRlc3QtZHVtbXktMDEyMzQ1Njc4OWFiY2RlZ",
    "zay10ZXN0LWR1bW15LTAxMjM0NTY3ODlhYmNkZW", "73 6b 2d 74 65 73 74 2d",
    "sk-test\\n-dummy-"}; /* base64 at each offset, without its edges */

/* In every spelling that a shell has at hand; what it prints becomes a tool's result in the stream. */
#define PRINT_IT                                                                                             \
	"run k=$ANTHROPIC_API_KEY; echo $k; echo $k | base64; echo x$k | base64; echo xx$k | base64 -w 20; " \
	"printf %s $k | od -An -tx1; printf %s $k | od -An -v -tx1 | tr -d ' \\n'; echo $k | fold -w 7; "    \
	"echo \"{\\\"k\\\":\\\"$k\\\"}\"; echo $k | sed 's/-/%2d/g'\n"

static int
keyed_setup(void **state)
{
	int rc = e2e_setup(state);

	setenv("CLAUDE_CONFIGS", "[{\"name\":\"work\",\"apiKey\":\"" KEY "\"}]", 1);
	return rc;
}

static int
keyed_teardown(void **state)
{
	unsetenv("CLAUDE_CONFIGS");
	return e2e_teardown(state);
}

/* Calls fail when a file below dir holds the key. Files are small here; the database too. */
static void
assert_clean_folder(const char *dir)
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
			assert_clean_folder(path);
		else if (S_ISREG(st.st_mode) && fd_read_file(path, 64 << 20, &text, &size) == 0)
			for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++)
				if (memmem(text, size, needles[i], strlen(needles[i])) != NULL)
					fail_msg("%s holds %s", path, needles[i]);
		free(text);
		free(path);
	}
	closedir(d);
}

static void
assert_clean_commits(struct e2e *e)
{
	char *log = testrepo_git(e->repo, NULL, "log", "--all", "-p", "--text", "-m", NULL);

	assert_null(strstr(log, KEY));
	free(log);
}

/* Arguments and environment of all processes but agents' are looked at while the agent waits. */
static void
assert_clean_processes(struct e2e *e)
{
	static const char *const files[] = {"cmdline", "environ"};
	DIR *d = opendir("/proc");
	struct dirent *de;

	(void)e;
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
			    memmem(text, size, KEY, strlen(KEY)) != NULL)
				fail_msg("%s of %s holds the key", files[i], comm);
			free(text);
		}
	}
	closedir(d);
}

static void
test_a_key_stays_where_it_belongs(void **state)
{
	struct e2e *e = *state;
	char *tree;

	e2e_plan(e, "director", PRINT_IT, "a");
	e2e_plan(e, "em-a", PRINT_IT, "one two");
	e2e_script(e, "worker-a.one.1", "%s", PRINT_IT "stderr my key is " KEY "\nerror It broke: " KEY "\n");
	e2e_script(e, "worker-a.one.2", "%s",
	    "touch @/at-worker\nwait_file @/go\nsay The key is " KEY "\nwrite a/one.txt <<END\none " KEY
	    "\nEND\ncommit Adds " KEY "\n");
	e2e_script(e, "worker-a.one.3", "%s",
	    "expect_resumed\nexpect_prompt a/one.txt\nwrite a/one.txt <<END\none\nEND\nsay Done with " KEY
	    "\n");
	e2e_work(e, "a.two", "");
	e2e_begin(e, "--verify", "test -z \"$ANTHROPIC_API_KEY$ANTHROPIC_AUTH_TOKEN\"", NULL);
	e2e_await_file(e, "at-worker");
	assert_clean_processes(e);
	e2e_touch(e, "go");
	assert_int_equal(e2e_end(e), 0);
	e2e_assert_state(e, "m1", "complete");
	e2e_assert_shows(e, "m1", "a/one.txt", "one");
	assert_int_equal(e2e_count(e, "m1/em1/w1", "state", "rework"), 1);
	tree = json_dumps(e->events, 0);
	assert_null(strstr(tree, KEY));
	assert_non_null(strstr(tree, "[redacted:work]"));
	assert_non_null(strstr(tree, "the commit contains a configured key"));
	free(tree);
	assert_null(strstr(e->run.out, KEY));
	assert_clean_folder(e->where.state);
	assert_clean_commits(e);
}

/* The keys die with orchd's memory; whoever has them brings them back. */
static void
test_keys_of_an_orchd_that_died(void **state)
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
	pid_t orchd;

	assert_int_equal(fd_write_file(plan, plan_text, strlen(plan_text), 0600), 0);
	e2e_work(e, "x.y", "");
	e2e_plan(e, "director", "", "a");
	e2e_plan(e, "em-a", "", "one two:one");
	e2e_work(e, "a.one", "touch @/at-worker\nwait_file @/go\n");
	e2e_work(e, "a.two", "run test -n \"$ANTHROPIC_API_KEY\" && touch \"$ORCH_AGENT_SCRIPTS/had-two\"\n");
	e2e_begin(e, "--detach", NULL);
	unsetenv("CLAUDE_CONFIGS");
	e2e_await_file(e, "at-worker");
	orchd = e2e_pid(e, NULL);
	kill(orchd, SIGKILL);
	e2e_await_gone(e, orchd);
	run = e2e_status(e, "m1"); /* starts the next one */
	assert_non_null(
	    strstr(json_string_value(json_object_get(run, "question")), "orchctl resume m1 --keys FILE"));
	json_decref(run);
	e2e_follow(e);
	e2e_touch(e, "go");
	e2e_await(e, "m1/em1/w1", "state", "integrated"); /* its role lived, and has its keys */
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
	e2e_work(e, "a.one",
	    "run test \"$ANTHROPIC_API_KEY\" = sk-test-dummy-other && touch $ORCH_AGENT_SCRIPTS/had-other\n");
	e2e_ctl_ok(e, "retry", "m1", "--keys", file, NULL);
	e2e_await(e, "m1", "state", "complete");
	assert_true(e2e_has_file(e, "had-other"));
	unlink(file);
	free(file);
}

/* One that a script has written: there, and without the secret. */
static void
assert_clean_file(struct e2e *e, const char *name)
{
	char *path = xasprintf("%s/%s", e->scripts, name), *text = NULL;
	size_t size;

	if (fd_read_file(path, 1 << 20, &text, &size) < 0)
		fail_msg("%s is missing", path);
	assert_true(size > 0);
	assert_null(memmem(text, size, KEY, strlen(KEY)));
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

	setenv("GITHUB_TOKEN", KEY, 1);
	e2e_plan(e, "director", "run env\n", "a");
	e2e_plan(e, "em-a", "", "one");
	e2e_work(e, "a.one",
	    "run cat /proc/self/environ /proc/$PPID/environ >\"$ORCH_AGENT_SCRIPTS/of-worker\"\n"
	    "touch @/at-worker\nwait_file @/go\n");
	e2e_begin(e, "25", "--repo-owner", "octo", "--repo-name", "hello", "--verify",
	    "test -z \"$GITHUB_TOKEN$GH_TOKEN\"", "--detach", NULL);
	unsetenv("GITHUB_TOKEN");
	e2e_await_file(e, "at-worker");
	assert_clean_processes(e);
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
	assert_clean_file(e, "of-worker");
	assert_int_equal(e2e_ctl(e, &r, "logs", NULL), 0);
	assert_null(strstr(r.out, KEY));
	ctlrun_clear(&r);
	assert_clean_folder(e->where.state);
	assert_clean_commits(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_key_stays_where_it_belongs, keyed_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_keys_of_an_orchd_that_died, keyed_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_the_token_is_the_directors_alone, e2e_setup, keyed_teardown),
	    cmocka_unit_test_setup_teardown(test_retry_with_other_keys, keyed_setup, keyed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
