/*
 * orch-test-netns PROGRAM [ARGUMENT...]: runs a program in a network namespace of its own in which only the
 * loopback works, so that nothing in it can reach another network. Root needs no more than that; others get a
 * user namespace in which they keep their uid. Exits with 125 when the kernel refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, fmt);
	fputs("orch-test-netns: ", stderr);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, ": %s\n", strerror(error));
	va_end(ap);
	exit(125);
}

static void __attribute__((format(printf, 2, 3))) put(const char *path, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	int fd = open(path, O_WRONLY | O_CLOEXEC), n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		die("%s", path);
	close(fd);
}

static void
raise_loopback(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		die("no loopback");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		die("cannot bring the loopback up");
	close(fd);
}

int
main(int argc, char **argv)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (argc < 2) {
		fprintf(stderr, "usage: orch-test-netns PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	if (unshare(CLONE_NEWNET) < 0) {
		if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			die("cannot make a network namespace");
		put("/proc/self/setgroups", "deny");
		put("/proc/self/uid_map", "%u %u 1", (unsigned)uid, (unsigned)uid);
		put("/proc/self/gid_map", "%u %u 1", (unsigned)gid, (unsigned)gid);
	}
	raise_loopback();
	execvp(argv[1], argv + 1);
	die("%s", argv[1]);
}
