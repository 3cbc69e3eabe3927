/* notify: what is sent to a service manager's socket, and when. */
#include "supervisor/notify.h"

#include "common/alloc.h"
#include "common/fd.h"
#include "tests/helper/lib/test.h"
#include "tests/helper/lib/tmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	char *dir;
	int fd; /* the manager's */
	struct notify n;
	struct err e;
};

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = tmp_make();
	f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(f->fd >= 0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	notify_close(&f->n);
	fd_close(&f->fd);
	tmp_remove(f->dir);
	free(f);
	return 0;
}

static void
listen_at(struct fixture *f, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t size = strlen(name);

	memcpy(a.sun_path, name, size);
	if (name[0] == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(
	    bind(f->fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* The next datagram is this one; NULL: there is none. */
static void
expect(struct fixture *f, const char *text)
{
	char buf[256];
	ssize_t n = recv(f->fd, buf, sizeof(buf) - 1, 0);

	if (text == NULL) {
		assert_true(n < 0 && errno == EAGAIN);
		return;
	}
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static void
test_nobody_asks(void **state)
{
	struct fixture *f = *state;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(notify_open(&f->n, &f->e), 0);
	assert_int_equal(notify_next(&f->n), -1);
	notify_tick(&f->n, 1);
	notify_send(&f->n, "READY=1");
	assert_null(getenv("WATCHDOG_USEC"));
}

static void
test_path(void **state)
{
	struct fixture *f = *state;
	char *path = tmp_path(f->dir, "notify");

	listen_at(f, path);
	assert_int_equal(notify_open(&f->n, &f->e), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_send(&f->n, "READY=1");
	expect(f, "READY=1");
	notify_tick(&f->n, 1);
	expect(f, NULL); /* no watchdog was asked for */
	/* A manager that has gone costs nothing. */
	fd_close(&f->fd);
	notify_send(&f->n, "STOPPING=1");
	free(path);
}

static void
test_abstract_name(void **state)
{
	struct fixture *f = *state;
	char name[64];

	snprintf(name, sizeof(name), "@orch-test-notify-%d", (int)getpid());
	listen_at(f, name);
	assert_int_equal(notify_open(&f->n, &f->e), 0);
	notify_send(&f->n, "READY=1");
	expect(f, "READY=1");
}

static void
test_watchdog(void **state)
{
	struct fixture *f = *state;
	char *path = tmp_path(f->dir, "notify"), pid[32];

	listen_at(f, path);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_open(&f->n, &f->e), 0);
	notify_tick(&f->n, 10000);
	expect(f, "WATCHDOG=1");
	assert_int_equal(notify_next(&f->n), 11500);
	notify_tick(&f->n, 11499);
	expect(f, NULL);
	notify_tick(&f->n, 11500);
	expect(f, "WATCHDOG=1");
	notify_tick(&f->n, 99000); /* after a suspend: one, not sixty */
	expect(f, "WATCHDOG=1");
	expect(f, NULL);
	free(path);
}

/* It is for the process that the manager started, not for what that one started. */
static void
test_watchdog_of_another(void **state)
{
	struct fixture *f = *state;
	char *path = tmp_path(f->dir, "notify");

	listen_at(f, path);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_open(&f->n, &f->e), 0);
	assert_int_equal(notify_next(&f->n), -1);
	free(path);
}

static void
test_faults(void **state)
{
	static const char *const bad[][2] = {{"vsock:2:1234", NULL}, {"relative", NULL}, {"/", NULL},
	    {"/x", "soon"}, {"/x", "-5"}, {"/x", "0"}};
	struct fixture *f = *state;
	char longer[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("NOTIFY_SOCKET", bad[i][0], 1);
		if (bad[i][1] != NULL)
			setenv("WATCHDOG_USEC", bad[i][1], 1);
		assert_int_equal(notify_open(&f->n, &f->e), -EINVAL);
		assert_int_equal(f->n.fd, -1);
		assert_null(getenv("NOTIFY_SOCKET"));
	}
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	assert_int_equal(notify_open(&f->n, &f->e), -ENAMETOOLONG);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(test_nobody_asks),
	    T(test_path),
	    T(test_abstract_name),
	    T(test_watchdog),
	    T(test_watchdog_of_another),
	    T(test_faults),
	};

	return cmocka_run_group_tests_name("test_notify", tests, NULL, NULL);
}
