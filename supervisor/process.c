/* process: see process.h. */
#include "supervisor/process.h"

#include "common/fd.h"
#include "common/proc.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void
process_init(struct process *p)
{
	memset(p, 0, sizeof(*p));
	p->pidfd = -1;
}

void
process_started(struct process *p, pid_t pid)
{
	p->pid = pid;
	if (proc_start_time(pid, &p->start_ticks) < 0)
		p->start_ticks = 0; /* dead already: its exit is on the way */
}

int
process_adopt(struct process *p, struct event_base *base, pid_t pid, uint64_t start_ticks,
    void (*fn)(int fd, short what, void *arg), void *arg)
{
	uint64_t ticks;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 || proc_start_time(pid, &ticks) < 0 || ticks != start_ticks) {
		fd_close(&fd);
		return -ESRCH;
	}
	fd_set_cloexec(fd, true);
	p->pid = pid;
	p->start_ticks = start_ticks;
	if (proc_parent(pid) == getpid()) {
		fd_close(&fd);
		return 0;
	}
	p->pidfd = fd;
	p->pidfd_ev = event_new(base, fd, EV_READ, fn, arg);
	event_add(p->pidfd_ev, NULL);
	return 0;
}

bool
process_is(const struct process *p, pid_t pid)
{
	uint64_t ticks;

	return p->pid == pid && proc_start_time(pid, &ticks) == 0 && ticks == p->start_ticks;
}

void
process_signal(const struct process *p, int sig)
{
	uint64_t ticks;

	if (p->pid <= 1)
		return;
	if (p->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
		return;
	}
	/* A child that is not reaped keeps its pid; an adopted one is checked. */
	if (proc_start_time(p->pid, &ticks) == 0 && ticks == p->start_ticks)
		kill(sig == SIGKILL ? -p->pid : p->pid, sig);
}

void
process_forget(struct process *p)
{
	if (p->pidfd_ev != NULL)
		event_free(p->pidfd_ev);
	fd_close(&p->pidfd);
	process_init(p);
}
