/*
 * notify: what orchd tells the service manager that started it: that it is ready, that it stops, and, when a
 * watchdog was asked for, that its loop still turns. The protocol of sd_notify(3): datagrams to the socket in
 * $NOTIFY_SOCKET, without its library.
 */
#ifndef ORCH_SUPERVISOR_NOTIFY_H
#define ORCH_SUPERVISOR_NOTIFY_H

#include "common/err.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_size;
	int64_t every_ms; /* between two signs of life; 0: no watchdog */
	int64_t next_ms;  /* clock_now_ms time of the next one */
};

/*
 * Reads NOTIFY_SOCKET (a path, or @name in the abstract namespace), WATCHDOG_USEC and WATCHDOG_PID, and
 * removes them from the environment: they are not for our children. Without NOTIFY_SOCKET nothing is ever
 * sent. -errno with e for a value that cannot be used; n is then as if there were none.
 */
int notify_open(struct notify *n, struct err *e);
void notify_close(struct notify *n);
/* Puts the variables back that notify_open() took: for a program that becomes this process. */
void notify_export(const struct notify *n);

/* Sends "READY=1" and the like; a manager that does not listen is no fault of ours. */
void notify_send(struct notify *n, const char *state);
/* A sign of life if one is due. Called once a turn of the loop. */
void notify_tick(struct notify *n, int64_t now_ms);
/* When the next one is due, -1: never. */
int64_t notify_next(const struct notify *n);

#endif
