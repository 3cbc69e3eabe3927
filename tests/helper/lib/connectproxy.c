/* connectproxy: see connectproxy.h. A process for each connection, which may block. */
#include "tests/helper/lib/connectproxy.h"

#include "common/fd.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"

static bool
move(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && fd_write_all(to, buf, (size_t)n) == 0;
}

static void
carry(int a, int b)
{
	struct pollfd p[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

	while (poll(p, 2, -1) > 0)
		if ((p[0].revents != 0 && !move(a, b)) || (p[1].revents != 0 && !move(b, a)))
			return;
}

static void
serve(int fd, int tell, unsigned target_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target_port)};
	char head[4096] = "";
	size_t n = 0;
	int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	while (n < sizeof(head) - 1 && strstr(head, "\r\n\r\n") == NULL && read(fd, head + n, 1) == 1)
		n++;
	head[strcspn(head, "\r")] = '\n';
	n = strcspn(head, "\n") + 1;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd_write_all(tell, head, n) == 0 && strncmp(head, "CONNECT ", 8) == 0 &&
	    connect(to, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    fd_write_all(fd, ESTABLISHED, strlen(ESTABLISHED)) == 0)
		carry(fd, to);
}

static void __attribute__((noreturn)) run(int listener, int tell, unsigned target_port)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(fd, tell, target_port);
			_exit(0);
		}
		fd_close(&fd);
	}
}

void
connectproxy_start(struct connectproxy *p, unsigned target_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), tell[2];

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	assert_int_equal(fd_pipe(tell, false), 0);
	p->port = ntohs(a.sin_port);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		run(fd, tell[1], target_port);
	fd_close(&fd);
	fd_close(&tell[1]);
	p->asked = fdopen(tell[0], "re");
	assert_non_null(p->asked);
}

void
connectproxy_stop(struct connectproxy *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	fclose(p->asked);
}
