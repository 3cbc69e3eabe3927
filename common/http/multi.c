/* multi: see multi.h. */
#include "common/http/multi.h"

#include "common/alloc.h"

#include <event2/event.h>
#include <stdlib.h>

#define KEPT_MAX 256L /* idle connections */

struct http_multi {
	CURLM *multi;
	struct event_base *base;
	struct event *timer;
	http_multi_done_fn *fn;
};

static void
reap(struct http_multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->multi, &left)) != NULL) {
		CURLcode code = msg->data.result;
		char *private = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
		m->fn(private, code);
	}
}

static void
on_socket_event(evutil_socket_t fd, short what, void *arg)
{
	struct http_multi *m = arg;
	int running, action = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
			      ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(m->multi, fd, action, &running);
	reap(m);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_multi *m = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(m);
}

static int
set_timer(CURLM *multi, long ms, void *arg)
{
	struct http_multi *m = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)multi;
	if (ms < 0)
		event_del(m->timer);
	else
		event_add(m->timer, &tv);
	return 0;
}

static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct http_multi *m = arg;
	struct event *ev = socketp;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(m->base, fd, events | EV_PERSIST, on_socket_event, m);
		event_add(ev, NULL);
	}
	curl_multi_assign(m->multi, fd, ev);
	return 0;
}

struct http_multi *
http_multi_new(struct event_base *base, http_multi_done_fn *fn)
{
	struct http_multi *m = xcalloc(1, sizeof(*m));

	m->base = base;
	m->fn = fn;
	m->multi = curl_multi_init();
	m->timer = evtimer_new(base, on_timer, m);
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
	/* Else as many as four times the transfers of the moment: after the last of a burst, next to none. */
	curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, KEPT_MAX);
	return m;
}

void
http_multi_free(struct http_multi *m)
{
	if (m == NULL)
		return;
	curl_multi_cleanup(m->multi);
	event_free(m->timer);
	free(m);
}

void
http_multi_add(struct http_multi *m, CURL *easy)
{
	curl_multi_add_handle(m->multi, easy);
}

void
http_multi_remove(struct http_multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->multi, easy);
}
