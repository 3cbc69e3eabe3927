/* inject: see inject.h. What depends on the processor is in one place: the instruction that calls the kernel,
 * and the registers that say what for. */
#include "tests/chaos/lib/inject.h"

#include "common/fd.h"
#include "proto/frame.h"
#include "proto/messages.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKETS_MAX 64

#if defined(__x86_64__)
#define CALL_INSTRUCTION 0x050fUL /* syscall */
#define CALL_MASK 0xffffUL
#define PC(r) ((r)->rip)

static void
set_call(struct user_regs_struct *r, int code)
{
	r->rax = SYS_exit_group;
	r->rdi = (unsigned long long)code;
	r->orig_rax = (unsigned long long)-1; /* no call to be restarted */
}
#elif defined(__aarch64__)
#define CALL_INSTRUCTION 0xd4000001UL /* svc #0 */
#define CALL_MASK 0xffffffffUL
#define PC(r) ((r)->pc)

static void
set_call(struct user_regs_struct *r, int code)
{
	r->regs[8] = SYS_exit_group;
	r->regs[0] = (unsigned long long)code;
}
#endif

#ifdef CALL_INSTRUCTION
/* Stopped, its next instruction becomes the call. */
static int
call_exit(pid_t pid, int code)
{
	struct user_regs_struct regs;
	struct iovec io = {&regs, sizeof(regs)};
	long word;

	if (ptrace(PTRACE_GETREGSET, pid, (void *)(uintptr_t)NT_PRSTATUS, &io) < 0)
		return -errno;
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)PC(&regs), NULL);
	if (errno != 0)
		return -errno;
	word = (long)(((unsigned long)word & ~CALL_MASK) | CALL_INSTRUCTION);
	set_call(&regs, code);
	if (ptrace(PTRACE_POKETEXT, pid, (void *)(uintptr_t)PC(&regs), (void *)word) < 0 ||
	    ptrace(PTRACE_SETREGSET, pid, (void *)(uintptr_t)NT_PRSTATUS, &io) < 0 ||
	    ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		return -errno;
	return 0;
}

int
inject_exit(pid_t pid, int code)
{
	int status = 0, rc = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
		rc = -ESRCH;
	else if (WIFSTOPPED(status))
		rc = call_exit(pid, code);
	if (rc < 0) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return rc;
	}
	/* A signal on its way to it may come first. */
	while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		if (waitpid(pid, &status, __WALL) != pid)
			return -ESRCH;
		if (WIFSTOPPED(status) && ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
			return -ESRCH;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == code ? 0 : -ESRCH;
}
#else
int
inject_exit(pid_t pid, int code)
{
	(void)pid;
	(void)code;
	return -ENOSYS;
}
#endif

size_t
inject_make_garbage(unsigned char *bytes, size_t max, uint64_t random)
{
	struct frame f = {.request = (uint32_t)random};
	uint64_t kind = random % 4;

	for (size_t i = 0; i < max; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		bytes[i] = (unsigned char)(random >> 56);
	}
	if (kind == 1) { /* more than ever follows: whatever comes next is taken for a part of it */
		f.id = MSG_NOTE;
		f.length = PROTO_FRAME_MAX - 1;
	} else if (kind == 2) { /* an array of 500 million, in a frame that fits */
		f.id = MSG_NOTE;
		f.length = 5;
		memcpy(bytes + PROTO_FRAME_HEADER, "\xdd\x1f\xff\xff\xff", 5);
	} else if (kind == 3) { /* by nobody to nobody */
		f.id = (uint16_t)(1000 + random % 1000);
		f.length = (uint32_t)(random % 64);
	}
	if (kind != 0)
		frame_put(&f, bytes);
	return kind == 0 ? 1 + random % max : kind == 1 ? PROTO_FRAME_HEADER : PROTO_FRAME_HEADER + f.length;
}

static bool
is_connected(int fd)
{
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);

	return getpeername(fd, (struct sockaddr *)&name, &size) == 0;
}

/* Our copies of its connected sockets. */
static size_t
copy_sockets(int pidfd, pid_t pid, int fds[SOCKETS_MAX])
{
	char path[64], target[64];
	struct dirent *entry;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d != NULL && n < SOCKETS_MAX && (entry = readdir(d)) != NULL) {
		ssize_t size = readlinkat(dirfd(d), entry->d_name, target, sizeof(target));
		int fd;

		if (size < 7 || strncmp(target, "socket:", 7) != 0)
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd >= 0 && is_connected(fd))
			fds[n++] = fd;
		else
			fd_close(&fd);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

/* Never waits: the other side may have stopped reading. */
static int
put(int fd, const unsigned char *bytes, size_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || write(fd, bytes, size) < 0)
		return -ESRCH;
	return 0;
}

int
inject_garbage(pid_t pid, uint64_t random)
{
	unsigned char bytes[2048];
	size_t size = inject_make_garbage(bytes, sizeof(bytes), random);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fds[SOCKETS_MAX], rc = -ESRCH;
	size_t n;

	if (pidfd < 0)
		return -ESRCH;
	n = copy_sockets(pidfd, pid, fds);
	if (n == 0) {
		fds[0] = (int)syscall(SYS_pidfd_getfd, pidfd, 1, 0);
		n = fds[0] >= 0;
	}
	if (n > 0)
		rc = put(fds[random / 4 % n], bytes, size);
	while (n > 0)
		fd_close(&fds[--n]);
	fd_close(&pidfd);
	return rc;
}
