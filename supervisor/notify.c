/* notify: see notify.h. */
#include "supervisor/notify.h"

#include "common/fd.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

static int
set_address(struct notify *n, const char *path, struct err *e)
{
	size_t size = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || size < 2)
		return err_set(
		    e, -EINVAL, "NOTIFY_SOCKET is \"%s\", neither a path nor an abstract name", path);
	if (size >= sizeof(n->to.sun_path))
		return err_set(e, -ENAMETOOLONG, "NOTIFY_SOCKET is longer than a socket's name may be");
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, size + 1);
	if (path[0] == '@') /* the rest is the name, without a NUL at its end */
		n->to.sun_path[0] = '\0';
	n->to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/'));
	return 0;
}

/* Half of what the manager waits for, as sd_watchdog_enabled(3) advises. */
static int
set_watchdog(struct notify *n, struct err *e)
{
	const char *text = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
	char *end;
	unsigned long long us;

	if (text == NULL || (whose != NULL && strtoll(whose, NULL, 10) != (long long)getpid()))
		return 0;
	errno = 0;
	us = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || us == 0)
		return err_set(e, -EINVAL, "WATCHDOG_USEC is \"%s\", not a number of microseconds", text);
	n->every_ms = us / 2000 > INT32_MAX ? INT32_MAX : (int64_t)(us / 2000);
	if (n->every_ms == 0)
		n->every_ms = 1;
	return 0;
}

int
notify_open(struct notify *n, struct err *e)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int rc = 0;

	memset(n, 0, sizeof(*n));
	n->fd = -1;
	if (path != NULL && path[0] != '\0') {
		rc = set_address(n, path, e);
		if (rc == 0)
			rc = set_watchdog(n, e);
		if (rc == 0) {
			n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			if (n->fd < 0)
				rc = err_sys(e, -errno, "cannot make a socket for NOTIFY_SOCKET");
		}
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	return rc;
}

void
notify_close(struct notify *n)
{
	if (n->fd > 0) /* zeroed: never opened */
		fd_close(&n->fd);
}

void
notify_export(const struct notify *n)
{
	char path[sizeof(n->to.sun_path) + 1] = "", us[32];

	if (n->fd <= 0)
		return;
	memcpy(path, n->to.sun_path, n->to_size - offsetof(struct sockaddr_un, sun_path));
	if (path[0] == '\0')
		path[0] = '@';
	setenv("NOTIFY_SOCKET", path, 1);
	snprintf(us, sizeof(us), "%lld", (long long)n->every_ms * 2000);
	if (n->every_ms > 0)
		setenv("WATCHDOG_USEC", us, 1);
}

void
notify_send(struct notify *n, const char *state)
{
	if (n->fd > 0)
		(void)!sendto(
		    n->fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->to_size);
}

void
notify_tick(struct notify *n, int64_t now_ms)
{
	if (notify_next(n) < 0 || now_ms < n->next_ms)
		return;
	n->next_ms = now_ms + n->every_ms;
	notify_send(n, "WATCHDOG=1");
}

int64_t
notify_next(const struct notify *n)
{
	return n->fd > 0 && n->every_ms > 0 ? n->next_ms : -1;
}
