/*
 * orchd under a service manager that speaks sd_notify(3): it says when it is ready, that it lives for as long
 * as a watchdog wants to know, and that it stops.
 */
#include "tests/helper/lib/test.h"

#include "common/fd.h"
#include "tests/helper/lib/orchdclient.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
	struct orchd *o;
	int fd; /* the manager's socket */
};

static struct fixture fixture;

static int
set_up(void **state)
{
	struct fixture *f = &fixture;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char *path;

	f->o = orchd_new(ORCH_BIN_DIR);
	path = testrepo_path(f->o->repo, "notify");
	assert_true(strlen(path) < sizeof(a.sun_path));
	strcpy(a.sun_path, path);
	f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	free(path);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	fd_close(&f->fd);
	orchd_free(f->o);
	return 0;
}

/* Waits until the manager is told this; what else it is told before must be a sign of life. */
static void
await_told(struct fixture *f, const char *text)
{
	char buf[128];

	for (;;) {
		struct pollfd p = {.fd = f->fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, ORCHD_DEADLINE_MS), 1);
		n = recv(f->fd, buf, sizeof(buf) - 1, 0);
		assert_true(n > 0);
		buf[n] = '\0';
		if (strcmp(buf, text) == 0)
			return;
		assert_string_equal(buf, "WATCHDOG=1");
	}
}

static void
test_ready_alive_stopping(void **state)
{
	struct fixture *f = *state;

	orchd_start(f->o);
	await_told(f, "READY=1");
	for (int i = 0; i < 3; i++)
		await_told(f, "WATCHDOG=1");
	orchd_kill(f->o, SIGTERM);
	await_told(f, "STOPPING=1");
	assert_int_equal(orchd_await_exit(f->o), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_ready_alive_stopping, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("test_service", tests, NULL, NULL);
}
