/*
 * orchd as its callers meet it: one instance, its socket and who may speak there, runs that queue, and how it
 * leaves. The real orchd in a scratch repository; its roles are fakes (test_orchd_roles has their lives).
 */
#include "tests/helper/lib/test.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fd.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "tests/helper/lib/orchdclient.h"

#include <errno.h>
#include <event2/buffer.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int
set_up(void **state)
{
	*state = orchd_new(ORCH_BIN_DIR);
	return 0;
}

static int
tear_down(void **state)
{
	orchd_free(*state);
	return 0;
}

/* Connections that say what no peer of ours would say. */

static int
dial(struct orchd *o)
{
	struct err e = {""};
	int fd = peer_connect(o->places.socket, &e);

	if (fd < 0)
		fail_msg("%s", e.msg);
	return fd;
}

/* orchd may have closed already for what was said before; what a test expects of that it asks by hearing to
 * the end. */
static void
say(int fd, const void *data, size_t size)
{
	ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		return;
	assert_int_equal(sent, (ssize_t)size);
}

static void
say_msg(int fd, const struct msg *m)
{
	struct evbuffer *b = evbuffer_new();
	struct err e = {""};

	if (msg_encode(m, b, &e) < 0)
		fail_msg("%s", e.msg);
	say(fd, evbuffer_pullup(b, -1), evbuffer_get_length(b));
	evbuffer_free(b);
}

static void
say_hello(int fd, uint64_t proto)
{
	struct msg m = {.id = MSG_HELLO, .hello = {.proto = proto, .role = "orchctl"}};

	say_msg(fd, &m);
}

/* All that comes until orchd closes; the caller frees it. */
static char *
hear_to_the_end(int fd, size_t *size)
{
	int64_t deadline = clock_now_ms() + ORCHD_DEADLINE_MS;
	char *all = xmalloc(1 << 16);
	ssize_t n = -EAGAIN;

	for (*size = 0; n > 0 || n == -EAGAIN; *size += n > 0 ? (size_t)n : 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - clock_now_ms();

		if (left <= 0 || poll(&p, 1, (int)left) != 1)
			fail_msg("orchd keeps the connection open");
		n = fd_read(fd, all + *size, (1 << 16) - *size);
	}
	close(fd);
	return all;
}

static void
expect_closed(int fd)
{
	size_t size;

	free(hear_to_the_end(fd, &size));
}

static void
expect_closed_saying(int fd, const char *words)
{
	size_t size;
	char *all = hear_to_the_end(fd, &size);

	if (memmem(all, size, words, strlen(words)) == NULL)
		fail_msg("it closed without saying \"%s\"", words);
	free(all);
}

static void
expect_served(struct caller *c)
{
	struct msg m = {.id = MSG_STATUS};

	assert_int_equal(caller_ask(c, m)->id, MSG_END);
}

static void
test_bad_clients_cost_only_themselves(void **state)
{
	struct orchd *o = *state;
	unsigned char header[PROTO_FRAME_HEADER];
	struct caller *good;
	char garbage[4096];
	int silent, half;

	orchd_start(o);
	silent = dial(o); /* says nothing at all: closed when its HELLO is late, while all this goes on */
	half = dial(o);
	say(half, "\0\0\0", 3);
	good = caller_new(o);
	expect_served(good);

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)(i * 167 + 13);
	int fd = dial(o);
	say(fd, garbage, sizeof(garbage));
	expect_closed(fd);
	expect_served(good);

	memset(header, 0xff, sizeof(header)); /* 4 GiB */
	fd = dial(o);
	say(fd, header, sizeof(header));
	expect_closed(fd);
	expect_served(good);

	/* Half a frame, then gone. */
	fd = dial(o);
	say_hello(fd, PROTO_VERSION);
	say(fd, "\0\0\1\0\0\52\0", 7);
	close(fd);
	expect_served(good);

	/* Speaks out of turn. */
	fd = dial(o);
	struct msg early = {.id = MSG_STATUS, .request = 1};
	say_msg(fd, &early);
	expect_closed_saying(fd, "before HELLO");
	expect_served(good);

	expect_closed(silent);
	expect_closed(half);
	expect_served(good);
	caller_free(good);
}

static void
test_other_versions_get_a_readable_answer(void **state)
{
	struct orchd *o = *state;
	int fd;

	orchd_start(o);
	fd = dial(o);
	say_hello(fd, PROTO_VERSION + 2);
	expect_closed_saying(fd, "install the same orch");
}

static void
test_a_client_is_no_role(void **state)
{
	struct orchd *o = *state;
	struct msg finish = {.id = MSG_FINISH, .request = 5};
	struct msg role = {
	    .id = MSG_HELLO, .hello = {.proto = PROTO_VERSION, .role = "director", .task = "m1"}};
	struct caller *c;
	int fd;

	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, NULL));
	caller_await_task(c, "m1", "running", "ready");
	fd = dial(o);
	say_hello(fd, PROTO_VERSION);
	say_msg(fd, &finish);
	expect_closed_saying(fd, "may not send FINISH");
	/* Saying that one is the director does not make one the director. */
	fd = dial(o);
	say_msg(fd, &role);
	say_msg(fd, &finish);
	expect_closed(fd);
	orchd_await_log(o, "refused pid");
	expect_served(c);
	caller_free(c);
}

static void
test_what_descends_from_a_role_is_refused(void **state)
{
	struct orchd *o = *state;
	struct caller *c;

	orchd_script(o, "m1", "hello\ndial\nserve\n");
	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, NULL));
	assert_string_equal(caller_await_event(c, "dial", "m1", NULL)->text, "refused");
	caller_free(c);
}

/* Instances. */

static void
test_a_second_instance_names_the_first(void **state)
{
	const char *const background[] = {"--daemon", NULL};
	struct orchd *first = *state, second;
	char pid[32];

	orchd_start(first);
	snprintf(pid, sizeof(pid), "(pid %d)", (int)first->pid);
	second = *first;
	for (int i = 0; i < 2; i++) {
		second.log = xstrdup("");
		second.log_fd = -1;
		second.log_ev = NULL;
		orchd_spawn(&second, i == 0 ? background + 1 : background);
		orchd_await_log(&second, pid);
		assert_int_equal(orchd_await_exit(&second), 2);
		orchd_drop_log(&second);
		free(second.log);
	}
}

static void
test_wrong_usage(void **state)
{
	const char *const unknown[] = {"--frobnicate", NULL}, *const nowhere[] = {"--repo", "/", NULL};
	struct orchd *o = *state;

	orchd_spawn(o, unknown);
	orchd_await_log(o, "--frobnicate");
	assert_int_equal(orchd_await_exit(o), 2);
	orchd_spawn(o, nowhere);
	orchd_await_log(o, "not a git repository");
	assert_int_equal(orchd_await_exit(o), 2);
	setenv("ORCH_HEARTBEAT", "soon", 1);
	orchd_spawn(o, unknown + 1);
	orchd_await_log(o, "ORCH_HEARTBEAT");
	assert_int_equal(orchd_await_exit(o), 2);
}

static void
test_a_newer_store_is_refused(void **state)
{
	const char *const background[] = {"--daemon", NULL};
	struct orchd *o = *state;
	char *path = xasprintf("%s/orch.db", o->places.state);
	sqlite3 *db;

	orchd_start(o);
	orchd_kill(o, SIGTERM);
	assert_int_equal(orchd_await_exit(o), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	free(path);
	for (int i = 0; i < 2; i++) {
		orchd_spawn(o, i == 0 ? background + 1 : background);
		orchd_await_log(o, "newer orch");
		assert_int_equal(orchd_await_exit(o), 2);
	}
}

static void
test_daemon_logs_and_leaves_when_idle(void **state)
{
	const char *const background[] = {"--daemon", NULL};
	struct orchd *o = *state;
	const struct msg *m;
	struct caller *c;
	char *log, *text, *mode;
	struct stat st;
	pid_t pid;

	setenv("ORCH_LINGER", "1.5", 1); /* from its start: time for us to come */
	orchd_spawn(o, background);
	assert_int_equal(orchd_await_exit(o), 0); /* it serves already */
	assert_int_equal(stat(o->places.socket, &st), 0);
	mode = xasprintf("%o", st.st_mode & 0777u);
	assert_string_equal(mode, "600");
	free(mode);
	assert_int_equal(stat(o->places.state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	c = caller_new(o);
	pid = caller_daemon_pid(c);
	assert_true(pid > 0);
	assert_int_not_equal(pid, o->pid);
	m = caller_ask(c, (struct msg){.id = MSG_STATUS}); /* a client keeps it here, however idle it is */
	assert_int_equal(m->id, MSG_END);
	assert_true(is_alive(pid));
	caller_free(c);
	await_gone(o, pid);
	assert_int_equal(access(o->places.socket, F_OK), -1);
	log = xasprintf("%s/logs/orchd.log", o->places.state);
	assert_int_equal(fd_read_file(log, 1 << 20, &text, NULL), 0);
	assert_non_null(strstr(text, " serves "));
	assert_non_null(strstr(text, "nothing to do"));
	free(text);
	free(log);
}

/* The answer comes when everything has ended, so who asked may start the next one at once. */
static void
test_shutdown_is_answered_at_its_end(void **state)
{
	struct orchd *o = *state;
	const struct msg *m;
	struct caller *c, *other;
	pid_t pid;

	orchd_start(o);
	c = caller_new(o);
	other = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, NULL));
	pid = (pid_t)caller_await_task(c, "m1", "running", "ready")->pid;
	m = caller_ask(c, (struct msg){.id = MSG_SHUTDOWN});
	assert_int_equal(m->id, MSG_ACK);
	assert_false(is_alive(pid));
	assert_int_equal(orchd_await_exit(o), 0);
	caller_await_close(other);
	caller_free(c);
	caller_free(other);
	assert_int_equal(access(o->places.socket, F_OK), -1);
	/* Stopped by a person: it waits for resume. */
	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	assert_true(caller_await_run(c, "m1", "planning")->stopped);
	m = caller_ask(c, (struct msg){.id = MSG_RESUME});
	assert_int_equal(m->id, MSG_ACK);
	caller_await_task(c, "m1", "running", "ready");
	caller_free(c);
}

static void
test_term_ends_all_and_loses_nothing(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	pid_t pid;

	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, NULL));
	pid = (pid_t)caller_await_task(c, "m1", "running", "ready")->pid;
	orchd_kill(o, SIGTERM);
	assert_int_equal(orchd_await_exit(o), 0);
	assert_false(is_alive(pid));
	caller_free(c);
	orchd_start(o); /* goes on by itself */
	c = caller_new(o);
	caller_watch(c);
	caller_rewind(c);
	assert_int_not_equal(caller_await_task(c, "m1", "running", "ready")->pid, pid);
	caller_free(c);
}

/* Runs. */

static void
expect_error(struct caller *c, struct msg m, const char *words)
{
	const struct msg *answer = caller_ask(c, m);

	if (answer->id != MSG_ERROR)
		fail_msg(
		    "%s is the answer to what should be refused with \"%s\"", msg_name(answer->id), words);
	if (strstr(answer->error.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", answer->error.text, words);
}

static struct msg
a_run(const char *issue, const char *options)
{
	return (struct msg){.id = MSG_RUN_SUBMIT,
	    .run_submit = {.issue = issue, .title = "t", .body = "b", .base = "0", .options_json = options}};
}

static void
test_runs_queue(void **state)
{
	struct orchd *o = *state;
	struct caller *c, *w;
	char *id;

	orchd_start(o);
	c = caller_new(o);
	id = caller_submit(c, NULL, NULL);
	assert_string_equal(id, "m1");
	free(id);
	id = caller_submit(c, NULL, NULL);
	assert_string_equal(id, "m2");
	free(id);
	w = caller_new(o);
	caller_watch(w);
	caller_await_task(w, "m1", "running", "ready");
	assert_int_equal(caller_ask(c, (struct msg){.id = MSG_STATUS, .status = {.run = "m2"}})->id, MSG_END);
	caller_await_run(c, "m2", "queued");
	caller_await_task(c, "m2", "queued", "none");
	/* The next begins when the first has ended. */
	assert_int_equal(
	    caller_ask(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "m1"}})->id, MSG_ACK);
	caller_await_run(w, "m1", "cancelled");
	caller_free(w);
	w = caller_new(o);
	caller_ask(w, (struct msg){.id = MSG_STATUS, .status = {.run = "m2", .watch = true}});
	caller_await_task(w, "m2", "running", "ready");
	caller_free(w);
	caller_free(c);
}

static void
test_one_run_per_issue(void **state)
{
	struct orchd *o = *state;
	struct caller *c;
	char *id;

	orchd_start(o);
	c = caller_new(o);
	id = caller_submit(c, "25", NULL);
	assert_string_equal(id, "25");
	free(id);
	expect_error(c, a_run("25", "{}"), "run 25 works on issue 25 already");
	expect_error(c, a_run("x1", "{}"), "not \"x1\"");
	expect_error(c, a_run(NULL, "{\"max_ems\": 65}"), "max_ems");
	expect_error(c, a_run(NULL, "[]"), "object");
	expect_error(c, a_run(NULL, "{"), "line");
	assert_int_equal(
	    caller_ask(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "25"}})->id, MSG_ACK);
	caller_ask(
	    c, (struct msg){.id = MSG_STATUS, .status = {.run = "25", .watch = true}}); /* it may be over */
	caller_await_run(c, "25", "cancelled");
	id = caller_submit(c, "25", NULL);
	assert_string_equal(id, "25-2");
	free(id);
	caller_free(c);
}

static void
test_requests_about_nothing(void **state)
{
	struct orchd *o = *state;
	struct caller *c;

	orchd_start(o);
	c = caller_new(o);
	expect_error(c, (struct msg){.id = MSG_STATUS, .status = {.run = "m7"}}, "no run m7");
	expect_error(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "m7"}}, "no run m7");
	expect_error(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "../etc"}}, "no run and no task");
	expect_error(c, (struct msg){.id = MSG_RETRY, .retry = {.target = "m7/em1"}}, "no run m7");
	expect_error(c, (struct msg){.id = MSG_FORGET, .forget = {.run = "m7"}}, "no run m7");
	expect_error(c, (struct msg){.id = MSG_RESUME}, "nothing to resume");
	free(caller_submit(c, NULL, NULL));
	expect_error(c, (struct msg){.id = MSG_CANCEL, .cancel = {.target = "m1/em4"}}, "no task m1/em4");
	expect_error(c, (struct msg){.id = MSG_FORGET, .forget = {.run = "m1"}}, "has not ended");
	caller_free(c);
}

/* While a stopped run was away another one became the active one: resumed, it queues up. */
static void
test_a_resumed_run_waits_for_the_active_one(void **state)
{
	struct orchd *o = *state;
	struct caller *c;

	orchd_start(o);
	c = caller_new(o);
	caller_watch(c);
	free(caller_submit(c, NULL, NULL));
	caller_await_task(c, "m1", "running", "ready");
	assert_int_equal(caller_ask(c, (struct msg){.id = MSG_SHUTDOWN})->id, MSG_ACK);
	assert_int_equal(orchd_await_exit(o), 0);
	caller_free(c);
	orchd_start(o);
	c = caller_new(o);
	free(caller_submit(c, NULL, NULL));
	caller_ask(c, (struct msg){.id = MSG_STATUS, .status = {.run = "m2", .watch = true}});
	caller_await_task(c, "m2", "running", "ready");
	assert_int_equal(caller_ask(c, (struct msg){.id = MSG_RESUME})->id, MSG_ACK);
	assert_int_equal(caller_ask(c, (struct msg){.id = MSG_STATUS, .status = {.run = "m1"}})->id, MSG_END);
	caller_await_run(c, "m1", "queued");
	caller_await_task(c, "m1", NULL, "none");
	caller_free(c);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_bad_clients_cost_only_themselves),
	    T(test_other_versions_get_a_readable_answer),
	    T(test_a_client_is_no_role),
	    T(test_what_descends_from_a_role_is_refused),
	    T(test_a_second_instance_names_the_first),
	    T(test_wrong_usage),
	    T(test_a_newer_store_is_refused),
	    T(test_daemon_logs_and_leaves_when_idle),
	    T(test_shutdown_is_answered_at_its_end),
	    T(test_term_ends_all_and_loses_nothing),
	    T(test_runs_queue),
	    T(test_one_run_per_issue),
	    T(test_requests_about_nothing),
	    T(test_a_resumed_run_waits_for_the_active_one),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
