/*
 * endpoint: what a look at an endpoint finds, each way it can fail, with orch-probe and a listener of the
 * test's own.
 */
#include "common/endpoint.h"

#include "common/alloc.h"
#include "tests/helper/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;

struct listener {
	int fd, peer;
	struct event *ev;
	const char *answer; /* NULL: hangs up */
	char url[64], asked[2048];
};

static void
on_connect(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	ssize_t n;

	(void)what;
	l->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(l->peer >= 0);
	n = read(l->peer, l->asked, sizeof(l->asked) - 1); /* one small request, sent at once */
	assert_true(n > 0);
	l->asked[n] = '\0';
	if (l->answer != NULL)
		assert_int_equal(write(l->peer, l->answer, strlen(l->answer)), strlen(l->answer));
	close(l->peer);
}

static void
listen_at(struct listener *l, const char *scheme)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);

	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(l->fd, 1), 0);
	assert_int_equal(getsockname(l->fd, (struct sockaddr *)&a, &size), 0);
	snprintf(l->url, sizeof(l->url), "%s://me:sk-test-dummy@127.0.0.1:%u/p?q=sk-test-dummy", scheme,
	    ntohs(a.sin_port));
	l->ev = event_new(loop.base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	event_add(l->ev, NULL);
}

static void
stop_listening(struct listener *l)
{
	event_free(l->ev);
	close(l->fd);
}

static char *
look(const char *url, enum endpoint_stage stage)
{
	struct endpoint r;
	struct err e = {""};

	assert_int_equal(endpoint_probe(&loop, url, &r, &e), 0);
	assert_int_equal(r.stage, stage);
	return endpoint_text(&r);
}

static void
check(char *text, const char *words)
{
	if (strstr(text, words) == NULL)
		print_error("no '%s' in: %s\n", words, text);
	assert_non_null(strstr(text, words));
	assert_null(strstr(text, "sk-test-dummy"));
	free(text);
}

static void
test_answer(void **state)
{
	struct listener l = {.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};

	(void)state;
	listen_at(&l, "http");
	check(look(l.url, ENDPOINT_ANSWER), "answered with HTTP status 404 after ");
	assert_int_equal(strncmp(l.asked, "HEAD /p?q=", 10), 0);
	stop_listening(&l);
}

static void
test_hangs_up(void **state)
{
	struct listener l = {.answer = NULL};

	(void)state;
	listen_at(&l, "http");
	check(look(l.url, ENDPOINT_HTTP), "got no HTTP answer from it");
	stop_listening(&l);
}

static void
test_no_tls(void **state)
{
	struct listener l = {.answer = "HTTP/1.1 400 Bad Request\r\n\r\n"};

	(void)state;
	listen_at(&l, "https");
	check(look(l.url, ENDPOINT_TLS), "but TLS failed");
	stop_listening(&l);
}

static void
test_refused(void **state)
{
	struct listener l = {.answer = NULL};

	(void)state;
	listen_at(&l, "http"); /* for a port that is surely free afterwards */
	stop_listening(&l);
	check(look(l.url, ENDPOINT_CONNECT), "(Connection refused)");
}

static void
test_no_name(void **state)
{
	(void)state;
	check(look("http://no-such-host.invalid/", ENDPOINT_DNS),
	    "http://no-such-host.invalid:80 found no address");
}

static void
test_no_url(void **state)
{
	(void)state;
	check(look("ftp://127.0.0.1/", ENDPOINT_URL), "is no URL of an endpoint");
	check(look("", ENDPOINT_URL), "is no URL of an endpoint");
	check(look("http://a b/", ENDPOINT_URL), "is no URL of an endpoint");
}

static int
setup(void **state)
{
	(void)state;
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	return loop_init(&loop);
}

static int
teardown(void **state)
{
	(void)state;
	loop_clear(&loop);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_hangs_up),
	    cmocka_unit_test(test_no_tls),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_no_name),
	    cmocka_unit_test(test_no_url),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
